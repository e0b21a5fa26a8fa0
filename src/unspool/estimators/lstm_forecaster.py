"""`LSTMForecaster`: forecasts of the steps that follow a sequence."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
import torch

from unspool._loss_parameter import LossByFeature
from unspool._types import (
    ActivationName,
    Auto,
    BackendName,
    CellActivationName,
    CellName,
    ConvPaddingName,
    DecoderName,
    Directions,
    GateActivationName,
    LossAlias,
    LossParameter,
    MetricName,
    Missing,
    NormalizationName,
    OptimizerName,
    PoolingName,
    ScalingName,
    ScheduleName,
)
from unspool.errors import InputError
from unspool.estimators.base_forecaster import BaseForecaster
from unspool.estimators.linear_maps import silence, solve
from unspool.estimators.training import Run
from unspool.lstm import threads
from unspool.training.batches import Batches
from unspool.training.loop import evaluate
from unspool.training.objective import AutoencoderLoss


class LSTMForecaster(BaseForecaster):
    """LSTM forecaster of the steps that follow a sequence.

    The encoder of `LSTMAutoencoder` with one decoder, of the future (the *future predictor* of
    [1]_). By default the decoder is a dense layer on the final state of the encoder, and the model
    forecasts the change from the last value: a linear map of the last steps makes a first forecast,
    and the LSTM learns its error.

    ``X`` may be an array (N, T, F); an array (N, T) of N sequences of one feature; a list of arrays
    or frames (T_i, F); a pandas frame with the index (instance, time); another pandas or polars
    frame with one sequence per row; `Sequences`; or ``Windows(series, size, stride)`` over long
    series. Steps at the end of a sequence that are NaN in every feature are padding; any other NaN
    or infinity raises an error that names its place.

    `fit` takes the future as ``y``, of shape (N, K, F), or (N, K) for one feature, (N, F) for one
    step, or (N,) for both. With `targets`, it has these features only; with `known`, all features.
    Without ``y`` the last K steps of each sequence or window are cut off and used as targets. A
    ``y`` that is no feature of ``X`` makes the model a regressor of sequences, see `targets`.

    Parameters
    ----------
    latent_dim : int, default 32
        Length of the code, L; also the number of LSTM units if `units` is None.
    horizon : int, optional
        Number of time steps to forecast, K. None means the number of steps in ``y``, or 1 without
        ``y``.
    targets : sequence of str or int, "y" or None, default None
        Features to forecast, by name or place; the others are only read. Forecasts have the
        targets in this order. None means all features. "y" means that the ``y`` of `fit` is a
        separate quantity, such as a remaining life: (N,) is a number for each sequence, (N, K)
        has K steps of one quantity, (N, K, M) of M quantities. It has its own scaling. With None, a
        ``y`` with another number of features than ``X`` is such a quantity too.
    known : sequence of str or int, default ()
        Features that are known for the steps of the forecast, by name or place: a calendar, a
        schedule, a weather forecast. The decoder reads them at each of the K steps. `fit` takes
        them from the steps that follow each sequence, `forecast` from its argument ``future``. They
        need `targets`, and are none of them.
    units : int or sequence of int, optional
        Units of each LSTM layer and direction, H. A sequence has the units of each layer of the
        encoder, for example (64, 32) for two layers that narrow. None means `latent_dim`. See
        `pooling` for how the code is made from the states of the last layer.
    pooling : {"last", "mean", "max", "mean_max", "all"}, default "last"
        Statistics over the real steps of the states of the last encoder layer, from which the code
        is made: the final state; the mean; the maximum; mean and maximum; or final state, mean,
        maximum, minimum and standard deviation ("all"). If they are not `latent_dim` numbers, a
        linear layer maps them to the code.
    patch_size : int or "auto", default 1
        Consecutive steps that the LSTM reads at once, p: p steps of F features become one step of p
        · F numbers. 1 reads step by step, which gives better forecasts. "auto" is 1 if the longest
        sequence has at most 64 steps, with `every_step`, and for `head_units` None; otherwise it is
        the smallest p that gives at most 32 patches. Patches begin at the first step, so the last
        one is complete if the size of the windows is a multiple of p. A patch of the forecast is
        never longer than `horizon`.
    conv_filters : sequence of int, default ()
        Number of channels after each convolution that the sequence passes before the LSTM of the
        encoder (a *CNN-LSTM*), each of which is followed by max pooling. The LSTM then reads their
        outputs one by one, and `patch_size` is that of the decoder alone. Padding still changes no
        code. () has no convolutions.
    conv_kernel_size : int or sequence of int, default 3
        Width of the kernels of these convolutions, in steps; a sequence has the width of each.
    conv_pool_size : int or sequence of int, default 2
        Number of steps of which each pooling keeps the maximum; 1 disables pooling. A sequence has
        the number after each convolution.
    conv_activation : str, default "relu"
        Activation after each of these convolutions: "linear", "relu", "tanh", "sigmoid", "elu",
        "gelu" or "softmax".
    conv_padding : {"same", "causal", "valid"}, default "same"
        What these convolutions read beyond a sequence: "same" zeros on both sides, "causal" zeros
        before it, so that no output depends on later steps, and "valid" nothing. With "valid" a
        convolution shortens a sequence by its kernel size minus 1, and steps that do not fill a
        pooling are left out; with the others poolings round up.
    decoder_units : int or sequence of int, optional
        Units of each LSTM layer of the decoder; a sequence has the units of each layer. None means
        `units`, a sequence from its last number to its first: (32, 64) for units=(64, 32). A
        decoder "dense" has no LSTM and needs None.
    num_layers : int, default 1
        Number of LSTM layers in the encoder, and in each decoder. If `units` or `decoder_units` is
        a sequence, its length is the number of layers there, which may differ between encoder and
        decoder; `num_layers` must then be 1 or that number.
    bidirectional : bool, "encoder" or "decoder", default False
        Whether encoder and decoder read in both directions, or which of them does. A decoder that
        reads its previous output or emits all steps at once always has one direction.
    decoder : str, default "dense"
        How the decoder receives the code, and what it reads at each step:

        ======================  =====================  =========================================
        decoder                 the code is            the decoder also reads
        ======================  =====================  =========================================
        "repeat"                repeated at each step  nothing
        "reversed_input"        repeated at each step  the input from its last step to its first
        "previous"              repeated at each step  the previous step
        "state"                 the initial state      nothing
        "state_repeat"          the initial state and  nothing
                                repeated at each step
        "state_reversed_input"  the initial state      the input from its last step to its first
        "state_previous"        the initial state      the previous step
        "reshape"               cut into steps         nothing
        "flat"                  cut into steps         nothing; its last state gives all steps
        "dense"                 read by dense layers   nothing; they emit all steps at once
        ======================  =====================  =========================================

        "previous" decoders read the true previous step in training (see `teacher_forcing`) and
        their own output afterwards. A decoder that starts from the state gets its code from the
        whole encoder state (h and c of all layers and directions); if `latent_dim` equals the
        length of that state, the code is the state.
    every_step : bool, default False
        Whether to learn to forecast after every step of a sequence, and not only after its last
        step; use it to continue sequences from any start (`generate`). It needs
        bidirectional=False, patch_size=1, pooling="last", and a decoder that neither starts from
        the state nor reads the input.
    normalization : {"auto", "none", "last", "standard"}, default "auto"
        Normalization of each sequence before it is encoded, undone in its forecast. "auto" is
        "last", or "none" for a separate ``y`` (see `targets`), which depends on the level. "last"
        subtracts the last value, so that the model forecasts the change from it; "standard"
        subtracts the mean of the steps and divides by their standard deviation [4]_. Use "none" if
        the future depends on the level itself, or if `every_step`, `forecast_by_step` or a stream
        must be fast: normalized sequences are encoded anew at each step.
    linear_steps : int or "auto", default "auto"
        Number of last steps of a sequence from which a linear map for each target makes a first
        forecast [3]_, at most the length of the longest sequence; 0 means no map. "auto" is 512, or
        0 for a separate ``y`` (see `targets`), which has no last steps. The map is solved
        before training by ridge regression, with the penalty chosen by generalized
        cross-validation, and the network learns its error. If no epoch lowers the loss of the
        held-out sequences, the forecasts are those of the map.
    quantiles : sequence of float, default ()
        Quantiles of the forecast to learn in addition, increasing, each between 0 and 1; see
        `predict_quantiles`. (0.1, 0.5, 0.9) gives the median and an 80 % interval.
    teacher_forcing : float, default 1.0
        For a decoder that reads its previous output: the share of previous steps, from 0 to 1, that
        are true values instead of outputs in the last epoch of training. The share starts at 1 and
        falls linearly (scheduled sampling).
    head_units : sequence of int or None, default ()
        Widths of dense layers between the decoder's state and the output layer, applied at each
        step. None also removes the output layer: the state is the output and needs its width. A
        decoder "dense" does not accept None.
    head_activation : str, default "relu"
        Activation of the `head_units` layers: "linear", "relu", "tanh", "sigmoid", "elu", "gelu" or
        "softmax".
    output_activation : str, default "linear"
        Activation of the output layer: "linear", "relu", "tanh", "sigmoid", "elu", "gelu" or
        "softmax". All but "linear" need normalization="none", linear_steps=0 and quantiles=().
    cell : {"lstm", "gru"}, default "lstm"
        Cells of the recurrent layers: long short-term memory or gated recurrent units [6]_. A GRU
        has three quarters of the weights and no cell state. Where this page says LSTM, it holds
        for both.
    activation : {"tanh", "relu"}, default "tanh"
        Activation of the cells.
    recurrent_activation : {"sigmoid", "hard_sigmoid"}, default "sigmoid"
        Activation of the gates.
    code_activation : str, default "linear"
        Activation of the code: "linear", "relu", "tanh", "sigmoid", "elu", "gelu" or "softmax". It
        must be "linear" for decoders that start from the state.
    loss : {"mse", "mae", "huber", "binary_crossentropy", "categorical_crossentropy"}, dict or \
