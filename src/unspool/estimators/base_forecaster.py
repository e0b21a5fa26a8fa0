"""What a fitted forecaster can do: forecasts, quantiles, continuations, a score."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from sklearn.base import RegressorMixin
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted
from torch import Tensor
from torch.nn import functional

from unspool import _checks
from unspool._pieces import Computation
from unspool.data.convert import Source
from unspool.data.futures import Futures, as_future
from unspool.data.known import following
from unspool.data.sequences import FloatArray
from unspool.errors import InputError
from unspool.estimators.batch_runner import runner
from unspool.estimators.drawing import draw_function
from unspool.estimators.forecasting import Forecasts
from unspool.estimators.recurrent import LSTMModel
from unspool.estimators.validation import read_future
from unspool.training.batches import Batch


class BaseForecaster(
    RegressorMixin,  # type: ignore[misc]  # scikit-learn ships no types
    Forecasts,
    LSTMModel,
):
    """A model with scikit-learn's API of a regressor; see `LSTMForecaster`."""

    _reconstructs = False

    @property
    def _every_step(self) -> bool:  # type: ignore[override]
        return bool(self.every_step)

    def predict(self, X: Any, future: Any = None) -> FloatArray:
        """Forecast the steps that follow sequences: scikit-learn's name for `forecast`.

        Parameters
        ----------
        X : array, list, frame, Sequences or Windows
            Sequences in any form that `fit` accepts. They are the past: no steps are cut off.
        future : array of shape (N, K, n_known), frame or list of frames, optional
            The features that are known ahead (`known`) at the K steps after each sequence. Needed
            by a model that was fitted with such features. A frame has the K steps after the only
            sequence as rows, or the index (instance, time); of its columns, those of the known
            features are read.

        Returns
        -------
        ndarray of shape (N, K, F_out)
            Forecasts in the units of the data. If `fit` was given `y`, the result has the number of
            axes of that, (N,) or (N, K); otherwise (N, K) for a table (N, T).

        Raises
        ------
        InputError
            If `X` cannot be read, or has other features than the `X` of `fit`.
        """
        return self.forecast(X, future)

    def predict_quantiles(self, X: Any, future: Any = None) -> FloatArray:
        """Forecast the `quantiles` of the steps that follow sequences.

        Parameters
        ----------
        X : array, list, frame, Sequences or Windows
            Sequences in any form that `fit` accepts. They are the past: no steps are cut off.
        future : array of shape (N, K, n_known), frame or list of frames, optional
            The features that are known ahead (`known`) at the K steps after each sequence. Needed
            by a model that was fitted with such features. A frame has the K steps after the only
            sequence as rows, or the index (instance, time); of its columns, those of the known
            features are read.

        Returns
        -------
        ndarray of shape (N, K, F_out, Q)
            Forecasts in the units of the data, in the order of `quantiles`; none is below the one
            before. The shape does not depend on the shape of `y` in `fit`.

        Raises
        ------
        InputError
            If the model was fitted without `quantiles`, or if `X` cannot be read.
        """
        source = self._read(X)
        self._check_has_quantiles()
        return self._quantiles(self._form.with_known(source, following(X, future), self.horizon_))

    def _predict_quantiles(self, X: Any) -> Computation:
        source = self._read(X)
        self._check_has_quantiles()
        self._form.with_known(source, None, self.horizon_)  # raises if known features are needed
        return Computation(runner(self), source, lambda part, first: self._quantiles(part))

    def _check_has_quantiles(self) -> None:
        if not len(self._parameters["quantiles"]):
            raise InputError(
                "This model was fitted without quantiles; set `quantiles` and call `fit` again."
            )

    def _quantiles(self, source: Source | Futures) -> FloatArray:
        count = len(self._parameters["quantiles"])
        values = np.empty((len(source), self.horizon_, self._form.n_outputs, count))
        outputs = runner(self).outputs(
            source,
            lambda one: self.module_.run_decoder("quantiles", one.x, one.lengths, one.future),
        )
        for indices, _, scaled in outputs:
            values[indices] = self.target_scaler_.undo(scaled.swapaxes(2, 3)).swapaxes(2, 3)
        return values

    def forecast_by_step(self, X: Any) -> FloatArray:
        """Forecast after each step of sequences, from the steps up to it.

        Parameters
        ----------
        X : array, list, frame, Sequences or Windows
            Sequences in any form that `fit` accepts.

        Returns
        -------
        ndarray of shape (N, T, K, F_out)
            Forecasts in the units of the data, NaN after the end of each sequence; ``[:, -1]`` of
            sequences of full length equals `forecast`.

        Raises
        ------
        InputError
            If the encoder reads in both directions or patches, if its code is the whole state, if
            the model has features that are known ahead, or if `X` cannot be read.
        """
        source = self._read(X)
        shape = (len(source), source.max_length, self.horizon_, self._form.n_outputs)
        values = np.full(shape, np.nan)
        outputs = runner(self).outputs(
            source, lambda one: self.module_.decode_by_step("forecast", one.x, one.lengths)
        )
        for indices, _, scaled in outputs:
            values[indices, : scaled.shape[1]] = self.target_scaler_.undo(scaled)
        lengths = source.lengths_of(np.arange(len(source)))
        values[np.arange(source.max_length) >= lengths[:, None]] = np.nan
        return values

    def generate(
        self,
        X: Any,
        steps: int,
        *,
        temperature: float | None = None,
        random_state: int | np.random.RandomState | None = None,
    ) -> FloatArray:
        """Continue sequences for any number of steps, forecast by forecast.

        Each forecast is appended to its sequence, and the next one is made from the last
        ``max_length_`` steps.

        Parameters
        ----------
        X : array, list, frame, Sequences or Windows
            Sequences in any form that `fit` accepts. A sequence may have one step, or none.
        steps : int
            Number of steps to append, at least 0.
        temperature : float, optional
            Draw each step from its probabilities, if the loss is a cross-entropy, with log-odds
            divided by this; 0 draws the most likely value. None appends the forecasts themselves.
        random_state : int, RandomState or None, default None
            Seed of the draws.

        Returns
        -------
        ndarray of shape (N, steps, F), or (N, steps) for a table
            The appended steps, in the units of the data.

        Raises
        ------
        InputError
            If `steps` or `temperature` is not such a number, if a `temperature` is given for
            another loss, if the model does not forecast all features, or if `X` cannot be read.
        """
        _checks.raise_all(_checks.whole("steps", steps, 0))
        check_is_fitted(self)
        if self._form.n_responses or self._form.targets is not None:
            raise InputError(
                "`generate` appends forecasts to the sequences and reads them again, so it needs "
                "forecasts of all features, but this model forecasts others; use `forecast`, or "
                "fit with targets=None."
            )
        draw = None
        if temperature is not None:
            draw = draw_function(self._loss, temperature, random_state)
        source = self._read(X, starts=True)
        values = np.empty((len(source), steps, self._n_features))
        outputs = runner(self).outputs(source, lambda one: self._continued(one, steps, draw))
        for indices, _, scaled in outputs:
            values[indices] = self.scaler_.undo(scaled)
        return self._form.restore(values, self._form.axes_given(X))

    def _continued(
        self, batch: Batch, steps: int, draw: Callable[[Tensor], Tensor] | None
    ) -> Tensor:
        """Return the next `steps` (B, steps, F) after the sequences of a batch."""
        x, lengths = batch.x, batch.lengths
        starts = x.new_full((len(x),), x.shape[1]).long() if lengths is None else lengths
        table = functional.pad(x, (0, 0, 0, steps + self.horizon_))
        clip, continued = self.scaler_.clip, []
        for done in range(0, steps, self.horizon_):
            ends = starts + done
            first = (ends - max(1, self.max_length_)).clamp(min=0)
            recent = _rows(table, first, int((ends - first).max()))
            step = self.module_.run_decoder("forecast", recent, ends - first)
            places = ends[:, None] + torch.arange(self.horizon_, device=x.device)
            step = step if draw is None else draw(step)
            continued.append(step)
            read = step if clip is None else step.clamp(-clip, clip)
            table = table.scatter(1, places[:, :, None].expand_as(step), read)
        return torch.cat([x[:, :0], *continued], 1)[:, :steps]

    def score(self, X: Any, y: Any = None, sample_weight: npt.ArrayLike | None = None) -> float:
        """Return R² of the forecast, computed over the K · F values like scikit-learn's `r2_score`.

        Parameters
        ----------
        X : array, list, frame, Sequences or Windows
            Sequences in any form that `fit` accepts.
        y : array, optional
            The steps that follow each sequence, as for `fit`. None cuts the last K steps off each
            sequence and compares the forecast with them. A model with features that are known
            ahead reads them from these steps.
        sample_weight : array of shape (N,), optional
            Weights of the sequences.

        Returns
        -------
        float
            R², at most 1.

        Raises
        ------
        InputError
            If `X` cannot be read, or if `y` has another shape than the forecast.
        """
        source = self._read(X)
        form = self._form
        if y is not None and not form.known:
            names = form.target_names if form.targets is not None else source.feature_names
            predicted, truth = self.forecast(X), as_future(y, names)
        else:
            given = None if y is None else read_future(y, source, self.horizon_, form)
            if given is None and form.n_responses:
                raise InputError(
                    "This model predicts a quantity that is no feature of `X`; give it as `y`."
                )
            futures = self._futures(source, self.horizon_, given)
            _, _, truth = futures.take_with_future(np.arange(len(source)))
            truth, predicted = futures.targets_of(truth), self._forecasts(futures)
        if predicted.shape != truth.shape:
            raise InputError(f"Expected `y` of shape {predicted.shape}, got {truth.shape}.")
        from sklearn.metrics import r2_score

        flat = [values.reshape(len(values), -1) for values in (truth, predicted)]
        if self._form.missing == "mask" and np.isnan(truth).any():
            return _r2_of_present(flat[0], flat[1], sample_weight)
        return float(r2_score(*flat, sample_weight=sample_weight))

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.target_tags.required = False
        tags.target_tags.multi_output = True
        tags.regressor_tags.poor_score = True  # its target continues X, in units of X
        return tags


def _r2_of_present(
    truth: FloatArray, predicted: FloatArray, sample_weight: npt.ArrayLike | None
) -> float:
    """Return the mean of R² over the columns, each over the rows whose truth is not missing.

    Columns with fewer than two values do not count; without any other, the result is NaN.
    """
    from sklearn.metrics import r2_score

    weights = np.ones(len(truth)) if sample_weight is None else np.asarray(sample_weight)
    each = [
        r2_score(truth[rows, i], predicted[rows, i], sample_weight=weights[rows])
        for i, rows in enumerate(~np.isnan(truth.T))
        if rows.sum() > 1
    ]
    return float(np.mean(each)) if each else math.nan


def _rows(table: Tensor, first: Tensor, count: int) -> Tensor:
    """Return steps (B, count, F) of a table (B, T, F), from `first` (B,) on."""
    places = first[:, None] + torch.arange(count, device=table.device)
    return table.gather(1, places[:, :, None].expand(-1, -1, table.shape[2]))
