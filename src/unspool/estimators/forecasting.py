"""`forecast`, for models with a horizon."""

from typing import Any

import numpy as np

from unspool import _collect
from unspool._pieces import Computation
from unspool.data.convert import Source
from unspool.data.futures import Futures
from unspool.data.known import following
from unspool.data.sequences import FloatArray
from unspool.errors import InputError
from unspool.estimators.base import Model
from unspool.estimators.batch_runner import runner


class Forecasts(Model):
    """A model with a decoder named "forecast"."""

    def forecast(self, X: Any, future: Any = None) -> FloatArray:
        """Forecast the steps that follow sequences.

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
            Forecasts of the targets in the units of the data. If `fit` was given `y`, the result
            has the number of axes of that, (N,) or (N, K); otherwise (N, K) for a table (N, T).

        Raises
        ------
        InputError
            If the model was fitted without a horizon, if `X` cannot be read, or if `future` is
            missing, superfluous, or has other steps or features.
        """
        source = self._read_past(X)
        ahead = self._form.with_known(source, following(X, future), self.horizon_)
        return self._shaped(self._forecasts(ahead))

    def _forecast(self, X: Any) -> Computation:
        source, form = self._read_past(X), self._form
        form.with_known(source, None, self.horizon_)  # raises if known features are needed

        def of(part: Source, first: int) -> FloatArray:
            return self._shaped(self._forecasts(part))

        return Computation(runner(self), source, of)

    def _read_past(self, X: Any) -> Source:
        source = self._read(X)
        if not self.horizon_:
            raise InputError(
                "This model was fitted without a forecast; set `horizon` and call `fit` again."
            )
        return source

    def _shaped(self, values: FloatArray) -> FloatArray:
        form = self._form
        table = form.table and not form.n_responses
        return _collect.futures_shaped(values, self._y_ndim, table=table)

    def _forecasts(self, source: Source | Futures) -> FloatArray:
        values = np.empty((len(source), self.horizon_, self._form.n_outputs))
        outputs = runner(self).outputs(
            source,
            lambda one: self.module_.run_decoder("forecast", one.x, one.lengths, one.future),
        )
        for indices, _, scaled in outputs:
            values[indices] = self.target_scaler_.undo(scaled)
        return values
