"""Compiled kernels behind the contract, as PyTorch operators ``unspool::lstm`` and its backward.

The kernels (`unspool.lstm.compiled`) see addresses only. This file makes the arrays, keeps them
while the kernels run, divides the work over threads, and tells PyTorch what it needs to trace and
differentiate the operator.
"""

import math
from typing import Any

import numpy as np
import torch
from numba.core import config
from torch import Tensor
from torch.library import define, impl, register_autograd, register_fake

from unspool import _checks
from unspool.errors import InputError
from unspool.lstm import memory, threads
from unspool.lstm.call import Call
from unspool.lstm.compiled import few, recurrence
from unspool.lstm.compiled.kernel import Kernel
from unspool.lstm.compiled.tiles import FEW
from unspool.lstm.compiled.vector import BYTES
from unspool.lstm.pooling import deviation

VECTORS = 2  # in a tile
SEGMENTS = 32  # most partial sums of a gradient, and so most threads with work
LARGE = 1 << 14  # values of an array that is worth aligning
FEW_OF_TILE = 0.75  # up to this share of the lanes of a tile `few` is faster
PLACES = {"mean": "mean", "std": "deviation", "max": "largest", "min": "smallest"}  # in a `Job`
NUMBERS = {torch.float32: (np.float32(0),) * VECTORS, torch.float64: (np.float64(0),) * VECTORS}

# Where torch's LSTM is faster in training: (units, sequences) says that layers of up to so many
# units want at least so many sequences. A tile costs the same however few of its lanes are used.
# Measured: benchmarks/results/crossover.txt. Otherwise the choice never depends on the batch, so
# that a sequence has the same code alone and among others.
FEWEST_TRAINING = ((16, 2), (32, 12), (64, 28), (math.inf, 40))


def refusal(call: Call) -> str | None:
    """Say why this backend cannot serve `call`."""
    if call.device != "cpu":
        return f"runs on the CPU, not on {call.device}"
    if call.dtype not in NUMBERS:
        return f"computes in float32 or float64, not in {str(call.dtype).removeprefix('torch.')}"
    if config.DISABLE_JIT:  # type: ignore[attr-defined]  # read from the environment
        return "is compiled, which NUMBA_DISABLE_JIT forbids"
    return None


def slower(call: Call) -> str | None:
    """Say so where torch's own LSTM was measured to be faster than this backend."""
    if call.batch is None or call.hidden is None or not call.training:
        return None
    fewest = next(batch for units, batch in FEWEST_TRAINING if call.hidden <= units)
    if call.batch >= fewest:
        return None
    return f"is slower on fewer than {fewest} sequences in layers of {call.hidden} units"


def run(
    x: Tensor | None,
    w_ih: Tensor | None,
    w_hh: Tensor,
    bias: Tensor,
    context: Tensor | None,
    w_context: Tensor | None,
    h0: Tensor,
    c0: Tensor,
    lengths: Tensor | None,
    steps: int,
    call: Call,
) -> tuple[Tensor, Tensor, Tensor]:
    """Run the sequences; arguments and results as in `dispatch.lstm`."""
    flags = [
        call.activation == "relu",
        call.recurrent_activation == "hard_sigmoid",
        call.reverse,
        call.return_sequences,
        call.training,
    ]
    statistics = list(call.statistics)
    if "std" in statistics and "mean" not in statistics:
        statistics.append("mean")
    h, h_n, c_n, pooled, _ = torch.ops.unspool.lstm(
        x, w_ih, w_hh, bias, context, w_context, h0, c0, lengths, steps, flags, statistics
    )
    if statistics:
        return pooled[:, : len(call.statistics)], h_n, c_n
    return (h if call.return_sequences else h[:0]).transpose(0, 1), h_n, c_n


