"""Means over time of dilated convolutions, as a PyTorch operator ``unspool::kernel_means``.

It is fast because the values of the convolutions at the steps are never written to memory. Each
sequence is computed independently, so that it has the same bits alone and in a batch.
"""

import numpy as np
import torch
from torch import Tensor
from torch.library import define, impl
from torch.nn import functional

from unspool.errors import InputError
from unspool.lstm import threads
from unspool.lstm.backends.compiled import refusal
from unspool.lstm.call import Call
from unspool.lstm.compiled import convolutions
from unspool.lstm.compiled.vector import BYTES
from unspool.lstm.prepared import LIKE

PRODUCTS_PER_THREAD = 1 << 21  # minimum work for which another thread pays off


def kernel_means(
    x: Tensor, lengths: Tensor | None, weight: Tensor, bias: Tensor, dilations: tuple[int, ...]
) -> Tensor:
    """Return the means (B, K) over the real steps of ``hard_sigmoid(bias + weight * x)``.

    The convolutions are causal. Copies of the first step precede a sequence, so that a kernel with
    mean 0 does not respond to the level at which it begins. For a sequence without steps the means
    are 0. Compiled code computes them on a CPU if no gradients are needed, else PyTorch.

    Parameters
    ----------
    x : tensor of shape (B, T, F)
        Values past the end of a sequence have no effect; they have to be finite.
    lengths : whole-number tensor of shape (B,), optional
        Number of real steps of each sequence, all T by default.
    weight : tensor of shape (K, F, taps)
    bias : tensor of shape (K,)
    dilations : tuple of int
        Dilations in steps. The first K / len(dilations) kernels have the first dilation, the next
        ones the second, and so on.
    """
    grad = torch.is_grad_enabled() and any(one.requires_grad for one in (x, weight, bias))
    if grad or refusal(Call(device=x.device.type, dtype=x.dtype)) is not None:
        return convolved_means(x, lengths, weight, bias, dilations)
    means: Tensor = torch.ops.unspool.kernel_means(x, lengths, weight, bias, list(dilations))
    return means


def convolved(x: Tensor, weight: Tensor, dilation: int) -> Tensor:
    """Return causal convolutions (B, K, T) of sequences (B, T, F) with kernels (K, F, taps)."""
    before = (weight.shape[2] - 1) * dilation
    padded = functional.pad(x.transpose(1, 2), (before, 0), mode="replicate")
    return functional.conv1d(padded, weight, None, 1, 0, dilation)


def convolved_means(
    x: Tensor, lengths: Tensor | None, weight: Tensor, bias: Tensor, dilations: tuple[int, ...]
) -> Tensor:
    """Return the result of `kernel_means`, computed by PyTorch with gradients."""
    (batch, steps, _), each = x.shape, len(weight) // len(dilations)
    if not steps:
        return x.new_zeros(batch, len(weight))
    count = x.new_full((batch, 1), steps)
    real = None
    if lengths is not None:
        count = lengths.clamp(min=1).to(x.dtype)[:, None]
        real = (torch.arange(steps, device=x.device) < lengths[:, None])[:, None]
    means = []
    weights, biases = torch.split(weight, each), torch.split(bias, each)
    for dilation, kernels, shift in zip(dilations, weights, biases, strict=True):
        values = functional.hardsigmoid(convolved(x, kernels, dilation) + shift[:, None])
        means.append((values if real is None else values.masked_fill(~real, 0)).sum(2) / count)
    return torch.cat(means, 1)


def _means(
    x: Tensor, lengths: Tensor | None, weight: Tensor, bias: Tensor, dilations: list[int]
) -> Tensor:
    (batch, steps, features), (count, _, taps) = x.shape, weight.shape
    like, groups = LIKE[x.dtype], len(dilations)
    divisible = count == groups * (count // max(groups, 1)) and min(dilations, default=0) > 0
    given = [(tuple(one.shape), one.dtype) for one in (weight, bias)]
    if not divisible or given != [((count, features, taps), x.dtype), ((count,), x.dtype)]:
        raise InputError(  # the kernel would leave the arrays
            f"Expected kernels (K, {features}, taps) and a bias (K,) in {x.dtype} with K a "
            f"multiple of the number of dilations, got {given} and {dilations}."
        )
    if lengths is not None:
        ends = lengths.to(torch.int64).contiguous()
        if ends.shape != (batch,) or (
            batch and not 0 <= int(ends.min()) <= int(ends.max()) <= steps
        ):
            raise InputError(f"Expected {batch} lengths of 0 to {steps}, got {lengths}.")
    x, bias = x.contiguous(), bias.contiguous()
    weight = weight.transpose(1, 2).contiguous()  # (K, taps, F)
    spread = torch.tensor(dilations)
    out = x.new_empty(batch, count)
    arguments = convolutions.Arguments(
        batch,
        steps,
        features,
        taps,
        count // groups,
        groups,
        x.data_ptr(),
        0 if lengths is None else ends.data_ptr(),
        weight.data_ptr(),
        bias.data_ptr(),
        spread.data_ptr(),
        out.data_ptr(),
    )
    record = np.array([tuple(arguments)], convolutions.RECORD)
    workers = max(
        1, min(threads.count(), batch, batch * steps * weight.numel() // PRODUCTS_PER_THREAD)
    )
    size = BYTES // x.itemsize
    values = convolutions.workspace_size(arguments, max(dilations), len(like) * size, size)
    workspaces = [x.new_empty(values) for _ in range(workers)]
    threads.run(
        lambda first, last, thread: convolutions.means(
            record, first, last, workspaces[thread].data_ptr(), like
        ),
        batch,
        workers,
    )
    return out


define(
    "unspool::kernel_means",
    "(Tensor x, Tensor? lengths, Tensor weight, Tensor bias, int[] dilations) -> Tensor",
)
impl("unspool::kernel_means", "CPU", _means)


def _kernel_means_shape(
    x: Tensor, lengths: Tensor | None, weight: Tensor, bias: Tensor, dilations: list[int]
) -> Tensor:
    return x.new_empty(len(x), len(weight))


impl("unspool::kernel_means", "Meta", _kernel_means_shape)
