"""What an autoencoder is good for: codes, sequences of codes, reconstructions and their errors."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from unspool import _collect
from unspool._losses import step_errors
from unspool.data.convert import Source
from unspool.data.sequences import FloatArray, IntArray
from unspool.errors import InputError
from unspool.estimators.base import Model, drawing
from unspool.estimators.batch_runner import runner
from unspool.estimators.validation import check_container
from unspool.nn import LSTMDecoder
from unspool.training.objective import AutoencoderLoss

Unwind = Callable[[Tensor, int, Tensor], Tensor]


class BaseAutoencoder(
    ClassNamePrefixFeaturesOutMixin,  # type: ignore[misc]  # scikit-learn ships no types
    TransformerMixin,  # type: ignore[misc]
    Model,
):
    """An autoencoder over sequences with scikit-learn's manners; see `LSTMAutoencoder`."""

    def _objective(self, generator: torch.Generator) -> AutoencoderLoss:
        objective = super()._objective(generator)
        objective.code_l1, objective.kl_weight = self.code_l1, self.kl_weight
        return objective

    def transform(self, X: Any) -> npt.NDArray[np.float32]:
        """Codes of sequences: array of shape (N, L)."""
        source = self._read(X)
        check_container(self, X)
        return runner(self).codes(source)

    def inverse_transform(self, X: Any, lengths: npt.ArrayLike | None = None) -> FloatArray:
        """Sequences of codes.

        Parameters
        ----------
        X : array of shape (N, L)
            Codes.
        lengths : int or array of shape (N,), optional
            Steps to unwind; those of the longest sequence seen by `fit` by default.

        Returns
        -------
        array of shape (N, T, F)
            In the units of the data, NaN past the end of a sequence; (N, T) where `fit` saw a
            table of that shape.

        Raises
        ------
        InputError
            Where the decoder needs more than the code, or X is not (N, L).
        """
        check_is_fitted(self)
        decoder = self.module_.decoder()
        return self._unwound(X, lengths, lambda code, steps, own: decoder(code, steps, own))

    def generate(
        self,
        X: Any,
        lengths: npt.ArrayLike | None = None,
        *,
        temperature: float = 1.0,
        random_state: int | np.random.RandomState | None = None,
    ) -> FloatArray:
        """Sequences drawn from codes, where outputs are probabilities.

        A decoder that reads its previous step is given what was drawn there.

        Parameters
        ----------
        X : array of shape (N, L)
            Codes.
        lengths : as for `inverse_transform`
        temperature : float, default 1.0
            What log-odds are divided by; 0 takes the likeliest.
        random_state : int, RandomState or None

        Returns
        -------
        array as from `inverse_transform`

        Raises
        ------
        InputError
            For a model that was not trained on a cross-entropy; or as `inverse_transform` does.
        """
        check_is_fitted(self)
        decoder, draw = (
            self.module_.decoder(),
            drawing(self._loss, temperature, random_state),
        )
        if isinstance(decoder, LSTMDecoder) and decoder.feeds_back:
            return self._unwound(
                X, lengths, lambda code, steps, own: decoder(code, steps, own, draw=draw)
            )
        return self._unwound(X, lengths, lambda code, steps, own: draw(decoder(code, steps, own)))

    def _unwound(
        self,
        X: Any,
        lengths: npt.ArrayLike | None,
        unwind: Unwind,
    ) -> FloatArray:
        """What `unwind` makes of codes, the steps of a batch, and its sequences' lengths."""
        decoder = self.module_.decoder()
        if decoder.needs_input:
            name = self._parameters["decoder"]
            raise InputError(
                f"The decoder {name!r} reads the input beside the code, so codes alone cannot be "
                "decoded; use `reconstruct`, or fit with decoder='repeat'."
            )
        self._form.check_lengths(lengths)
        codes, steps = _collect.codes_and_lengths(
            X, lengths, self._n_features_out, self.max_length_, decoder.max_steps
        )
        longest = int(steps.max(initial=0))
        values = np.full((len(codes), longest, self._n_features), np.nan)
        run = runner(self)
        size = run.batch_size(longest)
        for start in range(0, len(codes), size):
            rows = slice(start, start + size)
            code = torch.from_numpy(codes[rows]).to(run.device)
            own = torch.from_numpy(steps[rows]).to(run.device)
            values[rows] = self.scaler_.undo(run.output(len(code), unwind, code, longest, own))
        values[np.arange(longest) >= steps[:, None]] = np.nan
        return self._form.restore(values)

    def reconstruct(self, X: Any, *, merge: bool = False) -> Any:
        """Wind sequences onto their codes and unwind them again.

        Parameters
        ----------
        X : as for `fit`
            Where `fit` cut a future off (`horizon` without ``y``), so does this: where
            the longest sequence has more than ``max_length_`` steps, all are reconstructed
            without their last K.
        merge : bool, default False
            For `Windows`: average overlapping windows into the series below them.

        Returns
        -------
        array of shape (N, T, F)
            In the units of the data, NaN past the end of a sequence; (N, T) for a table of that
            shape. With `merge`, a list of arrays (T_i, F), one for every series, NaN at steps
            that no window covers.
        """
        source = self._read(X, unwind=True, ends_with_future=True)
        pieces = ((indices, again) for indices, _, again in self._reconstructions(source))
        if merge:
            undo = self.scaler_.undo
            return _collect.merged(source, ((indices, undo(again)) for indices, again in pieces))
        return self._form.restore(_collect.sequences(source, pieces, self.scaler_), X)

    def reconstruction_error(self, X: Any, *, per: str = "sequence", merge: bool = False) -> Any:
        """How far reconstructions are from their input, by the loss of the model.

        Errors are means over features in the scaled units of the model, in which every feature
        counts the same: with ``scaling="standard"`` and ``loss="mse"``, 1 is about the error of
        reconstructing the mean.

        Parameters
        ----------
        X : as for `reconstruct`
        per : {"sequence", "step"}, default "sequence"
        merge : bool, default False
            For `Windows` with ``per="step"``: average overlapping windows into an error for
            every step of the series below them.

        Returns
        -------
        array of shape (N,), or (N, T) per step, of images (N, H, W)
            NaN past the end of a sequence, and for one of length 0. With `merge`, a list of
            arrays (T_i,), NaN at steps that no window covers.
        """
        _collect.check_per(per)
        source = self._read(X, unwind=True, ends_with_future=True)
        loss = self._loss
        pieces = (
            (indices, step_errors(again, x, loss))
            for indices, x, again in self._reconstructions(source)
        )
        errors = _collect.errors(source, pieces, per, merge=merge)
        return self._form.restore_steps(errors) if per == "step" and not merge else errors

    def score(self, X: Any, y: Any = None) -> float:
        """Share of the variance of X that its reconstruction explains: R².

        It is 1 - (sum of squared errors) / (sum of squared differences from the mean), both over
        the real steps and features of all sequences together, in scaled units, in which features
        count the same. The mean is that of every feature, over all steps of all sequences of
        `X`. 1 is a perfect reconstruction; 0 is that of a model that always gives the mean; below
        0 it is worse than that. (scikit-learn's `r2_score` takes the mean of every column of a
        table, which makes it `skill_score` where all columns vary alike.)

        Where sequences are alike, their mean sequence explains most of the variance, and R² is
        near 1 for a model that has learned nothing else; `skill_score` compares with that.

        Parameters
        ----------
        X : as for `reconstruct`
        y : the future, as for `fit`, optional
            Where it is given, nothing is cut off X. It is not scored.
        """
        return self._scores(X, y).explained

    def skill_score(self, X: Any, y: Any = None) -> float:
        """How much better reconstructions of X are than its mean sequence.

        It is 1 - (sum of squared errors) / (sum of squared differences from the mean sequence),
        as for `score`, but the mean is that of every step and feature, over all sequences of `X`
        (for `Windows`, which begin anywhere, that of every feature). 1 is a perfect
        reconstruction; 0 is no better than repeating the mean sequence.

        Parameters
        ----------
        X, y : as for `score`

        Returns
        -------
        float
            NaN where fewer than two sequences have a step.

        Source: Murphy 1988, "Skill Scores Based on the Mean Square Error", equation 4.
        """
        return self._scores(X, y).skill

    def _scores(self, X: Any, y: Any = None) -> _collect.Scores:
        source = self._read(X, unwind=True, ends_with_future=y is None)
        return _collect.scores(source, self._reconstructions(source), self.scaler_)

    @property
    def decoder_(self) -> torch.nn.Module:
        """The trained decoder, a module ``(code, steps, lengths, …) -> (B, steps, F)``."""
        check_is_fitted(self)
        return self.module_.decoder()

    def _reconstructions(self, source: Source) -> Iterator[tuple[IntArray, FloatArray, FloatArray]]:
        """Indices (B,), input and reconstruction (B, T, F), scaled, batch by batch."""
        outputs = runner(self).outputs(source, lambda one: self.module_(one.x, one.lengths))
        for indices, batch, again in outputs:
            yield indices, batch.x.cpu().numpy(), again

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = []  # codes are float32, whatever comes in
        return tags
