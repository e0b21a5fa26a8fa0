"""The function `lstm`, and the choice of the backend that runs it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import product
from typing import NamedTuple

import torch
from torch import Tensor

from unspool import _checks
from unspool._types import (
    Auto,
    BackendName,
    CellActivationName,
    CellName,
    GateActivationName,
    StatisticName,
)
from unspool.blueprint.cells import CELLS
from unspool.errors import InputError
from unspool.lstm import reference
from unspool.lstm.backends import Backend, compiled, stepwise, torch_lstm
from unspool.lstm.call import Call, initial_state
from unspool.lstm.pooling import STATISTICS, pooled


class Choice(NamedTuple):
    """The backend that runs a call, and the reason for it.

    Parameters
    ----------
    name : str
        A name in `BACKENDS`.
    reason : str
        Why this backend was chosen: that it was requested, that it is the first choice, or why
        the backends before it were not chosen.

    See Also
    --------
    choose : Return the choice for a call.
    """

    name: str
    reason: str


BACKENDS: Mapping[str, Backend] = {
    "compiled": compiled,
    "torch": torch_lstm,
    "stepwise": stepwise,
}
"""The backends by name, in the order in which "auto" prefers them.

Each is a module with the functions of `unspool.lstm.backends.Backend`.
"""


# The kinds of layers, which are checked at every call.
KINDS = frozenset(product(reference.ACTIVATIONS, reference.RECURRENT_ACTIVATIONS, CELLS))


def choose(call: Call, backend: BackendName | Auto = "auto") -> Choice:
    """Name the backend that runs `call`.

    Parameters
    ----------
    call : Call
        The call, see `Call`.
    backend : {"auto", "compiled", "torch", "stepwise"}, default "auto"
        With "auto", the first backend in `BACKENDS` that serves the call is chosen. In training,
        "compiled" is passed over for small batches of wide layers, where "torch" was measured to
        be faster. A backend requested by name is never replaced by another one.

    Returns
    -------
    Choice
        The name of the backend, and the reason.

    Raises
    ------
    InputError
        If `backend` is unknown, or if it is requested by name and cannot serve the call.

    See Also
    --------
    lstm : Run a call on the backend that this function names.

    Examples
    --------
    >>> from unspool.lstm import Call, choose
    >>> choose(Call())
    Choice(name='compiled', reason='first choice for this cell')
    >>> choose(Call(device="cuda"))
    Choice(name='torch', reason='compiled runs on the CPU, not on cuda')
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
        raise InputError(f"`backend` {backend!r} {refusal}; use 'auto' or another backend.")
    return Choice(backend, "requested by name")


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
    h_mask: Tensor | None = None,
    steps: int | None = None,
    activation: CellActivationName = "tanh",
    recurrent_activation: GateActivationName = "sigmoid",
    reverse: bool = False,
    return_sequences: bool = True,
    statistics: Sequence[StatisticName] = (),
    backend: BackendName | Auto = "auto",
    on_choice: Callable[[Choice], None] | None = None,
    cell: CellName = "lstm",
) -> tuple[Tensor, Tensor, Tensor]:
    """Run a batch of whole sequences through one LSTM or GRU layer in one direction.

    The gates of an LSTM are ordered i, f, c, o along the first axis of every weight, as in Keras
    and PyTorch; `unspool.lstm.reference` states the equations. Those of a GRU are ordered z, r, n,
    as in Keras; `unspool.lstm.reference_gru` states its equations. G is the number of gates, 4 or
    3. Autograd computes the gradients of all tensors.

    Parameters
    ----------
    x : tensor of shape (B, T, F), or None
        The sequences. If None, the layer reads nothing at its steps, and `steps` is required.
    w_ih : tensor of shape (G·H, F), or None
        Weights of the input. None if `x` is None.
    w_hh : tensor of shape (G·H, H)
        Weights of the hidden state.
    bias : tensor of shape (4H,)
        Bias of the gates; for a GRU also, as the fourth block, that of the recurrent part of n.
    context : tensor of shape (B, C), optional
        An input that is the same at every step, such as a repeated code. Backends may multiply it
        by its weights once per sequence instead of at every step.
    w_context : tensor of shape (G·H, C), optional
        Weights of the context.
    h0, c0 : tensors of shape (B, H), optional
        Initial hidden state and cell state, zeros by default. A GRU has no `c0`.
    lengths : whole-number tensor of shape (B,), optional
        Number of real steps of each sequence, all T by default. Later steps are padding: they
        keep the state and affect no output and no gradient, whatever finite values `x` has there.
    h_mask : tensor of shape (B, H), optional
        Factor of the hidden state that the gates read, the same at every step (recurrent dropout
        [1]_). The state that is returned and passed on is not multiplied. It has no gradient.
        "torch" does not support it.
    steps : int, optional
        Number of steps T; required if `x` is None, ignored otherwise.
    activation : {"tanh", "relu"}, default "tanh"
        Activation of the cell.
    recurrent_activation : {"sigmoid", "hard_sigmoid"}, default "sigmoid"
        Activation of the gates. "hard_sigmoid" is ``x / 6 + 0.5``, clipped to 0–1.
    reverse : bool, default False
        If True, each sequence is read from its last real step to its first. ``h[:, t]`` still
        belongs to step t.
    return_sequences : bool, default True
        If False, only the final states are computed, and `h` is empty, (B, 0, H).
    statistics : sequence of {"last", "mean", "max", "min", "std"}, default ()
        Requires ``return_sequences=False``. `h` then contains these K statistics of the states
        over the real steps, (B, K, H), see Notes.
    backend : {"auto", "compiled", "torch", "stepwise"}, default "auto"
        Which backend runs the layer, see `choose`.
    on_choice : callable, optional
        Is called with the `Choice` before the layer runs.
    cell : {"lstm", "gru"}, default "lstm"
        Kind of the cell.

    Returns
    -------
    h : tensor of shape (B, T, H)
        The hidden state after each step; past the end of a sequence, its final state. With
        `statistics`, these instead, (B, K, H).
    h_n : tensor of shape (B, H)
        The hidden state after the last real step that was read; `h0` if the length is 0.
    c_n : tensor of shape (B, H)
        The cell state after the same step; `c0` if the length is 0. For a GRU it is empty, (B, 0).

    Raises
    ------
    InputError
        If a name is unknown or repeated, if arguments are missing, if the requested backend cannot
        serve the call, if `h_mask` requires a gradient or has another shape, or, on "compiled", if
        shapes, dtypes or devices do not match.

    See Also
    --------
    choose : Name the backend without running it.
    unspool.lstm.reference.forward : The LSTM in NumPy.
    unspool.lstm.reference_gru.forward : The GRU in NumPy.
    unspool.nn.LSTM : Layers in a stack, as a module.

    Notes
    -----
    The standard deviation divides by the number of steps, and 1e-6 is added to the variance, which
    keeps its gradient finite. A sequence without steps has `h0` as its last, mean, largest and
    smallest state, and a standard deviation of 0. If several steps have the largest or smallest
    state, "compiled" assigns its gradient to the one that was read last; the other backends divide
    it equally.

    References
    ----------
    .. [1] Y. Gal, Z. Ghahramani (2016). A Theoretically Grounded Application of Dropout in
       Recurrent Neural Networks. NeurIPS 29.

    Examples
    --------
    >>> import torch
    >>> from unspool.lstm import lstm
    >>> x = torch.ones(2, 3, 1)  # two sequences of three steps with one feature
    >>> w_ih, w_hh, bias = torch.ones(20, 1), torch.zeros(20, 5), torch.zeros(20)
    >>> h, h_n, c_n = lstm(x, w_ih, w_hh, bias, lengths=torch.tensor([3, 1]))
    >>> h.shape, h_n.shape
    (torch.Size([2, 3, 5]), torch.Size([2, 5]))
    >>> torch.equal(h[1, 2], h[1, 0])  # padding keeps the state
    True
    """
    batched = x if x is not None else context if context is not None else h0
    if batched is None or (x is None and steps is None):
        raise InputError(
            "`x` is None; then `steps` is required, and `context` or `h0` for the batch size."
        )
    kind = (activation, recurrent_activation, cell)
    if kind not in KINDS:
        _checks.raise_all(
            _checks.choice("activation", activation, reference.ACTIVATIONS),
            _checks.choice(
                "recurrent_activation", recurrent_activation, reference.RECURRENT_ACTIVATIONS
            ),
            _checks.choice("cell", cell, CELLS),
        )
    if c0 is not None and not CELLS[cell].has_c and c0.shape[1]:
        raise InputError("A GRU has no cell state; leave `c0` None.")
    if statistics:
        _checks.raise_all(*_checks.choices("statistics", statistics, STATISTICS))
        if len(set(statistics)) < len(statistics):
            raise InputError(f"`statistics` {tuple(statistics)} repeats a name; give each once.")
    if statistics and return_sequences:
        raise InputError(
            "`statistics` are returned instead of the states; they need return_sequences=False."
        )
    if h_mask is not None:
        _check_mask(h_mask, (batched.shape[0], w_hh.shape[1]))
    inputs = (x, w_ih, w_hh, bias, context, w_context, h0, c0)
    call = Call(
        activation,
        recurrent_activation,
        reverse,
        return_sequences,
        training=torch.is_grad_enabled() and any(i is not None and i.requires_grad for i in inputs),
        device=w_hh.device.type,
        dtype=w_hh.dtype,
        batch=batched.shape[0],
        hidden=w_hh.shape[1],
        statistics=tuple(statistics),
        cell=cell,
        h_mask=h_mask is not None,
    )
    choice = choose(call, backend)
    if on_choice is not None:
        on_choice(choice)
    pool_states = bool(call.statistics) and choice.name != "compiled"
    if pool_states:
        call = replace(call, return_sequences=True, statistics=())
    if choice.name != "compiled":  # whose kernels may begin without an array of zeros
        h0, c0 = initial_state(h0, c0, batched.shape[0], w_hh, cell)
    h, h_n, c_n = BACKENDS[choice.name].run(
        x,
        w_ih,
        w_hh,
        bias,
        context,
        w_context,
        h0,
        c0,
        lengths,
        int(steps or 0) if x is None else x.shape[1],
        call,
        h_mask,
    )
    return pooled(statistics, h, h_n, lengths) if pool_states else h, h_n, c_n


def _check_mask(h_mask: Tensor, shape: tuple[int, int]) -> None:
    if h_mask.shape != shape:
        raise InputError(f"Expected `h_mask` of shape {shape}, got {tuple(h_mask.shape)}.")
    if h_mask.requires_grad:
        raise InputError("`h_mask` has no gradient, but it requires one; pass `h_mask.detach()`.")
