"""Models with `missing="mask"` together with other options of training."""

import copy
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
import torch

from unspool import (
    ConvAutoencoder,
    DenseAutoencoder,
    LSTMAutoencoder,
    LSTMForecaster,
    StackedAutoencoder,
    Windows,
    load,
    runtime,
)
from unspool.errors import InputError, NoBetterThanMeanWarning
from unspool.training.objective import AutoencoderLoss

pytestmark = [
    pytest.mark.filterwarnings("ignore::unspool.errors.NoBetterThanMeanWarning"),
    pytest.mark.filterwarnings("ignore:Mean of empty slice:RuntimeWarning"),
]
QUICK = {"epochs": 2, "random_state": 0, "verbose": 0, "missing": "mask", "validation_split": 0.2}
LAST = {"pooling": "last", "n_kernels": 0, "bidirectional": False, "input_dropout": 0.0}
N, T, F = 24, 8, 3
RNG = np.random.default_rng(0)
VALUES = np.sin(np.arange(T)[:, None] / 2 + RNG.uniform(0, 6, (N, 1, 1)) + np.arange(F)) * [1, 5, 2]
HIDDEN = RNG.random(VALUES.shape) < 0.25
HIDDEN[2, 3] = True  # a step without a value
HIDDEN[:, -1] = [False, True, False]  # a step at the end is not padding
HIDDEN[4, :, 0] = True
KNOWN_THERE = HIDDEN & ~(np.arange(T) >= T - 2)[:, None]
Y = RNG.normal(size=(N, 2, F))
QUANTITY = RNG.normal(size=N) * 9 + 20
TIMES = np.delete(np.arange(N * T + 40.0), np.arange(60, 100))


def lstm(**options):
    return LSTMAutoencoder(4, **{**LAST, **QUICK, **options})


def forecaster(**options):
    plain = {"linear_steps": 0, "normalization": "none", "code_dropout": 0.0, "horizon": 2}
    return LSTMForecaster(4, **{**QUICK, **plain, **options})


@dataclass
class Together:
    """A model and how it is trained."""

    model: Any
    hidden: Any = field(default_factory=lambda: HIDDEN)
    y: Any = None
    y_hidden: Any = None
    sample_weight: Any = None
    windows: Any = None
    times: Any = None
    by_hand: bool = True  # whether the loss is a sum of squares that draws no random numbers

    def read(self, below: float) -> tuple[Any, Any]:
        """Return `X` and `y` as masked arrays; `below` is the value below each mask."""
        X: Any = np.ma.masked_array(np.where(self.hidden, below, VALUES), self.hidden)
        if self.windows is not None:
            X = Windows(X.reshape(N * T, F), **self.windows, missing="mask")
        y = self.y
        if self.y_hidden is not None:
            y = np.ma.masked_array(np.where(self.y_hidden, below, y), self.y_hidden)
        return X, y

    def train(self, below: float = 0.0) -> Any:
        X, y = self.read(below)
        also = {} if self.sample_weight is None else {"sample_weight": self.sample_weight}
        return copy.deepcopy(self.model).fit(X, y, **also)


