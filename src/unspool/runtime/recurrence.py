"""LSTM layers in NumPy, quick: what `unspool.lstm.reference` computes, arranged for speed.

Inside the runtime sequences lie time-major with the batch last, (T, F, B): the gates of a step are
then blocks of whole rows, and one matrix product gives all of them. What a step costs beside that
product is calls of NumPy and passes over memory, so (`Cells`):

- state, input and a row of ones stand in one array, which one product with one matrix reads;
- σ(x) = ½ + ½ tanh(x/2): with the halves in the weights, one call of tanh serves all four gates;
- c stands under its candidate, as the gate f under i: one product of two blocks gives both terms
  of the new c;
- a single sequence is a vector, for which NumPy and BLAS have less to ask;
- sequences are sorted by length, so that those which have ended are the last columns, and a step
  computes the columns before them, views that BLAS takes as they are: padding costs nothing.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from typing import Any

import numpy as np
import numpy.typing as npt

from unspool.blueprint import Layers

# OpenBLAS shares a product of more multiplications than this among threads, whose meeting costs
# more than they save up to the second number; a stack of small products it runs as they come.
ALONE, TOGETHER = 1 << 18, 3 << 20

Array = npt.NDArray[np.float32]
Lengths = npt.NDArray[np.int64]
State = tuple[Array, Array]  # h and c, each (layers · directions, H, B)


@dataclass(frozen=True)
class Layer:
    """One LSTM layer in one direction, its weights arranged for `run`.

    Parameters
    ----------
    matrix : array of shape (4H, H + F + 1)
        Gates in the order i, f, o, c; columns for the state, the input and the bias. The rows of
        sigmoid gates are halved.
    context : array of shape (4H, C), optional
        The same rows.
    units : int
    activation, recurrent_activation : str
    reverse : bool
    """

    matrix: Array
    context: Array | None
    units: int
    activation: str
    recurrent_activation: str
    reverse: bool

    @classmethod
    def arranged(
        cls, weights: Mapping[str, Array], prefix: str, plan: Layers, *, reverse: bool
    ) -> "Layer":
        """Arrange the weights whose names start with `prefix`."""
        units = plan.units
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
        """Features read at each step."""
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
        """Run a batch whose longest sequences come first.

        Parameters
        ----------
        x : array of shape (T, F, B), optional
            In the order of reading.
        active : array of shape (T,)
            How many sequences have each step.
        batch : int
        context : array of shape (C, B), optional
        state : h and c, each (H, B), optional
            Zeros by default.
        outputs : array of shape (T, H, B), optional
            Where the states of every step go, in the order of reading; what is past an end is
            left as it was.

        Returns
        -------
        h, c : arrays of shape (H, B)
            After the last step of each sequence.
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
    """A layer's state for a batch, and the arithmetic of its steps, in place.

    Parameters
    ----------
    layer : Layer
    both : array of shape (H + F + 1, B)
        State, input and ones.
    rows : array of shape (5H, B)
        Gates i, f, o, the candidate for c, and c.
    pair : array of shape (2H, B)
        For the terms of c.

    Attributes
    ----------
    h, c : arrays of shape (H, B)
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
        return Cells, (self.layer, *self.whole)  # copied one by one, views would part

    @classmethod
    def of(cls, layer: Layer, batch: int) -> "Cells":
        """Those of `batch` sequences before their first step."""
        both = np.zeros((layer.matrix.shape[1], batch), np.float32)
        both[-1] = 1
        rows = np.zeros((5 * layer.units, batch), np.float32)
        return cls(layer, both, rows, np.empty((2 * layer.units, batch), np.float32))

    def cut(self, which: int | slice) -> "Cells":
        """Some of the batch, or one sequence as vectors; its steps are steps of these."""
        both, rows, pair = (each[:, which] for each in self.whole)
        return Cells(self.layer, both, rows, pair)

    def step(self, x: Array | None, constant: Array | None = None) -> None:
        """Go on to the next state.

        Parameters
        ----------
        x : array of shape (F, B), optional
            What is read.
        constant : array of shape (4H, B), optional
            What is added to the sums of the gates.
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
        """What makes the sums of a step, in the quickest of three ways."""
        if self.both.ndim == 2 and ALONE < matrix.size * self.both.shape[1] < TOGETHER:
            rows = self.sums.reshape(-1, 4, self.sums.shape[-1])  # a view, of columns too
            return partial(np.matmul, matrix.reshape(-1, 4, len(self.both)), self.both, out=rows)
        # `dot` takes half the time of `matmul` on a vector, but wants an output without gaps.
        product = matrix.dot if self.sums.flags.c_contiguous else partial(np.matmul, matrix)
        return partial(product, self.both, out=self.sums)

    def _activate(self) -> None:
        """The gates and the candidate, of other cells than tanh with sigmoid gates."""
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
    """Layers of LSTM, each reading the states of the one before; `unspool.nn.LSTM` in NumPy.

    Parameters
    ----------
    plan : Layers
    weights : mapping of names to arrays
        By the names that the plan has for them.
    """

    def __init__(self, plan: Layers, weights: Mapping[str, Array]) -> None:
        self.plan = plan
        self.layers = [
            [
                Layer.arranged(
                    weights, f"layers.{depth}.{direction}.", plan, reverse=bool(direction)
                )
                for direction in range(plan.directions)
            ]
            for depth in range(plan.num_layers)
        ]

    def __call__(
        self,
        x: Array | None,
        batch: "Ragged",
        *,
        context: Array | None = None,
        state: State | None = None,
        return_sequences: bool = True,
    ) -> tuple[Array | None, State]:
        """Run a batch: the states of the last layer (T, S, B), and the final h and c of all.

        Parameters
        ----------
        x : array of shape (T, F, B), optional
        batch : Ragged
            How many sequences and steps there are; all arrays are in its order.
        context : array of shape (C, B), optional
        state : h and c, optional
        return_sequences : bool, default True
        """
        finals: list[tuple[Array, Array]] = []
        for depth, directions in enumerate(self.layers):
            outputs = None
            if return_sequences or depth < len(self.layers) - 1:
                outputs = np.zeros((batch.steps, self.plan.width, batch.size), np.float32)
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
        h, c = (np.stack(each) for each in zip(*finals, strict=True))
        return x, (h, c)


class Ragged:
    """The lengths of a batch, sequences with the longest first.

    Parameters
    ----------
    lengths : array of shape (B,)
        Sorted, the longest first.
    steps : int
        T.
    """

    def __init__(self, lengths: Lengths, steps: int) -> None:
        self.lengths, self.steps, self.size = lengths, steps, len(lengths)
        self.whole = not self.size or bool(lengths[-1] == steps)
        if self.whole:
            self.active = np.full(steps, self.size)
        else:
            self.active = np.searchsorted(-lengths, -np.arange(steps), side="left")

    def reversed(self, x: Array) -> Array:
        """Sequences (T, F, B), each turned round within its own length."""
        if self.whole:
            return x[::-1]
        steps = np.arange(self.steps)[:, None]
        source = np.where(steps < self.lengths, self.lengths - 1 - steps, steps)
        turned: npt.NDArray[Any] = np.take_along_axis(x, source[:, None], axis=0)
        return turned
