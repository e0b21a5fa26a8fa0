"""Decoders in NumPy: codes (B, L) to scaled sequences (B, steps, F)."""

from collections.abc import Mapping

import numpy as np

from unspool import blueprint as plan
from unspool.data.scaling import Scaler
from unspool.data.sequences import FloatArray
from unspool.runtime.convolution import Convolution, TransposedConvolution, upsample
from unspool.runtime.dense import ACTIVATIONS, Dense, DenseLayers, activation
from unspool.runtime.encoders import batch_last, within
from unspool.runtime.patches import in_patches, patch_positions, patched, unpatched
from unspool.runtime.recurrence import LSTM, Array, BatchLengths, State
from unspool.runtime.skip import Skip

Weights = Mapping[str, Array]


class Decoder:
    """Base class of decoders."""

    needs_input = False

    def __init__(self, part: plan.Decoder) -> None:
        self.max_steps = part.max_steps
        self.width = part.n_features  # widest activation per step; bounds the memory of a batch

    def __call__(
        self,
        code: Array,
        batch: BatchLengths,
        backwards: Array | None = None,
        known: Array | None = None,
    ) -> Array:
        """Decode codes to scaled sequences (B, T, F).

        Parameters
        ----------
        code : array of shape (B, L)
            Codes.
        batch : BatchLengths
            Number of steps to decode, the most first. Values past them are arbitrary.
        backwards : array of shape (B, T', F), optional
            Input of the encoder, each sequence reversed within its length, for a decoder that
            `needs_input`.
        known : array of shape (B, T, n_known), optional
            Known features of each step, for a decoder that reads them.
        """
        raise NotImplementedError