TOGETHER = {
    "targets": Together(lstm(targets=(2, 0), decoder="reversed_input")),
    "targets, composite": Together(lstm(targets=(1,), horizon=2)),
    "targets, dense": Together(DenseAutoencoder(4, targets=(2, 0), **QUICK)),
    "targets, convolutions": Together(ConvAutoencoder(4, filters=(3,), targets=(1,), **QUICK)),
    "known": Together(forecaster(targets=(1,), known=(2,)), hidden=KNOWN_THERE),
    "targets, linear map": Together(
        forecaster(targets=(2, 0), linear_steps=4, normalization="last", quantiles=(0.1, 0.9))
    ),
    "y": Together(forecaster(horizon=None), y=Y, y_hidden=RNG.random(Y.shape) < 0.3),
    "another quantity": Together(
        forecaster(targets="y", horizon=1, decoder="previous"),
        y=QUANTITY,
        y_hidden=np.arange(N) % 4 == 1,
    ),
    "sample weight": Together(lstm(), sample_weight=np.arange(N) % 4),
    "sample weight by step": Together(lstm(), sample_weight=RNG.uniform(0, 2, (N, T))),
    "sample weight, futures": Together(
        forecaster(linear_steps=3, every_step=True),
        sample_weight=np.arange(N) % 3,
        by_hand=False,
    ),
    "feature weight": Together(lstm(feature_weight=[0, 1, 4], targets=(2, 0, 1))),
    "both weights": Together(
        lstm(feature_weight=[1, 5], targets=(1, 2), patch_size=2),
        sample_weight=np.arange(N) % 4,
    ),
    "clip": Together(lstm(clip=0.7, scaling="robust")),
    "clip, forecaster": Together(forecaster(clip=0.7, linear_steps=3, scaling="minmax")),
    "dropout": Together(lstm(dropout=0.3, num_layers=2, units=5), by_hand=False),
    "recurrent dropout": Together(lstm(recurrent_dropout=0.3, code_dropout=0.2), by_hand=False),
    "dropout, dense": Together(
        DenseAutoencoder(4, hidden_units=(6,), dropout=0.3, code_dropout=0.1, **QUICK),
        by_hand=False,
    ),
    "GRU": Together(lstm(cell="gru", decoder="state_reversed_input")),
    "dilation": Together(lstm(), windows={"size": 6, "dilation": 2}),
    "gaps in time": Together(lstm(), windows={"size": 6, "times": TIMES, "max_gap": 3.0}),
    "schedule": Together(
        lstm(learning_rate_schedule="cosine", weight_decay=0.1, optimizer="adamw")
    ),
    "normalization": Together(lstm(normalization="standard", decoder="reversed_input")),
    "normalization, clip": Together(
        lstm(normalization="last", clip=1.0), sample_weight=np.arange(N) % 4
    ),
    "normalization, dense": Together(DenseAutoencoder(4, normalization="standard", **QUICK)),
    "cross-entropy": Together(
        lstm(
            loss="binary_crossentropy",
            metrics=("accuracy",),
            scaling="minmax",
            output_activation="sigmoid",
            targets=(0, 2),
        ),
        by_hand=False,
    ),
    "stacked": Together(StackedAutoencoder(3, hidden_units=(5,), fine_tune=True, **QUICK)),
}


def outputs(model: Any, X: Any) -> list[Any]:
    if isinstance(model, LSTMForecaster):
        future = VALUES[:, :2, 2:] if model.known else None
        return [model.forecast(X) if future is None else model.forecast(X, future)]
    return [model.transform(X), model.reconstruct(X), model.reconstruction_error(X)]


@pytest.mark.parametrize("name", TOGETHER)
def test_values_below_a_mask_change_nothing(name):
    case = TOGETHER[name]
    first, second = case.train(0.0), case.train(1e6)
    assert first.history_["loss"] == second.history_["loss"]
    assert np.isfinite(first.history_["loss"]).all()
    for one, two in zip(
        outputs(first, case.read(0.0)[0]), outputs(second, case.read(-1e6)[0]), strict=True
    ):
        np.testing.assert_array_equal(one, two)


def by_hand(model: Any, batch: Any) -> dict[str, tuple[Any, Any]]:
    """Sum of weighted squares of present errors, and their number, by decoder."""
    found = {}
    code = model.encoder(batch.x, batch.lengths)
    for name in set(model.decoders) - {"quantiles"}:
        target, lengths, weights = batch.target(name, model.of_targets)
        output = model.decode(name, code, batch.x, batch.lengths, None, batch.future)
        present = ~target.isnan()
        if lengths is not None:
            present &= (torch.arange(target.shape[1]) < lengths[:, None])[:, :, None]
        errors = (output - target.nan_to_num()).square()
        errors = errors if weights is None else errors * weights
        found[name] = errors[present].sum(), int(present.sum())
    return found


def gradients(total: Any, model: Any) -> list[Any]:
    parameters = [one for one in model.parameters() if one.requires_grad]
    return list(torch.autograd.grad(total, parameters, retain_graph=True, allow_unused=True))


@pytest.mark.parametrize("name", [name for name, case in TOGETHER.items() if case.by_hand])
def test_losses_and_gradients_are_those_of_present_values(name, monkeypatch):
    """Against sums that are computed by hand from the outputs of the modules."""
    compute, seen = AutoencoderLoss.__call__, []

    def checked(self: Any, batch: Any) -> Any:
        with torch.random.fork_rng():
            terms = compute(self, batch)
        feeds_back = any(one.feeds_back for one in self.model.decoders.values())
        learns = torch.is_grad_enabled()
        if feeds_back and learns:
            return terms
        sums = by_hand(self.model, batch)
        loss = by_hand_loss = 0.0
        for decoder, (total, count) in sums.items():
            term = terms.get(f"{decoder}_loss", terms.get("loss"))
            assert float(term.total.detach()) == pytest.approx(
                float(total.detach()), rel=1e-4, abs=1e-4
            )
            assert term.size == count
            loss = loss + term.total * (term.weight / count)
            by_hand_loss = by_hand_loss + total * (term.weight / count)
            seen.append(count)
        if learns:
            found = zip(
                gradients(loss, self.model), gradients(by_hand_loss, self.model), strict=True
            )
            for one, two in found:
                if two is not None:
                    torch.testing.assert_close(one, two, rtol=1e-3, atol=1e-5)
        return terms

    monkeypatch.setattr(AutoencoderLoss, "__call__", checked)
    TOGETHER[name].train()
    assert seen


