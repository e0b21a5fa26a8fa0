"""What every fitted model has: its encoder, and how it reads `X` in the form of `fit`."""

from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted

from unspool.data.convert import Source
from unspool.data.scaling import Scaler
from unspool.estimators.pieces import InPieces
from unspool.estimators.saving import Savable
from unspool.estimators.validation import check_columns
from unspool.nn import Autoencoder


class FittedModel(InPieces, Savable):
    """A model after `fit`; see `Model`."""

    module_: Autoencoder
    window_: tuple[int, int] | None
    feature_names_in_: npt.NDArray[np.object_]
    scaler_: Scaler
    _response_scaler: Scaler

    @property
    def _n_features(self) -> int:
        """Number of features of a step, F."""
        return self._form.n_features

    @property
    def targets_(self) -> tuple[int, ...]:
        """Places of the features that the model writes; empty if it writes quantities of `y`."""
        form = self._form
        if form.n_responses:
            return ()
        return tuple(range(form.n_features)) if form.targets is None else form.targets

    @property
    def target_scaler_(self) -> Scaler:
        """Scaling of what the model writes."""
        if self._form.n_responses:
            return self._response_scaler
        return self._form.scaler_of_targets(self.scaler_)

    @property
    def encoder_(self) -> torch.nn.Module:
        """The trained encoder, a module ``(x (B, T, F) scaled, lengths (B,)) -> codes (B, L)``."""
        check_is_fitted(self)
        return self.module_.encoder

    def _read(
        self,
        X: Any,
        *,
        decodes: bool = False,
        starts: bool = False,
        ends_with_future: bool = False,
    ) -> Source:
        """Read `X` as sequences that the encoder accepts.

        With `decodes`, they must not be too long for the decoder either; with `starts`, they are
        to be continued and may have one step; with `ends_with_future`, the last steps are cut off
        if `fit` cut them off.
        """
        check_is_fitted(self)
        source = self._read_like_fit(X, starts=starts)
        if ends_with_future:
            source = self._without_future(source)
        self._form.check_longest(source, self._limits(decodes=decodes))
        return source

    def _read_like_fit(self, X: Any, *, starts: bool = False) -> Source:
        """Read `X` as sequences with the features of `fit`, of any length."""
        form = self._form
        rows_are_sequences = form.reads != "rows" and form.image_shape is None
        return form.read(
            X,
            one_step=starts,
            check_columns=partial(check_columns, self, X, rows_are_sequences=rows_are_sequences),
        )

    def _limits(self, *, decodes: bool) -> list[int | None]:
        """Return the numbers of steps that the encoder allows, and with `decodes` the decoder."""
        limits = [self.module_.encoder.max_steps]
        if decodes:
            limits.append(self.module_.decoder().max_steps)
        return limits

    def _without_future(self, source: Source) -> Source:
        """Return sequences without the last steps, if `fit` cut off such steps to forecast them."""
        return self._form.without_future(source)

    def __sklearn_is_fitted__(self) -> bool:
        """Return whether a fit has ended, neither interrupted nor diverged."""
        return hasattr(self, "history_")

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        return tags
