"""One trained LSTM encoder, run by everybody who can; for `benchmarks.encoding`.

`job.how` says who it is, and on how many threads: "runtime 1". What is timed is what a user calls:
`unspool.runtime` and the estimator read an array, check it for NaN and infinity, and scale it;
PyTorch and ONNX Runtime get a float32 tensor that is ready.
"""

import warnings
from collections.abc import Callable, Mapping
from functools import partial

import numpy as np
import torch

from benchmarks.contestants import Job, Ready, onnx_lstm, torch_lstm
from unspool import LSTMAutoencoder, runtime
from unspool._types import RuntimeBackendName

PACKAGES = ("unspool", "torch", "numba", "numpy", "onnxruntime", "onnx")


def prepare(job: Job) -> Ready:
    """Make the encoding of `job` callable."""
    who, threads = job.how.rsplit(" ", 1)
    job = job._replace(threads=int(threads))
    torch.set_num_threads(job.threads)
    return WAYS[who](job)


def trained(job: Job) -> LSTMAutoencoder:
    """An autoencoder whose encoder has the weights of `job`, and whose scaling does nothing."""
    inputs = job.inputs
    hidden, features = inputs["w_hh"].shape[1], inputs["w_ih"].shape[1]
    model = LSTMAutoencoder(
        hidden,
        bidirectional=False,
        pooling="last",
        n_kernels=0,
        scaling="none",
        epochs=1,
        random_state=0,
        device="cpu",
        verbose=0,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it learns nothing
        model.fit(np.zeros((20, 3, features)))
    weights = {
        f"encoder.lstm.layers.0.0.{theirs}": torch.from_numpy(inputs[ours])
        for ours, theirs in (("w_ih", "weight_ih"), ("w_hh", "weight_hh"), ("bias", "bias"))
    }
    model.module_.load_state_dict({**model.module_.state_dict(), **weights})
    return model


def _runtime(job: Job, backend: RuntimeBackendName) -> Ready:
    model, x = runtime.Model(trained(job).contents(), backend=backend), job.inputs["x"]
    return Ready(lambda: model.encode(x), {"h_n": model.encode(x)}, model.backend)


@torch.inference_mode()
def _module(job: Job) -> Ready:
    """The layer of `unspool.nn`, on a tensor that is ready."""
    lstm, x = trained(job).module_.encoder.lstm, torch.from_numpy(job.inputs["x"])

    @torch.inference_mode()
    def call() -> torch.Tensor:
        _, (h_n, _) = lstm(x, return_sequences=False)
        return h_n[0]

    codes = call().numpy()
    return Ready(call, {"h_n": codes}, lstm.stack()[0][0].backend.name)


def _estimator(job: Job) -> Ready:
    model, x = trained(job), job.inputs["x"]
    codes = model.transform(x)
    (ran,) = {name.partition(" ")[0] for name in _encoder_backends(model)}
    return Ready(lambda: model.transform(x), {"h_n": codes}, ran)


def _encoder_backends(model: LSTMAutoencoder) -> list[str]:
    backends = model.module_.backends()
    return [how for name, how in backends.items() if name.startswith("encoder.")]


def _torch(job: Job) -> Ready:
    return torch_lstm.prepare(job._replace(how="inference_mode"))


def _stream(job: Job, backend: RuntimeBackendName) -> Ready:
    """A step of a series: the codes after all steps are checked, one step is timed."""
    model, steps = runtime.Model(trained(job).contents(), backend=backend), job.inputs["x"][0]
    stream = model.stream()
    for step in steps:
        code = stream.push(step)
    return Ready(lambda: stream.push(steps[0]), {"h_n": code[None]}, stream.backend)


@torch.inference_mode()
def _cell(job: Job) -> Ready:
    """The same with `torch.nn.LSTMCell`; its steps are tensors beforehand."""
    inputs = job.inputs
    cell = torch.nn.LSTMCell(inputs["w_ih"].shape[1], inputs["w_hh"].shape[1])
    zeros = np.zeros_like(inputs["bias"])
    names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    given = (inputs["w_ih"], inputs["w_hh"], inputs["bias"], zeros)
    cell.load_state_dict(dict(zip(names, map(torch.from_numpy, given), strict=True)))
    steps, state = torch.from_numpy(inputs["x"][0])[:, None], None
    for step in steps:
        state = cell(step, state)
    numbers = {"h_n": state[0].numpy()}

    @torch.inference_mode()
    def call() -> None:
        nonlocal state
        state = cell(steps[0], state)

    return Ready(call, numbers, "nn.LSTMCell")


WAYS: Mapping[str, Callable[[Job], Ready]] = {
    "runtime": partial(_runtime, backend="numpy"),
    "runtime_compiled": partial(_runtime, backend="compiled"),
    "module": _module,
    "estimator": _estimator,
    "torch": _torch,
    "onnxruntime": onnx_lstm.prepare,
    "stream": partial(_stream, backend="numpy"),
    "stream_compiled": partial(_stream, backend="compiled"),
    "cell": _cell,
}
