"""The backend "torch": torch's LSTM, which runs on oneDNN on a CPU and on cuDNN on a GPU.

These kernels support neither a context nor lengths (packed sequences are slower), so both become
columns of the input:

- the context is repeated at every step, as a hand-written model would do;
- past the end of a sequence, an extra column opens the forget gate completely and closes the input
  gate, which keeps c exactly; h is then read from the last real step.
"""

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
    if past is not None:
        columns.append(past.to(h0.dtype).transpose(0, 1))
        i_f_c_o = torch.tensor([-GATE_CLOSED, GATE_CLOSED, 0, 0], dtype=h0.dtype, device=h0.device)
        weights.append(i_f_c_o.repeat_interleave(hidden)[:, None])
    if not columns:
        columns.append(h0.new_zeros(steps, batch, 1))
        weights.append(h0.new_zeros(4 * hidden, 1))
    kernel = weights[0] if len(weights) == 1 else torch.cat(weights, 1)
    parameters = [kernel, w_hh, bias, torch.zeros_like(bias)]
    h, h_n, c_n = torch.lstm(
        columns[0] if len(columns) == 1 else torch.cat(columns, 2),
        (h0[None].contiguous(), c0[None].contiguous()),  # cuDNN refuses gaps
        parameters if call.device == "cpu" else contiguous_weights(parameters),
        has_biases=True,
        num_layers=1,
        dropout=0.0,
        train=torch.is_grad_enabled(),
        bidirectional=False,
        batch_first=False,
    )
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
    return h, h_n, c_n[0]


def contiguous_weights(parameters: list[Tensor]) -> list[Tensor]:
    """Return views of `parameters` in one chunk of memory, through which gradients flow.

    cuDNN needs one chunk; otherwise it warns at every call and copies the weights itself. The
    chunk is not kept between calls, since the weights may change in ways that cannot be noticed.
    Copying is one kernel; on a CPU it would cost as much as a call of one step.
    """
    chunk = torch.cat([each.flatten() for each in parameters])
    pieces = chunk.split_with_sizes([each.numel() for each in parameters])
    return [piece.view_as(each) for piece, each in zip(pieces, parameters, strict=True)]
