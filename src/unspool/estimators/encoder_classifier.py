"""`EncoderClassifier`: a softmax on the codes of a trained encoder, with optional fine-tuning."""

import os
from collections.abc import Mapping, Sequence
from typing import Any, Literal, Self

import numpy as np
import numpy.typing as npt
import torch
from sklearn.utils import Tags

from unspool import _checks
from unspool._durations import Duration
from unspool._types import (
    ActivationName,
    Auto,
    OptimizerName,
    ScheduleName,
)
from unspool.blueprint import definition
from unspool.estimators.checkpointing import held
from unspool.estimators.classifier_fit import FitsClassifier
from unspool.estimators.classifier_start import (
    autoencoder_complaints,
)
from unspool.estimators.fit_arguments import CONTINUE_PARTIAL_FIT, how_to_go_on, read_fit_arguments
from unspool.estimators.freezing import read_freeze
from unspool.estimators.going_on import read_start
from unspool.estimators.stopping import fitting
from unspool.estimators.training import OptimizerStates, Run
from unspool.estimators.validation_data import check_alone
from unspool.nn import torch_settings
from unspool.nn.device import device_complaint


class EncoderClassifier(FitsClassifier):
    """Classifier of sequences: dense layers and a softmax on the codes of a trained encoder.

    The encoder belongs to an unspool model of any class. The head is trained on its codes; with
    `fine_tune`, encoder and head are then trained together.

    ``X`` has any form that the model with the encoder accepts; ``y`` holds one label per sequence,
    of any type that can be sorted: numbers, strings, truth values.

    Parameters
    ----------
    autoencoder : estimator, optional
        The unspool model whose encoder is used: an autoencoder or an `LSTMForecaster`. If it is
        fitted, its encoder is copied and the model itself never changes. If it is not fitted, a
        clone is fitted on ``X`` without ``y``; its `random_state`, if None, is derived from the one
        here. None means ``LSTMAutoencoder()``.

        scikit-learn clones estimators in cross-validation and grid searches, and a clone is not
        fitted: the encoder is then trained again on the training part of each fold. To keep a
        trained encoder, wrap the model: ``FrozenEstimator(autoencoder)``, from `sklearn.frozen`.
    fine_tune : bool, default False
        Whether to train encoder and head together after the head has been trained.
    head_units : sequence of int, default ()
        Widths of dense layers between the code and the softmax layer.
    head_activation : str, default "relu"
        Activation of the `head_units` layers: "linear", "relu", "tanh", "sigmoid", "elu", "gelu" or
        "softmax".
    class_weight : dict, "balanced" or None, default None
        Weight of each class in the loss, at least 0, by label; a label that is not in the dict has
        the weight 1. "balanced" gives all classes the same sum of weights, N / (C · number of
        sequences of the class). The weights multiply the `sample_weight` of `fit`, and an
        `autoencoder` that is not fitted is trained without them. None gives all classes the weight
        1.
    optimizer : str, default "adam"
        Optimizer, with Keras's defaults: "adam", "adamw", "nadam", "adamax", "rmsprop", "adagrad",
        "adadelta" or "sgd".
    learning_rate : float or None, default 0.002
        Learning rate, above 0; for the schedule "cosine" its maximum. None is Keras's default for
        the optimizer: 0.01 for "sgd", otherwise 0.001.
    learning_rate_schedule : {"cosine", "constant", "reduce_on_plateau"}, default "cosine"
        "cosine" raises the learning rate linearly over the first tenth of the updates that `epochs`
        allows, and lowers it to 0 along a cosine, once for the head and once for fine-tuning.
        "constant" keeps it. "reduce_on_plateau" multiplies it by `plateau_factor` after each
        `plateau_patience` epochs without a lower validation loss (training loss, if nothing is
        held out), like Keras's ReduceLROnPlateau.
    plateau_factor : float, default 0.1
        For the schedule "reduce_on_plateau": factor of the learning rate, above 0 and below 1.
    plateau_patience : int, default 10
        For the schedule "reduce_on_plateau": number of epochs, at least 1. It should be smaller
        than `patience`, which ends training.
    weight_decay : float, optional
        For optimizer="adamw": each update subtracts this share of every weight and bias, times the
        learning rate; at least 0. None is Keras's default, 0.004. Other optimizers need None.
    global_clipnorm : float or None, default 1.0
        Gradients are clipped to this global norm (Keras's argument; torch's `clip_grad_norm_`);
        None disables clipping.
    batch_size : int, default 32
        Number of sequences in a training batch.
    epochs : int or "auto", default "auto"
        Maximum number of epochs of the head. "auto" is the number that makes 1,500 updates of the
        weights, and at least 100.
    fine_tune_epochs : int, optional
        Maximum number of epochs of fine-tuning. None means `epochs`.
    validation_split : float, default 0.0
        Share of the sequences to hold out for validation, at least 0 and below 1, drawn at random
        from each class; the last sequence of a class is never held out. Whole groups are drawn
        with the `groups` of `fit`; of windows the last steps of each series are held out. The
        `validation_data` of `fit` replace it. 0 holds out none, because labelled sequences tend to
        be few, and a few of them are a poor guide.
    patience : int, "auto" or None, default "auto"
        Number of epochs without a lower validation loss (training loss, if nothing is held out)
        after which training stops; the best weights are kept. "auto" is a quarter of the epochs, at
        least 20. None trains all epochs and keeps the last weights.
    warm_start : bool, default False
        Whether `fit` on a fitted classifier goes on from its encoder, scaling and head, instead of
        training new ones. The labels must be the same. Set `random_state`, so that the same
        sequences are held out again.
    random_state : int, RandomState or None, default None
        Seed of everything random in `fit`. With an integer, `fit` on the CPU gives the same weights
        to the bit each time on the same machine, for the backend "compiled" with any number of
        threads. The rounding of PyTorch's kernels may depend on the number of threads and, on a
        GPU, on the run (see ``torch.use_deterministic_algorithms``).
    device : str or torch.device, default "auto"
        Device for training and inference; the copied encoder moves to it. "auto" uses a GPU if
        there is one. A pickled model is restored to this device if it exists, otherwise to the CPU.
    verbose : int, default 1
        0 shows nothing; 1 shows a progress bar, if stderr is a terminal, or in a notebook; 2 prints
        a line with the losses of each epoch to stderr, for log files.

    Attributes
    ----------
    classes_ : ndarray of shape (C,)
        The labels, sorted.
    autoencoder_ : estimator
        Fitted copy of the model with its encoder alone; its `transform` returns the codes that the
        head reads.
    module_ : torch.nn.Module
        Encoder and head: ``(x (B, T, F) scaled, lengths) -> logits (B, C)``.
    history_ : dict
        Training history of the last stage, with one number per epoch in each list: "loss" (the
        cross-entropy), "accuracy", "learning_rate", and "val_loss" and "val_accuracy" if sequences
        are held out. "best_epoch" is the index of the epoch whose weights were kept.
    interrupted_ : bool
        Whether Ctrl-C or SIGTERM ended the last fit early.
    head_history_ : dict
        The history of the head's training; equal to ``history_`` without fine-tuning.

    See Also
    --------
    LSTMAutoencoder : The model whose encoder is used by default.

    References
    ----------
    .. [1] Hinton, G. E., & Salakhutdinov, R. R. (2006). Reducing the Dimensionality of Data with
           Neural Networks. Science, 313.

    Examples
    --------
    >>> import numpy as np
    >>> from unspool import EncoderClassifier, LSTMAutoencoder
    >>> y = np.repeat(["slow", "fast"], 50)
    >>> X = np.sin(np.arange(40) / np.where(y == "slow", 6, 3)[:, None] + np.arange(100)[:, None])
    >>> autoencoder = LSTMAutoencoder(latent_dim=8, epochs=5, random_state=0).fit(X)
    >>> model = EncoderClassifier(autoencoder, fine_tune=True, epochs=20, random_state=0)
    >>> model.fit(X, y).predict_proba(X).shape
    (100, 2)
    >>> model.score(X, y)
    1.0
    """

    def __init__(
        self,
        autoencoder: Any = None,
        *,
        fine_tune: bool = False,
        head_units: Sequence[int] = (),
        head_activation: ActivationName = "relu",
        class_weight: Mapping[Any, float] | Literal["balanced"] | None = None,
        optimizer: OptimizerName = "adam",
        learning_rate: float | None = 2e-3,
        learning_rate_schedule: ScheduleName = "cosine",
        plateau_factor: float = 0.1,
        plateau_patience: int = 10,
        weight_decay: float | None = None,
        global_clipnorm: float | None = 1.0,
        batch_size: int = 32,
        epochs: int | Auto = "auto",
        fine_tune_epochs: int | None = None,
        validation_split: float = 0.0,
        patience: int | Auto | None = "auto",
        warm_start: bool = False,
        random_state: int | np.random.RandomState | None = None,
        device: str | torch.device = "auto",
        verbose: int = 1,
    ) -> None:
        self.autoencoder = autoencoder
        self.fine_tune = fine_tune
        self.head_units = head_units
        self.head_activation = head_activation
        self.class_weight = class_weight
        self.optimizer = optimizer
        self.learning_rate = learning_rate
        self.learning_rate_schedule = learning_rate_schedule
        self.plateau_factor = plateau_factor
        self.plateau_patience = plateau_patience
        self.weight_decay = weight_decay
        self.global_clipnorm = global_clipnorm
        self.batch_size = batch_size
        self.epochs = epochs
        self.fine_tune_epochs = fine_tune_epochs
        self.validation_split = validation_split
        self.patience = patience
        self.warm_start = warm_start
        self.random_state = random_state
        self.device = device
        self.verbose = verbose

    def _complaints(self) -> list[_checks.Complaint]:
        """List everything that is wrong with the parameters."""
        return [
            *definition(self._name).complaints(self.get_params(deep=False)),
            *autoencoder_complaints(self.autoencoder),
            device_complaint(self.device),
        ]

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
        """Train the head on the codes of `X`, and with `fine_tune` the encoder as well.

        Parameters
        ----------
        X : array, list, frame, Sequences or Windows
            N sequences in any form that the model with the encoder accepts.
        y : array of shape (N,)
            One label per sequence.
        sample_weight : array of shape (N,), optional
            Weight of each sequence in the loss, at least 0; also in the training of an
            `autoencoder` that is not fitted. A weight of 2 counts like two copies of a sequence, a
            sequence of weight 0 is left out, and only the ratios of the weights matter. Losses and
            accuracies in `history_` are weighted.
        validation_data : (X_val, y_val) or (X_val, y_val, sample_weight_val), optional
            Sequences to validate on, in any form that `X` may have, with a label, and possibly a
            weight, for each. They choose the weights that are kept, and are never trained on.
            `validation_split` must then be 0. An `autoencoder` that is not fitted validates on
            X_val as well, unless its `validation_split` is another number than 0.
        groups : array of shape (N,), optional
            Group of each sequence, such as the machine or the patient that it was recorded from.
            `validation_split` then holds out whole groups, here and in an `autoencoder` that is
            not fitted; a group is not held out if no sequence of a class would be left.
        initial : EncoderClassifier or path, optional
            A fitted classifier, or its model file, with the same labels and head layers. Training
            starts from its encoder, scaling and head; `autoencoder` is not used. It takes
            precedence over `warm_start`.
        freeze : str or sequence of str, optional
            Layers that are not trained, by the names that `unspool.summary` prints, such as
            "head", "encoder" or "encoder.lstm_1"; see `LSTMAutoencoder.fit`. Without `fine_tune`
            no layer of the encoder is trained. An `autoencoder` that is not fitted is trained as a
            whole before.
        callbacks : sequence of callable or object, optional
            Functions and objects that are called while the head is trained, and again while
            encoder and head are fine-tuned; see `LSTMAutoencoder.fit`. At the end of an epoch the
            classifier predicts and can be saved.
        checkpoint : str or path, optional
            File to which the state of training is written, and from which it continues if it
            exists, as in `LSTMAutoencoder.fit`: wherever the fit was stopped, be it in the training
            of an `autoencoder` that is not fitted, of the head, or in fine-tuning. Only `epochs`,
            `fine_tune_epochs`, `patience` (a number), `device` and `verbose` may change, here and
            in the `autoencoder`; what follows a training that goes on is trained anew.
        checkpoint_every : int or duration, default "1min"
            Time between two checkpoints, such as "10min", or number of batches; see
            `LSTMAutoencoder.fit`.

        Returns
        -------
        Self
            The fitted classifier.

        Raises
        ------
        InputError
            If a parameter, the data or the labels cannot be used.
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
        """
        _checks.raise_all(*self._complaints())
        check_alone(validation_data, self.validation_split, groups)
        run = read_fit_arguments(self, initial, freeze, callbacks, checkpoint, checkpoint_every)
        with held(run.checkpoint):
            how = how_to_go_on(self, run)
            with fitting(self, how) as run.interruption, torch_settings.training():
                self._fit(run, X, y, sample_weight, validation_data, groups, None)
            if run.checkpoint is not None and not self.interrupted_:
                run.checkpoint.finish()
        return self

    def partial_fit(
        self,
        X: Any,
        y: Any = None,
        classes: Any = None,
        sample_weight: Any = None,
        *,
        freeze: str | Sequence[str] | None = None,
    ) -> Self:
        """Train the head for one epoch on `X`, and with `fine_tune` encoder and head for another.

        In the first call an `autoencoder` that is not fitted is fitted on `X`, with all of its
        epochs. Later calls, and calls on a classifier that was fitted or loaded, go on from encoder
        and head. The state of the optimizers is kept from call to call, in memory and not in model
        files; there are no checkpoints. Nothing is held out, the last weights are kept, and the
        learning rate is `learning_rate`, which `set_params` changes between calls.

        Parameters
        ----------
        X : array, list, frame, Sequences or Windows
            N sequences in any form that the model with the encoder accepts.
        y : array of shape (N,)
            One label per sequence.
        classes : array of shape (C,), optional
            All labels that may occur in any call. Required in the first call if `y` lacks some;
            later calls know them.
        sample_weight : array of shape (N,), optional
            Weight of each sequence; see `fit`. They have a mean of 1 over the `X` of each call.
        freeze : str or sequence of str, optional
            Names of layers that are not trained; see `fit`.

        Returns
        -------
        Self
            The fitted classifier; ``history_`` has one more epoch.

        Raises
        ------
        InputError
            If a parameter, the data or the labels cannot be used, or if `set_params` has changed
            the layers of the head.
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
            run.start, run.passes = read_start(self), len(self.head_history_["loss"])
            run.standardizations = self.__dict__.get("_standardizations", {})
            run.code_scaler = self.__dict__.get("_code_scaler")
        run.optimizers = OptimizerStates(self.optimizer, self.__dict__.get("_optimizers"))
        with fitting(self, CONTINUE_PARTIAL_FIT) as run.interruption, torch_settings.training():
            self._fit(run, X, y, sample_weight, None, None, classes)
        return self

    @property
    def n_features_in_(self) -> int:
        """Number of features of a step; for a table (N, T) its number of columns."""
        number: int = self.autoencoder_.n_features_in_
        return number

    @property
    def feature_names_in_(self) -> npt.NDArray[np.object_]:
        """Names of the features, if `X` has names; for a table the names of its columns."""
        names: npt.NDArray[np.object_] = self.autoencoder_.feature_names_in_
        return names

    def __sklearn_is_fitted__(self) -> bool:
        """Return whether a fit has ended, neither interrupted nor diverged."""
        return hasattr(self, "history_")

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        return tags