class LSTMDecoder(Decoder):
    """LSTM layers with dense layers on every step; `unspool.nn.LSTMDecoder` lists the kinds."""

    def __init__(self, part: plan.LSTMDecoder, weights: Weights) -> None:
        super().__init__(part)
        self.part, self.kind = part, part.kind
        self.needs_input = self.kind.reads == "reversed_input"
        self.lstm = LSTM(part.lstm, within(weights, "lstm."))
        self.start = Dense(weights, "start.") if part.starts else None
        self.head = DenseLayers(part.head, weights, "head.")
        if not self.kind.flat:
            self.width = max(self.width, -(-max(part.head.widths) // part.patch_size))

    def __call__(
        self,
        code: Array,
        batch: BatchLengths,
        backwards: Array | None = None,
        known: Array | None = None,
    ) -> Array:
        """Return sequences (B, T, F) of codes (B, L), see `Decoder`."""
        columns = None  # known features of each patch, (P, ·, B)
        if self.part.n_known:
            assert known is not None, "this decoder reads known features"
            columns = batch_last(patched(known, self.part.patch_size))
        if self.kind.flat:
            everything = BatchLengths(np.full(len(code), self.part.pieces), self.part.pieces)
            read = _joined(self._pieces(code), columns)
            _, (h, *_) = self.lstm(read, everything, return_sequences=False)
            return self.head(h[-1].T)[:, : batch.steps]
        by_patch = in_patches(batch, self.part.patch_size)
        if self.kind.reads == "previous":
            patches = self._one_by_one(code, by_patch.steps, columns)
        else:
            read = _joined(self._read(code, by_patch.steps, backwards), columns)
            context, state = self._context(code), self._state(code)
            states, _ = self.lstm(read, by_patch, context=context, state=state)
            assert states is not None
            patches = self.head(states.transpose(0, 2, 1))
        sequences = unpatched(patches, batch.steps)  # (T, B, F)
        if self.part.reverse_target:
            sequences = batch.reversed(sequences.transpose(0, 2, 1)).transpose(0, 2, 1)
        return sequences.transpose(1, 0, 2)

    def _one_by_one(self, code: Array, count: int, columns: Array | None) -> Array:
        """Decode patches (count, B, size, F) one by one; each is the input of the next.

        `columns` (count, ·, B) are read in addition.
        """
        one = BatchLengths(np.ones(len(code), np.int64), 1)
        context, state = self._context(code), self._state(code)
        size, features = self.part.patch_size, self.part.n_features
        patches = np.empty((count, len(code), size, features), np.float32)
        read = np.zeros((1, size * features, len(code)), np.float32)
        for place in range(count):
            here = None if columns is None else columns[place : place + 1]
            states, state = self.lstm(_joined(read, here), one, context=context, state=state)
            assert states is not None
            patches[place] = self.head(states.transpose(0, 2, 1)).reshape(patches.shape[1:])
            read = np.ascontiguousarray(patches[place].reshape(len(code), -1).T[None])
        return patches

    def _context(self, code: Array) -> Array | None:
        return np.ascontiguousarray(code.T) if self.kind.repeats else None

    def _state(self, code: Array) -> State | None:
        """Return the initial h (and c), each with an array (H, B) for every layer and direction."""
        if not self.kind.starts:
            return None
        whole = code if self.start is None else self.start(code)
        lstm = self.part.lstm
        ends = np.cumsum(lstm.state_sizes)[:-1]
        return tuple(np.split(each, ends) for each in np.split(whole.T, len(lstm.kind.states)))

    def _read(self, code: Array, count: int, backwards: Array | None) -> Array | None:
        """Return the input of the LSTM at every patch, (P, ·, B)."""
        if self.kind.code == "steps":
            return self._pieces(code)[:count]
        if self.kind.reads is None:
            return patch_positions(count, len(code)) if self.part.reads_place else None
        assert backwards is not None, "this decoder needs the input of the encoder"
        read = patched(backwards, self.part.patch_size)[:, :count]
        return batch_last(np.pad(read, ((0, 0), (0, count - read.shape[1]), (0, 0))))

    def _pieces(self, code: Array) -> Array:
        count, width = self.part.pieces, self.part.piece
        whole = np.pad(code, ((0, 0), (0, count * width - code.shape[1])))
        return batch_last(whole.reshape(len(code), count, width))


class DenseDecoder(Decoder):
    """Dense layers that output all steps at once."""

    def __init__(self, part: plan.DenseDecoder, weights: Weights) -> None:
        super().__init__(part)
        self.head = DenseLayers(part.head, weights, "head.")
        self.n_known = part.n_known

    def __call__(
        self,
        code: Array,
        batch: BatchLengths,
        backwards: Array | None = None,
        known: Array | None = None,
    ) -> Array:
        """Return sequences (B, T, F) of codes (B, L), see `Decoder`."""
        if self.n_known:
            assert known is not None, "this decoder reads known features"
            code = np.concatenate([code, known.reshape(len(code), -1)], axis=1)
        return self.head(code)[:, : batch.steps]


class ConvDecoder(Decoder):
    """Convolutions that enlarge a feature map; see `blueprint.convolutions.mirrored`."""

    def __init__(self, part: plan.ConvDecoder, weights: Weights) -> None:
        super().__init__(part)
        self.part = part
        self.start = Dense(weights, "start.") if part.starts else None
        self.activation = ACTIVATIONS[part.activation]
        self.output_activation = activation(part.output_activation)
        self.convolutions: list[Convolution] = []
        for i, layer in enumerate(part.convolutions):
            arrays = weights[f"convolutions.{i}.weight"], weights[f"convolutions.{i}.bias"]
            self.convolutions.append(
                TransposedConvolution(*arrays, layer.up)
                if layer.transposed
                else Convolution(*arrays)
            )
        self.width = max(convolution.width for convolution in self.convolutions)

    def __call__(
        self,
        code: Array,
        batch: BatchLengths,
        backwards: Array | None = None,
        known: Array | None = None,
    ) -> Array:
        """Return sequences (B, T, F) of codes (B, L), see `Decoder`."""
        if self.start is not None:
            code = self.activation(self.start(code))
        images = code.reshape(len(code), *self.part.map_shape)
        layers = zip(self.convolutions, self.part.convolutions, strict=True)
        for position, (convolution, layer) in enumerate(layers):
            images = self.activation(images) if position else images
            images = convolution(images if layer.transposed else upsample(images, layer.up))
            images = images[:, : layer.size[0], : layer.size[1]]
        sequences = images.reshape(len(images), -1, images.shape[3])
        return self.output_activation(sequences)[:, : batch.steps]


class Forecaster:
    """A decoder of forecasts or of their quantiles, with level, linear map and scaling.

    Parameters
    ----------
    decoder : Decoder
        The decoder.
    horizon : int
        Number of steps of the forecast, K.
    skip : Skip, optional
        Level and linear map that are added to the output of the decoder.
    scaler : Scaler
        Scaling of what the model writes.
    targets : list of int, optional
        Places of the features that are forecast; None means all.
    quantiles : bool
        Whether the decoder outputs several quantiles of each feature.
    """

    def __init__(
        self,
        decoder: Decoder,
        horizon: int,
        skip: Skip | None,
        scaler: Scaler,
        targets: list[int] | None,
        *,
        quantiles: bool,
    ) -> None:
        self.decoder, self.horizon, self.skip = decoder, horizon, skip
        self.scaler, self.targets, self.quantiles = scaler, targets, quantiles

    def __call__(
        self,
        code: Array,
        x: Array,
        batch: BatchLengths,
        backwards: Array | None = None,
        known: Array | None = None,
    ) -> FloatArray:
        """Return forecasts (B, K, F_out), or quantiles (B, K, F_out, Q), in units of the data.

        Parameters
        ----------
        code : array of shape (B, L)
            Codes.
        x : array of shape (B, T, F)
            The sequences, scaled, zero past their ends.
        batch : BatchLengths
            Their lengths.
        backwards : array of shape (B, T, F), optional
            The sequences, each reversed within its length, for a decoder that `needs_input`.
        known : array of shape (B, K, n_known), optional
            Scaled features that are known ahead, for a decoder that reads them.
        """
        ahead = BatchLengths(np.full(len(code), self.horizon), self.horizon)
        output = self.decoder(code, ahead, backwards, known)
        if self.quantiles:
            output = np.sort(output.reshape(*output.shape[:2], len(self.scaler.scale), -1))
        past = self.scaler.limit(x if self.targets is None else x[..., self.targets])
        scaled = output if self.skip is None else self.skip(output, past, batch)
        if not self.quantiles:
            return self.scaler.undo(scaled)
        return self.scaler.undo(scaled.swapaxes(2, 3)).swapaxes(2, 3)


def _joined(read: Array | None, columns: Array | None) -> Array | None:
    """Return the inputs of an LSTM (P, ·, B), followed by further columns."""
    if read is None or columns is None:
        return columns if read is None else read
    return np.concatenate([np.broadcast_to(read, (*read.shape[:2], columns.shape[2])), columns], 1)


def make_decoder(part: plan.Decoder, weights: Weights) -> Decoder:
    """Make the decoder of a blueprint with these weights."""
    if isinstance(part, plan.LSTMDecoder):
        return LSTMDecoder(part, weights)
    if isinstance(part, plan.DenseDecoder):
        return DenseDecoder(part, weights)
    return ConvDecoder(part, weights)
