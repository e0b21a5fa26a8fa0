"""Reading the data of a fit: the training data, their scaling and split, and validation data."""

from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from unspool import _checks
from unspool._loss_parameter import (
    LossByFeature,
)
from unspool._registry import MODELS
from unspool._types import NormalizationName
from unspool.data.convert import Source
from unspool.data.forms import InputForm
from unspool.data.futures import Futures
from unspool.data.lengths import typical_length
from unspool.data.scaling import Scaler
from unspool.data.sequences import IntArray
from unspool.data.windows import Windows
from unspool.errors import InputError
from unspool.estimators.fitted_model import FittedModel
from unspool.estimators.going_on import (
    check_same_structure,
)
from unspool.estimators.held_out import read_groups, split, warn_if_copied
from unspool.estimators.loss_checks import check_loss
from unspool.estimators.missing import check_present
from unspool.estimators.sample_weight import (
    WEIGHTS_OF_VALIDATION,
    read_sample_weight,
    with_futures,
    without_zeros,
)
from unspool.estimators.training import Run
from unspool.estimators.validation import (
    Future,
    note_columns,
    note_features,
    read_future,
)
from unspool.estimators.validation_data import (
    check_has_steps,
    parts_of,
    warn_if_shared,
)
from unspool.model_file import Contents
from unspool.training.error_weights import ErrorWeights


@dataclass
class TrainingData:
    """Sequences to train or to validate on.

    Parameters
    ----------
    whole : Sequences or Windows
        The sequences with the steps that are cut off as targets.
    source : Sequences, Windows or Futures
        What the model reads, and what it forecasts.
    weights : ErrorWeights, optional
        Weights of sequences or steps.
    groups : array of shape (N,), optional
        Group of each sequence.
    """

    whole: Source
    source: Source | Futures
    weights: ErrorWeights | None = None
    groups: IntArray | None = None

    @property
    def weights_of_statistics(self) -> Any:
        """Weights of the steps of `source.chunks()`, or None."""
        return None if self.weights is None else self.weights.of_statistics(self.whole)


