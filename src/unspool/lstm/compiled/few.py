"""Calls of the kernels of `small_batch`, from addresses: PyTorch is not needed."""

from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from unspool._types import CellName
from unspool.blueprint.cells import CELLS as BLUEPRINT_CELLS
from unspool.lstm.compiled import small_batch
from unspool.lstm.compiled.cells import CELLS
from unspool.lstm.compiled.small_batch import Arguments, as_record
from unspool.lstm.compiled.vector import BYTES

LANES = 1.5  # vectors: the kernels of `recurrence` are faster on more sequences than that
# The field of `Arguments` that holds the position of each statistic.
STATISTIC_FIELDS = {
    "last": "last",
    "mean": "mean",
    "std": "deviation",
    "max": "largest",
    "min": "smallest",
}


class Layout:
    """How a layer in one direction is run, and the memory that this needs.

    Parameters
    ----------
    cell : {"lstm", "gru"}
        Kind of the cell.
    hidden, features, context_size : int
        H, F and C.
    number : type
        `numpy.float32` or `numpy.float64`.

    Attributes
    ----------
    most : int
        Largest number of sequences for which these kernels are the fastest.
    """

    def __init__(
        self, cell: CellName, hidden: int, features: int, context_size: int, number: type
    ) -> None:
        size = BYTES // np.dtype(number).itemsize
        sizes = hidden, features, context_size
        kind = BLUEPRINT_CELLS[cell]
        self.gates, self.has_c, self.most = len(kind.gates), kind.has_c, int(LANES * size)
        self._packed = small_batch.packed_size(*sizes, size)
        self._workspace = small_batch.workspace_size(*sizes, size)
        self._number, self._like, self._cell = number, (number(0),), CELLS[cell]

    def packed(self, arguments: Arguments) -> npt.NDArray[Any]:
        """Return the packed weights at the addresses in `arguments`; they have to be kept."""
        out, memory = np.empty(self._packed, self._number), np.empty(self._workspace, self._number)
        small_batch.pack(as_record(arguments), out, memory, self._like, self._cell)
        return out

    def run(self, arguments: Arguments) -> None:
        """Run sequences through the layer."""
        values = self._workspace if arguments.packed else self._workspace + self._packed
        memory = np.empty(values, self._number)
        small_batch.forward(as_record(arguments), memory, self._like, self._cell)


def packed_address(packed: npt.NDArray[Any]) -> int:
    """Return the field `packed` of `Arguments` for packed weights."""
    address: int = packed.__array_interface__["data"][0]
    return -(-address // BYTES) * BYTES


layout = lru_cache(maxsize=512)(Layout)
