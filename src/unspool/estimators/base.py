"""`Model`, the base of all estimators with an encoder: `fit`, and reading `X` afterwards.

`fit` reads `X`, learns the scaling, builds the modules and trains them. Subclasses add what a
fitted model can do: `autoencoding`, `forecasting`.
"""

import math
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from itertools import chain
from typing import Any, Self

import numpy as np
import torch
from sklearn.utils import Tags, check_random_state
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from unspool import _checks
from unspool._losses import BY_STEP, CROSSENTROPIES, loss_name
from unspool._registry import MODELS
from unspool.blueprint import Facts, blueprint, check_memory, definition
from unspool.data.convert import Source
from unspool.data.forms import InputForm
from unspool.data.futures import Futures
from unspool.data.scaling import Scaler, moments
from unspool.data.windows import Windows
from unspool.errors import InputError
from unspool.estimators.batch_runner import runner
from unspool.estimators.comparison import warn_if_no_better_than_mean
from unspool.estimators.held_out import read_groups, split
from unspool.estimators.saving import (
    Savable,
    as_before_if_it_fails,
    plain_parameters,
    python_numbers,
)
from unspool.estimators.training import learn
from unspool.estimators.validation import (
    check_columns,
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
from unspool.nn import Autoencoder, torch_settings
from unspool.nn.device import device_complaint, resolve_device
from unspool.nn.from_blueprint import build
from unspool.nn.sampling import sampler
from unspool.training.batches import Batches, sample
from unspool.training.callbacks import Callback, ScheduledSampling
from unspool.training.objective import AutoencoderLoss


class Model(Savable):
    """An encoder with its decoders, as an estimator; see `LSTMAutoencoder`."""

    @property
    def _n_features(self) -> int:
        """Number of features of a step, F."""
        return self._form.n_features

    def _build(self, generator: torch.Generator) -> Autoencoder:
        """Build the modules of this model, with weights drawn from `generator`."""
        parameters = self.get_params(deep=False)
        form = self._form
        facts = Facts(form.n_features, form.max_length, self.horizon_, form.image_shape)
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
    def _loss(self) -> str:
        """The loss that the model was fitted with, by its short name."""
        return loss_name(self._parameters["loss"])

    def _horizon(self) -> int | None:
        """Return the number of steps to forecast: 0 for none, None for the steps of `y`."""
        return 0

    def fit(
        self, X: Any, y: Any = None, *, validation_data: Any = None, groups: Any = None
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
        with as_before_if_it_fails(self), python_numbers(self), torch_settings.training():
            self._fit(X, y, validation_data, groups)
        return self

    def _fit(self, X: Any, y: Any, validation_data: Any, groups: Any) -> None:
        """Read the data, learn the scaling, build the modules and train them."""
        self.__dict__.pop("history_", None)  # the model counts as fitted once training has ended
        self._parameters = plain_parameters(self)
        form, whole = InputForm.of(
            X,
            type(self).__name__,
            MODELS[self._name].reads,
            image_shape=getattr(self, "image_shape", None),
            with_future=y is not None and self._horizon() != 0,
            missing=self.missing,
            check_columns=partial(note_columns, self, X),
        )
        if not form.table:
            note_features(self, whole)
        source, self.horizon_ = self._with_future(whole, y)
        random = check_random_state(self.random_state)
        rng = np.random.default_rng(random.randint(2**31))
        generator = torch.Generator().manual_seed(int(random.randint(2**31)))
        device = resolve_device(self.device)
        training, held_out = split(
            whole,
            0.0 if validation_data is not None else self.validation_split,
            rng,
            groups=read_groups(groups, len(whole)),
            future=0 if self._y_ndim is None else self.horizon_,
        )
        if not whole.lengths_of(training).any():
            raise InputError(
                f"`validation_split` {self.validation_split} leaves no step to train on, because "
                "all sequences except those held out are empty; remove the empty ones."
            )

        in_order = source.chunks if source.max_length > 2 else None  # table rows have no order
        scaler = Scaler.fit(self.scaling, source.chunks(), source.n_features, in_order)
        self.scaler_ = replace(scaler, clip=self.clip)
        self._check_range(source)
        self.max_length_ = source.max_length
        cut_off = self.horizon_ if self._y_ndim is None else 0
        self._form = replace(form, max_length=self.max_length_, cut_off=cut_off)
        self.window_, self.dilation_, self.max_gap_ = None, 1, None
        if isinstance(whole, Windows):
            self.window_ = whole.size - cut_off, whole.stride
            self.dilation_, self.max_gap_ = whole.dilation, whole.max_gap
        self.module_ = self._build(generator)
        if self.missing == "mask":
            set_fill(self.module_, source, self.scaler_)
        self.module_.to(device)
        if self.module_.encoder.adapts:
            with runner(self).initial_sample(source, training, rng) as some:
                self.module_.encoder.adapt(some, generator)
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
        self.history_ = self._learn(batches, validation, generator)
        self.module_.encoder.finish_training()
        warn_if_no_better_than_mean(self, source, batches, validation)

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
        self, batches: Batches, validation: Batches | None, generator: torch.Generator
    ) -> dict[str, Any]:
        """Train the module, and return the history."""
        return self._train(self._objective(generator), batches, validation)

    def _train(
        self, objective: AutoencoderLoss, batches: Batches, validation: Batches | None
    ) -> dict[str, Any]:
        """Train the model of `objective` by the parameters, and return the history."""
        module = objective.model
        callbacks: list[Callback] = []
        if any(decoder.feeds_back for decoder in module.decoders.values()):
            callbacks.append(ScheduledSampling(objective, self.teacher_forcing))
        with runner(self).threads(min(self.batch_size, len(batches.indices)), training=True):
            return learn(
                self,
                module,
                objective,
                batches,
                validation,
                epochs=self.epochs,
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
            loss_name(self.loss),
            metrics=tuple(self.metrics),
            input_noise=self.input_noise,
            input_dropout=self.input_dropout,
            generator=generator,
        )

    def _check_range(self, source: Source | Futures) -> None:
        """Raise where a cross-entropy has targets that are not between 0 and 1."""
        if self.loss not in CROSSENTROPIES:
            return
        chunks = source.chunks()
        if isinstance(source, Futures) and source.future is not None:
            chunks = chain(chunks, [source.future.reshape(-1, source.n_features)])
        for chunk in map(self.scaler_.apply, chunks):
            present = ~np.isnan(chunk)
            low, high = (f(initial=0, where=present) for f in (chunk.min, chunk.max))
            if low < -1e-6 or high > 1 + 1e-6:
                raise InputError(
                    f"`loss` {self.loss!r} needs values between 0 and 1, got {low:g} to {high:g} "
                    f"after scaling={self.scaling!r}; set scaling='minmax', or 'none' for data "
                    "between 0 and 1."
                )
            sums = chunk[present.all(axis=1)].sum(axis=1)
            if self.loss in BY_STEP and (np.minimum(abs(sums), abs(sums - 1)) > 1e-3).any():
                raise InputError(
                    f"`loss` {self.loss!r} needs each step to be a distribution, with a sum of 1 "
                    "(or all zeros, which do not count); set loss='binary_crossentropy'."
                )

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
        tags.input_tags.allow_nan = self.missing == "mask"
        return tags


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
    loss: str, temperature: float, random_state: int | np.random.RandomState | None
) -> Callable[[Tensor], Tensor]:
    """Return a function that draws values from the outputs of a model trained on `loss`."""
    _checks.raise_all(_checks.number("temperature", temperature, 0))
    seed = int(check_random_state(random_state).randint(2**31))
    return sampler(loss, temperature, torch.Generator().manual_seed(seed))


def sequences_of(model: Model, X: Any) -> Source:
    """Read `X` as sequences that the encoder of a fitted model accepts."""
    return model._read(X)
