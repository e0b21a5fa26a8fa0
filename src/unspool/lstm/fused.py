"""A training step in one call: the loss and all gradients of a small program of stages.

The stages are LSTM layers and dense layers. Each tile of the batch runs through all of them,
forward and backward, before the next tile begins, so that its states and gates stay in the cache
and PyTorch runs nothing in between. The numbers equal those of the layers run one after the other,
up to rounding.

This file knows tensors and names, no modules. One program is served: an LSTM layer that
encodes, an LSTM layer that decodes, and dense layers on each step of the decoder.
"""

from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor

from unspool import _checks
from unspool._types import CellActivationName, CellName, GateActivationName, StatisticName
from unspool.blueprint.cells import CELLS as BLUEPRINT_CELLS
from unspool.errors import InputError
from unspool.lstm import threads
from unspool.lstm.compiled import recurrence, training_step
from unspool.lstm.compiled.cells import CELLS
from unspool.lstm.compiled.record import RECORD, Arguments, Record, as_record
from unspool.lstm.compiled.vector import BYTES
from unspool.lstm.prepared import PreparedLayer, padded_rows, sum_segments

DenseActivation = Literal["linear", "relu", "tanh", "sigmoid"]

ACTIVATIONS: Mapping[DenseActivation, int] = {
    "linear": training_step.LINEAR,
    "relu": training_step.RELU,
    "tanh": training_step.TANH,
    "sigmoid": training_step.SIGMOID,
}
LOSSES: Mapping[str, int] = {
    "mse": training_step.SQUARED,
    "mae": training_step.ABSOLUTE,
    "huber": training_step.HUBER,
}


class LSTMStage(NamedTuple):
    """An LSTM or GRU layer in one direction, which starts from a state of zeros.

    Parameters
    ----------
    w_ih, w_hh, bias, w_context : tensors of shape (4H, F), (4H, H), (4H,), (4H, C)
        The weights as in `unspool.lstm.lstm`, of a GRU with 3H rows except for the bias; `w_ih` is
        None if the stage reads nothing, `w_context` is None if it has no context.
    activation, recurrent_activation : str
        Activations of the cell and of its gates.
    reads : str, optional
        Name of the array in `Batch.inputs` that is read at each step.
    reads_backwards : bool, default False
        Read that array from the last real step to the first; the states keep the order of the
        target.
    emits : {"last", "mean", "max", "min"}, optional
        The statistic of the states over the real steps that is the context of the next LSTM
        stage. If None, the states go to the dense stages step by step.
    cell : {"lstm", "gru"}, default "lstm"
        Kind of the cell, the same in all stages.
    h_mask : tensor of shape (B, H), optional
        Factor of the hidden state that the gates read, as in `unspool.lstm.lstm`.
    emitted_mask : tensor of shape (B, H), optional
        Factor of what the stage emits.
    """

    w_ih: Tensor | None
    w_hh: Tensor
    bias: Tensor
    w_context: Tensor | None = None
    activation: CellActivationName = "tanh"
    recurrent_activation: GateActivationName = "sigmoid"
    reads: str | None = None
    reads_backwards: bool = False
    emits: StatisticName | None = None
    cell: CellName = "lstm"
    h_mask: Tensor | None = None
    emitted_mask: Tensor | None = None

    @property
    def weights(self) -> tuple[Tensor | None, ...]:
        """The weights in the order of their gradients."""
        return self.w_ih, self.w_hh, self.bias, self.w_context


class DenseStage(NamedTuple):
    """A dense layer on each step.

    Parameters
    ----------
    weight, bias : tensors of shape (O, I), (O,)
        I is the number of units of the LSTM stage or of outputs of the dense stage before.
    activation : {"linear", "relu", "tanh", "sigmoid"}, default "linear"
    """

    weight: Tensor
    bias: Tensor
    activation: DenseActivation = "linear"

    @property
    def weights(self) -> tuple[Tensor | None, ...]:
        """The weights in the order of their gradients."""
        return self.weight, self.bias


Stages = Sequence[LSTMStage | DenseStage]


class Batch(NamedTuple):
    """The sequences of a training step.

    Parameters
    ----------
    target : tensor of shape (B, T, O)
        What the last stage is compared with.
    inputs : mapping of str to tensor of shape (B, T, F)
        The arrays that LSTM stages read, by name; F may differ between them.
    lengths : whole-number tensor of shape (B,), optional
        Number of real steps of each sequence; all T by default.
    error_weights : tensor that broadcasts to (B, T, O), optional
        Weight of each error in the loss; 1 by default.
    """

    target: Tensor
    inputs: Mapping[str, Tensor]
    lengths: Tensor | None = None
    error_weights: Tensor | None = None


def weights_of(stages: Stages) -> list[Tensor | None]:
    """Return all weights, in the order of the gradients of `loss_and_gradients`."""
    return [weight for stage in stages for weight in stage.weights]


