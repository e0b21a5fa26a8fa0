"""`EncoderClassifier` as a user meets it: any encoder, any labels, frozen or fine-tuned."""

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.model_selection import cross_validate, train_test_split

from tests.estimators.classifiers import labelled, quick, small
from tests.estimators.quick import LAST
from unspool import (
    DenseAutoencoder,
    EncoderClassifier,
    LSTMAutoencoder,
    LSTMForecaster,
    Sequences,
    Windows,
)
from unspool.errors import DivergedError, InputError
from unspool.estimators import classifier_fit
from unspool.training import progress

# The autoencoders here are far too small and short-trained to be any good.
pytestmark = pytest.mark.filterwarnings("ignore::unspool.errors.NoBetterThanMeanWarning")


def weights(model):
    """The encoder's weights, as arrays of their own."""
    state = model.module_.encoder.state_dict()
    return {name: tensor.cpu().numpy().copy() for name, tensor in state.items()}


def same(one, other):
    return one.keys() == other.keys() and all((one[name] == other[name]).all() for name in one)


@pytest.fixture(scope="module")
def data():
    return labelled()


@pytest.fixture(scope="module")
def trained(data):
    return small().fit(data[0])


def test_fine_tuning_makes_up_for_an_encoder_that_knows_little(data):
    X, y = labelled(n=200, seed=1)
    last = small(**LAST).fit(data[0])
    frozen = quick(last, epochs=40).fit(*data)
    tuned = quick(last, epochs=40, fine_tune=True).fit(*data)
    assert tuned.score(X, y) > max(0.9, frozen.score(X, y) + 0.1)
    assert frozen.score(X, y) == (frozen.predict(X) == y).mean()


def test_fine_tuning_of_a_default_encoder_starts_where_the_head_ended(data, trained):
    """Its features are standardised again for that: as they are, the first steps jump."""
    tuned = quick(trained, epochs=40, fine_tune=True).fit(*data)
    assert tuned.history_["loss"][0] < 2 * tuned.head_history_["loss"][-1]
    still = quick(trained, fine_tune=True, learning_rate=1e-12).fit(*data)
    codes = [model.transform(data[0]) for model in (trained, still.autoencoder_)]
    np.testing.assert_allclose(*codes, rtol=0, atol=1e-4)
    projection = tuned.module_.encoder.projection
    assert (projection.shift, projection.scale) == (None, None)


def test_digits_are_classified():
    X, y = load_digits(return_X_y=True)
    X, test, y, truth = train_test_split(X, y, test_size=0.3, random_state=0)
    autoencoder = DenseAutoencoder(64, hidden_units=(128,), epochs=8, random_state=0, verbose=0)
    autoencoder.fit(X)
    frozen = EncoderClassifier(autoencoder, epochs=40, random_state=0, verbose=0).fit(X, y)
    tuned = clone(frozen).set_params(autoencoder=autoencoder, fine_tune=True).fit(X, y)
    linear = LogisticRegression(tol=1e-2, max_iter=5000).fit(autoencoder.transform(X), y)
    assert frozen.score(test, truth) > linear.score(autoencoder.transform(test), truth) - 0.03
    assert tuned.score(test, truth) > max(frozen.score(test, truth), 0.95)


# -- the encoder ----------------------------------------------------------------------------------


def test_a_fitted_autoencoder_is_used_and_not_changed(data, trained):
    X, y = data
    before, history, codes = weights(trained), dict(trained.history_), trained.transform(X)
    frozen = quick(trained).fit(X, y)
    tuned = quick(trained, fine_tune=True).fit(X, y)
    assert frozen.autoencoder is trained
    assert same(before, weights(trained))
    assert trained.history_ == history
    assert len(trained.module_.decoders) == 1
    np.testing.assert_array_equal(trained.transform(X), codes)
    np.testing.assert_array_equal(frozen.autoencoder_.transform(X), codes)
    assert not same(before, weights(tuned.autoencoder_))
    assert frozen.autoencoder_.module_.encoder is frozen.module_.encoder


