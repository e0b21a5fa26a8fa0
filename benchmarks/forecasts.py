"""What `LSTMForecaster` reaches on ETTh1: `python -m benchmarks.forecasts PATH/ETTh1.csv`.

The protocol of the literature: hourly rows, 12, 4 and 4 months of 30 days to train, validate and
test; windows of 96 steps; errors over all windows of the test part and the 7 variables, in units of
the training part's standard deviation. The forecaster has its defaults, but for the seed, the
quantiles, the `steps_per_epoch` that `unspool fit` sets, and a `validation_split` that is the
validation part.
"""

import argparse
import statistics
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np

from benchmarks.machine import describe
from unspool import LSTMForecaster, Windows
from unspool.cli.fit import STEPS_PER_EPOCH
from unspool.io.files import read_file

TRAIN, VALIDATION, TEST = 8640, 2880, 2880  # hours
WINDOW, DAY = 96, 24
QUANTILES = (0.1, 0.5, 0.9)
SEEDS = range(3)
PENALTY = 1e-6  # of the linear map, as a share of the largest eigenvalue


class Row(NamedTuple):
    """A line of the table; coverage is the share of values within the interval of 80 %."""

    name: str
    mse: float
    mae: float
    coverage: float | None = None
    seconds: float | None = None

    def __str__(self) -> str:
        coverage = "       -" if self.coverage is None else f"{self.coverage:8.3f}"
        seconds = "     -" if self.seconds is None else f"{self.seconds:6.0f}"
        return f"{self.name:34s}{self.mse:7.3f}{self.mae:7.3f}{coverage}{seconds}"


def pairs(series: np.ndarray, horizon: int) -> tuple[np.ndarray, np.ndarray]:
    """All windows (N, 96, F) of a series and what comes after them (N, K, F)."""
    both = np.lib.stride_tricks.sliding_window_view(series, WINDOW + horizon, 0).swapaxes(1, 2)
    return both[:, :WINDOW], both[:, WINDOW:]


def score(name: str, predicted: np.ndarray, y: np.ndarray, **more: float | None) -> Row:
    """Errors of a forecast, both in standardised units."""
    apart = predicted - y
    return Row(name, float((apart**2).mean()), float(abs(apart).mean()), **more)


def linear(X: np.ndarray, y: np.ndarray, test: np.ndarray) -> np.ndarray:
    """NLinear by least squares: one map of differences from the last value, for all variables."""
    read = (X - X[:, -1:])[:, :-1].swapaxes(1, 2).reshape(-1, WINDOW - 1)
    wanted = (y - X[:, -1:]).swapaxes(1, 2).reshape(len(read), -1)
    gram = read.T @ read
    gram += PENALTY * np.linalg.eigvalsh(gram)[-1] * np.eye(len(gram))
    weights = np.linalg.solve(gram, read.T @ wanted)
    forecast = (test - test[:, -1:])[:, :-1].swapaxes(1, 2) @ weights
    return forecast.swapaxes(1, 2) + test[:, -1:]


def ours(series: np.ndarray, horizon: int, seed: int, test: slice) -> Row:
    """Fit on the first two parts, measure on windows of `test`."""
    model = LSTMForecaster(
        horizon=horizon,
        quantiles=QUANTILES,
        steps_per_epoch=STEPS_PER_EPOCH,
        validation_split=VALIDATION / (TRAIN + VALIDATION),
        random_state=seed,
        verbose=0,
    )
    start = time.perf_counter()
    model.fit(Windows(series[: TRAIN + VALIDATION], WINDOW + horizon))
    seconds = time.perf_counter() - start
    X, y = pairs(series[test], horizon)
    low, _, high = np.moveaxis(model.predict_quantiles(X), 3, 0)
    coverage = float(((low <= y) & (y <= high)).mean())
    return score(
        f"LSTMForecaster, seed {seed}", model.predict(X), y, coverage=coverage, seconds=seconds
    )


def main() -> None:
    """Print the table for both horizons."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("path", type=Path, help="the file ETTh1.csv")
    (raw,) = read_file(parser.parse_args().path, window=WINDOW).source.series
    raw = np.asarray(raw, np.float64)[: TRAIN + VALIDATION + TEST]
    series = (raw - raw[:TRAIN].mean(axis=0)) / raw[:TRAIN].std(axis=0)
    test = slice(TRAIN + VALIDATION - WINDOW, None)
    print(describe())
    print(f"{'':34s}{'MSE':>7s}{'MAE':>7s}{'10-90 %':>8s}{'fit s':>6s}")
    for horizon in (24, 96):
        X, y = pairs(series[test], horizon)
        past = pairs(series[:TRAIN], horizon)
        day = np.tile(X[:, -DAY:], (1, horizon // DAY, 1))
        print(f"horizon {horizon}")
        print(score("last value", np.repeat(X[:, -1:], horizon, axis=1), y))
        print(score("the same hour of the day before", day, y))
        print(score("linear map (NLinear)", linear(*past, X), y))
        rows = [ours(series, horizon, seed, test) for seed in SEEDS]
        print(*rows, sep="\n")
        means = [statistics.mean(values) for values in zip(*(row[1:] for row in rows), strict=True)]
        print(Row("LSTMForecaster, mean", *means), flush=True)


if __name__ == "__main__":
    main()
