"""What a model with a horizon is good for: the steps after the end of a sequence."""

from typing import Any

import numpy as np

from unspool import _collect
from unspool.data.convert import Source
from unspool.data.futures import Futures
from unspool.data.sequences import FloatArray
from unspool.errors import InputError
from unspool.estimators.base import Model
from unspool.estimators.batch_runner import runner


class Forecasts(Model):
    """A model with a decoder named "forecast"."""

    def forecast(self, X: Any) -> FloatArray:
        """What comes after sequences.

        Parameters
        ----------
        X : as for `fit`
            The past; nothing is cut off its end here.

        Returns
        -------
        array of shape (N, K, F)
            In the units of the data. Where `fit` was given `y` its number of axes is kept, (N,)
            or (N, K); without it a table (N, T) gives a table (N, K).

        Raises
        ------
        InputError
            For a model that was fitted without a horizon.
        """
        source = self._read(X)
        if not self.horizon_:
            raise InputError("This model does not forecast; set `horizon` and fit it again.")
        return _collect.futures_shaped(
            self._forecasts(source), self._y_ndim, table=self._form.table
        )

    def _forecasts(self, source: Source | Futures) -> FloatArray:
        values = np.empty((len(source), self.horizon_, self._n_features))
        outputs = runner(self).outputs(
            source, lambda one: self.module_.run_decoder("forecast", one.x, one.lengths)
        )
        for indices, _, scaled in outputs:
            values[indices] = self.scaler_.undo(scaled)
        return values
