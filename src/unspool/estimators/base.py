"""`Model`, the base of all estimators with an encoder: `fit` and `partial_fit`.

`fit` reads `X`, learns the scaling, builds the modules and trains them. Subclasses add what a
fitted model can do: `autoencoding`, `forecasting`.
"""

import os
from collections.abc import Sequence
from typing import Any, Self

import numpy as np
import torch
from sklearn.utils import check_random_state

from unspool import _checks
from unspool._durations import Duration
from unspool._loss_parameter import (
    Loss,
    LossFunction,
    read_loss,
)
from unspool.blueprint import Facts, blueprint, check_memory, definition
from unspool.data.convert import Source
from unspool.data.futures import Futures
from unspool.data.sequences import IntArray
from unspool.estimators.batch_runner import runner
from unspool.estimators.checkpointing import (
    check_same_fit,
    facts_of_batches,
    held,
    seeds,
)
from unspool.estimators.diagnosis import warn_of_weaknesses
from unspool.estimators.fit_arguments import CONTINUE_PARTIAL_FIT, how_to_go_on, read_fit_arguments
from unspool.estimators.freezing import frozen, read_freeze
from unspool.estimators.going_on import (
    continued,
    load_weights,
    read_start,
    resume,
    standardizations,
)
from unspool.estimators.held_out import validation_size
from unspool.estimators.loss_checks import check_function_on, check_loss
from unspool.estimators.missing import set_fill
from unspool.estimators.sample_weight import (
    counted,
    normalised,
    read_feature_weight,
)
from unspool.estimators.saving import plain_parameters
from unspool.estimators.stopping import fitting
from unspool.estimators.training import OptimizerStates, Run, learn
from unspool.estimators.training_data import ReadsTrainingData, TrainingData
from unspool.estimators.validation_data import (
    check_alone,
)
from unspool.nn import Autoencoder, torch_settings
from unspool.nn.device import device_complaint, resolve_device
from unspool.nn.dropout import Dropout
from unspool.nn.from_blueprint import build
from unspool.nn.losses import numpy_function
from unspool.training.batches import Batches
from unspool.training.callbacks import Callback, ScheduledSampling
from unspool.training.error_weights import ErrorWeights
from unspool.training.objective import AutoencoderLoss
from unspool.training.orders import sample


