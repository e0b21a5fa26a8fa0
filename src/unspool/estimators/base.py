"""`Model`, the base of all estimators with an encoder: `fit` and `partial_fit`.

`fit` reads `X`, learns the scaling, builds the modules and trains them. Subclasses add what a
fitted model can do: `autoencoding`, `forecasting`.
"""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Self

import numpy as np
import torch
from sklearn.utils import check_random_state

from unspool import _checks
from unspool._loss_parameter import (
    Loss,
    LossByFeature,
    LossFunction,
    read_loss,
)
from unspool._registry import MODELS
from unspool._types import NormalizationName
from unspool.blueprint import Facts, blueprint, check_memory, definition
from unspool.data.convert import Source
from unspool.data.forms import InputForm
from unspool.data.futures import Futures
from unspool.data.scaling import Scaler
from unspool.data.windows import Windows
from unspool.errors import InputError
from unspool.estimators.batch_runner import runner
from unspool.estimators.comparison import warn_if_no_better_than_mean
from unspool.estimators.fitted_model import FittedModel
from unspool.estimators.freezing import frozen, read_freeze
from unspool.estimators.going_on import (
    check_same_structure,
    continued,
    load_weights,
    read_start,
    resume,
    standardizations,
)
from unspool.estimators.held_out import read_groups, split, validation_size
from unspool.estimators.loss_checks import check_function_on, check_loss
from unspool.estimators.missing import check_present, set_fill
from unspool.estimators.sample_weight import (
    WEIGHTS_OF_VALIDATION,
    counted,
    normalised,
    read_feature_weight,
    read_sample_weight,
    with_futures,
    without_zeros,
)
from unspool.estimators.saving import (
    as_before_if_it_fails,
    plain_parameters,
    python_numbers,
)
from unspool.estimators.training import OptimizerStates, Run, learn
from unspool.estimators.user_callbacks import read_callbacks
from unspool.estimators.validation import (
    Future,
    note_columns,
    note_features,
    read_future,
)
from unspool.estimators.validation_data import (
    check_alone,
    check_has_steps,
    parts_of,
    warn_if_shared,
)
from unspool.model_file import Contents
from unspool.nn import Autoencoder, torch_settings
from unspool.nn.device import device_complaint, resolve_device
from unspool.nn.dropout import Dropout
from unspool.nn.from_blueprint import build
from unspool.nn.losses import numpy_function
from unspool.training.batches import Batches, sample
from unspool.training.callbacks import Callback, ScheduledSampling
from unspool.training.error_weights import ErrorWeights
from unspool.training.objective import AutoencoderLoss


