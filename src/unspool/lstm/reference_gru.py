"""The GRU in NumPy, readable as the equations; all backends are tested against it.

Gates lie in the order **z, r, n** (update, reset, candidate) along the first axis of every weight:
Keras's order. This is the variant of cuDNN, PyTorch and Keras (``reset_after=True``), where the
gate r multiplies the recurrent part of the candidate after the product with U [2]_, not h before
it [1]_. That part has a separate bias, b_rn, the fourth block of `bias`. The equations are

    z = σ(W_z x + V_z k + U_z h + b_z)          W  w_ih       (3H, F)   x  the input of the step
    r = σ(W_r x + V_r k + U_r h + b_r)          V  w_context  (3H, C)   k  the context, the same
    m = U_n h + b_rn                            U  w_hh       (3H, H)      at every step
    n = φ(W_n x + V_n k + b_n + r m)            b  bias       (4H,)
    h ← z h + (1 - z) n

σ is `recurrent_activation`, φ is `activation`. `forward` runs them.

`backward` runs the steps from the last to the first. ∂y is the gradient of a loss with respect to
y, and δ is the gradient with respect to the argument of σ or φ; h₋ is the state before the step. ∂h
starts as the gradient of the final state; then, at each step,

    ∂h ← ∂h + the gradient of `h` at this step
    δ_z = ∂h (h₋ - n) σ'       ∂W += [δ_z δ_r δ_n] xᵀ       ∂x  = Wᵀ [δ_z δ_r δ_n]
    δ_n = ∂h (1 - z) φ'        ∂V += [δ_z δ_r δ_n] kᵀ       ∂k += Vᵀ [δ_z δ_r δ_n]
    δ_r = δ_n m σ'             ∂U += [δ_z δ_r ∂m] h₋ᵀ       ∂h ← z ∂h + Uᵀ [δ_z δ_r ∂m]
    ∂m  = δ_n r                ∂b += [δ_z δ_r δ_n ∂m]

where ∂h ends as the gradient of the initial state. Past the end of a sequence the state does not
change, so δ is 0 there and ∂h passes through.

With `h_mask` q, which is the same at every step, U is multiplied by q h instead of h: q h₋ replaces
h₋ in ∂U, and ∂h ← z ∂h + q Uᵀ [δ_z δ_r ∂m].

References
----------
.. [1] K. Cho et al. (2014). Learning phrase representations using RNN encoder-decoder for
   statistical machine translation. EMNLP.
.. [2] J. Appleyard, T. Kočiský, P. Blunsom (2016). Optimizing performance of recurrent neural
   networks on GPUs. arXiv 1604.01946.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from unspool._types import CellActivationName, GateActivationName
from unspool.lstm.reference import (
    ACTIVATIONS,
    RECURRENT_ACTIVATIONS,
    SLOPES,
    Array,
    Lengths,
    reverse_within,
)


def forward(
    x: Array | None,
    w_ih: Array | None,
    w_hh: Array,
    bias: Array,
    *,
    context: Array | None = None,
    w_context: Array | None = None,
    h0: Array | None = None,
    lengths: Lengths | None = None,
    h_mask: Array | None = None,
    steps: int | None = None,
    activation: CellActivationName = "tanh",
    recurrent_activation: GateActivationName = "sigmoid",
    reverse: bool = False,
) -> tuple[Array, Array]:
    """Run a batch of whole sequences through one GRU layer in one direction.

    Parameters
    ----------
    x : array of shape (B, T, F), or None
        The sequences. If None, the layer reads nothing at its steps, and `steps` is required. The
        padding is never read; it may be NaN.
    w_ih : array of shape (3H, F), or None
        Weights of the input. None if `x` is None.
    w_hh : array of shape (3H, H)
        Weights of the hidden state.
    bias : array of shape (4H,)
        Bias of the gates z, r and n, and of the recurrent part of n.
    context : array of shape (B, C), optional
        An input that is the same at every step.
    w_context : array of shape (3H, C), optional
        Weights of the context.
    h0 : array of shape (B, H), optional
        Initial hidden state, zeros by default.
    lengths : integer array of shape (B,), optional
        Number of real steps of each sequence, all T by default.
    h_mask : array of shape (B, H), optional
        Factor of the hidden state that the gates read (recurrent dropout), ones by default. The
        state that z keeps is not multiplied.
    steps : int, optional
        Number of steps T; required if `x` is None, ignored otherwise.
    activation : {"tanh", "relu"}, default "tanh"
        Activation of the candidate, φ.
    recurrent_activation : {"sigmoid", "hard_sigmoid"}, default "sigmoid"
        Activation of the gates, σ.
    reverse : bool, default False
        If True, each sequence is read from its last real step to its first.

    Returns
    -------
    h : array of shape (B, T, H)
        The hidden state after each step; past the end of a sequence, its final state.
    h_n : array of shape (B, H)
        The hidden state after the last real step that was read; `h0` if the length is 0.

    See Also
    --------
    backward : Gradients of the arguments.
    unspool.lstm.lstm : The same function in PyTorch, with ``cell="gru"``.

    Examples
    --------
    >>> import numpy as np
    >>> from unspool.lstm import reference_gru
    >>> x = np.ones((2, 3, 1))  # two sequences of three steps with one feature
    >>> w_ih, w_hh, bias = np.ones((3, 1)), np.zeros((3, 1)), np.zeros(4)
    >>> h, h_n = reference_gru.forward(x, w_ih, w_hh, bias, lengths=np.array([3, 1]))
    >>> h[:, :, 0].round(3)
    array([[0.205, 0.355, 0.464],
           [0.205, 0.205, 0.205]])
    """
    full = _fill_in(x, w_ih, w_hh, context, w_context, h0, lengths, h_mask, steps, reverse)
    h = full.h0
    states = np.empty((*full.real.shape, w_hh.shape[1]), w_hh.dtype)
    for t, step in enumerate(_unroll(full, w_hh, bias, activation, recurrent_activation)):
        states[:, t] = h = step.h
    return (reverse_within(states, full.lengths) if reverse else states), h


def backward(
    x: Array | None,
    w_ih: Array | None,
    w_hh: Array,
    bias: Array,
    *,
    grad_h: Array | None = None,
    grad_h_n: Array | None = None,
    context: Array | None = None,
    w_context: Array | None = None,
    h0: Array | None = None,
    lengths: Lengths | None = None,
    h_mask: Array | None = None,
    steps: int | None = None,
    activation: CellActivationName = "tanh",
    recurrent_activation: GateActivationName = "sigmoid",
    reverse: bool = False,
) -> dict[str, Array]:
    """Compute the gradients of a loss from its gradients with respect to the results of `forward`.

    Parameters
    ----------
    x, w_ih, w_hh, bias, context, w_context, h0, lengths, h_mask, steps, activation, \