class Model(ReadsTrainingData):
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
            form.typical_length,
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
        checkpoint: str | os.PathLike[str] | None = None,
        checkpoint_every: int | Duration = "1min",
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
            names of modules in ``module_``; with wildcards as in ``"*.lstm_?"``. Their weights do
            not change in the least.
        callbacks : sequence of callable or object, optional
            Functions ``f(model, history)`` that are called after each epoch, or objects with some
            of the methods ``on_train_begin(model)``, ``on_epoch_begin(model)``,
            ``on_epoch_end(model, history)``, ``on_train_end(model, history)`` and
            ``on_log(model, entry)``. `model` is this estimator: from the first ``on_epoch_end`` on
            it encodes, reconstructs and can be saved, with the weights of that epoch, and with the
            kept weights in ``on_train_end``. `history` is what ``history_`` will be, up to this
            epoch. Training stops after an epoch for which ``on_epoch_end`` returns True. `entry`
            is a dict that says more, such as throughput and gradient norm; see
            `unspool.callbacks.JSONLogger`. An error in a callback ends `fit`. A
            `checkpoint` keeps the state of an object with the methods ``state_dict()`` (a dict of
            numbers, texts, lists, dicts and arrays) and ``load_state_dict(dict)``.
        checkpoint : str or path, optional
            File to which the state of training is written, and from which it continues if it
            exists: after a crash, a kill or a power cut the same call ends in the same weights and
            history, to the bit on the same machine and number of threads, as if nothing had
            happened. Only `epochs`, `patience` (a number), `device` and `verbose` may change. The
            file stays when `fit` has ended; the same call then returns the same model at once, and
            more `epochs` continue it. A checkpoint of other parameters or data is refused.
        checkpoint_every : int or duration, default "1min"
            Time between two checkpoints, such as "10min", or number of batches. Writing takes at
            most a hundredth of the time: if it is slow, the time between two checkpoints is longer.
            One is also written at the end of each training.

        Returns
        -------
        Self
            The fitted estimator.

        Raises
        ------
        InputError
            If a parameter or the data cannot be used.
        DivergedError
            If training diverges and earlier weights do not help. After any error the estimator is
            as it was before.
        KeyboardInterrupt
            If Ctrl-C ends `fit` before anything usable is trained, or if it is pressed twice. For
            SIGTERM, `SystemExit`. The estimator is then as it was before.
        ModelFileError
            If the file `checkpoint` is damaged or is no checkpoint.

        Warns
        -----
        InterruptedWarning
            If Ctrl-C or SIGTERM ended training early. The estimator has the best weights so far,
            and ``interrupted_`` is True.
        CheckpointWarning
            If a checkpoint cannot be written, or was written by other versions of packages.
        OverlapWarning
            If rows of `X` are overlapping windows of one series, which are then split by time; or
            if sequences of `validation_data` occur in `X`, or overlap sequences of `X`; or if
            held-out sequences have copies among the others.
        NoBetterThanMeanWarning
            If the model is no better than the mean sequence.
        UnusedCodeWarning
            If many dimensions of the code are the same for all sequences.
        GeneralizationWarning
            If the validation loss is far above the training loss, or if nothing is held out and the
            model is far too large for the data.
        """
        _checks.raise_all(*self._complaints())
        check_alone(validation_data, self.validation_split, groups)
        run = read_fit_arguments(self, initial, freeze, callbacks, checkpoint, checkpoint_every)
        with held(run.checkpoint):
            how = how_to_go_on(self, run)
            with fitting(self, how) as run.interruption, torch_settings.training():
                self._fit(run, X, y, sample_weight, validation_data, groups)
            if run.checkpoint is not None and not self.interrupted_:
                run.checkpoint.finish()
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
        in memory and not in model files; there are no checkpoints. Nothing is held out, so
        `validation_split` and `patience` are not used, and the last weights are kept. The learning
        rate is `learning_rate`, and the share of true previous steps is `teacher_forcing`;
        `set_params` changes them between calls.

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
            If training diverges and earlier weights do not help. After any error the estimator is
            as it was before.

        Warns
        -----
        InterruptedWarning
            If Ctrl-C or SIGTERM ended the epoch early; see `fit`.
        """
        _checks.raise_all(*self._complaints())
        run = Run(how="partial_fit", freeze=read_freeze(freeze), passes=0)
        if self.__sklearn_is_fitted__():
            run.start, run.passes = read_start(self), len(self.history_["loss"])
            run.standardizations = self.__dict__.get("_standardizations", {})
        run.optimizers = OptimizerStates(self.optimizer, self.__dict__.get("_optimizers"))
        with fitting(self, CONTINUE_PARTIAL_FIT) as run.interruption, torch_settings.training():
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
        data = self._read_training(run, X, y, sample_weight, groups)
        rng, generator = self._generators(run)
        given = validation_data is not None or run.passes is not None
        training, held_out = self._split(data, 0.0 if given else self.validation_split, rng)

        self._learn_scaling(run, data)
        self._check_loss(data.source, training)
        self._note_sizes(run, data)
        self._make_module(run, data, generator)
        with frozen(self.module_, run.freeze):
            if self.module_.encoder.adapts:
                with runner(self).initial_sample(data.source, training, rng) as some:
                    if run.start is None:
                        self.module_.encoder.adapt(some, generator)
                    else:
                        resume(self.module_.encoder, run.standardizations, some)
            self._n_features_out = self.module_.encoder.latent_dim
            batches = self._batches(data, training, rng)
            self._batches_note = batches.note
            if validation_data is None:
                validated = data
            else:
                validated = self._read_validation(data.whole, validation_data)
                held_out = np.flatnonzero(counted(self, validated.weights, len(validated.source)))
            validation = self._validation_batches(validated, held_out, batches, rng)
            if run.checkpoint is not None:
                facts = facts_of_batches(batches, validation, run)
                check_same_fit(run.checkpoint, self, facts)
            history = self._learn(batches, validation, generator, run)
        if run.passes is not None:
            self._optimizers = run.optimizers
            self._standardizations = run.standardizations or standardizations(self.module_.encoder)
        self.module_.encoder.finish_training()
        if before is not None and run.passes:
            self.history_ = continued(before, history)
        else:
            self.history_ = history
        if run.passes is None and run.interruption.requested is None:
            warn_of_weaknesses(self, data.source, batches, validation)

    def _generators(self, run: Run) -> tuple[np.random.Generator, torch.Generator]:
        """Return the random number generators of NumPy and of PyTorch."""
        random = check_random_state(self.random_state)
        drawn = [int(random.randint(2**31)) for _ in range(2)]
        seed, other = seeds(run.checkpoint, self.random_state, drawn)
        # a later pass of `partial_fit` needs other random numbers
        rng = np.random.default_rng([seed, run.passes] if run.passes else seed)
        return rng, torch.Generator().manual_seed(other + (run.passes or 0))

    def _check_loss(self, source: Source | Futures, training: IntArray) -> None:
        """Refuse targets that the loss cannot have, and a loss function that cannot be used."""
        check_loss(self, source)
        if isinstance(self._loss, LossFunction):
            check_function_on(self, self._loss, source, training)

    def _make_module(self, run: Run, data: TrainingData, generator: torch.Generator) -> None:
        """Build the modules with new weights, or with those that training starts from."""
        self.module_ = self._build(generator)
        if self.missing == "mask" and run.start is None:
            set_fill(self.module_, data.source, self.scaler_, data.weights_of_statistics)
        self.module_.to(resolve_device(self.device))
        if run.start is not None:
            load_weights(self.module_, run.start.weights)
            self._form.check_longest(
                data.source, self._limits(decodes="reconstruction" in self.module_.decoders)
            )

    def _batches(self, data: TrainingData, training: IntArray, rng: np.random.Generator) -> Batches:
        """Return the batches to train on."""
        return Batches(
            data.source,
            self.scaler_,
            training,
            self.batch_size,
            resolve_device(self.device),
            rng,
            self.steps_per_epoch,
            weights=self._error_weights(data, training),
        )

    def _validation_batches(
        self, data: TrainingData, held_out: IntArray, batches: Batches, rng: np.random.Generator
    ) -> Batches | None:
        """Return the batches to validate on, a sample of those held out; None if there are none."""
        if not len(held_out):
            return None
        watched = sample(held_out, validation_size(self, batches, len(held_out)), rng)
        return Batches(
            data.source,
            self.scaler_,
            watched,
            runner(self).batch_size(data.source.max_length),
            batches.device,
            weights=self._error_weights(data, watched),
            sizes=runner(self).batch_sizes,
        )

    def _error_weights(self, data: TrainingData, indices: IntArray) -> ErrorWeights | None:
        """Return the weights of the errors of sequences, steps and features."""
        features = read_feature_weight(
            self.feature_weight, self._form.n_outputs, self._form.target_names
        )
        return normalised(data.weights, features, data.source, indices, by_step=self._every_step)

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
