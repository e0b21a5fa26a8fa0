"""A program of stages (`unspool.lstm.fused`) and a size of batch, prepared for the kernels.

`PreparedProgram` allocates what the stages write, and describes them in the records that the
kernels receive. It can run many batches: only the addresses of weights and arrays change then.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from unspool import _checks
from unspool.errors import InputError
from unspool.lstm import threads
from unspool.lstm.compiled import program
from unspool.lstm.compiled.cells import CELLS
from unspool.lstm.compiled.record import RECORD
from unspool.lstm.compiled.stage import FIELDS, STAGE
from unspool.lstm.compiled.vector import BYTES
from unspool.lstm.fused import DenseStage, LossStage, LSTMStage, Stages, weights_of
from unspool.lstm.prepared import LIKE, MAX_SEGMENTS, _checked_lengths
from unspool.lstm.program_memory import Memory, Names, PerTile
from unspool.lstm.program_records import Records
from unspool.lstm.program_rows import OfArray, OfTable, OfWeight, Partial

# Up to this many vectors of sequences, a tile is one vector wide instead of two, which gives small
# batches twice as many tiles for threads.
ONE_VECTOR = 4
MAX_TEAM = 2  # threads that run the same segment, one for each direction of a layer


class Binding(NamedTuple):
    """A field of the records that receives an address before each run."""

    record: Any
    position: int
    field: str
    array: OfArray | OfWeight


class PreparedProgram:
    """Stages and a batch size, with all that the kernels read and write.

    Parameters
    ----------
    stages : sequence of stages
        See `unspool.lstm.fused`.
    batch : int
        Batch size B, at least 1.
    gradients : bool
        Whether gradients are computed, or the losses only.

    Attributes
    ----------
    items : int
        Number of work items of a batch, which threads may run at the same time.
    bytes : int
        Memory that is allocated.

    Raises
    ------
    InputError
        If the stages do not fit together, or if the weights differ in dtype or device.
    """

    def __init__(self, stages: Stages, batch: int, *, gradients: bool) -> None:
        layers = [each for each in stages if isinstance(each, LSTMStage)]
        losses = [each for each in stages if isinstance(each, LossStage)]
        if not layers or not losses:
            raise InputError("Expected at least one LSTM stage and one loss stage.")
        cells = list(dict.fromkeys(each.cell for each in layers))
        if len(cells) > 1:
            both = " and ".join(map(repr, cells))
            raise InputError(f"Expected stages with the same `cell`, got {both}.")
        weight = layers[0].w_hh
        self.stages, self.batch, self.gradients = stages, batch, gradients
        self.weights, self.dtype = weights_of(stages), weight.dtype
        size = BYTES // weight.itemsize
        self._like = LIKE[self.dtype][: 1 if batch <= ONE_VECTOR * size else 2]
        self._cell = CELLS[cells[0]]
        lanes = len(self._like) * size
        tiles = -(-batch // lanes)
        segments = min(MAX_SEGMENTS, tiles)
        self.threads = threads.count()
        beside = any(each.beside for each in layers)
        self.items = segments * (MAX_TEAM if beside else 1)
        # Threads help each other only where there are more of them than segments.
        self._items = self.items if self.threads > segments else segments
        self._workers = min(self.threads, self._items)
        sets = min(segments, self._workers)
        room = Memory(type(self._like[0]), lanes, size, sets)
        names = Names(stages, batch, room, gradients=gradients)
        records = Records(stages, names, room, batch, gradients=gradients)
        if not self.fits:
            raise InputError(f"Expected all weights in {self.dtype} on the CPU.")
        self._partial = room.new(segments, records.partial_size)
        self._losses = room.new(len(losses), segments)
        self._names, self._records, self.segments = names, records, segments
        self._set_records(records, sets)
        groups = np.array([*records.groups, len(records.stages)], np.int64)
        passes = len(records.groups) * (2 if gradients else 1)
        self._counters = np.zeros(2 + 2 * passes * tiles, np.int64)
        self._program = np.array(
            [
                program.Program(
                    stages=len(records.stages),
                    groups=len(records.groups),
                    first_stages=groups.ctypes.data,
                    tiles=tiles,
                    segments=segments,
                    shared=int(sets == segments),
                    gradients=int(gradients),
                    counters=self._counters.ctypes.data,
                )
            ],
            program.PROGRAM,
        )
        self._pieces = np.array(records.pieces, np.int64).reshape(-1, 5)
        values = -(-records.workspace // size) * size
        work = room.address(self._workers, values + size)
        start = -(-work // BYTES) * BYTES
        self._workspaces = [start + k * values * room.itemsize for k in range(self._workers)]
        self._kept, self.bytes = (room, groups), room.bytes
        self._addresses: list[int] = []
        self._shapes = [weight.shape for weight in self.weights if weight is not None]

    def _set_records(self, records: Records, sets: int) -> None:
        """Make the records of the kernels, for each set of buffers."""
        self._of_layers = np.zeros((sets, len(records.layers)), RECORD)
        self._of_stages = np.zeros((sets, len(records.stages)), STAGE)
        self._of_weights: list[Binding] = []
        self._of_arrays: list[Binding] = []
        self._tables: list[tuple[Any, int, OfWeight]] = []
        itemsize, places = self._partial.itemsize, np.arange(sets)
        self._loss_stages: list[int] = []
        for record, rows in (
            (self._of_layers, records.layers),
            (self._of_stages, records.stages),
        ):
            for position, fields in enumerate(rows):
                for field, value in fields.items():
                    if isinstance(value, PerTile):
                        record[field][:, position] = value.address + places * value.between
                    elif isinstance(value, Partial):
                        first = self._partial.ctypes.data + value.first * itemsize
                        record[field][:, position] = first
                        if record is self._of_stages:
                            record["partial_batch"][:, position] = records.partial_size
                    elif isinstance(value, OfWeight):
                        self._of_weights.append(Binding(record, position, field, value))
                    elif isinstance(value, OfArray):
                        self._of_arrays.append(Binding(record, position, field, value))
                    elif isinstance(value, OfTable):
                        record[field][:, position] = value.table.ctypes.data
                        self._tables.extend(
                            (value.table, FIELDS * layer + 3 + k, weight)
                            for layer, weights in enumerate(value.weights)
                            for k, weight in enumerate(weights)
                        )
                    else:
                        record[field][:, position] = value
                if "losses" in fields:
                    of_stage = self._losses[len(self._loss_stages)]
                    record["losses"][:, position] = of_stage.ctypes.data
                    self._loss_stages.append(position)

    def run(
        self, arrays: Mapping[str, Tensor], factors: Sequence[float] = ()
    ) -> tuple[list[Tensor], Tensor | None]:
        """Compute the losses of a batch, and the gradients of all weights.

        Parameters
        ----------
        arrays : mapping of str to tensor
            Arrays of the batch by name.
        factors : sequence of float, default ()
            The weight of each loss in the gradients, instead of those of the stages.

        Returns
        -------
        losses : list of scalar tensors
            The loss of each loss stage, without its weight.
        gradients : tensor or None
            The gradients of the weights one after the other, with the `shapes` of the weights.
            None if the program has no gradients.

        Raises
        ------
        InputError
            If shapes, dtypes or devices do not match.
        """
        kept = [*self._set_arrays(arrays), *self._set_weights()]
        for position, factor in zip(self._loss_stages, factors, strict=False):
            self._of_stages["weight_of_loss"][:, position] = factor
        self._counters[:] = 0

        def work(first: int, last: int, thread: int) -> None:
            program.train(
                self._program, self._of_layers, self._of_stages, first, last, thread,
                self._workspaces[thread], self._like, self._cell,
            )  # fmt: skip

        threads.run(work, self._items, self._workers)
        del kept
        losses = [torch.from_numpy(each).sum() for each in self._losses]
        if not self.gradients:
            return losses, None
        out = np.empty(self._records.out_size, self._partial.dtype)
        program.collect(
            self._pieces.ctypes.data, len(self._pieces), self._partial.ctypes.data,
            self._records.partial_size, self.segments, out.ctypes.data, self._like[:1],
        )  # fmt: skip
        return losses, torch.from_numpy(out)

    @property
    def fits(self) -> bool:
        """Whether the kernels can read all weights: they have one dtype, and are on the CPU."""
        fixed = [
            each for dense in self.stages if isinstance(dense, DenseStage)
            for each in (dense.shift, dense.scale)
        ]  # fmt: skip
        return all(
            weight is None or (weight.dtype == self.dtype and weight.device.type == "cpu")
            for weight in (*self.weights, *fixed)
        )

    @property
    def shapes(self) -> list[torch.Size]:
        """The shapes of the weights that are not None."""
        return self._shapes

    def _set_arrays(self, arrays: Mapping[str, Tensor]) -> list[Tensor]:
        """Set the addresses of the batch's arrays; return the tensors to keep until the end."""
        checked: dict[tuple[str, str], Tensor] = {}
        for each in self._of_arrays:
            assert isinstance(each.array, OfArray)
            name, shape, form = each.array
            key = name, form
            if key not in checked:
                if form == "lengths":
                    checked[key] = _checked_lengths(arrays[name], *shape).contiguous()
                else:
                    array = arrays[name]
                    _checks.raise_all(self._mismatch(name, array, shape))
                    strided = form == "strided" and array.stride(-1) == 1
                    checked[key] = array if strided else array.contiguous()
            array = checked[key]
            each.record[each.field][:, each.position] = array.data_ptr()
            if form == "strided":
                each.record[f"{each.field}_batch"][:, each.position] = array.stride(0)
                each.record[f"{each.field}_step"][:, each.position] = array.stride(1)
        for copy in self._records.copies:
            array, vector = arrays[copy.array], self._names.vectors[copy.vector]
            shape = self.batch, copy.columns
            _checks.raise_all(self._mismatch(copy.array, array, shape))
            vector.values[:, copy.place :] = array.numpy()
        return list(checked.values())

    def _set_weights(self) -> list[Tensor]:
        """Set the addresses of weights that have moved; return the tensors to keep."""
        weights = [
            weight if weight is None or weight.is_contiguous() else weight.contiguous()
            for weight in self.weights
        ]
        addresses = [0 if weight is None else weight.data_ptr() for weight in weights]
        if addresses != self._addresses:
            for each in self._of_weights:
                assert isinstance(each.array, OfWeight)
                each.record[each.field][:, each.position] = addresses[each.array.number]
            for table, place, weight in self._tables:
                table[place] = addresses[weight.number]
            self._addresses = addresses
        for number, rolled, rows in self._records.rolled:
            given = weights[number]
            assert given is not None
            values = given.detach().numpy()
            rolled[:rows], rolled[rows:] = values[-rows:], values[:-rows]
        return [weight for weight in weights if weight is not None]

    def _mismatch(self, name: str, array: Tensor, shape: tuple[int, ...]) -> str | None:
        """Return a complaint if the kernels would leave the memory of `array`."""
        if array.device.type != "cpu":
            return f"Expected `{name}` on the CPU, not on {array.device}."
        if tuple(array.shape) == shape and array.dtype == self.dtype:
            return None
        return (
            f"Expected `{name}` of shape {shape} in {self.dtype}, "
            f"not of {tuple(array.shape)} in {array.dtype}."
        )


def losses_and_gradients(
    stages: Stages, arrays: Mapping[str, Tensor], *, gradients: bool = True
) -> tuple[list[Tensor], list[Tensor | None]]:
    """Run a program once.

    Parameters
    ----------
    stages : sequence of stages
        See `unspool.lstm.fused`.
    arrays : mapping of str to tensor
        Arrays of the batch by name.
    gradients : bool, default True
        If False, only the losses are computed.

    Returns
    -------
    losses : list of scalar tensors
        The loss of each loss stage.
    gradients : list of tensors
        The gradients of `weights_of`, None where the weight is None; empty if `gradients` is
        False.

    Raises
    ------
    InputError
        If the stages do not fit together, or if shapes, dtypes or devices do not match.
    """
    target = next(each.target for each in stages if isinstance(each, LossStage))
    prepared = PreparedProgram(stages, len(arrays[target]), gradients=gradients)
    losses, found = prepared.run(arrays)
    if found is None:
        return losses, []
    pieces = iter(torch.split(found, [shape.numel() for shape in prepared.shapes]))
    shaped = [
        None if weight is None else next(pieces).view(weight.shape) for weight in prepared.weights
    ]
    return losses, shaped