callable, default "mse"
        Loss of the forecast in scaled units, averaged over steps and features. Keras's long names
        "mean_squared_error" and "mean_absolute_error" are accepted too. A cross-entropy needs
        normalization="none", linear_steps=0 and quantiles=(): "binary_crossentropy" for values
        between 0 and 1, "categorical_crossentropy" for steps that are distributions, with
        output_activation="softmax".

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
        steps whose most likely feature is correct.
    feature_weight : sequence of float or dict of str to float, optional
        Weight of each feature in the loss, at least 0: a sequence (F,), or a dict by name, in which
        a feature that is not named has the weight 1. Only their ratios matter. A feature of weight
        0 is read, but it need not be forecast. Errors and scores of a fitted model count all
        features equally. With `targets`, the weights are those of the targets, in their order. None
        gives all features the same weight.
    input_noise : float, default 0.0
        Standard deviation of the Gaussian noise that is added to the input in training, in scaled
        units, at least 0.
    input_dropout : float, default 0.0
        Sets whole time steps of the input to zero in training, this share of them (below 1); the
        other steps are not rescaled, unlike in Keras's Dropout layer.
    dropout : float, default 0.0
        Share of the outputs of each LSTM layer but the last, below 1, that the next layer does not
        read in training; the others are scaled up to the same mean, as by the `dropout` of
        ``torch.nn.LSTM``. It acts in encoder and decoder, one of which needs two layers.
    recurrent_dropout : float, default 0.0
        Share of the hidden units, below 1, that the gates of a layer do not read in training; the
        others are scaled up. A sequence loses the same units at every step [7]_. In Keras's
        argument of this name, each gate loses other units.
    code_dropout : float, default 0.3
        Share of the values of the code, below 1, that are set to zero in training; the others are
        scaled up to the same mean, as in Keras's Dropout layer.
    optimizer : str, default "adam"
        Optimizer, with Keras's defaults: "adam", "adamw", "nadam", "adamax", "rmsprop", "adagrad",
        "adadelta" or "sgd".
    learning_rate : float or None, default 0.005
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
        Number of sequences in a training batch.
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
        Scaling of each feature inside the model, undone in its outputs: to mean 0 and standard
        deviation 1 ("standard"), to the range 0 to 1 ("minmax"), or to median 0 and interquartile
        range 1 ("robust", which outliers in the training data do not change). A feature that is
        constant except for rounding is scaled by a tenth of its size, so that a later change of it
        is visible.
    clip : float or None, default None
        Largest absolute value, in scaled units, of what the model reads: larger values are clipped
        to ±`clip`, so that an outlier changes neither code nor reconstruction much. In training,
        targets are clipped too; errors and scores always refer to the true values, so an outlier
        keeps its large error. A cross-entropy needs at least 1. None does not clip.
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
        to the bit each time on the same machine, for the backend "compiled" with any number of
        threads. The rounding of PyTorch's kernels may depend on the number of threads and, on a
        GPU, on the run (see ``torch.use_deterministic_algorithms``).
    device : str or torch.device, default "auto"
        Device for training and inference. "auto" uses a GPU if there is one. On NVIDIA GPUs PyTorch
        rounds products in LSTMs and convolutions to TF32: results differ from the CPU by about
        0.001 of the largest value, or 0.00001 after ``torch.backends.cudnn.allow_tf32 = False``. A
        pickled model is restored to this device if it exists, otherwise to the CPU.
    backend : {"auto", "compiled", "torch", "stepwise"}, default "auto"
        Implementation of the LSTM recurrence, see `unspool.lstm`. "auto" chooses the fastest one
        that supports the device.
    verbose : int, default 1
        0 shows nothing; 1 shows a progress bar, if stderr is a terminal, or in a notebook; 2 prints
        a line with the losses of each epoch to stderr, for log files.

    Attributes
    ----------
    history_ : dict
        Training history with one number per epoch in each list: "loss", "val_loss" (if sequences
        are held out), "learning_rate" of the last update, and each of the `metrics`. With
        `quantiles`, "forecast_loss" is the `loss`, "quantiles_loss" the mean pinball loss [5]_, and
        "loss" their sum; each has a list with `val_` in front for validation. "best_epoch" is the
        index of the epoch whose weights were kept.
    interrupted_ : bool
        Whether Ctrl-C or SIGTERM ended the last fit early.
    module_ : torch.nn.Module
        The trained encoder and decoders.
    scaler_ : Scaler
        Scaling of the features, learned by `fit`.
    target_scaler_ : Scaler
        Scaling of what the model writes: of the targets, or of the quantities of ``y``.
    targets_ : tuple of int
        Places of the features that the model forecasts, all by default. Empty
        if it forecasts quantities of ``y`` that are no features.
    max_length_ : int
        Number of time steps of the longest sequence seen by `fit`, without the steps that were cut
        off as targets.
    horizon_ : int
        Number of forecast steps, K.
    window_ : tuple of int or None
        Size and stride of the `Windows` that `fit` saw, the size without the steps that were cut
        off as targets; None for sequences.
    dilation_ : int
        Number of steps of a series from one step of those `Windows` to the next; 1 for other data.
    max_gap_ : float or None
        Largest distance of two times within those `Windows`, in seconds for dates; None if there
        was no limit.
    n_features_in_ : int
        Number of features of a step; for a table (N, T) its number of columns.
    feature_names_in_ : ndarray of str
        Names of the features, if `X` has names; for a table the names of its columns.

    See Also
    --------
    LSTMAutoencoder : Codes and reconstructions, with an optional forecast.

    Notes
    -----
    Patches are those of [2]_ without overlap.

    References
    ----------
    .. [1] Srivastava, N., Mansimov, E., & Salakhutdinov, R. (2015). Unsupervised Learning of Video
           Representations using LSTMs. ICML.
    .. [2] Nie, Y., et al. (2023). A Time Series is Worth 64 Words: Long-term Forecasting with
           Transformers. ICLR.
    .. [3] Zeng, A., et al. (2023). Are Transformers Effective for Time Series Forecasting? AAAI.
    .. [4] Kim, T., et al. (2022). Reversible Instance Normalization for Accurate Time-Series
           Forecasting against Distribution Shift. ICLR.
    .. [5] Koenker, R., & Bassett, G. (1978). Regression Quantiles. Econometrica, 46(1).
    .. [6] Cho, K., et al. (2014). Learning Phrase Representations using RNN Encoder-Decoder for
           Statistical Machine Translation. EMNLP.
    .. [7] Gal, Y., & Ghahramani, Z. (2016). A Theoretically Grounded Application of Dropout in
           Recurrent Neural Networks. NeurIPS.

    Examples
    --------
    >>> import numpy as np
    >>> from unspool import LSTMForecaster
    >>> X = np.sin(np.arange(40) / 3 + np.arange(100)[:, None])
    >>> model = LSTMForecaster(horizon=4, epochs=2, random_state=0).fit(X)
    >>> model.forecast(X).shape
    (100, 4)
    """

    def __init__(
        self,
        latent_dim: int = 32,
        *,
        horizon: int | None = None,
        targets: Sequence[str | int] | Literal["y"] | None = None,
        known: Sequence[str | int] = (),
        units: int | Sequence[int] | None = None,
        pooling: PoolingName = "last",
        patch_size: int | Auto = 1,
        conv_filters: Sequence[int] = (),
        conv_kernel_size: int | Sequence[int] = 3,
        conv_pool_size: int | Sequence[int] = 2,
        conv_activation: ActivationName = "relu",
        conv_padding: ConvPaddingName = "same",
        decoder_units: int | Sequence[int] | None = None,
        num_layers: int = 1,
        bidirectional: Directions = False,
        decoder: DecoderName = "dense",
        every_step: bool = False,
        normalization: Auto | NormalizationName = "auto",
        linear_steps: int | Auto = "auto",
        quantiles: Sequence[float] = (),
        teacher_forcing: float = 1.0,
        head_units: Sequence[int] | None = (),
        head_activation: ActivationName = "relu",
        output_activation: ActivationName = "linear",
        cell: CellName = "lstm",
        activation: CellActivationName = "tanh",
        recurrent_activation: GateActivationName = "sigmoid",
        code_activation: ActivationName = "linear",
        loss: LossParameter = "mse",
        metrics: Sequence[MetricName | LossAlias] = (),
        feature_weight: Sequence[float] | Mapping[str, float] | None = None,
        input_noise: float = 0.0,
        input_dropout: float = 0.0,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        code_dropout: float = 0.3,
        optimizer: OptimizerName = "adam",
        learning_rate: float | None = 5e-3,
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
        missing: Missing = "raise",
        warm_start: bool = False,
        random_state: int | np.random.RandomState | None = None,
        device: str | torch.device = "auto",
        backend: Auto | BackendName = "auto",
        verbose: int = 1,
    ) -> None:
        self.latent_dim = latent_dim
        self.horizon = horizon
        self.targets = targets
        self.known = known
        self.units = units
        self.pooling = pooling
        self.patch_size = patch_size
        self.conv_filters = conv_filters
        self.conv_kernel_size = conv_kernel_size
        self.conv_pool_size = conv_pool_size
        self.conv_activation = conv_activation
        self.conv_padding = conv_padding
        self.decoder_units = decoder_units
        self.num_layers = num_layers
        self.bidirectional = bidirectional
        self.decoder = decoder
        self.every_step = every_step
        self.normalization = normalization
        self.linear_steps = linear_steps
        self.quantiles = quantiles
        self.teacher_forcing = teacher_forcing
        self.head_units = head_units
        self.head_activation = head_activation
        self.output_activation = output_activation
        self.cell = cell
        self.activation = activation
        self.recurrent_activation = recurrent_activation
        self.code_activation = code_activation
        self.loss = loss
        self.metrics = metrics
        self.feature_weight = feature_weight
        self.input_noise = input_noise
        self.input_dropout = input_dropout
        self.dropout = dropout
        self.recurrent_dropout = recurrent_dropout
        self.code_dropout = code_dropout
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
        self.missing = missing
        self.warm_start = warm_start
        self.random_state = random_state
        self.device = device
        self.backend = backend
        self.verbose = verbose

    def _horizon(self) -> int | None:
        return self.horizon

    def _check_response(self) -> None:
        quantity = "`y` is a quantity that is no feature of `X`, because it has another width"
        if self.linear_steps not in ("auto", 0):
            raise InputError(
                f"{quantity}, and it has no last steps that `linear_steps` could read; set "
                f"linear_steps='auto' or 0, got {self.linear_steps}."
            )
        if isinstance(self._loss, LossByFeature):
            raise InputError(
                f"{quantity}, but `loss` describes features of `X`; set one loss for `y`."
            )
        if self.every_step:
            raise InputError(
                f"{quantity}, and `every_step` needs the steps that follow; set every_step=False."
            )

    def _learn(
        self, batches: Batches, validation: Batches | None, generator: torch.Generator, run: Run
    ) -> dict[str, Any]:
        """Solve for the linear maps, then train the network on their error; see `linear_maps`.

        Training that starts from a trained model keeps the maps, which the network completes.
        """
        skip, objective = self.module_.skip, self._objective(generator)
        if skip is None or run.start is not None:
            return self._train(objective, batches, validation, run)
        decoders = self.module_.decoders
        for decoder in decoders.values():
            silence(decoder)
        with threads.pytorch_on_one_thread():
            solve(skip, batches, every_step=self.every_step, targets=self.module_.of_targets)
        first = None if validation is None else evaluate(self.module_, objective, validation)
        history = self._train(objective, batches, validation, run)
        name = "forecast_loss" if self.quantiles else "loss"
        if first and history[f"val_{name}"][history["best_epoch"]] >= first[name]:
            silence(decoders["forecast"])
        return history

    def _objective(self, generator: torch.Generator) -> AutoencoderLoss:
        objective = super()._objective(generator)
        objective.every_step = self.every_step
        objective.quantiles = tuple(self.quantiles)
        return objective
