"""Inference on a few sequences of tensors with the kernels of `compiled.small_batch`.

A short sequence takes a few microseconds, so everything around the kernels has to be short: there
are no objects for the arrays, no threads, and one allocation of working memory. The weights are
packed in every call, which takes less than a tenth of its time: packed weights that are kept would
have to notice every change of the weights, also through other views of their memory.
"""

import numpy as np
import torch
from torch import Tensor

from unspool._types import CellName
from unspool.lstm.compiled.few import STATISTIC_FIELDS, layout
from unspool.lstm.compiled.small_batch import Arguments
from unspool.lstm.pooling import deviation

NUMBERS = {torch.float32: np.float32, torch.float64: np.float64}
Results = tuple[Tensor | None, Tensor, Tensor, Tensor | None]


def run(
    x: Tensor | None,
    w_ih: Tensor | None,
    w_hh: Tensor,
    bias: Tensor,
    context: Tensor | None,
    w_context: Tensor | None,
    h0: Tensor | None,
    c0: Tensor | None,
    lengths: Tensor | None,
    steps: int,
    flags: list[bool],
    statistics: list[str],
    cell: CellName,
) -> Results | None:
    """Run the layer, if there are few sequences and all tensors are as the kernels expect them.

    The arguments are those of the operator ``unspool::lstm``; without `h0` and `c0`, the initial
    state is zero. Returns h (T, B, H), h_n, c_n and the statistics (B, K, H), with None instead of
    what is not requested. Returns None if nothing was run.
    """
    relu, hard, reverse, return_sequences, _ = flags
    hidden, dtype = w_hh.shape[-1], w_hh.dtype
    given = x if x is not None else context if context is not None else h0
    assert given is not None
    batch = given.shape[0]
    features = 0 if x is None else x.shape[-1]
    context_size = 0 if context is None else context.shape[-1]
    plan = layout(cell, hidden, features, context_size, NUMBERS[dtype])
    rows = plan.gates * hidden
    if batch > plan.most or not (
        _fits(x, dtype, batch, steps, features)
        and _fits(w_ih, dtype, rows, features)
        and _fits(w_hh, dtype, rows, hidden)
        and _fits(bias, dtype, 4 * hidden)
        and _fits(context, dtype, batch, context_size)
        and _fits(w_context, dtype, rows, context_size)
        and _fits(h0, dtype, batch, hidden)
        and _fits(c0, dtype, batch, hidden if plan.has_c else 0)
        and (x is None) == (w_ih is None)
        and (context is None) == (w_context is None)
    ):
        return None
    if lengths is not None:
        if not lengths.is_cpu or lengths.shape != (batch,) or lengths.is_floating_point():
            return None
        lengths = lengths.to(torch.int64).contiguous()
        if batch and not 0 <= min(every := lengths.tolist()) <= max(every) <= steps:
            return None
    if x is not None and x.stride(-1) != 1:
        x = x.contiguous()
    w_hh, bias = w_hh.contiguous(), bias.contiguous()
    w_ih = None if w_ih is None else w_ih.contiguous()
    w_context = None if w_context is None else w_context.contiguous()
    context = None if context is None else context.contiguous()
    h0 = None if h0 is None else h0.contiguous()
    c0 = None if c0 is None else c0.contiguous()

    new = w_hh.new_empty
    h_n, c_n = new((batch, hidden)), new((batch, hidden if plan.has_c else 0))
    h = new((steps, batch, hidden)) if return_sequences else None
    pooled = new((batch, len(statistics), hidden)) if statistics else None
    arguments = Arguments(
        batch,
        steps,
        hidden,
        features,
        context_size,
        relu,
        hard,
        reverse,
        0,
        w_hh.data_ptr(),
        0 if w_ih is None else w_ih.data_ptr(),
        0 if w_context is None else w_context.data_ptr(),
        bias.data_ptr(),
        0 if x is None else x.data_ptr(),
        0 if x is None else x.stride(0),
        0 if x is None else x.stride(1),
        0 if context is None else context.data_ptr(),
        0 if h0 is None else h0.data_ptr(),
        0 if c0 is None else c0.data_ptr(),
        0 if lengths is None else lengths.data_ptr(),
        0 if h is None else h.data_ptr(),
        hidden,
        batch * hidden,
        h_n.data_ptr(),
        c_n.data_ptr(),
        0 if pooled is None else pooled.data_ptr(),
        len(statistics) * hidden,
        hidden,
        **{STATISTIC_FIELDS[name]: k for k, name in enumerate(statistics)},
    )
    plan.run(arguments)
    if pooled is not None and "std" in statistics and steps:  # the kernels write the variance
        values = pooled[:, statistics.index("std")]
        values.copy_(deviation(values))
        if lengths is not None:
            values.masked_fill_((lengths == 0)[:, None], 0)
    return h, h_n, c_n, pooled


def _fits(array: Tensor | None, dtype: torch.dtype, *shape: int) -> bool:
    """Return whether an array has a shape and a type that the kernels can read."""
    if array is None:
        return True
    return array.shape == shape and array.dtype is dtype and array.is_cpu
