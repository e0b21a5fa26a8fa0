"""`DenseAutoencoder`: rows, images or short sequences wound onto a small vector by dense layers."""

from collections.abc import Sequence

import numpy as np
import torch

from unspool.estimators.autoencoding import BaseAutoencoder


class DenseAutoencoder(BaseAutoencoder):
    """Autoencoder of dense layers: every row becomes a code of `latent_dim` numbers and back.

    ``X`` is a table (N, D), array or frame, whose columns are D features; or anything that
    `LSTMAutoencoder` takes, sequences (N, T, F) of which all T · F values are read at once. They
    may be of unequal length (and are filled up with zeros), but none longer than the longest that
    `fit` saw. Images go in as (N, H · W) or (N, H, W).

    Parameters
    ----------
    latent_dim : int, default 32
        Length of the code, L.
    hidden_units : sequence of int, default ()
        Widths of layers between input and code; the decoder has them in reverse.
    activation, code_activation : str, default "relu"
        Of those layers, and of the code: "linear", "relu", "tanh", "sigmoid", "elu", "gelu" or
        "softmax".
    output_activation : str, default "linear"
        Of the last layer, one of the same; bounded ones need data scaled to their range.
    loss : str, default "mse"
        "mse", "mae", "huber", or "binary_crossentropy" for values in 0–1 (scaling="none" or
        "minmax"); means over values, in scaled units.
    metrics, input_noise, input_dropout, code_l1, kl_weight
        As for `LSTMAutoencoder`; of a table's row `input_dropout` takes single values.
    optimizer : str, default "adam"
        As for `LSTMAutoencoder`.
    learning_rate : float or None, default 0.002
        Above 0; None is Keras's default for the optimizer (Keras 2's for "adadelta" was 1.0).
    global_clipnorm : float or None, default 1.0
        Largest norm of all gradients together.
    batch_size : int, default 32
    learning_rate_schedule, epochs, steps_per_epoch, validation_split, validation_steps, patience
        As for `LSTMAutoencoder`.
    scaling : {"standard", "minmax", "none"}, default "standard"
        Per feature, for a table per column; inside the model, and undone on the way out.
    random_state, device, verbose
        As for `LSTMAutoencoder`.

    Attributes
    ----------
    history_, encoder_, decoder_, module_, scaler_, max_length_, n_features_in_
        As for `LSTMAutoencoder`.

    Source: the article "Autoencoders", its first model: 784 values, 32 ReLU units, 784 sigmoid.

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
        activation: str = "relu",
        code_activation: str = "relu",
        output_activation: str = "linear",
        loss: str = "mse",
        metrics: Sequence[str] = (),
        input_noise: float = 0.0,
        input_dropout: float = 0.0,
        code_l1: float = 0.0,
        kl_weight: float | None = None,
        optimizer: str = "adam",
        learning_rate: float | None = 2e-3,
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
        verbose: int = 1,
    ) -> None:
        self.latent_dim = latent_dim
        self.hidden_units = hidden_units
        self.activation = activation
        self.code_activation = code_activation
        self.output_activation = output_activation
        self.loss = loss
        self.metrics = metrics
        self.input_noise = input_noise
        self.input_dropout = input_dropout
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
        self.verbose = verbose
