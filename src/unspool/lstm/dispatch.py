"""The contract of the recurrence, and the choice of the backend that keeps it."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor

from unspool import _checks
from unspool.errors import InputError
from unspool.lstm import reference
from unspool.lstm.backends import compiled, stepwise, torch_lstm
from unspool.lstm.call import Call
from unspool.lstm.pooling import STATISTICS, pooled


class Choice(NamedTuple):
    """The backend that runs a call, and why that one."""

    name: str
    reason: str


# In order of preference. Each module has `refusal(call)`, the reason it cannot serve a call or
# None, and `run(...)` with the arguments of `lstm`, all of them given. Only `compiled` is asked for
# statistics; the others give the states, and they are taken of these.
BACKENDS = {"compiled": compiled, "torch": torch_lstm, "stepwise": stepwise}


def choose(call: Call, backend: str = "auto") -> Choice:
    """Name the backend that will run `call`.

    "auto" takes the first that can serve it, in the order of `BACKENDS`, but leaves out `compiled`
    where `torch` was measured to be faster.

    Raises
    ------
    InputError
        Where `backend` is unknown, or asked for by name and cannot serve the call.
    """
    if backend == "auto":
        refusals: list[str] = []
        for name, module in BACKENDS.items():
            refusal = module.refusal(call)
            if refusal is None and name == "compiled" and torch_lstm.refusal(call) is None:
                refusal = compiled.slower(call)
            if refusal is None:
                return Choice(name, "; ".join(refusals) or "first choice for this cell")
            refusals.append(f"{name} {refusal}")
        raise InputError(f"No backend serves this cell: {'; '.join(refusals)}.")
    _checks.raise_all(_checks.choice("backend", backend, ["auto", *BACKENDS]))
    refusal = BACKENDS[backend].refusal(call)
    if refusal is not None:
        raise InputError(f"`backend` {backend!r} {refusal}; take 'auto' or another one.")
    return Choice(backend, "asked for by name")


def lstm(
    x: Tensor | None,
    w_ih: Tensor | None,
    w_hh: Tensor,
    bias: Tensor,
    *,
    context: Tensor | None = None,
    w_context: Tensor | None = None,
    h0: Tensor | None = None,
    c0: Tensor | None = None,
    lengths: Tensor | None = None,
    steps: int | None = None,
    activation: str = "tanh",
    recurrent_activation: str = "sigmoid",
    reverse: bool = False,
    return_sequences: bool = True,
    statistics: Sequence[str] = (),
    backend: str = "auto",
    on_choice: Callable[[Choice], None] | None = None,
) -> tuple[Tensor, Tensor, Tensor]:
    """Run a batch of whole sequences through one LSTM layer, in one direction.

    Gates lie in the order i, f, c, o (see `unspool.lstm.reference`, where the equations are).

    Parameters
    ----------
    x : tensor of shape (B, T, F), or None
        None for a layer that reads nothing at its steps; `steps` says how many there are then.
    w_ih, w_hh, bias : tensors of shape (4H, F), (4H, H), (4H,)
        `w_ih` is None where `x` is.
    context, w_context : tensors of shape (B, C) and (4H, C), optional
        An input that is the same at every step, such as a repeated code, and its weights. A
        backend may multiply the two once per sequence.
    h0, c0 : tensors of shape (B, H), optional
        The initial state, zeros by default.
    lengths : whole-number tensor of shape (B,), optional
        Real steps of every sequence. Later ones leave the state as it was, whatever `x` holds
        there (it must be finite): the amount of padding changes no output and no gradient.
    reverse : bool, default False
        Read every sequence from its own last real step to its first. ``h[:, t]`` still belongs
        to step t.
    return_sequences : bool, default True
        Without it only the final states are wanted, and `h` comes back empty, (B, 0, H).
    statistics : sequence of {"last", "mean", "max", "min", "std"}, default ()
        With ``return_sequences=False``: `h` comes back as these statistics of the states over the
        real steps of each sequence, (B, K, H) for K of them, as `unspool.lstm.pooling` defines
        them. Where several steps have the largest or the smallest state, `compiled` gives its
        gradient to the one read last, the other backends to all of them in equal parts.
    activation, recurrent_activation : str
        Of the cell ("tanh", "relu") and of its gates ("sigmoid", "hard_sigmoid").
    backend : str, default "auto"
        A name in `BACKENDS`; one asked for by name serves the call or raises, it never gives way.
    on_choice : callable, optional
        Called with the `Choice`: the backend that runs, and why.

    Returns
    -------
    h : tensor of shape (B, T, H)
        The state after each step; past the end of a sequence, its last one. Or statistics.
    h_n, c_n : tensors of shape (B, H)
        The state after the last real step read; the initial state where the length is 0.
    """
    known = next((tensor for tensor in (x, context, h0) if tensor is not None), None)
    if known is None or (x is None and steps is None):
        raise InputError("Expected `x`, or `steps` with a `context` or an initial state.")
    _checks.raise_all(
        _checks.choice("activation", activation, reference.ACTIVATIONS),
        _checks.choice(
            "recurrent_activation", recurrent_activation, reference.RECURRENT_ACTIVATIONS
        ),
    )
    if statistics:
        _checks.raise_all(*_checks.choices("statistics", statistics, STATISTICS))
    if statistics and return_sequences:
        raise InputError(
            "Expected `return_sequences` False with `statistics`, which come in place of the "
            "states."
        )
    inputs = (x, w_ih, w_hh, bias, context, w_context, h0, c0)
    call = Call(
        activation,
        recurrent_activation,
        reverse,
        return_sequences,
        training=torch.is_grad_enabled() and any(i is not None and i.requires_grad for i in inputs),
        device=w_hh.device.type,
        dtype=w_hh.dtype,
        batch=len(known),
        hidden=w_hh.shape[1],
        statistics=tuple(statistics),
    )
    choice = choose(call, backend)
    if on_choice is not None:
        on_choice(choice)
    outside = bool(call.statistics) and choice.name != "compiled"
    if outside:
        call = replace(call, return_sequences=True, statistics=())
    zeros = torch.zeros(len(known), w_hh.shape[1], dtype=w_hh.dtype, device=w_hh.device)
    h, h_n, c_n = BACKENDS[choice.name].run(
        x,
        w_ih,
        w_hh,
        bias,
        context,
        w_context,
        zeros if h0 is None else h0,
        zeros if c0 is None else c0,
        lengths,
        int(steps or 0) if x is None else x.shape[1],
        call,
    )
    return pooled(statistics, h, h_n, lengths) if outside else h, h_n, c_n