def loss_and_gradients(
    stages: Stages, batch: Batch, loss: str, *, gradients: bool = True
) -> tuple[Tensor, list[Tensor | None]]:
    """Compute the loss of a batch, and its gradient with respect to every weight.

    Parameters
    ----------
    stages : sequence of LSTMStage and DenseStage
        Served are an LSTM stage that emits a code, an LSTM stage that does not, and one dense
        stage or more.
    batch : Batch
        The sequences.
    loss : {"mse", "mae", "huber"}
        Loss of each value; it is summed.
    gradients : bool, default True
        If False, only the loss is computed.

    Returns
    -------
    loss : tensor of shape ()
        The sum over real steps and features, of each loss times its weight.
    gradients : list of tensors
        The gradients of `weights_of`, None where the weight is None; empty if `gradients` is
        False.

    Raises
    ------
    InputError
        If the stages or the loss are not served, or if shapes, dtypes or devices do not match.
    """
    encoder, decoder, dense = _split(stages)
    _checks.raise_all(_checks.choice("loss", loss, LOSSES))
    codes, grad_codes, masked_codes = (
        encoder.w_hh.new_empty(len(batch.target), encoder.w_hh.shape[1]) for _ in range(3)
    )
    mask = encoder.emitted_mask
    encoding = _prepared(encoder, batch)
    decoding = _prepared(decoder, batch, context=codes if mask is None else masked_codes)
    if mask is not None:
        _checks.raise_all(encoding.mismatch("emitted_mask", mask, *codes.shape))
        encoding.set_arrays(emitted=codes, emitted_mask=mask)
    if encoder.emits == "last":
        encoding.set_arrays(h_n=codes, grad_h_n=grad_codes)
    elif encoder.emits is not None:
        encoding.set_statistics([encoder.emits], pooled=codes, grad_pooled=grad_codes)
    decoding.set_arrays(grad_context=grad_codes)
    target, error_weights = batch.target, batch.error_weights
    if error_weights is not None:  # both are read with the same strides
        target, error_weights = (
            array.contiguous() for array in (target, error_weights.expand_as(target))
        )
    head = _DenseLayers(dense, decoding, target, error_weights, loss, gradients=gradients)
    decoding.set_sequences("target", target)

    like, kind = encoding.like, CELLS[encoder.cell]
    arguments = [encoding.arguments(), decoding.arguments()]
    for record in map(as_record, arguments):
        recurrence.pack_forward(record, like, kind)
        recurrence.pack_backward(record, like, kind)
    training_step.pack_dense(head.arguments, like)
    by_thread = _records_by_thread(encoding, arguments, head.arguments)

    def work(first: int, last: int, thread: int) -> None:
        records, workspace = by_thread[thread]
        training_step.train(records, head.arguments, first, last, workspace, like, kind)

    threads.run(work, encoding.segments, len(by_thread))
    total = head.losses.sum()
    if not gradients:
        return total, []
    sums = [*encoding.weight_gradients(), *decoding.weight_gradients(), *head.gradients()]
    return total, [
        None if weight is None else gradient
        for weight, gradient in zip(weights_of(stages), sums, strict=True)
    ]


def _split(stages: Stages) -> tuple[LSTMStage, LSTMStage, list[DenseStage]]:
    """Return the encoder, the decoder and the dense stages of a program that is served."""
    lstms = [stage for stage in stages[:2] if isinstance(stage, LSTMStage)]
    dense = [stage for stage in stages[2:] if isinstance(stage, DenseStage)]
    served = len(lstms) == 2 and dense and len(dense) == len(stages) - 2
    if not served or lstms[0].emits in (None, "std") or lstms[1].emits is not None:
        raise InputError(
            "Expected an LSTM stage that emits a code, an LSTM stage that emits none, and dense "
            f"stages; got {', '.join(type(stage).__name__ for stage in stages) or 'no stage'}."
        )
    if lstms[0].cell != lstms[1].cell:
        raise InputError(
            f"Expected stages with the same `cell`, got {lstms[0].cell!r} and {lstms[1].cell!r}."
        )
    return lstms[0], lstms[1], dense


def _prepared(stage: LSTMStage, batch: Batch, context: Tensor | None = None) -> PreparedLayer:
    """Prepare a layer that starts from zeros for its forward and its backward pass."""
    sequences, steps, _ = batch.target.shape
    zeros = stage.w_hh.new_zeros(sequences, stage.w_hh.shape[1])
    no_c = zeros if BLUEPRINT_CELLS[stage.cell].has_c else zeros[:, :0]
    layer = PreparedLayer(
        None if stage.reads is None else batch.inputs[stage.reads],
        stage.w_ih,
        stage.w_hh,
        context,
        stage.w_context,
        zeros,
        no_c,
        batch.lengths,
        steps,
        relu=stage.activation == "relu",
        hard_sigmoid=stage.recurrent_activation == "hard_sigmoid",
        cell=stage.cell,
        h_mask=stage.h_mask,
    )
    layer.prepare_forward(stage.bias)
    layer.prepare_backward()
    layer.set(flip_x=int(stage.reads_backwards))
    layer.set_arrays(
        h_n=torch.empty_like(zeros), c_n=torch.empty_like(no_c), grad_h_n=zeros, grad_c_n=no_c
    )
    return layer


