"""`impute`, for models that reconstruct."""

from collections.abc import Iterator
from typing import Any, Literal, overload

from unspool import _collect
from unspool._pieces import Computation, check_merges
from unspool.data.convert import Source
from unspool.data.sequences import FloatArray, IntArray
from unspool.data.windows import Windows
from unspool.estimators.base import Model
from unspool.estimators.batch_runner import runner


class Imputes(Model):
    """A model whose reconstructions replace missing values."""

    def _reconstructions(self, source: Source) -> Iterator[tuple[IntArray, FloatArray, FloatArray]]:
        """Yield indices (B,), and scaled inputs and reconstructions (B, T, F), batch by batch."""
        raise NotImplementedError

    @overload
    def impute(self, X: Any, *, merge: Literal[False] = False) -> FloatArray: ...
    @overload
    def impute(self, X: Any, *, merge: Literal[True]) -> list[FloatArray]: ...
    @overload
    def impute(self, X: Any, *, merge: bool) -> FloatArray | list[FloatArray]: ...
    def impute(self, X: Any, *, merge: bool = False) -> FloatArray | list[FloatArray]:
        """Replace missing values by those of reconstructions; all others are returned unchanged.

        Parameters
        ----------
        X : array, list, frame, Sequences or Windows
            Sequences in any form that `fit` accepts; NaN is a missing value. Steps are cut off as
            in `reconstruct`.
        merge : bool, default False
            For `Windows`: whether to impute the series, with averages of overlapping windows.

        Returns
        -------
        ndarray of shape (N, T, F), or list of ndarray of shape (T_i, F)
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

        Examples
        --------
        >>> import numpy as np
        >>> from unspool import DenseAutoencoder
        >>> X = np.sin(np.arange(12) / 2 + np.arange(60)[:, None])[:, :, None]
        >>> holes = np.where(np.random.default_rng(0).random(X.shape) < 0.2, np.nan, X)
        >>> holes[:, -1] = X[:, -1]  # NaN at the end would be padding
        >>> model = DenseAutoencoder(2, missing="mask", epochs=2, verbose=0, random_state=0)
        >>> filled = model.fit(holes).impute(holes)
        >>> bool(np.isfinite(filled).all()), bool((filled == X)[~np.isnan(holes)].all())
        (True, True)
        """
        found: FloatArray | list[FloatArray] = self._impute(X, merge=merge).whole()
        return found

    def _impute(self, X: Any, *, merge: bool = False) -> Computation:
        source, targets = self._read(X, decodes=True, ends_with_future=True), self._form.targets
        merge, scaler = check_merges(_collect.merges(merge), source), self.target_scaler_
        axes = self._form.axes_given(X)

        def of(part: Source, first: int) -> FloatArray:
            pieces = ((indices, output) for indices, _, output in self._reconstructions(part))
            if merge:
                return _collect.sequences(part, pieces, scaler)
            values = _collect.imputed(part, pieces, scaler, targets)
            return self._form.restore(values, axes, whole=True)

        def imputed_steps(start: int, means: FloatArray) -> FloatArray:
            assert isinstance(source, Windows)
            return _collect.imputed_steps(source, start, means, targets)

        return Computation(runner(self), source, of, merge, imputed_steps)
