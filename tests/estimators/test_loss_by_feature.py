"""A loss for each feature: numbers, probabilities and categories in one table."""

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone
from torch.nn import functional

import unspool
from tests.trained import AUTOENCODERS, BY_FEATURE, LONG_MIXED, MIXED, QUICK, Case, forecaster, lstm
from unspool import AnomalyDetector, DenseAutoencoder, LSTMAutoencoder, Sequences, runtime
from unspool.errors import InputError

pytestmark = [
    pytest.mark.filterwarnings(f"ignore::unspool.errors.{name}Warning")
    for name in ("NoBetterThanMean", "Threshold")
]

CLASSES, BINARY, HUBER, MAE = [1, 3, 5], 2, 0, 4
BOTH = ("step", "feature")
MIXED_MODELS = [name for name, case in AUTOENCODERS.items() if case.X is MIXED]
REAL = np.arange(MIXED.max_length) < MIXED.lengths[:, None]


def by_hand(prediction, target):
    """The losses of `BY_FEATURE` on scaled tensors (..., 6), by PyTorch: (..., 4)."""
    crossentropy = functional.nll_loss(
        prediction[..., CLASSES].log().flatten(0, -2),
        target[..., CLASSES].argmax(-1).flatten(),
        reduction="none",
    )
    return torch.stack(
        [
            functional.huber_loss(prediction[..., HUBER], target[..., HUBER], reduction="none"),
            functional.l1_loss(prediction[..., MAE], target[..., MAE], reduction="none"),
            functional.binary_cross_entropy(
                prediction[..., BINARY], target[..., BINARY], reduction="none"
            ),
            crossentropy.view(target.shape[:-1]),
        ],
        -1,
    )


def scaled(model, values):
    return torch.from_numpy((values - model.scaler_.shift) / model.scaler_.scale)


