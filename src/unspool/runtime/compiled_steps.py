"""An LSTM encoder that reads one series step by step in compiled kernels; this file needs Numba."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from unspool.blueprint.layers import VARIANCE_FLOOR
from unspool.data.scaling import Scaler
from unspool.lstm.compiled import stream_step
from unspool.lstm.compiled.cells import CELLS
from unspool.lstm.compiled.few import STATISTIC_FIELDS, packed_address
from unspool.lstm.compiled.small_batch import PANEL, row_width
from unspool.lstm.compiled.statistics import RUNNING
from unspool.lstm.compiled.stream_step import LAYERS, READ, Arguments, Layer, as_record
from unspool.lstm.compiled.vector import BYTES
from unspool.runtime.compiled import address
from unspool.runtime.encoders import LSTMEncoder

Array = npt.NDArray[np.float32]
SIZE = BYTES // 4  # values of a vector


class CompiledSteps:
    """The state of an encoder that reads one series, and the kernel that advances it.

    Parameters
    ----------
    encoder : LSTMEncoder
        An encoder that `serves` accepts.
    scaler : Scaler
        Scales the steps.
    changing : mapping of str to array, optional
        The arrays that a step changes, as `__reduce__` returns them for the same encoder; by
        default those before the first step.
    """

    def __init__(
        self,
        encoder: LSTMEncoder,
        scaler: Scaler,
        changing: Mapping[str, npt.NDArray[Any]] | None = None,
    ) -> None:
        part = encoder.part
        self._encoder, self._scaler = encoder, scaler
        lstm = encoder.lstm.compiled()
        assert lstm is not None
        self._layers = [layer for (layer,) in lstm.layers]
        self._cell, self.latent_dim = CELLS[part.lstm.cell], encoder.latent_dim
        self._activation = None
        if part.code_activation != "linear":
            self._activation = encoder.activation_of_code
        self._kept: list[npt.NDArray[Any]] = []  # arrays at whose addresses kernels read
        self._changing = self._beginning()
        for name, array in (changing or {}).items():
            places = self._meaningful() if name in ("state", "saved") else ...
            self._changing[name][places] = array
        self._record, self._table = self._described()

    def __reduce__(self) -> tuple[Any, ...]:
        copies = {name: array.copy() for name, array in self._changing.items()}
        for name in ("state", "saved"):  # whose places depend on the processor
            copies[name] = copies[name][self._meaningful()]
        return type(self), (self._encoder, self._scaler, copies)

    @staticmethod
    def serves(encoder: LSTMEncoder) -> bool:
        """Return whether the kernel can run an encoder: values are present, and as they are."""
        return encoder.fill is None and encoder.part.normalization == "none"

    def begin(self) -> None:
        """Forget all steps."""
        for array in self._changing.values():
            array[...] = 0

    def push(self, values: npt.NDArray[np.float64]) -> tuple[Array, Array] | None:
        """Read a step (F,).

        Returns
        -------
        tuple of arrays, or None
            The code (L,) of all steps so far and the scaled step (F,); None if it was not read,
            because it contains NaN, infinity, or a number that is too large after scaling.
        """
        scaled = np.empty(len(values), np.float32)
        code = np.empty(self.latent_dim, np.float32)
        result = stream_step.advance(self._record, self._table, values, scaled, code, self._cell)
        if result != READ:
            return None
        return code if self._activation is None else self._activation(code), scaled

    def code(self) -> Array:
        """Return the code (L,) of all steps so far."""
        code = np.empty(self.latent_dim, np.float32)
        stream_step.write_present_code(self._record, self._table, code)
        return code if self._activation is None else self._activation(code)

    def states(self) -> tuple[list[Array], ...]:
        """Return h and c (of a GRU only h) of all layers, copies (H, 1)."""
        state, kinds = self._changing["state"], len(self._cell)
        return tuple(
            [
                state[place : place + layer.hidden].reshape(-1, 1).copy()
                for layer, *places in zip(self._layers, *self._places(), strict=True)
                for place in places[kind : kind + 1]
            ]
            for kind in range(kinds)
        )

    def _places(self) -> tuple[list[int], list[int]]:
        """Return where [h; x] and c of each layer begin in the state."""
        first, places = 0, []
        for layer in self._layers:
            high = _rounded(layer.hidden, SIZE)
            places.append((first, first + high + _rounded(layer.features, SIZE)))
            first = places[-1][1] + high
        h, c = zip(*places, strict=True)
        return list(h), list(c)

    def _meaningful(self) -> npt.NDArray[np.int64]:
        """Return the places of the states and statistics, without what fills vectors."""
        units = [layer.hidden for layer in self._layers]
        h, c = self._places()
        last, high = units[-1], _rounded(units[-1], SIZE)
        running = [c[-1] + high + row * high for row in range(RUNNING)]
        rows = zip([*h, *c, *running], [*units, *units, *[last] * RUNNING], strict=True)
        return np.concatenate([np.arange(first, first + count) for first, count in rows])

    def _beginning(self) -> dict[str, npt.NDArray[Any]]:
        """Return the arrays that a step changes before the first step."""
        part, high = self._encoder.part, _rounded(self._layers[-1].hidden, SIZE)
        size = self._places()[1][-1] + high + RUNNING * high
        changing: dict[str, npt.NDArray[Any]] = {
            "counter": np.zeros(1, np.int64),
            "state": np.zeros(size, np.float32),
            "saved": np.zeros(size, np.float32),
            "patch": np.zeros(part.patch_size * part.n_inputs, np.float32),
        }
        if part.kernels is not None:
            longest = (part.kernels.TAPS - 1) * max(part.kernels.dilations) + 1
            changing["past"] = np.zeros((longest, part.n_inputs), np.float32)
            changing["means"] = np.zeros(part.kernels.width)
        return changing

    def _described(self) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
        """Return the arguments of the kernels, and the table of the layers."""
        encoder, part, changing = self._encoder, self._encoder.part, self._changing
        last, features = self._layers[-1], part.n_inputs
        state, high = address(changing["state"]), _rounded(last.hidden, SIZE)
        h_places, c_places = self._places()
        table = [
            Layer(
                layer.hidden,
                layer.features,
                layer.relu,
                layer.hard,
                packed_address(layer.packed),
                state + 4 * h,
                state + 4 * c,
            )
            for layer, h, c in zip(self._layers, h_places, c_places, strict=True)
        ]
        limit = np.inf if self._scaler.clip is None else self._scaler.clip
        pools = part.statistics != ("last",)
        fields: dict[str, int] = {}
        if pools:
            fields = {STATISTIC_FIELDS[name]: k for k, name in enumerate(part.statistics)}
            fields["running"] = state + 4 * (c_places[-1] + high)
        if part.whole_state:
            fields["whole_state"] = len(self._cell)
        width = self.latent_dim
        if part.kernels is not None:
            assert encoder.kernels is not None
            fields |= self._described_kernels(encoder.kernels.weight, encoder.kernels.bias)
        if encoder.projection is not None:
            width = encoder.projection.weight.shape[1]
            fields["projection"] = self._keep(panels(encoder.projection.weight.T))
            fields["projection_bias"] = self._keep(encoder.projection.bias)
        product = _rounded(self.latent_dim, PANEL * SIZE)
        widest = max(row_width(layer.hidden, SIZE) for layer in self._layers)
        arguments = Arguments(
            features=features,
            shift=self._keep(np.broadcast_to(self._scaler.shift, features), np.float64),
            scale=self._keep(np.broadcast_to(self._scaler.scale, features), np.float64),
            clip=self._keep(np.array([-limit, limit])),
            counter=address(changing["counter"]),
            layers=len(table),
            patch_size=part.patch_size,
            patch=address(changing["patch"]),
            state=state,
            saved=address(changing["saved"]),
            state_size=len(changing["state"]),
            gates=self._keep(np.zeros(2 * widest)),
            floor=self._keep(np.array([VARIANCE_FLOOR])),
            found=self._keep(np.zeros(width)),
            width=width,
            code_size=self.latent_dim,
            product=self._keep(np.zeros(product)),
            zeros=self._keep(np.zeros(product)),
            **fields,
        )
        return as_record(arguments), np.array(table, np.int64).view(LAYERS)[:, 0]

    def _described_kernels(self, weight: Array, bias: Array) -> dict[str, int]:
        """Return the arguments of the random kernels with weights (taps · F, K)."""
        part = self._encoder.part.kernels
        assert part is not None
        each = _rounded(part.each, PANEL * SIZE)
        groups = np.split(weight, len(part.dilations), axis=1)
        biases = np.zeros((len(groups), each))
        biases[:, : part.each] = bias.reshape(len(groups), -1)
        return {
            "groups": len(groups),
            "each": part.each,
            "taps": part.TAPS,
            "dilations": self._keep(np.array(part.dilations), np.int64),
            "kernels": self._keep(np.concatenate([panels(group) for group in groups])),
            "kernel_bias": self._keep(biases),
            "past": address(self._changing["past"]),
            "past_size": len(self._changing["past"]),
            "taken": self._keep(np.zeros(len(weight))),
            "response": self._keep(np.zeros(each)),
            "means": address(self._changing["means"]),
        }

    def _keep(self, array: npt.NDArray[Any], dtype: type = np.float32) -> int:
        """Copy an array to the beginning of a vector in memory; return where it begins."""
        whole = np.empty(array.size * np.dtype(dtype).itemsize + BYTES, np.uint8)
        first = -address(whole) % BYTES
        copy: npt.NDArray[Any] = whole[first : first + array.size * np.dtype(dtype).itemsize].view(
            dtype
        )
        copy[:] = array.ravel()
        self._kept.append(copy)
        return address(copy)


def panels(matrix: npt.NDArray[Any]) -> Array:
    """Return a matrix (inputs, outputs) in the panels that `small_batch.multiply` reads."""
    width = PANEL * SIZE
    depth, columns = matrix.shape
    whole = np.zeros((depth, _rounded(columns, width)), np.float32)
    whole[:, :columns] = matrix
    return np.ascontiguousarray(whole.reshape(depth, -1, width).transpose(1, 0, 2)).ravel()


def _rounded(count: int, size: int) -> int:
    """Return `count` rounded up to a multiple of `size`."""
    return -(-count // size) * size