@pytest.mark.parametrize("name", TOGETHER)
def test_a_saved_model_and_the_runtime_return_the_same(name, tmp_path):
    case = TOGETHER[name]
    model, (X, _) = case.train(), case.read(0.0)
    model.save(tmp_path / "model.unspool")
    for other in (load(tmp_path / "model.unspool"), runtime.Model(model.contents())):
        future = {"future": VALUES[:, :2, 2:]} if getattr(model, "known", ()) else {}
        run = "forecast" if isinstance(model, LSTMForecaster) else "reconstruct"
        expected, got = getattr(model, run)(X, **future), getattr(other, run)(X, **future)
        np.testing.assert_allclose(got, expected, rtol=1e-3, atol=1e-4)


def gaps(hidden: Any = HIDDEN) -> Any:
    return np.where(hidden, np.nan, VALUES)


def test_impute_replaces_the_targets_alone():
    model, X = TOGETHER["targets"].train(), gaps()
    X[:, -1] = VALUES[:, -1]  # NaN at the end would be padding
    for one in (model, runtime.Model(model.contents())):
        filled, known = one.impute(X), ~np.isnan(X)
        np.testing.assert_array_equal(filled[known], X[known])
        np.testing.assert_array_equal(np.isnan(filled[..., 1]), np.isnan(X[..., 1]))
        np.testing.assert_allclose(
            filled[..., [2, 0]][~known[..., [2, 0]]],
            one.reconstruct(X)[~known[..., [2, 0]]],
        )
    windows = Windows(X.reshape(-1, F), T, missing="mask")
    (series,) = model.impute(windows, merge=True)
    assert np.isfinite(series[:, [2, 0]]).all()
    np.testing.assert_array_equal(np.isnan(series[:, 1]), np.isnan(X[..., 1]).ravel())


def test_the_score_of_a_model_with_known_features_leaves_missing_targets_out():
    model, X = TOGETHER["known"].train(), gaps(KNOWN_THERE)
    X[:5, -2:, :2] = np.nan
    y = X[:, -2:]
    predicted = model.forecast(X[:, :-2], y[..., 2:])[..., 0]
    scores = []
    for step in range(2):
        truth, guess = y[5:, step, 1], predicted[5:, step]
        scores.append(1 - ((truth - guess) ** 2).sum() / ((truth - truth.mean()) ** 2).sum())
    for one in (model, runtime.Model(model.contents())):
        assert one.score(X[:, :-2], y) == pytest.approx(np.mean(scores), rel=1e-4)
        assert one.score(X) == pytest.approx(np.mean(scores), rel=1e-4)


@pytest.mark.parametrize("normalization", ["last", "standard"])
def test_the_level_of_a_sequence_is_that_of_its_present_values(normalization):
    model = lstm(normalization=normalization).fit(gaps())
    scaled = model.scaler_.apply(gaps())
    level = model.scaler_.level(scaled, np.full(N, T))
    last = np.array([[c[~np.isnan(c)][-1:].sum() for c in one.T] for one in scaled])
    mean = np.nan_to_num(np.nanmean(scaled, axis=1))
    np.testing.assert_allclose(
        level.location[:, 0], last if normalization == "last" else mean, atol=1e-5
    )
    code = model.transform(gaps())
    shifted = gaps() + np.arange(N)[:, None, None] * model.scaler_.scale
    moved = ~HIDDEN.all(1).any(1)  # features without a value have no level
    np.testing.assert_allclose(model.transform(shifted)[moved], code[moved], atol=1e-3)


