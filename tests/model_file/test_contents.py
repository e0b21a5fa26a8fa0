"""Whole error messages about files whose header or tensors have impossible values."""

import re

import numpy as np
import pytest

import unspool
from tests.model_file.files import changed, rewrite, tensor
from unspool import ConvAutoencoder, LSTMAutoencoder, LSTMForecaster, model_file
from unspool.errors import InputError, ModelFileError

X = np.sin(np.arange(12) / 2.1 + np.arange(40)[:, None])

pytestmark = pytest.mark.filterwarnings("ignore::unspool.errors.NoBetterThanMeanWarning")


@pytest.fixture(scope="module")
def model():
    return LSTMAutoencoder(latent_dim=3, epochs=1, random_state=0, verbose=0).fit(X)


@pytest.fixture
def path(model, tmp_path):
    model.save(tmp_path / "model.unspool")
    return tmp_path / "model.unspool"


BIAS = "module.encoder.lstm.layers.0.0.bias"

HEADERS = [
    (
        changed(model="LSTMAutoencodr"),
        "unknown `model` 'LSTMAutoencodr': did you mean 'LSTMAutoencoder'? Known are "
        "'ConvAutoencoder', 'DenseAutoencoder', 'EncoderClassifier', 'LSTMAutoencoder', "
        "'LSTMForecaster', 'StackedAutoencoder'.",
    ),
    (changed(versions=[]), "Expected `versions` to be an object with named values, got []."),
    (
        changed(versions__torch=2),
        "Expected `versions` to map names of packages to versions, got {'unspool': 'x', 'torch': "
        "2, 'numpy': 'x'}.",
    ),
    (changed(parameters=...), "`header` has no field 'parameters'."),
    (changed(more=1), "`header` has an unknown field 'more'."),
    (changed(parameters=[1]), "Expected `parameters` to be an object with named values, got [1]."),
    (changed(parameters__units=...), "The field 'units' is missing."),
    (
        changed(parameters__latent_dim=0),
        "`latent_dim` must be a whole number of at least 1, got 0.",
    ),
    (
        changed(parameters__latent_dim=True),
        "`latent_dim` must be a whole number of at least 1, got True.",
    ),
    (
        changed(parameters__latent_dim="3"),
        "`latent_dim` must be a whole number of at least 1, got '3'.",
    ),
    (
        changed(parameters__latent_dim=10**30),
        f"Expected float32 of shape ({4 * 10**30}, 1) in the tensor "
        "'module.encoder.lstm.layers.0.0.weight_ih', got float32 of shape (12, 1).",
    ),
    (
        changed(parameters__num_layers=10**9),
        "The tensor 'module.encoder.lstm.layers.1.0.weight_ih' of shape (12, 6) is missing.",
    ),
    (
        changed(parameters__decoder="rep"),
        "unknown `decoder` 'rep': did you mean 'repeat'? Known are 'dense', 'flat', 'previous', "
        "'repeat', 'reshape', 'reversed_input', 'state', 'state_previous', "
        "'state_repeat', 'state_reversed_input'.",
    ),
    (
        changed(parameters__activation="x" * 1000),
        f"unknown `activation` '{'x' * 178} … {'x' * 62}': known are 'relu', 'tanh'.",
    ),
    (
        changed(parameters__head_units=[0] * 50),
        "\n".join(["`head_units` must be a whole number of at least 1, got 0."] * 3)
        + "\nThere are 47 more errors.",
    ),
    (changed(fitted="x"), "Expected `fitted` to be an object with named values, got 'x'."),
    (changed(fitted__part=...), "`fitted` has no field 'part'."),
    (changed(fitted__classes=[]), "`fitted` has an unknown field 'classes'."),
    (
        changed(fitted__n_features=-1),
        "`n_features` must be a whole number of at least 1, got -1.",
    ),
    (
        changed(fitted__n_features=3, fitted__n_features_in=36),
        "Expected float64 of shape (3,) in the tensor 'scaler.scale', got float64 of shape (1,).",
    ),
    (
        changed(fitted__max_length=10**9),
        "`n_features_in` is 12, which does not fit sequences of 1000000000 steps and 1 features.",
    ),
    (
        changed(fitted__table=False),
        "`n_features_in` is 12, which does not fit sequences of 12 steps and 1 features.",
    ),
    (changed(fitted__y_ndim=4), "Expected `y_ndim` from 1 to 3, got 4."),
    (changed(fitted__y_ndim=1), "Expected `y_ndim` null without a forecast, got 1."),
    (changed(fitted__horizon=2), "Expected a fitted `horizon` of 0 steps, got 2."),
    (changed(parameters__horizon=2), "Expected a fitted `horizon` of 2 steps, got 0."),
    (
        changed(fitted__axes=[1, 1, 1]),
        "Expected `axes` null in a model without images, got [1, 1, 1].",
    ),
    (
        changed(fitted__window=[3, 1]),
        "Expected `window` to be [12, stride], got [3, 1].",
    ),
    (
        changed(fitted__window=[12, 1, 1]),
        "Expected `window` to be [12, stride], got [12, 1, 1].",
    ),
    (changed(fitted__window="ab"), "`window` must be a list of whole numbers, got 'ab'."),
    (
        changed(fitted__feature_names_in=[1]),
        "Expected `feature_names_in` to be a list of strings, got [1].",
    ),
    (
        changed(fitted__feature_names_in={"a": 1}),
        "Expected `feature_names_in` to be a list of strings, got {'a': 1}.",
    ),
    (changed(fitted__feature_names_in=["a"]), "Expected 12 names in `feature_names_in`, got 1."),
    (changed(fitted__history=...), "`fitted` has no field 'history'."),
    (
        changed(fitted__history=None),
        "Expected `history` to be an object with named values, got None.",
    ),
    (
        changed(fitted__history={"best_epoch": 0}),
        "The history has no 'loss'.",
    ),
    (
        changed(fitted__history__loss=[]),
        "Expected one number per epoch for 'loss' in the history, got [].",
    ),
    (
        changed(fitted__history__loss=["1"]),
        "Expected one number per epoch for 'loss' in the history, got ['1'].",
    ),
    (
        changed(fitted__history__val_loss=[1.0, 2.0]),
        "Expected one number per epoch for 'val_loss' in the history, got [1.0, 2.0].",
    ),
    (
        changed(fitted__history__best_epoch=1),
        "Expected a `best_epoch` below 1, the number of epochs, got 1.",
    ),
    (
        changed(fitted__history__best_epoch=False),
        "`best_epoch` must be a whole number of at least 0, got False.",
    ),
    (changed(fitted__history__best_epoch=...), "The field 'best_epoch' is missing."),
    (
        changed(fitted__history__layers=3),
        "Expected `layers` in the history to be a list, got 3.",
    ),
    (
        changed(fitted__history__layers=[3]),
        "Expected `history` to be an object with named values, got 3.",
    ),
]


