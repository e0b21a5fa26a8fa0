"""`Model`: what a trained model can do, in NumPy."""

import os
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from unspool import _checks, _collect, model_file
from unspool._losses import ALIASES, LOSSES, step_errors
from unspool.blueprint.features import check_scales, feature_names
from unspool.data.convert import Source
from unspool.data.futures import Futures, as_future
from unspool.data.labels import labels_like
from unspool.data.sequences import FloatArray, IntArray
from unspool.errors import InputError, ModelFileError
from unspool.model_file import Contents
from unspool.model_file.labels import restore_labels
from unspool.runtime.decoders import Ahead, Decoder, make_decoder
from unspool.runtime.dense import DenseLayers
from unspool.runtime.encoders import LSTMEncoder, make_encoder, within
from unspool.runtime.recurrence import Array, Ragged
from unspool.runtime.skip import Skip
from unspool.runtime.stream import Stream

# Sequences of a batch, for which the states of a step stay in the cache; and values that its
# steps may become on the way, so that long sequences and large images do not take much memory.
BATCH = 256
BATCH_VALUES = 1 << 25


def load(path: str | os.PathLike[str]) -> "Model":
    """Read a model that `save` or `unspool fit` wrote.

    Raises
    ------
    ModelFileError
        For a file that is missing, damaged, not a model of unspool's, or of a newer format.
    """
    contents = model_file.read(path)
    try:
        return Model(contents)
    except InputError as error:
        raise ModelFileError(f"{path} does not hold a usable model: {error}") from None


