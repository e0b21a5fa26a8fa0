"""Recurrent layers in NumPy: a fast implementation of the equations in `unspool.lstm.reference`.

Arrays are (T, F, B), with time first and the batch last. The gates of a step are then blocks of
rows, and one matrix product computes all of them (`unspool.runtime.cells`). In addition:

- A single sequence is a vector, for which NumPy and BLAS do fewer checks.
- Sequences are sorted by length, so that sequences that have ended are the last columns. A step
  computes only the columns before them, and padding costs nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from unspool._types import CellName, RuntimeBackendName
from unspool.blueprint import Layers
from unspool.runtime.backends import kernels
from unspool.runtime.cells import CELLS
from unspool.runtime.cells import Array as Array

if TYPE_CHECKING:
    from unspool.runtime.compiled import CompiledLSTM

Lengths = npt.NDArray[np.int64]
# h and c (of a GRU only h), each with an array (H, B) for every layer and direction.
State = tuple[Sequence[Array], ...]


@dataclass(frozen=True)
class Layer:
    """One LSTM or GRU layer in one direction.

    Parameters
    ----------
    matrix : array of shape (4H, H + F + 1)
        Weights for the state, the input and the bias, with rows as the cells have them. The rows of
        sigmoid gates are halved.
    context : array of shape (4H, C), optional
        Weights for an input that is the same at every step, with the same rows.
    units : int
        Number of units, H.
    activation : {"tanh", "relu"}
        Activation of the candidate, and of the output of an LSTM.
    recurrent_activation : {"sigmoid", "hard_sigmoid"}
        Activation of the gates.
    reverse : bool
        Whether the layer reads sequences from their end.
    cell : {"lstm", "gru"}
        Kind of the cell.
    """

    matrix: Array
    context: Array | None
    units: int
    activation: str
    recurrent_activation: str
    reverse: bool
    cell: CellName

    @classmethod
    def from_weights(
        cls, weights: Mapping[str, Array], prefix: str, plan: Layers, *, reverse: bool
    ) -> "Layer":
        """Make a layer of the weights whose names start with `prefix`."""
        cells, smooth = CELLS[plan.cell], plan.recurrent_activation == "sigmoid"
        parts = {"weight_hh": True, "weight_ih": False, "bias": None, "weight_context": False}
        rows = {
            name: cells.rows(weight.reshape(len(weight), -1), part, smooth=smooth)
            for name, part in parts.items()
            if (weight := weights.get(f"{prefix}{name}")) is not None
        }
        context = rows.pop("weight_context", None)
        return cls(
            np.ascontiguousarray(np.concatenate(list(rows.values()), 1)),
            context,
            weights[f"{prefix}weight_hh"].shape[1],
            plan.activation,
            plan.recurrent_activation,
            reverse,
            plan.cell,
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
        state: tuple[Array, ...] | None,
        outputs: Array | None,
    ) -> tuple[Array, ...]:
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
        state : tuple of arrays of shape (H, B), optional
            Initial h and c (of a GRU only h), by default zeros.
        outputs : array of shape (T, H, B), optional
            Array that the state of every step is written to, in the order of reading. Steps past
            the end of a sequence are not written.

        Returns
        -------
        tuple of arrays of shape (H, B)
            State after the last step of each sequence.
        """
        cells = CELLS[self.cell].of(self, batch)
        for own, given in zip(cells.states, state or (), strict=False):
            own[:] = given
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
        return cells.states


class LSTM:
    """Recurrent layers, each reading the states of the one before; `unspool.nn.LSTM` in NumPy.

    Parameters
    ----------
    plan : Layers
        Blueprint of the layers.
    weights : mapping of str to array
        Weights by their names in the blueprint.

    Attributes
    ----------
    backend : {"auto", "compiled", "numpy"}
        What computes the layers, see `unspool.runtime.backends`.
    """

    backend: RuntimeBackendName = "auto"

    def __init__(self, plan: Layers, weights: Mapping[str, Array]) -> None:
        self.plan, self._weights = plan, weights
        self._compiled: CompiledLSTM | None = None
        self.layers = [
            [
                Layer.from_weights(
                    weights, f"layers.{depth}.{direction}.", plan, reverse=bool(direction)
                )
                for direction in range(plan.directions)
            ]
            for depth in range(plan.num_layers)
        ]

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_compiled": None}  # Numba may not be there when it is read

    def compiled(self) -> "CompiledLSTM | None":
        """Return the same layers in compiled kernels, or None if NumPy computes them."""
        module = kernels(self.backend)
        if module is not None and self._compiled is None:
            self._compiled = module.CompiledLSTM(self.plan, self._weights)
        return None if module is None else self._compiled

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
        state : (h, c), or (h,) for a GRU, optional
            Initial state, each with an array (H, B) for every layer and direction. Default: zeros.
        return_sequences : bool, default True
            Whether to return the states of all steps.

        Returns
        -------
        states : array of shape (T, S, B), or None
            States of the last layer at every step.
        state : (h, c), or (h,) for a GRU
            Final state of all layers, each with an array (H, B) for every layer and direction.
        """
        compiled = self.compiled()
        if compiled is not None:
            lengths = None if batch.whole else batch.lengths
            return compiled(
                x, lengths, batch.size, batch.steps,
                context=context, state=state, return_sequences=return_sequences,
            )  # fmt: skip
        finals: list[tuple[Array, ...]] = []
        widths = self.plan.widths
        for depth, (width, directions) in enumerate(zip(widths, self.layers, strict=True)):
            outputs = None
            if return_sequences or depth < len(self.layers) - 1:
                outputs = np.zeros((batch.steps, width, batch.size), np.float32)
            for place, layer in enumerate(directions):
                start = None if state is None else tuple(each[len(finals)] for each in state)
                read = batch.reversed(x) if layer.reverse and x is not None else x
                rows = slice(place * layer.units, (place + 1) * layer.units)
                written = None if outputs is None else outputs[:, rows]
                final = layer.run(read, batch.active, batch.size, context, start, written)
                if written is not None and layer.reverse:
                    written[:] = batch.reversed(written)
                finals.append(final)
            x, context = outputs, None
        return x, tuple(zip(*finals, strict=True))


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
