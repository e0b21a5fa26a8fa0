"""How far the codes of one encoder are apart, run by PyTorch and by each of the others.

``python -m tests.interop.agreement`` prints the table of docs/anywhere.md.
"""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

os.environ.setdefault("KERAS_BACKEND", "torch")  # before Keras is imported

import keras
import numpy as np
import onnxruntime
import torch

from tests.trained import ALL
from unspool import Sequences, runtime
from unspool.blueprint import LSTMEncoder
from unspool.blueprint.layers import POOLINGS
from unspool.interop.keras import to_keras
from unspool.interop.onnx import export_onnx
from unspool.interop.torch import to_torch
from unspool.model_file import Contents

ENCODERS = {
    "repeat": "LSTM",
    "repeat, both ways, two layers": "LSTM, two layers, both directions",
    "state": "LSTM, the code from its whole state",
    "relu": "LSTM, ReLU cells",
    "relu, hard gates": "LSTM, ReLU cells, hard sigmoid gates",
    "variational": "LSTM, variational",
    **{f"pooling {name}": f"LSTM, pooling {name!r}" for name in POOLINGS if name != "last"},
    "kernels": "LSTM, random kernels",
    "kernels, pooling": "LSTM, random kernels, pooling 'mean_max', both directions, variational",
    "forecaster, two layers": "LSTM forecaster, two layers",
    "dense sequences": "dense, sequences",
    "dense rows": "dense, rows, variational",
    "stacked": "stacked",
    "convolved sequences": "convolutional, sequences",
    "images": "convolutional, images",
    "classifier, lstm": "classifier on an LSTM",
}
OTHERS = ("unspool.runtime", "ONNX Runtime", "Keras", "plain PyTorch")


def differences(name: str) -> dict[str, float | None]:
    """The largest difference from the trained model's codes, as a share of the largest code.

    None where a model of that kind is refused.
    """
    case = ALL[name]
    contents = case.fit().contents()
    values, lengths = _batch(contents, case.X)
    expected = _by_pytorch(case.fit(), values, lengths)
    found: dict[str, float | None] = {}
    for other, run in zip(OTHERS, (_runtime, _onnx, _keras, _plain), strict=True):
        codes = run(contents, values, lengths)
        assert codes is None or codes.shape == expected.shape
        apart = None if codes is None else float(abs(codes - expected).max() / abs(expected).max())
        found[other] = apart
    return found


def _batch(contents: Contents, X: Any) -> tuple[np.ndarray, np.ndarray]:
    """X as (N, T, F), float32, with rubbish in its padding, and lengths."""
    if isinstance(X, Sequences):
        values = X.values.astype(np.float32)
        values[np.arange(values.shape[1]) >= X.lengths[:, None]] = 1e6
        return values, X.lengths
    facts = contents.facts
    values = np.float32(X).reshape(len(X), -1, facts.n_features)
    return values, np.full(len(X), values.shape[1])


def _by_pytorch(trained: Any, values: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    model = getattr(trained, "autoencoder_", trained)
    real = np.arange(values.shape[1]) < lengths[:, None]
    x = np.where(real[:, :, None], model.scaler_.apply(values), 0)
    with torch.inference_mode():
        return model.encoder_(torch.from_numpy(np.float32(x)), torch.from_numpy(lengths)).numpy()


def _runtime(contents: Contents, values: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    if contents.facts.image_shape is not None:
        return runtime.Model(contents).encode(values.reshape(len(values), -1))
    return runtime.Model(contents).encode(values, lengths)


def _onnx(contents: Contents, values: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    with tempfile.TemporaryDirectory() as folder:
        export_onnx(contents, Path(folder) / "model.onnx", part="encoder")
        session = onnxruntime.InferenceSession(
            str(Path(folder) / "model.onnx"), providers=["CPUExecutionProvider"]
        )
    return session.run(None, {"x": values, "lengths": lengths})[0]


def _keras(contents: Contents, values: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    model = to_keras(contents, part="encoder")
    real = np.arange(values.shape[1]) < lengths[:, None]
    x = np.where(real[:, :, None], values.astype(np.float64), contents.scaler.shift)
    if isinstance(contents.blueprint.encoder, LSTMEncoder):
        codes = model([x, real])
    else:
        codes = model(x.reshape(len(x), *model.inputs[0].shape[1:]))
    return keras.ops.convert_to_numpy(codes)


def _plain(contents: Contents, values: np.ndarray, lengths: np.ndarray) -> np.ndarray | None:
    encoder = contents.blueprint.encoder
    if isinstance(encoder, LSTMEncoder) and (
        encoder.lstm.activation != "tanh" or encoder.lstm.recurrent_activation != "sigmoid"
    ):
        return None
    module = to_torch(contents, part="encoder")
    with torch.inference_mode():
        return module(torch.from_numpy(values), torch.from_numpy(lengths)).numpy()


def table() -> Iterator[str]:
    """The table, line by line, in Markdown."""
    yield f"| encoder | {' | '.join(OTHERS)} |"
    yield "|---" * (len(OTHERS) + 1) + "|"
    for name, told in ENCODERS.items():
        cells = ["refused" if d is None else f"{d:.0e}" for d in differences(name).values()]
        yield f"| {told} | {' | '.join(cells)} |"


if __name__ == "__main__":
    print("\n".join(table()))
