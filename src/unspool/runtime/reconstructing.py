"""Methods of `Model` that reconstruct: reconstructions, their errors and missing values."""

from collections.abc import Iterator
from typing import Any

import numpy.typing as npt

from unspool import _collect
from unspool._loss_parameter import Loss
from unspool._pieces import Computation, check_merges
from unspool._scores import Scores, scores
from unspool._types import Per
from unspool.data.convert import Source
from unspool.data.forms import InputForm
from unspool.data.sequences import FloatArray, IntArray
from unspool.data.windows import Windows
from unspool.runtime.network import Network
from unspool.runtime.pieces import RUNS


class Reconstructs:
    """A trained model that reconstructs sequences."""

    _network: Network
    _form: InputForm
    _loss: Loss | None

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

    def reconstruct(
        self, X: Any, lengths: npt.ArrayLike | None = None, *, merge: bool = False
    ) -> Any:
        """Encode sequences and decode them again.

        Parameters
        ----------
        X : array, list, frame, Sequences or Windows
            Sequences in any form that `Model` describes. If training cut the last K steps off
            (`horizon` without ``y``) and the longest sequence has more steps than any encoded in
            training, they are cut off here too.
        lengths : array of int, shape (N,), optional
            Number of real steps of every sequence, if `X` is an array (N, T, F).
        merge : bool, default False
            For `Windows`: average overlapping windows into reconstructions of the series.

        Returns
        -------
        array of the form of `X`, or list of arrays of shape (T_i, F)
            Reconstructions in the units of the data, NaN past the end of each sequence. With
            `merge`, one array for each series, NaN at steps that no window covers.
        """
        return self._reconstruct(X, lengths, merge=merge).whole()

    def _reconstruct(
        self, X: Any, lengths: npt.ArrayLike | None = None, *, merge: bool = False
    ) -> Computation:
        source = self._read(X, lengths, decoded=True, ends_with_future=True)
        axes = self._form.axes_given(X)

        def of(part: Source, first: int) -> FloatArray:
            return self._form.restore(
                _collect.sequences(part, self._outputs(part), self._network.target_scaler), axes
            )

        return Computation(RUNS, source, of, check_merges(_collect.merges(merge), source))

    def reconstruction_error(
        self,
        X: Any,
        lengths: npt.ArrayLike | None = None,
        *,
        per: Per = "sequence",
        merge: bool = False,
    ) -> Any:
        """Compute errors of the reconstructions of sequences, by the loss of training.

        Parameters
        ----------
        X : array, list, frame, Sequences or Windows
            Sequences in any form that `Model` describes; steps are cut off as in `reconstruct`.
        lengths : array of int, shape (N,), optional
            Number of real steps of every sequence, if `X` is an array (N, T, F).
        per : {"sequence", "step", "feature"} or ("step", "feature"), default "sequence"
            Return one error for each sequence (a mean over its steps and features), each
            step (a mean over features), each feature (a mean over steps), or each feature of each
            step.
        merge : bool, default False
            For `Windows` with ``per="step"`` or ``per=("step", "feature")``: average overlapping
            windows into errors of the steps of the series.

        Returns
        -------
        array of shape (N,), (N, T), (N, F) or (N, T, F), or list of arrays
            Errors in scaled units, NaN past the end of a sequence and for a sequence without steps.
            The pixels of images are steps, (N, H, W) or (N, H, W, F), and their channels features.
            A model of rows has one step, and the columns are features. With `merge`, one array
            (T_i,) or (T_i, F) for each series.

        Raises
        ------
        InputError
            For errors by feature, if the loss is "categorical_crossentropy", which has one value
            for all features of a step.
        """
        return self._reconstruction_error(X, lengths, per=per, merge=merge).whole()

    def _reconstruction_error(
        self,
        X: Any,
        lengths: npt.ArrayLike | None = None,
        *,
        per: Per = "sequence",
        merge: bool = False,
    ) -> Computation:
        _collect.check_per(per)
        source = self._read(X, lengths, decoded=True, ends_with_future=True)
        merge, form, loss = check_merges(_collect.merges(merge), source), self._form, self._loss
        assert loss is not None  # a classifier has no reconstructions
        _collect.check_errors(per, loss, merge=merge)
        targets = form.of_targets(source)
        missing = targets.has_missing

        def of(part: Source, first: int) -> FloatArray:
            of_part = targets if len(part) == len(source) else targets[first : first + len(part)]
            pieces = self._network.reconstructions(part)
            return _collect.errors(of_part, pieces, loss, form, per, missing=missing)

        return Computation(RUNS, source, of, merge)

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
        return self._impute(X, lengths, merge=merge).whole()

    def _impute(
        self, X: Any, lengths: npt.ArrayLike | None = None, *, merge: bool = False
    ) -> Computation:
        source = self._read(X, lengths, decoded=True, ends_with_future=True)
        merge, axes = check_merges(_collect.merges(merge), source), self._form.axes_given(X)
        scaler, targets = self._network.target_scaler, self._form.targets

        def of(part: Source, first: int) -> FloatArray:
            if merge:
                return _collect.sequences(part, self._outputs(part), scaler)
            values = _collect.imputed(part, self._outputs(part), scaler, targets)
            return self._form.restore(values, axes, whole=True)

        def imputed_steps(start: int, means: FloatArray) -> FloatArray:
            assert isinstance(source, Windows)
            return _collect.imputed_steps(source, start, means, targets)

        return Computation(RUNS, source, of, merge, imputed_steps)

    def skill_score(self, X: Any, y: Any = None, lengths: npt.ArrayLike | None = None) -> float:
        """Compute the skill of reconstructions compared with the mean sequence of `X`.

        Parameters
        ----------
        X : array, list, frame, Sequences or Windows
            Sequences in any form that `Model` describes.
        y : array, optional
            The steps that follow the sequences. They are not scored, but if they are given, no
            steps are cut off `X`.
        lengths : array of int, shape (N,), optional
            Number of real steps of every sequence, if `X` is an array (N, T, F).

        Returns
        -------
        float
            1 for a perfect reconstruction, 0 if it is no better than the mean sequence, NaN if
            fewer than two sequences have a step.
        """
        return self._scores(X, y, lengths).skill

    def _scores(self, X: Any, y: Any, lengths: npt.ArrayLike | None) -> Scores:
        source = self._read(X, lengths, decoded=True, ends_with_future=y is None)
        pieces = self._network.reconstructions(source)
        return scores(self._form.of_targets(source), pieces, self._network.target_scaler)

    def _outputs(self, source: Source) -> Iterator[tuple[IntArray, FloatArray]]:
        """Yield indices (B,) and reconstructions (B, T, F_out) of batches, scaled."""
        return ((indices, values) for indices, _, values in self._network.reconstructions(source))