@pytest.mark.parametrize(("change", "reason"), HEADERS, ids=[reason[:40] for _, reason in HEADERS])
def test_a_damaged_header_is_refused_with_the_reason(path, change, reason):
    rewrite(path, changed(versions={"unspool": "x", "torch": "x", "numpy": "x"}))
    rewrite(path, change)
    for read in (model_file.read, unspool.load):
        with pytest.raises(ModelFileError) as caught:
            read(path)
        assert str(caught.value) == f"{path} does not hold a usable model: {reason}"


# Parameters that only `fit` needs: `unspool.load` checks them, `read` does not.
PARAMETERS = [
    ({"learning_rate": -1}, "`learning_rate` must be a number above 0 or None, got -1."),
    ({"epochs": 0}, "`epochs` must be a whole number of at least 1 or 'auto', got 0."),
    ({"scaling": 3}, "unknown `scaling` 3: known are 'minmax', 'none', 'robust', 'standard'."),
    (
        {"random_state": "x"},
        "`random_state` must be a whole number from 0 to 4294967295 or None, got 'x'.",
    ),
    (
        {"random_state": 2**32},
        "`random_state` must be a whole number from 0 to 4294967295 or None, got 4294967296.",
    ),
    ({"epochs": ...}, "The parameter 'epochs' is missing."),
]


