"""Keras models that predict a quantity which is no feature of their input."""

import keras
import numpy as np
import pytest
from keras import Input, Sequential
from keras import layers as L
from sklearn.base import clone

import unspool
from tests.interop.nets import data, near, predicted, randomised
from unspool import LSTMForecaster
from unspool.errors import InputError
from unspool.interop.keras import from_keras, to_keras

pytestmark = [
    pytest.mark.cpu,
    pytest.mark.filterwarnings("ignore::unspool.errors.NoBetterThanMeanWarning"),
]

X = data(7, 6, 4)
SEQ = {"return_sequences": True}

# Layers after an LSTM, and the steps, quantities and axes of the output.
MODELS = {
    "one number": ([L.Dense(1)], (1, 1, 2)),
    "steps of one quantity": ([L.Dense(8, "relu"), L.Dense(3)], (3, 1, 2)),
    "steps of two quantities": ([L.Dense(6), L.Reshape((3, 2))], (3, 2, 3)),
    "a decoder": ([L.RepeatVector(3), L.LSTM(5, **SEQ), L.TimeDistributed(L.Dense(2))], (3, 2, 3)),
    "no output layer": ([L.RepeatVector(3), L.LSTM(2, **SEQ)], (3, 2, 3)),
    "pieces": ([L.Reshape((2, 3)), L.LSTM(5, **SEQ), L.Dense(1)], (2, 1, 3)),
    "flat pieces": ([L.Reshape((2, 3)), L.LSTM(10), L.Reshape((2, 5))], (2, 5, 3)),
    "more than there are features": ([L.Dense(12), L.Reshape((2, 6))], (2, 6, 3)),
    "bounded": ([L.Dense(1, "sigmoid")], (1, 1, 2)),
}


def fresh(layer):
    return layer.__class__.from_config(layer.get_config())


def many_in(layers, *before):
    """A model with two LSTM layers, and then these."""
    encoder = [L.LSTM(6, **SEQ), L.LSTM(6)]
    return randomised(Sequential([Input((6, 4)), *before, *encoder, *map(fresh, layers)]))


@pytest.mark.parametrize("name", MODELS)
def test_outputs_that_are_no_features_are_quantities_of_y(name, tmp_path):
    layers, (steps, quantities, axes) = MODELS[name]
    theirs = many_in(layers)
    theirs.save(tmp_path / "model.keras")
    ours, expected = from_keras(tmp_path / "model.keras"), predicted(theirs, X)
    assert type(ours).__name__ == "LSTMForecaster"
    assert (ours.targets, ours.scaling, ours.horizon_) == ("y", "none", steps)
    assert expected.shape == ((7, steps, quantities) if axes == 3 else (7, steps))
    near(ours.predict(X), expected)
    ours.save(tmp_path / "model.unspool")
    near(unspool.load(tmp_path / "model.unspool").predict(X), expected)
    near(unspool.runtime.load(tmp_path / "model.unspool").forecast(X), expected)

    again = clone(ours).set_params(epochs=1, verbose=0, random_state=0).fit(X, expected)
    assert again.predict(X).shape == expected.shape
    assert [tuple(w.shape) for w in again.module_.state_dict().values()] == [
        tuple(w.shape) for w in ours.module_.state_dict().values()
    ]


@pytest.mark.parametrize("name", MODELS)
def test_models_of_a_quantity_survive_the_way_to_keras_and_back(name):
    ours = from_keras(many_in(MODELS[name][0]))
    expected = ours.predict(X).reshape(7, ours.horizon_, -1)
    exported = to_keras(ours)
    near(predicted(exported, X, np.ones((7, 6), bool)), expected)
    again = from_keras(exported, forecast=True, max_length=6)
    near(again.predict(X), expected)
    assert again.get_params() == ours.get_params()


@pytest.mark.parametrize("y", [X[:, 0, 0], X[:, :2, 0], X[:, :3, :2]], ids=["N", "N K", "N K n"])
def test_a_trained_forecaster_of_a_quantity_survives_it_with_its_scaling(y):
    y = 100 + 20 * y
    ours = LSTMForecaster(5, targets="y", epochs=1, verbose=0, random_state=0).fit(X + 7, y)
    again = from_keras(to_keras(ours), forecast=True, max_length=6)
    assert (again.targets, again.scaling) == ("y", "standard")
    expected = ours.predict(X + 7)
    near(again.predict(X + 7).reshape(expected.shape), expected)
    np.testing.assert_allclose(again.scaler_.shift, ours.scaler_.shift)
    np.testing.assert_allclose(again.target_scaler_.shift, ours.target_scaler_.shift)
    np.testing.assert_allclose(again.target_scaler_.scale, ours.target_scaler_.scale)


def test_a_quantity_keeps_its_units_where_the_input_is_scaled_and_it_is_not():
    scaling = L.Normalization(mean=[1.0, 2.0, 3.0, 4.0], variance=[4.0, 1.0, 1.0, 9.0])
    theirs = many_in([L.Dense(1)], scaling)
    ours = from_keras(theirs)
    near(ours.predict(X), predicted(theirs, X))
    assert (ours.scaler_.shift.tolist(), ours.target_scaler_.scale.tolist()) == ([1, 2, 3, 4], [1])


def test_targets_of_a_trained_forecaster_come_back_as_quantities():
    ours = LSTMForecaster(
        5, horizon=2, targets=(2, 0), normalization="none", linear_steps=0, epochs=1, verbose=0,
        random_state=0,
    ).fit(10 * X)  # fmt: skip
    again = from_keras(to_keras(ours), forecast=True, max_length=4)
    assert again.targets == "y"
    near(again.predict(10 * X[:, :4]), ours.forecast(10 * X[:, :4]))


def test_a_softmax_over_all_outputs_is_no_forecast_of_single_numbers():
    softmax = L.Dense(3, "softmax", name="odd")
    with pytest.raises(InputError) as caught:
        from_keras(many_in([softmax]), forecast=True)
    assert str(caught.value) == (
        "Dense 'odd' cannot be imported: its softmax runs over all 3 outputs; add a Reshape((1, "
        "3)) after it if they are one step of a forecast."
    )
    theirs = many_in([softmax, L.Reshape((1, 3))])
    ours = from_keras(theirs)
    near(ours.predict(X), predicted(theirs, X))


@pytest.mark.parametrize("features", [2, 5])
def test_a_sequence_of_quantities_with_the_steps_of_the_input_needs_forecast_true(features):
    layers = [L.RepeatVector(6), L.LSTM(5, **SEQ), L.Dense(features)]
    theirs = many_in(layers)
    with pytest.raises(InputError, match=r"use forecast=True if they are to be .* `targets`"):
        from_keras(theirs)
    near(from_keras(theirs, forecast=True).predict(X), predicted(theirs, X))


def test_a_forecaster_of_one_number_is_exported_with_one_output():
    model = to_keras(from_keras(many_in([L.Dense(1)])))
    assert isinstance(model, keras.Model)
    assert model.output_shape == (None, 1, 1)
