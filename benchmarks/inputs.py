"""The numbers that go in, made once by the driver and read by every contestant."""

import numpy as np
import numpy.typing as npt

from benchmarks import article
from benchmarks.cases import Shape
from unspool.datasets import make_sine_classes

Arrays = dict[str, npt.NDArray[np.float32]]

PROBE = slice(None, None, 35)  # the windows on which the loss before training is compared


def one_layer(shape: Shape, gates: int = 4) -> Arrays:
    """Normal x (B, T, F) and d_h (B, T, H); weights as torch draws them. A GRU has 3 gates."""
    B, T, F, H = shape
    rng = np.random.default_rng(0)
    bound = H**-0.5
    arrays = {
        "x": rng.standard_normal((B, T, F)),
        "w_ih": rng.uniform(-bound, bound, (gates * H, F)),
        "w_hh": rng.uniform(-bound, bound, (gates * H, H)),
        "bias": rng.uniform(-bound, bound, 4 * H),
        "d_h": rng.standard_normal((B, T, H)),
    }
    return {name: array.astype(np.float32) for name, array in arrays.items()}


def is_gru(arrays: Arrays) -> bool:
    """Whether the weights are those of a GRU."""
    return len(arrays["w_hh"]) == 3 * arrays["w_hh"].shape[1]


def first_article() -> Arrays:
    """All training windows (17802, 100, 1), some of them as a probe, and initial weights."""
    train = make_sine_classes().X_train
    windows, _ = train.take(np.arange(len(train)))
    windows = windows.astype(np.float32)
    return {"windows": windows, "probe": windows[PROBE], **article.weights(article.build())}


INPUTS = {
    "train": one_layer,
    "encode": one_layer,
    "train_gru": lambda shape: one_layer(shape, gates=3),
    "encode_gru": lambda shape: one_layer(shape, gates=3),
    "peak": one_layer,
    "epoch": lambda shape: first_article(),
}
