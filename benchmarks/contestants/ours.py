"""unspool: its recurrence, and its training loop on the two-sines model."""

import numpy as np
import torch

from benchmarks import article
from benchmarks.contestants import Job, Ready
from benchmarks.inputs import is_gru
from unspool.data.scaling import Scaler
from unspool.datasets import make_sine_classes
from unspool.lstm import Choice, lstm, threads
from unspool.training.batches import Batch, Batches
from unspool.training.loop import train
from unspool.training.objective import AutoencoderLoss
from unspool.training.optimizers import make_optimizer

PACKAGES = ("unspool", "torch", "numba", "numpy")


def prepare(job: Job) -> Ready:
    """Make the work of `job` callable; `job.how` is the backend."""
    torch.set_num_threads(job.threads)
    if job.case == "epoch":
        return _epoch(job)
    return _encode(job) if job.case.startswith("encode") else _train(job)


def _train(job: Job) -> Ready:
    x, d_h = torch.from_numpy(job.inputs["x"]), torch.from_numpy(job.inputs["d_h"])
    names = ("w_ih", "w_hh", "bias")
    weights = [torch.from_numpy(job.inputs[name]).requires_grad_() for name in names]

    def call() -> torch.Tensor:
        for weight in weights:
            weight.grad = None
        h, _, _ = lstm(x, *weights, backend=job.how, on_choice=ran.append, cell=cell)
        h.backward(d_h)
        return h

    ran: list[Choice] = []
    cell = "gru" if is_gru(job.inputs) else "lstm"

    h = call().detach().numpy()
    gradients = {name: w.grad.numpy() for name, w in zip(names, weights, strict=True)}
    return Ready(call, {"h": h, **gradients}, ran[0].name)


def _encode(job: Job) -> Ready:
    x, *weights = (torch.from_numpy(job.inputs[name]) for name in ("x", "w_ih", "w_hh", "bias"))

    @torch.inference_mode()
    def call() -> torch.Tensor:
        options = {"backend": job.how, "on_choice": ran.append, "cell": cell}
        _, h_n, _ = lstm(x, *weights, return_sequences=False, **options)
        return h_n

    ran: list[Choice] = []
    cell = "gru" if is_gru(job.inputs) else "lstm"
    return Ready(call, {"h_n": call().numpy()}, ran[0].name)


def _epoch(job: Job) -> Ready:
    model = article.build(job.how)
    article.load(model, job.inputs)
    windows = make_sine_classes().X_train
    as_they_are = Scaler(np.zeros(1), np.ones(1))
    rng = np.random.default_rng(0)
    batches = Batches(windows, as_they_are, np.arange(len(windows)), 500, torch.device("cpu"), rng)
    optimizer, objective = make_optimizer("rmsprop", model.parameters()), AutoencoderLoss(model)

    def call() -> float:
        with threads.pytorch_on_one_thread():  # as `fit` does
            return train(model, objective, batches, optimizer=optimizer, epochs=1).loss[0]

    with torch.no_grad():
        probed = objective(Batch(torch.from_numpy(job.inputs["probe"]), None))["loss"]
    losses = {"loss_before": float(probed.total) / probed.size, "loss_of_first_epoch": call()}
    return Ready(call, losses, model.encoder.lstm.stack()[0][0].backend.name)
