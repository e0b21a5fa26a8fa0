"""Find held-out sequences of `X` that occur in the rest of `X` too."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from unspool.data.convert import Source
from unspool.data.sequences import FloatArray, IntArray, Sequences
from unspool.data.windows import Windows

SAMPLE = 128  # held-out sequences that are searched for
PLACES = 16  # values of a sequence that are compared first
MIN_DISTINCT = 8  # different values in a sequence whose repetition is no coincidence
MAX_STEPS = 5_000_000  # steps of series in which windows are searched for
MAX_COMPARED = 10_000  # pairs of sequences that are compared in full
AT_ONCE = 1 << 16  # sequences whose keys are in memory


@dataclass(frozen=True)
class Copies:
    """How many of the `checked` held-out sequences have a copy among those to train on."""

    checked: int
    copied: int


def copies(source: Source, training: IntArray, held_out: IntArray) -> Copies:
    """Search for a sample of the held-out sequences among those to train on.

    Sequences are compared with other sequences, and windows with the steps of other series that
    are trained on. Sequences with few different values do not count, and sources that are not in
    memory are not searched.

    Examples
    --------
    >>> rows = np.random.default_rng(0).normal(size=(50, 12, 1))
    >>> twice = Sequences(np.concatenate([rows, rows]))
    >>> copies(twice, np.arange(90), np.arange(90, 100))
    Copies(checked=10, copied=10)
    >>> copies(twice, np.arange(45), np.arange(45, 50))
    Copies(checked=5, copied=0)
    """
    numbers = np.unique(np.linspace(0, len(held_out) - 1, SAMPLE).astype(np.int64))
    sample = held_out[numbers] if len(held_out) else held_out
    if source.blocks is not None or not len(sample) or not len(training):
        return Copies(len(sample), 0)
    if isinstance(source, Windows):
        return Copies(len(sample), _copied_windows(source, training, sample))
    assert isinstance(source, Sequences)
    return Copies(len(sample), _copied_sequences(source, training, sample))


def _copied_sequences(source: Sequences, training: IntArray, sample: IntArray) -> int:
    """Count the sequences of a sample that equal a sequence to train on."""
    keys = _keys_of_array if isinstance(source.values, np.ndarray) else _keys_of_each
    wanted: dict[bytes, list[int]] = {}
    for index, key in zip(sample.tolist(), keys(source, sample), strict=True):
        if _is_varied(source[index]):
            wanted.setdefault(key, []).append(index)
    found: set[int] = set()
    compared = 0
    for first in range(0, len(training), AT_ONCE):
        rows = training[first : first + AT_ONCE]
        for row, key in zip(rows.tolist(), keys(source, rows), strict=True):
            for index in wanted.get(key, ()):
                if index not in found and compared < MAX_COMPARED:
                    compared += 1
                    if np.array_equal(source[index], source[row], equal_nan=True):
                        found.add(index)
    return len(found)


def _keys_of_array(source: Sequences, indices: IntArray) -> list[bytes]:
    """Return a few values of each sequence and its length as a key, for an array of sequences."""
    _, steps, features = source.shape
    places = np.unique(np.linspace(0, steps * features - 1, PLACES).astype(np.int64))
    values = source.values[indices[:, None], places // features, places % features]
    exact = np.concatenate([_comparable(values), source.lengths_of(indices)[:, None]], axis=1)
    return [row.tobytes() for row in exact]


def _keys_of_each(source: Sequences, indices: IntArray) -> list[bytes]:
    """Return a few values of each sequence and its length as a key."""
    keys = []
    for index in indices.tolist():
        values = source[index].ravel()
        places = np.unique(np.linspace(0, max(0, len(values) - 1), PLACES).astype(np.int64))
        some = _comparable(values[places]) if len(values) else values
        keys.append(some.tobytes() + len(values).to_bytes(8))
    return keys


def _copied_windows(source: Windows, training: IntArray, sample: IntArray) -> int:
    """Count the windows of a sample that occur in another series, where it is trained on."""
    if len(source.series) < 2 or sum(map(len, source.series)) > MAX_STEPS:
        return 0
    owners, _ = source.place(sample)
    windows = {
        index: window
        for index, window in ((one, source[one]) for one in sample.tolist())
        if _is_varied(window)
    }
    if not windows:
        return 0
    by_first: dict[float, list[int]] = {}
    for index, window in windows.items():
        by_first.setdefault(float(window[0, 0]), []).append(index)
    firsts = np.array(list(by_first))
    owner_of = dict(zip(sample.tolist(), owners.tolist(), strict=True))
    trained_on = _trained_on(source, training)
    found: set[int] = set()
    compared = 0
    for number, series in enumerate(source.series):
        for start in np.flatnonzero(np.isin(series[:, 0], firsts)).tolist():
            for index in by_first[float(series[start, 0])]:
                if index in found or owner_of[index] == number:
                    continue
                if compared == MAX_COMPARED:
                    return len(found)
                compared += 1
                window = windows[index]
                places = start + np.arange(len(window)) * source.dilation
                if places[-1] >= len(series) or not trained_on[number][places].all():
                    continue
                if np.array_equal(series[places], window, equal_nan=True):
                    found.add(index)
    return len(found)


def _trained_on(source: Windows, training: IntArray) -> list[npt.NDArray[np.bool_]]:
    """Return for each series whether each step is in a window to train on."""
    owner, start = source.place(training)
    ends = np.cumsum([len(one) for one in source.series])
    before = np.append(0, ends[:-1])[owner]  # steps of the series before that of each window
    changes = np.zeros(ends[-1] + 1, np.int64)
    np.add.at(changes, before + start, 1)
    np.add.at(changes, before + source.ends_of(training), -1)
    return np.split(np.cumsum(changes)[:-1] > 0, ends[:-1])


def _is_varied(sequence: FloatArray) -> bool:
    """Return whether a sequence has so many different values that a copy is no coincidence."""
    return len(np.unique(sequence)) >= MIN_DISTINCT


def _comparable(values: FloatArray) -> FloatArray:
    """Return float64 whose bytes are equal if the values are: one NaN, and 0.0 for -0.0."""
    exact = values.astype(np.float64)
    return np.where(np.isnan(exact), np.inf, exact) + 0.0
