"""The backend "compiled": kernels for the CPU, compiled by Numba.

The kernels are in `unspool.lstm.compiled`, the PyTorch operators that run them in
`unspool.lstm.operators`.
"""

import math

import numpy as np
import torch
from numba.core import config
from torch import Tensor

from unspool.lstm import (
    few,
    operators,  # noqa: F401  (registers torch.ops.unspool.lstm)
)
from unspool.lstm.call import Call, initial_state
from unspool.lstm.compiled import recurrence, small_batch, stream_step
from unspool.lstm.compiled.few import layout
from unspool.lstm.prepared import LIKE

# In training, torch's LSTM is faster on small batches of wide layers: a tile costs the same
# however few of its lanes are used. An entry (units, sequences) says that layers of up to `units`
# units need at least `sequences` sequences to be faster here; measured, see
# benchmarks/results/crossover.txt. In inference the choice does not depend on the batch, so that a
# sequence has the same code alone and in a batch.
CROSSOVER = ((16, 2), (32, 12), (64, 28), (math.inf, 40))
# torch has no fused kernels for a GRU on a CPU, and is faster on very few sequences only.
GRU_CROSSOVER = ((128, 0), (math.inf, 4))


def refusal(call: Call) -> str | None:
    """Say why this backend cannot serve `call`, or return None if it can."""
    if call.device != "cpu":
        return f"runs on the CPU, not on {call.device}"
    if call.dtype not in LIKE:
        return f"computes in float32 or float64, not in {str(call.dtype).removeprefix('torch.')}"
    if config.DISABLE_JIT:  # type: ignore[attr-defined]  # read from the environment
        return "needs Numba's compiler, which NUMBA_DISABLE_JIT switches off"
    return None


def slower(call: Call) -> str | None:
    """Say why "auto" prefers the backend "torch" for `call`, or return None if it does not."""
    if call.batch is None or call.hidden is None or not call.training:
        return None
    crossover = GRU_CROSSOVER if call.cell == "gru" else CROSSOVER
    fewest = next(batch for units, batch in crossover if call.hidden <= units)
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
    h0: Tensor | None,
    c0: Tensor | None,
    lengths: Tensor | None,
    steps: int,
    call: Call,
    h_mask: Tensor | None = None,
) -> tuple[Tensor, Tensor, Tensor]:
    """Run the sequences; see `unspool.lstm.dispatch.lstm` for arguments and results.

    Without `h0` or `c0`, they are zeros.
    """
    flags = [
        call.activation == "relu",
        call.recurrent_activation == "hard_sigmoid",
        call.reverse,
        call.return_sequences,
        call.training,
    ]
    statistics: list[str] = list(call.statistics)
    if not call.training and h_mask is None and _is_direct(w_hh if x is None else x):
        found = few.run(
            x, w_ih, w_hh, bias, context, w_context, h0, c0, lengths, steps, flags, statistics,
            call.cell,
        )  # fmt: skip
        if found is not None:
            h, h_n, c_n, pooled = found
            if h is None:
                h = h_n.new_empty(0, *h_n.shape)
            return h.transpose(0, 1) if pooled is None else pooled, h_n, c_n
    given = x if x is not None else context if context is not None else h0
    assert given is not None
    h0, c0 = initial_state(h0, c0, given.shape[0], w_hh, call.cell)
    if "std" in statistics and "mean" not in statistics:
        statistics.append("mean")  # which the gradient of "std" needs
    h, h_n, c_n, pooled, _ = torch.ops.unspool.lstm(
        x,
        w_ih,
        w_hh,
        bias,
        context,
        w_context,
        h0,
        c0,
        lengths,
        h_mask,
        steps,
        flags,
        statistics,
        call.cell,
    )
    if statistics:
        return pooled[:, : len(call.statistics)], h_n, c_n
    return (h if call.return_sequences else h[:0]).transpose(0, 1), h_n, c_n


def _is_direct(x: Tensor) -> bool:
    """Return whether a call is only computed, and neither traced nor transformed.

    The kernels can then run without PyTorch's dispatcher, which takes as long as a short sequence.
    """
    return (
        torch.is_inference_mode_enabled()
        and type(x) in (Tensor, torch.nn.Parameter)
        and not torch.jit.is_tracing()  # type: ignore[attr-defined,no-untyped-call]
        and not torch.compiler.is_compiling()
        and not torch._C._len_torch_dispatch_stack()  # modes such as FakeTensorMode
        and torch._C._functorch.peek_interpreter_stack() is None  # torch.func.vmap
    )


def warmup() -> str | None:
    """Compile the kernels of this backend, or load them from disk, by running each of them once.

    Returns
    -------
    str or None
        The folder that keeps the compiled code; None if no folder can be written.
    """
    one, weight = torch.ones(1, 1), torch.ones(4, 1, requires_grad=True)
    inputs = (one[None], weight, weight, weight[:, 0], None, None, one, one, None)
    with torch.enable_grad():
        h, *_ = run(*inputs, steps=1, call=Call())
        torch.autograd.grad(h.sum(), weight)
    with torch.no_grad():
        run(*inputs, steps=1, call=Call(training=False))
    weights = {"w_hh": weight.data_ptr(), "bias": weight.data_ptr()}
    layout("lstm", 1, 0, 0, np.float32).packed(small_batch.Arguments(hidden=1, **weights))
    stream_step.warmup()
    kernels = (
        small_batch.pack,
        small_batch.forward,
        stream_step.advance,
        stream_step.write_present_code,
        recurrence.pack_forward,
        recurrence.forward,
        recurrence.pack_backward,
        recurrence.backward,
    )
    folders = [kernel.folder for kernel in kernels]
    return None if None in folders else folders[0]
