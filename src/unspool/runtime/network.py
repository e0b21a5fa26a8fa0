"""`Network`: the layers of a trained model in NumPy, run over batches of sequences."""

from collections.abc import Iterator, Mapping

import numpy as np

from unspool._types import RuntimeBackendName
from unspool.data.convert import Source
from unspool.data.futures import Futures
from unspool.data.sequences import FloatArray, IntArray
from unspool.errors import InputError
from unspool.model_file import Contents
from unspool.runtime.backends import check_backend
from unspool.runtime.decoders import Decoder, Forecaster, LSTMDecoder, make_decoder
from unspool.runtime.dense import DenseLayers
from unspool.runtime.encoders import LSTMEncoder, make_encoder, within
from unspool.runtime.recurrence import Array, BatchLengths
from unspool.runtime.skip import Skip

# A batch has at most BATCH sequences, so that the states of one step stay in the cache. Its widest
# activations have at most BATCH_VALUES values, which bounds memory for long sequences and images.
BATCH = 256
BATCH_VALUES = 1 << 25

Batch = tuple[IntArray, Array, BatchLengths]


class Network:
    """The encoder, decoders and head of a trained model.

    Sequences are arrays (B, T, F), scaled, the longest first, with zeros as padding. If the scaler
    clips or normalises, the layers read such sequences.

    Parameters
    ----------
    contents : Contents
        The trained model as plain data.
    backend : {"auto", "compiled", "numpy"}, default "auto"
        What computes recurrent layers, see `unspool.runtime.backends`.

    Raises
    ------
    InputError
        If `backend` is unknown, or is "compiled" without Numba.
    """

    def __init__(self, contents: Contents, backend: RuntimeBackendName = "auto") -> None:
        check_backend(backend)
        plan, weights = contents.blueprint, contents.weights
        self.model, self.scaler, self.horizon = contents.model, contents.scaler, plan.horizon
        self.target_scaler = contents.target_scaler
        self.targets = None if plan.targets is None else list(plan.targets)
        self.known = plan.known
        self.n_quantiles = len(contents.of_encoder[1].get("quantiles", ()))
        self.latent_dim = plan.encoder.latent_dim
        self.encoder = make_encoder(plan.encoder, within(weights, "encoder."))
        self.decoders: Mapping[str, Decoder] = {
            name: make_decoder(part, within(weights, f"decoders.{name}."))
            for name, part in plan.decoders.items()
        }
        skip = plan.skip
        self.skip = None if skip is None else Skip(skip, within(weights, "skip."))
        self.head = None if plan.head is None else DenseLayers(plan.head, weights, "head.")
        self.lstms = [
            part.lstm
            for part in (self.encoder, *self.decoders.values())
            if isinstance(part, LSTMEncoder | LSTMDecoder)
        ]
        self.backend: RuntimeBackendName = backend
        for lstm in self.lstms:
            lstm.backend = backend

    def decoder(self, name: str) -> Decoder:
        """Return the decoder `name`.

        Raises
        ------
        InputError
            If the model does not have it.
        """
        if name not in self.decoders:
            held = ", ".join(self.decoders) or "an encoder alone"
            raise InputError(f"This {self.model} has no decoder for a {name}; it has {held}.")
        return self.decoders[name]

    def lstm_encoder(self) -> LSTMEncoder:
        """Return the encoder, if it is an LSTM.

        Raises
        ------
        InputError
            If it is not.
        """
        if not isinstance(self.encoder, LSTMEncoder):
            raise InputError(
                f"Features are statistics of the states of an LSTM encoder, and this {self.model} "
                "has another encoder; use `encode`."
            )
        return self.encoder

    def forecaster(self, name: str) -> Forecaster:
        """Return the decoder `name` and everything else that its forecasts are computed from."""
        quantiles = name == "quantiles"
        return Forecaster(
            self.decoder(name),
            self.horizon,
            self.skip,
            self.target_scaler,
            self.targets,
            quantiles=quantiles,
        )

    def of_targets(self, x: Array) -> Array:
        """Return the targets (..., F_out) of all features (..., F)."""
        return x if self.targets is None else x[..., self.targets]

    def codes(self, source: Source) -> Array:
        """Return codes (N, L)."""
        codes = np.empty((len(source), self.latent_dim), np.float32)
        for indices, x, batch in self.batches(source):
            codes[indices] = self.encoder(self.scaler.read(x, batch.lengths), batch)
        return codes

    def features(self, source: Source, scales: tuple[int, ...], width: int) -> Array:
        """Return features (N, width) at these scales."""
        encoder = self.lstm_encoder()
        features = np.empty((len(source), width), np.float32)
        values = encoder.part.lstm.width * max(source.max_length, *scales)
        for indices, x, batch in self.batches(source, values):
            features[indices] = encoder.multiscale(
                self.scaler.read(x, batch.lengths), batch, scales
            )
        return features

    def decode(self, codes: Array, steps: IntArray) -> FloatArray:
        """Decode codes (N, L) to (N, T, F), in the units of the data, NaN past their ends."""
        decoder, longest = self.decoder("reconstruction"), int(steps.max(initial=0))
        values = np.full((len(codes), longest, len(self.target_scaler.scale)), np.nan)
        for indices in _longest_first(steps, longest * decoder.width):
            batch = BatchLengths(steps[indices], longest)
            values[indices] = self.target_scaler.undo(decoder(codes[indices], batch))
        values[np.arange(longest) >= steps[:, None]] = np.nan
        return values

    def reconstructions(self, source: Source) -> Iterator[tuple[IntArray, Array, Array]]:
        """Yield indices (B,), and scaled targets and reconstructions (B, T, F_out) of batches."""
        decoder = self.decoder("reconstruction")
        for indices, x, batch in self.batches(source, source.max_length * decoder.width):
            yield indices, self.of_targets(x), self.reconstruct(x, batch)

    def reconstruct(self, x: Array, batch: BatchLengths) -> Array:
        """Return reconstructions (B, T, F_out) of sequences, scaled."""
        decoder, read = self.decoder("reconstruction"), self.scaler.read(x, batch.lengths)
        backwards = _reversed(self.encoder.marked(read), batch, decoder)
        output = decoder(self.encoder(read, batch), batch, backwards)
        return self.scaler.undo_level(output, x, batch.lengths)

    def forecasts(self, source: Source | Futures, name: str = "forecast") -> FloatArray:
        """Return forecasts (N, K, F_out), or quantiles (N, K, F_out, Q), in units of the data."""
        forecaster = self.forecaster(name)
        quantiles = (self.n_quantiles,) if forecaster.quantiles else ()
        features = len(self.target_scaler.scale)
        values = np.empty((len(source), self.horizon, features, *quantiles))
        for indices, x, batch in self.batches(source, self.horizon * forecaster.decoder.width):
            known = None
            if self.known:
                assert isinstance(source, Futures)
                _, _, future = source.take_with_future(indices)
                _, known = source.scaled(future, self.scaler)
            values[indices] = self.forecast(x, batch, forecaster, known)
        return values

    def forecast(
        self,
        x: Array,
        batch: BatchLengths,
        forecaster: Forecaster | None = None,
        known: Array | None = None,
    ) -> FloatArray:
        """Return forecasts (B, K, F_out) of sequences, in the units of the data.

        `known` (B, K, n_known) has the scaled features that are known ahead.
        """
        forecaster, x = forecaster or self.forecaster("forecast"), self.scaler.limit(x)
        backwards = _reversed(self.encoder.marked(x), batch, forecaster.decoder)
        return forecaster(self.encoder(x, batch), x, batch, backwards, known)

    def batches(self, source: Source | Futures, decoded: int = 0) -> Iterator[Batch]:
        """Yield the indices (B,), sequences and their lengths, in batches.

        `decoded` is the number of values that the decoder needs for one sequence.
        """
        lengths = source.lengths_of(np.arange(len(source)))
        values = max(decoded, source.max_length * self.encoder.width)
        for indices in _longest_first(lengths, values):
            x, steps = source.take(indices)
            x = self.scaler.apply(x)
            x[np.arange(x.shape[1]) >= steps[:, None]] = 0
            yield indices, x, BatchLengths(steps, x.shape[1])


def _longest_first(lengths: IntArray, values: int) -> Iterator[IntArray]:
    """Return indices of batches of sequences, longest first; `values` is the memory of one."""
    size = max(1, min(BATCH, BATCH_VALUES // max(1, values)))
    order = np.argsort(-lengths, kind="stable")
    return (order[start : start + size] for start in range(0, len(order), size))


def _reversed(x: Array, batch: BatchLengths, decoder: Decoder) -> Array | None:
    """Return sequences (B, T, F), each reversed within its length, if the decoder reads them."""
    if not decoder.needs_input:
        return None
    return batch.reversed(x.transpose(1, 2, 0)).transpose(2, 0, 1)
