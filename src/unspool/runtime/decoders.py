"""Decoders in NumPy: from codes (B, L) to scaled sequences (B, steps, F)."""

from collections.abc import Mapping

import numpy as np

from unspool import blueprint as plan
from unspool.blueprint.layers import sizes
from unspool.data.scaling import Scaler
from unspool.data.sequences import FloatArray
from unspool.runtime.convolution import Convolution, enlarge
from unspool.runtime.dense import ACTIVATIONS, Dense, DenseLayers
from unspool.runtime.encoders import batch_last, within
from unspool.runtime.patches import in_patches, patched, places, unpatched
from unspool.runtime.recurrence import LSTM, Array, Ragged, State
from unspool.runtime.skip import Skip

Weights = Mapping[str, Array]


class Decoder:
    """What every decoder tells of itself, and how it is called."""

    needs_input = False

    def __init__(self, part: plan.Decoder) -> None:
        self.max_steps = part.max_steps
        self.width = part.n_features  # most numbers that a step becomes

    def __call__(self, code: Array, batch: Ragged, backwards: Array | None = None) -> Array:
        """Sequences (B, T, F) of codes (B, L).

        Parameters
        ----------
        code : array of shape (B, L)
        batch : Ragged
            Lengths, the longest first, and T; what is given past an end has no meaning.
        backwards : array of shape (B, T', F), optional
            The encoder's input, each sequence turned round within its own length, for a decoder
            that `needs_input`.
        """
        raise NotImplementedError


