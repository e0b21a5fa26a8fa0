"""What all autoencoders over sequences share: fitting, codes, reconstructions, errors.

`fit` reads X, learns the scaling, has the subclass build its modules, and trains them;
`transform`, `reconstruct` and `reconstruction_error` then run over X in batches.
"""

import warnings
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import torch
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils import Tags, check_random_state
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from unspool import _checks
from unspool.data.convert import Source
from unspool.data.scaling import SCALINGS, Scaler, moments
from unspool.data.sequences import FloatArray, IntArray, as_floats
from unspool.data.windows import Windows, overlap_mean
from unspool.errors import InputError, NoBetterThanMeanWarning
from unspool.estimators.reading import is_table, read_as_fitted, read_for_fit
from unspool.estimators.saving import Savable
from unspool.lstm import threads
from unspool.nn import Autoencoder
from unspool.nn.device import resolve_device
from unspool.nn.losses import LOSSES, count_values, masked_sum
from unspool.training.batches import Batch, Batches
from unspool.training.callbacks import Callback, KeepBest, ProgressBar
from unspool.training.loop import train
from unspool.training.objective import reconstruction_loss
from unspool.training.optimizers import OPTIMIZERS, make_optimizer

INFERENCE_STEPS = 1 << 16  # steps in a batch that needs no gradients: memory, not speed, sets it


