"""The data sets: series with a training part and a labelled test part, ECG5000 and C-MAPSS."""

import csv
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from unspool.evaluation import labels_from_windows

PROBATION = 750  # maximum number of training steps in NAB
DEGRADES = 130  # last cycles of an engine, in which it wears out, as in published work
HEALTHY = 60  # first cycles of an engine of C-MAPSS, in which it is healthy


@dataclass(frozen=True)
class Series:
    """A series with a training part and a test part.

    Parameters
    ----------
    group, name : str
    train, test : arrays of shape (T, F)
    labels : array of shape (T,)
        1 at anomalous steps of `test`.
    steps_per_day : float or None
    """

    group: str
    name: str
    train: np.ndarray
    test: np.ndarray
    labels: np.ndarray
    steps_per_day: float | None


def nab(folder: Path, *, official: bool) -> Iterator[Series]:
    """Yield each labelled series of the Numenta Anomaly Benchmark in `folder`.

    The training part is the first 15 %; with `official`, it is at most 750 steps, NAB's probation.
    """
    windows = json.loads((folder / "labels" / "combined_windows.json").read_text())
    for path in sorted((folder / "data").glob("*/*.csv")):
        labelled = windows.get(f"{path.parent.name}/{path.name}")
        if not labelled:
            continue
        with path.open() as file:
            rows = list(csv.DictReader(file))
        times = np.array([row["timestamp"] for row in rows], "datetime64[s]")
        values = np.array([[float(row["value"])] for row in rows])
        labels = labels_from_windows(times, labelled)
        cut = int(0.15 * len(values))
        cut = min(cut, PROBATION) if official else cut
        day = 86_400 / float(np.median(np.diff(times).astype(float)))
        yield Series(path.parent.name, path.stem, values[:cut], values[cut:], labels[cut:], day)


def smd(folder: Path) -> Iterator[Series]:
    """Yield the machines of the Server Machine Dataset in `folder`, with one step per minute."""
    for path in sorted(folder.glob("*_train.npy")):
        name = path.stem.removesuffix("_train")
        test, labels = (np.load(folder / f"{name}_{part}.npy") for part in ("test", "test_label"))
        yield Series("SMD", name, np.load(path), test, labels.astype(int), 1440)


def ecg5000(folder: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return normal training heartbeats (N, 140, 1), test heartbeats, and 1 for abnormal ones."""
    tables = []
    for part in ("TRAIN", "TEST"):
        path = folder / f"ECG5000_{part}.tsv"
        tables.append(np.loadtxt(path) if path.exists() else np.load(path.with_suffix(".npy")))
    train, test = tables
    normal = train[train[:, 0] == 1, 1:, None]
    return normal.astype(float), test[:, 1:, None].astype(float), (test[:, 0] != 1).astype(int)


def cmapss(folder: Path) -> list[np.ndarray]:
    """Return the 21 sensors of each engine of FD001 until its end: arrays (cycles, 21)."""
    table = np.loadtxt(folder / "train_FD001.txt")
    return [table[table[:, 0] == engine, 5:] for engine in np.unique(table[:, 0])]


def first_peak(series: np.ndarray, max_lag: int = 400) -> int:
    """Return the lag of the first autocorrelation peak of the first feature, or 64 without one."""
    x = series[:20_000, 0] - series[:20_000, 0].mean()
    if not x.any():
        return 64
    power = np.abs(np.fft.rfft(x, 2 * len(x))) ** 2
    correlation = np.fft.irfft(power)[: min(max_lag, len(x) // 2)]
    correlation /= correlation[0]
    inner = correlation[1:-1]
    peaks = np.flatnonzero((inner > correlation[:-2]) & (inner >= correlation[2:]) & (inner > 0.1))
    peaks = peaks[peaks + 1 > 3] + 1
    return int(peaks[0]) if len(peaks) else 64
