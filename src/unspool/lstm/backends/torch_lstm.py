"""The backend "torch": torch's LSTM and GRU, on a GPU by cuDNN, on a CPU (LSTM) by oneDNN.

These kernels support neither a context nor lengths (packed sequences are slower), so both become
columns of the input:

- the context is repeated at every step, as a hand-written model would do;
- past the end of a sequence, an extra column opens the forget gate completely and closes the input
  gate, which keeps c exactly; h is then read from the last real step. A GRU, which has no c, does
  not need this column.
"""

from typing import Any

import torch
from torch import Tensor

from unspool._padding import reverse_within
from unspool.lstm.call import Call

GATE_CLOSED = 1e9  # added to a gate's sum (or subtracted), it makes its σ exactly 1 (or 0)


def refusal(call: Call) -> str | None:
    """Say why this backend cannot serve `call`, or return None if it can."""
    if call.activation != "tanh" or call.recurrent_activation != "sigmoid":
        return (
            "runs tanh cells with sigmoid gates only, not "
            f"{call.activation} with {call.recurrent_activation}"
        )
    if call.h_mask:
        return "has no mask of the hidden state (recurrent dropout)"
    return None


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
    h_mask: Tensor | None = None,
) -> tuple[Tensor, Tensor, Tensor]:
    """Run the sequences; see `unspool.lstm.dispatch.lstm` for arguments and results."""
    batch, hidden = h0.shape
    if steps == 0:
        return h0.new_zeros(batch, 0, hidden), h0, c0
    past = None
    if lengths is not None:
        past = (torch.arange(steps, device=h0.device) >= lengths[:, None])[:, :, None]
    columns, weights = [], []
    if x is not None and w_ih is not None:
        if call.reverse:
            x = reverse_within(x, lengths)
        columns.append((x if past is None else x.masked_fill(past, 0)).transpose(0, 1))
        weights.append(w_ih)
    if context is not None and w_context is not None:
        columns.append(context.expand(steps, -1, -1))
        weights.append(w_context)
    gru = call.cell == "gru"
    if past is not None and not gru:
        columns.append(past.to(h0.dtype).transpose(0, 1))
        i_f_c_o = torch.tensor([-GATE_CLOSED, GATE_CLOSED, 0, 0], dtype=h0.dtype, device=h0.device)
        weights.append(i_f_c_o.repeat_interleave(hidden)[:, None])
    if not columns:
        columns.append(h0.new_zeros(steps, batch, 1))
        weights.append(h0.new_zeros(len(w_hh), 1))
    kernel = weights[0] if len(weights) == 1 else torch.cat(weights, 1)
    parameters = [kernel, w_hh, bias, torch.zeros_like(bias)]
    if gru:
        parameters = gru_parameters(kernel, w_hh, bias)
    initial = h0[None].contiguous()  # cuDNN refuses gaps
    options: Any = {
        "params": parameters if call.device == "cpu" else contiguous_weights(parameters),
        "has_biases": True,
        "num_layers": 1,
        "dropout": 0.0,
        "train": torch.is_grad_enabled(),
        "bidirectional": False,
        "batch_first": False,
    }
    sequences = columns[0] if len(columns) == 1 else torch.cat(columns, 2)
    if gru:
        h, h_n = torch.gru(sequences, initial, **options)
        c_n = c0
    else:
        h, h_n, c_n = torch.lstm(sequences, (initial, c0[None].contiguous()), **options)
        c_n = c_n[0]
    h = h.transpose(0, 1)
    if lengths is None:
        h_n = h_n[0]  # the gradient of h[:, -1] would be as large as h
    else:
        last = torch.arange(steps, device=h0.device).minimum(lengths[:, None] - 1)
        if not call.return_sequences:
            last = last[:, -1:]
        h = h.gather(1, last.clamp(min=0)[:, :, None].expand(-1, -1, hidden))
        h = torch.where((lengths == 0)[:, None, None], h0[:, None], h)
        h_n = h[:, -1]
    if not call.return_sequences:
        h = h[:, :0]
    elif call.reverse:
        h = reverse_within(h, lengths)
    return h, h_n, c_n


def gru_parameters(kernel: Tensor, w_hh: Tensor, bias: Tensor) -> list[Tensor]:
    """Return the weights of a GRU as torch has them: gates r, z, n, and two biases."""
    b_z, b_r, b_n, b_rn = bias.chunk(4)
    none = torch.zeros_like(b_z)
    w_hh, kernel = reordered(w_hh), reordered(kernel)
    return [kernel, w_hh, torch.cat([b_r, b_z, b_n]), torch.cat([none, none, b_rn])]


def one_gru_bias(b_ih: Tensor, b_hh: Tensor) -> Tensor:
    """Return the bias of a GRU, of z, r, n and rn, from the two of torch."""
    (i_r, i_z, i_n), (h_r, h_z, h_n) = b_ih.chunk(3), b_hh.chunk(3)
    return torch.cat([i_z + h_z, i_r + h_r, i_n, h_n])


def reordered(weight: Tensor) -> Tensor:
    """Return a weight of a GRU with its gates r, z, n from one with z, r, n, or the reverse."""
    first, second, third = weight.chunk(3)
    return torch.cat([second, first, third])


def contiguous_weights(parameters: list[Tensor]) -> list[Tensor]:
    """Return views of `parameters` in one chunk of memory, through which gradients flow.

    cuDNN needs one chunk; otherwise it warns at every call and copies the weights itself. The
    chunk is not kept between calls, since the weights may change in ways that cannot be noticed.
    Copying is one kernel; on a CPU it would cost as much as a call of one step.
    """
    chunk = torch.cat([each.flatten() for each in parameters])
    pieces = chunk.split_with_sizes([each.numel() for each in parameters])
    return [piece.view_as(each) for piece, each in zip(pieces, parameters, strict=True)]
