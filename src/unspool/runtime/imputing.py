"""`impute` of `Model`: missing values are replaced by those of reconstructions."""

from typing import Any

import numpy.typing as npt

from unspool import _collect
from unspool.data.convert import Source
from unspool.data.forms import InputForm
from unspool.runtime.network import Network


class Imputes:
    """A trained model whose reconstructions replace missing values."""

    _network: Network
    _form: InputForm

    def _read(
        self,
        X: Any,
        lengths: npt.ArrayLike | None = None,
        *,
        decoded: bool = False,
        ends_with_future: bool = False,
    ) -> Source:
        """Read `X` as sequences that the encoder accepts."""
        raise NotImplementedError

    def impute(self, X: Any, lengths: npt.ArrayLike | None = None, *, merge: bool = False) -> Any:
        """Replace missing values by those of reconstructions; all others are returned unchanged.

        Parameters
        ----------
        X : array, list, frame, Sequences or Windows
            Sequences in any form that `Model` describes; NaN is a missing value. Steps are cut off
            as in `reconstruct`.
        lengths : array of int, shape (N,), optional
            Number of real steps of every sequence, if `X` is an array (N, T, F).
        merge : bool, default False
            For `Windows`: whether to impute the series, with averages of overlapping windows.

        Returns
        -------
        array of shape (N, T, F), or list of array of shape (T_i, F)
            The sequences, float64, NaN after the end of each sequence; (N, T) for a table of that
            shape. Missing values of features that are no `targets` stay NaN. With `merge`, one
            array for each series, where values that are missing at steps that no window covers stay
            NaN.

        Raises
        ------
        InputError
            If `X` cannot be read, or contains missing values and the model was not trained with
            ``missing="mask"``; or with `merge`, if `X` is not `Windows`.

        See Also
        --------
        reconstruct : Returns the reconstruction everywhere.
        """
        source = self._read(X, lengths, decoded=True, ends_with_future=True)
        scaler, targets = self._network.target_scaler, self._form.targets
        pieces = ((indices, values) for indices, _, values in self._network.reconstructions(source))
        if _collect.merges(merge):
            undone = ((indices, scaler.undo(values)) for indices, values in pieces)
            return _collect.imputed_series(source, undone, targets)
        values = _collect.imputed(source, pieces, scaler, targets)
        return self._form.restore(values, self._form.axes_given(X), whole=True)
