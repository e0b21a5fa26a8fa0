"""`DenseAutoencoder`: dense layers encode rows, images or short sequences as short vectors."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch

from unspool._types import (
    ActivationName,
    Auto,
    LossAlias,
    LossParameter,
    MetricName,
    Missing,
    NormalizationName,
    OptimizerName,
    ScalingName,
    ScheduleName,
)
from unspool.estimators.autoencoding import BaseAutoencoder


class DenseAutoencoder(BaseAutoencoder):
    """Autoencoder of dense layers for rows, images and short sequences.

    Dense layers encode each row as a vector of `latent_dim` numbers, and others reconstruct the row
    from it.

    ``X`` may be a table (N, D), an array or a frame, whose columns are D features; or sequences (N,
    T, F) in any form that `LSTMAutoencoder` accepts, whose T · F values are read at once. Sequences
    may differ in length (shorter ones are padded with zeros), up to the length of the longest one
    in `fit`. Images may have the shape (N, H · W) or (N, H, W).

    Parameters
    ----------
    latent_dim : int, default 32
        Length of the code, L.
    hidden_units : sequence of int, default ()
        Widths of the dense layers between the input and the code.
    decoder_units : sequence of int, optional
        Widths of the dense layers between the code and the output. None means those of
        `hidden_units` in reverse order.
    targets : sequence of str or int, optional
        Features (of a table: columns) to reconstruct, by name or place; the others are only read.
        Results have the targets in this order. None means all features.
    activation : str, default "relu"
        Activation of the `hidden_units` and `decoder_units` layers: "linear", "relu", "tanh",
        "sigmoid", "elu", "gelu" or "softmax".
    code_activation : str, default "relu"
        Activation of the code: "linear", "relu", "tanh", "sigmoid", "elu", "gelu" or "softmax".
    output_activation : str, default "linear"
        Activation of the output layer: "linear", "relu", "tanh", "sigmoid", "elu", "gelu" or
        "softmax". A bounded activation needs data scaled to its range.
    loss : {"mse", "mae", "huber", "binary_crossentropy", "categorical_crossentropy"}, dict or \
