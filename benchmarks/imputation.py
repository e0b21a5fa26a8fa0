"""How well missing values are imputed: `python -m benchmarks.imputation FOLDER`.

FOLDER holds ett/ETTh1.csv, on which the settings were chosen, and smd/machine-1-2_test.npy, on
which they were not. A fifth of the values is removed: at random, or in blocks of 24 steps of
single features. Models are trained on the first 80 % of the series, in which the same share is
missing, and impute the rest, by averages over overlapping windows. Errors are mean squared errors
of the removed values of the rest, in standard deviations of the training part. The rivals are
linear interpolation, the last value (the next one at the start), the mean of the training part,
and the same model before training.
"""

import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt

from benchmarks.machine import describe
from unspool import LSTMAutoencoder, Windows, chronological_split
from unspool.io.files import read_file

Array = npt.NDArray[np.floating]

SEEDS = range(2)
SHARE, BLOCK, WINDOW = 0.2, 24, 16
MODEL = {
    "latent_dim": 64,
    "decoder": "reversed_input",
    "input_dropout": 0.15,
    "n_kernels": 0,
    "missing": "mask",
    "verbose": 0,
}
TRAINING = {"epochs": 40, "steps_per_epoch": 100}
UNTRAINED = {"epochs": 1, "steps_per_epoch": 1, "learning_rate": 1e-12}


def at_random(shape: tuple[int, ...], rng: np.random.Generator) -> npt.NDArray[np.bool_]:
    """Return which values to remove: a fifth of all, independently of each other."""
    return rng.random(shape) < SHARE


def in_blocks(shape: tuple[int, ...], rng: np.random.Generator) -> npt.NDArray[np.bool_]:
    """Return which values to remove: blocks of `BLOCK` steps of single features."""
    steps, features = shape
    starts = rng.random((steps + BLOCK - 1, features)) < 1 - (1 - SHARE) ** (1 / BLOCK)
    return np.lib.stride_tricks.sliding_window_view(starts, BLOCK, axis=0).any(axis=-1)


def interpolated(series: Array) -> Array:
    """Fill gaps along straight lines between their neighbours."""
    steps, filled = np.arange(len(series)), series.copy()
    for column in filled.T:
        known = ~np.isnan(column)
        column[~known] = np.interp(steps[~known], steps[known], column[known])
    return filled


def last_value(series: Array) -> Array:
    """Fill gaps with the value before them, at the start with the next one."""
    filled = series.copy()
    for column in filled.T:
        known = np.flatnonzero(~np.isnan(column))
        place = np.searchsorted(known, np.arange(len(column)), side="right") - 1
        column[:] = column[known[np.maximum(place, 0)]]
    return filled


def imputed(training: Array, test: Array, seed: int, **parameters: object) -> Array:
    """Return the test part with gaps filled by a model that was fitted on the training part."""
    model = LSTMAutoencoder(**{**MODEL, **parameters}, random_state=seed)  # type: ignore[arg-type]
    model.fit(Windows(training, WINDOW, missing="mask"))
    (filled,) = model.impute(Windows(test, WINDOW, 4, tail=True, missing="mask"), merge=True)
    return filled


def compare(name: str, remove: Callable[..., npt.NDArray[np.bool_]], series: Array) -> None:
    """Print a row for each method and seed, and means with their spread."""
    errors: dict[str, list[float]] = {}
    for seed in SEEDS:
        removed = remove(series.shape, np.random.default_rng(seed))
        holes = np.where(removed, np.nan, series)
        (training, test), (_, truth) = (chronological_split(one, 0.2) for one in (holes, series))
        mean, spread = np.nanmean(training, axis=0), np.nanstd(training, axis=0)
        start = time.perf_counter()
        answers = {
            "model": imputed(training, test, seed, **TRAINING),
            "untrained model": imputed(training, test, seed, **UNTRAINED),
            "linear interpolation": interpolated(test),
            "last value": last_value(test),
            "mean": np.where(np.isnan(test), mean, test),
        }
        hidden = np.isnan(test)
        for method, answer in answers.items():
            error = float((((answer - truth) / spread)[hidden] ** 2).mean())
            errors.setdefault(method, []).append(error)
        seconds = time.perf_counter() - start
        row = ", ".join(f"{method} {each[-1]:.4f}" for method, each in errors.items())
        print(f"{name}, seed {seed}: {row} ({seconds:.0f} s)", flush=True)
    for method, each in errors.items():
        print(f"{name}, {method}: {np.mean(each):.4f}, from {min(each):.4f} to {max(each):.4f}")


def main(folder: Path) -> None:
    """Print everything."""
    print(describe())
    print(f"{SHARE:.0%} of the values removed, windows of {WINDOW} steps, {MODEL}, {TRAINING}")
    (ett,) = read_file(folder / "ett" / "ETTh1.csv", window=WINDOW).source.series
    smd = np.load(folder / "smd" / "machine-1-2_test.npy")
    moving = (np.diff(smd[: len(smd) * 4 // 5], axis=0) != 0).mean(axis=0) > 0.01
    for data, series in (("ETTh1", ett), ("SMD machine-1-2", smd[:, moving])):
        compare(f"{data}, at random", at_random, series)
        compare(f"{data}, blocks of {BLOCK}", in_blocks, series)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