def test_one_that_is_not_fitted_is_cloned_and_fitted_on_x(data):
    X, y = data
    given = small()
    model = quick(given).fit(X, y)
    assert model.autoencoder is given
    assert not hasattr(given, "module_")
    assert same(weights(model.autoencoder_), weights(small().fit(X)))


def test_its_random_state_is_the_classifiers_where_it_has_none(data):
    one, other = (quick(small(random_state=None), random_state=1).fit(*data) for _ in range(2))
    third = quick(small(random_state=None), random_state=2).fit(*data)
    assert same(weights(one.autoencoder_), weights(other.autoencoder_))
    assert not same(weights(one.autoencoder_), weights(third.autoencoder_))
    assert one.autoencoder.random_state is None


def test_no_autoencoder_is_an_lstm_autoencoder(data, monkeypatch):
    monkeypatch.setitem(LSTMAutoencoder.__init__.__kwdefaults__, "epochs", 1)
    model = quick(device="cpu").fit(*data)
    expected = LSTMAutoencoder(device="cpu", verbose=0).get_params()
    assert model.autoencoder is None
    assert {**model.autoencoder_.get_params(), "random_state": None} == expected


def test_cross_validation_trains_the_encoder_on_the_training_part_alone(data, trained):
    X, y = data
    X = X + np.arange(len(X))[:, None, None]  # so that every part has a mean of its own
    done = cross_validate(
        quick(trained, epochs=1), X, y, cv=3, return_estimator=True, return_indices=True
    )
    assert not np.isnan(done["test_score"]).any()
    for model, train in zip(done["estimator"], done["indices"]["train"], strict=True):
        assert model.autoencoder_.scaler_.shift == pytest.approx(X[train].mean())


def test_cross_validation_does_not_train_a_frozen_estimator(data, trained):
    X, y = data
    model = quick(FrozenEstimator(trained), epochs=1)
    done = cross_validate(model, X, y, cv=3, return_estimator=True)
    assert not np.isnan(done["test_score"]).any()
    for model in done["estimator"]:
        assert same(weights(model.autoencoder_), weights(trained))


ENCODERS = {
    "lstm": small(num_layers=2, units=3),
    "whole state": small(decoder="state"),
    "variational": small(kl_weight=0.1),
    "composite": small(horizon=3),
    "dense": DenseAutoencoder(5, epochs=2, random_state=0, verbose=0),
    "forecaster": LSTMForecaster(5, epochs=2, random_state=0, verbose=0),
}


@pytest.mark.parametrize("autoencoder", ENCODERS.values(), ids=ENCODERS)
@pytest.mark.parametrize("fitted", [True, False], ids=["fitted", "not fitted"])
def test_every_kind_of_model_can_be_the_encoder(autoencoder, fitted):
    X, y = labelled(features=2)
    if fitted:
        autoencoder = clone(autoencoder).fit(X)
    for fine_tune in (False, True):
        model = quick(autoencoder, fine_tune=fine_tune, epochs=3).fit(X, y)
        proba = model.predict_proba(X)
        assert proba.shape == (60, 2)
        np.testing.assert_allclose(proba.sum(axis=1), 1, atol=1e-6)
        assert (model.predict(X) == model.classes_[proba.argmax(axis=1)]).all()
        assert model.n_features_in_ == 2


@pytest.mark.cpu
def test_probabilities_are_those_of_the_head_on_the_codes(data, trained):
    X, y = data
    model = quick(trained, head_units=(4,), fine_tune=True).fit(X, y)
    first, last = (model.module_.head[i] for i in (0, 2))
    codes = model.autoencoder_.transform(X).astype(np.float64)
    hidden = np.maximum(0, codes @ first.weight.detach().numpy().T + first.bias.detach().numpy())
    logits = hidden @ last.weight.detach().numpy().T + last.bias.detach().numpy()
    expected = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(model.predict_proba(X), expected, rtol=1e-5)
    X, lengths = torch.tensor((X - model.autoencoder_.scaler_.shift), dtype=torch.float32), None
    X = X / float(model.autoencoder_.scaler_.scale[0])
    with torch.no_grad():
        np.testing.assert_allclose(model.module_(X, lengths), logits, atol=1e-4)


