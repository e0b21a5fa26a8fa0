"""LSTM layers in NumPy: a fast implementation of the equations in `unspool.lstm.reference`.

Arrays are (T, F, B), with time first and the batch last. The gates of a step are then blocks of
rows, and one matrix product computes all of them. The other costs of a step are calls of NumPy and
passes over memory, so `Cells` reduces both:

- State, input and a row of ones are in one array, so that one product adds the bias as well.
- Since σ(x) = ½ + ½ tanh(x/2), the weights of sigmoid gates are halved, and one call of tanh serves
  all four gates.
- c follows its candidate in memory, as gate f follows gate i, so that one product of two blocks
  computes both terms of the new c.
- A single sequence is a vector, for which NumPy and BLAS do fewer checks.
- Sequences are sorted by length, so that sequences that have ended are the last columns. A step
  computes only the columns before them, and padding costs nothing.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from typing import Any

import numpy as np
import numpy.typing as npt

from unspool.blueprint import Layers

# OpenBLAS uses several threads for products of more than ONE_THREAD_WORK multiplications, but below
# MANY_THREADS_WORK synchronising them costs more than it saves. A batched matmul stays in one
# thread, so it is used in between.
ONE_THREAD_WORK, MANY_THREADS_WORK = 1 << 18, 3 << 20

Array = npt.NDArray[np.float32]
Lengths = npt.NDArray[np.int64]
# h and c, each with an array (H, B) for every layer and direction.
State = tuple[Sequence[Array], Sequence[Array]]


@dataclass(frozen=True)
class Layer:
    """One LSTM layer in one direction.

    Parameters
    ----------
    matrix : array of shape (4H, H + F + 1)
        Weights of the gates i, f, o and the candidate, for the state, the input and the bias. The
        rows of sigmoid gates are halved.
    context : array of shape (4H, C), optional
        Weights for an input that is the same at every step, with the same rows.
    units : int
        Number of units, H.
    activation : {"tanh", "relu"}
        Activation of the candidate and the output.
    recurrent_activation : {"sigmoid", "hard_sigmoid"}
        Activation of the gates.
    reverse : bool
        Whether the layer reads sequences from their end.
    """

    matrix: Array
    context: Array | None
    units: int
    activation: str
    recurrent_activation: str
    reverse: bool

    @classmethod
    def from_weights(
        cls, weights: Mapping[str, Array], prefix: str, plan: Layers, *, reverse: bool
    ) -> "Layer":
        """Make a layer of the weights whose names start with `prefix`."""
        units = weights[f"{prefix}weight_hh"].shape[1]
        order = np.r_[0 : 2 * units, 3 * units : 4 * units, 2 * units : 3 * units]
        scale = np.ones((4 * units, 1), np.float32)
        if plan.recurrent_activation == "sigmoid":
            scale[: 3 * units] = 0.5
        columns = [weights[f"{prefix}weight_hh"]]
        if f"{prefix}weight_ih" in weights:
            columns.append(weights[f"{prefix}weight_ih"])
        columns.append(weights[f"{prefix}bias"][:, None])
        context = weights.get(f"{prefix}weight_context")
        return cls(
            np.ascontiguousarray(np.concatenate(columns, 1)[order] * scale),
            None if context is None else context[order] * scale,
            units,
            plan.activation,
            plan.recurrent_activation,
            reverse,
        )

    @property
    def inputs(self) -> int:
        """Number of features of its input."""
        return int(self.matrix.shape[1]) - self.units - 1

    def run(
        self,
        x: Array | None,
        active: Lengths,
        batch: int,
        context: Array | None,
        state: tuple[Array, Array] | None,
        outputs: Array | None,
    ) -> tuple[Array, Array]:
        """Run a batch of sequences, the longest first.

        Parameters
        ----------
        x : array of shape (T, F, B), optional
            The input, in the order of reading.
        active : array of shape (T,)
            Number of sequences that have each step.
        batch : int
            Number of sequences, B.
        context : array of shape (C, B), optional
            Input that is the same at every step.
        state : (h, c), each (H, B), optional
            Initial state, by default zeros.
        outputs : array of shape (T, H, B), optional
            Array that the state of every step is written to, in the order of reading. Steps past
            the end of a sequence are not written.

        Returns
        -------
        h, c : arrays of shape (H, B)
            State after the last step of each sequence.
        """
        cells = Cells.of(self, batch)
        if state is not None:
            cells.h[:], cells.c[:] = state
        constant = None if context is None or self.context is None else self.context @ context
        begin = 0
        for n, steps in groupby(active.tolist()):
            end = begin + len(list(steps))
            if not n:
                break
            which = 0 if batch == 1 else slice(n)
            some = cells.cut(which)
            reads = None if x is None else x[begin:end, :, which]
            writes = None if outputs is None else outputs[begin:end, :, which]
            added = None if constant is None else constant[:, which]
            for t in range(end - begin):
                some.step(None if reads is None else reads[t], added)
                if writes is not None:
                    writes[t] = some.h
            begin = end
        return cells.h, cells.c


class Cells:
    """The state of a layer for a batch; `step` updates it in place.

    Parameters
    ----------
    layer : Layer
        The layer.
    both : array of shape (H + F + 1, B)
        Memory of h, the input and a row of ones.
    rows : array of shape (5H, B)
        Memory of the gates i, f, o, the candidate for c, and c.
    pair : array of shape (2H, B)
        Memory of the two terms of the new c.

    Attributes
    ----------
    h, c : arrays of shape (H, B)
        The state.
    """

    def __init__(self, layer: Layer, both: Array, rows: Array, pair: Array) -> None:
        units = layer.units
        self.layer, self.whole = layer, (both, rows, pair)
        self.both, self.h, self.read = both, both[:units], both[units:-1]
        self.sums, self.c = rows[: 4 * units], rows[4 * units :]
        self.sigmas, self.candidate = rows[: 3 * units], rows[3 * units : 4 * units]
        self.i_f, self.o = rows[: 2 * units], rows[2 * units : 3 * units]
        self.candidate_c = rows[3 * units :]
        self.pair, self.new, self.kept = pair, pair[:units], pair[units:]
        self.smooth = layer.recurrent_activation == "sigmoid"
        self.bounded = layer.activation == "tanh"
        self.product = self._product(layer.matrix)

    def __reduce__(self) -> tuple[Any, ...]:
        return Cells, (self.layer, *self.whole)  # separate copies would no longer be views

    @classmethod
    def of(cls, layer: Layer, batch: int) -> "Cells":
        """Return the state of `batch` sequences before their first step."""
        both = np.zeros((layer.matrix.shape[1], batch), np.float32)
        both[-1] = 1
        rows = np.zeros((5 * layer.units, batch), np.float32)
        return cls(layer, both, rows, np.empty((2 * layer.units, batch), np.float32))

    def cut(self, which: int | slice) -> "Cells":
        """Return a view of some sequences of the batch, or of one as vectors."""
        both, rows, pair = (each[:, which] for each in self.whole)
        return Cells(self.layer, both, rows, pair)

    def step(self, x: Array | None, constant: Array | None = None) -> None:
        """Compute the next state.

        Parameters
        ----------
        x : array of shape (F, B), optional
            Input of this step.
        constant : array of shape (4H, B), optional
            Term that is added to the gates before their activation.
        """
        if x is not None:
            self.read[...] = x
        self.product()
        if constant is not None:
            self.sums += constant
        if self.smooth and self.bounded:
            np.tanh(self.sums, out=self.sums)
        else:
            self._activate()
        if self.smooth:
            self.sigmas += 1
            self.sigmas *= 0.5
        np.multiply(self.i_f, self.candidate_c, out=self.pair)
        np.add(self.new, self.kept, out=self.c)
        if self.bounded:
            np.tanh(self.c, out=self.new)
        else:
            np.maximum(self.c, 0, out=self.new)
        np.multiply(self.o, self.new, out=self.h)

    def _product(self, matrix: Array) -> Callable[[], Array]:
        """Return the function that computes the matrix product of a step, the fastest of three."""
        work = matrix.size * (self.both.shape[1] if self.both.ndim == 2 else 1)
        if self.both.ndim == 2 and ONE_THREAD_WORK < work < MANY_THREADS_WORK:
            rows = self.sums.reshape(-1, 4, self.sums.shape[-1])  # a view
            return partial(np.matmul, matrix.reshape(-1, 4, len(self.both)), self.both, out=rows)
        # For a vector, `dot` takes half the time of `matmul`, but needs a contiguous output.
        product = matrix.dot if self.sums.flags.c_contiguous else partial(np.matmul, matrix)
        return partial(product, self.both, out=self.sums)

    def _activate(self) -> None:
        """Activate gates and candidate of cells other than tanh with sigmoid gates."""
        if self.smooth:
            np.tanh(self.sigmas, out=self.sigmas)
        else:  # hard_sigmoid
            self.sigmas /= 6
            self.sigmas += 0.5
            np.clip(self.sigmas, 0, 1, out=self.sigmas)
        if self.bounded:
            np.tanh(self.candidate, out=self.candidate)
        else:
            np.maximum(self.candidate, 0, out=self.candidate)


class LSTM:
    """LSTM layers, each of which reads the states of the layer before; `unspool.nn.LSTM` in NumPy.

    Parameters
    ----------
    plan : Layers
        Blueprint of the layers.
    weights : mapping of str to array
        Weights by their names in the blueprint.
    """

    def __init__(self, plan: Layers, weights: Mapping[str, Array]) -> None:
        self.plan = plan
        self.layers = [
            [
                Layer.from_weights(
                    weights, f"layers.{depth}.{direction}.", plan, reverse=bool(direction)
                )
                for direction in range(plan.directions)
            ]
            for depth in range(plan.num_layers)
        ]

    def __call__(
        self,
        x: Array | None,
        batch: "BatchLengths",
        *,
        context: Array | None = None,
        state: State | None = None,
        return_sequences: bool = True,
    ) -> tuple[Array | None, State]:
        """Run a batch of sequences.

        Parameters
        ----------
        x : array of shape (T, F, B), optional
            The input; without it, the layers read only their state and `context`.
        batch : BatchLengths
            Lengths of the sequences; all arrays are in its order.
        context : array of shape (C, B), optional
            Input of the first layer that is the same at every step.
        state : (h, c), optional
            Initial state, each with an array (H, B) for every layer and direction. Default: zeros.
        return_sequences : bool, default True
            Whether to return the states of all steps.

        Returns
        -------
        states : array of shape (T, S, B), or None
            States of the last layer at every step.
        state : (h, c)
            Final state of all layers, each with an array (H, B) for every layer and direction.
        """
        finals: list[tuple[Array, Array]] = []
        widths = self.plan.widths
        for depth, (width, directions) in enumerate(zip(widths, self.layers, strict=True)):
            outputs = None
            if return_sequences or depth < len(self.layers) - 1:
                outputs = np.zeros((batch.steps, width, batch.size), np.float32)
            for place, layer in enumerate(directions):
                start = None if state is None else (state[0][len(finals)], state[1][len(finals)])
                read = batch.reversed(x) if layer.reverse and x is not None else x
                rows = slice(place * layer.units, (place + 1) * layer.units)
                written = None if outputs is None else outputs[:, rows]
                final = layer.run(read, batch.active, batch.size, context, start, written)
                if written is not None and layer.reverse:
                    written[:] = batch.reversed(written)
                finals.append(final)
            x, context = outputs, None
        h, c = zip(*finals, strict=True)
        return x, (h, c)


class BatchLengths:
    """Lengths of the sequences of a batch, the longest first.

    Parameters
    ----------
    lengths : array of shape (B,)
        Number of steps of every sequence, in descending order.
    steps : int
        Number of steps of the arrays, T.
    """

    def __init__(self, lengths: Lengths, steps: int) -> None:
        self.lengths, self.steps, self.size = lengths, steps, len(lengths)
        self.whole = not self.size or bool(lengths[-1] == steps)
        if self.whole:
            self.active = np.full(steps, self.size)
        else:
            self.active = np.searchsorted(-lengths, -np.arange(steps), side="left")

    def reversed(self, x: Array) -> Array:
        """Return sequences (T, F, B), each reversed within its length."""
        if self.whole:
            return x[::-1]
        steps = np.arange(self.steps)[:, None]
        source = np.where(steps < self.lengths, self.lengths - 1 - steps, steps)
        reversed_steps: npt.NDArray[Any] = np.take_along_axis(x, source[:, None], axis=0)
        return reversed_steps