class Model(FittedModel):
    """An encoder with its decoders, as an estimator; see `LSTMAutoencoder`."""

    def _build(self, generator: torch.Generator) -> Autoencoder:
        """Build the modules of this model, with weights drawn from `generator`."""
        parameters = self.get_params(deep=False)
        form = self._form
        facts = Facts(
            form.n_features,
            form.max_length,
            self.horizon_,
            form.image_shape,
            form.feature_names,
            form.targets,
            form.known,
            form.n_responses,
        )
        plan = blueprint(self._name, parameters, facts)
        check_memory(plan.weights(), parameters)
        with torch.device("cpu"):  # the generator's device; PyTorch's default may differ
            return build(plan, generator, getattr(self, "backend", "auto"))

    def _complaints(self) -> list[_checks.Complaint]:
        """List everything that is wrong with the parameters."""
        return [
            *definition(self._name).complaints(self.get_params(deep=False)),
            device_complaint(self.device),
        ]

    @property
    def _loss(self) -> Loss:
        """The loss that the model was fitted with."""
        form = self._form
        return read_loss(
            self._parameters["loss"], form.n_features, form.feature_names, form.targets
        )

    @property
    def _loss_of_arrays(self) -> Loss:
        """The same loss; a function takes arrays instead of tensors."""
        return numpy_function(self._loss) if isinstance(self._loss, LossFunction) else self._loss

    _reconstructs = True  # whether the steps of a sequence are targets
    _every_step = False  # whether all steps but the first are

    def _horizon(self) -> int | None:
        """Return the number of steps to forecast: 0 for none, None for the steps of `y`."""
        return 0

    def fit(
        self,
        X: Any,
        y: Any = None,
        sample_weight: Any = None,
        *,
        validation_data: Any = None,
        groups: Any = None,
        initial: Any = None,
        freeze: str | Sequence[str] | None = None,
        callbacks: Sequence[Any] | None = None,
    ) -> Self:
        """Train the model on `X`.

        Parameters
        ----------
        X : array of shape (N, T, F) or (N, T), list of arrays (T_i, F), frame, Sequences or Windows
            The training data; the class describes its forms.
        y : array of shape (N, K, F), (N, K) or (N,), optional
            For a model that forecasts: the steps that follow each sequence. Without it the last K
            steps of each sequence are cut off and used as targets. Other models ignore it.
        sample_weight : array of shape (N,) or (N, T), or list of arrays (T_i,), optional
            Weight of each sequence, or of each of its steps, in the loss and in the statistics of
            the scaling; at least 0. A weight of 2 counts like two copies of a sequence, a sequence
            of weight 0 is left out, and only the ratios of the weights matter. A step of weight 0
            is read, but it is no target. For a table (N, T) give the weights of steps as
            (N, T, 1), for images those of pixels as (N, H, W), and for `Windows` those of the steps
            of the series, as a list with an array (T_i,) for each series, or as an array (T,) for a
            single series. Validation losses and metrics are weighted, too.
        validation_data : X_val, (X_val, y_val) or (X_val, y_val, sample_weight_val), optional
            Sequences to validate on, in any form that `X` may have, with the features of `X`; if
            `y` is used, a tuple with the steps that follow them, otherwise None for y_val. They are
            scaled like `X`, choose the weights that are kept, and are never trained on.
            `validation_split` must then be "auto" or 0, and nothing of `X` is held out. Two or
            three sequences are a list, since a tuple has these parts.
        groups : array of shape (N,), optional
            Group of each sequence, such as the machine or the patient that it was recorded from.
            `validation_split` then holds out whole groups. `Windows` are split by time without
            `groups`, within each series; with `groups`, windows that share steps with one that is
            held out are not used.
        initial : estimator or path, optional
            A fitted model, or a model file, with the same layers and the same features. Training
            starts from its weights and keeps its scaling, its ``max_length_`` and its linear maps,
            which the weights depend on; `scaling` is not used. The model itself is not changed. It
            takes precedence over `warm_start`. None starts from new weights, or with `warm_start`
            from those of the last fit.
        freeze : str or sequence of str, optional
            Layers that are not trained, by the names that `unspool.summary` prints after the name
            of the part, such as "encoder", "encoder.lstm_1" or "reconstruction.head"; or by the
            names of modules in ``module_``; with wildcards as in "*.lstm_?". Their weights do not
            change in the least.
        callbacks : sequence of callable or object, optional
            Functions ``f(model, history)`` that are called after each epoch, or objects with some
            of the methods ``on_train_begin(model)``, ``on_epoch_begin(model)``,
            ``on_epoch_end(model, history)`` and ``on_train_end(model, history)``. `model` is this
            estimator: from the first ``on_epoch_end`` on it encodes, reconstructs and can be saved,
            with the weights of that epoch, and with the kept weights in ``on_train_end``. `history`
            is what ``history_`` will be, up to this epoch. Training stops after an epoch for which
            one of them returns True. An error in a callback ends `fit`.

        Returns
        -------
        Self
            The fitted estimator.

        Raises
        ------
        InputError
            If a parameter or the data cannot be used.
        DivergedError
            If training diverges and earlier weights do not help. After any error, and after an
            interruption, the estimator is as it was before.

        Warns
        -----
        OverlapWarning
            If rows of `X` are overlapping windows of one series, which are then split by time; or
            if sequences of `validation_data` occur in `X`, or overlap sequences of `X`.
        """
        _checks.raise_all(*self._complaints())
        check_alone(validation_data, self.validation_split, groups)
        start, how = None, "initial"
        if initial is not None:
            start = read_start(initial)
        elif self.warm_start and self.__sklearn_is_fitted__():
            start, how = read_start(self), "warm_start"
        run = Run(start, how, read_freeze(freeze), read_callbacks(callbacks))
        with as_before_if_it_fails(self), python_numbers(self), torch_settings.training():
            self._fit(run, X, y, sample_weight, validation_data, groups)
        return self

    def partial_fit(
        self,
        X: Any,
        y: Any = None,
        sample_weight: Any = None,
        *,
        freeze: str | Sequence[str] | None = None,
    ) -> Self:
        """Train the model for one epoch on `X`, for data that arrive in parts.

        The first call learns the scaling, the sizes and initial weights from its `X`, which should
        therefore represent all data. Later calls, and calls on a model that was fitted or loaded,
        keep them and go on from the weights. The state of the optimizer is kept from call to call,
        in memory and not in model files. Nothing is held out, so `validation_split` and `patience`
        are not used, and the last weights are kept. The learning rate is `learning_rate`, and the
        share of true previous steps is `teacher_forcing`; `set_params` changes them between calls.

        Parameters
        ----------
        X : array of shape (N, T, F) or (N, T), list of arrays (T_i, F), frame, Sequences or Windows
            The training data, in any form that `fit` accepts.
        y : array of shape (N, K, F), (N, K) or (N,), optional
            For a model that forecasts: the steps that follow each sequence; see `fit`.
        sample_weight : array of shape (N,) or (N, T), or list of arrays (T_i,), optional
            Weight of each sequence, or of each of its steps; see `fit`. They have a mean of 1 over
            the `X` of each call.
        freeze : str or sequence of str, optional
            Names of layers that are not trained; see `fit`.

        Returns
        -------
        Self
            The fitted estimator; ``history_`` has one more epoch.

        Raises
        ------
        InputError
            If a parameter or the data cannot be used, or if `set_params` has changed the layers.
        DivergedError
            If training diverges and earlier weights do not help. After any error, and after an
            interruption, the estimator is as it was before.
        """
        _checks.raise_all(*self._complaints())
        run = Run(how="partial_fit", freeze=read_freeze(freeze), passes=0)
        if self.__sklearn_is_fitted__():
            run.start, run.passes = read_start(self), len(self.history_["loss"])
            run.standardizations = self.__dict__.get("_standardizations", {})
        run.optimizers = OptimizerStates(self.optimizer, self.__dict__.get("_optimizers"))
        with as_before_if_it_fails(self), python_numbers(self), torch_settings.training():
            self._fit(run, X, y, sample_weight, None, None)
        return self

    def _fit(
        self, run: Run, X: Any, y: Any, sample_weight: Any, validation_data: Any, groups: Any
    ) -> None:
        """Read the data, learn the scaling, build the modules and train them."""
        before = self.__dict__.pop("history_", None)  # "fitted" means that training has ended
        for name in ("_optimizers", "_standardizations"):
            self.__dict__.pop(name, None)
        self._parameters = plain_parameters(self)
        start = run.start
        whole = self._read_first(X, y) if start is None else self._read_again(X, start)
        weights = read_sample_weight(sample_weight, whole, self._form)
        source, self.horizon_ = self._with_future(whole, y)
        weights = with_futures(weights, self.horizon_, given=self._y_ndim is not None)
        if start is not None:
            self._check_start(run, start)
        grouped = read_groups(groups, len(whole))
        whole, source, weights, grouped = without_zeros(self, whole, source, weights, grouped)
        random = check_random_state(self.random_state)
        seed = random.randint(2**31)  # a later pass of `partial_fit` needs other random numbers
        rng = np.random.default_rng([seed, run.passes] if run.passes else seed)
        generator = torch.Generator().manual_seed(int(random.randint(2**31)) + (run.passes or 0))
        device = resolve_device(self.device)
        given = validation_data is not None or run.passes is not None
        training, held_out = split(
            whole,
            0.0 if given else self.validation_split,
            rng,
            groups=grouped,
            future=0 if self._y_ndim is None else self.horizon_,
        )
        if not whole.lengths_of(training).any():
            raise InputError(
                f"`validation_split` {self.validation_split} leaves no step to train on, because "
                "all sequences except those held out are empty; remove the empty ones."
            )

        loss = self._loss
        if start is None:
            in_order = source.chunks if source.max_length > 2 else None  # table rows have no order
            by_step = None if weights is None else weights.of_statistics(whole)
            scaler = Scaler.fit(self.scaling, source.chunks(), source.n_features, in_order, by_step)
            if isinstance(loss, LossByFeature):
                scaler = scaler.except_columns(self._form.places(loss.probabilities))
            self.max_length_ = source.max_length
        else:
            scaler = start.scaler
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
        check_loss(self, source)
        if isinstance(loss, LossFunction):
            check_function_on(self, loss, source, training)
        cut_off = self.horizon_ if self._y_ndim is None else 0
        self._form = replace(self._form, max_length=self.max_length_, cut_off=cut_off)
        if isinstance(whole, Windows) and start is None:
            self.window_ = whole.size - cut_off, whole.stride
            self.dilation_, self.max_gap_ = whole.dilation, whole.max_gap
        self.module_ = self._build(generator)
        if self.missing == "mask" and start is None:
            set_fill(self.module_, source, self.scaler_, by_step)
        self.module_.to(device)
        if start is not None:
            load_weights(self.module_, start.weights)
            self._form.check_longest(
                source, self._limits(decodes="reconstruction" in self.module_.decoders)
            )
        with frozen(self.module_, run.freeze):
            if self.module_.encoder.adapts:
                with runner(self).initial_sample(source, training, rng) as some:
                    if start is None:
                        self.module_.encoder.adapt(some, generator)
                    else:
                        resume(self.module_.encoder, run.standardizations, some)
            self._n_features_out = self.module_.encoder.latent_dim

            features = read_feature_weight(
                self.feature_weight, self._form.n_outputs, self._form.target_names
            )
            of_errors = normalised(weights, features, source, training, by_step=self._every_step)
            batches = Batches(
                source, self.scaler_, training, self.batch_size, device, rng, self.steps_per_epoch,
                weights=of_errors,
            )  # fmt: skip
            validation, validated = None, source
            if validation_data is not None:
                validated, weights = self._read_validation(whole, validation_data)
                held_out = np.flatnonzero(counted(self, weights, len(validated)))
            if len(held_out):
                watched = sample(held_out, validation_size(self, batches, len(held_out)), rng)
                size = runner(self).batch_size(validated.max_length)
                of_errors = normalised(
                    weights, features, validated, watched, by_step=self._every_step
                )
                validation = Batches(
                    validated, self.scaler_, watched, size, device, weights=of_errors
                )
            history = self._learn(batches, validation, generator, run)
        if run.passes is not None:
            self._optimizers = run.optimizers
            self._standardizations = run.standardizations or standardizations(self.module_.encoder)
        self.module_.encoder.finish_training()
        if before is not None and run.passes:
            self.history_ = continued(before, history)
        else:
            self.history_ = history
        if run.passes is None:
            warn_if_no_better_than_mean(self, source, batches, validation)

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
        return whole

    def _read_again(self, X: Any, start: Contents) -> Source:
        """Read `X` in the form of the model that training starts from, and note its features."""
        self._form = replace(start.form, model=type(self).__name__)
        fitted = start.fitted
        self.n_features_in_, names = fitted["n_features_in"], fitted["feature_names_in"]
        self.__dict__.pop("feature_names_in_", None)  # of an earlier fit
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

    def _read_validation(
        self, training: Source, validation_data: Any
    ) -> tuple[Source | Futures, ErrorWeights | None]:
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
        return validated, weights

    def _learn(
        self, batches: Batches, validation: Batches | None, generator: torch.Generator, run: Run
    ) -> dict[str, Any]:
        """Train the module, and return the history."""
        return self._train(self._objective(generator), batches, validation, run)

    def _train(
        self,
        objective: AutoencoderLoss,
        batches: Batches,
        validation: Batches | None,
        run: Run,
        stage: str = "",
    ) -> dict[str, Any]:
        """Train the model of `objective` by the parameters, and return the history."""
        module = objective.model
        callbacks: list[Callback] = []
        if any(decoder.feeds_back for decoder in module.decoders.values()):
            if run.passes is None:
                callbacks.append(ScheduledSampling(objective, self.teacher_forcing))
            else:
                objective.teacher_forcing = self.teacher_forcing
        largest = min(self.batch_size, len(batches.indices))
        masked = objective.dropout.recurrent > 0
        with runner(self).threads(largest, training=True, h_mask=masked):
            return learn(
                self,
                module,
                objective,
                batches,
                validation,
                epochs=self.epochs,
                run=run,
                stage=stage,
                callbacks=callbacks,
            )

    def _with_future(self, source: Source, y: Any) -> tuple[Source | Futures, int]:
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
            self._response_scaler = Scaler.fit(self.scaling, [rows], width)
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

    def _objective(self, generator: torch.Generator) -> AutoencoderLoss:
        return AutoencoderLoss(
            self.module_,
            self._loss,
            metrics=tuple(self.metrics),
            input_noise=self.input_noise,
            input_dropout=self.input_dropout,
            dropout=Dropout(
                getattr(self, "dropout", 0.0),
                getattr(self, "recurrent_dropout", 0.0),
                getattr(self, "code_dropout", 0.0),
                generator,
            ),
            generator=generator,
        )


def sequences_of(model: Model, X: Any) -> Source:
    """Read `X` as sequences that the encoder of a fitted model accepts."""
    return model._read(X)
