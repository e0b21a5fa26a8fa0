"""A training step in one call of compiled code, for autoencoders of two LSTM layers.

The loss and all gradients are computed tile by tile, so that a tile's states never leave the
cache and PyTorch runs nothing in between. The numbers are those of the modules run one after the
other, but for rounding.
"""

from itertools import accumulate
from typing import Any, NamedTuple, cast

import numpy as np
import torch
from torch import Tensor, nn

from unspool._padding import reverse_within
from unspool.blueprint.parts import DECODERS
from unspool.lstm import Choice, threads
from unspool.lstm.backends.compiled import Task
from unspool.lstm.compiled import recurrence, step
from unspool.lstm.compiled.tiles import FEW
from unspool.lstm.compiled.vector import BYTES
from unspool.nn.autoencoder import Autoencoder
from unspool.nn.lstm_decoder import LSTMDecoder
from unspool.nn.lstm_encoder import LSTMEncoder
from unspool.nn.lstm_layer import LSTMLayer
from unspool.nn.lstm_stack import LSTM
from unspool.nn.patches import lengths_in_patches, patch_positions, patched

ACTIVATIONS = {
    nn.Identity: step.LINEAR,
    nn.ReLU: step.RELU,
    nn.Tanh: step.TANH,
    nn.Sigmoid: step.SIGMOID,
}
LOSSES = {"mse": step.SQUARED, "mae": step.ABSOLUTE, "huber": step.HUBER}
KINDS = (DECODERS["repeat"], DECODERS["reversed_input"])
RAN = Choice("compiled", "in one call with the whole training step")


class Parts(NamedTuple):
    """What `step.train` knows how to run."""

    encoder: LSTMLayer
    statistic: str  # of its states, which is the code
    decoder: LSTMLayer
    dense: list[tuple[nn.Linear, int]]  # and the number of its activation
    reads: str | None  # "input", "place" of a patch, or nothing
    patch_size: int


def loss_sum(model: Autoencoder, x: Tensor, lengths: Tensor | None, loss: str) -> Tensor | None:
    """The loss of a batch (B, T, F), added up over real steps.

    Where gradients are enabled they are computed with it. None where the model is not of the kind
    served here: an LSTM layer in one direction whose final, mean or largest state is the code, one
    that decodes it, and dense layers with linear, ReLU, tanh or sigmoid activations, on a CPU. Nor
    where sequences end within a patch: the loss of a patch counts as a whole here.
    """
    if x.requires_grad or not len(x) or loss not in LOSSES:
        return None
    parts = parts_of(model, len(x))
    if parts is None:
        return None
    size = parts.patch_size
    if size > 1:
        incomplete = x.shape[1] % size if lengths is None else (lengths % size).any()
        if incomplete:
            return None
        x, lengths = patched(x, size, lengths), lengths_in_patches(lengths, size)
    parts.encoder.ran = parts.decoder.ran = RAN
    if not torch.is_grad_enabled():
        return _run(parts, x, lengths, LOSSES[loss], gradients=False)[0]
    return cast(Tensor, _Step.apply(parts, x, lengths, LOSSES[loss], *_parameters(parts)))  # type: ignore[no-untyped-call]


def parts_of(model: Autoencoder, batch: int) -> Parts | None:
    """The parts of `model`, or None where some are not served."""
    if list(model.decoders) != ["reconstruction"]:
        return None
    encoder, decoder = model.encoder, model.decoder()
    if type(encoder) is not LSTMEncoder or encoder.whole_state:
        return None
    statistic, *others = encoder.statistics
    if others:
        return None
    if encoder.projection is not None or encoder.log_variance is not None:
        return None
    if type(decoder) is not LSTMDecoder or decoder.kind not in KINDS or decoder.reverse_target:
        return None
    layers = [_single(encoder.lstm), _single(decoder.lstm)]
    head = [module for module in decoder.head if not isinstance(module, nn.Unflatten)]
    dense: list[tuple[nn.Linear, int]] = []
    for linear, activation in zip(head[::2], head[1::2], strict=True):
        if not isinstance(linear, nn.Linear) or type(activation) not in ACTIVATIONS:
            return None
        dense.append((linear, ACTIVATIONS[type(activation)]))
    first, second = layers
    if first is None or second is None or not second.context_size or not dense:
        return None
    if any(layer.choice(batch).name != "compiled" for layer in (first, second)):
        return None
    size = decoder.patch_size
    if decoder.needs_input and size > 1:  # the steps of a patch would have to be turned round too
        return None
    reads = "input" if decoder.needs_input else "place" if decoder.reads_place else None
    return Parts(first, statistic, second, dense, reads, size)


