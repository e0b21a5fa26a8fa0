"""One layer and one batch, prepared for the compiled kernels.

The kernels (`unspool.lstm.compiled`) read and write memory at addresses. `PreparedLayer` checks
the tensors, keeps them alive while the kernels run, allocates what the kernels fill, collects all
sizes, strides and addresses in one record, and divides the work among threads.
"""

import math
from itertools import accumulate

import numpy as np
import torch
from torch import Tensor

from unspool import _checks
from unspool._types import CellName
from unspool.blueprint.cells import CELLS as BLUEPRINT_CELLS
from unspool.errors import InputError
from unspool.lstm import memory, threads
from unspool.lstm.compiled import recurrence
from unspool.lstm.compiled.cells import CELLS
from unspool.lstm.compiled.jit import Kernel
from unspool.lstm.compiled.record import Arguments, as_record
from unspool.lstm.compiled.tiles import SMALL_BLOCK
from unspool.lstm.compiled.vector import BYTES

TILE_VECTORS = 2  # vectors next to each other in a tile
MAX_SEGMENTS = 32  # partial sums of a gradient, and so threads with work
BLOCK_FROM = 1 << 14  # arrays of at least this many values are aligned and reused (`memory.block`)

# The argument `like` of the kernels for each dtype that they serve: it carries the type of the
# values and the number of vectors in a tile.
LIKE = {
    torch.float32: (np.float32(0),) * TILE_VECTORS,
    torch.float64: (np.float64(0),) * TILE_VECTORS,
}
# The field of `Arguments` that holds the position of each statistic.
STATISTIC_FIELDS = {"mean": "mean", "std": "deviation", "max": "largest", "min": "smallest"}


