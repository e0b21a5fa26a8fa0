"""The equations a step at a time under autograd: slow, but it serves every cell in every dtype."""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from unspool.lstm.call import Call

ACTIVATIONS: Mapping[str, Callable[[Tensor], Tensor]] = {"tanh": torch.tanh, "relu": torch.relu}
RECURRENT_ACTIVATIONS: Mapping[str, Callable[[Tensor], Tensor]] = {
    "sigmoid": torch.sigmoid,
    "hard_sigmoid": torch.nn.functional.hardsigmoid,
}


def refusal(call: Call) -> str | None:
    """Say why this backend cannot serve `call`: it never refuses."""
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
) -> tuple[Tensor, Tensor, Tensor]:
    """Run the sequences from first step to last; arguments and results as in `dispatch.lstm`."""
    phi, sigma = ACTIVATIONS[call.activation], RECURRENT_ACTIVATIONS[call.recurrent_activation]
    constant = bias
    if context is not None and w_context is not None:
        constant = context @ w_context.T + bias
    inputs = x @ w_ih.T if x is not None and w_ih is not None else None

    h, c, states = h0, c0, []
    for t in range(steps):
        z = h @ w_hh.T + constant
        if inputs is not None:
            z = z + inputs[:, t]
        i, f, g, o = z.chunk(4, 1)
        new_c = sigma(f) * c + sigma(i) * phi(g)
        new_h = sigma(o) * phi(new_c)
        if lengths is None:
            h, c = new_h, new_c
        else:
            real = (t < lengths)[:, None]
            h, c = torch.where(real, new_h, h), torch.where(real, new_c, c)
        states.append(h)
    return torch.stack(states, 1) if states else h0.new_zeros(len(h0), 0, h0.shape[1]), h, c
