"""`Model`: a trained model that runs with NumPy."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from unspool import _collect
from unspool._loss_parameter import LossFunction
from unspool._pieces import Computation
from unspool._types import RuntimeBackendName
from unspool.blueprint.features import check_scales, feature_names
from unspool.data.convert import Source
from unspool.data.futures import Futures, as_future
from unspool.data.known import following
from unspool.data.labels import labels_like
from unspool.data.sequences import FloatArray
from unspool.errors import InputError
from unspool.model_file import Contents
from unspool.model_file.labels import restore_labels
from unspool.model_file.losses import with_functions
from unspool.runtime.backends import kernels
from unspool.runtime.network import Network
from unspool.runtime.pieces import RUNS, InPieces
from unspool.runtime.reconstructing import Reconstructs
from unspool.runtime.scoring import check_finite, check_shapes, r2
from unspool.runtime.stream import Stream


class Model(Reconstructs, InPieces):
    """A trained model that runs without PyTorch, with NumPy alone or with compiled kernels.

    The results are those of the estimator, up to rounding. Methods have short names (`encode`,
    `decode`) and those of the estimators (`transform`, `inverse_transform`). Several threads may
    use one model.

    Parameters
    ----------
    contents : Contents
        The trained model as plain data, from ``estimator.contents()``; `load` reads it from a file.
    custom_objects : dict from str to callable, optional
        For a model whose loss is a function: a function of arrays by the name of that function,
        which takes reconstructions and inputs (B, T, F), scaled, and returns losses (B, T, F) or
        (B, T). Only `reconstruction_error` needs it.
    backend : {"auto", "compiled", "numpy"}, default "auto"
        What computes recurrent layers. "compiled" are unspool's kernels, which need Numba
        (``pip install "unspool[train]"``) and are faster, most of all on a few sequences. With
        "auto", they are used if Numba can be imported, which happens when layers run for the first
        time. "numpy" never imports Numba.

    Attributes
    ----------
    contents : Contents
        The trained model as plain data.
    latent_dim : int
        Length of the code, L.
    horizon : int
        Number of steps of the forecast, K; 0 for a model that does not forecast.
    classes : array of shape (C,), or None
        The labels of a classifier, sorted.

    Raises
    ------
    InputError
        If `contents` are not those of a model that the runtime can run. Methods raise it if `X`
        cannot be read, or if the model has no part for what they compute.

    See Also
    --------
    load : Read a model from a file.
    Stream : The same model, step by step.

    Notes
    -----
    `X` may have all forms that the estimator accepts: an array (N, T, F), or (N, T) for one
    feature; a list of arrays or frames (T_i, F); images (N, H, W, C) or rows (N, D), if the model
    was trained on such; a frame; `Sequences` or `Windows`. Steps at the end of a sequence that are
    NaN in every feature are padding. With `lengths`, `X` is an array (N, T, F), and values past
    the end of a sequence are ignored. All values are in the units of the data.

    An estimator requires tables with the number of columns that `fit` read; here, sequences in a
    table (N, T) may have any length. The columns of a frame must have the same names in the same
    order.

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

    def __init__(
        self,
        contents: Contents,
        *,
        custom_objects: Mapping[str, Callable[..., Any]] | None = None,
        backend: RuntimeBackendName = "auto",
    ) -> None:
        with_functions({}, custom_objects)  # checks them
        self.contents = contents
        self._form, self._network = contents.form, Network(contents, backend)
        self.latent_dim, self.horizon = self._network.latent_dim, self._network.horizon
        self.classes = None
        if self._network.head is not None:
            self.classes = restore_labels(contents.fitted["classes"])
        self._loss = None if self.classes is not None else contents.loss
        if isinstance(self._loss, LossFunction):  # that of tensors cannot be used here
            self._loss = LossFunction(self._loss.name, (custom_objects or {}).get(self._loss.name))

    def __repr__(self) -> str:
        features = self._form.n_features
        return f"Model({self.contents.model}, {features} features, codes of {self.latent_dim})"

    @property
    def backend(self) -> Literal["compiled", "numpy"]:
        """What computes recurrent layers; "numpy" for a model that has none."""
        if not self._network.lstms or kernels(self._network.backend) is None:
            return "numpy"
        return "compiled"

    @property
    def classes_(self) -> npt.NDArray[Any] | None:
        """The labels of a classifier; the name that estimators have for `classes`."""
        return self.classes

    def encode(self, X: Any, lengths: npt.ArrayLike | None = None) -> npt.NDArray[np.float32]:
        """Encode sequences; `transform` is another name of this method.

        Parameters
        ----------
        X : array, list, frame, Sequences or Windows
            Sequences in any form that the class describes.
        lengths : array of int, shape (N,), optional
            Number of real steps of every sequence, if `X` is an array (N, T, F).

        Returns
        -------
        array of shape (N, L), float32
            The codes.
        """
        found: npt.NDArray[np.float32] = self._transform(X, lengths).whole()
        return found

    transform = encode

    def features(
        self, X: Any, lengths: npt.ArrayLike | None = None, *, scales: Sequence[int] = (1,)
    ) -> npt.NDArray[np.float32]:
        """Compute features for a classifier or a regression from the states of an LSTM encoder.

        Parameters
        ----------
        X : array, list, frame, Sequences or Windows
            Sequences in any form that the class describes.
        lengths : array of int, shape (N,), optional
            Number of real steps of every sequence, if `X` is an array (N, T, F).
        scales : sequence of int, default (1,)
            Numbers of parts that each sequence is cut into, distinct numbers from 1 to 1,024.

        Returns
        -------
        array of shape (N, D), float32
            Mean, maximum, minimum and standard deviation of every state over every part, then the
            means of the random kernels, if the model has any; `feature_names` has their names.
        """
        found: npt.NDArray[np.float32] = self._features(X, lengths, scales=scales).whole()
        return found

    def feature_names(self, scales: Sequence[int] = (1,)) -> npt.NDArray[np.object_]:
        """Return the names of the columns of `features`.

        Parameters
        ----------
        scales : sequence of int, default (1,)
            The `scales` that `features` was called with.

        Returns
        -------
        array of shape (D,), of str
            Names such as "state3_mean", "state3_max_2of4" (the second of 4 parts) or "kernel17".
        """
        part = self._network.lstm_encoder().part
        n_kernels = 0 if part.kernels is None else part.kernels.width
        return feature_names(part.lstm.width, n_kernels, check_scales(scales))

    def decode(self, codes: Any, lengths: npt.ArrayLike | None = None) -> FloatArray:
        """Decode codes; `inverse_transform` is another name of this method.

        Parameters
        ----------
        codes : array of shape (N, L)
            Codes.
        lengths : int or array of int, shape (N,), optional
            Number of steps to decode; by default the length of the longest training sequence.

        Returns
        -------
        array of shape (N, T, F)
            Sequences in the units of the data, NaN past the end of each one; (N, T), (N, D) or
            (N, H, W, C) if the model was trained on tables or images of that form.

        Raises
        ------
        InputError
            If the decoder reads the input in addition to the code, or codes are not (N, L).
        """
        decoder = self._network.decoder("reconstruction")
        _collect.check_decodes_codes_alone(self._network.scaler)
        if decoder.needs_input:
            raise InputError(
                "The decoder of this model reads the input in addition to the code, so codes alone "
                "cannot be decoded; use `reconstruct`."
            )
        self._form.check_lengths(lengths)
        values, steps = _collect.codes_and_lengths(
            codes, lengths, self.latent_dim, self._form.max_length, decoder.max_steps
        )
        return self._form.restore(self._network.decode(values, steps))

    inverse_transform = decode

    def forecast(
        self, X: Any, lengths: npt.ArrayLike | None = None, *, future: Any = None
    ) -> FloatArray:
        """Forecast the steps that follow sequences.

        Parameters
        ----------
        X : array, list, frame, Sequences or Windows
            Sequences in any form that the class describes; no steps are cut off.
        lengths : array of int, shape (N,), optional
            Number of real steps of every sequence, if `X` is an array (N, T, F).
        future : array of shape (N, K, n_known), frame or list of frames, optional
            The features that are known ahead at the K steps after each sequence, for a model that
            was trained with such features.

        Returns
        -------
        array of shape (N, K, F_out)
            Forecasts in the units of the data. If the model was trained with `y`, the array has
            the number of axes of `y`, (N,) or (N, K); otherwise (N, K) for a model of tables.
        """
        form = self._form
        source = form.with_known(self._read(X, lengths), following(X, future), self.horizon)
        return self._shaped_forecasts(source)

    def predict_quantiles(
        self, X: Any, lengths: npt.ArrayLike | None = None, *, future: Any = None
    ) -> FloatArray:
        """Forecast the quantiles of the steps that follow sequences.

        Parameters
        ----------
        X : array, list, frame, Sequences or Windows
            Sequences in any form that the class describes; no steps are cut off.
        lengths : array of int, shape (N,), optional
            Number of real steps of every sequence, if `X` is an array (N, T, F).
        future : array of shape (N, K, n_known), frame or list of frames, optional
            The features that are known ahead at the K steps after each sequence, for a model that
            was trained with such features.

        Returns
        -------
        array of shape (N, K, F_out, Q)
            Quantiles in the units of the data, in the order of the parameter `quantiles`.
        """
        self._network.decoder("quantiles")  # raises if the model has none
        source = self._form.with_known(self._read(X, lengths), following(X, future), self.horizon)
        return self._network.forecasts(source, "quantiles")

    def predict_proba(
        self, X: Any, lengths: npt.ArrayLike | None = None
    ) -> npt.NDArray[np.float32]:
        """Predict the probability of every class for every sequence.

        Parameters
        ----------
        X : array, list, frame, Sequences or Windows
            Sequences in any form that the class describes.
        lengths : array of int, shape (N,), optional
            Number of real steps of every sequence, if `X` is an array (N, T, F).

        Returns
        -------
        array of shape (N, C), float32
            Probabilities in the order of `classes`; rows add up to 1.
        """
        found: npt.NDArray[np.float32] = self._predict_proba(X, lengths).whole()
        return found

    def predict(self, X: Any, lengths: npt.ArrayLike | None = None, *, future: Any = None) -> Any:
        """Predict the class of every sequence, or forecast the steps that follow it.

        Parameters
        ----------
        X : array, list, frame, Sequences or Windows
            Sequences in any form that the class describes.
        lengths : array of int, shape (N,), optional
            Number of real steps of every sequence, if `X` is an array (N, T, F).
        future : array of shape (N, K, n_known), frame or list of frames, optional
            The features that are known ahead at the K steps after each sequence, for a model that
            was trained with such features.

        Returns
        -------
        array
            For a classifier, the most likely labels, (N,). For any other model, the result of
            `forecast`.
        """
        if self.classes is not None:
            return self.classes[self.predict_proba(X, lengths).argmax(axis=1)]
        return self.forecast(X, lengths, future=future)

    def score(self, X: Any, y: Any = None, lengths: npt.ArrayLike | None = None) -> float:
        """Score the model as the estimator's `score` does; higher is better, 1 is perfect.

        Parameters
        ----------
        X : array, list, frame, Sequences or Windows
            Sequences in any form that the class describes.
        y : array, optional
            For a classifier, the labels, (N,). For a forecaster, the steps that follow the
            sequences; by default the last K steps of every sequence, which are cut off `X`. For
            an autoencoder it is not scored, but if it is given, no steps are cut off `X`.
        lengths : array of int, shape (N,), optional
            Number of real steps of every sequence, if `X` is an array (N, T, F).

        Returns
        -------
        float
            For an autoencoder, the share of the variance of `X` that reconstructions explain. For
            a forecaster, R² of the forecast. For a classifier, the share of correct labels.
        """
        if self.classes is not None:
            return self._accuracy(X, y, lengths, self.classes)
        if "reconstruction" in self._network.decoders or not self._network.decoders:
            return self._scores(X, y, lengths).explained
        form = self._form
        if y is not None and not form.known:
            predicted = self.forecast(X, lengths)
            truth = as_future(y, form.target_names)
            if form.missing == "raise":
                check_finite(truth)
        else:
            if y is None and form.n_responses:
                raise InputError(
                    "This model predicts a quantity that is no feature of `X`; give it as `y`."
                )
            source = self._read(X, lengths)
            given = None
            if y is not None:
                given = as_future(y, form.feature_names)
                if form.missing == "raise":
                    check_finite(given)
                expected = (len(source), self.horizon, form.n_features)
                if given.shape != expected:
                    raise InputError(
                        f"Expected `y` of shape {expected}, with all features, because some are "
                        f"known ahead, got {given.shape}."
                    )
            futures = Futures(source, self.horizon, given, targets=form.targets, known=form.known)
            _, _, truth = futures.take_with_future(np.arange(len(source)))
            truth, predicted = futures.targets_of(truth), self._network.forecasts(futures)
        check_shapes(predicted, truth)
        return r2(truth.reshape(len(truth), -1), predicted.reshape(len(truth), -1))

    def stream(self, series: int | None = None) -> Stream:
        """Start reading a series step by step.

        Parameters
        ----------
        series : int, optional
            Number of series that are read in parallel; steps then have shape (series, F) instead
            of (F,).

        Returns
        -------
        Stream
            A stream before its first step.

        Raises
        ------
        InputError
            If the encoder is not an LSTM that reads in one direction.
        """
        network = self._network
        names = [name for name in network.decoders if name != "reconstruction"]
        forecasters = {name: network.forecaster(name) for name in names}
        reconstruct = network.reconstruct if "reconstruction" in network.decoders else None
        return Stream(
            self.contents,
            network.encoder,
            forecasters,
            series,
            reconstruct,
            self._loss,
            backend=network.backend,
        )

    def _transform(self, X: Any, lengths: npt.ArrayLike | None = None) -> Computation:
        source = self._read(X, lengths)
        return Computation(RUNS, source, lambda part, first: self._network.codes(part))

    def _features(
        self, X: Any, lengths: npt.ArrayLike | None = None, *, scales: Sequence[int] = (1,)
    ) -> Computation:
        scales = check_scales(scales)
        width, source = len(self.feature_names(scales)), self._read(X, lengths)
        return Computation(
            RUNS, source, lambda part, first: self._network.features(part, scales, width)
        )

    def _forecast(self, X: Any, lengths: npt.ArrayLike | None = None) -> Computation:
        source = self._read_before_forecast(X, lengths, "forecast")
        return Computation(RUNS, source, lambda part, first: self._shaped_forecasts(part))

    def _predict_quantiles(self, X: Any, lengths: npt.ArrayLike | None = None) -> Computation:
        source = self._read_before_forecast(X, lengths, "quantiles")
        return Computation(
            RUNS, source, lambda part, first: self._network.forecasts(part, "quantiles")
        )

    def _read_before_forecast(self, X: Any, lengths: npt.ArrayLike | None, decoder: str) -> Source:
        """Read `X` for forecasts in pieces, which have no features that are known ahead."""
        self._network.decoder(decoder)  # raises if the model has none
        source = self._read(X, lengths)
        self._form.with_known(source, None, self.horizon)  # raises if known features are needed
        return source

    def _shaped_forecasts(self, source: Source | Futures) -> FloatArray:
        form, values = self._form, self._network.forecasts(source)
        y_ndim = self.contents.fitted["y_ndim"]
        return _collect.futures_shaped(values, y_ndim, table=form.table and not form.n_responses)

    def _predict_proba(self, X: Any, lengths: npt.ArrayLike | None = None) -> Computation:
        head = self._network.head
        if head is None:
            raise InputError(
                "`predict_proba` needs an EncoderClassifier, but this model is of class "
                f"{self.contents.model}."
            )

        def of(part: Source, first: int) -> npt.NDArray[np.float32]:
            logits = head(self._network.codes(part).astype(np.float64))
            powers = np.exp(logits - logits.max(axis=1, keepdims=True))
            return np.asarray(powers / powers.sum(axis=1, keepdims=True), np.float32)

        return Computation(RUNS, self._read(X, lengths), of)

    def _predict(self, X: Any, lengths: npt.ArrayLike | None = None) -> Computation:
        classes = self.classes
        if classes is None:
            return self._forecast(X, lengths)
        found = self._predict_proba(X, lengths)
        return Computation(
            RUNS,
            found.source,
            lambda part, first: classes[found.of(part, first).argmax(axis=1)],
        )

    def _accuracy(self, X: Any, y: Any, lengths: Any, classes: npt.NDArray[Any]) -> float:
        if y is None:
            raise InputError("Expected labels `y` to compare predictions with, got none.")
        truth, predicted = labels_like(y, classes), self.predict(X, lengths)
        check_shapes(predicted, truth)
        return float(np.mean(predicted == truth))

    def _read(
        self,
        X: Any,
        lengths: npt.ArrayLike | None = None,
        *,
        decoded: bool = False,
        ends_with_future: bool = False,
    ) -> Source:
        """Read `X` as sequences that the encoder accepts.

        With `decoded`, the decoder must accept them too. With `ends_with_future`, the last steps
        are cut off if training cut them off.
        """
        source = self._form.read(X, lengths)
        if ends_with_future:
            source = self._form.without_future(source)
        limits = [self._network.encoder.max_steps]
        if decoded:
            limits.append(self._network.decoder("reconstruction").max_steps)
        self._form.check_longest(source, limits)
        return source
