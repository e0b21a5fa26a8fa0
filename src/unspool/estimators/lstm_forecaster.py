"""`LSTMForecaster`: what comes next after a sequence."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from sklearn.base import RegressorMixin
from sklearn.metrics import r2_score
from sklearn.utils import Tags
from torch import Tensor
from torch.nn import functional

from unspool import _checks
from unspool._losses import CROSSENTROPIES
from unspool.data.futures import Futures, as_future
from unspool.data.sequences import FloatArray
from unspool.errors import InputError
from unspool.estimators.base import drawing
from unspool.estimators.forecasting import Forecasts
from unspool.estimators.linear_maps import silence, solve
from unspool.estimators.recurrent import LSTMModel
from unspool.lstm import threads
from unspool.training.batches import Batch, Batches
from unspool.training.loop import evaluate
from unspool.training.objective import AutoencoderLoss

NOT_EVERY_STEP = ("state", "state_previous", "state_reversed_input", "reversed_input")


class LSTMForecaster(
    RegressorMixin,  # type: ignore[misc]  # scikit-learn ships no types
    Forecasts,
    LSTMModel,
):
    """LSTM that reads a sequence and forecasts the next step, or the next K steps.

    The encoder of `LSTMAutoencoder` with a decoder for the future alone (the *future predictor* of
    the paper). By default that is a dense layer on the encoder's final state, and the model
    forecasts the change from the last value: a linear map of the last steps gives a first answer,
    and the LSTM learns what that misses.

    ``X`` is what it is for `LSTMAutoencoder`. `fit` takes the future as ``y``, of shape (N, K, F),
    or (N, K) for one feature, (N, F) for one step, or (N,) for both; without ``y`` the last K steps
    of every sequence or window are cut off and predicted.

    Parameters
    ----------
    latent_dim : int, default 32
        Length of the code, L; with `units` left out also the LSTM units.
    horizon : int, optional
        Steps to forecast, K: those of ``y`` by default, or 1 where there is none.
    units, pooling, decoder_units, num_layers, bidirectional
        As for `LSTMAutoencoder`, but that it reads in one direction by default.
    patch_size : int or "auto", default 1
        As for `LSTMAutoencoder`, but that it reads step by step by default: forecasts lose by
        patches. "auto" is 1 with `every_step`, too. Patches begin with the first step, so windows
        whose size is a multiple of it end with a patch that is complete.
    decoder : str, default "dense"
        How a code becomes the future, see `LSTMAutoencoder`.
    every_step : bool, default False
        Learn to forecast after every step of a sequence and not after its last alone; for
        sequences to be continued from any start (`generate`). In one direction, step by step and
        with pooling="last" only, and not with a decoder that starts from the whole state or reads
        the input.
    normalization : {"none", "last", "standard"}, default "last"
        What every sequence is reduced to before it is encoded, undone on its forecast: "last"
        subtracts its last value, so that the model forecasts the change from there; "standard"
        subtracts its mean and divides by its standard deviation over its steps (RevIN). Take
        "none" where what comes next depends on the level itself, or where `every_step`,
        `forecast_by_step` or a stream have to be fast: normalised sequences are encoded anew for
        every step.
    linear_steps : int, default 512
        Last steps of a sequence, at most those of the longest one, of which a linear map for each
        feature makes a first forecast; 0 for none. The map is solved for before training (ridge
        regression, penalised by generalised cross-validation), and the network learns what it
        misses. Where that lowers the loss of the held-out sequences at no epoch, forecasts are
        those of the map.
    quantiles : sequence of float, default ()
        Quantiles of the forecast to learn besides, rising, each between 0 and 1; see
        `predict_quantiles`. (0.1, 0.5, 0.9) gives the median and an interval of 80 %.
    dropout : float, default 0.3
        Share of the code's values set to 0 in training, the others enlarged in proportion.
    teacher_forcing, head_units, head_activation, output_activation
        As for `LSTMAutoencoder`; `output_activation` has to be "linear", and `loss` no
        cross-entropy, unless normalization="none", linear_steps=0 and quantiles=().
    activation, recurrent_activation : str, default "tanh" and "sigmoid"
        Of the LSTM cells ("tanh", "relu") and their gates ("sigmoid", "hard_sigmoid").
    loss, metrics, input_noise, input_dropout
        As for `LSTMAutoencoder`.
    optimizer, learning_rate, learning_rate_schedule, global_clipnorm, batch_size, epochs
        As for `LSTMAutoencoder`.
    steps_per_epoch
        As for `LSTMAutoencoder`.
    validation_split, validation_steps, patience, scaling, random_state, device, backend, verbose
        As for `LSTMAutoencoder`.

    Attributes
    ----------
    history_, encoder_, module_, patch_size_, scaler_, max_length_, horizon_, window_
        As for `LSTMAutoencoder`. With `quantiles` the history has "forecast_loss", that of `loss`,
        and "quantiles_loss", the mean pinball loss; "loss" is their sum.

    Source: the article "Implement Keras LSTM feedforward with numpy"; Srivastava, Mansimov &
    Salakhutdinov 2015, section 2.3; Zeng et al. 2023, "Are Transformers Effective for Time Series
    Forecasting?" for the linear map of differences from the last value; Kim et al. 2022,
    "Reversible Instance Normalization"; Koenker & Bassett 1978, "Regression Quantiles".

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
        units: int | None = None,
        pooling: str = "last",
        patch_size: int | str = 1,
        decoder_units: int | None = None,
        num_layers: int = 1,
        bidirectional: bool = False,
        decoder: str = "dense",
        every_step: bool = False,
        normalization: str = "last",
        linear_steps: int = 512,
        quantiles: Sequence[float] = (),
        dropout: float = 0.3,
        teacher_forcing: float = 1.0,
        head_units: Sequence[int] | None = (),
        head_activation: str = "relu",
        output_activation: str = "linear",
        activation: str = "tanh",
        recurrent_activation: str = "sigmoid",
        loss: str = "mse",
        metrics: Sequence[str] = (),
        input_noise: float = 0.0,
        input_dropout: float = 0.0,
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
        self.horizon = horizon
        self.units = units
        self.pooling = pooling
        self.patch_size = patch_size
        self.decoder_units = decoder_units
        self.num_layers = num_layers
        self.bidirectional = bidirectional
        self.decoder = decoder
        self.every_step = every_step
        self.normalization = normalization
        self.linear_steps = linear_steps
        self.quantiles = quantiles
        self.dropout = dropout
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

    def _complaints(self) -> list[_checks.Complaint]:
        complaints = [
            *super()._complaints(),
            _checks.whole("horizon", self.horizon, 1, none=True),
            _checks.truth("every_step", self.every_step),
            _checks.number("dropout", self.dropout, 0, 1),
            self._bounded_complaint(),
        ]
        other = (
            _checks.is_true(self.bidirectional)
            or not _checks.is_one(self.pooling, ("last",))
            or _checks.is_one(self.decoder, NOT_EVERY_STEP)
        )
        if _checks.is_true(self.every_step) and other:
            complaints.append(
                "`every_step` needs an LSTM that reads in one direction, pooling='last' and a "
                "decoder of the code alone, got "
                f"bidirectional={_checks.shown(self.bidirectional)}, "
                f"pooling={_checks.shown(self.pooling)}, decoder={_checks.shown(self.decoder)}."
            )
        return complaints

    def _bounded_complaint(self) -> _checks.Complaint:
        """Look at outputs that are shares or have bounds, which nothing can be added to."""
        bounded = not _checks.is_one(self.output_activation, ("linear",))
        shares = _checks.is_one(self.loss, CROSSENTROPIES)
        plain = _checks.is_one(self.normalization, ("none",)) and self.linear_steps == 0
        if not (bounded or shares) or (plain and not self.quantiles):
            return None
        what = f"`loss` {self.loss!r}"
        if bounded:
            what = f"`output_activation` {_checks.shown(self.output_activation)}"
        return (
            f"{what} makes the output of the decoder the forecast itself, which needs "
            "normalization='none', linear_steps=0 and quantiles=(), got "
            f"normalization={_checks.shown(self.normalization)}, "
            f"linear_steps={_checks.shown(self.linear_steps)}, "
            f"quantiles={_checks.shown(self.quantiles)}; set these."
        )

    def _horizon(self) -> int | None:
        return self.horizon

    def _learn(
        self, batches: Batches, validation: Batches | None, generator: torch.Generator
    ) -> dict[str, Any]:
        """Solve for the linear maps, then train what is left over; see `linear_maps`."""
        skip, objective = self.module_.skip, self._objective(generator)
        if skip is None:
            return self._train(objective, batches, validation)
        decoders = self.module_.decoders
        for decoder in decoders.values():
            silence(decoder)
        with threads.pytorch_on_one_thread():
            solve(skip, batches, every_step=self.every_step)
        first = None if validation is None else evaluate(self.module_, objective, validation)
        history = self._train(objective, batches, validation)
        name = "forecast_loss" if self.quantiles else "loss"
        if first and history[f"val_{name}"][history["best_epoch"]] >= first[name]:
            silence(decoders["forecast"])
        return history

    def _objective(self, generator: torch.Generator) -> AutoencoderLoss:
        objective = super()._objective(generator)
        objective.every_step, objective.dropout = self.every_step, self.dropout
        objective.quantiles = tuple(self.quantiles)
        return objective

    def predict(self, X: Any) -> FloatArray:
        """What comes after sequences, as `forecast`; scikit-learn's name for it."""
        return self.forecast(X)

    def predict_quantiles(self, X: Any) -> FloatArray:
        """The `quantiles` of what comes after sequences, each no less than the one before.

        Parameters
        ----------
        X : as for `forecast`

        Returns
        -------
        array of shape (N, K, F, Q)
            In the units of the data, in the order of `quantiles`, whatever form `y` had.

        Raises
        ------
        InputError
            For a model that was fitted without `quantiles`.
        """
        source = self._read(X)
        count = len(self._parameters["quantiles"])
        if not count:
            raise InputError("This model has no quantiles; set `quantiles` and fit it again.")
        values = np.empty((len(source), self.horizon_, self._n_features, count))
        outputs = self._outputs(
            source, lambda one: self.module_.run_decoder("quantiles", one.x, one.lengths)
        )
        for indices, _, scaled in outputs:
            values[indices] = self.scaler_.undo(scaled.swapaxes(2, 3)).swapaxes(2, 3)
        return values

    def forecast_by_step(self, X: Any) -> FloatArray:
        """The forecasts that stand after every step of sequences, as more of them is read.

        Parameters
        ----------
        X : as for `fit`

        Returns
        -------
        array of shape (N, T, K, F)
            In the units of the data, NaN past the end of a sequence; ``[:, -1]`` of sequences of
            full length is their forecast.

        Raises
        ------
        InputError
            For an encoder that reads both ways or by patches, or makes its code of the whole
            state.
        """
        source = self._read(X)
        shape = (len(source), source.max_length, self.horizon_, self._n_features)
        values = np.full(shape, np.nan)
        outputs = self._outputs(
            source, lambda one: self.module_.decode_by_step("forecast", one.x, one.lengths)
        )
        for indices, _, scaled in outputs:
            values[indices, : scaled.shape[1]] = self.scaler_.undo(scaled)
        lengths = source.lengths_of(np.arange(len(source)))
        values[np.arange(source.max_length) >= lengths[:, None]] = np.nan
        return values

    def generate(
        self,
        X: Any,
        steps: int,
        *,
        temperature: float | None = None,
        random_state: int | np.random.RandomState | None = None,
    ) -> FloatArray:
        """Go on after the end of sequences for as long as is wanted, one forecast after the other.

        Every forecast is added to its sequence and the next one made from that, from as many of
        its last steps as the longest sequence seen by `fit` had.

        Parameters
        ----------
        X : as for `fit`
            The starts; a start may be as short as one step, or none.
        steps : int
            How many to add.
        temperature : float, optional
            Draw every step from its probabilities, where the loss is a cross-entropy: log-odds
            are divided by it, 0 takes the likeliest. Without it forecasts are fed back as they
            are.
        random_state : int, RandomState or None
            Of the draws.

        Returns
        -------
        array of shape (N, steps, F), or (N, steps) for a table
            What was added, in the units of the data.
        """
        _checks.raise_all(_checks.whole("steps", steps, 0))
        draw = None
        if temperature is not None:
            draw = drawing(self._parameters["loss"], temperature, random_state)
        source = self._read(X, starts=True)
        values = np.empty((len(source), steps, self._n_features))
        outputs = self._outputs(source, lambda one: self._continued(one, steps, draw))
        for indices, _, scaled in outputs:
            values[indices] = self.scaler_.undo(scaled)
        return self._as_given(values, X)

    def _continued(
        self, batch: Batch, steps: int, draw: Callable[[Tensor], Tensor] | None
    ) -> Tensor:
        """The next `steps` (B, steps, F) after the sequences of a batch."""
        x, lengths, _ = batch
        starts = x.new_full((len(x),), x.shape[1]).long() if lengths is None else lengths
        table = functional.pad(x, (0, 0, 0, steps + self.horizon_))
        for done in range(0, steps, self.horizon_):
            ends = starts + done
            first = (ends - max(1, self.max_length_)).clamp(min=0)
            recent = _rows(table, first, int((ends - first).max()))
            step = self.module_.run_decoder("forecast", recent, ends - first)
            places = ends[:, None] + torch.arange(self.horizon_, device=x.device)
            step = step if draw is None else draw(step)
            table = table.scatter(1, places[:, :, None].expand_as(step), step)
        return _rows(table, starts, steps)

    def score(self, X: Any, y: Any = None, sample_weight: npt.ArrayLike | None = None) -> float:
        """R² of the forecast, over all its values.

        Parameters
        ----------
        X : as for `fit`
        y : the future, as for `fit`
            Without it the last K steps of every sequence are cut off and compared.
        sample_weight : array of shape (N,), optional
        """
        source = self._read(X)
        if y is not None:
            predicted, truth = self.forecast(X), as_future(y, source.feature_names)
        else:
            futures = Futures(source, self.horizon_)
            _, _, truth = futures.take_with_future(np.arange(len(source)))
            predicted = self._forecasts(futures)
        if predicted.shape != truth.shape:
            raise InputError(f"Expected `y` of shape {predicted.shape}, got {truth.shape}.")
        flat = [values.reshape(len(values), -1) for values in (truth, predicted)]
        return float(r2_score(*flat, sample_weight=sample_weight))

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.target_tags.required = False
        tags.target_tags.multi_output = True
        tags.regressor_tags.poor_score = True  # its target goes on where X ends, in X's units
        return tags


def _rows(table: Tensor, first: Tensor, count: int) -> Tensor:
    """Steps (B, count, F) of a table (B, T, F), from `first` (B,) on."""
    places = first[:, None] + torch.arange(count, device=table.device)
    return table.gather(1, places[:, :, None].expand(-1, -1, table.shape[2]))