def _single(lstm: LSTM) -> LSTMLayer | None:
    """The one layer of a stack, where it is one, in one direction."""
    stack = lstm.stack()
    return stack[0][0] if len(stack) == 1 and len(stack[0]) == 1 else None


def _parameters(parts: Parts) -> list[Tensor | None]:
    """All weights, in the order of the gradients of `_run`."""
    encoder, decoder = parts.encoder, parts.decoder
    flat: list[Tensor | None] = [encoder.weight_ih, encoder.weight_hh, encoder.bias]
    flat += [decoder.weight_ih, decoder.weight_hh, decoder.bias, decoder.weight_context]
    for linear, _ in parts.dense:
        flat += [linear.weight, linear.bias]
    return flat


class _Step(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        parts: Parts,
        x: Tensor,
        lengths: Tensor | None,
        loss: int,
        *parameters: Tensor | None,
    ) -> Tensor:
        total, gradients = _run(parts, x, lengths, loss, gradients=True)
        ctx.save_for_backward(*gradients)
        return total

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        (grad,) = grads
        gradients = [g if g is None else g * grad for g in ctx.saved_tensors]
        return (None, None, None, None, *gradients)


def _run(
    parts: Parts, x: Tensor, lengths: Tensor | None, loss: int, *, gradients: bool
) -> tuple[Tensor, list[Tensor | None]]:
    """The loss added up, and the gradients of `_parameters`, where they are wanted."""
    batch, steps, _ = x.shape
    codes, grad_codes = (x.new_empty(batch, parts.encoder.units) for _ in range(2))
    encoder = _task(parts.encoder, batch, x, None, lengths, steps)
    read = None
    if parts.reads == "input":
        read = x
    elif parts.reads == "place":  # turned round, as it is read backwards here
        read = reverse_within(patch_positions(steps, codes), lengths).contiguous()
    decoder = _task(parts.decoder, batch, read, codes, lengths, steps)
    if parts.statistic == "last":
        encoder.tell(h_n=codes, grad_h_n=grad_codes)
    else:
        encoder.tell(h_n=torch.empty_like(codes), grad_h_n=torch.zeros_like(codes))
        encoder.tell_statistics([parts.statistic], pooled=codes, grad_pooled=grad_codes)
    decoder.tell(
        h_n=x.new_empty(batch, decoder.hidden),
        grad_h_n=x.new_zeros(batch, decoder.hidden),
        grad_context=grad_codes,
    )
    decoder.told["turned"] = 1
    for name in ("", "_batch", "_step"):
        decoder.told[f"target{name}"] = encoder.told[f"x{name}"]
    head = _Head(parts, encoder, loss, gradients)

    jobs, like = [encoder.job(), decoder.job()], encoder.like
    for job in map(recurrence.as_record, jobs):
        recurrence.pack_forward(job, like)
        recurrence.pack_backward(job, like)
    step.pack_dense(head.told, like)
    own = _by_thread(encoder, jobs, head.told)

    def work(first: int, last: int, thread: int) -> None:
        records, workspace = own[thread]
        step.train(records, head.told, first, last, workspace, like)

    threads.run(work, encoder.segments, len(own))
    if not gradients:
        return head.losses.sum(), []
    *first, _ = encoder.weight_gradients()
    w_ih, *second = decoder.weight_gradients()
    return head.losses.sum(), [
        *first,
        w_ih if parts.reads else None,
        *second,
        *head.gradients(),
    ]


