"""What a fitted autoencoder can do: encode, decode, reconstruct, and measure errors."""

from collections.abc import Callable, Iterator
from typing import Any, Literal, overload

import numpy as np
import numpy.typing as npt
import torch
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from unspool import _collect
from unspool._pieces import Computation, check_merges
from unspool._scores import Scores, ScoreSums, SumsState, scores
from unspool._types import Per
from unspool.data.convert import Source
from unspool.data.sequences import FloatArray, IntArray
from unspool.errors import InputError
from unspool.estimators.batch_runner import runner
from unspool.estimators.drawing import draw_function
from unspool.estimators.imputing import Imputes
from unspool.estimators.validation import check_container
from unspool.nn import LSTMDecoder
from unspool.training.objective import AutoencoderLoss

Decode = Callable[[Tensor, int, Tensor], Tensor]


class BaseAutoencoder(
    ClassNamePrefixFeaturesOutMixin,  # type: ignore[misc]  # scikit-learn ships no types
    TransformerMixin,  # type: ignore[misc]
    Imputes,
):
    """An autoencoder with scikit-learn's API of a transformer; see `LSTMAutoencoder`."""

    def _objective(self, generator: torch.Generator) -> AutoencoderLoss:
        objective = super()._objective(generator)
        objective.code_l1, objective.kl_weight = self.code_l1, self.kl_weight
        return objective

    def transform(self, X: Any) -> npt.NDArray[np.float32]:
        """Encode sequences.

        Parameters
        ----------
        X : array, list, frame, Sequences or Windows
            Sequences in any form that `fit` accepts.

        Returns
        -------
        ndarray of shape (N, L), float32
            The codes; in the container that `set_output` has chosen.

        Raises
        ------
        InputError
            If `X` cannot be read, or has other features than the `X` of `fit`.
        """
        computation = self._transform(X)
        check_container(self, X)
        codes: npt.NDArray[np.float32] = computation.whole()
        return codes

    def _transform(self, X: Any) -> Computation:
        source, run = self._read(X), runner(self)
        return Computation(run, source, lambda part, first: run.codes(part))

    def inverse_transform(self, X: Any, lengths: npt.ArrayLike | None = None) -> FloatArray:
        """Decode codes.

        Parameters
        ----------
        X : array of shape (N, L)
            Codes.
        lengths : int or array of shape (N,), optional
            Number of steps to decode, by default the length of the longest sequence in `fit`.

        Returns
        -------
        ndarray of shape (N, T, F)
            Sequences in the units of the data, NaN after the end of each sequence; (N, T) if `fit`
            read a table of that shape.

        Raises
        ------
        InputError
            If the decoder reads the input in addition to the code, or if `X` is not (N, L).
        """
        check_is_fitted(self)
        decoder = self.module_.decoder()
        return self._decoded(X, lengths, lambda code, steps, lengths: decoder(code, steps, lengths))

    def generate(
        self,
        X: Any,
        lengths: npt.ArrayLike | None = None,
        *,
        temperature: float = 1.0,
        random_state: int | np.random.RandomState | None = None,
    ) -> FloatArray:
        """Draw sequences from codes, for a model whose outputs are probabilities.

        A decoder that reads its previous output reads what was drawn there.

        Parameters
        ----------
        X : array of shape (N, L)
            Codes.
        lengths : int or array of shape (N,), optional
            Number of steps to decode, by default the length of the longest sequence in `fit`.
        temperature : float, default 1.0
            Divisor of the log-odds, at least 0; 0 always draws the most likely value.
        random_state : int, RandomState or None, default None
            Seed of the draws.

        Returns
        -------
        ndarray of shape (N, T, F)
            Sequences as `inverse_transform` returns them.

        Raises
        ------
        InputError
            If the loss of the model is not a cross-entropy, if the decoder reads the input in
            addition to the code, or if `X` is not (N, L).
        """
        check_is_fitted(self)
        decoder, draw = (
            self.module_.decoder(),
            draw_function(self._loss, temperature, random_state),
        )
        if isinstance(decoder, LSTMDecoder) and decoder.feeds_back:
            return self._decoded(
                X, lengths, lambda code, steps, lengths: decoder(code, steps, lengths, draw=draw)
            )
        return self._decoded(
            X, lengths, lambda code, steps, lengths: draw(decoder(code, steps, lengths))
        )

    def _decoded(
        self,
        X: Any,
        lengths: npt.ArrayLike | None,
        decode: Decode,
    ) -> FloatArray:
        """Return sequences that `decode` returns for codes, a number of steps, and lengths."""
        decoder = self.module_.decoder()
        _collect.check_decodes_codes_alone(self.scaler_)
        if decoder.needs_input:
            name = self._parameters["decoder"]
            raise InputError(
                f"decoder={name!r} reads the input in addition to the code, so codes alone cannot "
                "be decoded; use `reconstruct`, or fit with decoder='repeat'."
            )
        self._form.check_lengths(lengths)
        codes, steps = _collect.codes_and_lengths(
            X, lengths, self._n_features_out, self.max_length_, decoder.max_steps
        )
        longest = int(steps.max(initial=0))
        values = np.full((len(codes), longest, self._form.n_outputs), np.nan)
        run = runner(self)
        size = run.batch_size(longest)
        for start in range(0, len(codes), size):
            rows = slice(start, start + size)
            code = torch.from_numpy(codes[rows]).to(run.device)
            length = torch.from_numpy(steps[rows]).to(run.device)
            output = run.output(len(code), decode, code, longest, length)
            values[rows] = self.target_scaler_.undo(output)
        values[np.arange(longest) >= steps[:, None]] = np.nan
        return self._form.restore(values)

    @overload
    def reconstruct(self, X: Any, *, merge: Literal[False] = False) -> FloatArray: ...

    @overload
    def reconstruct(self, X: Any, *, merge: Literal[True]) -> list[FloatArray]: ...

    @overload
    def reconstruct(self, X: Any, *, merge: bool) -> FloatArray | list[FloatArray]: ...

    def reconstruct(self, X: Any, *, merge: bool = False) -> FloatArray | list[FloatArray]:
        """Encode sequences and decode them again.

        Parameters
        ----------
        X : array, list, frame, Sequences or Windows
            Sequences in any form that `fit` accepts. If `fit` cut the last K steps off (`horizon`
            without ``y``) and the longest sequence has more than ``max_length_`` steps, they are
            cut off here too.
        merge : bool, default False
            For `Windows`: whether to average overlapping windows into reconstructions of the
            series.

        Returns
        -------
        ndarray of shape (N, T, F), or list of ndarray of shape (T_i, F)
            Sequences in the units of the data, NaN after the end of each sequence; (N, T) for a
            table of that shape. With `merge`, one array for each series, NaN at steps that no
            window covers.

        Raises
        ------
        InputError
            If `X` cannot be read, has other features than the `X` of `fit`, or is longer than the
            decoder allows; or with `merge`, if `X` is not `Windows`.
        """
        found: FloatArray | list[FloatArray] = self._reconstruct(X, merge=merge).whole()
        return found

    def _reconstruct(self, X: Any, *, merge: bool = False) -> Computation:
        source = self._read(X, decodes=True, ends_with_future=True)
        scaler, axes = self.target_scaler_, self._form.axes_given(X)

        def of(part: Source, first: int) -> FloatArray:
            pieces = ((indices, output) for indices, _, output in self._reconstructions(part))
            return self._form.restore(_collect.sequences(part, pieces, scaler), axes)

        return Computation(runner(self), source, of, check_merges(_collect.merges(merge), source))

    @overload
    def reconstruction_error(
        self, X: Any, *, per: Per = "sequence", merge: Literal[False] = False
    ) -> FloatArray: ...

    @overload
    def reconstruction_error(
        self, X: Any, *, per: Per = "sequence", merge: Literal[True]
    ) -> list[FloatArray]: ...

    @overload
    def reconstruction_error(
        self, X: Any, *, per: Per = "sequence", merge: bool
    ) -> FloatArray | list[FloatArray]: ...

    def reconstruction_error(
        self, X: Any, *, per: Per = "sequence", merge: bool = False
    ) -> FloatArray | list[FloatArray]:
        """Return the error of the reconstruction of each sequence, step or feature.

        Errors are values of the loss of the model in its scaled units, in which each feature has
        the same weight: with ``scaling="standard"`` and ``loss="mse"``, reconstructing
        the mean has an error of about 1. With a loss by feature, every column of a category has the
        error of the category, which counts once in the mean of a step.

        Parameters
        ----------
        X : array, list, frame, Sequences or Windows
            Sequences in any form that `fit` accepts. If `fit` cut the last K steps off (`horizon`
            without ``y``) and the longest sequence has more than ``max_length_`` steps, they are
            cut off here too.
        per : {"sequence", "step", "feature"} or ("step", "feature"), default "sequence"
            Whether to return one error for each sequence (a mean over its steps and features), each
            step (a mean over features), each feature (a mean over steps), or each feature of each
            step.
        merge : bool, default False
            For `Windows` with ``per="step"`` or ``per=("step", "feature")``: whether to average
            overlapping windows into errors of the steps of the series.

        Returns
        -------
        ndarray of shape (N,), (N, T), (N, F) or (N, T, F), or list of ndarray
            Errors, NaN after the end of each sequence and for a sequence without steps. The pixels
            of images are steps, (N, H, W) or (N, H, W, F), and their channels features. A model of
            rows has one step, and the columns are features. With `merge`, one array (T_i,) or
            (T_i, F) for each series, NaN at steps that no window covers.

        Raises
        ------
        InputError
            If `X` cannot be read, has other features than the `X` of `fit`, or is longer than the
            decoder allows; with `merge`, if `X` is not `Windows`; or for errors by feature, if the
            loss is "categorical_crossentropy", or a function, with one value for all features of a
            step; or if the loss is a function that `load` was not given.

        Examples
        --------
        >>> import numpy as np
        >>> from unspool import DenseAutoencoder
        >>> X = np.random.default_rng(0).normal(size=(30, 8, 3))
        >>> model = DenseAutoencoder(2, epochs=1, verbose=0, random_state=0).fit(X)
        >>> by_feature = model.reconstruction_error(X, per="feature")
        >>> by_feature.shape
        (30, 3)
        >>> bool(np.allclose(by_feature.mean(axis=1), model.reconstruction_error(X)))
        True
        """
        errors: FloatArray | list[FloatArray] = self._reconstruction_error(
            X, per=per, merge=merge
        ).whole()
        return errors

    def _reconstruction_error(
        self,
        X: Any,
        *,
        per: Per = "sequence",
        merge: bool = False,
        sums: ScoreSums | None = None,
    ) -> Computation:
        """Return how errors are computed; reconstructions are also added to the `sums`."""
        _collect.check_per(per)
        source = self._read(X, decodes=True, ends_with_future=True)
        merge = _collect.merges(merge)
        form, loss = self._form, self._loss_of_arrays
        _collect.check_errors(per, loss, merge=merge)
        targets = form.of_targets(source)
        missing = targets.has_missing

        def of(part: Source, first: int) -> FloatArray:
            pieces, stop = self._reconstructions(part), first + len(part)
            of_part = targets if len(part) == len(source) else targets[first:stop]
            if sums is not None:
                pieces = sums.counted(of_part, pieces, first)
            return _collect.errors(of_part, pieces, loss, form, per, missing=missing)

        return Computation(runner(self), source, of, check_merges(merge, source))

    def score(self, X: Any, y: Any = None) -> float:
        """Return R² of the reconstruction: the share of the variance of `X` that it explains.

        R² is 1 - (sum of squared errors) / (sum of squared differences from the mean), over all
        real steps and features of all sequences, in scaled units, in which each feature has the
        same weight. The mean is the mean of each feature over all steps of all sequences of `X`.
        1 means a perfect reconstruction; a model that always returns the mean has 0, and a worse
        model has a negative R².

        If the sequences are alike, their mean sequence explains most of the variance, and R² is
        near 1 for a model that has learned nothing else; `skill_score` compares with the mean
        sequence.

        Parameters
        ----------
        X : array, list, frame, Sequences or Windows
            Sequences in any form that `fit` accepts.
        y : array, optional
            The steps that follow each sequence, as for `fit`. It is not scored, but if it is given,
            no steps are cut off `X`.

        Returns
        -------
        float
            R², at most 1.

        Raises
        ------
        InputError
            If `X` cannot be read, or has other features than the `X` of `fit`.

        Notes
        -----
        scikit-learn's `r2_score` uses the mean of each column of a table. It equals `skill_score`
        if all columns have the same variance.
        """
        return self._scores(X, y).explained

    def skill_score(self, X: Any, y: Any = None) -> float:
        """Return the skill of the reconstruction compared with the mean sequence of `X`.

        It is 1 - (sum of squared errors) / (sum of squared differences from the mean sequence), as
        in `score`, but with the mean of each step and feature over all sequences of `X` (for
        `Windows`, which may begin anywhere, the mean of each feature) [1]_. 1 is a perfect
        reconstruction; 0 is no better than the mean sequence.

        Parameters
        ----------
        X : array, list, frame, Sequences or Windows
            Sequences in any form that `fit` accepts.
        y : array, optional
            The steps that follow each sequence, as for `fit`. It is not scored, but if it is given,
            no steps are cut off `X`.

        Returns
        -------
        float
            The skill, at most 1; NaN if fewer than two sequences have a step.

        Raises
        ------
        InputError
            If `X` cannot be read, or has other features than the `X` of `fit`.

        References
        ----------
        .. [1] Murphy, A. H. (1988). Skill Scores Based on the Mean Square Error and Their
               Relationships to the Correlation Coefficient. Monthly Weather Review, 116. Equation
               4.
        """
        return self._scores(X, y).skill

    def _scores(self, X: Any, y: Any = None) -> Scores:
        source = self._read(X, decodes=True, ends_with_future=y is None)
        reconstructions = self._reconstructions(source)
        return scores(self._form.of_targets(source), reconstructions, self.target_scaler_)

    def _score_sums(self, X: Any, state: SumsState | None = None) -> ScoreSums:
        """Return sums for the scores of `X`, to which reconstructions are added piece by piece."""
        source = self._read(X, decodes=True, ends_with_future=True)
        return ScoreSums(self._form.of_targets(source), self.target_scaler_, state)

    @property
    def decoder_(self) -> torch.nn.Module:
        """The trained decoder, a module ``(codes (B, L), steps, …) -> (B, steps, F)``."""
        check_is_fitted(self)
        return self.module_.decoder()

    def _reconstructions(self, source: Source) -> Iterator[tuple[IntArray, FloatArray, FloatArray]]:
        """Yield indices (B,), and scaled targets and reconstructions (B, T, F_out) of batches."""
        outputs = runner(self).outputs(source, lambda one: self.module_(one.x, one.lengths))
        for indices, batch, output in outputs:
            x = batch.x.cpu().numpy()
            level = self.scaler_.undo_level(output, x, source.lengths_of(indices))
            yield indices, self.module_.of_targets(batch.x).cpu().numpy(), level

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = []  # codes are float32 for input of any dtype
        return tags
