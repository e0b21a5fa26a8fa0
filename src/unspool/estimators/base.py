"""`Model`, the base of all estimators with an encoder: `fit` and `partial_fit`.

`fit` reads `X`, learns the scaling, builds the modules and trains them. Subclasses add what a
fitted model can do: `autoencoding`, `forecasting`.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial
from itertools import chain
from typing import Any, Self

import numpy as np
import torch
from sklearn.utils import check_random_state
from torch import Tensor

from unspool import _checks
from unspool._loss_parameter import (
    CROSSENTROPIES,
    Loss,
    LossByFeature,
    LossFunction,
    is_by_step,
    label,
    read_loss,
)
from unspool._registry import MODELS
from unspool.blueprint import Facts, blueprint, check_memory, definition
from unspool.data.convert import Source
from unspool.data.forms import InputForm
from unspool.data.futures import Futures
from unspool.data.scaling import Scaler, moments
from unspool.data.sequences import FloatArray, IntArray
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
from unspool.estimators.held_out import read_groups, split
from unspool.estimators.saving import (
    as_before_if_it_fails,
    plain_parameters,
    python_numbers,
)
from unspool.estimators.training import OptimizerStates, Run, learn
from unspool.estimators.user_callbacks import read_callbacks
from unspool.estimators.validation import (
    note_columns,
    note_features,
    read_future,
)
from unspool.estimators.validation_data import (
    check_alone,
    check_has_steps,
    pair_of,
    warn_if_shared,
)
from unspool.model_file import Contents
from unspool.nn import Autoencoder, torch_settings
from unspool.nn.device import device_complaint, resolve_device
from unspool.nn.from_blueprint import build
from unspool.nn.losses import check_function, numpy_function
from unspool.nn.sampling import sampler
from unspool.training.batches import Batches, sample
from unspool.training.callbacks import Callback, ScheduledSampling
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
        return read_loss(self._parameters["loss"], form.n_features, form.feature_names)

    @property
    def _loss_of_arrays(self) -> Loss:
        """The same loss; a function takes arrays instead of tensors."""
        return numpy_function(self._loss) if isinstance(self._loss, LossFunction) else self._loss

    def _horizon(self) -> int | None:
        """Return the number of steps to forecast: 0 for none, None for the steps of `y`."""
        return 0

    def fit(
        self,
        X: Any,
        y: Any = None,
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
        validation_data : X_val or (X_val, y_val), optional
            Sequences to validate on, in any form that `X` may have, with the features of `X`; if
            `y` is used, a tuple with the steps that follow them. They are scaled like `X`, choose
            the weights that are kept, and are never trained on. `validation_split` must then be
            "auto" or 0, and nothing of `X` is held out. Two sequences are a list, since a tuple of
            two is (X_val, y_val).
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
            self._fit(run, X, y, validation_data, groups)
        return self

    def partial_fit(
        self, X: Any, y: Any = None, *, freeze: str | Sequence[str] | None = None
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
            self._fit(run, X, y, None, None)
        return self

    def _fit(self, run: Run, X: Any, y: Any, validation_data: Any, groups: Any) -> None:
        """Read the data, learn the scaling, build the modules and train them."""
        before = self.__dict__.pop("history_", None)  # "fitted" means that training has ended
        for name in ("_optimizers", "_standardizations"):
            self.__dict__.pop(name, None)
        self._parameters = plain_parameters(self)
        start = run.start
        whole = self._read_first(X, y) if start is None else self._read_again(X, start)
        source, self.horizon_ = self._with_future(whole, y)
        if start is not None:
            self._check_start(run, start)
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
            groups=read_groups(groups, len(whole)),
            future=0 if self._y_ndim is None else self.horizon_,
        )
        if not whole.lengths_of(training).any():
            raise InputError(
                f"`validation_split` {self.validation_split} leaves no step to train on, because "
                "all sequences except those held out are empty; remove the empty ones."
            )

        if start is None:
            in_order = source.chunks if source.max_length > 2 else None  # table rows have no order
            scaler = Scaler.fit(self.scaling, source.chunks(), source.n_features, in_order)
            self.max_length_ = source.max_length
        else:
            scaler = start.scaler
        loss = self._loss
        if isinstance(loss, LossByFeature) and start is None:
            scaler = scaler.except_columns(loss.probabilities)
        self.scaler_ = replace(scaler, clip=self.clip)
        self._check_range(source)
        if isinstance(loss, LossFunction):
            self._check_function(loss, source, training)
        cut_off = self.horizon_ if self._y_ndim is None else 0
        self._form = replace(self._form, max_length=self.max_length_, cut_off=cut_off)
        if isinstance(whole, Windows) and start is None:
            self.window_ = whole.size - cut_off, whole.stride
            self.dilation_, self.max_gap_ = whole.dilation, whole.max_gap
        self.module_ = self._build(generator)
        if self.missing == "mask" and start is None:
            set_fill(self.module_, source, self.scaler_)
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

            batches = Batches(
                source, self.scaler_, training, self.batch_size, device, rng, self.steps_per_epoch
            )
            validation, validated = None, source
            if validation_data is not None:
                validated = self._read_validation(whole, validation_data)
                held_out = np.arange(len(validated))
            if len(held_out):
                watched = sample(held_out, self._validation_size(batches, len(held_out)), rng)
                size = runner(self).batch_size(validated.max_length)
                validation = Batches(validated, self.scaler_, watched, size, device)
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
        if self.horizon_ and (self._y_ndim is None) != (start.fitted["y_ndim"] is None):
            raise InputError(
                "The model to start from was fitted with `y`; give the steps that follow each "
                "sequence of `X` as `y`."
                if self._y_ndim is None
                else "The model to start from was fitted without `y`; give `X` with the steps to "
                "forecast at the end of each sequence, and no `y`."
            )

    def _read_validation(self, training: Source, validation_data: Any) -> Source | Futures:
        """Read `validation_data` in the form of the training data, and check what they share."""
        X, y = pair_of(validation_data)
        if self.horizon_ and (y is None) != (self._y_ndim is None):
            raise InputError(
                "`fit` was given `y`, so `validation_data` must be a tuple (X_val, y_val) with the "
                "steps that follow each sequence of X_val."
                if y is None
                else "`fit` was not given `y`, so `validation_data` must be X_val alone, whose "
                "last steps are cut off like those of `X`."
            )
        source = self._read_like_fit(X)
        validated: Source | Futures = source
        if self.horizon_:
            future = None if y is None else read_future(y, source, self.horizon_, self.missing)[0]
            validated = Futures(source, self.horizon_, future)
        check_has_steps(validated)
        self._form.check_longest(
            validated, self._limits(decodes="reconstruction" in self.module_.decoders)
        )
        self._check_range(validated)
        warn_if_shared(training, source)
        return validated

    def _validation_size(self, batches: Batches, held_out: int) -> int:
        """Return the number of held-out sequences to validate on in every epoch."""
        batch_size = int(self.batch_size)
        if self.validation_steps is not None:
            return min(held_out, int(self.validation_steps) * batch_size)
        share = min(1.0, len(batches) * batch_size / len(batches.indices))
        return min(held_out, max(batch_size, math.ceil(share * held_out)))

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
        with runner(self).threads(min(self.batch_size, len(batches.indices)), training=True):
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
        if horizon == 0:
            return source, 0
        if y is None:
            return Futures(source, horizon or 1), horizon or 1
        future, self._y_ndim = read_future(y, source, horizon, self.missing)
        return Futures(source, future.shape[1], future), future.shape[1]

    def _objective(self, generator: torch.Generator) -> AutoencoderLoss:
        return AutoencoderLoss(
            self.module_,
            self._loss,
            metrics=tuple(self.metrics),
            input_noise=self.input_noise,
            input_dropout=self.input_dropout,
            generator=generator,
        )

    def _check_function(
        self, loss: LossFunction, source: Source | Futures, indices: IntArray
    ) -> None:
        """Check a loss function on some of the sequences to train on."""
        lengths = source.lengths_of(indices)
        some = indices[lengths == lengths.max()][: int(self.batch_size)]
        target = torch.from_numpy(self.scaler_.apply(source.take(some)[0]))
        check_function(loss, target.to(resolve_device(self.device)))

    def _check_range(self, source: Source | Futures) -> None:
        """Raise where a cross-entropy has targets that are not between 0 and 1."""
        loss = self._loss
        if isinstance(loss, LossByFeature):
            self._check_columns(loss, source)
            return
        if loss not in CROSSENTROPIES:
            return
        for chunk in map(self.scaler_.apply, chunks_of(source)):
            present = ~np.isnan(chunk)
            low, high = (f(initial=0, where=present) for f in (chunk.min, chunk.max))
            if low < -1e-6 or high > 1 + 1e-6:
                raise InputError(
                    f"`loss` {self.loss!r} needs values between 0 and 1, got {low:g} to {high:g} "
                    f"after scaling={self.scaling!r}; set scaling='minmax', or 'none' for data "
                    "between 0 and 1."
                )
            sums = chunk[present.all(axis=1)].sum(axis=1)
            if is_by_step(loss) and (np.minimum(abs(sums), abs(sums - 1)) > 1e-3).any():
                raise InputError(
                    f"`loss` {self.loss!r} needs each step to be a distribution, with a sum of 1 "
                    "(or all zeros, which do not count); set loss='binary_crossentropy'."
                )

    def _check_columns(self, loss: LossByFeature, source: Source | Futures) -> None:
        """Raise where the values of a cross-entropy of a loss by feature cannot be its targets."""
        names = self._form.feature_names
        for chunk in chunks_of(source):
            for column in loss.probabilities:
                values = chunk[:, column]
                low, high = values.min(initial=0), values.max(initial=0)
                if low < -1e-6 or high > 1 + 1e-6:
                    raise InputError(
                        f"`loss` has a cross-entropy for {label(column, names)}, which needs "
                        f"values between 0 and 1, got {low:g} to {high:g}; cross-entropies are not "
                        "scaled, so divide the feature, or give it another loss."
                    )
            for name, columns in loss.parts:
                sums = chunk[:, list(columns)].sum(axis=1)
                if is_by_step(name) and (np.minimum(abs(sums), abs(sums - 1)) > 1e-3).any():
                    listed = ", ".join(label(column, names) for column in columns)
                    raise InputError(
                        f"`loss` {name!r} for {listed} needs a sum of 1 at each step (or all "
                        "zeros, which do not count); give the features 'binary_crossentropy', or "
                        "name all columns of the category."
                    )


def set_fill(module: Autoencoder, source: Source | Futures, scaler: Scaler) -> None:
    """Set what replaces missing values: the mean of each feature, in scaled units.

    Raises
    ------
    InputError
        If a feature has no value at all.
    """
    found = moments(source.chunks(), source.n_features)
    if not found.count.all():
        empty = int(np.argmin(found.count))
        raise InputError(
            f"Feature {empty} is missing in every step, so nothing can be learned about it; leave "
            "it out."
        )
    fill = torch.from_numpy(scaler.apply(found.mean))
    for part in (module.encoder, module.skip):
        if part is not None and part.fill is not None:
            part.fill.copy_(fill)


def draw_function(
    loss: Loss, temperature: float, random_state: int | np.random.RandomState | None
) -> Callable[[Tensor], Tensor]:
    """Return a function that draws values from the outputs of a model trained on `loss`."""
    _checks.raise_all(_checks.number("temperature", temperature, 0))
    seed = int(check_random_state(random_state).randint(2**31))
    return sampler(loss, temperature, torch.Generator().manual_seed(seed))


def chunks_of(source: Source | Futures) -> Iterable[FloatArray]:
    """Return all real steps, (steps, F) each, and the given futures."""
    chunks = source.chunks()
    if isinstance(source, Futures) and source.future is not None:
        return chain(chunks, [source.future.reshape(-1, source.n_features)])
    return chunks


def sequences_of(model: Model, X: Any) -> Source:
    """Read `X` as sequences that the encoder of a fitted model accepts."""
    return model._read(X)
