"""The LSTM in NumPy, readable as the equations; all backends are tested against it.

Gates lie in the order **i, f, c, o** (input, forget, cell candidate, output) along the first axis
of every weight: Keras's order, and PyTorch's, which calls the third one g. The equations are

    i = σ(W_i x + V_i k + U_i h + b_i)         W  w_ih       (4H, F)   x  the input of the step
    f = σ(W_f x + V_f k + U_f h + b_f)         V  w_context  (4H, C)   k  the context, the same
    c̃ = φ(W_c x + V_c k + U_c h + b_c)         U  w_hh       (4H, H)      at every step
    o = σ(W_o x + V_o k + U_o h + b_o)         b  bias       (4H,)
    c ← f c + i c̃
    h ← o φ(c)

σ is `recurrent_activation`, φ is `activation`. `forward` runs them.

`backward` runs the steps from the last to the first [3]_. ∂y is the gradient of a loss with respect
to y, and δ is the gradient with respect to the argument of σ or φ; h₋ and c₋ are the state before
the step. ∂h and ∂c start as the gradients of the final state; then, at each step,

    ∂h ← ∂h + the gradient of `h` at this step
    ∂c ← ∂c + ∂h o φ'(c)
    δ_i = ∂c c̃ σ'        ∂W += δ xᵀ        ∂x  = Wᵀ δ
    δ_f = ∂c c₋ σ'       ∂V += δ kᵀ        ∂k += Vᵀ δ
    δ_c = ∂c i φ'        ∂U += δ h₋ᵀ       ∂h ← Uᵀ δ
    δ_o = ∂h φ(c) σ'     ∂b += δ           ∂c ← f ∂c

where ∂h and ∂c end as the gradients of the initial state. Past the end of a sequence the state
does not change, so δ is 0 there and ∂h and ∂c pass through.

With `h_mask` m, which is the same at every step, the gates read m h instead of h: m h₋ replaces h₋
in ∂U, and ∂h ← m Uᵀ δ.

The cell has the forget gate of [2]_ and no peepholes. The gradient is exact, as in [4]_, not
truncated as in [1]_.

References
----------
.. [1] S. Hochreiter, J. Schmidhuber (1997). Long short-term memory. Neural Computation 9(8).
.. [2] F. A. Gers, J. Schmidhuber, F. Cummins (2000). Learning to forget: continual prediction with
   LSTM. Neural Computation 12(10).
.. [3] P. J. Werbos (1990). Backpropagation through time: what it does and how to do it. Proceedings
   of the IEEE 78(10).
.. [4] A. Graves, J. Schmidhuber (2005). Framewise phoneme classification with bidirectional LSTM
   and other neural network architectures. Neural Networks 18(5–6).
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from unspool._types import CellActivationName, CellName, GateActivationName
from unspool.blueprint.cells import CELLS

Array = npt.NDArray[np.floating[Any]]
Lengths = npt.NDArray[np.integer[Any]]


def sigmoid(x: Array) -> Array:
    """Return 1 / (1 + exp(-x)), computed by tanh, which cannot overflow."""
    return np.asarray(0.5 + 0.5 * np.tanh(0.5 * x))


ACTIVATIONS: Mapping[str, Callable[[Array], Array]] = {
    "tanh": np.tanh,
    "relu": lambda x: np.maximum(x, 0),
}
RECURRENT_ACTIVATIONS: Mapping[str, Callable[[Array], Array]] = {
    "sigmoid": sigmoid,
    "hard_sigmoid": lambda x: np.clip(x / 6 + 0.5, 0, 1),
}
# The derivative of each, as a function of its output y; 0 at a kink.
SLOPES: Mapping[str, Callable[[Array], Array]] = {
    "tanh": lambda y: 1 - y**2,
    "relu": lambda y: (y > 0).astype(y.dtype),
    "sigmoid": lambda y: y * (1 - y),
    "hard_sigmoid": lambda y: ((y > 0) & (y < 1)).astype(y.dtype) / 6,
}


def split_gates(weight: Array, cell: CellName = "lstm") -> dict[str, Array]:
    """Split a weight (4H, ...) by gate: ``{"i": (H, ...), "f": ..., "c": ..., "o": ...}``.

    The weights of a GRU (3H, ...) have the gates z, r and n, and its bias (4H,) has rn as well.
    """
    kind = CELLS[cell]
    blocks = kind.biases if weight.ndim == 1 else kind.gates
    return dict(zip(blocks, np.split(weight, len(blocks)), strict=True))


def join_gates(gates: Mapping[str, Mapping[str, Array]]) -> dict[str, Any]:
    """Join weights that were split by gate, as arguments of `forward`: ``forward(x, **joined)``."""
    order = {gate: place for kind in CELLS.values() for place, gate in enumerate(kind.biases)}
    return {
        name: np.concatenate([by[gate] for gate in sorted(by, key=order.__getitem__)])
        for name, by in gates.items()
    }


def reverse_within(x: Array, lengths: Lengths) -> Array:
    """Reverse the real steps of each sequence (B, T, ...) and leave its padding in place."""
    steps = np.arange(x.shape[1])
    source = np.where(steps < lengths[:, None], lengths[:, None] - 1 - steps, steps)
    return x[np.arange(len(x))[:, None], source]


def forward(
    x: Array | None,
    w_ih: Array | None,
    w_hh: Array,
    bias: Array,
    *,
    context: Array | None = None,
    w_context: Array | None = None,
    h0: Array | None = None,
    c0: Array | None = None,
    lengths: Lengths | None = None,
    h_mask: Array | None = None,
    steps: int | None = None,
    activation: CellActivationName = "tanh",
    recurrent_activation: GateActivationName = "sigmoid",
    reverse: bool = False,
) -> tuple[Array, Array, Array]:
    """Run a batch of whole sequences through one LSTM layer in one direction.

    Parameters
    ----------
    x : array of shape (B, T, F), or None
        The sequences. If None, the layer reads nothing at its steps, and `steps` is required. The
        padding is never read; it may be NaN.
    w_ih : array of shape (4H, F), or None
        Weights of the input. None if `x` is None.
    w_hh : array of shape (4H, H)
        Weights of the hidden state.
    bias : array of shape (4H,)
        Bias of the gates.
    context : array of shape (B, C), optional
        An input that is the same at every step.
    w_context : array of shape (4H, C), optional
        Weights of the context.
    h0, c0 : arrays of shape (B, H), optional
        Initial hidden state and cell state, zeros by default.
    lengths : integer array of shape (B,), optional
        Number of real steps of each sequence, all T by default.
    h_mask : array of shape (B, H), optional
        Factor of the hidden state that the gates read (recurrent dropout), ones by default.
    steps : int, optional
        Number of steps T; required if `x` is None, ignored otherwise.
    activation : {"tanh", "relu"}, default "tanh"
        Activation of the cell, φ.
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
    c_n : array of shape (B, H)
        The cell state after the same step; `c0` if the length is 0.

    See Also
    --------
    backward : Gradients of the arguments.
    unspool.lstm.lstm : The same function in PyTorch.

    Examples
    --------
    >>> import numpy as np
    >>> from unspool.lstm import reference
    >>> x = np.ones((2, 3, 1))  # two sequences of three steps with one feature
    >>> w_ih, w_hh, bias = np.ones((4, 1)), np.zeros((4, 1)), np.zeros(4)
    >>> h, h_n, c_n = reference.forward(x, w_ih, w_hh, bias, lengths=np.array([3, 1]))
    >>> h[:, :, 0].round(3)
    array([[0.37 , 0.545, 0.622],
           [0.37 , 0.37 , 0.37 ]])
    """
    full = _fill_in(x, w_ih, w_hh, context, w_context, h0, c0, lengths, h_mask, steps, reverse)
    h, c = full.h0, full.c0
    states = np.empty((*full.real.shape, w_hh.shape[1]), w_hh.dtype)
    for t, step in enumerate(_unroll(full, w_hh, bias, activation, recurrent_activation)):
        h, c = step.h, step.c
        states[:, t] = h
    return (reverse_within(states, full.lengths) if reverse else states), h, c


def backward(
    x: Array | None,
    w_ih: Array | None,
    w_hh: Array,
    bias: Array,
    *,
    grad_h: Array | None = None,
    grad_h_n: Array | None = None,
    grad_c_n: Array | None = None,
    context: Array | None = None,
    w_context: Array | None = None,
    h0: Array | None = None,
    c0: Array | None = None,
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
    x : array of shape (B, T, F), or None
        The sequences. If None, the layer reads nothing at its steps, and `steps` is required. The
        padding is never read; it may be NaN.
    w_ih : array of shape (4H, F), or None
        Weights of the input. None if `x` is None.
    w_hh : array of shape (4H, H)
        Weights of the hidden state.
    bias : array of shape (4H,)
        Bias of the gates.
    grad_h : array of shape (B, T, H), optional
        Gradient with respect to `h`, zeros by default. Past the end of a sequence it adds to the
        gradient of the final state, which `h` repeats there.
    grad_h_n, grad_c_n : arrays of shape (B, H), optional
        Gradients with respect to `h_n` and `c_n`, zeros by default.
    context : array of shape (B, C), optional
        An input that is the same at every step.
    w_context : array of shape (4H, C), optional
        Weights of the context.
    h0, c0 : arrays of shape (B, H), optional
        Initial hidden state and cell state, zeros by default.
    lengths : integer array of shape (B,), optional
        Number of real steps of each sequence, all T by default.
    h_mask : array of shape (B, H), optional
        Factor of the hidden state that the gates read (recurrent dropout), ones by default.
    steps : int, optional
        Number of steps T; required if `x` is None, ignored otherwise.
    activation : {"tanh", "relu"}, default "tanh"
        Activation of the cell, φ.
    recurrent_activation : {"sigmoid", "hard_sigmoid"}, default "sigmoid"
        Activation of the gates, σ.
    reverse : bool, default False
        If True, each sequence is read from its last real step to its first.

    Returns
    -------
    dict of str to array
        The gradient of each argument by its name, in its shape: "w_hh", "bias", "h0" and "c0"
        always, "x" and "w_ih", "context" and "w_context" if they were given. "x" is 0 in the
        padding.

    See Also
    --------
    forward : The forward pass, which this function runs again.

    Examples
    --------
    >>> import numpy as np
    >>> from unspool.lstm import reference
    >>> x, w_ih, w_hh, bias = np.ones((2, 3, 1)), np.ones((4, 1)), np.zeros((4, 1)), np.zeros(4)
    >>> gradients = reference.backward(x, w_ih, w_hh, bias, grad_h_n=np.ones((2, 1)))
    >>> sorted(gradients)
    ['bias', 'c0', 'h0', 'w_hh', 'w_ih', 'x']
    >>> gradients["x"].shape
    (2, 3, 1)
    """
    full = _fill_in(x, w_ih, w_hh, context, w_context, h0, c0, lengths, h_mask, steps, reverse)
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
    d_c = np.zeros_like(full.c0) if grad_c_n is None else grad_c_n
    for t in reversed(range(len(unrolled))):
        i, f, g, o, phi_c, h_before, c_before, *_ = unrolled[t]
        real = full.real[:, t, None]
        d_h = d_h + grad_h[:, t]
        d_new_c = d_c + d_h * o * phi_slope(phi_c)
        delta_i = d_new_c * g * sigma_slope(i)
        delta_f = d_new_c * c_before * sigma_slope(f)
        delta_g = d_new_c * i * phi_slope(g)
        delta_o = d_h * phi_c * sigma_slope(o)
        delta = np.where(real, np.concatenate([delta_i, delta_f, delta_g, delta_o], axis=1), 0)

        d_x[:, t] = delta @ full.w_ih
        d_context += delta @ full.w_context
        d_w_ih += delta.T @ full.x[:, t]
        d_w_context += delta.T @ full.context
        d_w_hh += delta.T @ (full.h_mask * h_before)
        d_bias += delta.sum(axis=0)
        d_h = np.where(real, full.h_mask * (delta @ w_hh), d_h)
        d_c = np.where(real, d_new_c * f, d_c)

    gradients = {"w_hh": d_w_hh, "bias": d_bias, "h0": d_h, "c0": d_c}
    if x is not None:
        gradients["x"] = reverse_within(d_x, full.lengths) if reverse else d_x
        gradients["w_ih"] = d_w_ih
    if context is not None:
        gradients |= {"context": d_context, "w_context": d_w_context}
    return gradients