def test_a_head_trained_to_the_end_is_logistic_regression(data, trained):
    X, y = data
    y = np.where(np.random.default_rng(0).random(60) < 0.3, "slow", y)  # so that none is certain
    parameters = {"validation_split": 0, "patience": None, "batch_size": 60, "epochs": 1500}
    model = quick(trained, learning_rate=0.05, global_clipnorm=None, **parameters).fit(X, y)
    codes = trained.transform(X).astype(np.float64)
    linear = LogisticRegression(C=np.inf, tol=1e-8, max_iter=10_000).fit(codes, y)
    np.testing.assert_allclose(model.predict_proba(X), linear.predict_proba(codes), atol=2e-3)


def test_a_code_that_never_changes_does_no_harm(data):
    X, y = data
    autoencoder = DenseAutoencoder(6, epochs=2, random_state=0, verbose=0).fit(X)
    with torch.no_grad():
        autoencoder.module_.encoder.layers[0].weight[:2] = 0
        autoencoder.module_.encoder.layers[0].bias[:2] = torch.tensor([-1.0, 0.1])
        autoencoder.module_.encoder.layers[0].weight[1, 0] = 1e-8
    model = quick(autoencoder, patience=None).fit(X, y)
    assert abs(model.module_.head[0].weight).max() < 50
    assert np.isfinite(model.predict_proba(X)).all()


def test_codes_are_computed_once_and_not_in_every_epoch(data, trained, monkeypatch):
    calls = []
    forward = type(trained.module_.encoder).forward

    def counted(self, *arguments):
        calls.append(self)
        return forward(self, *arguments)

    monkeypatch.setattr(type(trained.module_.encoder), "forward", counted)
    quick(trained, epochs=1).fit(*data)
    once = len(calls)
    quick(trained, epochs=7).fit(*data)
    assert len(calls) == 2 * once > 0


# -- the batch law --------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["lstm", "dense"])
def test_probabilities_do_not_depend_on_the_rest_of_the_batch(kind):
    X, y = labelled(n=50, features=2)
    model = quick(clone(ENCODERS[kind]), head_units=(30,)).fit(X, y)
    alone = np.concatenate([model.predict_proba(X[i : i + 1]) for i in range(len(X))])
    np.testing.assert_allclose(model.predict_proba(X), alone, rtol=1e-5)


def test_padding_changes_no_probability():
    X, y = labelled(features=2)
    lengths = np.random.default_rng(0).integers(5, 21, 60)
    tight = [one[:length] for one, length in zip(X, lengths, strict=True)]
    wide = Sequences(np.pad(X, [(0, 0), (0, 9), (0, 0)]), lengths)
    model, other = (quick(small(), fine_tune=True, epochs=3).fit(one, y) for one in (tight, wide))
    np.testing.assert_array_equal(model.predict_proba(tight), other.predict_proba(wide))


# -- labels ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("fine_tune", [False, True])
def test_history_is_the_cross_entropy_and_the_share_that_is_right(
    data, trained, fine_tune, monkeypatch
):
    X, y = data
    halves = np.arange(0, 45), np.arange(45, 60)
    monkeypatch.setattr(classifier_fit, "split_by_class", lambda *_: halves)
    model = quick(trained, fine_tune=fine_tune, epochs=5).fit(X, y)
    for history in (model.history_, model.head_history_):
        assert set(history) == {"loss", "accuracy", "val_loss", "val_accuracy", "best_epoch"} | {
            "learning_rate"
        }
        assert {len(history[name]) for name in history if name != "best_epoch"} == {5}
    assert (model.history_ == model.head_history_) != fine_tune
    history, best = model.history_, model.history_["best_epoch"]
    assert history["val_loss"][best] == min(history["val_loss"])
    proba, truth = model.predict_proba(X)[halves[1]], y[halves[1]]
    assert history["val_loss"][best] == pytest.approx(log_loss(truth, proba), rel=1e-5)
    hits = model.classes_[proba.argmax(axis=1)] == truth
    assert history["val_accuracy"][best] == pytest.approx(hits.mean())