def _records_by_thread(
    layer: PreparedLayer,
    arguments: list[Arguments],
    head: training_step.DenseArguments,
) -> list[tuple[Record, int]]:
    """Return the records of both layers and the address of a workspace for each thread.

    Each thread has its own gates, states and gradients of one tile, which lie in its workspace.
    """
    lanes, size = layer.lanes, layer.vector_size
    shared = [recurrence.workspace_size(each, lanes, size) for each in arguments]
    sizes = [max(*shared, training_step.workspace_size(head, lanes, size))]
    for each in arguments:  # gates with c, states, gradients of the states
        states = lanes * (each.steps * each.hidden + size)
        sizes += [lanes * (each.steps * 5 * each.hidden + size), states, states]
    offsets = [0, *accumulate(-(-n // size) * size for n in sizes)]
    by_thread = []
    for workspace in layer.workspaces(offsets[-1]):
        records = np.array(arguments, RECORD)
        addresses = [workspace + offset * BYTES // size for offset in offsets]
        records["one_tile"] = 1
        records["h_batch"] = records["grad_h_batch"] = records["hidden"]
        records["h_step"] = records["grad_h_step"] = lanes * records["hidden"]
        records["reserve"] = (addresses[1], addresses[4]) if head.gradients else 0
        records["h"] = addresses[2], addresses[5]
        records["grad_h"] = 0, addresses[6]  # only the code of the encoder has a gradient
        by_thread.append((records, workspace))
    return by_thread


class _DenseLayers:
    """The dense stages and the loss: the arguments of the kernels, and the gradients they write.

    Shapes, dtypes and devices of the stages and of the target are checked.
    """

    def __init__(
        self,
        stages: list[DenseStage],
        decoder: PreparedLayer,
        target: Tensor,
        error_weights: Tensor | None,
        loss: str,
        *,
        gradients: bool,
    ) -> None:
        self._stages, self._vector_size = stages, decoder.vector_size
        inputs = [decoder.hidden, *(len(stage.bias) for stage in stages)]
        outputs = inputs[1:]
        shape = decoder.batch, decoder.steps, outputs[-1]
        complaints = [
            decoder.mismatch("target", target, *shape),
            decoder.mismatch("error_weights", error_weights, *shape),
        ]
        for stage, width, height in zip(stages, inputs, outputs, strict=False):
            complaints.append(decoder.mismatch("weight", stage.weight, height, width))
            complaints.append(decoder.mismatch("bias", stage.bias, height))
        _checks.raise_all(*complaints)
        self._table = np.empty((len(stages), training_step.FIELDS), np.int64)
        for row, stage, width, height in zip(self._table, stages, inputs, outputs, strict=False):
            arrays = (
                stage.weight.contiguous(),
                stage.bias.contiguous(),
                decoder.packed(height, width),
                decoder.packed(width, height),
            )
            row[:3] = width, height, ACTIVATIONS[stage.activation]
            row[3:] = [decoder.address(array) for array in arrays]
        self._partial = decoder.allocate(decoder.segments, sum(map(sum, self._gradient_sizes())))
        self.losses = decoder.allocate(decoder.segments)
        self.arguments = training_step.DenseArguments(
            layers=len(stages),
            table=self._table.ctypes.data,
            widest=int(self._table[:, :2].max()),
            partial=self._partial.data_ptr(),
            partial_size=self._partial.shape[1],
            loss=LOSSES[loss],
            losses=self.losses.data_ptr(),
            error_weights=decoder.address(error_weights),
            gradients=int(gradients),
        )

    def gradients(self) -> list[Tensor]:
        """Return the gradients of weight and bias of each layer, summed in a fixed order."""
        summed = sum_segments(self._partial)
        ends = list(accumulate(size for sizes in self._gradient_sizes() for size in sizes))
        pieces = iter(torch.tensor_split(summed, ends[:-1]))
        gradients = []
        for stage in self._stages:
            outputs, inputs = stage.weight.shape
            rows = padded_rows(outputs)
            gradients.append(next(pieces).view(rows, -1)[:outputs, :inputs].contiguous())
            gradients.append(next(pieces)[:outputs].clone())
        return gradients

    def _gradient_sizes(self) -> list[tuple[int, int]]:
        """Return the number of summed values for the weight and the bias of each layer.

        Rows are filled up to whole blocks, and each row to whole vectors.
        """
        size, sizes = self._vector_size, []
        for stage in self._stages:
            outputs, inputs = stage.weight.shape
            rows = padded_rows(outputs)
            sizes.append((rows * (-(-inputs // size) * size), rows))
        return sizes
