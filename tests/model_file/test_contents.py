"""What a file says that cannot be so, told in full."""

import re

import numpy as np
import pytest

import unspool
from tests.model_file.files import changed, rewrite, tensor
from unspool import ConvAutoencoder, LSTMAutoencoder, LSTMForecaster, model_file
from unspool.errors import InputError, ModelFileError

X = np.sin(np.arange(12) / 2 + np.arange(40)[:, None])

pytestmark = pytest.mark.filterwarnings("ignore::unspool.errors.NoBetterThanMeanWarning")


@pytest.fixture(scope="module")
def model():
    return LSTMAutoencoder(latent_dim=3, epochs=1, random_state=0, verbose=0).fit(X)


@pytest.fixture
def path(model, tmp_path):
    model.save(tmp_path / "model.unspool")
    return tmp_path / "model.unspool"


FIELDS = "format_version, model, parameters, fitted, versions, detector"
BIAS = "module.encoder.lstm.layers.0.0.bias"
LOSS = "to be a number for every epoch, got"

HEADERS = [
    (
        changed(model="LSTMAutoencodr"),
        "unknown `model` 'LSTMAutoencodr': did you mean 'LSTMAutoencoder'? Known are "
        "'ConvAutoencoder', 'DenseAutoencoder', 'EncoderClassifier', 'LSTMAutoencoder', "
        "'LSTMForecaster', 'StackedAutoencoder'.",
    ),
    (changed(versions=[]), "Expected `versions` to be values by name, got []."),
    (
        changed(versions__torch=2),
        "Expected names and versions of packages, got {'unspool': 'x', 'torch': 2, 'numpy': 'x'}.",
    ),
    (changed(parameters=...), f"Expected the fields {FIELDS} in its header, not 'parameters'."),
    (changed(more=1), f"Expected the fields {FIELDS} in its header, not 'more'."),
    (changed(parameters=[1]), "Expected `parameters` to be values by name, got [1]."),
    (changed(parameters__units=...), "Expected 'units' in the file, got none."),
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
        "Expected a tensor 'module.encoder.lstm.layers.1.0.weight_ih' of shape (12, 6), got none.",
    ),
    (
        changed(parameters__decoder="rep"),
        "unknown `decoder` 'rep': did you mean 'repeat'? Known are 'dense', 'flat', 'previous', "
        "'repeat', 'reshape', 'reversed_input', 'state', 'state_previous', "
        "'state_reversed_input'.",
    ),
    (
        changed(parameters__activation="x" * 1000),
        f"unknown `activation` '{'x' * 178} … {'x' * 62}': known are 'relu', 'tanh'.",
    ),
    (
        changed(parameters__head_units=[0] * 50),
        "\n".join(["`head_units` must be a whole number of at least 1, got 0."] * 3)
        + "\nThere are 47 more complaints.",
    ),
    (changed(fitted="x"), "Expected `fitted` to be values by name, got 'x'."),
    (changed(fitted__part=...), "Expected a field 'part' in `fitted`."),
    (changed(fitted__classes=[]), "Expected no field 'classes' in `fitted`."),
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
        "Expected as many features in `X` as sequences of 1000000000 steps and 1 features have, "
        "got 12.",
    ),
    (
        changed(fitted__table=False),
        "Expected as many features in `X` as sequences of 12 steps and 1 features have, got 12.",
    ),
    (changed(fitted__y_ndim=4), "Expected a future `y` of 1 to 3 axes, got 4."),
    (changed(fitted__y_ndim=1), "Expected no future `y` where there is no forecast, got one."),
    (changed(fitted__horizon=2), "Expected a forecast of 0 steps, got one of 2."),
    (changed(parameters__horizon=2), "Expected a forecast of 2 steps, got one of 0."),
    (changed(fitted__axes=[1, 1, 1]), "Expected no `axes` of images in this model, got [1, 1, 1]."),
    (
        changed(fitted__window=[3, 1]),
        "Expected `window` as 12, its size, and a stride, got [3, 1].",
    ),
    (
        changed(fitted__window=[12, 1, 1]),
        "Expected `window` as 12, its size, and a stride, got [12, 1, 1].",
    ),
    (changed(fitted__window="ab"), "`window` must be a list of whole numbers, got 'ab'."),
    (
        changed(fitted__feature_names_in=[1]),
        "Expected the names of features to be strings, got [1].",
    ),
    (
        changed(fitted__feature_names_in={"a": 1}),
        "Expected the names of features to be strings, got {'a': 1}.",
    ),
    (changed(fitted__feature_names_in=["a"]), "Expected 12 names of features, got 1."),
    (changed(fitted__history=...), "Expected a field 'history' in `fitted`."),
    (changed(fitted__history=None), "Expected `history` to be values by name, got None."),
    (
        changed(fitted__history={"best_epoch": 0}),
        "Expected the history to have a 'loss' for every epoch, got none.",
    ),
    (
        changed(fitted__history__loss=[]),
        f"Expected 'loss' in the history {LOSS} [].",
    ),
    (changed(fitted__history__loss=["1"]), f"Expected 'loss' in the history {LOSS} ['1']."),
    (
        changed(fitted__history__val_loss=[1.0, 2.0]),
        f"Expected 'val_loss' in the history {LOSS} [1.0, 2.0].",
    ),
    (
        changed(fitted__history__best_epoch=1),
        "Expected the best of 1 epochs in the history, got 1.",
    ),
    (
        changed(fitted__history__best_epoch=False),
        "`best_epoch` must be a whole number of at least 0, got False.",
    ),
    (changed(fitted__history__best_epoch=...), "Expected 'best_epoch' in the file, got none."),
    (
        changed(fitted__history__layers=3),
        "Expected the history of `layers` to be a list, got 3.",
    ),
    (
        changed(fitted__history__layers=[3]),
        "Expected `history` to be values by name, got 3.",
    ),
]


