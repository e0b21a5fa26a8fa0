"""Which sequences share a batch, and in what order batches follow each other."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from unspool.data.sequences import IntArray

MAX_PADDING = 0.75  # share of padding in mixed batches above which batches have similar lengths
MAX_PADDING_IN_ORDER = 0.5  # the same for batches without gradients, where nothing else changes
BUCKET_PADDING = 0.1  # share of padding that the ranges of lengths are chosen for
MORE_BATCHES = 0.25  # share of batches that the ranges may add, because the last ones are smaller
BATCH_STEPS = 1 << 18  # maximum number of steps, with padding, of a batch of similar lengths
LENGTH_RATIO = 1.1  # lengths that differ by less are not separated


def stratified_batches(
    n: int, batches: int, size: int, rng: np.random.Generator
) -> Iterator[IntArray]:
    """Distribute 0 … n-1 over batches of at most `size`, each of which is spread over the range.

    If the batches are too small for all, a sample is distributed (see `sample`).

    Examples
    --------
    >>> batches = list(stratified_batches(7, 3, 3, np.random.default_rng(0)))
    >>> sorted(len(batch) for batch in batches)
    [2, 2, 3]
    """
    drawn = sample(np.arange(n), batches * size, rng)
    runs = -(-len(drawn) // batches)
    table = np.arange(runs * batches).reshape(runs, batches)
    for column in rng.permuted(table, axis=1).T:
        yield drawn[column[column < len(drawn)]]


def sample(indices: IntArray, count: int, rng: np.random.Generator) -> IntArray:
    """Draw `count` of `indices`, one of each of `count` equal parts; return all if they are fewer.

    Examples
    --------
    >>> sample(np.arange(100), 4, np.random.default_rng(0)) // 25
    array([0, 1, 2, 3])
    """
    if count >= len(indices):
        return indices
    edges = np.linspace(0, len(indices), count + 1).astype(np.int64)
    return indices[rng.integers(edges[:-1], edges[1:])]


class MixedOrder:
    """Shuffled batches of sequences of all lengths; see `stratified_batches`.

    Parameters
    ----------
    n : int
        Number of sequences.
    size : int
        Maximum batch size.
    steps : int, optional
        Maximum number of batches of an epoch. Default: no limit.
    """

    note = ""  # nothing to say of these batches

    def __init__(self, n: int, size: int, steps: int | None = None) -> None:
        self.n, self.size, self.batches = n, size, -(-n // size)
        if steps is not None:
            self.batches = min(steps, self.batches)

    def __len__(self) -> int:
        return self.batches

    def epoch(self, rng: np.random.Generator) -> Iterator[IntArray]:
        """Yield the positions of the sequences of each batch of an epoch."""
        return stratified_batches(self.n, self.batches, self.size, rng)


class LengthOrder:
    """Shuffled batches of sequences of similar lengths, in random order.

    Lengths are divided into the fewest ranges for which at most a tenth of the steps of an epoch is
    padding, in expectation, or into as many as add a quarter to the number of batches. Within a
    range, batches are those of `stratified_batches`.

    A range of few sequences has smaller batches. No batch has more than `BATCH_STEPS` steps with
    padding, unless a single sequence has, because the memory of training is proportional to them.

    Parameters
    ----------
    lengths : array of int, shape (N,)
        Number of steps of each sequence.
    size : int
        Maximum batch size.
    steps : int, optional
        Maximum number of batches of an epoch. If there are more, every epoch uses a fresh sample of
        them from all ranges. Default: no limit.

    Attributes
    ----------
    ranges : list of Range
        The sequences of each range of lengths, from the shortest.
    padding, mixed_padding : float
        Expected share of padding in the steps of these batches, and in those of `MixedOrder`.
    """

    def __init__(self, lengths: IntArray, size: int, steps: int | None = None) -> None:
        self.size, self.shortest, self.longest = size, int(lengths.min()), int(lengths.max())
        self.mixed_padding = mixed_padding(lengths, size)
        ends = divide(lengths, size)
        numbers = np.searchsorted(ends, lengths)  # of the range of each sequence
        self.ranges = [
            Range.of(np.flatnonzero(numbers == number), longest, size)
            for number, longest in enumerate(ends)
        ]
        padded = sum(
            expected_steps(*np.unique(lengths[one.members], return_counts=True), one.batches)
            for one in self.ranges
        )
        self.padding = 1 - float(lengths.sum()) / max(1.0, padded)
        self.batches = sum(one.batches for one in self.ranges)
        if steps is not None:
            self.batches = min(steps, self.batches)

    def __len__(self) -> int:
        return self.batches

    def epoch(self, rng: np.random.Generator) -> Iterator[IntArray]:
        """Yield the positions of the sequences of each batch of an epoch."""
        batches = [
            one.members[positions]
            for one in self.ranges
            for positions in stratified_batches(len(one.members), one.batches, one.limit, rng)
        ]
        for number in rng.permutation(sample(np.arange(len(batches)), self.batches, rng)):
            yield batches[number]

    @property
    def note(self) -> str:
        """The lengths of the sequences, and the share of padding."""
        return (
            f"sequences have {self.shortest:,} to {self.longest:,} steps; batches of similar "
            f"lengths, {self.padding:.0%} padding instead of {self.mixed_padding:.0%}"
        )


@dataclass(frozen=True)
class Range:
    """Sequences of similar lengths: their positions, and the maximum size of their batches."""

    members: IntArray
    limit: int

    @classmethod
    def of(cls, members: IntArray, longest: int, size: int) -> "Range":
        """Return a range whose batches have at most `size` sequences, and `BATCH_STEPS` steps."""
        return cls(members, max(1, min(size, BATCH_STEPS // max(1, longest))))

    @property
    def batches(self) -> int:
        """Number of batches of an epoch."""
        return -(-len(self.members) // self.limit)


Order = MixedOrder | LengthOrder


def order_of(lengths: IntArray | None, n: int, size: int, steps: int | None = None) -> Order:
    """Return the order of shuffled batches of `n` sequences.

    Batches have similar lengths if, in batches of all lengths, more than three quarters of the
    steps would be padding, and if there are several batches, or one with more than `BATCH_STEPS`
    steps.

    Parameters
    ----------
    lengths : array of int, shape (N,), optional
        Number of steps of each sequence. Default: all have the same number.
    n, size, steps
        See `MixedOrder`.
    """
    if lengths is not None and n:
        several = n > size or n * int(lengths.max()) > BATCH_STEPS
        if several and mixed_padding(lengths, size) > MAX_PADDING:
            by_length = LengthOrder(lengths, size, steps)
            if len(by_length.ranges) > 1:
                return by_length
    return MixedOrder(n, size, steps)


def mixed_padding(lengths: IntArray, size: int) -> float:
    """Return the expected share of padding in batches whose sequences are drawn independently.

    Examples
    --------
    >>> round(mixed_padding(np.array([10] * 99 + [1000]), 10), 2)
    0.81
    """
    values, counts = np.unique(lengths, return_counts=True)
    padded = expected_steps(values, counts, -(-len(lengths) // size))
    return 1 - float(lengths.sum()) / max(1.0, padded)


def expected_steps(lengths: IntArray, counts: IntArray, batches: int) -> float:
    """Return the expected number of steps, with padding, of all sequences in some batches.

    Parameters
    ----------
    lengths : array of int, shape (C,)
        The lengths that occur, in ascending order.
    counts : array of int, shape (C,)
        Number of sequences of each of these lengths.
    batches : int
        Number of batches of equal size, in which the sequences are random.
    """
    n = counts.sum()
    if batches == 1:
        return float(n * lengths[-1])
    below = (np.cumsum(counts) / n) ** (n / batches)  # probability that a batch is no longer
    return float(n * (lengths * np.diff(below, prepend=0.0)).sum())


def divide(lengths: IntArray, size: int) -> list[int]:
    """Divide lengths into ranges for batches of at most `size`, as `LengthOrder` describes.

    Returns
    -------
    list of int
        The longest length of each range, in ascending order.
    """
    values, counts = classes_of(lengths)
    n, positions = len(values), np.append(0, np.cumsum(counts))
    padded = np.full((n, n), np.inf)  # steps of a range from class i to class j
    for i in range(n):
        for j in range(i, n):
            members = int(positions[j + 1] - positions[i])
            batches = -(-members // size)
            padded[i, j] = expected_steps(values[i : j + 1], counts[i : j + 1], batches)
    # `best[j]` is the number of steps of all classes up to j in the best ranges so far, of which
    # the last one starts at `starts[-1][j]`. Each round allows one range more.
    best, starts = padded[0], [np.zeros(n, np.int64)]
    most = 1 + max(1, int(MORE_BATCHES * len(lengths) / size))  # a range adds at most one batch
    while len(starts) < min(most, n) and lengths.sum() < (1 - BUCKET_PADDING) * best[-1]:
        steps = np.append(np.inf, best[:-1])[:, None] + padded
        starts.append(steps.argmin(axis=0))
        best = steps.min(axis=0)
    ends, last = [], n - 1
    for begins in reversed(starts):
        ends.append(int(values[last]))
        last = int(begins[last]) - 1
    return ends[::-1]


def classes_of(lengths: IntArray) -> tuple[IntArray, IntArray]:
    """Return the longest length of each class of similar lengths, and the number in each class.

    Examples
    --------
    >>> classes_of(np.array([100, 101, 102, 200, 400]))
    (array([102, 200, 400]), array([3, 1, 1]))
    """
    values, counts = np.unique(lengths, return_counts=True)
    grid = np.floor(np.log(np.maximum(values, 1)) / np.log(LENGTH_RATIO))
    last = np.flatnonzero(np.append(np.diff(grid) > 0, True))
    return values[last], np.diff(np.cumsum(counts)[last], prepend=0)


def batches_by_length(lengths: IntArray, sizes: Callable[[IntArray], IntArray]) -> list[IntArray]:
    """Divide sequences, from the shortest to the longest, into the largest batches allowed.

    Parameters
    ----------
    lengths : array of int, shape (N,)
        Number of steps of each sequence.
    sizes : callable
        Returns the maximum sizes, of at least 1, of batches whose longest sequences have these
        numbers of steps.

    Returns
    -------
    list of int arrays
        Positions of the sequences of each batch.

    Examples
    --------
    >>> batches_by_length(np.array([9, 2, 2, 3]), lambda longest: np.maximum(1, 9 // longest))
    [array([1, 2, 3]), array([0])]
    """
    order = np.argsort(lengths, kind="stable")
    # A batch from `start` to the sequence at `i` is allowed if `i - sizes[i] < start`.
    reach = np.arange(len(order)) - sizes(lengths[order])
    batches, start = [], 0
    while start < len(order):
        end = max(start + 1, int(np.searchsorted(reach, start, side="left")))
        batches.append(order[start:end])
        start = end
    return batches
