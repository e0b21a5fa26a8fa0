"""What options of training cost: `python -m benchmarks.options`.

An epoch of an LSTM autoencoder with each option, next to an epoch of the same model without it, by
turns in one process. Stacks of layers of different widths have other numbers of weights, so the
last column has the time per weight that is multiplied at each step, relative to the plain model
with as many layers.
"""

import time
import warnings
from collections.abc import Mapping
from statistics import median
from typing import Any

import numpy as np
import torch

from benchmarks.machine import describe
from unspool import LSTMAutoencoder
from unspool.errors import NoBetterThanMeanWarning

N, T, F, H, B = 4096, 50, 8, 64, 256
ROUNDS, EPOCHS = 5, 4
COMMON: Mapping[str, Any] = {
    "bidirectional": False,
    "pooling": "last",
    "n_kernels": 0,
    "patch_size": 1,
    "input_dropout": 0.0,
    "batch_size": B,
    "validation_split": 0,
    "random_state": 0,
    "verbose": 0,
}
ONE, TWO = "one layer of 64", "two layers of 64"
# Parameters by name, with the plain model that they are compared with.
MODELS: Mapping[str, tuple[dict[str, Any], str]] = {
    ONE: ({"latent_dim": H}, ONE),
    "sample_weight": ({"latent_dim": H}, ONE),
    "feature_weight": ({"latent_dim": H, "feature_weight": [2.0] + [1.0] * (F - 1)}, ONE),
    "code_dropout=0.2": ({"latent_dim": H, "code_dropout": 0.2}, ONE),
    "recurrent_dropout=0.2": ({"latent_dim": H, "recurrent_dropout": 0.2}, ONE),
    'missing="mask", nothing missing': ({"latent_dim": H, "missing": "mask"}, ONE),
    'missing="mask", 20 % missing': ({"latent_dim": H, "missing": "mask"}, ONE),
    "clip=3": ({"latent_dim": H, "clip": 3.0}, ONE),
    'cell="gru"': ({"latent_dim": H, "cell": "gru"}, ONE),
    TWO: ({"latent_dim": H, "num_layers": 2}, TWO),
    "dropout=0.2": ({"latent_dim": H, "num_layers": 2, "dropout": 0.2}, TWO),
    "units=(64, 32)": ({"latent_dim": 32, "units": (64, 32)}, TWO),
    "units=(128, 64, 32)": ({"latent_dim": 32, "units": (128, 64, 32)}, TWO),
}


def epoch(name: str, X: np.ndarray) -> tuple[float, int]:
    """Return the median time of an epoch after the first, and the weights of a step."""
    parameters, _ = MODELS[name]
    ends: list[float] = []
    weights = np.linspace(0.5, 1.5, N) if name == "sample_weight" else None
    model = LSTMAutoencoder(**COMMON, **parameters, epochs=1 + EPOCHS)
    model.fit(X, sample_weight=weights, callbacks=[lambda *_: ends.append(time.perf_counter())])
    matrices = [
        weight.numel()
        for name, weight in model.module_.named_parameters()
        if weight.ndim == 2 and "context" not in name
    ]
    return median(np.diff(ends)), sum(matrices)


def main() -> None:
    """Print a line for each option."""
    warnings.simplefilter("ignore", NoBetterThanMeanWarning)
    rng = np.random.default_rng(0)
    X = rng.standard_normal((N, T, F)).astype(np.float32)
    holes = np.where(rng.random(X.shape) < 0.2, np.nan, X)
    print(f"{describe()}; N {N}, T {T}, F {F}, B {B}, threads {torch.get_num_threads()}")
    times: dict[str, list[float]] = {name: [] for name in MODELS}
    sizes = {}
    for _ in range(ROUNDS):
        for name in MODELS:
            seconds, sizes[name] = epoch(name, holes if "20 %" in name else X)
            times[name].append(seconds)
    print(f"{'model':34} {'epoch, ms':>20} {'relative':>9} {'per weight':>11}")
    for name, (_, plain) in MODELS.items():
        ratios = [a / b for a, b in zip(times[name], times[plain], strict=True)]
        per_weight = median(ratios) * sizes[plain] / sizes[name]
        low, middle, high = min(times[name]), median(times[name]), max(times[name])
        span = f"{middle * 1e3:.0f} ({low * 1e3:.0f}–{high * 1e3:.0f})"
        print(f"{name:34} {span:>20} {median(ratios):9.2f} {per_weight:11.2f}")


if __name__ == "__main__":
    main()