@pytest.mark.parametrize(("change", "reason"), HEADERS, ids=[told[:40] for _, told in HEADERS])
def test_a_damaged_header(path, change, reason):
    rewrite(path, changed(versions={"unspool": "x", "torch": "x", "numpy": "x"}))
    rewrite(path, change)
    for read in (model_file.read, unspool.load):
        with pytest.raises(ModelFileError) as caught:
            read(path)
        assert str(caught.value) == f"{path} does not hold a usable model: {reason}"


# What a file is made from does not need, but an estimator does: `read` leaves it to `load`.
PARAMETERS = [
    ({"learning_rate": -1}, "`learning_rate` must be a number above 0 or None, got -1."),
    ({"epochs": 0}, "`epochs` must be a whole number of at least 1 or 'auto', got 0."),
    ({"scaling": 3}, "unknown `scaling` 3: known are 'minmax', 'none', 'standard'."),
    (
        {"random_state": "x"},
        "`random_state` must be a whole number from 0 to 4294967295 or None, got 'x'.",
    ),
    (
        {"random_state": 2**32},
        "`random_state` must be a whole number from 0 to 4294967295 or None, got 4294967296.",
    ),
    ({"epochs": ...}, "Expected the parameter 'epochs', but there is none."),
]


@pytest.mark.parametrize(("change", "reason"), PARAMETERS, ids=str)
def test_parameters_that_no_estimator_has(path, change, reason):
    rewrite(path, changed(**{f"parameters__{name}": value for name, value in change.items()}))
    model_file.read(path)
    with pytest.raises(ModelFileError) as caught:
        unspool.load(path)
    assert str(caught.value) == f"{path} does not hold a usable model: {reason}"


def test_a_parameter_too_many(path):
    rewrite(path, changed(parameters__lattent_dim=3))
    with pytest.raises(ModelFileError, match=re.escape("did you mean 'latent_dim'?")):
        unspool.load(path)


def test_all_complaints_about_parameters_are_told_at_once(path):
    rewrite(path, changed(parameters__epochs=0, parameters__batch_size=0, parameters__patience=0))
    with pytest.raises(ModelFileError) as caught:
        unspool.load(path)
    assert str(caught.value) == (
        f"{path} does not hold a usable model: "
        "`batch_size` must be a whole number of at least 1, got 0.\n"
        "`epochs` must be a whole number of at least 1 or 'auto', got 0.\n"
        "`patience` must be a whole number of at least 1, 'auto' or None, got 0."
    )


