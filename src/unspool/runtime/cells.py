"""The state of recurrent layers in NumPy, and how a step changes it.

One matrix product computes everything that a step multiplies. The other costs of a step are calls
of NumPy and passes over memory, so both are few:

- State, input and a row of ones are in one array, so that one product adds the bias as well.
- Since σ(x) = ½ + ½ tanh(x/2), the weights of sigmoid gates are halved, and one call of tanh serves
  all gates of a step that are known at once.
- In an LSTM, c follows its candidate in memory, as gate f follows gate i, so that one product of
  two blocks computes both terms of the new c.
- In a GRU, the two parts of the candidate are separate rows of the product; each has zeros where
  the other has weights.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from unspool._types import CellName

# OpenBLAS uses several threads for products of more than ONE_THREAD_WORK multiplications, but below
# MANY_THREADS_WORK synchronising them costs more than it saves. A batched matmul stays in one
# thread, so it is used in between.
ONE_THREAD_WORK, MANY_THREADS_WORK = 1 << 18, 3 << 20

Array = npt.NDArray[np.float32]


class Weights(Protocol):
    """The part of a layer (`unspool.runtime.recurrence.Layer`) that a step needs."""

    @property
    def matrix(self) -> Array:
        """Weights (4H, H + F + 1) of the rows of a step, for the state, the input and the bias."""

    @property
    def units(self) -> int:
        """Number of units, H."""

    @property
    def activation(self) -> str:
        """Activation of the candidate."""

    @property
    def recurrent_activation(self) -> str:
        """Activation of the gates."""


class Cells(ABC):
    """The state of a layer for a batch; `step` updates it in place.

    Parameters
    ----------
    layer : Weights
        The layer.
    both : array of shape (H + F + 1, B)
        Memory of h, the input and a row of ones.
    rows : array of shape (5H, B)
        Memory of the results of the product (4H, B), and of another block of H rows.
    pair : array of shape (2H, B)
        Memory of intermediate results.

    Attributes
    ----------
    states : tuple of arrays of shape (H, B)
        The state: h, and c if the cell has it.
    """

    states: tuple[Array, ...]

    def __init__(self, layer: Weights, both: Array, rows: Array, pair: Array) -> None:
        units = layer.units
        self.layer, self.whole = layer, (both, rows, pair)
        self.both, self.h, self.read = both, both[:units], both[units:-1]
        self.sums = rows[: 4 * units]
        self.smooth = layer.recurrent_activation == "sigmoid"
        self.bounded = layer.activation == "tanh"
        self.product = self._product(layer.matrix)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.layer, *self.whole)  # separate copies would no longer be views

    @classmethod
    def of(cls, layer: Weights, batch: int) -> "Cells":
        """Return the state of `batch` sequences before their first step."""
        both = np.zeros((layer.matrix.shape[1], batch), np.float32)
        both[-1] = 1
        rows = np.zeros((5 * layer.units, batch), np.float32)
        return cls(layer, both, rows, np.empty((2 * layer.units, batch), np.float32))

    def cut(self, which: int | slice) -> "Cells":
        """Return a view of some sequences of the batch, or of one as vectors."""
        both, rows, pair = (each[:, which] for each in self.whole)
        return type(self)(self.layer, both, rows, pair)

    def step(self, x: Array | None, constant: Array | None = None) -> None:
        """Compute the next state.

        Parameters
        ----------
        x : array of shape (F, B), optional
            Input of this step.
        constant : array of shape (4H, B), optional
            Term that is added to the rows before their activation.
        """
        if x is not None:
            self.read[...] = x
        self.product()
        if constant is not None:
            self.sums += constant
        self._advance()

    @classmethod
    @abstractmethod
    def rows(cls, weight: Array, recurrent: bool | None, *, smooth: bool) -> Array:
        """Arrange a weight in the 4H rows of a step, and halve the rows of sigmoid gates.

        Parameters
        ----------
        weight : array of shape (G·H, ·)
            A weight of the layer, with a block of H rows for each gate; the bias as one column.
        recurrent : bool or None
            True for the weights of h, False for those of an input, None for the bias.
        smooth : bool
            Whether the gates are sigmoids.
        """

    @abstractmethod
    def _advance(self) -> None:
        """Compute the next state from the results of the product."""

    def _product(self, matrix: Array) -> Callable[[], Array]:
        """Return the function that computes the matrix product of a step, the fastest of three."""
        work = matrix.size * (self.both.shape[1] if self.both.ndim == 2 else 1)
        if self.both.ndim == 2 and ONE_THREAD_WORK < work < MANY_THREADS_WORK:
            rows = self.sums.reshape(-1, 4, self.sums.shape[-1])  # a view
            return partial(np.matmul, matrix.reshape(-1, 4, len(self.both)), self.both, out=rows)
        # For a vector, `dot` takes half the time of `matmul`, but needs a contiguous output.
        product = matrix.dot if self.sums.flags.c_contiguous else partial(np.matmul, matrix)
        return partial(product, self.both, out=self.sums)

    def _activate_gates(self, gates: Array) -> None:
        """Activate gates, whose rows were halved if they are sigmoids."""
        if self.smooth:
            np.tanh(gates, out=gates)
            gates += 1
            gates *= 0.5
        else:  # hard_sigmoid
            gates /= 6
            gates += 0.5
            np.clip(gates, 0, 1, out=gates)


class LSTMCells(Cells):
    """Cells with the gates i, f, o and the candidate for c, in this order of rows; c follows."""

    def __init__(self, layer: Weights, both: Array, rows: Array, pair: Array) -> None:
        super().__init__(layer, both, rows, pair)
        units = layer.units
        self.c = rows[4 * units :]
        self.states = self.h, self.c
        self.sigmas, self.candidate = rows[: 3 * units], rows[3 * units : 4 * units]
        self.i_f, self.o = rows[: 2 * units], rows[2 * units : 3 * units]
        self.candidate_c = rows[3 * units :]
        self.pair, self.new, self.kept = pair, pair[:units], pair[units:]

    @classmethod
    def rows(cls, weight: Array, recurrent: bool | None, *, smooth: bool) -> Array:
        """Arrange a weight in the order i, f, o, c; see `Cells.rows`."""
        i, f, c, o = np.split(weight, 4)
        scale = np.float32(0.5 if smooth else 1)
        return np.concatenate([i * scale, f * scale, o * scale, c])

    def _advance(self) -> None:
        if self.smooth and self.bounded:
            np.tanh(self.sums, out=self.sums)
            self.sigmas += 1
            self.sigmas *= 0.5
        else:
            self._activate_gates(self.sigmas)
            _activate(self.candidate, bounded=self.bounded)
        np.multiply(self.i_f, self.candidate_c, out=self.pair)
        np.add(self.new, self.kept, out=self.c)
        if self.bounded:
            np.tanh(self.c, out=self.new)
        else:
            np.maximum(self.c, 0, out=self.new)
        np.multiply(self.o, self.new, out=self.h)


class GRUCells(Cells):
    """Cells with the gates z and r, and the two parts of the candidate n: W x + b and U h + b_rn.

    Rows are in this order.
    """

    def __init__(self, layer: Weights, both: Array, rows: Array, pair: Array) -> None:
        super().__init__(layer, both, rows, pair)
        units = layer.units
        self.states = (self.h,)
        self.sigmas, self.z, self.r = rows[: 2 * units], rows[:units], rows[units : 2 * units]
        self.candidate, self.recurrent = rows[2 * units : 3 * units], rows[3 * units : 4 * units]

    @classmethod
    def rows(cls, weight: Array, recurrent: bool | None, *, smooth: bool) -> Array:
        """Arrange a weight in the order z, r, n, rn, with zeros where it has no part in n or rn."""
        z, r, n, *rn = np.split(weight, 4 if recurrent is None else 3)
        scale = np.float32(0.5 if smooth else 1)
        parts = [n, *rn] if rn else [np.zeros_like(n), n] if recurrent else [n, np.zeros_like(n)]
        return np.concatenate([z * scale, r * scale, *parts])

    def _advance(self) -> None:
        self._activate_gates(self.sigmas)
        self.recurrent *= self.r
        self.candidate += self.recurrent
        _activate(self.candidate, bounded=self.bounded)
        self.h -= self.candidate
        self.h *= self.z
        self.h += self.candidate


CELLS: Mapping[CellName, type[Cells]] = {"lstm": LSTMCells, "gru": GRUCells}


def _activate(candidate: Array, *, bounded: bool) -> None:
    """Activate a candidate by tanh if `bounded`, else by ReLU."""
    if bounded:
        np.tanh(candidate, out=candidate)
    else:
        np.maximum(candidate, 0, out=candidate)
