"""Find sequences that were cut from one series and overlap, by exact equality of their steps."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from unspool.data.convert import Source
from unspool.data.sequences import FloatArray, Sequences
from unspool.data.windows import Windows

PAIRS = 32  # neighbouring rows that are compared
ENOUGH = 0.9  # share of them that must have the same shift
MAX_SHIFTS = 100  # of a pair, that are tried where many steps are equal
MIN_ROWS = 9  # fewer rows are no evidence
MIN_DISTINCT = 4  # different steps in an overlap that is no coincidence
SAMPLE = 128  # validation sequences that are searched for in the training data
MAX_COMPARED = 10_000  # pairs of sequences
MAX_BLOCKS = 64  # of training data that are not in memory, in which they are searched for


def window_shift(source: Source) -> int | None:
    """Return by how many steps each row is shifted from the row before, if rows overlap.

    Rows count as windows of one series if 9 of 10 neighbours have the same shift. Rows that repeat
    (constant or periodic data) do not count. For rows of one step, the features are the steps.

    Parameters
    ----------
    source : Sequences or Windows
        `Windows` know their series, so their result is None.

    Examples
    --------
    >>> series = np.random.default_rng(0).normal(size=100)
    >>> rows = np.lib.stride_tricks.sliding_window_view(series, 8)
    >>> window_shift(Sequences(rows[:, :, None])), window_shift(Sequences(rows[::5, :, None]))
    (1, 5)
    """
    if isinstance(source, Windows):
        return None
    n, steps, _ = source.shape
    if n < MIN_ROWS or source.min_length != steps:
        return None
    numbers = np.unique(np.linspace(0, n - 2, PAIRS).astype(np.int64))
    rows, after = _features_as_steps(source[numbers]), _features_as_steps(source[numbers + 1])
    if rows.max_length < 3:
        return None
    first, second = (_comparable(one.take(np.arange(len(one)))[0]) for one in (rows, after))
    if len(np.unique(first.reshape(len(first), -1), axis=0)) < ENOUGH * len(first):
        return None
    shifts = [_shift(one, other) for one, other in zip(first, second, strict=True)]
    shift, count = Counter(shifts).most_common(1)[0]
    return abs(shift) if shift and count >= ENOUGH * len(shifts) else None


def _shift(one: FloatArray, other: FloatArray) -> int:
    """Return by how many steps `other` begins after `one` (before it, if negative), or 0."""
    for earlier, later, sign in ((one, other, 1), (other, one, -1)):
        begins = (earlier[1:-1] == later[0]).all(axis=1) & (earlier[2:] == later[1]).all(axis=1)
        ends = (later[-2:0:-1] == earlier[-1]).all(axis=1)
        for start in np.flatnonzero(begins & ends)[:MAX_SHIFTS] + 1:
            if _is_overlap(earlier[start:], later[: len(earlier) - start]):
                return sign * int(start)
    return 0


def _is_overlap(end: FloatArray, start: FloatArray) -> bool:
    """Return whether the end of one row is the start of another, and not by coincidence."""
    if len(end) < 2 or not np.array_equal(end, start):
        return False
    return len(np.unique(end, axis=0)) >= min(MIN_DISTINCT, len(end))


@dataclass(frozen=True)
class Shared:
    """How many of the `checked` validation sequences occur in, or overlap, the training data."""

    checked: int
    equal: int
    overlapping: int


def shared(training: Source, validation: Source) -> Shared:
    """Search for a sample of the validation sequences in the training data.

    Equal sequences count only if they are clearly more than those that the training data repeat
    themselves. Overlaps count only if most sequences begin with different steps.

    Examples
    --------
    >>> series = np.random.default_rng(0).normal(size=100)
    >>> rows = Sequences(np.lib.stride_tricks.sliding_window_view(series, 8)[:, :, None])
    >>> shared(rows[:80], rows[80:])
    Shared(checked=13, equal=0, overlapping=6)
    >>> shared(rows[:80], rows[70:80])
    Shared(checked=10, equal=10, overlapping=0)
    """
    numbers = np.unique(np.linspace(0, len(validation) - 1, SAMPLE).astype(np.int64))
    chosen = _features_as_steps(validation[numbers])
    sample = [_comparable(chosen[i]) for i in range(len(chosen))]
    sample = [one for one in sample if len(one)]
    checked = len(sample)
    if not checked or not len(training):
        return Shared(checked, 0, 0)
    equal = overlapping = 0
    for part in _parts(training):
        of_part, sample = _equal(part, sample, checked)
        equal += of_part
        found = _overlapping(part, sample)
        overlapping += len(found)
        sample = [one for i, one in enumerate(sample) if i not in found]
    return Shared(checked, equal, overlapping)


def _parts(training: Source) -> Iterator[Source]:
    """Yield the training data; if they are not in memory, up to `MAX_BLOCKS` blocks of them."""
    if training.blocks is None:
        yield _features_as_steps(training)
        return
    runs = list(pairwise(training.blocks.tolist()))
    for number in np.unique(np.linspace(0, len(runs) - 1, MAX_BLOCKS).astype(np.int64)).tolist():
        yield _features_as_steps(training.load(*runs[number]))


def _equal(
    training: Source, sample: list[FloatArray], checked: int
) -> tuple[int, list[FloatArray]]:
    """Return how many sequences of a sample equal a training sequence, and the others."""
    if not isinstance(training, Sequences):
        return 0, sample
    distinct = {_hash(training[i]) for i in range(len(training))}
    repeated = 1 - len(distinct) / len(training)
    left = [one for one in sample if _hash(one) not in distinct]
    equal = len(sample) - len(left)
    return (0, sample) if equal <= (2 * repeated + 0.01) * checked else (equal, left)


def _overlapping(training: Source, sample: list[FloatArray]) -> set[int]:
    """Return indices of sequences of a sample that overlap a training sequence.

    If two sequences overlap, one contains the first step of the other, or its last step. The
    training sequences that begin or end with a step of the sample are compared in full.
    """
    starts = _keys_of_ends(training, first=True)
    if len(set(starts)) < len(starts) / 2:
        return set()
    places: dict[bytes, list[tuple[int, int]]] = {}
    longest = max(map(len, sample), default=0)  # as many windows of a series share a step
    for i, one in enumerate(sample):
        for step, key in enumerate(_keys(one)):
            known = places.setdefault(key, [])
            if len(known) < longest:
                known.append((i, step))
    found: set[int] = set()
    compared = 0
    for i, step, row, begins in _hits(places, training, starts):
        if i in found:
            continue
        one, other = sample[i], _comparable(training[row])
        if begins:
            end = one[step : step + len(other)]
            same = _is_overlap(end, other[: len(end)])
        else:
            start = one[max(0, step + 1 - len(other)) : step + 1]
            same = _is_overlap(other[len(other) - len(start) :], start)
        if same:
            found.add(i)
        compared += 1
        if compared == MAX_COMPARED:
            break
    return found


def _hits(
    places: dict[bytes, list[tuple[int, int]]], training: Source, starts: list[bytes]
) -> Iterator[tuple[int, int, int, bool]]:
    """Yield number and step of a sequence of the sample, and the row that begins or ends there."""
    for begins, keys in ((True, starts), (False, _keys_of_ends(training, first=False))):
        for row, key in enumerate(keys):
            for i, step in places.get(key, ()):
                yield i, step, row, begins


def _keys_of_ends(source: Source, *, first: bool) -> list[bytes]:
    """Return a key for the first or the last step of each sequence."""
    everything = np.arange(len(source))
    if isinstance(source, Windows):
        owner, start = source.place(everything)
        last = source.ends_of(everything) - 1
        ends = np.empty((len(source), source.n_features))
        for number in np.unique(owner):
            of_series = owner == number
            steps = (start if first else last)[of_series]
            ends[of_series] = source.series[number][steps]
    else:
        last = np.maximum(source.lengths_of(everything) - 1, 0)
        ends = source.values[everything, 0 if first else last]
    return _keys(ends)


def _keys(steps: FloatArray) -> list[bytes]:
    """Return a key for each of some steps (N, F), the same for equal steps."""
    exact = _normal(steps)
    keys: list[bytes] = exact.view(f"V{exact.itemsize * exact.shape[1]}")[:, 0].tolist()
    return keys


def _hash(sequence: FloatArray) -> int:
    """Return a number that is the same for equal sequences."""
    return hash(_normal(sequence).tobytes())


def _normal(values: FloatArray) -> FloatArray:
    """Return values whose bytes are equal if they are: float64, and 0.0 for -0.0."""
    return _comparable(np.ascontiguousarray(values, np.float64)) + 0.0


def _comparable(values: FloatArray) -> FloatArray:
    """Return values in which missing ones equal each other: infinity, which no data contain."""
    return np.where(np.isnan(values), np.inf, values).astype(values.dtype, copy=False)


def _features_as_steps(source: Source) -> Source:
    """Return rows of a table, which have one step, as sequences of one feature."""
    if isinstance(source, Sequences) and source.max_length == 1 and source.n_features > 1:
        lengths = np.full(len(source), source.n_features)
        values = source.values[:, :1].transpose(0, 2, 1)
        return Sequences(values, lengths, missing="mask")
    return source
