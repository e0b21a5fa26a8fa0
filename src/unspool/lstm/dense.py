"""Dense layers in inference, as a PyTorch operator ``unspool::rows``.

What PyTorch gives for a row in float32 depends on how many rows there are: its library computes a
few in another way than many. Here all rows are computed alike, so that a sequence has the same
numbers alone and among others.
"""

import numpy as np
import torch
from torch import Tensor
from torch.library import define, impl, register_fake

from unspool.errors import InputError
from unspool.lstm import threads
from unspool.lstm.backends.compiled import refusal
from unspool.lstm.call import Call
from unspool.lstm.compiled import dense
from unspool.lstm.compiled.vector import BYTES
from unspool.lstm.prepared import LIKE

ROWS, PRODUCTS = 256, 1 << 21  # that are worth a thread


def linear(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """``x @ weight.T + bias`` of vectors x (…, I), without gradients.

    Where compiled code cannot run (a GPU, another dtype) PyTorch computes it.
    """
    if refusal(Call(device=x.device.type, dtype=x.dtype)) is not None:
        return torch.nn.functional.linear(x, weight, bias)
    flat = x.reshape(-1, weight.shape[1])
    out: Tensor = torch.ops.unspool.rows(flat, weight, bias)
    return out.view(*x.shape[:-1], len(weight))


def _rows(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """(N, O) of x (N, I), weight (O, I) and bias (O,)."""
    (count, inputs), outputs, like = x.shape, len(weight), LIKE[x.dtype]
    given = [(one.shape, one.dtype) for one in (weight, bias)]
    if given != [((outputs, inputs), x.dtype), ((outputs,), x.dtype)]:  # memory is at stake
        raise InputError(
            f"Expected weights ({outputs}, {inputs}) and a bias ({outputs},) in {x.dtype}, got "
            f"{', '.join(f'{tuple(shape)} in {dtype}' for shape, dtype in given)}."
        )
    x, weight, bias = x.contiguous(), weight.contiguous(), bias.contiguous()
    out = x.new_empty(count, outputs)
    addresses = [one.data_ptr() for one in (x, weight, bias, out)]
    record = np.array([(inputs, outputs, *addresses)], dense.RECORD)
    workers = min(threads.count(), count // ROWS, count * inputs * outputs // PRODUCTS)
    size = BYTES // x.itemsize
    values = dense.workspace_size(inputs, len(like) * size, size)
    workspaces = [x.new_empty(values) for _ in range(max(1, workers))]
    threads.run(
        lambda first, last, thread: dense.multiply(
            record, first, last, workspaces[thread].data_ptr(), like
        ),
        count,
        len(workspaces),
    )
    return out


define("unspool::rows", "(Tensor x, Tensor weight, Tensor bias) -> Tensor")
impl("unspool::rows", "CPU", _rows)


@register_fake("unspool::rows")  # type: ignore[untyped-decorator]
def _(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    return x.new_empty(len(x), len(weight))
