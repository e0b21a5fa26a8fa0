"""The compiled recurrence as PyTorch operators, ``unspool::lstm`` and ``unspool::lstm_backward``.

This file allocates results and gradients, runs the kernels through `PreparedLayer`, and registers
with PyTorch what it needs to trace and differentiate the operators.
"""

from typing import Any, cast

import torch
from torch import Tensor
from torch.library import define, impl, register_autograd

from unspool._types import CellName
from unspool.errors import InputError
from unspool.lstm import few
from unspool.lstm.compiled import recurrence
from unspool.lstm.compiled.vector import BYTES
from unspool.lstm.pooling import deviation
from unspool.lstm.prepared import TILE_VECTORS, PreparedLayer


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
    h_mask: Tensor | None,
    steps: int,
    flags: list[bool],
    statistics: list[str],
    cell: str,  # a `CellName`, whose type PyTorch does not know
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Run the layer forward; see `PreparedLayer` for the arguments.

    ``flags`` are whether the cell is ReLU, whether its gates are hard sigmoids, `reverse`,
    `return_sequences` and `training`.

    Returns
    -------
    h : tensor of shape (T, B, H)
        The states; (0, B, H) if they are neither requested nor needed by a backward pass.
    h_n, c_n : tensors of shape (B, H); for a GRU, c_n is (B, 0)
    pooled : tensor of shape (B, K, H)
        The K `statistics` of the states.
    reserve : tensor
        Gates and cell states, which only the backward pass reads.
    """
    relu, hard_sigmoid, reverse, return_sequences, training = flags
    if not training and h_mask is None:
        found = few.run(
            x, w_ih, w_hh, bias, context, w_context, h0, c0, lengths, steps, flags, statistics,
            cast(CellName, cell),
        )  # fmt: skip
        if found is not None:
            (states, last, last_c, values), new, shape = found, w_hh.new_empty, h0.shape
            return (
                new(0, *shape) if states is None else states, last, last_c,
                new(len(h0), 0, shape[1]) if values is None else values, new(0),
            )  # fmt: skip
    layer = PreparedLayer(
        x, w_ih, w_hh, context, w_context, h0, c0, lengths, steps,
        relu=relu, hard_sigmoid=hard_sigmoid, reverse=reverse, cell=cast(CellName, cell),
        h_mask=h_mask,
    )  # fmt: skip
    batch, hidden = layer.batch, layer.hidden
    h = layer.allocate(steps if return_sequences or training else 0, batch, hidden)
    h_n, c_n = layer.allocate(batch, hidden), layer.allocate(batch, layer.cell_size)
    pooled = layer.allocate(batch, len(statistics), hidden)
    reserve = layer.allocate(
        _reserve_size(layer.tiles, steps, hidden, layer.vector_size) if training else 0
    )
    layer.prepare_forward(bias)
    layer.set_arrays(h_n=h_n, c_n=c_n, reserve=reserve if training else None)
    layer.set_states("h", h if len(h) else None)
    layer.set_statistics(statistics, pooled=pooled)
    layer.run(recurrence.pack_forward, recurrence.forward)
    for k, name in enumerate(statistics):
        values = pooled[:, k]
        if name == "last":
            values.copy_(h_n)
        elif name == "std":  # the kernels write the variance
            values.copy_(deviation(values) if steps else values)
            if lengths is not None:
                values.masked_fill_((lengths == 0)[:, None], 0)
    return h, h_n, c_n, pooled, reserve


def _reserve_size(tiles: int, steps: int, hidden: int, size: int) -> int:
    """Return the number of values of `reserve`: five blocks a step, and a tile's lanes of padding.

    The padding is needed because the last states are read in whole vectors.
    """
    return TILE_VECTORS * size * (tiles * steps * 5 * hidden + size)


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
    h_mask: Tensor | None,
    h: Tensor,
    pooled: Tensor,
    reserve: Tensor,
    flags: list[bool],
    statistics: list[str],
    x_needed: bool,
    cell: str,
) -> tuple[Tensor, ...]:
    """Return the gradients of x, w_ih, w_hh, bias, context, w_context, h0 and c0.

    A gradient is empty if the argument was None, or for x if `x_needed` is False.
    """
    relu, hard_sigmoid, reverse, *_ = flags
    steps = len(h)
    layer = PreparedLayer(
        x, w_ih, w_hh, context, w_context, h0, c0, lengths, steps,
        relu=relu, hard_sigmoid=hard_sigmoid, reverse=reverse, cell=cast(CellName, cell),
        h_mask=h_mask,
    )  # fmt: skip
    batch, hidden = layer.batch, layer.hidden
    if len(reserve) != _reserve_size(layer.tiles, steps, hidden, layer.vector_size):
        raise InputError(
            "The backward pass needs a forward pass that ran with `training`; this one did not."
        )
    if grad_pooled is not None:
        for k, name in enumerate(statistics):
            if name == "last":
                grad = grad_pooled[:, k]
                grad_h_n = grad if grad_h_n is None else grad_h_n + grad
        layer.set_statistics(statistics, pooled=pooled, grad_pooled=grad_pooled)
    if grad_h_n is None:
        grad_h_n = h.new_zeros(batch, hidden)
    if grad_c_n is None:
        grad_c_n = h.new_zeros(batch, layer.cell_size)
    grad_x = layer.allocate(batch, steps, layer.features if x_needed else 0)
    if lengths is not None:
        grad_x.zero_()  # the kernels write real steps only
    grad_context = layer.allocate(batch, layer.context_size)
    grad_h0, grad_c0 = layer.allocate(batch, hidden), layer.allocate(batch, layer.cell_size)
    layer.prepare_backward()
    layer.set_states("h", h)
    layer.set_states("grad_h", grad_h)
    layer.set_sequences("grad_x", grad_x if x_needed else None)
    layer.set_arrays(
        reserve=reserve,
        grad_h_n=grad_h_n,
        grad_c_n=grad_c_n,
        grad_context=grad_context,
        grad_h0=grad_h0,
        grad_c0=grad_c0,
    )
    layer.run(recurrence.pack_backward, recurrence.backward)
    grad_w_ih, grad_w_hh, grad_bias, grad_w_context = layer.weight_gradients()
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


# Registration with PyTorch: signatures, implementations, shapes for tracing, derivatives.

define(
    "unspool::lstm",
    "(Tensor? x, Tensor? w_ih, Tensor w_hh, Tensor bias, Tensor? context, Tensor? w_context, "
    "Tensor h0, Tensor c0, Tensor? lengths, Tensor? h_mask, int steps, bool[] flags, "
    "str[] statistics, str cell) -> "
    "(Tensor, Tensor, Tensor, Tensor, Tensor)",
)
define(
    "unspool::lstm_backward",
    "(Tensor? grad_h, Tensor? grad_h_n, Tensor? grad_c_n, Tensor? grad_pooled, Tensor? x, "
    "Tensor? w_ih, Tensor w_hh, Tensor? context, Tensor? w_context, Tensor h0, Tensor c0, "
    "Tensor? lengths, Tensor? h_mask, Tensor h, Tensor pooled, Tensor reserve, bool[] flags, "
    "str[] statistics, bool x_needed, str cell) -> "
    "(Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor)",
)
impl("unspool::lstm", "CPU", _lstm)
impl("unspool::lstm_backward", "CPU", _lstm_backward)


def _lstm_shapes(
    x: Tensor | None,
    w_ih: Tensor | None,
    w_hh: Tensor,
    bias: Tensor,
    context: Tensor | None,
    w_context: Tensor | None,
    h0: Tensor,
    c0: Tensor,
    lengths: Tensor | None,
    h_mask: Tensor | None,
    steps: int,
    flags: list[bool],
    statistics: list[str],
    cell: str,
) -> tuple[Tensor, ...]:
    *_, return_sequences, training = flags
    (batch, hidden), size = h0.shape, BYTES // w_hh.itemsize
    lanes = TILE_VECTORS * size
    return (
        w_hh.new_empty(steps if return_sequences or training else 0, batch, hidden),
        w_hh.new_empty(batch, hidden),
        w_hh.new_empty(batch, c0.shape[1]),
        w_hh.new_empty(batch, len(statistics), hidden),
        w_hh.new_empty(_reserve_size(-(-batch // lanes), steps, hidden, size) if training else 0),
    )


impl("unspool::lstm", "Meta", _lstm_shapes)


def _lstm_backward_shapes(
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
    h_mask: Tensor | None,
    h: Tensor,
    pooled: Tensor,
    reserve: Tensor,
    flags: list[bool],
    statistics: list[str],
    x_needed: bool,
    cell: str,
) -> tuple[Tensor, ...]:
    (batch, hidden), new = h0.shape, w_hh.new_empty
    features = 0 if x is None else x.shape[2]
    context_size = 0 if context is None else context.shape[1]
    return (
        new(batch, len(h), features if x_needed else 0),
        new(len(w_hh), features),
        new(len(w_hh), hidden),
        new(4 * hidden),
        new(batch, context_size),
        new(len(w_hh), context_size),
        new(batch, hidden),
        new(batch, c0.shape[1]),
    )


impl("unspool::lstm_backward", "Meta", _lstm_backward_shapes)


def _save_for_backward(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    x, w_ih, w_hh, _, context, w_context, h0, c0, lengths, h_mask, _, *others = inputs
    ctx.flags, ctx.statistics, ctx.cell = others
    h, _, _, pooled, reserve = output
    ctx.mark_non_differentiable(reserve)
    ctx.set_materialize_grads(False)
    ctx.save_for_backward(
        x, w_ih, w_hh, context, w_context, h0, c0, lengths, h_mask, h, pooled, reserve
    )


def _differentiate(
    ctx: Any,
    grad_h: Tensor | None,
    grad_h_n: Tensor | None,
    grad_c_n: Tensor | None,
    grad_pooled: Tensor | None,
    _: Tensor | None,
) -> tuple[Tensor | None, ...]:
    needed = ctx.needs_input_grad[:8]
    gradients = torch.ops.unspool.lstm_backward(
        grad_h,
        grad_h_n,
        grad_c_n,
        grad_pooled,
        *ctx.saved_tensors,
        ctx.flags,
        ctx.statistics,
        needed[0],
        ctx.cell,
    )
    chosen = [g if need else None for g, need in zip(gradients, needed, strict=True)]
    return (*chosen, None, None, None, None, None, None)


def _refuse_second_derivative(ctx: Any, *_: Tensor | None) -> None:
    raise InputError("`backend` 'compiled' has no second derivative; use backend='stepwise'.")


register_autograd("unspool::lstm", _differentiate, setup_context=_save_for_backward)
register_autograd("unspool::lstm_backward", _refuse_second_derivative)