class LSTMDecoder(Decoder):
    """LSTM layers with dense layers on every step; `unspool.nn.LSTMDecoder` has a table of it."""

    def __init__(self, part: plan.LSTMDecoder, weights: Weights) -> None:
        super().__init__(part)
        self.part, self.kind = part, part.kind
        self.needs_input = self.kind.reads == "reversed_input"
        self.lstm = LSTM(part.lstm, within(weights, "lstm."))
        self.start = Dense(weights, "start.") if part.starts else None
        self.head = DenseLayers(part.head, weights, "head.")
        if not self.kind.flat:
            self.width = max(self.width, -(-max(part.head.widths) // part.patch_size))

    def __call__(self, code: Array, batch: Ragged, backwards: Array | None = None) -> Array:
        """Sequences (B, T, F) of codes (B, L), see `Decoder`."""
        if self.kind.flat:
            everything = Ragged(np.full(len(code), self.part.pieces), self.part.pieces)
            _, (h, _) = self.lstm(self._pieces(code), everything, return_sequences=False)
            return self.head(h[-1].T)[:, : batch.steps]
        by_patch = in_patches(batch, self.part.patch_size)
        if self.kind.reads == "previous":
            patches = self._one_by_one(code, by_patch.steps)
        else:
            read = self._read(code, by_patch.steps, backwards)
            context, state = self._context(code), self._state(code)
            states, _ = self.lstm(read, by_patch, context=context, state=state)
            assert states is not None
            patches = self.head(states.transpose(0, 2, 1))
        sequences = unpatched(patches, batch.steps)  # (T, B, F)
        if self.part.reverse_target:
            sequences = batch.reversed(sequences.transpose(0, 2, 1)).transpose(0, 2, 1)
        return sequences.transpose(1, 0, 2)

    def _one_by_one(self, code: Array, count: int) -> Array:
        """Patches (count, B, ·), each fed to the next."""
        one, context, state = Ragged(np.ones(len(code), np.int64), 1), self._context(code), None
        state = self._state(code)
        size, features = self.part.patch_size, self.part.n_features
        patches = np.empty((count, len(code), size, features), np.float32)
        read = np.zeros((1, size * features, len(code)), np.float32)
        for place in range(count):
            states, state = self.lstm(read, one, context=context, state=state)
            assert states is not None
            patches[place] = self.head(states.transpose(0, 2, 1)).reshape(patches.shape[1:])
            read = np.ascontiguousarray(patches[place].reshape(len(code), -1).T[None])
        return patches

    def _context(self, code: Array) -> Array | None:
        return np.ascontiguousarray(code.T) if self.kind.code == "context" else None

    def _state(self, code: Array) -> State | None:
        """h and c (layers · directions, H, B) to start from."""
        if self.kind.code != "state":
            return None
        whole = code if self.start is None else self.start(code)
        halves = self.part.lstm.num_layers * self.part.lstm.directions
        h, c = whole.reshape(len(code), 2, halves, -1).transpose(1, 2, 3, 0)
        return h, c

    def _read(self, code: Array, count: int, backwards: Array | None) -> Array | None:
        """What the LSTM reads at its steps, (P, ·, B), besides a context."""
        if self.kind.code == "steps":
            return self._pieces(code)[:count]
        if self.kind.reads is None:
            return places(count, len(code)) if self.part.reads_place else None
        assert backwards is not None, "this decoder needs the input"
        read = patched(backwards, self.part.patch_size)[:, :count]
        return batch_last(np.pad(read, ((0, 0), (0, count - read.shape[1]), (0, 0))))

    def _pieces(self, code: Array) -> Array:
        count, width = self.part.pieces, self.part.lstm.inputs
        whole = np.pad(code, ((0, 0), (0, count * width - code.shape[1])))
        return batch_last(whole.reshape(len(code), count, width))


class DenseDecoder(Decoder):
    """Dense layers that give all steps at once."""

    def __init__(self, part: plan.DenseDecoder, weights: Weights) -> None:
        super().__init__(part)
        self.head = DenseLayers(part.head, weights, "head.")

    def __call__(self, code: Array, batch: Ragged, backwards: Array | None = None) -> Array:
        """Sequences (B, T, F) of codes (B, L), see `Decoder`."""
        return self.head(code)[:, : batch.steps]


class ConvDecoder(Decoder):
    """Convolutions, before all but the first an enlargement."""

    def __init__(self, part: plan.ConvDecoder, weights: Weights) -> None:
        super().__init__(part)
        self.part = part
        self.start = Dense(weights, "start.") if part.starts else None
        self.activation = ACTIVATIONS[part.activation]
        self.output_activation = ACTIVATIONS[part.output_activation]
        self.convolutions = [
            Convolution(weights[f"convolutions.{i}.weight"], weights[f"convolutions.{i}.bias"])
            for i in range(len(part.filters) + 1)
        ]
        self.width = max(convolution.width for convolution in self.convolutions)

    def __call__(self, code: Array, batch: Ragged, backwards: Array | None = None) -> Array:
        """Sequences (B, T, F) of codes (B, L), see `Decoder`."""
        if self.start is not None:
            code = self.activation(self.start(code))
        first, *others = self.convolutions
        images = first(code.reshape(len(code), *self.part.map_shape))
        *larger, _ = sizes(self.part.shape, self.part.pool, len(self.part.filters))
        for convolution, (height, width) in zip(others, reversed(larger), strict=True):
            images = convolution(enlarge(self.activation(images), self.part.pool))
            images = images[:, :height, :width]
        sequences = images.reshape(len(images), -1, images.shape[3])
        return self.output_activation(sequences)[:, : batch.steps]


class Ahead:
    """A decoder of forecasts, or of their quantiles, with what leads to them beside the code.

    Parameters
    ----------
    decoder : Decoder
    horizon : int
    skip : Skip, optional
    quantiles : bool
        Whether the decoder gives several numbers for each feature.
    scaler : Scaler
    """

    def __init__(
        self, decoder: Decoder, horizon: int, skip: Skip | None, scaler: Scaler, *, quantiles: bool
    ) -> None:
        self.decoder, self.horizon, self.skip = decoder, horizon, skip
        self.scaler, self.quantiles = scaler, quantiles

    def __call__(
        self, code: Array, x: Array, batch: Ragged, backwards: Array | None = None
    ) -> FloatArray:
        """Forecasts (B, K, F), or quantiles (B, K, F, Q), in the units of the data.

        Parameters
        ----------
        code : array of shape (B, L)
        x : array of shape (B, T, F)
            The sequences, scaled, zero past their ends.
        batch : Ragged
            Their lengths.
        backwards : as for `Decoder`
        """
        ahead = Ragged(np.full(len(code), self.horizon), self.horizon)
        output = self.decoder(code, ahead, backwards)
        if self.quantiles:
            output = np.sort(output.reshape(*output.shape[:2], x.shape[2], -1))
        scaled = output if self.skip is None else self.skip(output, x, batch)
        if not self.quantiles:
            return self.scaler.undo(scaled)
        return self.scaler.undo(scaled.swapaxes(2, 3)).swapaxes(2, 3)


def make_decoder(part: plan.Decoder, weights: Weights) -> Decoder:
    """The decoder of a blueprint, with its weights."""
    if isinstance(part, plan.LSTMDecoder):
        return LSTMDecoder(part, weights)
    if isinstance(part, plan.DenseDecoder):
        return DenseDecoder(part, weights)
    return ConvDecoder(part, weights)