class BaseAutoencoder(
    ClassNamePrefixFeaturesOutMixin,  # type: ignore[misc]  # scikit-learn ships no types
    TransformerMixin,  # type: ignore[misc]
    Savable,
):
    """An autoencoder over sequences with scikit-learn's manners; see `LSTMAutoencoder`."""

    def _build(self, n_features: int, generator: torch.Generator) -> Autoencoder:
        """Make the modules of this model, their weights drawn from `generator`."""
        raise NotImplementedError

    def _complaints(self) -> list[_checks.Complaint]:
        """Look at the parameters that all autoencoders have."""
        return [
            _checks.whole("latent_dim", self.latent_dim, 1),
            _checks.choice("loss", self.loss, LOSSES),
            _checks.choice("optimizer", self.optimizer, OPTIMIZERS),
            _checks.number("learning_rate", self.learning_rate, 0, none=True, open_left=True),
            _checks.number("global_clipnorm", self.global_clipnorm, 0, none=True, open_left=True),
            _checks.whole("batch_size", self.batch_size, 1),
            _checks.whole("epochs", self.epochs, 1),
            _checks.whole("steps_per_epoch", self.steps_per_epoch, 1, none=True),
            _checks.number("validation_split", self.validation_split, 0, 1),
            _checks.whole("patience", self.patience, 1, none=True),
            _checks.choice("scaling", self.scaling, SCALINGS),
            _checks.whole("verbose", self.verbose, 0),
        ]

    def fit(self, X: Any, y: Any = None) -> Self:
        """Train on `X`; see the class for what it may be.

        Parameters
        ----------
        X : (N, T, F) or (N, T) array, list of (T_i, F) arrays, frame, Sequences or Windows
        y : ignored

        Raises
        ------
        InputError
            For parameters or data that cannot be used.
        DivergedError
            When the loss stops being a finite number.
        """
        _checks.raise_all(*self._complaints())
        self.__dict__.pop("history_", None)  # until training ends this is not a fitted model
        source, table = read_for_fit(self, X)
        random = check_random_state(self.random_state)
        rng = np.random.default_rng(random.randint(2**31))
        generator = torch.Generator().manual_seed(int(random.randint(2**31)))
        device = resolve_device(self.device)
        training, held_out = self._split(source, rng)

        self.scaler_ = Scaler.fit(self.scaling, source.chunks(), source.n_features)
        self.module_ = self._build(source.n_features, generator).to(device)
        self.max_length_ = source.max_length
        self._n_features, self._table = source.n_features, table
        self._n_features_out = self.latent_dim
        self.window_ = (source.size, source.stride) if isinstance(source, Windows) else None

        batches = Batches(
            source, self.scaler_, training, self.batch_size, device, rng, self.steps_per_epoch
        )
        validation = (
            Batches(source, self.scaler_, held_out, self._inference_batch(source), device)
            if len(held_out)
            else None
        )
        callbacks: list[Callback] = [KeepBest(self.patience)]
        if self.verbose:
            callbacks.append(ProgressBar())
        with self._threads(min(self.batch_size, len(training)), training=True):
            history = train(
                self.module_,
                self._objective,
                batches,
                optimizer=make_optimizer(
                    self.optimizer, self.module_.parameters(), self.learning_rate
                ),
                epochs=self.epochs,
                validation=validation,
                global_clipnorm=self.global_clipnorm,
                callbacks=callbacks,
            )
        self.history_ = history.as_dict()
        self._compare_with_mean(source, validation or batches, history.watched[history.best_epoch])
        return self

    def _objective(self, batch: Batch) -> tuple[Tensor, int]:
        return reconstruction_loss(self.module_, batch.x, batch.lengths, self.loss)

    def _split(self, source: Source, rng: np.random.Generator) -> tuple[IntArray, IntArray]:
        """Indices to train on and to validate on: at random, or by time for windows."""
        everything = np.arange(len(source))
        if not self.validation_split:
            return everything, everything[:0]
        if isinstance(source, Windows):
            training, held_out = source.split(self.validation_split)
        else:
            order = rng.permutation(everything)
            count = max(1, round(len(order) * self.validation_split))
            training, held_out = np.sort(order[count:]), np.sort(order[:count])
        if not len(training) or not len(held_out):
            raise InputError(
                f"`validation_split` {self.validation_split:g} leaves {len(training)} sequences "
                f"to train on and {len(held_out)} to validate on, got n_samples={len(source)}; "
                "set it to 0 to train on all of them."
            )
        return training, held_out

    def _compare_with_mean(self, source: Source, batches: Batches, reached: float) -> None:
        """Warn where repeating the mean sequence would have done as well as the model."""
        mean = torch.from_numpy(self.scaler_.apply(source.mean_sequence()))
        total, count = 0.0, 0
        for x, lengths in batches:
            error = LOSSES[self.loss](mean[: x.shape[1]].to(x.device).expand_as(x), x)
            total += float(masked_sum(error, lengths))
            count += count_values(x, lengths)
        if count and 0 < total / count <= reached:
            warnings.warn(
                f"The reconstruction is no better than the mean sequence (loss {reached:.4g} "
                f"against {total / count:.4g}); train for more `epochs`, raise `latent_dim` or "
                "`learning_rate`, or look at the scale of the data.",
                NoBetterThanMeanWarning,
                stacklevel=3,
            )

    def transform(self, X: Any) -> npt.NDArray[np.float32]:
        """Codes of sequences: array of shape (N, L)."""
        source = self._read(X)
        codes = np.empty((len(source), self.latent_dim), np.float32)
        with torch.inference_mode():
            for indices, batch in self._batches(source):
                with self._threads(len(batch.x), training=False):
                    code = self.module_.encoder(batch.x, batch.lengths)
                codes[indices] = code.cpu().numpy()
        return codes

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
        decoder = self.module_.reconstruction
        if decoder.needs_input:
            raise InputError(
                f"The decoder {self.decoder!r} reads the input beside the code, so codes alone "
                "cannot be unwound; use `reconstruct`, or fit with decoder='repeat'."
            )
        codes = as_floats(X, "codes").astype(np.float32)
        if codes.ndim != 2 or codes.shape[1] != self.latent_dim:
            raise InputError(f"Expected codes of shape (N, {self.latent_dim}), got {codes.shape}.")
        if not np.isfinite(codes).all():
            raise InputError(f"Expected finite codes, got others in row {_first_bad_row(codes)}.")
        steps = np.asarray(self.max_length_ if lengths is None else lengths)
        fits = steps.shape in ((), (len(codes),)) and steps.dtype.kind in "iu"
        if not fits or steps.min(initial=0) < 0:
            raise InputError(
                f"Expected `lengths` as one whole number of steps or {len(codes)} of them, "
                f"got {lengths!r}."
            )
        steps = np.broadcast_to(steps, len(codes)).astype(np.int64)
        values = np.full((len(codes), steps.max(initial=0), self._n_features), np.nan)
        device = next(self.module_.parameters()).device
        size = max(1, INFERENCE_STEPS // max(1, values.shape[1]))
        with torch.inference_mode():
            for start in range(0, len(codes), size):
                rows = slice(start, start + size)
                code = torch.from_numpy(codes[rows]).to(device)
                own = torch.from_numpy(steps[rows]).to(device)
                with self._threads(len(code), training=False):
                    scaled = decoder(code, values.shape[1], own).cpu().numpy()
                values[rows] = self.scaler_.undo(scaled)
        values[np.arange(values.shape[1]) >= steps[:, None]] = np.nan
        return values[:, :, 0] if self._table else values

    def reconstruct(self, X: Any, *, merge: bool = False) -> Any:
        """Wind sequences onto their codes and unwind them again.

        Parameters
        ----------
        X : as for `fit`
        merge : bool, default False
            For `Windows`: average overlapping windows into the series below them.

        Returns
        -------
        array of shape (N, T, F)
            In the units of the data, NaN past the end of a sequence; (N, T) for a table of that
            shape. With `merge`, a list of arrays (T_i, F), one for every series, NaN at steps
            that no window covers.
        """
        source = self._read(X)
        pieces = (
            (indices, self.scaler_.undo(again))
            for indices, _, again in self._reconstructions(source)
        )
        if merge:
            return overlap_mean(_windows(source, "merge"), pieces)
        values = np.full((len(source), source.max_length, self._n_features), np.nan)
        for indices, again in pieces:
            values[indices, : again.shape[1]] = again
        values[_past_the_end(source)] = np.nan
        return values[:, :, 0] if self._table and is_table(X) else values

    def reconstruction_error(self, X: Any, *, per: str = "sequence", merge: bool = False) -> Any:
        """How far reconstructions are from their input, by the loss of the model.

        Errors are means over features in the scaled units of the model, in which every feature
        counts the same: with ``scaling="standard"`` and ``loss="mse"``, 1 is about the error of
        reconstructing the mean.

        Parameters
        ----------
        X : as for `fit`
        per : {"sequence", "step"}, default "sequence"
        merge : bool, default False
            For `Windows` with ``per="step"``: average overlapping windows into an error for
            every step of the series below them.

        Returns
        -------
        array of shape (N,), or (N, T) per step
            NaN past the end of a sequence, and for one of length 0. With `merge`, a list of
            arrays (T_i,), NaN at steps that no window covers.
        """
        _checks.raise_all(_checks.choice("per", per, ("sequence", "step")))
        source = self._read(X)
        if merge and per != "step":
            raise InputError("`merge` averages errors of steps; it needs per='step'.")
        pieces = self._step_errors(source)
        if merge:
            return overlap_mean(_windows(source, "merge"), pieces)
        if per == "sequence":
            errors = np.full(len(source), np.nan)
            for indices, by_step in pieces:
                lengths = source.lengths_of(indices)
                real = np.arange(by_step.shape[1]) < lengths[:, None]
                total = by_step.sum(axis=1, where=real)
                errors[indices] = np.where(lengths > 0, total / np.maximum(lengths, 1), np.nan)
            return errors
        table = np.full((len(source), source.max_length), np.nan)
        for indices, by_step in pieces:
            table[indices, : by_step.shape[1]] = by_step
        table[_past_the_end(source)] = np.nan
        return table

    def score(self, X: Any, y: Any = None) -> float:
        """Share of the variance of X that its reconstruction explains, as scikit-learn's R².

        1 is a perfect reconstruction, 0 that of a model that always gives the mean of every
        feature; below 0 it is worse than that. Features count the same (scaled units).
        """
        source = self._read(X)
        squares, count = 0.0, 0
        for indices, x, again in self._reconstructions(source):
            real = np.arange(x.shape[1]) < source.lengths_of(indices)[:, None]
            squares += float(((again - x)[real].astype(np.float64) ** 2).sum())
            count += int(real.sum())
        _, variance, _ = moments(source.chunks(), source.n_features)
        spread = count * float((variance / self.scaler_.scale**2).sum())
        if spread == 0:
            return 1.0 if squares == 0 else 0.0
        return 1 - squares / spread

    @property
    def encoder_(self) -> torch.nn.Module:
        """The trained encoder, a module ``(x (B, T, F) scaled, lengths) -> code (B, L)``."""
        check_is_fitted(self)
        return self.module_.encoder

    @property
    def decoder_(self) -> torch.nn.Module:
        """The trained decoder, a module ``(code, steps, lengths, x) -> (B, steps, F)``."""
        check_is_fitted(self)
        return self.module_.reconstruction

    def _read(self, X: Any) -> Source:
        check_is_fitted(self)
        return read_as_fitted(self, X, self._n_features, self._table)

    def _inference_batch(self, source: Source) -> int:
        return max(1, INFERENCE_STEPS // max(1, source.max_length))

    def _batches(self, source: Source) -> Iterator[tuple[IntArray, Batch]]:
        """All of `source` in batches without gradients, sequences of like length together."""
        device = next(self.module_.parameters()).device
        order = np.arange(len(source))
        if not isinstance(source, Windows):
            order = np.argsort(source.lengths, kind="stable")
        size = self._inference_batch(source)
        batches = Batches(source, self.scaler_, order, size, device)
        for start, batch in zip(range(0, len(order), size), batches, strict=True):
            yield order[start : start + size], batch

    def _threads(self, batch: int, *, training: bool) -> AbstractContextManager[None]:
        """Where the recurrence runs in compiled code, keep PyTorch from taking its cores."""
        compiled = self.module_.compiled(batch, training=training)
        return threads.own_only() if compiled else nullcontext()

    def _reconstructions(self, source: Source) -> Iterator[tuple[IntArray, FloatArray, FloatArray]]:
        """Indices (B,), input and reconstruction (B, T, F), scaled, batch by batch."""
        with torch.inference_mode():
            for indices, batch in self._batches(source):
                with self._threads(len(batch.x), training=False):
                    again = self.module_(batch.x, batch.lengths)
                yield indices, batch.x.cpu().numpy(), again.cpu().numpy()

    def _step_errors(self, source: Source) -> Iterator[tuple[IntArray, FloatArray]]:
        """Indices (B,) and errors of steps (B, T), batch by batch."""
        with torch.inference_mode():
            for indices, batch in self._batches(source):
                with self._threads(len(batch.x), training=False):
                    again = self.module_(batch.x, batch.lengths)
                errors = LOSSES[self.loss](again, batch.x).mean(dim=2)
                yield indices, errors.cpu().numpy().astype(np.float64)

    def __sklearn_is_fitted__(self) -> bool:
        """Only a fit that came to its end counts, not one that was interrupted or diverged."""
        return hasattr(self, "history_")

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.transformer_tags.preserves_dtype = []  # codes are float32, whatever comes in
        return tags


def _first_bad_row(codes: FloatArray) -> int:
    return int(np.argmin(np.isfinite(codes).all(axis=1)))


def _past_the_end(source: Source) -> npt.NDArray[np.bool_]:
    """Which steps (N, T) are padding."""
    lengths = source.lengths_of(np.arange(len(source)))
    return np.arange(source.max_length) >= lengths[:, None]


def _windows(source: Source, option: str) -> Windows:
    if not isinstance(source, Windows):
        raise InputError(f"`{option}` needs Windows(series, size), got {source!r}.")
    return source
