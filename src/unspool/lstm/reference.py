"""The LSTM in NumPy, readable as the equations; every backend is held against it.

Gates lie in the order **i, f, c, o** (input, forget, cell candidate, output) along the first axis
of every weight: Keras's order, and PyTorch's, which calls the third one g. Written down here once:

    i = σ(W_i x + V_i k + U_i h + b_i)         W  w_ih       (4H, F)   x  the input of the step
    f = σ(W_f x + V_f k + U_f h + b_f)         V  w_context  (4H, C)   k  the context, the same
    c̃ = φ(W_c x + V_c k + U_c h + b_c)         U  w_hh       (4H, H)      at every step
    o = σ(W_o x + V_o k + U_o h + b_o)         b  bias       (4H,)
    c ← f c + i c̃
    h ← o φ(c)

σ is `recurrent_activation`, φ is `activation`.

Source: Hochreiter & Schmidhuber 1997, with the forget gate of Gers, Schmidhuber & Cummins 2000;
no peepholes.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.floating[Any]]

GATES = ("i", "f", "c", "o")


def sigmoid(x: Array) -> Array:
    """1 / (1 + exp(-x)), by way of tanh, which cannot overflow."""
    return np.asarray(0.5 + 0.5 * np.tanh(0.5 * x))


ACTIVATIONS: Mapping[str, Callable[[Array], Array]] = {
    "tanh": np.tanh,
    "relu": lambda x: np.maximum(x, 0),
}
RECURRENT_ACTIVATIONS: Mapping[str, Callable[[Array], Array]] = {
    "sigmoid": sigmoid,
    "hard_sigmoid": lambda x: np.clip(x / 6 + 0.5, 0, 1),
}


def split_gates(weight: Array) -> dict[str, Array]:
    """Cut a weight (4H, ...) into its gates, ``{"i": (H, ...), "f": ..., "c": ..., "o": ...}``."""
    return dict(zip(GATES, np.split(weight, 4), strict=True))


def reverse_within(x: Array, lengths: npt.NDArray[np.integer[Any]]) -> Array:
    """Turn round the real steps of every sequence (B, T, ...) and leave its padding in place."""
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
    lengths: npt.NDArray[np.integer[Any]] | None = None,
    steps: int | None = None,
    activation: str = "tanh",
    recurrent_activation: str = "sigmoid",
    reverse: bool = False,
) -> tuple[Array, Array, Array]:
    """Run whole sequences; the arguments are those of `unspool.lstm.lstm`, as NumPy arrays.

    Returns
    -------
    h : array of shape (B, T, H)
        The state after each step; past the end of a sequence, its last one.
    h_n, c_n : arrays of shape (B, H)
        The state after the last real step; the initial state where the length is 0.
    """
    known = next(array for array in (x, context, h0) if array is not None)
    batch, hidden = len(known), w_hh.shape[1]
    if x is not None:
        steps = x.shape[1]
    assert steps is not None
    lengths = np.full(batch, steps) if lengths is None else np.asarray(lengths)
    phi, sigma = ACTIVATIONS[activation], RECURRENT_ACTIVATIONS[recurrent_activation]

    constant = bias if context is None or w_context is None else context @ w_context.T + bias
    inputs = np.zeros((batch, steps, 1), w_hh.dtype)
    if x is not None and w_ih is not None:
        inputs = (reverse_within(x, lengths) if reverse else x) @ w_ih.T

    h = np.zeros((batch, hidden), w_hh.dtype) if h0 is None else h0
    c = np.zeros((batch, hidden), w_hh.dtype) if c0 is None else c0
    states = np.empty((batch, steps, hidden), w_hh.dtype)
    for t in range(steps):
        i, f, g, o = np.split(inputs[:, t] + h @ w_hh.T + constant, 4, axis=1)
        new_c = sigma(f) * c + sigma(i) * phi(g)
        new_h = sigma(o) * phi(new_c)
        real = (t < lengths)[:, None]
        h, c = np.where(real, new_h, h), np.where(real, new_c, c)
        states[:, t] = h
    return (reverse_within(states, lengths) if reverse else states), h, c
