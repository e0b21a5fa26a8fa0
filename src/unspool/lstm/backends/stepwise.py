"""The backend "stepwise": the equations step by step under autograd; slow, but for every cell."""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from unspool._padding import reverse_within
from unspool.lstm.call import Call

ACTIVATIONS: Mapping[str, Callable[[Tensor], Tensor]] = {"tanh": torch.tanh, "relu": torch.relu}
RECURRENT_ACTIVATIONS: Mapping[str, Callable[[Tensor], Tensor]] = {
    "sigmoid": torch.sigmoid,
    # torch's hardsigmoid has a float32 for 1/6, so its gradient is off by 5e-9 in float64.
    "hard_sigmoid": lambda x: torch.nn.functional.relu6(x + 3) / 6,
}


def refusal(call: Call) -> str | None:
    """Return None: this backend serves every call."""
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
    phi, sigma = ACTIVATIONS[call.activation], RECURRENT_ACTIVATIONS[call.recurrent_activation]
    recurrent_bias = bias[3 * h0.shape[1] :]  # of the candidate of a GRU
    constant = bias if call.cell == "lstm" else bias[: 3 * h0.shape[1]]
    if context is not None and w_context is not None:
        constant = context @ w_context.T + constant
    inputs = None
    if x is not None and w_ih is not None:
        inputs = (reverse_within(x, lengths) if call.reverse else x) @ w_ih.T

    h, c, states = h0, c0, []
    for t in range(steps):
        read = h if h_mask is None else h * h_mask
        step = None if inputs is None else inputs[:, t]
        if call.cell == "lstm":
            z = read @ w_hh.T + constant
            i, f, g, o = (z if step is None else z + step).chunk(4, 1)
            new_c = sigma(f) * c + sigma(i) * phi(g)
            new_h = sigma(o) * phi(new_c)
        else:
            x_z, x_r, x_n = (constant if step is None else constant + step).chunk(3, -1)
            u_z, u_r, u_n = (read @ w_hh.T).chunk(3, 1)
            z, r, new_c = sigma(x_z + u_z), sigma(x_r + u_r), c
            n = phi(x_n + r * (u_n + recurrent_bias))
            new_h = n + z * (h - n)
        if lengths is None:
            h, c = new_h, new_c
        else:
            real = (t < lengths)[:, None]
            h, c = torch.where(real, new_h, h), torch.where(real, new_c, c)
        states.append(h)
    if not states or not call.return_sequences:
        return h0.new_zeros(len(h0), 0, h0.shape[1]), h, c
    stacked = torch.stack(states, 1)
    return reverse_within(stacked, lengths) if call.reverse else stacked, h, c
