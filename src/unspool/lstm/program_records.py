"""The records of a program: each stage of `unspool.lstm.fused` as the kernels receive it."""

from typing import Any

import numpy as np
from torch import Tensor

from unspool import _checks
from unspool.errors import InputError
from unspool.lstm.compiled import stage as kernels
from unspool.lstm.compiled.dense_stage import dense_workspace
from unspool.lstm.compiled.loss_stage import loss_workspace
from unspool.lstm.fused import (
    ACTIVATIONS,
    LOSSES,
    CopyStage,
    DenseStage,
    LossStage,
    LSTMStage,
    MaskStage,
    Stages,
)
from unspool.lstm.prepared import padded_rows
from unspool.lstm.program_layers import LayerRows
from unspool.lstm.program_memory import Memory, Names
from unspool.lstm.program_rows import Fields, OfArray, OfTable, OfWeight, incomplete, mismatch


class Records(LayerRows):
    """The fields of the records of all stages, and what they need.

    Parameters
    ----------
    stages : sequence of stages
        The program.
    names, room, batch, gradients
        See `Rows`.

    Attributes
    ----------
    groups : list of int
        The first stage of each group.
    copies : list of CopyStage
        Arrays to copy before a run.
    """

    def __init__(
        self, stages: Stages, names: Names, room: Memory, batch: int, *, gradients: bool
    ) -> None:
        super().__init__(names, room, batch, gradients=gradients)
        self.groups: list[int] = []
        self.copies: list[CopyStage] = []
        self._kept: list[Tensor] = []  # whose addresses the records have
        last_writers = names.last_writers(stages)
        begins: list[str] = []  # names whose gradients begin after the current group
        beside = 0
        for position, each in enumerate(stages):
            if isinstance(each, CopyStage):
                self.copies.append(each)
                self._written.add(each.vector)
                continue
            beside = beside + 1 if isinstance(each, LSTMStage) and each.beside else 0
            if not beside:
                self._begin_gradients(begins)
                self.groups.append(len(self.stages))
            if isinstance(each, LSTMStage):
                self.add_layer(each, beside)
            elif isinstance(each, DenseStage):
                self._add_dense(each, stages)
            elif isinstance(each, MaskStage):
                self._add_mask(each)
            else:
                self._add_loss(each)
            begins += last_writers.get(position, [])

    def _add_dense(self, each: DenseStage, stages: Stages) -> None:
        (outputs, inputs), vector = each.weight.shape, self._vector(each.reads)
        if each.activation == "softmax":
            raise InputError("Expected another `activation` of a dense stage than 'softmax'.")
        _checks.raise_all(
            mismatch(each.reads, vector.width, each.weight),
            self._check("bias", each.bias, outputs),
            self._check("shift", each.shift, vector.width),
            self._check("scale", each.scale, vector.width),
            incomplete("shift", each.shift, "scale", each.scale),
        )
        places = [c.place for c in stages if isinstance(c, CopyStage) and c.vector == each.reads]
        rows, width = padded_rows(outputs), self._whole(inputs)
        size = rows * (width + 1)
        pieces = [(0, outputs, width, inputs), (rows * width, 1, outputs, outputs)]
        self._written.add(each.writes)
        out = self._names.vectors[each.writes]
        fields: Fields = {}
        for name, array in (("shift", each.shift), ("scale", each.scale)):
            if array is not None:
                array = array.contiguous()
                self._kept.append(array)
                fields[name] = array.data_ptr()
        grad_x = self._gradient(vector.gradients)
        self._add(
            kernels.DENSE,
            inputs=inputs,
            outputs=outputs,
            activation=ACTIVATIONS[each.activation],
            x=vector.address,
            x_batch=vector.width,
            grad_x=grad_x,
            grad_inputs=min([inputs, *places]) if grad_x else 0,
            partial=self._new_partial(pieces, size),
            partial_size=size,
            weight=OfWeight(self._weight),
            bias=OfWeight(self._weight + 1),
            out=out.address,
            out_batch=out.width,
            grad_out=self._gradient(out.gradients),
            **fields,
        )
        self._weight += 2
        values = dense_workspace(inputs, outputs, self._room.lanes, self._room.size)
        self.workspace = max(self.workspace, values)

    def _add_mask(self, each: MaskStage) -> None:
        vector = self._vector(each.reads)
        self._written.add(each.writes)
        out = self._names.vectors[each.writes]
        self._add(
            kernels.MASK,
            inputs=vector.width,
            x=vector.address,
            grad_x=self._gradient(vector.gradients),
            out=out.address,
            grad_out=self._gradient(out.gradients),
            mask=OfArray(each.mask, (self._batch, vector.width)),
        )

    def _begin_gradients(self, names: list[str]) -> None:
        """Let the gradients of `names` begin with zeros, before their readers; empty the list."""
        for name in names:
            self.groups.append(len(self.stages))
            states, lanes = self._names.states.get(name), self._room.lanes
            if states is None:
                gradients: list[Any] = list(self._names.vectors[name].gradients)
                count = self._names.vectors[name].width
            else:
                gradients, count = list(states.gradients), states.steps * lanes * states.width
            self._add(
                kernels.GRADIENT,
                one_tile=int(states is not None),
                grad_x=gradients[0],
                other=gradients[1] if len(gradients) > 1 else 0,
                count=count,
            )
        names.clear()

    def _add_loss(self, each: LossStage) -> None:
        if each.reads in self._names.states:
            states = self._names.states[each.reads]
            width, steps = states.width, states.steps
            fields: Fields = {"x": states.address, "x_step": self._room.lanes * width}
            fields |= {"one_tile": 1, "grad_x": self._gradient(states.gradients)}
        else:
            vector = self._vector(each.reads)
            width, steps = vector.width, 1
            fields = {"x": vector.address, "adds": 1, "grad_x": self._gradient(vector.gradients)}
        if not each.layers:
            raise InputError("Expected a loss stage with at least one dense layer.")
        _checks.raise_all(_checks.choice("loss", each.loss, LOSSES))
        if any(layer.activation == "softmax" for layer in each.layers[:-1]):
            raise InputError("Expected the activation 'softmax' in the last dense layer only.")
        table = np.zeros((len(each.layers), kernels.FIELDS), np.int64)
        weights: list[tuple[OfWeight, OfWeight]] = []
        pieces: list[tuple[int, int, int, int]] = []
        inputs, size = width, 0
        for row, layer in zip(table, each.layers, strict=True):
            outputs, rows, wide = len(layer.bias), padded_rows(len(layer.bias)), self._whole(inputs)
            _checks.raise_all(
                self._check("weight", layer.weight, outputs, inputs),
                self._check("bias", layer.bias, outputs),
            )
            packed = self._room.address(rows * inputs)
            back = self._room.address(padded_rows(inputs) * outputs) if self._gradients else 0
            row[:] = inputs, outputs, ACTIVATIONS[layer.activation], 0, 0, packed, back
            weights.append((OfWeight(self._weight), OfWeight(self._weight + 1)))
            pieces += [(size, outputs, wide, inputs), (size + rows * wide, 1, outputs, outputs)]
            size += rows * (wide + 1)
            inputs, self._weight = outputs, self._weight + 2
        shape, widest = (self._batch, steps, inputs), int(table[:, :2].max())
        given = {"target": each.target, "error_weights": each.error_weights}
        given |= {"factors": each.factors, "offsets": each.offsets}
        _checks.raise_all(incomplete("factors", each.factors, "offsets", each.offsets))
        fields |= {field: OfArray(name, shape) for field, name in given.items() if name is not None}
        if each.lengths is not None:
            fields["lengths"] = OfArray(each.lengths, (self._batch, steps), "lengths")
        self._add(
            kernels.LOSS,
            inputs=width,
            x_batch=width,
            steps=steps,
            layers=len(each.layers),
            table=OfTable(table.reshape(-1), weights),
            widest=widest,
            features=each.features or inputs,
            target_batch=steps * inputs,
            target_step=inputs,
            loss=LOSSES[each.loss],
            losses=0,
            weight_of_loss=each.weight,
            partial=self._new_partial(pieces, size),
            partial_size=size,
            **fields,
        )
        values = loss_workspace(len(each.layers), widest, self._room.lanes, self._room.size)
        self.workspace = max(self.workspace, values)