class PreparedLayer:
    """One LSTM or GRU layer in one direction and one batch, checked and described for the kernels.

    Parameters
    ----------
    x, w_ih, w_hh, context, w_context, h0, c0, lengths, steps
        As in `unspool.lstm.lstm`; ``h0`` and ``c0`` are required, for a GRU ``c0`` of width 0.
    relu, hard_sigmoid : bool
        Activation of the cell (tanh otherwise) and of its gates (sigmoid otherwise).
    reverse : bool, default False
        Run from the last real step of each sequence to its first.
    cell : {"lstm", "gru"}, default "lstm"
        Kind of the cell.
    h_mask : tensor of shape (B, H), optional
        Factor of the hidden state that the gates read.

    Raises
    ------
    InputError
        If shapes, dtypes or devices do not match: the kernels would access memory that is not
        theirs.
    """

    def __init__(
        self,
        x: Tensor | None,
        w_ih: Tensor | None,
        w_hh: Tensor,
        context: Tensor | None,
        w_context: Tensor | None,
        h0: Tensor,
        c0: Tensor,
        lengths: Tensor | None,
        steps: int,
        *,
        relu: bool,
        hard_sigmoid: bool,
        reverse: bool = False,
        cell: CellName = "lstm",
        h_mask: Tensor | None = None,
    ) -> None:
        kind = BLUEPRINT_CELLS[cell]
        self.cell, self._argument, self._gates = cell, CELLS[cell], len(kind.gates)
        self.dtype, self.like = w_hh.dtype, LIKE[w_hh.dtype]
        self.vector_size = BYTES // w_hh.itemsize
        self.lanes = TILE_VECTORS * self.vector_size
        given = next(array for array in (x, context, h0) if array is not None)
        self.batch, self.hidden, self.steps = len(given), w_hh.shape[-1], steps
        self.features = 0 if x is None else x.shape[-1]
        self.context_size = 0 if context is None else context.shape[-1]
        batch, gates = self.batch, self._gates * self.hidden
        self.cell_size = self.hidden if kind.has_c else 0
        _checks.raise_all(
            _incomplete_pair("x", x, "w_ih", w_ih),
            _incomplete_pair("context", context, "w_context", w_context),
            self.mismatch("x", x, batch, steps, self.features),
            self.mismatch("w_ih", None if x is None else w_ih, gates, self.features),
            self.mismatch("w_hh", w_hh, gates, self.hidden),
            self.mismatch("context", context, batch, self.context_size),
            self.mismatch(
                "w_context", None if context is None else w_context, gates, self.context_size
            ),
            self.mismatch("h0", h0, batch, self.hidden),
            self.mismatch("c0", c0, batch, self.cell_size),
            self.mismatch("h_mask", h_mask, batch, self.hidden),
        )
        self.tiles = -(-self.batch // self.lanes)
        self.segments = min(MAX_SEGMENTS, self.tiles)
        self._kept: list[Tensor] = []  # keeps the tensors behind all addresses alive
        self._arguments = {
            "batch": batch,
            "steps": steps,
            "hidden": self.hidden,
            "features": self.features,
            "context_size": self.context_size,
            "relu": int(relu),
            "hard": int(hard_sigmoid),
            "reverse": int(reverse),
            "segments": self.segments,
            "start_batch": self.hidden,
            "end_batch": self.hidden,
        }
        self.set_sequences("x", x)
        w_hh = w_hh if cell == "lstm" else w_hh.roll(self.hidden, 0)  # see `gru_cell`
        self.set_arrays(w_hh=w_hh, w_ih=w_ih, context=context, w_context=w_context, h0=h0, c0=c0)
        self.set_arrays(h_mask=h_mask)
        if lengths is not None:
            self.set_arrays(lengths=_checked_lengths(lengths, batch, steps))

    def mismatch(self, name: str, array: Tensor | None, *shape: int) -> str | None:
        """Return a complaint if `array` has not the device, shape and dtype the kernels expect."""
        if array is None:
            return None
        if array.device.type != "cpu":
            return f"Expected `{name}` on the CPU, not on {array.device}."
        if array.shape == shape and array.dtype == self.dtype:
            return None
        return (
            f"Expected `{name}` of shape {shape} in {self.dtype}, "
            f"not of {tuple(array.shape)} in {array.dtype}."
        )

    # What the kernels read and write.

    def allocate(self, *shape: int) -> Tensor:
        """Return an uninitialised array that the kernels fill."""
        count, kind = math.prod(shape), type(self.like[0])
        array = np.empty(count, kind) if count < BLOCK_FROM else memory.block(count, kind)
        return torch.from_numpy(array.reshape(shape))

    def packed(self, rows: int, depth: int) -> Tensor:
        """Allocate a matrix (rows, depth) in the layout that `tiles.product` multiplies by."""
        return self.allocate(padded_rows(rows) * depth)

    def address(self, array: Tensor | None) -> int:
        """Return where `array` begins, 0 for None, and keep it alive as long as this object."""
        if array is None:
            return 0
        self._kept.append(array)
        return array.data_ptr()

    def set(self, **fields: int) -> None:
        """Set fields of `Arguments`."""
        self._arguments |= fields

    def set_arrays(self, **arrays: Tensor | None) -> None:
        """Set the addresses of arrays that the kernels expect without gaps."""
        for name, array in arrays.items():
            address = self.address(None if array is None else array.contiguous())
            self._arguments[name] = address

    def set_sequences(self, name: str, array: Tensor | None) -> None:
        """Set the address and the strides of an array (B, T, features)."""
        self._set_strided(name, array, batch_axis=0, step_axis=1)

    def set_states(self, name: str, array: Tensor | None) -> None:
        """Set the address and the strides of states (T, B, H)."""
        self._set_strided(name, array, batch_axis=1, step_axis=0)

    def _set_strided(
        self, name: str, array: Tensor | None, *, batch_axis: int, step_axis: int
    ) -> None:
        if array is not None and array.stride(-1) != 1:
            array = array.contiguous()
        self._arguments |= {
            name: self.address(array),
            f"{name}_batch": 0 if array is None else array.stride(batch_axis),
            f"{name}_step": 0 if array is None else array.stride(step_axis),
        }

    def set_statistics(self, names: list[str], **arrays: Tensor) -> None:
        """Set arrays of statistics (B, K, H), and the position of each of the K `names`.

        "last" has no field: callers copy the final state.
        """
        if any(name != "last" for name in names):
            self.set_arrays(**arrays)
            self._arguments |= {
                "pooled_batch": len(names) * self.hidden,
                "pooled_step": self.hidden,
            }
            self._arguments |= {
                STATISTIC_FIELDS[name]: k for k, name in enumerate(names) if name != "last"
            }

    # Forward and backward passes.

    def prepare_forward(self, bias: Tensor) -> None:
        """Set the bias and allocate the packed weights of a forward pass."""
        gates, depth = 4 * self.hidden, self.hidden + self.features
        _checks.raise_all(self.mismatch("bias", bias, gates))
        bias = bias if self.cell == "lstm" else bias.roll(self.hidden)  # see `gru_cell`
        self.set_arrays(
            bias=bias,
            packed=self.packed(gates, depth),
            packed_context=self.packed(gates, self.context_size),
        )

    def prepare_backward(self) -> None:
        """Allocate the packed weights of a backward pass and the sums of weight gradients."""
        gates = 4 * self.hidden  # more than a GRU has, whose packed weights have whole blocks
        sizes = [rows * width for rows, width in self._gradient_shapes()]
        self._partial = self.allocate(self.segments, sum(sizes) + gates)
        self.set_arrays(
            partial=self._partial,
            packed_back=self.packed(self.hidden, gates),
            packed_back_x=self.packed(self.features, gates),
            packed_back_context=self.packed(self.context_size, gates),
        )

    def weight_gradients(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return the gradients of w_ih, w_hh, bias and w_context, summed in a fixed order."""
        gates, shapes = self._gates * self.hidden, self._gradient_shapes()
        ends = accumulate(rows * width for rows, width in shapes)
        *found, bias = torch.tensor_split(sum_segments(self._partial), list(ends))
        *weights, contexts = (each.view(shape) for each, shape in zip(found, shapes, strict=True))
        if self.cell == "lstm":
            recurrent, inputs = weights[0], weights[0][:, self.hidden :]
        else:
            recurrent, inputs = weights[0][:gates].roll(-self.hidden, 0), weights[1]
            bias = bias.roll(-self.hidden)
        parts = (
            inputs[:gates, : self.features],
            recurrent[:gates, : self.hidden],
            bias,
            contexts[:gates, : self.context_size],
        )
        w_ih, w_hh, bias, w_context = (
            part.clone(memory_format=torch.contiguous_format) for part in parts
        )
        return w_ih, w_hh, bias, w_context

    def _gradient_shapes(self) -> list[tuple[int, int]]:
        """Return the shapes in which weight gradients are summed: whole blocks of whole vectors.

        They are those of [w_hh, w_ih] and of w_context; a GRU has w_hh and w_ih separately.
        """
        size, rows = self.vector_size, padded_rows(self._gates * self.hidden)
        widths = [self.hidden + self.features, self.context_size]
        if self.cell == "gru":
            widths = [self.hidden, self.features, self.context_size]
        return [(rows, -(-width // size) * size) for width in widths]

    # Running.

    def arguments(self) -> Arguments:
        """Return all that was set, as the kernels name it."""
        return Arguments(**self._arguments)

    def run(self, pack: Kernel, kernel: Kernel) -> None:
        """Pack the weights, then run `kernel` over all segments."""
        arguments = self.arguments()
        record = as_record(arguments)
        pack(record, self.like, self._argument)
        values = recurrence.workspace_size(arguments, self.lanes, self.vector_size)
        workspaces = self.workspaces(values)
        threads.run(
            lambda first, last, thread: kernel(
                record, first, last, workspaces[thread], self.like, self._argument
            ),
            self.segments,
            len(workspaces),
        )

    def workspaces(self, values: int) -> list[int]:
        """Return one address per thread that has work, each of a workspace of `values` values."""
        count = max(1, min(threads.count(), self.segments))
        values = -(-values // self.vector_size) * self.vector_size
        memory_of_all = self.allocate(count * values + self.vector_size)
        self._kept.append(memory_of_all)
        start = -(-memory_of_all.data_ptr() // BYTES) * BYTES
        return [start + thread * values * memory_of_all.itemsize for thread in range(count)]


def sum_segments(partial: Tensor) -> Tensor:
    """Return the sum of the segments' gradients (segments, values), always in the same order.

    Values that only fill a row up to whole vectors are not initialised and may overflow; callers
    cut them off.
    """
    with np.errstate(all="ignore"):
        return torch.from_numpy(np.add.reduce(partial.numpy(), axis=0))


def padded_rows(rows: int) -> int:
    """Return `rows` rounded up to whole blocks of a product."""
    return -(-rows // SMALL_BLOCK) * SMALL_BLOCK


def _incomplete_pair(
    name: str, array: Tensor | None, weight_name: str, weight: Tensor | None
) -> str | None:
    """Return a complaint if an input comes without its weights, or weights without their input."""
    if (array is None) == (weight is None):
        return None
    return f"Expected `{name}` and `{weight_name}` together, or neither."


def _checked_lengths(lengths: Tensor, batch: int, steps: int) -> Tensor:
    """Return `lengths` as int64, or raise if the kernels would leave the arrays with them."""
    if lengths.is_floating_point():
        raise InputError(f"Expected `lengths` in whole numbers, not in {lengths.dtype}.")
    if lengths.shape != (batch,):
        raise InputError(
            f"Expected `lengths` of shape ({batch},), one per sequence, not {tuple(lengths.shape)}."
        )
    low, high = (int(end) for end in lengths.aminmax()) if batch else (0, 0)
    if low < 0 or high > steps:
        raise InputError(f"Expected `lengths` from 0 to {steps} steps, not {low} to {high}.")
    return lengths.to(torch.int64)