@pytest.mark.parametrize("name", MIXED_MODELS)
def test_errors_are_the_losses_that_pytorch_computes(name):
    model = AUTOENCODERS[name].fit()
    output = model.reconstruct(MIXED)[REAL]
    expected = by_hand(scaled(model, output), scaled(model, MIXED.values[REAL]))
    errors = model.reconstruction_error(MIXED, per=BOTH)[REAL]
    np.testing.assert_allclose(errors[:, [HUBER, MAE, BINARY, 1]], expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(errors[:, 3], errors[:, 1])  # columns of one category
    np.testing.assert_array_equal(errors[:, 5], errors[:, 1])
    by_step = model.reconstruction_error(MIXED, per="step")[REAL]
    np.testing.assert_allclose(by_step, expected.mean(-1), rtol=1e-4, atol=1e-5)
    assert output[:, BINARY].min() > 0
    assert output[:, BINARY].max() < 1
    np.testing.assert_allclose(output[:, CLASSES].sum(-1), 1, rtol=1e-5)


@pytest.mark.parametrize("name", ["repeat, loss by feature", "loss by feature, convolved"])
def test_the_history_has_the_mean_of_all_values_and_of_each_loss(name):
    """Of the weights that are kept, without an epoch that changes them between batches."""
    case = AUTOENCODERS[name]
    model = case.train(validation_split=0, learning_rate=1e-30, batch_size=64)
    values = by_hand(
        scaled(model, model.reconstruct(MIXED)[REAL]), scaled(model, MIXED.values[REAL])
    ).mean(0)
    expected = {
        "loss": values.mean(),
        "huber_loss": values[0],
        "mae_loss": values[1],
        "binary_crossentropy_loss": values[2],
        "categorical_crossentropy_loss": values[3],
    }
    assert {*expected, "learning_rate", "best_epoch"} == set(model.history_)
    for key, mean in expected.items():
        np.testing.assert_allclose(model.history_[key], [float(mean)], rtol=1e-4, err_msg=key)


def test_columns_of_cross_entropies_are_not_scaled():
    scaler = AUTOENCODERS["repeat, loss by feature"].train().scaler_
    probabilities = [BINARY, *CLASSES]
    np.testing.assert_array_equal(scaler.shift[probabilities], 0)
    np.testing.assert_array_equal(scaler.scale[probabilities], 1)
    assert abs(scaler.shift[[HUBER, MAE]] - 50).max() < 5
    assert (abs(scaler.scale[[HUBER, MAE]] - 9) < 3).all()


def frame():
    """Readings with a switch and a colour, all driven by one number."""
    rng = np.random.default_rng(0)
    hidden = rng.normal(size=400)
    colour = np.eye(3)[np.digitize(hidden, [-0.5, 0.5])]
    columns = {
        "temperature": 20 + 5 * hidden + rng.normal(size=400),
        "door": (hidden > 0).astype(float),
        **dict(zip(["red", "green", "blue"], colour.T, strict=True)),
        "pressure": 1000 + 40 * hidden + rng.normal(size=400),
    }
    return pd.DataFrame(columns)


NAMED = {
    "temperature": "mse",
    "door": "binary_crossentropy",
    ("red", "green", "blue"): "categorical_crossentropy",
}
SMALL = {"latent_dim": 2, "hidden_units": (16,), "epochs": 80, "random_state": 0, "verbose": 0}


def crossentropies(model, X):
    """The mean binary and the mean categorical cross-entropy of reconstructions."""
    values, true = model.reconstruct(X), X.to_numpy()
    values, true = values.reshape(true.shape), true
    p = np.clip(values, 1e-3, 1 - 1e-3)
    binary = -np.where(true[:, 1] == 1, np.log(p[:, 1]), np.log(1 - p[:, 1])).mean()
    shares = p[:, 2:5] / p[:, 2:5].sum(1, keepdims=True)
    return binary, -(true[:, 2:5] * np.log(shares)).sum(1).mean()


def test_a_mixed_table_is_learned_better_than_with_squared_errors():
    X = frame()
    squared = DenseAutoencoder(**SMALL).fit(X)
    mixed = DenseAutoencoder(**SMALL, loss=NAMED).fit(X)
    for better, worse in zip(crossentropies(mixed, X), crossentropies(squared, X), strict=True):
        assert better < 0.7 * worse


@pytest.mark.parametrize(
    "loss",
    [
        {1: "binary_crossentropy", (2, 3, 4): "categorical_crossentropy"},
        {"door": "binary_crossentropy", "red,green, blue": "categorical_crossentropy"},
        {"1": "binary_crossentropy", "2,3,4": "categorical_crossentropy", "*": "mse"},
        {"door": "binary_crossentropy", ("red", 3, "blue"): "categorical_crossentropy"},
    ],
)
def test_features_are_named_by_names_places_and_strings_of_both(loss):
    X = frame()
    short = {**SMALL, "epochs": 1}
    expected = DenseAutoencoder(**short, loss=NAMED).fit(X)
    model = DenseAutoencoder(**short, loss=loss).fit(X)
    assert model.history_ == expected.history_


def test_a_name_with_a_comma_or_of_digits_is_a_name_first():
    X = frame().rename(columns={"door": "red,green", "pressure": "0"})
    loss = {"red,green": "binary_crossentropy", "0": "mae"}
    model = DenseAutoencoder(**{**SMALL, "epochs": 1}, loss=loss).fit(X)
    assert model._loss.columns_by_loss == {
        "mse": (0, 2, 3, 4),
        "mae": (5,),
        "binary_crossentropy": (1,),
    }


@pytest.mark.parametrize("rest", ["mse", "mean_squared_error"])
def test_one_loss_for_all_features_is_that_loss(rest):
    expected = AUTOENCODERS["repeat"].train()
    model = AUTOENCODERS["repeat"].train(loss={"*": rest, 1: "mse"})
    assert model.history_ == expected.history_
    assert model._loss == "mse"


def test_a_clone_and_the_parameters_keep_the_dict():
    model = lstm(loss=BY_FEATURE)()
    assert clone(model).get_params()["loss"] == BY_FEATURE
    assert model.set_params(loss={0: "mae"}).loss == {0: "mae"}


@pytest.mark.parametrize("name", ["previous, loss by feature", "loss by feature, stacked"])
def test_a_file_keeps_the_loss(name, tmp_path):
    model = AUTOENCODERS[name].fit()
    model.save(tmp_path / "m")
    loaded, running = unspool.load(tmp_path / "m"), runtime.load(tmp_path / "m")
    assert loaded.get_params()["loss"] == BY_FEATURE
    for per in ("sequence", "step", "feature", BOTH):
        errors = model.reconstruction_error(MIXED, per=per)
        np.testing.assert_array_equal(loaded.reconstruction_error(MIXED, per=per), errors)
        np.testing.assert_allclose(
            running.reconstruction_error(MIXED, per=per), errors, rtol=1e-4, atol=1e-6
        )
    assert loaded.fit(MIXED).history_ == AUTOENCODERS[name].train().history_


def test_a_file_keeps_names_and_numbers_apart(tmp_path):
    X = frame().rename(columns={"pressure": "1"})
    loss = {"1": "mae", 1: "binary_crossentropy"}
    model = DenseAutoencoder(**{**SMALL, "epochs": 1}, loss=loss).fit(X)
    model.save(tmp_path / "m")
    loaded = unspool.load(tmp_path / "m")
    assert loaded.loss == loss
    assert loaded._loss == model._loss


def test_a_detector_uses_squared_differences_for_cross_entropies(tmp_path):
    rng = np.random.default_rng(0)
    series = np.stack([np.sin(np.arange(400) / 5), np.arange(400) % 20 < 10], -1)
    series += rng.normal(size=series.shape) * [0.1, 0]
    loss = {0: "mae", 1: "binary_crossentropy"}
    model = LSTMAutoencoder(4, loss=loss, pooling="last", n_kernels=0, **QUICK)
    detector = AnomalyDetector(model, window=16, random_state=0, verbose=0).fit(series)
    series[300:310, 1] = 40  # outside of 0 to 1
    scores = detector.anomaly_scores(series)
    assert np.isfinite(scores).all()
    assert 300 <= scores.argmax() < 326
    detector.save(tmp_path / "d")
    running = runtime.load_detector(tmp_path / "d")
    np.testing.assert_allclose(running.detect(series).scores, scores, rtol=1e-3, atol=1e-3)
    errors = running._scorer.source
    reconstruction = detector.model_.reconstruct(series[None, :16])[0]
    x = scaled(detector.model_, series[:16]) - scaled(detector.model_, reconstruction)
    expected = torch.stack([x[:, 0].abs(), x[:, 1] ** 2], -1)
    (_, got), *_ = errors.errors(Sequences(series[None, :16]))
    np.testing.assert_allclose(got[0], expected, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize(
    ("loss", "message"),
    [
        ({}, "must have at least one feature, got an empty dict"),
        (["mse"], "must be the name of a loss, a dict from features to names of losses, or a func"),
        ({"door": 3}, "must have the name of a loss for 'door', got 3"),
        ({"door": "mze"}, "unknown `loss` 'mze': did you mean 'mse'"),
        ({-1: "mse"}, "names of features, places from 0, or tuples of these, got -1"),
        ({True: "mse"}, "places from 0, or tuples of these, got True"),
        ({(): "mse"}, r"tuples of these, got \(\)"),
        ({"red": "categorical_crossentropy"}, "needs a tuple of the columns of one category"),
        ({"*": "categorical_crossentropy"}, "needs a tuple of the columns of one category"),
        ({"dor": "mae"}, "unknown feature 'dor': did you mean 'door'"),
        ({6: "mae"}, "has the place 6, but the data have 6 features, so places are 0 to 5"),
        ({"door": "mae", 1: "mse"}, "two losses for the feature 'door'"),
        ({"door": "mae", ("door", 0): "mse"}, "two losses for the feature 'door'"),
        ({"pressure": "binary_crossentropy"}, "for the feature 'pressure', which needs values bet"),
        ({("red", "green"): "categorical_crossentropy"}, None),
        ({("door", "blue"): "categorical_crossentropy"}, "'door', the feature 'blue' needs a sum"),
    ],
)
def test_a_loss_that_does_not_fit_the_data_is_refused(loss, message):
    model = DenseAutoencoder(**{**SMALL, "epochs": 1}, loss=loss)
    if message is None:  # steps of the third class have zeros only, which do not count
        model.fit(frame())
        return
    with pytest.raises(InputError, match=message):
        model.fit(frame())


def test_names_need_data_with_names():
    with pytest.raises(InputError, match="the features of the data have no names; give their pl"):
        Case(lstm(loss={"door": "mae"}), MIXED).train()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lstm(loss=BY_FEATURE, output_activation="softmax"), "gives each category its softmax"),
        (lstm(loss=BY_FEATURE, head_units=None, decoder_units=6), "`head_units` None removes the"),
        (lstm(loss=BY_FEATURE, metrics=("accuracy",)), "metric 'accuracy' needs one of the losses"),
        (forecaster(loss=BY_FEATURE, linear_steps=2), "needs the decoder's output to be the whole"),
    ],
)
def test_what_a_loss_by_feature_rules_out(make, message):
    with pytest.raises(InputError, match=message):
        make().fit(LONG_MIXED)


def test_values_are_not_drawn_from_numbers():
    model = AUTOENCODERS["repeat, loss by feature"].train()
    with pytest.raises(InputError, match="this model was trained with a loss by feature"):
        model.generate(np.zeros((1, 5)))