def test_the_training_loss_is_that_of_the_first_weights_where_nothing_is_learned(data, trained):
    X, y = data
    model = quick(trained, learning_rate=1e-12, validation_split=0, epochs=1).fit(X, y)
    loss = log_loss(y, model.predict_proba(X))
    assert model.history_["loss"] == pytest.approx([loss], rel=1e-5)
    assert model.history_["accuracy"] == pytest.approx([model.score(X, y)])
    assert "val_loss" not in model.history_


def test_epochs_of_the_head_and_of_fine_tuning(data, trained):
    def epochs(**parameters):
        model = quick(trained, fine_tune=True, patience=None, **parameters).fit(*data)
        return len(model.head_history_["loss"]), len(model.history_["loss"])

    assert epochs(epochs=3) == (3, 3)
    assert epochs(epochs=3, fine_tune_epochs=2) == (3, 2)


def test_patience_stops_both_stages(data, trained):
    y = np.random.default_rng(0).permutation(data[1])  # nothing that holds for what is held out
    model = quick(
        trained, fine_tune=True, epochs=200, patience=2, validation_split=0.3, learning_rate=0.05
    ).fit(data[0], y)
    for history in (model.history_, model.head_history_):
        assert len(history["loss"]) == history["best_epoch"] + 3 < 200


def test_the_head_is_as_its_parameters_say(data, trained):
    head = quick(trained, head_units=(7, 3), head_activation="tanh").fit(*data).module_.head
    layers = list(head)
    assert [tuple(layer.weight.shape) for layer in layers[::2]] == [(7, 5), (3, 7), (2, 3)]
    assert [type(layer).__name__ for layer in layers[1::2]] == ["Tanh", "Tanh", "Identity"]


CHANGES = [
    {"optimizer": "sgd"},
    {"learning_rate": 0.01},
    {"global_clipnorm": 1e-3, "optimizer": "sgd"},
    {"batch_size": 7},
    {"epochs": 9},
    {"head_units": (4,)},
    {"head_units": (4,), "head_activation": "tanh"},
    {"validation_split": 0.0},
    {"validation_split": 0.5},
    {"random_state": 1},
    {"fine_tune": True},
    {"fine_tune": True, "fine_tune_epochs": 2},
    {"fine_tune": True, "fine_tune_epochs": 2, "global_clipnorm": 1e-3, "optimizer": "sgd"},
]


def test_every_parameter_changes_the_result(data, trained):
    X, y = data
    results = {}
    for parameters in [{}, *CHANGES]:
        model = quick(trained, **{"patience": None, "epochs": 3, **parameters}).fit(X, y)
        results[str(parameters)] = model.predict_proba(X).tobytes()
    assert len(set(results.values())) == len(CHANGES) + 1


def test_the_same_random_state_leads_to_the_same_bits(data):
    one, other = (quick(small(), fine_tune=True, random_state=3).fit(*data) for _ in range(2))
    np.testing.assert_array_equal(one.predict_proba(data[0]), other.predict_proba(data[0]))


def test_a_progress_bar_for_each_stage_unless_verbose_is_0(data, trained, monkeypatch):
    made = []

    class Bar(progress.ProgressBar):
        def __init__(self):
            made.append(self)
            super().__init__()

    monkeypatch.setattr(progress, "ProgressBar", Bar)
    quick(trained, fine_tune=True, epochs=1).fit(*data)
    assert made == []
    quick(trained, fine_tune=True, epochs=1, verbose=1).fit(*data)
    assert len(made) == 2


@pytest.mark.filterwarnings("ignore::unspool.errors.UnstableTrainingWarning")
def test_a_fit_that_diverges_leaves_the_model_as_it_was(data, trained):
    model = quick(trained).fit(*data)
    before = model.predict_proba(data[0])
    model.set_params(learning_rate=1e30, global_clipnorm=None, optimizer="sgd", fine_tune=True)
    with pytest.raises(DivergedError):
        model.fit(*data)
    np.testing.assert_array_equal(model.predict_proba(data[0]), before)


