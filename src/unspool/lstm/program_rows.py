"""Rows of the records of a program (`unspool.lstm.program`), as fields by name.

A field is a number, or an address that is not known yet: of a weight, of an array of the batch, of
the buffers of a tile, or of gradients.
"""

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

from torch import Tensor

from unspool.errors import InputError
from unspool.lstm.program_memory import Array, Memory, Names, Vector


class OfWeight(NamedTuple):
    """The address of a weight, by its number among all weights."""

    number: int


class OfArray(NamedTuple):
    """The address of an array of the batch, whose shape is checked."""

    name: str
    shape: tuple[int, ...]
    form: Literal["contiguous", "strided", "lengths"] = "contiguous"


class OfTable(NamedTuple):
    """The address of a table with addresses of weights: weight and bias of each row."""

    table: Array
    weights: list[tuple[OfWeight, OfWeight]]


class Partial(NamedTuple):
    """The address of the gradients of a stage in the first segment."""

    first: int


class Piece(NamedTuple):
    """The gradient of some rows of a weight: where it is in a segment, and in the result."""

    first: int
    rows: int
    width: int  # values from one row to the next
    columns: int
    out: int


Fields = dict[str, Any]


class Rows:
    """The rows of a program's records, and what is noted of them.

    Parameters
    ----------
    names : Names
        What the stages write.
    room : Memory
        Where packed weights are allocated.
    batch : int
        Batch size, B.
    gradients : bool
        Whether gradients are computed.

    Attributes
    ----------
    stages, layers : list of dict
        Fields of `compiled.stage.Stage` and of `compiled.record.Arguments`.
    pieces : list of Piece
        Where the gradients of the weights are.
    partial_size, out_size, workspace : int
        Number of values of a segment's gradients, of all gradients, and of a thread's workspace.
    rolled : list of tuple
        Weights of a GRU that the kernels read in another order: number, array, number of rows.
    """

    def __init__(self, names: Names, room: Memory, batch: int, *, gradients: bool) -> None:
        self._names, self._room, self._batch, self._gradients = names, room, batch, gradients
        self.stages: list[Fields] = []
        self.layers: list[Fields] = []
        self.pieces: list[Piece] = []
        self.rolled: list[tuple[int, Array, int]] = []
        self.partial_size = self.out_size = self.workspace = 0
        self._weight = 0  # number of the next weight
        self._written: set[str] = set()

    def _add(self, kind: int, **fields: Any) -> None:
        common = {"kind": kind, "batch": self._batch, "gradients": int(self._gradients)}
        self.stages.append(common | fields)

    def _new_partial(self, pieces: Sequence[tuple[int, int, int, int]], size: int) -> Partial:
        """Note the gradients of a stage: first value, rows, width and columns of each."""
        first = self.partial_size
        if self._gradients:
            for place, rows, width, columns in pieces:
                self.pieces.append(Piece(first + place, rows, width, columns, self.out_size))
                self.out_size += rows * columns
            self.partial_size += -(-size // self._room.size) * self._room.size
        return Partial(first)

    def _whole(self, count: int) -> int:
        """Return `count` rounded up to whole vectors."""
        return -(-count // self._room.size) * self._room.size

    def _check(self, name: str, array: Tensor | None, *shape: int) -> str | None:
        if array is None or tuple(array.shape) == shape:
            return None
        return f"Expected `{name}` of shape {shape}, not of {tuple(array.shape)}."

    def _vector(self, name: str) -> Vector:
        if name not in self._written or name not in self._names.vectors:
            raise InputError(f"Expected a stage that writes the vector {name!r} before its reader.")
        return self._names.vectors[name]

    def _gradient(self, gradients: list[Any], beside: int = 0) -> Any:
        """Return the gradient that a reader adds to; 0 if there are no gradients."""
        return gradients[min(beside, len(gradients) - 1)] if gradients else 0


def incomplete(name: str, one: Any, other_name: str, other: Any) -> str | None:
    """Return a complaint if only one of two is given that belong together."""
    if (one is None) == (other is None):
        return None
    return f"Expected `{name}` and `{other_name}` together, or neither."


def mismatch(name: str, width: int, weight: Tensor | None) -> str | None:
    """Return a complaint if a weight reads another number of values than a vector has."""
    assert weight is not None
    if weight.shape[1] == width:
        return None
    return f"Expected a weight for the {width} values of {name!r}, not for {weight.shape[1]}."