def test_scaling_and_what_replaces_missing_values_are_weighted_means_of_present_values():
    weights = RNG.integers(0, 4, (N, T)).astype(float)
    X = np.where(weights[..., None] > 0, gaps(), 1e3)
    model = lstm(scaling="standard", validation_split=0).fit(X, sample_weight=weights)
    of_each = np.where(np.isnan(X), 0, weights[..., None])
    mean = (of_each * np.nan_to_num(X)).sum((0, 1)) / of_each.sum((0, 1))
    spread = np.sqrt((of_each * np.nan_to_num(X - mean) ** 2).sum((0, 1)) / of_each.sum((0, 1)))
    np.testing.assert_allclose(model.scaler_.shift, mean, rtol=1e-9)
    np.testing.assert_allclose(model.scaler_.scale, spread, rtol=1e-9)
    model = lstm(scaling="none", validation_split=0).fit(X, sample_weight=weights)
    np.testing.assert_allclose(model.module_.encoder.fill, mean, rtol=1e-5)


def test_linear_maps_of_targets_read_the_means_of_the_targets():
    model = forecaster(targets=(2, 0), linear_steps=4, scaling="none").fit(gaps())
    mean = np.nanmean(gaps(), axis=(0, 1))
    np.testing.assert_allclose(model.module_.encoder.fill, mean, rtol=1e-5)
    np.testing.assert_allclose(model.module_.skip.fill, mean[[2, 0]], rtol=1e-5)


@pytest.mark.parametrize("make", [lstm, forecaster])
def test_training_goes_on_with_the_same_replacement(make):
    first = make().fit(gaps())
    fill = first.module_.encoder.fill.clone()
    shifted = gaps() + 3
    on = copy.deepcopy(first).set_params(warm_start=True).fit(shifted)
    started = make().fit(shifted, initial=first)
    partial = copy.deepcopy(first).partial_fit(shifted)
    for model in (on, started, partial):
        assert torch.equal(model.module_.encoder.fill, fill)
        assert np.isfinite(model.history_["loss"]).all()
    a, b = (make().partial_fit(np.ma.masked_array(VALUES + HIDDEN * k, HIDDEN)) for k in (0, 9))
    assert a.history_["loss"] == b.history_["loss"]


@pytest.mark.parametrize("name", ["another quantity", "targets, dense"])
def test_a_model_that_learned_nothing_is_reported(name):
    case = copy.deepcopy(TOGETHER[name])
    case.model.set_params(learning_rate=1e-9, validation_split=0)
    with pytest.warns(NoBetterThanMeanWarning):
        case.train()


@pytest.mark.parametrize("name", ["targets, linear map", "known"])
def test_a_stream_of_gaps_forecasts_like_the_model(name):
    model, past = TOGETHER[name].train(), gaps()[0, :-2]
    future = (VALUES[0, -2:, 2:],) if model.known else ()
    stream = runtime.Model(model.contents()).stream()
    for step in past:
        stream.push(step)
    got = stream.forecast(*future)
    assert np.isnan(past).any()
    np.testing.assert_allclose(got, model.forecast(past[None], *future)[0], rtol=1e-4, atol=1e-4)


def test_combinations_that_have_no_meaning_are_refused():
    def refused(model: Any, X: Any, *also: Any, run: str = "fit", **more: Any) -> str:
        with pytest.raises(InputError) as error:
            getattr(model, run)(X, *also, **more)
        return str(error.value)

    assert "`missing` 'mask' needs a `loss` with one name" in refused(lstm(loss={0: "mae"}), gaps())
    assert "`missing` 'mask' needs a `loss` with one name" in refused(
        lstm(loss=lambda output, target: (output - target).abs()), gaps()
    )
    crossentropy = lstm(loss="binary_crossentropy", output_activation="sigmoid", scaling="none")
    assert "needs values between 0 and 1, got -4.99" in refused(crossentropy, gaps())
    known = TOGETHER["known"]
    assert refused(known.model, gaps()) == (
        "The known feature 2 is missing in a step to forecast, but the forecast reads it at every "
        "step; fill it, or leave it out of `known`."
    )
    ahead = np.full((N, 2, 1), np.nan)
    for model in (known.train(), runtime.Model(known.train().contents())):
        assert refused(model, gaps(), run="forecast", future=ahead) == (
            "`future` holds nan for sequence 0 at step 0, feature 0; fill it, since the forecast "
            "reads every step."
        )
    no_y = np.full(N, np.nan)
    assert refused(TOGETHER["another quantity"].model, gaps(), no_y) == (
        "Column 0 of `y` is missing in every step, so nothing can be learned about it; leave it "
        "out."
    )
    plain = lstm(missing="raise").fit(VALUES)
    message = refused(plain.set_params(warm_start=True, missing="mask"), gaps())
    assert "missing" in message, message