class Model:
    """A trained model.

    `X` is what it was for `fit`: an array (N, T, F), or (N, T) for one feature; a list of arrays
    (T_i, F), or of frames; images (N, H, W, C) or rows (N, D) where the model was trained on such;
    `Sequences` or `Windows`; a frame. Steps that are NaN in every feature up to
    the end of a sequence are padding. With `lengths` (N,), X is (N, T, F) and what stands past
    the end of a sequence is never looked at. All values are in the units of the data. Where the
    estimator holds a table (N, T) to the columns that `fit` saw, sequences may have any length
    here; a frame has to have the same columns in the same order. Several threads may use one
    model.

    Parameters
    ----------
    contents : Contents
        As from ``estimator.contents()``; a file's come from `load`.

    Attributes
    ----------
    contents : Contents
    latent_dim : int
    horizon : int
        Steps of the forecast, 0 for none.
    classes : array of shape (C,), or None
        Of a classifier.

    Raises
    ------
    InputError
        By every method: for an `X` that the model cannot read, and for what it has no part for.

    Examples
    --------
    >>> import numpy as np
    >>> from unspool import LSTMForecaster, runtime
    >>> X = np.sin(np.arange(40) / 3 + np.arange(100)[:, None])
    >>> trained = LSTMForecaster(8, horizon=4, epochs=2, random_state=0).fit(X)
    >>> model = runtime.Model(trained.contents())
    >>> bool(np.allclose(model.forecast(X), trained.forecast(X), rtol=1e-4))
    True
    """

    def __init__(self, contents: Contents) -> None:
        plan, weights = contents.blueprint, contents.weights
        self.contents, self.form, self.scaler = contents, contents.form, contents.scaler
        self.latent_dim, self.horizon = plan.encoder.latent_dim, plan.horizon
        self.encoder = make_encoder(plan.encoder, within(weights, "encoder."))
        self.decoders = {
            name: make_decoder(part, within(weights, f"decoders.{name}."))
            for name, part in plan.decoders.items()
        }
        skip = plan.skip
        self.skip = None if skip is None else Skip(skip, within(weights, "skip."))
        self.head, self.classes = None, None
        if plan.head is not None:
            self.head = DenseLayers(plan.head, weights, "head.")
            self.classes = restore_labels(contents.fitted["classes"])
        else:
            loss = contents.parameters.get("loss")
            _checks.raise_all(_checks.choice("loss", loss, (*LOSSES, *ALIASES)))

    def __repr__(self) -> str:
        features = self.form.n_features
        return f"Model({self.contents.model}, {features} features, codes of {self.latent_dim})"

    def encode(self, X: Any, lengths: npt.ArrayLike | None = None) -> npt.NDArray[np.float32]:
        """Codes of sequences, (N, L)."""
        source = self._read(X, lengths)
        codes = np.empty((len(source), self.latent_dim), np.float32)
        for indices, x, batch in self._batches(source):
            codes[indices] = self.encoder(x, batch)
        return codes

    def features(
        self, X: Any, lengths: npt.ArrayLike | None = None, *, scales: Sequence[int] = (1,)
    ) -> npt.NDArray[np.float32]:
        """Features of sequences beside the code, (N, D): see `LSTMAutoencoder.features`.

        Parameters
        ----------
        X, lengths : see the class
        scales : list or tuple of int, default (1,)
            Into how many parts a sequence is cut, distinct numbers from 1 to 1,024.
        """
        scales = check_scales(scales)
        encoder, names = self._lstm_encoder(), self.feature_names(scales)
        source = self._read(X, lengths)
        features = np.empty((len(source), len(names)), np.float32)
        values = encoder.part.lstm.width * max(source.max_length, *scales)
        for indices, x, batch in self._batches(source, values):
            features[indices] = encoder.multiscale(x, batch, scales)
        return features

    def feature_names(self, scales: Sequence[int] = (1,)) -> npt.NDArray[np.object_]:
        """Names of the columns of `features`, (D,): "state3_mean", "state3_max_2of4", "kernel17".

        Parameters
        ----------
        scales : as for `features`
        """
        part = self._lstm_encoder().part
        n_kernels = 0 if part.kernels is None else part.kernels.width
        return feature_names(part.lstm.width, n_kernels, check_scales(scales))

    def decode(self, codes: Any, lengths: npt.ArrayLike | None = None) -> FloatArray:
        """Sequences of codes.

        Parameters
        ----------
        codes : array of shape (N, L)
        lengths : int or array of shape (N,), optional
            Steps to unwind; those of the longest sequence seen in training by default.

        Returns
        -------
        array of shape (N, T, F), or in the form of the tables or images that `fit` saw
            NaN past the end of a sequence.

        Raises
        ------
        InputError
            Where the decoder needs more than the code, or codes are not (N, L).
        """
        decoder = self._decoder("reconstruction")
        if decoder.needs_input:
            raise InputError(
                "The decoder of this model reads the input beside the code, so codes alone cannot "
                "be decoded; use `reconstruct`."
            )
        self.form.check_lengths(lengths)
        codes, steps = _collect.codes_and_lengths(
            codes, lengths, self.latent_dim, self.form.max_length, decoder.max_steps
        )
        longest = int(steps.max(initial=0))
        values = np.full((len(codes), longest, self.form.n_features), np.nan)
        for indices in _longest_first(steps, longest * decoder.width):
            batch = Ragged(steps[indices], longest)
            values[indices] = self.scaler.undo(decoder(codes[indices], batch))
        values[np.arange(longest) >= steps[:, None]] = np.nan
        return self.form.restore(values)

    def reconstruct(
        self, X: Any, lengths: npt.ArrayLike | None = None, *, merge: bool = False
    ) -> Any:
        """Encode sequences and decode them again.

        Where training cut a future off (`horizon` without ``y``), so does this, and so do
        `reconstruction_error` and `score`: where the longest sequence has more steps than any
        encoded in training, all are taken without their last K.

        Returns
        -------
        array of shape (N, T, F), or in the form of the tables or images that `fit` saw
            In the units of the data, NaN past the end of a sequence. With `merge`, for `Windows`,
            a list of arrays (T_i, F), one for every series: averages of overlapping windows.
        """
        source = self._read(X, lengths, unwind=True, ends_with_future=True)
        pieces = ((indices, again) for indices, _, again in self._reconstructions(source))
        if merge:
            undo = self.scaler.undo
            return _collect.merged(source, ((indices, undo(again)) for indices, again in pieces))
        return self.form.restore(_collect.sequences(source, pieces, self.scaler), X)

    def reconstruction_error(
        self,
        X: Any,
        lengths: npt.ArrayLike | None = None,
        *,
        per: str = "sequence",
        merge: bool = False,
    ) -> Any:
        """How far reconstructions are from their input, by the loss that the model was trained on.

        Parameters
        ----------
        X, lengths : see the class
        per : {"sequence", "step"}, default "sequence"
        merge : bool, default False
            For `Windows` with ``per="step"``: average overlapping windows.

        Returns
        -------
        array of shape (N,), or per step (N, T), of images (N, H, W)
            Means over features in scaled units; NaN past the end of a sequence, and for one of
            length 0. With `merge`, a list of arrays (T_i,).
        """
        _collect.check_per(per)
        source = self._read(X, lengths, unwind=True, ends_with_future=True)
        loss = self.contents.loss
        pieces = (
            (indices, step_errors(again, x, loss))
            for indices, x, again in self._reconstructions(source)
        )
        errors = _collect.errors(source, pieces, per, merge=merge)
        return self.form.restore_steps(errors) if per == "step" and not merge else errors

    def forecast(self, X: Any, lengths: npt.ArrayLike | None = None) -> FloatArray:
        """What comes after sequences, (N, K, F).

        Where the model was trained on a `y` its number of axes is kept, (N,) or (N, K); on a
        table without one, a table (N, K) is given.
        """
        source = self._read(X, lengths)
        fitted = self.contents.fitted
        values = self._forecasts(source)
        return _collect.futures_shaped(values, fitted["y_ndim"], table=fitted["table"])

    def predict_quantiles(self, X: Any, lengths: npt.ArrayLike | None = None) -> FloatArray:
        """The quantiles of what comes after sequences, (N, K, F, Q), as the estimator's."""
        source = self._read(X, lengths)
        return self._forecasts(source, "quantiles")

    def predict_proba(
        self, X: Any, lengths: npt.ArrayLike | None = None
    ) -> npt.NDArray[np.float32]:
        """How likely every class is for every sequence: (N, C), in the order of `classes`."""
        if self.head is None:
            raise InputError(f"This model is no classifier but of {self.contents.model}.")
        logits = self.head(self.encode(X, lengths).astype(np.float64))
        powers = np.exp(logits - logits.max(axis=1, keepdims=True))
        return np.asarray(powers / powers.sum(axis=1, keepdims=True), np.float32)

    def predict(self, X: Any, lengths: npt.ArrayLike | None = None) -> Any:
        """The likeliest class of every sequence; of a model that forecasts alone, the forecast."""
        if self.classes is not None:
            return self.classes[self.predict_proba(X, lengths).argmax(axis=1)]
        return self.forecast(X, lengths)

    def score(self, X: Any, y: Any = None, lengths: npt.ArrayLike | None = None) -> float:
        """How good the model is, higher is better, 1 is perfect; as the estimator's `score`.

        An autoencoder's is the share of the variance of X that reconstructions explain. A
        forecaster's is R² of the forecast against `y`, the future, or without it against the
        last K steps of every sequence, which are cut off. A classifier's is the share of labels
        `y` that it gives.
        """
        if self.classes is not None:
            if y is None:
                raise InputError("Expected labels `y` to compare predictions with, got none.")
            truth = labels_like(y, self.classes)
            predicted = self.predict(X, lengths)
            _check_shapes(predicted, truth)
            return float(np.mean(predicted == truth))
        if "reconstruction" in self.decoders or not self.decoders:
            return self._scores(X, y, lengths).explained
        if y is not None:
            predicted = self.forecast(X, lengths)
            truth = as_future(y, self.contents.feature_names)
            if not np.isfinite(truth).all():
                raise InputError("Expected finite numbers in `y`, got others.")
        else:
            source = self._read(X, lengths)
            futures = Futures(source, self.horizon)
            _, _, truth = futures.take_with_future(np.arange(len(source)))
            predicted = self._forecasts(futures)
        _check_shapes(predicted, truth)
        return _r2(truth.reshape(len(truth), -1), predicted.reshape(len(truth), -1))

    def skill_score(self, X: Any, y: Any = None, lengths: npt.ArrayLike | None = None) -> float:
        """How much better reconstructions are than the mean sequence of `X`.

        As the estimator's `skill_score`: 1 is perfect, 0 no better, NaN for a single sequence.
        """
        return self._scores(X, y, lengths).skill

    def _scores(self, X: Any, y: Any, lengths: npt.ArrayLike | None) -> _collect.Scores:
        source = self._read(X, lengths, unwind=True, ends_with_future=y is None)
        return _collect.scores(source, self._reconstructions(source), self.scaler)

    def stream(self, series: int | None = None) -> Stream:
        """Read one step at a time, see `Stream`.

        Parameters
        ----------
        series : int, optional
            How many series are read side by side; steps are then (series, F) instead of (F,).
        """
        decoders = {n: self._ahead(n) for n in self.decoders if n != "reconstruction"}
        return Stream(self.contents, self.encoder, decoders, series)

    def _read(
        self,
        X: Any,
        lengths: npt.ArrayLike | None,
        *,
        unwind: bool = False,
        ends_with_future: bool = False,
    ) -> Source:
        """Read `X` as sequences that the encoder can take.

        With `unwind`, the decoder has to be able to reconstruct them; with `ends_with_future`, the
        last steps that training cut off are cut off here too.
        """
        source = self.form.read(X, lengths)
        if ends_with_future:
            source = self.form.without_future(source)
        limits = [self.encoder.max_steps]
        if unwind:
            limits.append(self._decoder("reconstruction").max_steps)
        self.form.check_longest(source, limits)
        return source

    def _lstm_encoder(self) -> LSTMEncoder:
        if not isinstance(self.encoder, LSTMEncoder):
            raise InputError(
                "Features are statistics of an LSTM encoder's states, and this "
                f"{self.contents.model} has none; use `encode`."
            )
        return self.encoder

    def _decoder(self, name: str) -> Decoder:
        if name not in self.decoders:
            held = ", ".join(self.decoders) or "an encoder alone"
            raise InputError(f"This model has no decoder for a {name}, it holds {held}.")
        return self.decoders[name]

    def _batches(
        self, source: Source | Futures, unwound: int = 0
    ) -> Iterator[tuple[IntArray, Array, Ragged]]:
        """Indices (B,) and scaled sequences (B, T, F) with zeros in their padding, in batches.

        `unwound` is how many values a code becomes on its way to a sequence.
        """
        lengths = source.lengths_of(np.arange(len(source)))
        most = max(unwound, source.max_length * self.encoder.width)
        for indices in _longest_first(lengths, most):
            values, own = source.take(indices)
            x = self.scaler.apply(values)
            x[np.arange(x.shape[1]) >= own[:, None]] = 0
            yield indices, x, Ragged(own, x.shape[1])

    def _reconstructions(self, source: Source) -> Iterator[tuple[IntArray, Array, Array]]:
        """Indices (B,), input and reconstruction (B, T, F), scaled, batch by batch."""
        decoder = self._decoder("reconstruction")
        for indices, x, batch in self._batches(source, source.max_length * decoder.width):
            yield indices, x, self._reconstructed(x, batch)

    def _reconstructed(self, x: Array, batch: Ragged) -> Array:
        """The reconstruction of scaled sequences (B, T, F), the longest first."""
        decoder = self._decoder("reconstruction")
        backwards = _backwards(x, batch) if decoder.needs_input else None
        return decoder(self.encoder(x, batch), batch, backwards)

    def _forecasts(self, source: Source | Futures, name: str = "forecast") -> FloatArray:
        """Forecasts (N, K, F), or their quantiles (N, K, F, Q)."""
        ahead = self._ahead(name)
        several = (len(self.contents.parameters["quantiles"]),) if ahead.quantiles else ()
        values = np.empty((len(source), self.horizon, source.n_features, *several))
        for indices, x, batch in self._batches(source, self.horizon * ahead.decoder.width):
            values[indices] = self._forecast_of(x, batch, ahead)
        return values

    def _forecast_of(self, x: Array, batch: Ragged, ahead: Ahead | None = None) -> FloatArray:
        """What comes after scaled sequences (B, T, F), the longest first: (B, K, F)."""
        ahead = ahead or self._ahead("forecast")
        backwards = _backwards(x, batch) if ahead.decoder.needs_input else None
        return ahead(self.encoder(x, batch), x, batch, backwards)

    def _ahead(self, name: str) -> Ahead:
        """The decoder `name` with what leads to its forecasts beside the code."""
        return Ahead(
            self._decoder(name),
            self.horizon,
            self.skip,
            self.scaler,
            quantiles=name == "quantiles",
        )