@pytest.mark.parametrize(("change", "reason"), PARAMETERS, ids=str)
def test_wrong_parameters_of_training_are_refused_by_load_alone(path, change, reason):
    rewrite(path, changed(**{f"parameters__{name}": value for name, value in change.items()}))
    model_file.read(path)
    with pytest.raises(ModelFileError) as caught:
        unspool.load(path)
    assert str(caught.value) == f"{path} does not hold a usable model: {reason}"


def test_an_unknown_parameter_is_refused_with_a_suggestion(path):
    rewrite(path, changed(parameters__lattent_dim=3))
    with pytest.raises(ModelFileError, match=re.escape("did you mean 'latent_dim'?")):
        unspool.load(path)


def test_all_wrong_parameters_are_reported_at_once(path):
    rewrite(path, changed(parameters__epochs=0, parameters__batch_size=0, parameters__patience=0))
    with pytest.raises(ModelFileError) as caught:
        unspool.load(path)
    assert str(caught.value) == (
        f"{path} does not hold a usable model: "
        "`batch_size` must be a whole number of at least 1, got 0.\n"
        "`epochs` must be a whole number of at least 1 or 'auto', got 0.\n"
        "`patience` must be a whole number of at least 1, 'auto' or None, got 0."
    )


def test_an_unknown_device_is_an_input_error_and_not_a_fault_of_the_file(path):
    with pytest.raises(InputError, match="`device` 'gpu5' cannot be used") as caught:
        unspool.load(path, device="gpu5")
    assert not isinstance(caught.value, ModelFileError)


def poison(array):
    array = array.copy()
    array[1] = np.nan
    return array


TENSORS = [
    (
        tensor(BIAS, poison),
        f"The tensor {BIAS!r} contains NaN or infinity.",
    ),
    (
        tensor("scaler.shift", lambda _: None),
        "The tensor 'scaler.shift' of shape (1,) is missing.",
    ),
    (tensor(BIAS, lambda _: None), f"The tensor {BIAS!r} of shape (12,) is missing."),
    (
        tensor("module.more", lambda _: np.zeros(1, np.float32)),
        "Unknown tensor 'module.more': LSTMAutoencoder has no such part.",
    ),
    (
        tensor("other", lambda _: np.zeros(1, np.float32)),
        "Unknown tensor 'other': LSTMAutoencoder has no such part.",
    ),
    (
        tensor("scaler.scale", lambda array: -array),
        "Expected positive numbers in the tensor 'scaler.scale'.",
    ),
    (
        tensor(BIAS, lambda array: array.astype(np.float64)),
        f"Expected float32 of shape (12,) in the tensor {BIAS!r}, got float64 of shape (12,).",
    ),
    (
        tensor("scaler.shift", lambda array: array.astype(np.float32)),
        "Expected float64 of shape (1,) in the tensor 'scaler.shift', got float32 of shape (1,).",
    ),
    (
        tensor(BIAS, lambda array: array[:0]),
        f"Expected float32 of shape (12,) in the tensor {BIAS!r}, got float32 of shape (0,).",
    ),
]


@pytest.mark.parametrize(("change", "reason"), TENSORS, ids=[reason[:60] for _, reason in TENSORS])
def test_a_damaged_tensor_is_refused_with_the_reason(path, change, reason):
    rewrite(path, change)
    with pytest.raises(ModelFileError) as caught:
        unspool.load(path)
    assert str(caught.value) == f"{path} does not hold a usable model: {reason}"