def test_windows_of_long_series_are_classified():
    rng = np.random.default_rng(0)
    series = [np.sin(np.arange(200) * speed)[:, None] for speed in (0.3, 0.9)]
    windows = Windows([one + rng.normal(0, 0.1, one.shape) for one in series], 20, 2)
    y = np.array(["slow", "fast"])[windows.place(np.arange(len(windows)))[0]]
    model = quick(small(epochs=10), epochs=30, validation_split=0.2).fit(windows, y)
    assert model.score(windows, y) > 0.9
    assert model.autoencoder_.window_ == (20, 2)


def test_names_of_features_are_those_of_the_encoder(data):
    table, y = pd.DataFrame(data[0][:, :, 0]).add_prefix("t"), data[1]
    model = quick(small()).fit(table, y)
    assert list(model.feature_names_in_) == list(table.columns)
    assert model.n_features_in_ == 20
    with pytest.raises(ValueError, match="feature names should match"):
        model.predict(table.rename(columns={"t3": "other"}))
    assert not hasattr(model.fit(data[0], y), "feature_names_in_")


# -- splitting ------------------------------------------------------------------------------------


BAD = [
    ({"fine_tune": 1}, "`fine_tune` must be True or False, got 1."),
    ({"head_units": (3, 0)}, "`head_units` must be a whole number of at least 1, got 0."),
    ({"epochs": 0}, "`epochs` must be a whole number of at least 1 or 'auto', got 0."),
    (
        {"fine_tune_epochs": 0},
        "`fine_tune_epochs` must be a whole number of at least 1 or None, got 0.",
    ),
    ({"batch_size": 0}, "`batch_size` must be a whole number of at least 1, got 0."),
    ({"learning_rate": 0}, "`learning_rate` must be a number above 0 or None, got 0."),
    ({"global_clipnorm": 0}, "`global_clipnorm` must be a number above 0 or None, got 0."),
    (
        {"validation_split": 1},
        "`validation_split` must be a number of at least 0 and below 1, got 1.",
    ),
    ({"patience": 0}, "`patience` must be a whole number of at least 1, 'auto' or None, got 0."),
    ({"verbose": -1}, "`verbose` must be a whole number of at least 0, got -1."),
    (
        {"autoencoder": "lstm"},
        "`autoencoder` must be an unspool autoencoder or forecaster, or None, got 'lstm'.",
    ),
    (
        {"autoencoder": LogisticRegression()},
        "`autoencoder` must be an unspool autoencoder or forecaster, or None, got "
        "LogisticRegression().",
    ),
    (
        {"autoencoder": FrozenEstimator(None)},
        "`autoencoder` must be an unspool autoencoder or forecaster, or None, got "
        "FrozenEstimator(estimator=None).",
    ),
    (
        {"autoencoder": FrozenEstimator(LSTMAutoencoder())},
        "`autoencoder` is a FrozenEstimator, whose model is not fitted; fit the model first.",
    ),
]


@pytest.mark.parametrize(("parameters", "message"), BAD, ids=[m for _, m in BAD])
def test_bad_parameters_are_reported_by_fit(data, parameters, message):
    with pytest.raises(InputError) as caught:
        EncoderClassifier(**parameters).fit(*data)
    assert str(caught.value) == message


def test_unknown_names_are_reported_with_what_was_meant(data):
    with pytest.raises(InputError, match="did you mean 'relu'"):
        quick(head_activation="rellu").fit(*data)
    with pytest.raises(InputError, match="did you mean 'adam'"):
        quick(optimizer="Adam").fit(*data)
    with pytest.raises(InputError, match=r"^`device` 'cuda:99' cannot be used \("):
        quick(device="cuda:99").fit(*data)


# -- scikit-learn ---------------------------------------------------------------------------------
