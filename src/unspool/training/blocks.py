"""Shuffled batches of sequences that are read from a file in blocks of neighbours."""

from collections.abc import Iterator

import numpy as np

from unspool.data.convert import Source
from unspool.data.futures import Futures
from unspool.data.sequences import FloatArray, IntArray
from unspool.data.windows import Windows
from unspool.training.orders import LengthOrder, order_of, sample, stratified_batches

Taken = tuple[FloatArray, IntArray, FloatArray | None]  # values, lengths, and futures if any
POOL_VALUES = 1 << 25  # maximum number of values of a pool, 256 MiB in float64
# Batches are read from the blocks in groups, because a block has little of each: at most this
# number of values with padding, and of batches.
GROUP_VALUES, MAX_GROUP = 1 << 21, 64
KEPT_VALUES = 1 << 24  # maximum number of values, with padding, that are read once and kept


class BlockOrder:
    """Shuffled batches of sequences of which a part is in memory at a time.

    An epoch takes the blocks in random order, and reads as many as `POOL_VALUES` allow into a pool.
    The batches of a pool are spread over it (`stratified_batches`). Sequences that do not fill a
    batch are used with the next pool, so all batches except the last are full. If more than
    three quarters of the steps would be padding, batches have similar lengths (`LengthOrder`).

    With a limit of `steps`, an epoch reads the pools that it needs, usually one, and uses a sample
    spread over them.

    Parameters
    ----------
    blocks : Blocks
        The blocks, which are read when the first of their sequences is taken.
    indices : array of shape (N,)
        Indices of the sequences to use, in ascending order.
    size : int
        Maximum batch size.
    steps : int, optional
        Maximum number of batches of an epoch. Default: no limit.
    """

    def __init__(
        self, blocks: "Blocks", indices: IntArray, size: int, steps: int | None = None
    ) -> None:
        self.blocks, self.indices = blocks, indices
        source, n = blocks.source, len(indices)
        ragged = source.min_length < source.max_length
        within = order_of(source.lengths_of(indices) if ragged else None, n, size)
        self.by_length = within if isinstance(within, LengthOrder) else None
        self.limits = [size]  # maximum batch size of each range of lengths
        counts = [n]
        if self.by_length is not None:
            self.limits = [one.limit for one in self.by_length.ranges]
            counts = [len(one.members) for one in self.by_length.ranges]
        self.edges = np.searchsorted(indices, blocks.edges)  # edges of the blocks in `indices`
        self.numbers = np.flatnonzero(np.diff(self.edges))  # blocks of which sequences are used
        limits = zip(counts, self.limits, strict=True)
        self.batches = sum(-(-count // limit) for count, limit in limits)
        if steps is not None:
            self.batches = min(steps, self.batches)

    def __len__(self) -> int:
        return self.batches

    @property
    def note(self) -> str:
        """How batches are made, if they have similar lengths; otherwise ""."""
        return "" if self.by_length is None else self.by_length.note

    def epoch(self, rng: np.random.Generator) -> Iterator[IntArray]:
        """Yield the positions of the sequences of each batch of an epoch."""
        missing = len(self)  # number of batches that are still to be made
        left: list[IntArray] = [np.zeros(0, np.int64) for _ in self.limits]
        kept: IntArray = np.zeros(0, np.int64)  # the block of most of the sequences that are left
        pools = self.pools(rng)
        for number, pool in enumerate(pools, 1):
            self.blocks.hold(np.append(kept, pool))
            kept, batches = pool[-1:], []
            for one, limit in enumerate(self.limits):
                members = [self._members(block, one) for block in pool.tolist()]
                last = number == len(pools)
                some, left[one] = _divided(left[one], members, limit, rng, last=last)
                batches += some
            chosen = rng.permutation(sample(np.arange(len(batches)), missing, rng))
            yield from self._read_together([batches[i] for i in chosen])
            missing -= min(missing, len(batches))
            if not missing:
                return

    def pools(self, rng: np.random.Generator) -> list[IntArray]:
        """Return the numbers of the blocks in random order, divided into pools."""
        order = rng.permutation(self.numbers)
        values = self.blocks.values[order]
        pools, start = [], 0
        while start < len(order):
            count = int(np.searchsorted(np.cumsum(values[start:]), POOL_VALUES, side="right"))
            pools.append(order[start : start + max(1, count)])
            start += max(1, count)
        return pools

    def _read_together(self, batches: list[IntArray]) -> Iterator[IntArray]:
        """Yield batches, after groups of them have been announced to `blocks`."""
        source = self.blocks.source
        lengths = np.array([source.lengths_of(self.indices[one]).max() for one in batches])
        counts = np.array(list(map(len, batches)))
        start = 0
        while start < len(batches):
            longest = np.maximum.accumulate(lengths[start : start + MAX_GROUP])
            padded = np.cumsum(counts[start : start + MAX_GROUP]) * longest * source.n_features
            group = batches[start : start + max(1, int((padded <= GROUP_VALUES).sum()))]
            self.blocks.announce(self.indices[np.concatenate(group)])
            yield from group
            start += len(group)

    def _members(self, block: int, number: int) -> IntArray:
        """Return the positions of the sequences of a block in a range of lengths."""
        first, end = self.edges[block : block + 2]
        if self.by_length is None:
            return np.arange(first, end)
        members = self.by_length.ranges[number].members
        return members[slice(*np.searchsorted(members, [first, end]))]


def _divided(
    left: IntArray, members: list[IntArray], size: int, rng: np.random.Generator, *, last: bool
) -> tuple[list[IntArray], IntArray]:
    """Return batches of `size` of the sequences of a pool, and the sequences that fill no batch.

    Parameters
    ----------
    left : array of int
        Positions of sequences of the pool before.
    members : list of arrays of int
        Positions of the sequences of each block of the pool. Those that are left are of the last
        block, if it has enough, so that few blocks are read twice.
    size : int
        Maximum batch size.
    rng : numpy.random.Generator
    last : bool
        Whether the last batch may be smaller, so that no sequence is left.
    """
    everything = np.concatenate([left, *members[:-1], rng.permutation(members[-1])])
    batches = -(-len(everything) // size) if last else len(everything) // size
    used = np.sort(everything[: batches * size])
    if not batches:
        return [], everything
    divided = stratified_batches(len(used), batches, size, rng)
    return [used[positions] for positions in divided], everything[batches * size :]


class Blocks:
    """Reads sequences of a source in blocks, and keeps some of them in memory.

    Parameters
    ----------
    source : Sequences, Windows or Futures
        Sequences that are not in memory; `load` reads a block.
    edges : array of int
        First sequence of each block, and the number of all sequences.
    """

    def __init__(self, source: Source | Futures, edges: IntArray) -> None:
        self.source, self.edges = source, edges
        self.values = _sizes(source, self.edges)  # number of values of each block
        self.held: dict[int, Source | Futures | None] = {}
        self.announced: IntArray = np.zeros(0, np.int64)
        self.group: Taken | None = None  # the sequences that were announced, if they were read

    def of(self, indices: IntArray) -> IntArray:
        """Return the numbers of the blocks of the sequences at `indices`."""
        return np.searchsorted(self.edges, indices, side="right") - 1

    def hold(self, numbers: IntArray) -> None:
        """Keep these blocks, and no others, in memory from the time when they are first used."""
        self.held = {int(number): self.held.get(int(number)) for number in numbers}

    def announce(self, indices: IntArray) -> None:
        """Read these sequences together, as soon as some of them are taken in this order."""
        self.announced, self.group = indices, None

    def take(self, indices: IntArray) -> Taken:
        """Return values, lengths, and the future if the source has one."""
        first = np.flatnonzero(self.announced == indices[0])[:1]
        rows = slice(int(first[0]), int(first[0]) + len(indices)) if len(first) else slice(0)
        if not np.array_equal(self.announced[rows], indices):
            return self._read(indices)
        if self.group is None:
            self.group = self._read(self.announced)
        values, lengths, future = self.group
        lengths = lengths[rows]
        values = values[rows, : lengths.max(initial=0)]
        return values, lengths, None if future is None else future[rows]

    def _read(self, indices: IntArray) -> Taken:
        """Return sequences from the blocks that have them."""
        owner = self.of(indices)
        parts = []
        for number in np.unique(owner).tolist():
            rows = np.flatnonzero(owner == number)
            parts.append((rows, *self._taken(number, indices[rows])))
        lengths = np.empty(len(indices), np.int64)
        for rows, _, of_rows, _ in parts:
            lengths[rows] = of_rows
        shape = len(indices), int(lengths.max(initial=0)), self.source.n_features
        values = np.zeros(shape, np.result_type(*(one.dtype for _, one, _, _ in parts)))
        future = None
        for rows, some, _, ahead in parts:
            values[rows, : some.shape[1]] = some
            if ahead is not None:
                if future is None:
                    future = np.empty((len(indices), *ahead.shape[1:]), ahead.dtype)
                future[rows] = ahead
        return values, lengths, future

    def _taken(self, number: int, indices: IntArray) -> Taken:
        """Return sequences of a block, from memory if the block is held."""
        if number not in self.held:
            return take(self.source, indices)
        block = self.held[number]
        if block is None:
            first, end = self.edges[number : number + 2].tolist()
            block = self.held[number] = self.source.load(first, end)
        return take(block, indices - int(self.edges[number]))


class Kept:
    """Reads sequences of a source that is not in memory together, once, and keeps them.

    Parameters
    ----------
    source : Sequences, Windows or Futures
        The source.
    indices : array of int
        Indices of the sequences.
    """

    def __init__(self, source: Source | Futures, indices: IntArray) -> None:
        self.source, self.indices = source, np.unique(indices)
        self.taken: Taken | None = None  # what was read, when it is first used

    @staticmethod
    def fits(source: Source | Futures, indices: IntArray) -> bool:
        """Return whether the sequences have at most `KEPT_VALUES` values with padding."""
        longest = int(source.lengths_of(indices).max(initial=0))
        return len(indices) * longest * source.n_features <= KEPT_VALUES

    def take(self, indices: IntArray) -> Taken:
        """Return values, lengths, and the future if the source has one."""
        if self.taken is None:
            self.taken = take(self.source, self.indices)
        rows = np.searchsorted(self.indices, indices)
        values, lengths, future = self.taken
        lengths = lengths[rows]
        values = values[rows, : lengths.max(initial=0)]
        return values, lengths, None if future is None else future[rows]


def take(source: Source | Futures, indices: IntArray) -> Taken:
    """Return values, lengths, and the future if `source` has one."""
    if isinstance(source, Futures):
        return source.take_with_future(indices)
    return *source.take(indices), None


def _sizes(source: Source | Futures, edges: IntArray) -> IntArray:
    """Return the number of values of each block, about as many as it has in memory."""
    whole = source.source if isinstance(source, Futures) else source
    if isinstance(whole, Windows):
        owner, start = whole.place(edges[:-1])
        last, _ = whole.place(edges[1:] - 1)
        steps = whole.ends_of(edges[1:] - 1) - start
        steps = np.where(owner == last, steps, np.diff(edges) * whole.max_length)
    else:
        ends = np.append(0, np.cumsum(whole.lengths_of(np.arange(len(whole)))))
        steps = np.diff(ends[edges])
    sizes: IntArray = steps * whole.n_features
    return sizes