class ReadsTrainingData(FittedModel):
    """A model that reads the data of `fit`, and learns the scaling and the sizes of them."""

    _reconstructs = True  # whether the steps of a sequence are targets
    _every_step = False  # whether all steps but the first are

    def _horizon(self) -> int | None:
        """Return the number of steps to forecast: 0 for none, None for the steps of `y`."""
        return 0

    def _read_training(
        self, run: Run, X: Any, y: Any, sample_weight: Any, groups: Any
    ) -> TrainingData:
        """Read the training data; sequences that have no weight are left out."""
        start = run.start
        whole = self._read_first(X, y) if start is None else self._read_again(X, start)
        weights = read_sample_weight(sample_weight, whole, self._form)
        source, self.horizon_ = self._with_future(whole, y, weights)
        weights = with_futures(weights, self.horizon_, given=self._y_ndim is not None)
        if start is not None:
            self._check_start(run, start)
        grouped = read_groups(groups, len(whole))
        return TrainingData(*without_zeros(self, whole, source, weights, grouped))

    def _split(
        self, data: TrainingData, share: float | str, rng: np.random.Generator
    ) -> tuple[IntArray, IntArray]:
        """Return the sequences to train on, and those that are held out."""
        training, held_out = split(
            data.whole,
            share,
            rng,
            groups=data.groups,
            future=0 if self._y_ndim is None else self.horizon_,
        )
        if not data.whole.min_length and not data.whole.lengths_of(training).any():
            raise InputError(
                f"`validation_split` {self.validation_split} leaves no step to train on, because "
                "all sequences except those held out are empty; remove the empty ones."
            )
        warn_if_copied(data.whole, training, held_out)
        return training, held_out

    def _learn_scaling(self, run: Run, data: TrainingData) -> None:
        """Learn the scaling from all data, or keep that of the model that training starts from."""
        source, loss = data.source, self._loss
        if run.start is None:
            in_order = source.chunks if source.max_length > 2 else None  # table rows have no order
            scaler = Scaler.fit(
                self.scaling,
                source.chunks(),
                source.n_features,
                in_order,
                data.weights_of_statistics,
            )
            if isinstance(loss, LossByFeature):
                scaler = scaler.except_columns(self._form.places(loss.probabilities))
        else:
            scaler = run.start.scaler
        normalization: NormalizationName
        normalization = "none" if MODELS[self._name].learns_horizon else self.normalization
        if normalization != "none" and source.max_length < 2:
            raise InputError(
                f"`normalization` {normalization!r} needs sequences of at least 2 steps, got one "
                "step (a row of a table); set normalization='none'."
            )
        self.scaler_ = replace(
            scaler, clip=self.clip, normalization=normalization, missing=self.missing == "mask"
        )

    def _note_sizes(self, run: Run, data: TrainingData) -> None:
        """Note the longest sequence, and how windows were cut."""
        cut_off = self.horizon_ if self._y_ndim is None else 0
        if run.start is None:
            self.max_length_ = data.source.max_length
            if isinstance(data.whole, Windows):
                self.window_ = data.whole.size - cut_off, data.whole.stride
                self.dilation_, self.max_gap_ = data.whole.dilation, data.whole.max_gap
            self._form = replace(self._form, typical_length=typical_length(data.source))
        self._form = replace(self._form, max_length=self.max_length_, cut_off=cut_off)

    def _read_first(self, X: Any, y: Any) -> Source:
        """Read `X`, and note its form and its features."""
        self._form, whole = InputForm.of(
            X,
            type(self).__name__,
            MODELS[self._name].reads,
            image_shape=getattr(self, "image_shape", None),
            with_future=y is not None and self._horizon() != 0,
            missing=self.missing,
            check_columns=partial(note_columns, self, X),
        )
        if not self._form.table:
            note_features(self, whole)
        self._form = self._with_roles(self._form)
        self.window_, self.dilation_, self.max_gap_ = None, 1, None
        self.__dict__.pop("_reading", None)  # what `unspool fit` was given for another file
        return whole

    def _read_again(self, X: Any, start: Contents) -> Source:
        """Read `X` in the form of the model that training starts from, and note its features."""
        self._form = replace(start.form, model=type(self).__name__)
        fitted = start.fitted
        self.n_features_in_, names = fitted["n_features_in"], fitted["feature_names_in"]
        for name in ("feature_names_in_", "_reading"):  # of an earlier fit
            self.__dict__.pop(name, None)
        if names is not None:
            self.feature_names_in_ = np.array(names, dtype=object)
        self.max_length_ = fitted["max_length"]
        self.window_ = None if fitted["window"] is None else tuple(fitted["window"])
        self.dilation_, self.max_gap_ = fitted["dilation"], fitted["max_gap"]
        if fitted["n_responses"]:
            self._response_scaler = start.target_scaler
        whole = self._read_like_fit(X)
        if whole.max_length == 0:
            raise InputError(
                f"Expected a sequence with at least one step to learn from, got {whole!r}."
            )
        return whole

    def _check_start(self, run: Run, start: Contents) -> None:
        """Check that the model and its targets are those of the model that training starts from."""
        parameters = self.get_params(deep=False)
        check_same_structure(self._name, parameters, self.horizon_, start, run.how)
        before, now = start.form, self._with_roles(start.form)
        if (now.targets, now.known) != (before.targets, before.known):
            raise InputError(
                "The model to start from has other `targets` or `known` features; set the same "
                f"ones, got targets={_checks.shown(parameters['targets'])}."
            )
        if self._form.n_responses != before.n_responses:
            raise InputError(
                "The model to start from and this one differ in whether `y` has features of `X` "
                "or other quantities; give a `y` of the same kind."
            )
        if self.horizon_ and (self._y_ndim is None) != (start.fitted["y_ndim"] is None):
            raise InputError(
                "The model to start from was fitted with `y`; give the steps that follow each "
                "sequence of `X` as `y`."
                if self._y_ndim is None
                else "The model to start from was fitted without `y`; give `X` with the steps to "
                "forecast at the end of each sequence, and no `y`."
            )

    def _read_validation(self, training: Source, validation_data: Any) -> TrainingData:
        """Read `validation_data` in the form of the training data, and check what they share."""
        X, y, sample_weight = parts_of(validation_data)
        if self.horizon_ and (y is None) != (self._y_ndim is None):
            raise InputError(
                "`fit` was given `y`, so `validation_data` must be a tuple (X_val, y_val) with the "
                "steps that follow each sequence of X_val."
                if y is None
                else "`fit` was not given `y`, so `validation_data` must be X_val alone, whose "
                "last steps are cut off like those of `X`."
            )
        source = self._read_like_fit(X)
        weights = read_sample_weight(sample_weight, source, self._form, WEIGHTS_OF_VALIDATION)
        weights = with_futures(weights, self.horizon_, given=y is not None)
        validated: Source | Futures = source
        if self.horizon_:
            future = None if y is None else read_future(y, source, self.horizon_, self._form)
            validated = self._futures(source, self.horizon_, future)
        check_has_steps(validated)
        self._form.check_longest(
            validated, self._limits(decodes="reconstruction" in self.module_.decoders)
        )
        check_loss(self, validated)
        warn_if_shared(training, source)
        return TrainingData(source, validated, weights)

    def _with_future(
        self, source: Source, y: Any, weights: ErrorWeights | None = None
    ) -> tuple[Source | Futures, int]:
        """Return the sequences with the steps that follow them, and the number of these steps."""
        horizon, self._y_ndim = self._horizon(), None
        responds = _checks.is_one(getattr(self, "targets", None), ["y"])
        if horizon == 0:
            return source, 0
        if y is None:
            if responds:
                raise InputError(
                    "targets='y' forecasts a quantity that is no feature of `X`; give it to `fit` "
                    "as `y`."
                )
            return self._futures(source, horizon or 1, None), horizon or 1
        form = self._form
        future = read_future(
            y,
            source,
            horizon,
            form,
            may_respond=MODELS[self._name].learns_horizon,
            responds=responds,
        )
        self._y_ndim = future.n_axes
        values = future.values
        if future.holds == "responses" and not form.n_responses:
            self._check_response()
            width = values.shape[2]
            self._form = replace(form, n_responses=width)
            rows = values.reshape(-1, width)
            check_present(rows, "column {} of `y`")
            one_each = None if weights is None else weights.sequences
            by_row = None if one_each is None else np.repeat(one_each, values.shape[1])
            self._response_scaler = Scaler.fit(self.scaling, [rows], width, weights=by_row)
        return self._futures(source, values.shape[1], future), values.shape[1]

    def _with_roles(self, form: InputForm) -> InputForm:
        """Return the form with the places of the `targets` and of the `known` features."""
        targets, known = getattr(self, "targets", None), getattr(self, "known", ())
        return form.with_roles(None if targets == "y" else targets, known)

    def _check_response(self) -> None:
        """Refuse a `y` that is no feature of `X` where the parameters do not allow it."""

    def _futures(self, source: Source, horizon: int, future: Future | None) -> Futures:
        """Return sequences with the steps that follow them; None cuts these off."""
        form = self._form
        return Futures(
            source,
            horizon,
            None if future is None else future.values,
            holds="features" if future is None else future.holds,
            targets=form.targets,
            known=form.known,
            responses=self.target_scaler_ if form.n_responses else None,
        )