def test_a_device_that_there_is_not_is_no_fault_of_the_file(path):
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
        f"Expected finite numbers, but the tensor {BIAS!r} holds others.",
    ),
    (
        tensor("scaler.shift", lambda _: None),
        "Expected a tensor 'scaler.shift' of shape (1,), got none.",
    ),
    (tensor(BIAS, lambda _: None), f"Expected a tensor {BIAS!r} of shape (12,), got none."),
    (
        tensor("module.more", lambda _: np.zeros(1, np.float32)),
        "Expected no tensor 'module.more' in this model; it has no such part.",
    ),
    (
        tensor("other", lambda _: np.zeros(1, np.float32)),
        "Expected no tensor 'other' in this model; it has no such part.",
    ),
    (
        tensor("scaler.scale", lambda array: -array),
        "Expected a positive scale for each feature, got others.",
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


@pytest.mark.parametrize(("change", "reason"), TENSORS, ids=[told[:60] for _, told in TENSORS])
def test_damaged_tensors(path, change, reason):
    rewrite(path, change)
    with pytest.raises(ModelFileError) as caught:
        unspool.load(path)
    assert str(caught.value) == f"{path} does not hold a usable model: {reason}"


@pytest.mark.parametrize("dtype", [np.int32, np.int64, np.float16, bool])
def test_tensors_of_other_numbers(path, dtype):
    rewrite(path, tensor(BIAS, lambda array: array.astype(dtype)))
    named = {"int32": "I32", "int64": "I64", "float16": "F16", "bool": "BOOL"}
    with pytest.raises(ModelFileError) as caught:
        unspool.load(path)
    assert str(caught.value) == (
        f"{path} is damaged: its tensor {BIAS!r} cannot be read (expected F32 or F64, got "
        f"{named[np.dtype(dtype).name]}); get a good copy."
    )


def test_a_forecaster_without_a_forecast(tmp_path):
    LSTMForecaster(latent_dim=2, epochs=1, verbose=0).fit(X).save(tmp_path / "m")
    rewrite(tmp_path / "m", changed(fitted__horizon=0))
    with pytest.raises(ModelFileError) as caught:
        unspool.load(tmp_path / "m")
    assert str(caught.value) == (
        f"{tmp_path / 'm'} does not hold a usable model: "
        "Expected a forecast of one step or more, got one of 0."
    )


def test_a_forecast_longer_than_the_rows_that_it_was_cut_off(tmp_path):
    LSTMForecaster(latent_dim=2, epochs=1, verbose=0).fit(X).save(tmp_path / "m")
    rewrite(tmp_path / "m", changed(fitted__horizon=10**9))
    with pytest.raises(ModelFileError) as caught:
        unspool.load(tmp_path / "m")
    assert str(caught.value) == (
        f"{tmp_path / 'm'} does not hold a usable model: Expected as many features in `X` as "
        "sequences of 1000000011 steps and 1 features have, got 12."
    )


IMAGES = np.random.default_rng(0).uniform(size=(20, 6, 4))
CONVOLUTIONS = [
    (
        changed(fitted__axes=None),
        "Expected `axes` with the 24 values of an image, got None.",
    ),
    (
        changed(fitted__axes=[24, 2]),
        "Expected `axes` with the 24 values of an image, got [24, 2].",
    ),
    (
        changed(parameters__image_shape=[4, 4]),
        "Expected images of shape (4, 4, 1), got others.",
    ),
    (
        changed(parameters__pool_size=10**9),
        "Expected `pool_size` of at most 1024 here, got 1000000000.",
    ),
    (
        changed(parameters__kernel_size=10**9),
        "Expected float32 of shape (2, 1, 1000000000, 1000000000) in the tensor "
        "'module.encoder.convolutions.0.weight', got float32 of shape (2, 1, 3, 3).",
    ),
]


@pytest.mark.parametrize(
    ("change", "reason"), CONVOLUTIONS, ids=[told[:50] for _, told in CONVOLUTIONS]
)
def test_a_damaged_header_of_images(tmp_path, change, reason):
    model = ConvAutoencoder(
        latent_dim=2, filters=(2,), pool_size=6, image_shape=(6, 4), epochs=1, verbose=0
    )
    model.fit(IMAGES).save(tmp_path / "m")
    rewrite(tmp_path / "m", change)
    with pytest.raises(ModelFileError) as caught:
        model_file.read(tmp_path / "m")
    assert str(caught.value) == f"{tmp_path / 'm'} does not hold a usable model: {reason}"


def test_images_of_another_form_than_theirs(tmp_path):
    model = ConvAutoencoder(
        latent_dim=2, filters=(2,), image_shape=(6, 4), epochs=1, verbose=0
    ).fit(IMAGES)
    model.save(tmp_path / "m")
    rewrite(tmp_path / "m", changed(fitted__axes=[4, 6]))
    with pytest.raises(ModelFileError, match=re.escape("shape (6, 4, 1), got [4, 6]")):
        model_file.read(tmp_path / "m")
