"""The sets: series with a part to train on and labels of what comes after; ECG5000; C-MAPSS."""

import csv
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from unspool.evaluation import labels_from_windows

PROBATION = 750  # steps that NAB trains on at most
DEGRADES = 130  # cycles before the end in which an engine wears out, as published work has it
HEALTHY = 60  # first cycles of an engine of C-MAPSS, long before its end


@dataclass(frozen=True)
class Series:
    """A series to train on and to test on.

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
    """Each labelled series of the Numenta Anomaly Benchmark in `folder`.

    The first 15 % are to train on, with `official` at most 750 steps, which is NAB's probation.
    """
    windows = json.loads((folder / "labels" / "combined_windows.json").read_text())
    for path in sorted((folder / "data").glob("*/*.csv")):
        own = windows.get(f"{path.parent.name}/{path.name}")
        if not own:
            continue
        with path.open() as file:
            rows = list(csv.DictReader(file))
        times = np.array([row["timestamp"] for row in rows], "datetime64[s]")
        values = np.array([[float(row["value"])] for row in rows])
        labels = labels_from_windows(times, own)
        cut = int(0.15 * len(values))
        cut = min(cut, PROBATION) if official else cut
        day = 86_400 / float(np.median(np.diff(times).astype(float)))
        yield Series(path.parent.name, path.stem, values[:cut], values[cut:], labels[cut:], day)


def smd(folder: Path) -> Iterator[Series]:
    """The machines of the Server Machine Dataset in `folder`, a step a minute."""
    for path in sorted(folder.glob("*_train.npy")):
        name = path.stem.removesuffix("_train")
        test, labels = (np.load(folder / f"{name}_{part}.npy") for part in ("test", "test_label"))
        yield Series("SMD", name, np.load(path), test, labels.astype(int), 1440)


def ecg5000(folder: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Normal heartbeats to train on (N, 140, 1), those to test on, and 1 where one is abnormal."""
    tables = []
    for part in ("TRAIN", "TEST"):
        path = folder / f"ECG5000_{part}.tsv"
        tables.append(np.loadtxt(path) if path.exists() else np.load(path.with_suffix(".npy")))
    train, test = tables
    normal = train[train[:, 0] == 1, 1:, None]
    return normal.astype(float), test[:, 1:, None].astype(float), (test[:, 0] != 1).astype(int)


def cmapss(folder: Path) -> list[np.ndarray]:
    """The 21 sensors of each engine of FD001, run to its end: arrays (cycles, 21)."""
    table = np.loadtxt(folder / "train_FD001.txt")
    return [table[table[:, 0] == engine, 5:] for engine in np.unique(table[:, 0])]


def first_peak(series: np.ndarray, most: int = 400) -> int:
    """The lag of the first peak of the autocorrelation of the first feature, or 64 without one."""
    x = series[:20_000, 0] - series[:20_000, 0].mean()
    if not x.any():
        return 64
    power = np.abs(np.fft.rfft(x, 2 * len(x))) ** 2
    correlation = np.fft.irfft(power)[: min(most, len(x) // 2)]
    correlation /= correlation[0]
    inner = correlation[1:-1]
    peaks = np.flatnonzero((inner > correlation[:-2]) & (inner >= correlation[2:]) & (inner > 0.1))
    peaks = peaks[peaks + 1 > 3] + 1
    return int(peaks[0]) if len(peaks) else 64
