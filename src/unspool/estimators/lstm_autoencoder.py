"""`LSTMAutoencoder`: sequences wound onto a small vector by an LSTM, and unwound by another."""

from collections.abc import Sequence

import numpy as np
import torch

from unspool import _checks
from unspool.estimators.base import BaseAutoencoder
from unspool.lstm import BACKENDS, Call, choose
from unspool.lstm.reference import ACTIVATIONS, RECURRENT_ACTIVATIONS
from unspool.nn import DECODERS, Autoencoder, LSTMEncoder
from unspool.nn.dense import ACTIVATIONS as DENSE_ACTIVATIONS
from unspool.nn.recurrent import Cell


class LSTMAutoencoder(BaseAutoencoder):
    """LSTM autoencoder: every sequence becomes a code of `latent_dim` numbers and back.

    An encoder LSTM reads a sequence, its final state is the code; a decoder LSTM unwinds the code
    into a sequence of the same length. Sequences may differ in length, and may have any length
    later on: padding changes no code, no loss and no gradient.

    ``X`` may be an array (N, T, F), or (N, T) for N sequences of one feature; a list of arrays
    (T_i, F); a pandas or polars frame with a sequence in every row; `Sequences`; or
    ``Windows(series, size, stride)`` over long series. Steps that are NaN in every feature up to
    the end of a sequence are padding; any other NaN or infinity is an error that names it.

    Parameters
    ----------
    latent_dim : int, default 32
        Length of the code, L.
    units : int, optional
        LSTM units of every layer (and direction), H; `latent_dim` by default, and the final state
        is then the code itself. Otherwise a linear layer leads from one to the other.
    num_layers : int, default 1
        LSTM layers in the encoder, and in the decoder.
    bidirectional : bool, default True
        Let the encoder read, and the decoder write, in both directions.
    decoder : {"repeat", "reversed_input"}, default "repeat"
        What the decoder sees at each step: the code; or the code and the input read backwards,
        which cannot run without the input.
    head_units : sequence of int, default ()
        Widths of dense layers between the decoder's state and the output, applied to every step.
    head_activation : str, default "relu"
        Of those layers: "linear", "relu", "tanh", "sigmoid", "elu" or "gelu".
    output_activation : str, default "linear"
        Of the last layer, one of the same; bounded ones need data scaled to their range.
    activation, recurrent_activation : str, default "tanh" and "sigmoid"
        Of the LSTM cells ("tanh", "relu") and their gates ("sigmoid", "hard_sigmoid").
    loss : {"mse", "mae", "huber"}, default "mse"
        Mean over real steps and features, in scaled units.
    optimizer : str, default "adam"
        "adam", "adamw", "nadam", "adamax", "rmsprop", "adagrad", "adadelta" or "sgd", each with
        Keras's defaults.
    learning_rate : float or None, default 0.005
        Above 0; None is Keras's default for the optimizer (0.001, for "sgd" 0.01).
    global_clipnorm : float or None, default 1.0
        Largest norm of all gradients together.
    batch_size : int, default 32
    epochs : int, default 100
        Most passes over the training sequences.
    steps_per_epoch : int or None, default None
        Most batches in an epoch. Where there are more, each epoch is over another sample, spread
        over the data: what to set for the windows of a long series, which are many and alike.
    validation_split : float, default 0.1
        Share of the sequences held out to watch, drawn at random; of windows, the last steps of
        every series, without overlap. 0 holds out none.
    patience : int or None, default 20
        Epochs without a better validation loss (training loss, where none is held out) after
        which to stop; the best weights are kept. None trains all epochs and keeps the last.
    scaling : {"standard", "minmax", "none"}, default "standard"
        Per feature, inside the model; undone on the way out.
    random_state : int, RandomState or None
        Makes a fit repeatable to the bit on one machine and thread count.
    device : str, default "auto"
        A torch device; "auto" takes a GPU where there is one.
    backend : {"auto", "cpu", "library", "stepwise"}, default "auto"
        What runs the recurrence, see `unspool.lstm`.
    verbose : int, default 1
        0 shows no progress bar; nor does anything where stderr is not a terminal.

    Attributes
    ----------
    history_ : dict
        "loss" and "val_loss", a number for every epoch, and "best_epoch", the index of the one
        whose weights were kept.
    encoder_, decoder_ : torch modules
        Parts of ``module_``, the whole.
    scaler_ : Scaler
    max_length_ : int
        Steps of the longest sequence seen.
    window_ : (size, stride) or None
        Of the `Windows` it was fitted on.
    n_features_in_, feature_names_in_
        As scikit-learn has them: for a table (N, T) its T columns, else the F features.

    Source: Srivastava, Mansimov & Salakhutdinov 2015, "Unsupervised Learning of Video
    Representations using LSTMs", section 2; initial weights as in Keras.

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
        num_layers: int = 1,
        bidirectional: bool = True,
        decoder: str = "repeat",
        head_units: Sequence[int] = (),
        head_activation: str = "relu",
        output_activation: str = "linear",
        activation: str = "tanh",
        recurrent_activation: str = "sigmoid",
        loss: str = "mse",
        optimizer: str = "adam",
        learning_rate: float | None = 5e-3,
        global_clipnorm: float | None = 1.0,
        batch_size: int = 32,
        epochs: int = 100,
        steps_per_epoch: int | None = None,
        validation_split: float = 0.1,
        patience: int | None = 20,
        scaling: str = "standard",
        random_state: int | np.random.RandomState | None = None,
        device: str = "auto",
        backend: str = "auto",
        verbose: int = 1,
    ) -> None:
        self.latent_dim = latent_dim
        self.units = units
        self.num_layers = num_layers
        self.bidirectional = bidirectional
        self.decoder = decoder
        self.head_units = head_units
        self.head_activation = head_activation
        self.output_activation = output_activation
        self.activation = activation
        self.recurrent_activation = recurrent_activation
        self.loss = loss
        self.optimizer = optimizer
        self.learning_rate = learning_rate
        self.global_clipnorm = global_clipnorm
        self.batch_size = batch_size
        self.epochs = epochs
        self.steps_per_epoch = steps_per_epoch
        self.validation_split = validation_split
        self.patience = patience
        self.scaling = scaling
        self.random_state = random_state
        self.device = device
        self.backend = backend
        self.verbose = verbose

    def _complaints(self) -> list[_checks.Complaint]:
        head = self.head_units if isinstance(self.head_units, Sequence) else [self.head_units]
        return [
            *super()._complaints(),
            _checks.whole("units", self.units, 1, none=True),
            _checks.whole("num_layers", self.num_layers, 1),
            _checks.truth("bidirectional", self.bidirectional),
            _checks.choice("decoder", self.decoder, DECODERS),
            *(_checks.whole("head_units", units, 1) for units in head),
            _checks.choice("head_activation", self.head_activation, DENSE_ACTIVATIONS),
            _checks.choice("output_activation", self.output_activation, DENSE_ACTIVATIONS),
            _checks.choice("activation", self.activation, ACTIVATIONS),
            _checks.choice(
                "recurrent_activation", self.recurrent_activation, RECURRENT_ACTIVATIONS
            ),
            _checks.choice("backend", self.backend, ["auto", *BACKENDS]),
        ]

    def _build(self, n_features: int, generator: torch.Generator) -> Autoencoder:
        cell = Cell(self.activation, self.recurrent_activation, self.backend)
        choose(Call(cell.activation, cell.recurrent_activation), cell.backend)
        encoder = LSTMEncoder(
            n_features,
            self.latent_dim,
            units=self.units,
            num_layers=self.num_layers,
            bidirectional=self.bidirectional,
            cell=cell,
            generator=generator,
        )
        decoder = DECODERS[self.decoder](
            self.latent_dim,
            n_features,
            units=self.units,
            num_layers=self.num_layers,
            bidirectional=self.bidirectional,
            head_units=tuple(self.head_units),
            head_activation=self.head_activation,
            output_activation=self.output_activation,
            cell=cell,
            generator=generator,
        )
        return Autoencoder(encoder, decoder)
