"""`StackedAutoencoder`: dense layers trained one after the other, each on the codes before it."""

from collections.abc import Sequence
from typing import Any, cast

import numpy as np
import torch
from torch import nn

from unspool import _checks
from unspool.data.scaling import Scaler
from unspool.data.sequences import Sequences
from unspool.estimators.dense_autoencoder import OfRows
from unspool.nn import Autoencoder, DenseDecoder, DenseEncoder, torch_settings
from unspool.training.batches import Batches
from unspool.training.history import History
from unspool.training.loop import evaluate
from unspool.training.objective import AutoencoderLoss

INNER_LOSSES = ("mse", "mae", "huber", "binary_crossentropy")


class StackedAutoencoder(OfRows):
    """Autoencoder of dense layers that are trained greedily, from the outermost to the code.

    Each layer is trained with one that undoes it, as an autoencoder of its own: the first on
    ``X``, every other on the codes of the one before. Put together they are one autoencoder,
    which `fine_tune` trains as a whole. ``X`` is what `DenseAutoencoder` takes.

    Parameters
    ----------
    latent_dim : int, default 64
        Length of the code, L: the width of the last layer.
    hidden_units : sequence of int, default (128,)
        Widths of the layers before it; the decoder has them in reverse.
    activation : str, default "relu"
        Of each layer on the way to the code, and of the code: "linear", "relu", "tanh",
        "sigmoid", "elu", "gelu" or "softmax".
    output_activation, loss : str, default "linear" and "mse"
        Of the outermost autoencoder, and of the whole, as for `DenseAutoencoder`.
    inner_output_activation : str, default "linear"
        Of what each of the others gives back: codes, as `activation` leaves them.
    inner_loss : {"mse", "mae", "huber", "binary_crossentropy"}, default "mse"
        Of the others; the last is for codes in 0–1, which activation="sigmoid" gives.
    fine_tune : bool, default False
        Train all layers together, once each of them has been trained.
    metrics : sequence of str
        Of the outermost autoencoder, and of the whole, as for `LSTMAutoencoder`.
    input_noise, input_dropout : float
        As for `LSTMAutoencoder`, on what each autoencoder reads.
    code_l1 : float
        As for `LSTMAutoencoder`, on the codes of every autoencoder.
    kl_weight : float, optional
        As for `LSTMAutoencoder`, on the innermost codes; the other autoencoders are plain ones.
    optimizer, learning_rate, learning_rate_schedule, global_clipnorm, batch_size
        As for `DenseAutoencoder`, in each training.
    epochs, steps_per_epoch, patience
        As for `DenseAutoencoder`, in each training.
    validation_split, validation_steps, scaling, random_state, device, verbose
        As for `DenseAutoencoder`.

    Attributes
    ----------
    history_ : dict
        As for `LSTMAutoencoder`, of the whole: by epoch of the fine-tuning, or without it one
        number for what the layers give once they are put together. "layers" is a list of
        histories, one for each autoencoder.
    encoder_, decoder_, module_, scaler_, max_length_, n_features_in_
        As for `LSTMAutoencoder`.

    Source: the article "Autoencoders", its second model (784 values, 128, 64); greedy training
    is that of Bengio et al. 2006, "Greedy Layer-Wise Training of Deep Networks", and with
    `input_noise` that of Vincent et al. 2010, "Stacked Denoising Autoencoders".

    Examples
    --------
    >>> import numpy as np
    >>> from unspool import StackedAutoencoder
    >>> X = np.random.default_rng(0).normal(size=(100, 3)) @ np.ones((3, 12))
    >>> model = StackedAutoencoder(4, hidden_units=(8,), epochs=20, random_state=0).fit(X)
    >>> model.transform(X).shape, len(model.history_["layers"])
    ((100, 4), 2)
    """

    def __init__(
        self,
        latent_dim: int = 64,
        *,
        hidden_units: Sequence[int] = (128,),
        activation: str = "relu",
        output_activation: str = "linear",
        loss: str = "mse",
        inner_output_activation: str = "linear",
        inner_loss: str = "mse",
        fine_tune: bool = False,
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
        self.output_activation = output_activation
        self.loss = loss
        self.inner_output_activation = inner_output_activation
        self.inner_loss = inner_loss
        self.fine_tune = fine_tune
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

    def _complaints(self) -> list[_checks.Complaint]:
        complaints = [
            *super()._complaints(),
            _checks.choice("inner_loss", self.inner_loss, INNER_LOSSES),
            _checks.truth("fine_tune", self.fine_tune),
        ]
        cross = _checks.is_one(self.inner_loss, ["binary_crossentropy"])
        if cross and not _checks.is_one(self.activation, ["sigmoid"]):
            complaints.append(
                "`inner_loss` 'binary_crossentropy' needs codes in 0–1, so activation='sigmoid', "
                f"got {_checks.shown(self.activation)}."
            )
        return complaints

    def _learn(
        self, batches: Batches, validation: Batches | None, generator: torch.Generator
    ) -> dict[str, Any]:
        """Train the pairs one after the other, and the whole where that is asked for."""
        whole, layers = self._objective(generator), []
        read, held_out = batches, validation
        for depth in range(len(self.hidden_units) + 1):
            pair = self._pair(depth)
            innermost = depth == len(self.hidden_units)
            objective = AutoencoderLoss(
                pair,
                self.inner_loss if depth else self.loss,
                metrics=() if depth else tuple(self.metrics),
                input_noise=self.input_noise,
                input_dropout=self.input_dropout,
                code_l1=self.code_l1,
                kl_weight=self.kl_weight if innermost else None,
                generator=generator,
            )
            layers.append(self._train(objective, read, held_out))
            if not innermost:
                codes = Sequences(self._codes(pair, read)[:, None])
                read = _of(codes, read)
                held_out = held_out and _of(codes, held_out)
        if self.fine_tune:
            history = self._train(whole, batches, validation)
        else:
            history = _measured(whole, batches, validation)
        return {**history, "layers": layers}

    def _pair(self, depth: int) -> Autoencoder:
        """A layer of the stack and the one that undoes it, which keep sharing their weights."""
        stack = cast(DenseEncoder, self.module_.encoder)
        undoing = cast(DenseDecoder, self.module_.decoder())
        units = (*self.hidden_units, self.latent_dim)
        innermost = len(units) - 1
        steps, features = (1, units[depth - 1]) if depth else (self.max_length_, self._n_features)
        with torch.device("meta"):  # its layers are those of the stack
            encoder = DenseEncoder(features, steps, units[depth])
            decoder = DenseDecoder(units[depth], features, steps)
        encoder.layers = nn.Sequential(*list(stack.layers)[2 * depth : 2 * depth + 2])
        if depth == innermost:
            encoder.projection, encoder.log_variance = stack.projection, stack.log_variance
        layers = list(undoing.head)[2 * (innermost - depth) :]
        if depth:  # only the outermost ends in steps already
            layers = [*layers[:2], nn.Unflatten(-1, (steps, features))]
        decoder.head = nn.Sequential(*layers)
        return Autoencoder(encoder, {"reconstruction": decoder})

    @torch_settings.inference()
    def _codes(self, pair: Autoencoder, read: Batches) -> np.ndarray[Any, np.dtype[np.float32]]:
        """Codes (N, L) of all that `read` draws from, those held out as well."""
        everything = np.arange(len(read.source))
        size = self._inference_batch(read.source.max_length)
        found = [
            pair.encoder(batch.x, batch.lengths).cpu().numpy()
            for batch in Batches(read.source, read.scaler, everything, size, read.device)
        ]
        return np.concatenate(found)


def _of(codes: Sequences, read: Batches) -> Batches:
    """Batches of `codes` as `read` has them of what the codes were made of."""
    scaler = Scaler.fit("none", (), codes.n_features)
    return Batches(codes, scaler, read.indices, read.batch_size, read.device, read.rng, read.steps)


def _measured(
    objective: AutoencoderLoss, batches: Batches, validation: Batches | None
) -> dict[str, Any]:
    """The history of a model that is not trained any more: its losses as it is."""
    history = History()
    history.add(evaluate(objective.model, objective, batches))
    if validation is not None:
        means = evaluate(objective.model, objective, validation)
        history.add({f"val_{name}": mean for name, mean in means.items()})
    return history.as_dict()