@pytest.mark.parametrize("dtype", [np.int32, np.int64, np.float16, bool])
def test_a_tensor_of_another_dtype_is_refused(path, dtype):
    rewrite(path, tensor(BIAS, lambda array: array.astype(dtype)))
    named = {"int32": "I32", "int64": "I64", "float16": "F16", "bool": "BOOL"}
    with pytest.raises(ModelFileError) as caught:
        unspool.load(path)
    assert str(caught.value) == (
        f"{path} is damaged: its tensor {BIAS!r} cannot be read (expected F32 or F64, got "
        f"{named[np.dtype(dtype).name]}); get a good copy."
    )


def test_a_forecaster_with_horizon_zero_is_refused(tmp_path):
    LSTMForecaster(latent_dim=2, epochs=1, verbose=0).fit(X).save(tmp_path / "m")
    rewrite(tmp_path / "m", changed(fitted__horizon=0))
    with pytest.raises(ModelFileError) as caught:
        unspool.load(tmp_path / "m")
    assert str(caught.value) == (
        f"{tmp_path / 'm'} does not hold a usable model: "
        "Expected a fitted `horizon` of at least 1 steps, got 0."
    )


def test_a_horizon_longer_than_the_rows_of_the_table_is_refused(tmp_path):
    LSTMForecaster(latent_dim=2, epochs=1, verbose=0).fit(X).save(tmp_path / "m")
    rewrite(tmp_path / "m", changed(fitted__horizon=10**9))
    with pytest.raises(ModelFileError) as caught:
        unspool.load(tmp_path / "m")
    assert str(caught.value) == (
        f"{tmp_path / 'm'} does not hold a usable model: `n_features_in` is 12, which does not "
        "fit sequences of 1000000011 steps and 1 features."
    )


IMAGES = np.random.default_rng(0).uniform(size=(20, 6, 4))
CONVOLUTIONS = [
    (
        changed(fitted__axes=None),
        "Expected `axes` whose product is 24, got None.",
    ),
    (
        changed(fitted__axes=[24, 2]),
        "Expected `axes` whose product is 24, got [24, 2].",
    ),
    (
        changed(parameters__image_shape=[4, 4]),
        "Images of shape (4, 4, 1) do not fit `max_length` 24 and `n_features` 1.",
    ),
    (
        changed(parameters__pool_size=10**9),
        "Expected `strides` times `pool_size` of at most 1024, got 1 · 1000000000.",
    ),
    (
        changed(parameters__strides=(200,)),
        "Expected `strides` times `pool_size` of at most 1024, got 200 · 6.",
    ),
    (
        changed(parameters__strides=(1, 1)),
        "`strides` has 2 numbers, but `filters` has 1; give one number for all convolutions, or "
        "one for each.",
    ),
    (
        changed(parameters__kernel_size=10**9),
        "Expected float32 of shape (2, 1, 1000000000, 1000000000) in the tensor "
        "'module.encoder.convolutions.0.weight', got float32 of shape (2, 1, 3, 3).",
    ),
]


@pytest.mark.parametrize(
    ("change", "reason"), CONVOLUTIONS, ids=[reason[:50] for _, reason in CONVOLUTIONS]
)
def test_a_damaged_header_of_images_is_refused_with_the_reason(tmp_path, change, reason):
    model = ConvAutoencoder(
        latent_dim=2, filters=(2,), pool_size=6, image_shape=(6, 4), epochs=1, verbose=0
    )
    model.fit(IMAGES).save(tmp_path / "m")
    rewrite(tmp_path / "m", change)
    with pytest.raises(ModelFileError) as caught:
        model_file.read(tmp_path / "m")
    assert str(caught.value) == f"{tmp_path / 'm'} does not hold a usable model: {reason}"


def test_axes_that_contradict_the_image_shape_are_refused(tmp_path):
    model = ConvAutoencoder(
        latent_dim=2, filters=(2,), image_shape=(6, 4), epochs=1, verbose=0
    ).fit(IMAGES)
    model.save(tmp_path / "m")
    rewrite(tmp_path / "m", changed(fitted__axes=[4, 6]))
    with pytest.raises(
        ModelFileError, match=re.escape("images of shape (6, 4, 1) can be given, got [4, 6].")
    ):
        model_file.read(tmp_path / "m")