class _Arguments(NamedTuple):
    """The arguments of a call, all of them present: an input that was left out has a width of 0."""

    x: Array  # (B, T, F), in the order it is read, 0 in the padding
    w_ih: Array  # (4H, F)
    context: Array  # (B, C)
    w_context: Array  # (4H, C)
    h0: Array  # (B, H)
    c0: Array  # (B, H)
    lengths: Lengths  # (B,)
    real: npt.NDArray[np.bool_]  # (B, T), False past the end of a sequence
    h_mask: Array  # (B, H)


class _Step(NamedTuple):
    """The values of one step, all of shape (B, H)."""

    i: Array
    f: Array
    g: Array  # the cell candidate c̃
    o: Array
    phi_c: Array  # φ(c)
    h_before: Array
    c_before: Array
    h: Array  # past the end of a sequence, h_before
    c: Array  # past the end of a sequence, c_before


def _fill_in(
    x: Array | None,
    w_ih: Array | None,
    w_hh: Array,
    context: Array | None,
    w_context: Array | None,
    h0: Array | None,
    c0: Array | None,
    lengths: Lengths | None,
    h_mask: Array | None,
    steps: int | None,
    reverse: bool,
) -> _Arguments:
    """Replace every argument that was left out by a value that changes no result."""
    batch = next(len(array) for array in (x, context, h0) if array is not None)
    gates, hidden = w_hh.shape
    zeros = np.zeros((batch, hidden), w_hh.dtype)
    if x is None or w_ih is None:
        assert steps is not None
        x, w_ih = np.zeros((batch, steps, 0), w_hh.dtype), np.zeros((gates, 0), w_hh.dtype)
    if context is None or w_context is None:
        context, w_context = np.zeros((batch, 0), w_hh.dtype), np.zeros((gates, 0), w_hh.dtype)
    lengths = np.full(batch, x.shape[1]) if lengths is None else np.asarray(lengths)
    real = np.arange(x.shape[1]) < lengths[:, None]
    return _Arguments(
        np.where(real[:, :, None], reverse_within(x, lengths) if reverse else x, 0),
        w_ih,
        context,
        w_context,
        zeros if h0 is None else h0,
        zeros if c0 is None else c0,
        lengths,
        real,
        np.ones_like(zeros) if h_mask is None else h_mask,
    )


def _unroll(
    full: _Arguments, w_hh: Array, bias: Array, activation: str, recurrent_activation: str
) -> Iterator[_Step]:
    """Compute the equations step by step."""
    phi, sigma = ACTIVATIONS[activation], RECURRENT_ACTIVATIONS[recurrent_activation]
    constant = full.context @ full.w_context.T + bias
    inputs = full.x @ full.w_ih.T
    h, c = full.h0, full.c0
    for t in range(inputs.shape[1]):
        z_i, z_f, z_c, z_o = np.split(
            inputs[:, t] + (full.h_mask * h) @ w_hh.T + constant, 4, axis=1
        )
        i, f, g, o = sigma(z_i), sigma(z_f), phi(z_c), sigma(z_o)
        new_c = f * c + i * g
        phi_c = phi(new_c)
        real = full.real[:, t, None]
        h_before, c_before = h, c
        h, c = np.where(real, o * phi_c, h), np.where(real, new_c, c)
        yield _Step(i, f, g, o, phi_c, h_before, c_before, h, c)
