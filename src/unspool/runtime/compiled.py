"""Recurrent layers of the runtime in compiled kernels; this file needs Numba."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from unspool.blueprint import Layers
from unspool.lstm.compiled.few import Layout, layout, packed_address
from unspool.lstm.compiled.small_batch import Arguments

Array = npt.NDArray[np.float32]


class PackedLayer:
    """The packed weights of a layer in one direction.

    Parameters
    ----------
    weights : mapping of str to array
        Weights of the model.
    prefix : str
        Prefix of the names of the weights of this layer.
    plan : Layers
        Blueprint of the layers.
    """

    def __init__(self, weights: Mapping[str, Array], prefix: str, plan: Layers) -> None:
        names = ("weight_hh", "weight_ih", "weight_context", "bias")
        arrays = [weights.get(f"{prefix}{name}") for name in names]
        kept = [None if one is None else np.ascontiguousarray(one, np.float32) for one in arrays]
        w_hh, w_ih, w_context, _ = kept
        assert w_hh is not None
        self.hidden = w_hh.shape[1]
        self.features = 0 if w_ih is None else w_ih.shape[1]
        self.context_size = 0 if w_context is None else w_context.shape[1]
        self.relu = int(plan.activation == "relu")
        self.hard = int(plan.recurrent_activation == "hard_sigmoid")
        self.layout: Layout = layout(
            plan.cell, self.hidden, self.features, self.context_size, np.float32
        )
        fields = zip(("w_hh", "w_ih", "w_context", "bias"), map(address, kept), strict=True)
        self.packed = self.layout.packed(
            Arguments(
                hidden=self.hidden,
                features=self.features,
                context_size=self.context_size,
                **dict(fields),
            )
        )


class CompiledLSTM:
    """Recurrent layers, with the arguments and results of `unspool.runtime.recurrence.LSTM`.

    A sequence has the same bits alone and in a batch.
    """

    def __init__(self, plan: Layers, weights: Mapping[str, Array]) -> None:
        self.plan = plan
        self.layers = [
            [
                PackedLayer(weights, f"layers.{depth}.{direction}.", plan)
                for direction in range(plan.directions)
            ]
            for depth in range(plan.num_layers)
        ]

    def __call__(
        self,
        x: Array | None,
        lengths: npt.NDArray[np.int64] | None,
        batch: int,
        steps: int,
        *,
        context: Array | None = None,
        state: tuple[Any, ...] | None = None,
        return_sequences: bool = True,
    ) -> tuple[Array | None, tuple[Any, ...]]:
        """Run a batch of sequences (T, F, B); without `lengths`, all have T steps."""
        read = None if x is None else np.ascontiguousarray(x.transpose(2, 0, 1), np.float32)
        vectors = None if context is None else np.ascontiguousarray(context.T, np.float32)
        ends = None if lengths is None else np.ascontiguousarray(lengths, np.int64)
        finals: list[tuple[Array, ...]] = []
        for depth, directions in enumerate(self.layers):
            outputs = None
            width = sum(layer.hidden for layer in directions)
            if return_sequences or depth < len(self.layers) - 1:
                outputs = np.empty((batch, steps, width), np.float32)
            features = 0 if read is None else read.shape[2]
            for place, layer in enumerate(directions):
                first: list[Array | None] = [None, None]
                if state is not None:
                    first[: len(state)] = [
                        np.ascontiguousarray(each[len(finals)].T, np.float32) for each in state
                    ]
                h_n = np.empty((batch, layer.hidden), np.float32)
                c_n = np.empty((batch, layer.hidden if layer.layout.has_c else 0), np.float32)
                layer.layout.run(
                    Arguments(
                        batch,
                        steps,
                        layer.hidden,
                        layer.features,
                        layer.context_size,
                        layer.relu,
                        layer.hard,
                        place,  # the second direction is reversed
                        packed_address(layer.packed),
                        x=address(read),
                        x_batch=steps * features,
                        x_step=features,
                        context=address(vectors) if layer.context_size else 0,
                        h0=address(first[0]),
                        c0=address(first[1]) if layer.layout.has_c else 0,
                        lengths=address(ends),
                        h=0 if outputs is None else address(outputs) + 4 * place * layer.hidden,
                        h_batch=steps * width,
                        h_step=width,
                        h_n=address(h_n),
                        c_n=address(c_n),
                    )
                )
                finals.append((h_n.T, c_n.T) if layer.layout.has_c else (h_n.T,))
            read, vectors = outputs, None
        if outputs is not None and ends is not None:  # the kernels repeat the last state
            outputs[np.arange(steps) >= ends[:, None]] = 0
        found = outputs if return_sequences else None
        states = None if found is None else found.transpose(1, 2, 0)
        return states, tuple(zip(*finals, strict=True))


def address(array: npt.NDArray[Any] | None) -> int:
    """Return where a contiguous array begins, 0 for None."""
    return 0 if array is None else array.__array_interface__["data"][0]