def _task(
    layer: LSTMLayer,
    batch: int,
    x: Tensor | None,
    context: Tensor | None,
    lengths: Tensor | None,
    steps: int,
) -> Task:
    """A layer, started from zeros, forward and backward."""
    zeros = layer.weight_hh.new_zeros(batch, layer.units)
    cell = layer.cell
    flags = [cell.activation == "relu", cell.recurrent_activation == "hard_sigmoid", False]
    task = Task(
        x, layer.weight_ih, layer.weight_hh, context, layer.weight_context, zeros, zeros,
        lengths, steps, flags,
    )  # fmt: skip
    task.make_forward(layer.bias)
    task.make_backward()
    task.tell(c_n=torch.empty_like(zeros), grad_c_n=zeros)
    return task


def _by_thread(
    task: Task, jobs: list[recurrence.Job], head: step.Dense
) -> list[tuple[recurrence.Record, int]]:
    """For each thread the two jobs, with gates and states of its own, and its workspace."""
    lanes, size = task.lanes, task.size
    workspace = [recurrence.workspace_size(job, lanes, size) for job in jobs]
    values = [max(*workspace, step.workspace_size(head, lanes, size))]
    for job in jobs:  # gates, states, and their gradients, of a tile
        states = lanes * (job.steps * job.hidden + size)
        values += [lanes * (job.steps * 5 * job.hidden + size), states, states]
    offsets = [0, *accumulate(-(-n // size) * size for n in values)]
    by_thread = []
    for address in task.workspaces(offsets[-1]):
        records = np.array(jobs, recurrence.RECORD)
        places = [address + offset * BYTES // size for offset in offsets]
        records["local"] = 1
        records["h_batch"] = records["grad_h_batch"] = records["hidden"]
        records["h_step"] = records["grad_h_step"] = lanes * records["hidden"]
        records["reserve"] = (places[1], places[4]) if head.gradients else 0
        records["h"] = places[2], places[5]
        records["grad_h"] = 0, places[6]  # of the encoder's states only the last one counts
        by_thread.append((records, address))
    return by_thread


class _Head:
    """The dense layers: what the kernels are told, and the gradients they give."""

    def __init__(self, parts: Parts, task: Task, loss: int, gradients: bool) -> None:
        self.task, self.dense = task, parts.dense
        self.table = np.empty((len(parts.dense), step.FIELDS), np.int64)
        for row, (linear, activation) in zip(self.table, parts.dense, strict=True):
            outputs, inputs = linear.weight.shape
            room = [task.new(-(-n // FEW) * FEW * m) for n, m in
                    ((outputs, inputs), (inputs, outputs))]  # fmt: skip
            row[:3] = inputs, outputs, activation
            row[3:] = [task.address(t.contiguous()) for t in (linear.weight, linear.bias, *room)]
        self.partial = task.new(task.segments, sum(map(sum, self._sizes())))
        self.losses = task.new(task.segments)
        self.told = step.Dense(
            layers=len(parts.dense),
            table=self.table.ctypes.data,
            widest=int(self.table[:, :2].max()),
            partial=self.partial.data_ptr(),
            partial_size=self.partial.shape[1],
            loss=loss,
            losses=self.losses.data_ptr(),
            gradients=int(gradients),
        )

    def gradients(self) -> list[Tensor]:
        """Of the weights and bias of each layer."""
        with np.errstate(all="ignore"):  # what fills up rows may be any bits; it is cut off below
            summed = torch.from_numpy(np.add.reduce(self.partial.numpy(), axis=0))
        ends = list(accumulate(n for sizes in self._sizes() for n in sizes))
        pieces = iter(torch.tensor_split(summed, ends[:-1]))
        gradients = []
        for linear, _ in self.dense:
            outputs, inputs = linear.weight.shape
            rows = -(-outputs // FEW) * FEW
            gradients.append(next(pieces).view(rows, -1)[:outputs, :inputs].contiguous())
            gradients.append(next(pieces)[:outputs].clone())
        return gradients

    def _sizes(self) -> list[tuple[int, int]]:
        """Values of the sums for weights and bias: rows in fours, of whole vectors."""
        size, sizes = self.task.size, []
        for linear, _ in self.dense:
            outputs, inputs = linear.weight.shape
            rows = -(-outputs // FEW) * FEW
            sizes.append((rows * (-(-inputs // size) * size), rows))
        return sizes