class Task:
    """What a forward pass and its backward pass tell the kernels alike."""

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
        flags: list[bool],
    ) -> None:
        self.dtype, self.like = w_hh.dtype, NUMBERS[w_hh.dtype]
        self.size = BYTES // w_hh.itemsize
        self.lanes = VECTORS * self.size
        first = next(array for array in (x, context, h0) if array is not None)
        self.batch, self.hidden = len(first), w_hh.shape[-1]
        self.features = 0 if x is None else x.shape[-1]
        self.context_size = 0 if context is None else context.shape[-1]
        batch, gates = self.batch, 4 * self.hidden
        _checks.raise_all(
            _together("x", x, "w_ih", w_ih),
            _together("context", context, "w_context", w_context),
            self._misfit("x", x, batch, steps, self.features),
            self._misfit("w_ih", None if x is None else w_ih, gates, self.features),
            self._misfit("w_hh", w_hh, gates, self.hidden),
            self._misfit("context", context, batch, self.context_size),
            self._misfit(
                "w_context", None if context is None else w_context, gates, self.context_size
            ),
            self._misfit("h0", h0, batch, self.hidden),
            self._misfit("c0", c0, batch, self.hidden),
        )
        self.tiles = -(-self.batch // self.lanes)
        self.segments = min(SEGMENTS, self.tiles)
        if lengths is not None:
            lengths = _checked(lengths, self.batch, steps)
        x = _side_by_side(x)
        self.kept: list[Tensor] = []  # alive as long as the kernels have their addresses
        relu, hard, reverse = flags[:3]
        self.told = {
            "batch": self.batch,
            "steps": steps,
            "hidden": self.hidden,
            "features": self.features,
            "context_size": self.context_size,
            "relu": int(relu),
            "hard": int(hard),
            "reverse": int(reverse),
            "segments": self.segments,
            "x": self.address(x),
            "x_batch": 0 if x is None else x.stride(0),
            "x_step": 0 if x is None else x.stride(1),
        }
        self.tell(w_hh=w_hh, w_ih=w_ih, context=context, w_context=w_context)
        self.tell(h0=h0, c0=c0, lengths=lengths)

    def _misfit(self, name: str, array: Tensor | None, *shape: int) -> str | None:
        """A complaint where `array` is not what the kernels will read: memory is at stake."""
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

    def address(self, array: Tensor | None) -> int:
        """Where `array` begins, or 0; it is kept as long as the task."""
        if array is None:
            return 0
        self.kept.append(array)
        return array.data_ptr()

    def tell(self, **arrays: Tensor | None) -> None:
        """Where arrays are that have no gaps."""
        for name, array in arrays.items():
            self.told[name] = self.address(None if array is None else array.contiguous())

    def tell_states(self, name: str, states: Tensor | None) -> None:
        """Where states (T, B, H) are, in any order but for their units."""
        states = _side_by_side(states)
        self.told[name] = self.address(states)
        self.told[f"{name}_step"] = 0 if states is None else states.stride(0)
        self.told[f"{name}_batch"] = 0 if states is None else states.stride(1)

    def tell_statistics(self, names: list[str], **arrays: Tensor) -> None:
        """Where statistics (B, K, H) are, and which ones; the last state is not the kernels'."""
        if any(name != "last" for name in names):
            self.tell(**arrays)
            self.told["statistics"] = len(names)
            self.told |= {PLACES[name]: k for k, name in enumerate(names) if name != "last"}

    def new(self, *shape: int) -> Tensor:
        """An array that the kernels fill."""
        count, kind = math.prod(shape), type(self.like[0])
        array = np.empty(count, kind) if count < LARGE else memory.block(count, kind)
        return torch.from_numpy(array.reshape(shape))

    def make_forward(self, bias: Tensor, *, by_units: bool = False) -> None:
        """Make what a forward pass needs beside its inputs and outputs."""
        gates, depth = 4 * self.hidden, self.hidden + self.features
        _checks.raise_all(self._misfit("bias", bias, gates))
        rows = few.packed_rows(self.hidden, self.size) if by_units else gates
        self.tell(
            bias=bias,
            packed=self._room(rows, depth),
            packed_context=self._room(rows, self.context_size),
        )

    def make_backward(self) -> None:
        """Make what a backward pass needs, and room for the gradients of the weights."""
        gates = 4 * self.hidden
        self.partial = self.new(self.segments, gates * (sum(self._widths()) + 1))
        self.tell(
            partial=self.partial,
            packed_back=self._room(self.hidden, gates),
            packed_back_x=self._room(self.features, gates),
            packed_back_context=self._room(self.context_size, gates),
        )

    def weight_gradients(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Of w_ih, w_hh, the bias and w_context: the partial sums, added up in their order."""
        gates, (width, context_width) = 4 * self.hidden, self._widths()
        summed = torch.from_numpy(np.add.reduce(self.partial.numpy(), axis=0))
        ends = [gates * width, gates * (width + context_width)]
        weights, contexts, bias = torch.tensor_split(summed, ends)
        weights, contexts = weights.view(gates, width), contexts.view(gates, context_width)
        parts = (
            weights[:, self.hidden : self.hidden + self.features],
            weights[:, : self.hidden],
            bias,
            contexts[:, : self.context_size],
        )
        w_ih, w_hh, bias, w_context = (
            part.clone(memory_format=torch.contiguous_format) for part in parts
        )
        return w_ih, w_hh, bias, w_context

    def _widths(self) -> tuple[int, int]:
        """Rows of the gradients of [w_hh, w_ih] and of w_context, in whole vectors."""
        size = self.size
        depth = self.hidden + self.features
        return -(-depth // size) * size, -(-self.context_size // size) * size

    def _room(self, rows: int, depth: int) -> Tensor:
        """For a matrix that `tiles.product` multiplies by."""
        return self.new(-(-rows // FEW) * FEW * depth)

    def job(self) -> recurrence.Job:
        """What the kernels are told."""
        return recurrence.Job(**self.told)

    def run(self, pack: Kernel, kernel: Kernel, *, by_units: bool = False) -> None:
        """Pack the weights, and run `kernel` over all segments, or for `few` over sequences."""
        job = self.job()
        record = recurrence.as_record(job)
        pack(record, self.like)
        values = recurrence.workspace_size(job, self.lanes, self.size)
        if by_units:
            values = few.workspace_size(job, self.size)
        workspaces = self.workspaces(values)
        threads.run(
            lambda first, last, thread: kernel(record, first, last, workspaces[thread], self.like),
            self.batch if by_units else self.segments,
            len(workspaces),
        )

    def workspaces(self, values: int) -> list[int]:
        """Addresses of as many workspaces of so many values as there are threads with work."""
        count = max(1, min(threads.count(), self.segments))
        values = -(-values // self.size) * self.size
        room = self.new(count * values + self.size)
        self.kept.append(room)
        start = -(-room.data_ptr() // BYTES) * BYTES
        return [start + place * values * room.itemsize for place in range(count)]


def _side_by_side(array: Tensor | None) -> Tensor | None:
    """`array`, its last axis without gaps."""
    return array if array is None or array.stride(-1) == 1 else array.contiguous()


def _together(one: str, array: Tensor | None, other: str, weight: Tensor | None) -> str | None:
    """A complaint where an input is there without its weights, or weights without their input."""
    if (array is None) == (weight is None):
        return None
    return f"Expected `{one}` and `{other}` together, or neither."


def _checked(lengths: Tensor, batch: int, steps: int) -> Tensor:
    """`lengths` as the kernels read them: memory is at stake."""
    if lengths.is_floating_point():
        raise InputError(f"Expected `lengths` in whole numbers, not in {lengths.dtype}.")
    if lengths.shape != (batch,):
        raise InputError(
            f"Expected `lengths` of shape ({batch},), one a sequence, not {tuple(lengths.shape)}."
        )
    low, high = (int(end) for end in lengths.aminmax()) if batch else (0, 0)
    if low < 0 or high > steps:
        raise InputError(f"Expected `lengths` from 0 to {steps} steps, not {low} to {high}.")
    return lengths.to(torch.int64)


def _lstm(
    x: Tensor | None,
    w_ih: Tensor | None,
    w_hh: Tensor,
    bias: Tensor,
    context: Tensor | None,
    w_context: Tensor | None,
    h0: Tensor,
    c0: Tensor,
    lengths: Tensor | None,
    steps: int,
    flags: list[bool],
    statistics: list[str],
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """h (T, B, H), final h and c, statistics (B, K, H), and what only the backward pass reads."""
    *_, return_sequences, training = flags
    task = Task(x, w_ih, w_hh, context, w_context, h0, c0, lengths, steps, flags)
    batch, hidden = task.batch, task.hidden
    h = task.new(steps if return_sequences or training else 0, batch, hidden)
    h_n, c_n = task.new(batch, hidden), task.new(batch, hidden)
    pooled = task.new(batch, len(statistics), hidden)
    reserve = task.new(_reserved(task.tiles, steps, hidden, task.size) if training else 0)
    by_units = not training and batch <= FEW_OF_TILE * task.lanes
    task.make_forward(bias, by_units=by_units)
    task.tell(h_n=h_n, c_n=c_n, reserve=reserve if training else None)
    task.tell_states("h", h if len(h) else None)
    task.tell_statistics(statistics, pooled=pooled)
    if by_units:
        task.run(few.pack, few.forward, by_units=True)
    else:
        task.run(recurrence.pack_forward, recurrence.forward)
    for k, name in enumerate(statistics):
        found = pooled[:, k]
        if name == "last":
            found.copy_(h_n)
        elif name == "std":  # the kernels leave the variance
            found.copy_(deviation(found) if steps else found)
            if lengths is not None:
                found.masked_fill_((lengths == 0)[:, None], 0)
    return h, h_n, c_n, pooled, reserve


def _reserved(tiles: int, steps: int, hidden: int, size: int) -> int:
    """Values that the backward pass needs; states are read in whole vectors, past the last one."""
    return VECTORS * size * (tiles * steps * 5 * hidden + size)


def _lstm_backward(
    grad_h: Tensor | None,
    grad_h_n: Tensor | None,
    grad_c_n: Tensor | None,
    grad_pooled: Tensor | None,
    x: Tensor | None,
    w_ih: Tensor | None,
    w_hh: Tensor,
    context: Tensor | None,
    w_context: Tensor | None,
    h0: Tensor,
    c0: Tensor,
    lengths: Tensor | None,
    h: Tensor,
    pooled: Tensor,
    reserve: Tensor,
    flags: list[bool],
    statistics: list[str],
    x_wanted: bool,
) -> tuple[Tensor, ...]:
    """Gradients of x, w_ih, w_hh, bias, context, w_context, h0, c0; empty where there are none."""
    task = Task(x, w_ih, w_hh, context, w_context, h0, c0, lengths, len(h), flags)
    batch, hidden = task.batch, task.hidden
    features, context_size = task.features, task.context_size
    if len(reserve) != _reserved(task.tiles, len(h), hidden, task.size):
        raise InputError("Expected a forward pass that ran with `training`; this one did not.")
    if grad_pooled is not None:
        for k, name in enumerate(statistics):
            if name == "last":
                grad = grad_pooled[:, k]
                grad_h_n = grad if grad_h_n is None else grad_h_n + grad
        task.tell_statistics(statistics, pooled=pooled, grad_pooled=grad_pooled)
    zeros = None
    if grad_h_n is None or grad_c_n is None:
        zeros = h.new_zeros(batch, hidden)
    # Padding gets no gradient, and the kernels leave it out.
    grad_x = task.new(batch, len(h), features if x_wanted else 0)
    if lengths is not None:
        grad_x.zero_()
    grad_context = task.new(batch, context_size)
    grad_h0, grad_c0 = task.new(batch, hidden), task.new(batch, hidden)
    task.make_backward()
    task.tell_states("h", h)
    task.tell_states("grad_h", grad_h)
    task.told["grad_x_batch"], task.told["grad_x_step"], _ = grad_x.stride()
    task.tell(
        reserve=reserve,
        grad_h_n=zeros if grad_h_n is None else grad_h_n,
        grad_c_n=zeros if grad_c_n is None else grad_c_n,
        grad_x=grad_x if x_wanted else None,
        grad_context=grad_context,
        grad_h0=grad_h0,
        grad_c0=grad_c0,
    )
    task.run(recurrence.pack_backward, recurrence.backward)
    grad_w_ih, grad_w_hh, grad_bias, grad_w_context = task.weight_gradients()
    return (
        grad_x,
        grad_w_ih,
        grad_w_hh,
        grad_bias,
        grad_context,
        grad_w_context,
        grad_h0,
        grad_c0,
    )


# The operators: how they are called, run, traced and differentiated.

define(
    "unspool::lstm",
    "(Tensor? x, Tensor? w_ih, Tensor w_hh, Tensor bias, Tensor? context, Tensor? w_context, "
    "Tensor h0, Tensor c0, Tensor? lengths, int steps, bool[] flags, str[] statistics) -> "
    "(Tensor, Tensor, Tensor, Tensor, Tensor)",
)
define(
    "unspool::lstm_backward",
    "(Tensor? grad_h, Tensor? grad_h_n, Tensor? grad_c_n, Tensor? grad_pooled, Tensor? x, "
    "Tensor? w_ih, Tensor w_hh, Tensor? context, Tensor? w_context, Tensor h0, Tensor c0, "
    "Tensor? lengths, Tensor h, Tensor pooled, Tensor reserve, bool[] flags, str[] statistics, "
    "bool x_wanted) -> "
    "(Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor)",
)
impl("unspool::lstm", "CPU", _lstm)
impl("unspool::lstm_backward", "CPU", _lstm_backward)


@register_fake("unspool::lstm")  # type: ignore[untyped-decorator]
def _(
    x: Tensor | None,
    w_ih: Tensor | None,
    w_hh: Tensor,
    bias: Tensor,
    context: Tensor | None,
    w_context: Tensor | None,
    h0: Tensor,
    c0: Tensor,
    lengths: Tensor | None,
    steps: int,
    flags: list[bool],
    statistics: list[str],
) -> tuple[Tensor, ...]:
    *_, return_sequences, training = flags
    (batch, hidden), size = h0.shape, BYTES // w_hh.itemsize
    tiles = (batch + VECTORS * size - 1) // (VECTORS * size)
    return (
        w_hh.new_empty(steps if return_sequences or training else 0, batch, hidden),
        w_hh.new_empty(batch, hidden),
        w_hh.new_empty(batch, hidden),
        w_hh.new_empty(batch, len(statistics), hidden),
        w_hh.new_empty(_reserved(tiles, steps, hidden, size) if training else 0),
    )


@register_fake("unspool::lstm_backward")  # type: ignore[untyped-decorator]
def _(
    grad_h: Tensor | None,
    grad_h_n: Tensor | None,
    grad_c_n: Tensor | None,
    grad_pooled: Tensor | None,
    x: Tensor | None,
    w_ih: Tensor | None,
    w_hh: Tensor,
    context: Tensor | None,
    w_context: Tensor | None,
    h0: Tensor,
    c0: Tensor,
    lengths: Tensor | None,
    h: Tensor,
    pooled: Tensor,
    reserve: Tensor,
    flags: list[bool],
    statistics: list[str],
    x_wanted: bool,
) -> tuple[Tensor, ...]:
    (batch, hidden), new = h0.shape, w_hh.new_empty
    features = 0 if x is None else x.shape[2]
    context_size = 0 if context is None else context.shape[1]
    return (
        new(batch, len(h), features if x_wanted else 0),
        new(4 * hidden, features),
        new(4 * hidden, hidden),
        new(4 * hidden),
        new(batch, context_size),
        new(4 * hidden, context_size),
        new(batch, hidden),
        new(batch, hidden),
    )


def _keep(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    x, w_ih, w_hh, _, context, w_context, h0, c0, lengths, _, ctx.flags, ctx.statistics = inputs
    h, _, _, pooled, reserve = output
    ctx.mark_non_differentiable(reserve)
    ctx.set_materialize_grads(False)
    ctx.save_for_backward(x, w_ih, w_hh, context, w_context, h0, c0, lengths, h, pooled, reserve)


def _differentiate(
    ctx: Any,
    grad_h: Tensor | None,
    grad_h_n: Tensor | None,
    grad_c_n: Tensor | None,
    grad_pooled: Tensor | None,
    _: Tensor | None,
) -> tuple[Tensor | None, ...]:
    wanted = ctx.needs_input_grad[:8]
    gradients = torch.ops.unspool.lstm_backward(
        grad_h,
        grad_h_n,
        grad_c_n,
        grad_pooled,
        *ctx.saved_tensors,
        ctx.flags,
        ctx.statistics,
        wanted[0],
    )
    chosen = [g if want else None for g, want in zip(gradients, wanted, strict=True)]
    return (*chosen, None, None, None, None)


def _refuse(ctx: Any, *_: Tensor | None) -> None:
    raise InputError("`backend` 'compiled' has no second derivative; take 'stepwise', which has.")


register_autograd("unspool::lstm", _differentiate, setup_context=_keep)
register_autograd("unspool::lstm_backward", _refuse)


def warmup() -> str | None:
    """Run every kernel on next to nothing, which compiles it, or loads it where it is kept.

    Returns the folder where they are kept, or None where none can be written.
    """
    one, weight = torch.ones(1, 1), torch.ones(4, 1, requires_grad=True)
    inputs = (one[None], weight, weight, weight[:, 0], None, None, one, one, None)
    with torch.enable_grad():
        h, *_ = run(*inputs, steps=1, call=Call())
        torch.autograd.grad(h.sum(), weight)
    with torch.no_grad():
        run(*inputs, steps=1, call=Call(training=False))
    kernels = (
        few.pack,
        few.forward,
        recurrence.pack_forward,
        recurrence.forward,
        recurrence.pack_backward,
        recurrence.backward,
    )
    folders = [kernel.folder for kernel in kernels]
    return None if None in folders else folders[0]
