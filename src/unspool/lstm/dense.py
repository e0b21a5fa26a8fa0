"""Dense layers in inference, as a PyTorch operator ``unspool::dense``.

PyTorch's float32 result for a row depends on the number of rows: its library computes small and
large batches differently. Here all rows are computed in the same way, so that a sequence has the
same bits alone and in a batch.
"""

import numpy as np
import torch
from torch import Tensor
from torch.library import define, impl

from unspool.errors import InputError
from unspool.lstm import threads
from unspool.lstm.backends.compiled import refusal
from unspool.lstm.call import Call
from unspool.lstm.compiled import dense
from unspool.lstm.compiled.vector import BYTES
from unspool.lstm.prepared import LIKE

ROWS_PER_THREAD, PRODUCTS_PER_THREAD = (
    256,
    1 << 21,
)  # minimum work of a thread


def linear(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Return ``x @ weight.T + bias`` (…, O) for vectors x (…, I), without gradients.

    If compiled code cannot run (on a GPU, in another dtype), PyTorch computes it.

    Parameters
    ----------
    x : tensor of shape (…, I)
    weight : tensor of shape (O, I)
    bias : tensor of shape (O,)
    """
    if refusal(Call(device=x.device.type, dtype=x.dtype)) is not None:
        return torch.nn.functional.linear(x, weight, bias)
    flat = x.reshape(-1, weight.shape[1])
    out: Tensor = torch.ops.unspool.dense(flat, weight, bias)
    return out.view(*x.shape[:-1], len(weight))


def _dense(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Compute (N, O) from x (N, I), weight (O, I) and bias (O,)."""
    (count, inputs), outputs, like = x.shape, len(weight), LIKE[x.dtype]
    given = [(one.shape, one.dtype) for one in (weight, bias)]
    if given != [
        ((outputs, inputs), x.dtype),
        ((outputs,), x.dtype),
    ]:  # the kernel would leave the arrays
        raise InputError(
            f"Expected weights ({outputs}, {inputs}) and a bias ({outputs},) in {x.dtype}, got "
            f"{', '.join(f'{tuple(shape)} in {dtype}' for shape, dtype in given)}."
        )
    x, weight, bias = x.contiguous(), weight.contiguous(), bias.contiguous()
    out = x.new_empty(count, outputs)
    addresses = [one.data_ptr() for one in (x, weight, bias, out)]
    record = np.array([(inputs, outputs, *addresses)], dense.RECORD)
    workers = min(
        threads.count(), count // ROWS_PER_THREAD, count * inputs * outputs // PRODUCTS_PER_THREAD
    )
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


define("unspool::dense", "(Tensor x, Tensor weight, Tensor bias) -> Tensor")
impl("unspool::dense", "CPU", _dense)


def _dense_shape(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    return x.new_empty(len(x), len(weight))


impl("unspool::dense", "Meta", _dense_shape)
