"""`LSTMAutoencoder`: sequences wound onto a small vector by an LSTM, and unwound by another."""

from collections.abc import Sequence

import numpy as np
import torch

from unspool.estimators.autoencoding import BaseAutoencoder
from unspool.estimators.forecasting import Forecasts
from unspool.estimators.recurrent import LSTMModel
from unspool.training.objective import AutoencoderLoss


class LSTMAutoencoder(BaseAutoencoder, Forecasts, LSTMModel):
    """LSTM autoencoder: every sequence becomes a code of `latent_dim` numbers and back.

    An encoder LSTM reads a sequence, its final state is the code; a decoder LSTM unwinds the code
    into a sequence of the same length. Sequences may differ in length, and may have any length
    later on: padding changes no code, no loss and no gradient. With `horizon`, a second decoder
    forecasts what comes after the sequence, and both are trained together (the *composite* model).

    ``X`` may be an array (N, T, F), or (N, T) for N sequences of one feature; a list of arrays or
    frames (T_i, F); a pandas frame with the index (instance, time); another frame of pandas or
    polars with a sequence in every row; `Sequences`; or ``Windows(series, size, stride)`` over long
    series. Steps that are NaN in every feature up to the end of a sequence are padding; any other
    NaN or infinity is an error that names it.

    Parameters
    ----------
    latent_dim : int, default 32
        Length of the code, L.
    units : int, optional
        LSTM units of every layer (and direction), H; `latent_dim` by default, and the final state
        is then the code itself. Otherwise a linear layer leads from one to the other.
    pooling : {"auto", "last", "mean", "max", "mean_max", "all"}, default "auto"
        Which statistics of the states of the encoder's last layer over the real steps the code is
        made of: the final state; the mean, the maximum, or both; or final state, mean, maximum,
        minimum and standard deviation. "auto" is "all", and "last" for a decoder that starts from
        the encoder's whole state, which allows no other. Where these are not `latent_dim` numbers
        by themselves, a linear layer leads from them to the code; it starts as their principal
        components over training sequences, unless it is the final state alone.
    n_kernels : int or "auto", default "auto"
        About how many random convolution kernels the encoder reads a sequence with beside its
        LSTM, K, shared out over dilations 1, 2, 4, … up to the length of the longest sequence.
        They are not trained; the code is made of their mean activations over the real steps as
        well. They tell shapes apart that differ little in squared error, and help whatever is
        learned from codes; without them (0) a code of the same length reconstructs somewhat
        better. "auto" is 512, and 0 for a decoder that starts from the encoder's whole state.
    patch_size : int or "auto", default "auto"
        Consecutive steps that the LSTM reads, and its decoder writes, at once: p steps of F
        features are one step of p · F numbers, so a sequence of T steps takes T / p, rounded up.
        1 reads step by step. "auto" is 1 where the longest sequence has at most 64 steps, and for
        `head_units` None; otherwise the smallest p for which it has at most 32 patches. Patches
        begin with the first step. The last one is filled up with zeros (in scaled units), of which
        nothing counts in the loss. A patch of the forecast is never longer than `horizon`.
    decoder_units : int, optional
        LSTM units of the decoder's layers, where they are to be others; None for a decoder
        "dense", which has no LSTM.
    num_layers : int, default 1
        LSTM layers in the encoder, and in the decoder.
    bidirectional : bool, default True
        Let the encoder read in both directions, and the decoder write so, unless its steps depend
        on one another.
    decoder : str, default "repeat"
        How a code is unwound. "repeat": the decoder is given it at every step. "reversed_input":
        and beside it the input read backwards (it cannot run without the input). "previous": and
        beside it the step before, the true one in training and later its own output. "state",
        "state_reversed_input", "state_previous": the same, but the code is made of the encoder's
        whole state (h and c of all layers) and the decoder starts from it; with ``latent_dim ==
        2 * num_layers * units``, times 2 for both directions, it is that state itself. "reshape":
        the code is cut into as many pieces as there are steps. "flat": so it is, but the final
        state gives all steps at once. "dense": dense layers alone. The last three are bound to
        the longest sequence seen by `fit`.
    reverse_target : bool, default False
        Let the decoder write sequences from the last step to the first, as in the paper.
    horizon : int, optional
        Steps to forecast, K. `fit` takes them from `y`, or cuts the last K steps off every
        sequence.
    forecast_decoder : str, optional
        As `decoder`, for the forecast; the same by default.
    loss_weights : pair of float, default (1.0, 1.0)
        Of the losses of reconstruction and forecast, where there is a horizon.
    teacher_forcing : float, default 1.0
        For a decoder that reads its previous step: the share of true steps it is given in the
        last epoch, 0 to 1. It falls to that linearly from 1 in the first (scheduled sampling).
    head_units : sequence of int or None, default ()
        Widths of dense layers between the decoder's state and the output, applied to every step.
        None leaves out the output layer as well: the state is the output, and has to be as wide;
        not for a decoder "dense".
    head_activation : str, default "relu"
        Of those layers: "linear", "relu", "tanh", "sigmoid", "elu", "gelu" or "softmax".
    output_activation : str, default "linear"
        Of the last layer, one of the same; bounded ones need data scaled to their range.
    activation, recurrent_activation : str, default "tanh" and "sigmoid"
        Of the LSTM cells ("tanh", "relu") and their gates ("sigmoid", "hard_sigmoid").
    loss : str, default "mse"
        "mse", "mae", "huber", or "binary_crossentropy" for values in 0–1: means over real steps
        and features, in scaled units; or "categorical_crossentropy" for steps that are
        distributions, with a softmax at the output: a mean over real steps.
    metrics : sequence of str, default ()
        What to record beside the loss: any of the losses, or "accuracy" where the loss is a
        cross-entropy: the share of values on the right side of 0.5, or of steps whose likeliest
        feature is right.
    input_noise : float, default 0.0
        Standard deviation of noise added to the input in training, in scaled units; what is to be
        reconstructed stays clean (a *denoising* autoencoder).
    input_dropout : float, default 0.15
        Share of the input's steps that are set to 0 in training, below 1; what is to be
        reconstructed keeps them (a *masked* autoencoder).
    mask_length : int, default 8
        Consecutive steps that are set to 0 together; at most a quarter of the longest sequence of
        a batch.
    contrastive_weight : float, default 0.0
        Weight of a contrastive loss: the codes of two crops of a sequence are to be more alike
        than those of crops of other sequences of the batch. It takes two more passes of the
        encoder, and brought nothing on the public sets that it was tried on.
    code_l1 : float, default 0.0
        Weight of the sum of a code's absolute values in the loss (a *sparse* autoencoder).
    kl_weight : float, optional
        Makes the autoencoder *variational*: codes are drawn from normal distributions, whose
        divergence from the standard one (nats for every sequence) has this weight beside the loss
        summed over the sequence's values. `transform` gives their means.
    optimizer : str, default "adam"
        "adam", "adamw", "nadam", "adamax", "rmsprop", "adagrad", "adadelta" or "sgd", each with
        Keras's defaults.
    learning_rate : float or None, default 0.005
        Above 0; None is Keras's default for the optimizer (0.001, for "sgd" 0.01). With the
        schedule "cosine" it is the largest that an update takes.
    learning_rate_schedule : {"cosine", "constant"}, default "cosine"
        The learning rate of each update. "cosine": it rises linearly in the first tenth of all
        updates that `epochs` allows, and falls to 0 from there as a cosine does. "constant": it
        stays the same.
    global_clipnorm : float or None, default 1.0
        Largest norm of all gradients together.
    batch_size : int, default 32
    epochs : int or "auto", default "auto"
        Most passes over the training sequences. "auto": as many as 1,500 updates of the weights
        need, one for every batch of an epoch, and at least 100. So 30 sequences, which are one
        batch, are passed over 1,500 times.
    steps_per_epoch : int or None, default None
        Most batches in an epoch. Where there are more, each epoch is over another sample, spread
        over the data: what to set for the windows of a long series, which are many and alike.
    validation_split : float or "auto", default "auto"
        Share of the sequences held out to watch, drawn at random; of windows, the last steps of
        every series, without overlap. 0 holds out none. "auto" holds out a tenth, and at least 5
        sequences (5 windows side by side), since a loss on fewer is mostly chance; none where
        these would be more than a quarter of all, so of fewer than 20.
    validation_steps : int or None, default None
        Batches of `batch_size` sequences to validate on after each epoch. Where more sequences are
        held out, as many are drawn once, spread over them, and used after every epoch. None
        validates on the same share of the held-out sequences as an epoch has of the training
        sequences (at least one batch): on all of them unless `steps_per_epoch` limits the epoch.
    patience : int, "auto" or None, default "auto"
        Epochs without a better validation loss (training loss, where none is held out) after
        which to stop; the best weights are kept. "auto" is a quarter of the epochs, at least 20.
        None trains all epochs and keeps the last weights.
    scaling : {"standard", "minmax", "none"}, default "standard"
        Per feature, inside the model; undone on the way out. A feature is scaled by what it
        varies by; one that is constant but for rounding by a tenth of its size, so that when it
        moves later it is seen, in proportion.
    random_state : int, RandomState or None
        Makes a fit repeatable: on the CPU to the bit, on one machine and thread count; on a GPU to
        rounding, since not every operation there adds up in the same order each time
        (``torch.use_deterministic_algorithms`` changes that).
    device : str or torch.device, default "auto"
        A torch device; "auto" takes a GPU where there is one. On NVIDIA's, PyTorch rounds the
        products in LSTMs and convolutions to TF32: results differ from those of the CPU by some
        0.001 of the largest, and by some 0.00001 after ``torch.backends.cudnn.allow_tf32 =
        False``. In a pickle the weights are on the CPU, so that it opens anywhere; they go to
        this device where it is there, and otherwise stay on the CPU, with a warning unless it is
        "auto".
    backend : {"auto", "compiled", "torch", "stepwise"}, default "auto"
        What runs the recurrence, see `unspool.lstm`.
    verbose : int, default 1
        0 shows no progress bar; nor does anything where stderr is not a terminal.

    Attributes
    ----------
    history_ : dict
        "loss" and "val_loss", a number for every epoch, "learning_rate", that of its last update,
        and "best_epoch", the index of the one whose weights were kept. Metrics by their names, and
        where the loss has more than one part these too ("reconstruction_loss", "forecast_loss",
        "code_l1", "divergence"); each with "val_" before it as well; "contrastive_loss" is of
        training alone.
    encoder_, decoder_ : torch modules
        Parts of ``module_``, the whole.
    patch_size_ : int
        Steps of a patch, p.
    scaler_ : Scaler
    max_length_ : int
        Steps of the longest sequence seen, less what was cut off as its future.
    horizon_ : int
        Steps of the forecast, 0 for none.
    window_ : (size, stride) or None
        Of the `Windows` it was fitted on; the size less what was cut off as their future.
    n_features_in_, feature_names_in_
        As scikit-learn has them: for a table (N, T) its T columns, else the F features.

    Source: Srivastava, Mansimov & Salakhutdinov 2015, "Unsupervised Learning of Video
    Representations using LSTMs", section 2; initial weights as in Keras; patches of a series as
    in Nie et al. 2023, "A Time Series is Worth 64 Words", without overlap. Random kernels:
    Dempster, Petitjean & Webb 2020, "ROCKET". Contrastive loss: Chen et al. 2020, "A Simple
    Framework for Contrastive Learning of Visual Representations".

    Examples
    --------
    >>> import numpy as np
    >>> from unspool import LSTMAutoencoder
    >>> X = np.sin(np.arange(40) / 3 + np.arange(100)[:, None])
    >>> model = LSTMAutoencoder(latent_dim=4, epochs=2, random_state=0).fit(X)
    >>> model.transform(X).shape
    (100, 4)
    """

    def __init__(
        self,
        latent_dim: int = 32,
        *,
        units: int | None = None,
        pooling: str = "auto",
        n_kernels: int | str = "auto",
        patch_size: int | str = "auto",
        decoder_units: int | None = None,
        num_layers: int = 1,
        bidirectional: bool = True,
        decoder: str = "repeat",
        reverse_target: bool = False,
        horizon: int | None = None,
        forecast_decoder: str | None = None,
        loss_weights: Sequence[float] = (1.0, 1.0),
        teacher_forcing: float = 1.0,
        head_units: Sequence[int] | None = (),
        head_activation: str = "relu",
        output_activation: str = "linear",
        activation: str = "tanh",
        recurrent_activation: str = "sigmoid",
        loss: str = "mse",
        metrics: Sequence[str] = (),
        input_noise: float = 0.0,
        input_dropout: float = 0.15,
        mask_length: int = 8,
        contrastive_weight: float = 0.0,
        code_l1: float = 0.0,
        kl_weight: float | None = None,
        optimizer: str = "adam",
        learning_rate: float | None = 5e-3,
        learning_rate_schedule: str = "cosine",
        global_clipnorm: float | None = 1.0,
        batch_size: int = 32,
        epochs: int | str = "auto",
        steps_per_epoch: int | None = None,
        validation_split: float | str = "auto",
        validation_steps: int | None = None,
        patience: int | str | None = "auto",
        scaling: str = "standard",
        random_state: int | np.random.RandomState | None = None,
        device: str | torch.device = "auto",
        backend: str = "auto",
        verbose: int = 1,
    ) -> None:
        self.latent_dim = latent_dim
        self.units = units
        self.pooling = pooling
        self.n_kernels = n_kernels
        self.patch_size = patch_size
        self.decoder_units = decoder_units
        self.num_layers = num_layers
        self.bidirectional = bidirectional
        self.decoder = decoder
        self.reverse_target = reverse_target
        self.horizon = horizon
        self.forecast_decoder = forecast_decoder
        self.loss_weights = loss_weights
        self.teacher_forcing = teacher_forcing
        self.head_units = head_units
        self.head_activation = head_activation
        self.output_activation = output_activation
        self.activation = activation
        self.recurrent_activation = recurrent_activation
        self.loss = loss
        self.metrics = metrics
        self.input_noise = input_noise
        self.input_dropout = input_dropout
        self.mask_length = mask_length
        self.contrastive_weight = contrastive_weight
        self.code_l1 = code_l1
        self.kl_weight = kl_weight
        self.optimizer = optimizer
        self.learning_rate = learning_rate
        self.learning_rate_schedule = learning_rate_schedule
        self.global_clipnorm = global_clipnorm
        self.batch_size = batch_size
        self.epochs = epochs
        self.steps_per_epoch = steps_per_epoch
        self.validation_split = validation_split
        self.validation_steps = validation_steps
        self.patience = patience
        self.scaling = scaling
        self.random_state = random_state
        self.device = device
        self.backend = backend
        self.verbose = verbose

    def _horizon(self) -> int | None:
        return self.horizon or 0

    def _objective(self, generator: torch.Generator) -> AutoencoderLoss:
        objective = super()._objective(generator)
        objective.mask_length = self.mask_length
        objective.contrastive_weight = self.contrastive_weight
        names = ("reconstruction", "forecast")
        if self.horizon:
            objective.weights = dict(zip(names, self.loss_weights, strict=True))
        return objective
