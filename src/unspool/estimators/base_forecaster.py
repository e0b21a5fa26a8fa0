"""What a fitted forecaster can do: forecasts, quantiles, continuations, a score."""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from sklearn.base import RegressorMixin
from sklearn.metrics import r2_score
from sklearn.utils import Tags
from torch import Tensor
from torch.nn import functional

from unspool import _checks
from unspool.data.futures import Futures, as_future
from unspool.data.sequences import FloatArray
from unspool.errors import InputError
from unspool.estimators.base import drawing
from unspool.estimators.batch_runner import runner
from unspool.estimators.forecasting import Forecasts
from unspool.estimators.recurrent import LSTMModel
from unspool.training.batches import Batch


class BaseForecaster(
    RegressorMixin,  # type: ignore[misc]  # scikit-learn ships no types
    Forecasts,
    LSTMModel,
):
    """A model with scikit-learn's API of a regressor; see `LSTMForecaster`."""

    def predict(self, X: Any) -> FloatArray:
        """What comes after sequences, as `forecast`; scikit-learn's name for it."""
        return self.forecast(X)

    def predict_quantiles(self, X: Any) -> FloatArray:
        """The `quantiles` of what comes after sequences, each no less than the one before.

        Parameters
        ----------
        X : as for `forecast`

        Returns
        -------
        array of shape (N, K, F, Q)
            In the units of the data, in the order of `quantiles`, whatever form `y` had.

        Raises
        ------
        InputError
            For a model that was fitted without `quantiles`.
        """
        source = self._read(X)
        count = len(self._parameters["quantiles"])
        if not count:
            raise InputError("This model has no quantiles; set `quantiles` and fit it again.")
        values = np.empty((len(source), self.horizon_, self._n_features, count))
        outputs = runner(self).outputs(
            source, lambda one: self.module_.run_decoder("quantiles", one.x, one.lengths)
        )
        for indices, _, scaled in outputs:
            values[indices] = self.scaler_.undo(scaled.swapaxes(2, 3)).swapaxes(2, 3)
        return values

    def forecast_by_step(self, X: Any) -> FloatArray:
        """The forecasts that stand after every step of sequences, as more of them is read.

        Parameters
        ----------
        X : as for `fit`

        Returns
        -------
        array of shape (N, T, K, F)
            In the units of the data, NaN past the end of a sequence; ``[:, -1]`` of sequences of
            full length is their forecast.

        Raises
        ------
        InputError
            For an encoder that reads both ways or by patches, or makes its code of the whole
            state.
        """
        source = self._read(X)
        shape = (len(source), source.max_length, self.horizon_, self._n_features)
        values = np.full(shape, np.nan)
        outputs = runner(self).outputs(
            source, lambda one: self.module_.decode_by_step("forecast", one.x, one.lengths)
        )
        for indices, _, scaled in outputs:
            values[indices, : scaled.shape[1]] = self.scaler_.undo(scaled)
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
        """Go on after the end of sequences for as long as is wanted, one forecast after the other.

        Every forecast is added to its sequence and the next one made from that, from as many of
        its last steps as the longest sequence seen by `fit` had.

        Parameters
        ----------
        X : as for `fit`
            The starts; a start may be as short as one step, or none.
        steps : int
            How many to add.
        temperature : float, optional
            Draw every step from its probabilities, where the loss is a cross-entropy: log-odds
            are divided by it, 0 takes the likeliest. Without it forecasts are fed back as they
            are.
        random_state : int, RandomState or None
            Of the draws.

        Returns
        -------
        array of shape (N, steps, F), or (N, steps) for a table
            What was added, in the units of the data.
        """
        _checks.raise_all(_checks.whole("steps", steps, 0))
        draw = None
        if temperature is not None:
            draw = drawing(self._parameters["loss"], temperature, random_state)
        source = self._read(X, starts=True)
        values = np.empty((len(source), steps, self._n_features))
        outputs = runner(self).outputs(source, lambda one: self._continued(one, steps, draw))
        for indices, _, scaled in outputs:
            values[indices] = self.scaler_.undo(scaled)
        return self._form.restore(values, X)

    def _continued(
        self, batch: Batch, steps: int, draw: Callable[[Tensor], Tensor] | None
    ) -> Tensor:
        """The next `steps` (B, steps, F) after the sequences of a batch."""
        x, lengths, _ = batch
        starts = x.new_full((len(x),), x.shape[1]).long() if lengths is None else lengths
        table = functional.pad(x, (0, 0, 0, steps + self.horizon_))
        for done in range(0, steps, self.horizon_):
            ends = starts + done
            first = (ends - max(1, self.max_length_)).clamp(min=0)
            recent = _rows(table, first, int((ends - first).max()))
            step = self.module_.run_decoder("forecast", recent, ends - first)
            places = ends[:, None] + torch.arange(self.horizon_, device=x.device)
            step = step if draw is None else draw(step)
            table = table.scatter(1, places[:, :, None].expand_as(step), step)
        return _rows(table, starts, steps)

    def score(self, X: Any, y: Any = None, sample_weight: npt.ArrayLike | None = None) -> float:
        """R² of the forecast, over all its values.

        Parameters
        ----------
        X : as for `fit`
        y : the future, as for `fit`
            Without it the last K steps of every sequence are cut off and compared.
        sample_weight : array of shape (N,), optional
        """
        source = self._read(X)
        if y is not None:
            predicted, truth = self.forecast(X), as_future(y, source.feature_names)
        else:
            futures = Futures(source, self.horizon_)
            _, _, truth = futures.take_with_future(np.arange(len(source)))
            predicted = self._forecasts(futures)
        if predicted.shape != truth.shape:
            raise InputError(f"Expected `y` of shape {predicted.shape}, got {truth.shape}.")
        flat = [values.reshape(len(values), -1) for values in (truth, predicted)]
        return float(r2_score(*flat, sample_weight=sample_weight))

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.target_tags.required = False
        tags.target_tags.multi_output = True
        tags.regressor_tags.poor_score = True  # its target goes on where X ends, in X's units
        return tags


def _rows(table: Tensor, first: Tensor, count: int) -> Tensor:
    """Steps (B, count, F) of a table (B, T, F), from `first` (B,) on."""
    places = first[:, None] + torch.arange(count, device=table.device)
    return table.gather(1, places[:, :, None].expand(-1, -1, table.shape[2]))