recurrent_activation, reverse
        As in `forward`.
    grad_h : array of shape (B, T, H), optional
        Gradient with respect to `h`, zeros by default. Past the end of a sequence it adds to the
        gradient of the final state, which `h` repeats there.
    grad_h_n : array of shape (B, H), optional
        Gradient with respect to `h_n`, zeros by default.

    Returns
    -------
    dict of str to array
        The gradient of each argument by its name, in its shape: "w_hh", "bias" and "h0" always,
        "x" and "w_ih", "context" and "w_context" if they were given. "x" is 0 in the padding.

    See Also
    --------
    forward : The forward pass, which this function runs again.

    Examples
    --------
    >>> import numpy as np
    >>> from unspool.lstm import reference_gru
    >>> x, w_ih, w_hh, bias = np.ones((2, 3, 1)), np.ones((3, 1)), np.zeros((3, 1)), np.zeros(4)
    >>> sorted(reference_gru.backward(x, w_ih, w_hh, bias, grad_h_n=np.ones((2, 1))))
    ['bias', 'h0', 'w_hh', 'w_ih', 'x']
    """
    full = _fill_in(x, w_ih, w_hh, context, w_context, h0, lengths, h_mask, steps, reverse)
    unrolled = list(_unroll(full, w_hh, bias, activation, recurrent_activation))
    phi_slope, sigma_slope = SLOPES[activation], SLOPES[recurrent_activation]
    if grad_h is None:
        grad_h = np.zeros((*full.real.shape, w_hh.shape[1]), w_hh.dtype)
    elif reverse:
        grad_h = reverse_within(grad_h, full.lengths)

    d_x, d_w_ih = np.zeros_like(full.x), np.zeros_like(full.w_ih)
    d_context, d_w_context = np.zeros_like(full.context), np.zeros_like(full.w_context)
    d_w_hh, d_bias = np.zeros_like(w_hh), np.zeros_like(bias)
    d_h = np.zeros_like(full.h0) if grad_h_n is None else grad_h_n
    for t in reversed(range(len(unrolled))):
        z, r, n, m, h_before, _ = unrolled[t]
        real = full.real[:, t, None]
        d_h = d_h + grad_h[:, t]
        delta_z = d_h * (h_before - n) * sigma_slope(z)
        delta_n = d_h * (1 - z) * phi_slope(n)
        delta_r = delta_n * m * sigma_slope(r)
        d_m = delta_n * r
        both = np.where(real, np.concatenate([delta_z, delta_r, delta_n, d_m], axis=1), 0)
        d_z_r, d_n, d_m = np.split(both, [2 * d_m.shape[1], 3 * d_m.shape[1]], axis=1)
        delta = np.concatenate([d_z_r, d_n], axis=1)
        recurrent = np.concatenate([d_z_r, d_m], axis=1)

        d_x[:, t] = delta @ full.w_ih
        d_context += delta @ full.w_context
        d_w_ih += delta.T @ full.x[:, t]
        d_w_context += delta.T @ full.context
        d_w_hh += recurrent.T @ (full.h_mask * h_before)
        d_bias += both.sum(axis=0)
        d_h = np.where(real, z * d_h + full.h_mask * (recurrent @ w_hh), d_h)

    gradients = {"w_hh": d_w_hh, "bias": d_bias, "h0": d_h}
    if x is not None:
        gradients["x"] = reverse_within(d_x, full.lengths) if reverse else d_x
        gradients["w_ih"] = d_w_ih
    if context is not None:
        gradients |= {"context": d_context, "w_context": d_w_context}
    return gradients


class _Arguments(NamedTuple):
    """The arguments of a call, all of them present: an input that was left out has a width of 0."""

    x: Array  # (B, T, F), in the order it is read, 0 in the padding
    w_ih: Array  # (3H, F)
    context: Array  # (B, C)
    w_context: Array  # (3H, C)
    h0: Array  # (B, H)
    lengths: Lengths  # (B,)
    real: npt.NDArray[np.bool_]  # (B, T), False past the end of a sequence
    h_mask: Array  # (B, H)


class _Step(NamedTuple):
    """The values of one step, all of shape (B, H)."""

    z: Array
    r: Array
    n: Array
    m: Array  # U_n h + b_rn
    h_before: Array
    h: Array  # past the end of a sequence, h_before


def _fill_in(
    x: Array | None,
    w_ih: Array | None,
    w_hh: Array,
    context: Array | None,
    w_context: Array | None,
    h0: Array | None,
    lengths: Lengths | None,
    h_mask: Array | None,
    steps: int | None,
    reverse: bool,
) -> _Arguments:
    """Replace every argument that was left out by a value that changes no result."""
    batch = next(len(array) for array in (x, context, h0) if array is not None)
    rows, hidden = w_hh.shape
    if x is None or w_ih is None:
        assert steps is not None
        x, w_ih = np.zeros((batch, steps, 0), w_hh.dtype), np.zeros((rows, 0), w_hh.dtype)
    if context is None or w_context is None:
        context, w_context = np.zeros((batch, 0), w_hh.dtype), np.zeros((rows, 0), w_hh.dtype)
    lengths = np.full(batch, x.shape[1]) if lengths is None else np.asarray(lengths)
    real = np.arange(x.shape[1]) < lengths[:, None]
    return _Arguments(
        np.where(real[:, :, None], reverse_within(x, lengths) if reverse else x, 0),
        w_ih,
        context,
        w_context,
        np.zeros((batch, hidden), w_hh.dtype) if h0 is None else h0,
        lengths,
        real,
        np.ones((batch, hidden), w_hh.dtype) if h_mask is None else h_mask,
    )


def _unroll(
    full: _Arguments, w_hh: Array, bias: Array, activation: str, recurrent_activation: str
) -> Iterator[_Step]:
    """Compute the equations step by step."""
    phi, sigma = ACTIVATIONS[activation], RECURRENT_ACTIVATIONS[recurrent_activation]
    hidden = w_hh.shape[1]
    constant = full.context @ full.w_context.T + bias[: 3 * hidden]
    inputs = full.x @ full.w_ih.T + constant[:, None]
    h = full.h0
    for t in range(inputs.shape[1]):
        u_z, u_r, u_n = np.split((full.h_mask * h) @ w_hh.T, 3, axis=1)
        x_z, x_r, x_n = np.split(inputs[:, t], 3, axis=1)
        z, r = sigma(x_z + u_z), sigma(x_r + u_r)
        m = u_n + bias[3 * hidden :]
        n = phi(x_n + r * m)
        h_before = h
        h = np.where(full.real[:, t, None], z * h + (1 - z) * n, h)
        yield _Step(z, r, n, m, h_before, h)