callable, default "mse"
        Loss in scaled units, averaged over values. Keras's long names "mean_squared_error" and
        "mean_absolute_error" are accepted too. "binary_crossentropy" needs values between 0 and 1
        (scaling="none" or "minmax"); "categorical_crossentropy" needs rows or steps that are
        distributions and output_activation="softmax".

        With a dict, features have different losses: keys are names of features, places from 0, or
        tuples of these, and "*" is the loss of all others, which is "mse" if it is missing. The
        columns of a tuple with "categorical_crossentropy" are the classes of one category, of which
        one is 1 at each step. Outputs of a cross-entropy get a sigmoid or a softmax, and their
        columns are not scaled. The loss is the mean of all values, of which a category has one per
        step; ``history_`` has the mean of each loss too, such as "mse_loss".

        A function takes predictions and targets, scaled tensors (B, T, F), and returns losses
        (B, T, F), or (B, T) for each step, without any mean; predictions equal targets in the
        padding. A file contains the name of the function; see `unspool.load`.
    metrics : sequence of str, default ()
        Further losses to record in ``history_``, by the names that `loss` accepts; for a
        cross-entropy loss also "accuracy": the share of values on the correct side of 0.5, or of
        rows whose most likely feature is correct.
    feature_weight : sequence of float or dict of str to float, optional
        Weight of each feature in the loss, at least 0: a sequence (F,), or a dict by name, in which
        a feature that is not named has the weight 1. Only their ratios matter. A feature of weight
        0 is read, but it need not be reconstructed. Errors and scores of a fitted model count all
        features equally. With `targets`, the weights are those of the targets, in their order. None
        gives all features the same weight.
    input_noise : float, default 0.0
        Standard deviation of the Gaussian noise that is added to the input in training, in scaled
        units, at least 0. The target stays clean (a *denoising* autoencoder).
    input_dropout : float, default 0.0
        Sets whole time steps of the input to zero in training (in rows of a table: single values),
        this share of them (below 1); the others are not rescaled, unlike in Keras's Dropout layer.
        The target keeps all values (a *masked* autoencoder).
    dropout : float, default 0.0
        Share of the outputs of each `hidden_units` layer, below 1, that the next layer does not
        read in training, in encoder and decoder; the others are scaled up to the same mean, as by
        Keras's Dropout layer.
    code_dropout : float, default 0.0
        Share of the values of the code, below 1, that are set to zero in training; the others are
        scaled up to the same mean, as in Keras's Dropout layer.
    code_l1 : float, default 0.0
        Weight of the sum of the absolute values of a code in the loss, at least 0 (a *sparse*
        autoencoder).
    kl_weight : float, optional
        Weight of the divergence (in nats per sequence) of the distribution of codes from the
        standard normal distribution, next to the loss summed over the values of the sequence. A
        number makes the autoencoder *variational*: codes are sampled in training, and `transform`
        returns their means. None means a plain autoencoder.
    optimizer : str, default "adam"
        Optimizer, with Keras's defaults: "adam", "adamw", "nadam", "adamax", "rmsprop", "adagrad",
        "adadelta" or "sgd".
    learning_rate : float or None, default 0.002
        Learning rate, above 0; for the schedule "cosine" its maximum. None is Keras's default for
        the optimizer: 0.01 for "sgd", otherwise 0.001.
    learning_rate_schedule : {"cosine", "constant", "reduce_on_plateau"}, default "cosine"
        "cosine" raises the learning rate linearly over the first tenth of the updates that `epochs`
        allows, and lowers it to 0 along a cosine. "constant" keeps it. "reduce_on_plateau"
        multiplies it by `plateau_factor` after each `plateau_patience` epochs without a lower
        validation loss (training loss, if nothing is held out), like Keras's ReduceLROnPlateau.
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
        Number of rows or sequences in a training batch.
    epochs : int or "auto", default "auto"
        Maximum number of epochs. "auto" is the number that makes 1,500 updates of the weights, and
        at least 100: 30 sequences, which are one batch, are trained on for 1,500 epochs.
    steps_per_epoch : int, optional
        Maximum number of batches in an epoch. If there are more, each epoch draws a fresh sample,
        spread over the data. Set it for overlapping windows of a long series. None uses all
        batches.
    validation_split : float or "auto", default "auto"
        Share of the sequences to hold out for validation, at least 0 and below 1. Sequences are
        drawn at random, or whole groups with the `groups` of `fit`; of windows the last steps of
        each series are held out, without overlap. The `validation_data` of `fit` replace it.
        "auto" holds out a tenth and at least 5 sequences (or windows side by side), and none if
        these are more than a quarter of all, so none of fewer than 20 sequences.
    validation_steps : int, optional
        Number of batches of `batch_size` sequences to validate on after each epoch, drawn once from
        the held-out sequences. None validates on the same share of the held-out sequences as an
        epoch has of the training sequences: on all of them unless `steps_per_epoch` limits the
        epoch.
    patience : int, "auto" or None, default "auto"
        Number of epochs without a lower validation loss (training loss, if nothing is held out)
        after which training stops; the best weights are kept. "auto" is a quarter of the epochs, at
        least 20. None trains all epochs and keeps the last weights.
    scaling : {"standard", "minmax", "robust", "none"}, default "standard"
        Scaling of each feature (each column of a table) inside the model, undone in its outputs: to
        mean 0 and standard deviation 1 ("standard"), to the range 0 to 1 ("minmax"), or to median 0
        and interquartile range 1 ("robust", which outliers in the training data do not change). A
        feature that is constant except for rounding is scaled by a tenth of its size, so that a
        later change of it is visible.
    clip : float or None, default None
        Largest absolute value, in scaled units, of what the model reads: larger values are clipped
        to ±`clip`, so that an outlier changes neither code nor reconstruction much. In training,
        targets are clipped too; errors and scores always refer to the true values, so an outlier
        keeps its large error. A cross-entropy needs at least 1. None does not clip.
    normalization : {"none", "last", "standard"}, default "none"
        Normalisation of each sequence, so that the code describes its shape and not its level:
        "standard" subtracts the mean of the sequence and divides it by its standard deviation,
        "last" subtracts its last value, for each feature. It follows the scaling and is undone in
        reconstructions. The loss is that of normalised sequences, so that all shapes have the same
        weight; errors and scores are in scaled units. A small constant is added to variances, so
        that a sequence that hardly varies is divided by no less than a thousandth of the scale of
        its feature. A normalised model decodes no codes alone, has no `horizon` and no `stream`.
    missing : {"raise", "mask"}, default "raise"
        Whether values of `X` may be missing: NaN, masked values, None, or NA of pandas and polars.
        "raise" refuses them. "mask" feeds the mean of the feature instead, together with an
        indicator for each feature, and leaves missing values out of losses, errors and scores.
        Steps at the end of a sequence in which every feature is missing are padding nevertheless.
        With "mask", `input_dropout` makes values of the input missing: whole steps in half of the
        sequences, and runs of single features in the others.
    warm_start : bool, default False
        Whether `fit` on a fitted model goes on from its weights instead of new ones. Scaling, sizes
        and features are kept, because the weights depend on them; the structure must be the same.
        Set `random_state`, so that the same sequences are held out again.
    random_state : int, RandomState or None, default None
        Seed of everything random in `fit`. With an integer, `fit` on the CPU gives the same weights
        to the bit each time on the same machine and number of threads. On a GPU results agree to
        rounding, unless ``torch.use_deterministic_algorithms`` is set.
    device : str or torch.device, default "auto"
        Device for training and inference. "auto" uses a GPU if there is one. On NVIDIA GPUs PyTorch
        rounds products in LSTMs and convolutions to TF32: results differ from the CPU by about
        0.001 of the largest value, or 0.00001 after ``torch.backends.cudnn.allow_tf32 = False``. A
        pickled model is restored to this device if it exists, otherwise to the CPU.
    verbose : int, default 1
        0 shows nothing; 1 shows a progress bar, if stderr is a terminal, or in a notebook; 2 prints
        a line with the losses of each epoch to stderr, for log files.

    Attributes
    ----------
    history_ : dict
        Training history with one number per epoch in each list: "loss", "val_loss" (if rows are
        held out), "learning_rate" of the last update, and each of the `metrics`; the parts of the
        loss, if there are several ("reconstruction_loss", "code_l1", "divergence"), with `val_` in
        front for validation. "best_epoch" is the index of the epoch whose weights were kept.
    interrupted_ : bool
        Whether Ctrl-C or SIGTERM ended the last fit early.
    module_ : torch.nn.Module
        The trained encoder and decoders.
    scaler_ : Scaler
        Scaling of the features, learned by `fit`.
    target_scaler_ : Scaler
        Scaling of what the model writes: of the targets.
    targets_ : tuple of int
        Places of the features that the model reconstructs, all by default.
    max_length_ : int
        Number of time steps of the longest sequence seen by `fit`; 1 for a table.
    horizon_ : int
        Always 0: this model does not forecast.
    window_ : tuple of int or None
        Size and stride of the `Windows` that `fit` saw; None for other data.
    dilation_ : int
        Number of steps of a series from one step of those `Windows` to the next; 1 for other data.
    max_gap_ : float or None
        Largest distance of two times within those `Windows`, in seconds for dates; None if there
        was no limit.
    n_features_in_ : int
        Number of columns of a table, or of features of a step.
    feature_names_in_ : ndarray of str
        Names of the features, if `X` has names; for a table the names of its columns.

    See Also
    --------
    StackedAutoencoder : The same layers, trained one after the other.
    ConvAutoencoder : Convolutions, for images and sequences.

    Notes
    -----
    The classic autoencoder of MNIST digits has 784 inputs, a code of 32 ReLU units and 784 sigmoid
    outputs: the defaults with ``output_activation="sigmoid"``, ``loss="binary_crossentropy"`` and
    ``scaling="none"``.

    References
    ----------
    .. [1] Hinton, G. E., & Salakhutdinov, R. R. (2006). Reducing the Dimensionality of Data with
           Neural Networks. Science, 313.
    .. [2] Kingma, D. P., & Welling, M. (2014). Auto-Encoding Variational Bayes. ICLR.

    Examples
    --------
    >>> import numpy as np
    >>> from unspool import DenseAutoencoder
    >>> X = np.random.default_rng(0).normal(size=(100, 3)) @ np.ones((3, 12))
    >>> model = DenseAutoencoder(latent_dim=4, epochs=20, random_state=0).fit(X)
    >>> model.reconstruct(X).shape
    (100, 12)
    """

    def __init__(
        self,
        latent_dim: int = 32,
        *,
        hidden_units: Sequence[int] = (),
        decoder_units: Sequence[int] | None = None,
        targets: Sequence[str | int] | None = None,
        activation: ActivationName = "relu",
        code_activation: ActivationName = "relu",
        output_activation: ActivationName = "linear",
        loss: LossParameter = "mse",
        metrics: Sequence[MetricName | LossAlias] = (),
        feature_weight: Sequence[float] | Mapping[str, float] | None = None,
        input_noise: float = 0.0,
        input_dropout: float = 0.0,
        dropout: float = 0.0,
        code_dropout: float = 0.0,
        code_l1: float = 0.0,
        kl_weight: float | None = None,
        optimizer: OptimizerName = "adam",
        learning_rate: float | None = 2e-3,
        learning_rate_schedule: ScheduleName = "cosine",
        plateau_factor: float = 0.1,
        plateau_patience: int = 10,
        weight_decay: float | None = None,
        global_clipnorm: float | None = 1.0,
        batch_size: int = 32,
        epochs: int | Auto = "auto",
        steps_per_epoch: int | None = None,
        validation_split: float | Auto = "auto",
        validation_steps: int | None = None,
        patience: int | Auto | None = "auto",
        scaling: ScalingName = "standard",
        clip: float | None = None,
        normalization: NormalizationName = "none",
        missing: Missing = "raise",
        warm_start: bool = False,
        random_state: int | np.random.RandomState | None = None,
        device: str | torch.device = "auto",
        verbose: int = 1,
    ) -> None:
        self.latent_dim = latent_dim
        self.hidden_units = hidden_units
        self.decoder_units = decoder_units
        self.targets = targets
        self.activation = activation
        self.code_activation = code_activation
        self.output_activation = output_activation
        self.loss = loss
        self.metrics = metrics
        self.feature_weight = feature_weight
        self.input_noise = input_noise
        self.input_dropout = input_dropout
        self.dropout = dropout
        self.code_dropout = code_dropout
        self.code_l1 = code_l1
        self.kl_weight = kl_weight
        self.optimizer = optimizer
        self.learning_rate = learning_rate
        self.learning_rate_schedule = learning_rate_schedule
        self.plateau_factor = plateau_factor
        self.plateau_patience = plateau_patience
        self.weight_decay = weight_decay
        self.global_clipnorm = global_clipnorm
        self.batch_size = batch_size
        self.epochs = epochs
        self.steps_per_epoch = steps_per_epoch
        self.validation_split = validation_split
        self.validation_steps = validation_steps
        self.patience = patience
        self.scaling = scaling
        self.clip = clip
        self.normalization = normalization
        self.missing = missing
        self.warm_start = warm_start
        self.random_state = random_state
        self.device = device
        self.verbose = verbose