def _longest_first(lengths: IntArray, values: int) -> Iterator[IntArray]:
    """Indices of sequences in batches, the longest first; each becomes up to `values` numbers."""
    size = max(1, min(BATCH, BATCH_VALUES // max(1, values)))
    order = np.argsort(-lengths, kind="stable")
    return (order[start : start + size] for start in range(0, len(order), size))


def _backwards(x: Array, batch: Ragged) -> Array:
    """Sequences (B, T, F), each turned round within its own length."""
    return batch.reversed(x.transpose(1, 2, 0)).transpose(2, 0, 1)


def _check_shapes(predicted: npt.NDArray[Any], truth: npt.NDArray[Any]) -> None:
    if predicted.shape != truth.shape:
        raise InputError(f"Expected `y` of shape {predicted.shape}, got {truth.shape}.")


def _r2(truth: FloatArray, predicted: FloatArray) -> float:
    """The mean of the columns' R², as scikit-learn's `r2_score` has it; NaN for one row."""
    if len(truth) < 2:
        return float("nan")
    missed = ((truth - predicted) ** 2).sum(axis=0)
    spread = ((truth - truth.mean(axis=0)) ** 2).sum(axis=0)
    constant = np.where(missed == 0, 1.0, 0.0)
    share = np.where(spread > 0, 1 - missed / np.where(spread > 0, spread, 1), constant)
    return float(share.mean())
