"""What the stages of a program (`unspool.lstm.fused`) write, and the gradients of it."""

from collections import Counter
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from unspool.errors import InputError
from unspool.lstm import memory
from unspool.lstm.fused import CopyStage, DenseStage, LossStage, LSTMStage, MaskStage, Stages

Array = npt.NDArray[Any]
BLOCK_FROM = 1 << 14  # arrays of at least this many values are aligned and reused (`memory.block`)


class PerTile(NamedTuple):
    """The address of an array that each set of buffers has, and the bytes from one to the next."""

    address: int
    between: int


class Vector(NamedTuple):
    """An array (B, width) of the whole batch, and its gradients, one for each reader of a group."""

    width: int
    values: Array
    gradients: list[int]

    @property
    def address(self) -> int:
        """Where the first value is."""
        return int(self.values.ctypes.data)


class StatesOfTile(NamedTuple):
    """Sequences of one tile, ``[step][lane][unit]``, and their gradients."""

    width: int
    steps: int
    address: PerTile
    gradients: list[PerTile]


class Memory:
    """Arrays that the kernels read and write, allocated for a program.

    Parameters
    ----------
    kind : type
        float32 or float64 of NumPy.
    lanes, size : int
        Number of sequences of a tile, and number of values of a vector register.
    sets : int
        Number of tiles that are computed at the same time.
    """

    def __init__(self, kind: type, lanes: int, size: int, sets: int) -> None:
        self.kind, self.lanes, self.size, self.sets = kind, lanes, size, sets
        self.itemsize = np.dtype(kind).itemsize
        self.bytes = 0
        self._kept: list[Array] = []

    def new(self, *shape: int) -> Array:
        """Return an array without initial values, which is kept as long as this object.

        The kernels read whole vectors: it has the lanes of a tile more.
        """
        count = int(np.prod(shape)) + 2 * self.lanes
        array = allocate(count, self.kind)
        self.bytes += array.nbytes
        self._kept.append(array)
        return array[: count - 2 * self.lanes].reshape(shape)

    def address(self, *shape: int) -> int:
        """Allocate an array, and return its address."""
        return int(self.new(*shape).ctypes.data)

    def per_tile(self, count: int) -> PerTile:
        """Allocate an array of `count` values for each set of buffers."""
        whole = -(-count // self.size) * self.size + self.lanes * self.size
        return PerTile(self.address(self.sets, whole), whole * self.itemsize)


def allocate(count: int, kind: type) -> Array:
    """Return an uninitialised array of `count` values."""
    return np.empty(count, kind) if count < BLOCK_FROM else memory.block(count, kind)


class Names:
    """The sequences and the vectors that the stages of a program write and read by name.

    Parameters
    ----------
    stages : sequence of stages
        The program.
    batch : int
        Batch size, B.
    room : Memory
        Where they are allocated.
    gradients : bool
        Whether they have gradients.

    Raises
    ------
    InputError
        If more than two stages side by side read the same name.
    """

    def __init__(self, stages: Stages, batch: int, room: Memory, *, gradients: bool) -> None:
        self.vectors: dict[str, Vector] = {}
        self.states: dict[str, StatesOfTile] = {}
        self._readers = _readers(stages) if gradients else {}
        widths = _widths(stages)
        for each in stages:
            if isinstance(each, LSTMStage) and each.states and each.states not in self.states:
                name, count = each.states, each.steps * room.lanes * widths[each.states]
                found = [room.per_tile(count) for _ in range(self._readers.get(name, 0))]
                self.states[name] = StatesOfTile(
                    widths[name], each.steps, room.per_tile(count), found
                )
        for name in _vector_names(stages):
            shape = batch, widths[name]
            found_too = [room.address(*shape) for _ in range(self._readers.get(name, 0))]
            self.vectors[name] = Vector(widths[name], room.new(*shape), found_too)

    def last_writers(self, stages: Stages) -> dict[int, list[str]]:
        """Return the names whose gradients begin after a stage, by its position.

        The gradient of a sequence that only a loss reads is written, not added.
        """
        found: dict[int, list[str]] = {}
        reads = [each.reads for each in stages if not isinstance(each, CopyStage)]
        of_losses = {each.reads for each in stages if isinstance(each, LossStage)}
        for name in self._readers:
            if name in self.states and name in of_losses:
                if reads.count(name) > 1:
                    raise InputError(f"Expected no other reader of {name!r} than one loss.")
                continue
            writes = [k for k, each in enumerate(stages) if name in written_by(each)]
            if writes:
                found.setdefault(writes[-1], []).append(name)
        return found


def written_by(stage: Any) -> set[str]:
    """Return the names that a stage writes and whose gradients it reads."""
    if isinstance(stage, LSTMStage):
        return {name for name in (stage.states, stage.vector) if name is not None}
    if isinstance(stage, DenseStage | MaskStage):
        return {stage.writes}
    return set()


def _vector_names(stages: Stages) -> list[str]:
    names: dict[str, None] = {}
    for each in stages:
        if (isinstance(each, LSTMStage) and each.vector is not None) or isinstance(each, CopyStage):
            names[str(each.vector)] = None
        elif isinstance(each, DenseStage | MaskStage):
            names[each.writes] = None
    return list(names)


def _widths(stages: Stages) -> dict[str, int]:
    """Return the number of columns of each sequence and each vector."""
    widths: dict[str, int] = {}

    def reach(name: str | None, columns: int) -> None:
        if name is not None:
            widths[name] = max(widths.get(name, 0), columns)

    for each in stages:
        if isinstance(each, LSTMStage):
            hidden = each.w_hh.shape[1]
            reach(each.states, each.states_place + hidden)
            for k in range(len(each.statistics)):
                reach(each.vector, each.place + k * each.stride + hidden)
            if each.c_place is not None:
                reach(each.vector, each.c_place + hidden)
        elif isinstance(each, CopyStage):
            reach(each.vector, each.place + each.columns)
        elif isinstance(each, DenseStage):
            reach(each.writes, len(each.bias))
        elif isinstance(each, MaskStage):
            reach(each.writes, widths.get(each.reads, 0))
    return widths


def _readers(stages: Stages) -> dict[str, int]:
    """Return how many stages side by side add to the gradient of each name."""
    readers: dict[str, int] = {}
    group: Counter[str] = Counter()
    for each in stages:
        names: set[str | None] = set()
        if isinstance(each, LSTMStage):
            names = {each.reads, each.context, each.start}
        elif isinstance(each, DenseStage | MaskStage | LossStage):
            names = {each.reads}
        if not (isinstance(each, LSTMStage) and each.beside):
            group = Counter()
        for name in names - {None}:
            assert name is not None
            group[name] += 1
            readers[name] = max(readers.get(name, 0), group[name])
    if max(readers.values(), default=0) > 2:
        raise InputError("Expected at most two stages side by side.")
    return readers
