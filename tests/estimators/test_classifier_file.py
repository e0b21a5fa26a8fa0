"""A classifier in a model file: it comes back as it was, and damage is reported."""

import copy

import numpy as np
import pytest
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator

import unspool
from tests.estimators.quick import sines
from tests.model_file.files import changed, parts, rewrite, tensor
from unspool import (
    DenseAutoencoder,
    EncoderClassifier,
    LSTMAutoencoder,
    LSTMForecaster,
    model_file,
)
from unspool.errors import InputError, ModelFileError

pytestmark = pytest.mark.filterwarnings("ignore::unspool.errors.NoBetterThanMeanWarning")

X = sines(n=40, steps=12)[:, :, 0]
Y = np.array(["b", "c", "a"])[np.arange(40) % 3]
SMALL = {"latent_dim": 3, "epochs": 1, "random_state": 0, "verbose": 0}


def classifier(autoencoder, **parameters):
    given = {"epochs": 2, "head_units": (4,), "fine_tune": True, "random_state": 0, "verbose": 0}
    return EncoderClassifier(autoencoder, **{**given, **parameters})


@pytest.fixture(scope="module")
def model():
    return classifier(LSTMAutoencoder(**SMALL)).fit(X, Y)


@pytest.fixture
def path(model, tmp_path):
    model.save(tmp_path / "model.unspool")
    return tmp_path / "model.unspool"


def parameters(estimator):
    """All of them, nested ones too, but for the estimators themselves."""
    found = estimator.get_params(deep=True)
    return {name: value for name, value in found.items() if not hasattr(value, "get_params")}


GIVEN = {
    "not fitted": lambda: LSTMAutoencoder(**SMALL),
    "fitted": lambda: LSTMAutoencoder(**SMALL, decoder="state", num_layers=2).fit(X),
    "frozen": lambda: FrozenEstimator(LSTMAutoencoder(**SMALL).fit(X)),
    "dense": lambda: DenseAutoencoder(**SMALL, hidden_units=(5,)),
    "variational": lambda: DenseAutoencoder(**SMALL, kl_weight=1.0),
    "forecaster": lambda: LSTMForecaster(**SMALL),
}


@pytest.mark.parametrize("fine_tune", [False, True])
@pytest.mark.parametrize("given", GIVEN.values(), ids=GIVEN)
def test_a_loaded_classifier_is_the_saved_one(given, fine_tune, tmp_path):
    model = classifier(given(), fine_tune=fine_tune).fit(X, Y)
    model.save(tmp_path / "m")
    again = unspool.load(tmp_path / "m")
    assert type(again) is EncoderClassifier
    if not isinstance(model.autoencoder, FrozenEstimator):
        assert parameters(again) == parameters(model)
    assert again.autoencoder.get_params()["latent_dim"] == 3
    assert again.history_ == model.history_
    assert again.head_history_ == model.head_history_
    assert again.n_features_in_ == 12
    np.testing.assert_array_equal(again.classes_, model.classes_)
    np.testing.assert_array_equal(again.predict_proba(X), model.predict_proba(X))
    np.testing.assert_array_equal(again.predict(X), model.predict(X))
    assert again.score(X, Y) == model.score(X, Y)
    again.save(tmp_path / "again")
    assert (tmp_path / "again").read_bytes() == (tmp_path / "m").read_bytes()


def test_no_autoencoder_comes_back_as_none(tmp_path, monkeypatch):
    monkeypatch.setitem(LSTMAutoencoder.__init__.__kwdefaults__, "epochs", 1)
    model = classifier(None).fit(X, Y)
    model.save(tmp_path / "m")
    again = unspool.load(tmp_path / "m")
    assert again.autoencoder is None
    np.testing.assert_array_equal(again.predict_proba(X), model.predict_proba(X))


def test_the_loaded_parameter_is_not_fitted_and_a_new_fit_trains_it(path, model):
    again = unspool.load(path)
    with pytest.raises(NotFittedError):
        again.autoencoder.transform(X)
    np.testing.assert_array_equal(again.fit(X, Y).predict_proba(X), model.predict_proba(X))


def test_the_device_of_load_becomes_the_models_parameter(path):
    for device in ("cpu", "auto"):
        again = unspool.load(path, device=device)
        assert again.device == again.autoencoder.device == again.autoencoder_.device == device


def test_the_file_holds_the_encoder_and_no_decoder(path):
    header, tensors = parts(path)
    assert header["model"] == "EncoderClassifier"
    assert header["fitted"]["classes"] == {"dtype": "<U1", "values": ["a", "b", "c"]}
    assert not [name for name in tensors if "decoder" in name]
    assert tensors["module.head.2.weight"].shape == (3, 4)


def test_the_encoder_alone_is_a_file_of_its_model(path, model, tmp_path):
    model.save(tmp_path / "encoder", part="encoder")
    encoder = unspool.load(tmp_path / "encoder")
    assert type(encoder) is LSTMAutoencoder
    np.testing.assert_array_equal(encoder.transform(X), model.autoencoder_.transform(X))
    again = classifier(encoder, fine_tune=False).fit(X, Y)
    np.testing.assert_array_equal(again.autoencoder_.transform(X), encoder.transform(X))


def test_a_model_that_is_an_encoder_alone_is_saved_as_one(model, tmp_path):
    model.autoencoder_.save(tmp_path / "m")
    again = unspool.load(tmp_path / "m")
    np.testing.assert_array_equal(again.transform(X), model.autoencoder_.transform(X))


def test_a_random_state_that_is_a_generator_is_not_saved(tmp_path):
    random = np.random.RandomState(0)
    given = LSTMAutoencoder(**{**SMALL, "random_state": random})
    classifier(given, random_state=random).fit(X, Y).save(tmp_path / "m")
    again = unspool.load(tmp_path / "m")
    assert again.random_state is again.autoencoder.random_state is None


def test_a_classifier_that_is_not_fitted_is_not_saved(tmp_path):
    with pytest.raises(NotFittedError):
        EncoderClassifier().save(tmp_path / "m")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("labels", "named"),
    [
        (np.array(["2020-01-01", "2021-01-01"], "datetime64[D]"), "date"),
        (np.array([b"a", b"b"], object), "bytes"),
        (np.array([True, 2], object), "bool and int"),
    ],
    ids=["datetime64", "bytes", "mixed"],
)
def test_labels_that_would_not_come_back_are_not_written(model, labels, named, tmp_path):
    model = classifier(FrozenEstimator(model.autoencoder_)).fit(X, labels[np.arange(40) % 2])
    assert set(model.predict(X)) <= set(labels)
    with pytest.raises(InputError) as caught:
        model.save(tmp_path / "m")
    assert str(caught.value) == (
        f"Labels of type {named} cannot be written to a model file; fit on labels that are all "
        "str, all int, all bool or all float."
    )
    assert list(tmp_path.iterdir()) == []


def labels(dtype, *values):
    return changed(fitted__classes={"dtype": dtype, "values": list(values)})


MODELS = (
    "Known are 'ConvAutoencoder', 'DenseAutoencoder', 'LSTMAutoencoder', 'LSTMForecaster', "
    "'StackedAutoencoder'."
)
BIAS = "module.encoder.lstm.layers.0.0.bias"

DAMAGE = {
    "another autoencoder": (
        changed(fitted__autoencoder__model="LSTMAutoencodr"),
        f"unknown `model` 'LSTMAutoencodr': did you mean 'LSTMAutoencoder'? {MODELS}",
    ),
    "a classifier in it": (
        changed(fitted__autoencoder__model="EncoderClassifier"),
        f"unknown `model` 'EncoderClassifier': {MODELS[0].lower()}{MODELS[1:]}",
    ),
    "no autoencoder": (
        changed(fitted__autoencoder=...),
        "`fitted` has no field 'autoencoder'.",
    ),
    "no history of the autoencoder": (
        changed(fitted__autoencoder__history=...),
        "`autoencoder` has no field 'history'.",
    ),
    "its parameter": (
        changed(fitted__autoencoder__parameters__latent_dim=0),
        "`latent_dim` must be a whole number of at least 1, got 0.",
    ),
    "its parameters": (
        changed(fitted__autoencoder__parameters=3),
        "Expected `parameters` to be an object with named values, got 3.",
    ),
    "its size": (
        changed(fitted__autoencoder__parameters__latent_dim=4),
        "Expected float32 of shape (16, 1) in the tensor "
        "'module.encoder.lstm.layers.0.0.weight_ih', got float32 of shape (12, 1).",
    ),
    "its vast size": (
        changed(fitted__autoencoder__parameters__latent_dim=10**9),
        "Expected float32 of shape (4000000000, 1) in the tensor "
        "'module.encoder.lstm.layers.0.0.weight_ih', got float32 of shape (12, 1).",
    ),
    "the one given": (
        changed(parameters__autoencoder="x"),
        "Expected `autoencoder` to be an object with named values, got 'x'.",
    ),
    "the parameters of the one given": (
        changed(parameters__autoencoder__parameters=None),
        "Expected `parameters` to be an object with named values, got None.",
    ),
    "a missing parameter": (
        changed(parameters__autoencoder=...),
        "The field 'autoencoder' is missing.",
    ),
    "the head": (
        changed(parameters__head_units=[5]),
        "Expected float32 of shape (5, 3) in the tensor 'module.head.0.weight', got float32 of "
        "shape (4, 3).",
    ),
    "a vast head": (
        changed(parameters__head_units=[10**12, 10**12]),
        "Expected float32 of shape (1000000000000, 3) in the tensor 'module.head.0.weight', got "
        "float32 of shape (4, 3).",
    ),
    "more layers": (
        changed(parameters__head_units=[4, 4]),
        "Expected float32 of shape (4, 4) in the tensor 'module.head.2.weight', got float32 of "
        "shape (3, 4).",
    ),
    "history": (
        changed(fitted__history={"loss": []}),
        "Expected one number per epoch for 'loss' in the history, got [].",
    ),
    "history of the head": (
        changed(fitted__head_history={"loss": []}),
        "Expected one number per epoch for 'loss' in the history, got [].",
    ),
    "history of the autoencoder": (
        changed(fitted__autoencoder__history={"loss": []}),
        "Expected one number per epoch for 'loss' in the history, got [].",
    ),
    "one class fewer": (
        labels("<U1", "a", "b"),
        "Expected float32 of shape (2, 4) in the tensor 'module.head.2.weight', got float32 of "
        "shape (3, 4).",
    ),
    "one class": (
        labels("<U1", "a"),
        "Expected two or more sorted `classes` without repeats, got ['a'].",
    ),
    "no class": (labels("<U1"), "Expected `classes` of dtype <U1, got []."),
    "a class twice": (
        labels("<U1", "a", "b", "b"),
        "Expected two or more sorted `classes` without repeats, got ['a', 'b', 'b'].",
    ),
    "classes in disorder": (
        labels("<U1", "b", "a", "c"),
        "Expected two or more sorted `classes` without repeats, got ['b', 'a', 'c'].",
    ),
    "numbers for strings": (
        labels("<U1", 1, 2, 3),
        "Expected `classes` of dtype <U1, got [1, 2, 3].",
    ),
    "strings for numbers": (
        labels("<i8", "a", "b"),
        "Expected `classes` of dtype <i8, got ['a', 'b'].",
    ),
    "truth for numbers": (
        labels("<i8", False, True),
        "Expected `classes` of dtype <i8, got [False, True].",
    ),
    "mixed objects": (labels("|O", 1, "b"), "Expected `classes` of dtype |O, got [1, 'b']."),
    "lists": (
        labels("|O", ["a"], ["b"]),
        "Expected `classes` of dtype |O, got [['a'], ['b']].",
    ),
    "too large": (
        labels("<f2", 1.0, 2.0, 1e308),
        "Expected `classes` that fit the dtype <f2, got [1.0, 2.0, 1e+308].",
    ),
    "another dtype": (
        labels("<M8[D]", "2020-01-01", "2021-01-01"),
        "Expected `classes` with a dtype of str, int, bool or float, got '<M8[D]'.",
    ),
    "a dtype that is none": (
        labels(None, 1.0, 2.0),
        "Expected `classes` to have a dtype and a list of values, got None and [1.0, 2.0].",
    ),
    "classes by name": (
        changed(fitted__classes={"dtype": "<U1", "values": {"a": 1, "b": 2, "c": 3}}),
        "Expected `classes` to have a dtype and a list of values, got '<U1' and {'a': 1, 'b': 2, "
        "'c': 3}.",
    ),
    "no values": (
        changed(fitted__classes__values=...),
        "`classes` has no field 'values'.",
    ),
    "no dtype": (
        labels("what", "a", "b", "c"),
        "Expected `classes` with a dtype of str, int, bool or float, got 'what'.",
    ),
    "a wider class": (
        labels("<U1", "a", "b", "cc"),
        "Expected `classes` that fit the dtype <U1, got ['a', 'b', 'cc'].",
    ),
    "wider than all": (
        labels("<U9", "a", "b", "c"),
        "Expected `classes` that fit the dtype <U9, got ['a', 'b', 'c'].",
    ),
    "no dtype of NumPy's": (
        labels("<i3", 1, 2, 3),
        "Expected `classes` with a dtype of str, int, bool or float, got '<i3'.",
    ),
    "nan in the head": (
        tensor("module.head.0.weight", lambda t: t * np.float32("nan")),
        "The tensor 'module.head.0.weight' contains NaN or infinity.",
    ),
    "nan in the encoder": (
        tensor(BIAS, lambda t: t * np.float32("nan")),
        f"The tensor {BIAS!r} contains NaN or infinity.",
    ),
    "a head of other numbers": (
        tensor("module.head.0.weight", lambda t: t.astype(np.float64)),
        "Expected float32 of shape (4, 3) in the tensor 'module.head.0.weight', got float64 of "
        "shape (4, 3).",
    ),
    "more tensors": (
        tensor("module.head.9.weight", lambda _: np.zeros(1, np.float32)),
        "Unknown tensor 'module.head.9.weight': EncoderClassifier has no such part.",
    ),
    "another's tensor": (
        tensor("other", lambda _: np.zeros(1, np.float32)),
        "Unknown tensor 'other': EncoderClassifier has no such part.",
    ),
    "a tensor fewer": (
        tensor("module.head.0.bias", lambda _: None),
        "The tensor 'module.head.0.bias' of shape (4,) is missing.",
    ),
    "no scaler": (
        tensor("scaler.shift", lambda _: None),
        "The tensor 'scaler.shift' of shape (1,) is missing.",
    ),
}


@pytest.mark.parametrize(("change", "reason"), DAMAGE.values(), ids=DAMAGE)
def test_a_damaged_file_is_refused(path, change, reason):
    rewrite(path, change)
    for read in (model_file.read, unspool.load):
        with pytest.raises(ModelFileError) as caught:
            read(path)
        assert str(caught.value) == f"{path} does not hold a usable model: {reason}"


# What the weights do not depend on is left to `load`.
UNUSABLE = {
    "the one given": (
        changed(parameters__autoencoder__parameters__latent_dim=0),
        "`latent_dim` must be a whole number of at least 1, got 0.",
    ),
    "the class of the one given": (
        changed(parameters__autoencoder__model="EncoderClassifier"),
        f"unknown model 'EncoderClassifier': {MODELS[0].lower()}{MODELS[1:]}",
    ),
    "a parameter": (
        changed(parameters__epochs=0),
        "`epochs` must be a whole number of at least 1 or 'auto', got 0.",
    ),
    "a parameter of the autoencoder": (
        changed(fitted__autoencoder__parameters__learning_rate=-1),
        "`learning_rate` must be a number above 0 or None, got -1.",
    ),
    "another parameter": (
        changed(fitted__autoencoder__parameters__epochs=...),
        "The parameter 'epochs' is missing.",
    ),
}


@pytest.mark.parametrize(("change", "reason"), UNUSABLE.values(), ids=UNUSABLE)
def test_parameters_that_no_estimator_has(path, change, reason):
    rewrite(path, change)
    model_file.read(path)
    with pytest.raises(ModelFileError) as caught:
        unspool.load(path)
    assert str(caught.value) == f"{path} does not hold a usable model: {reason}"


def test_strings_come_back_no_wider_than_they_are(model, tmp_path):
    other = copy.deepcopy(model)
    other.classes_ = other.classes_.astype("<U9")
    other.save(tmp_path / "m")
    again = unspool.load(tmp_path / "m").classes_
    assert again.dtype == "<U1"
    np.testing.assert_array_equal(again, model.classes_)


def test_integers_too_large_for_their_dtype(path):
    rewrite(path, labels("|u1", 1, 2, 300))
    with pytest.raises(ModelFileError, match=r"Expected `classes` of dtype \|u1: "):
        unspool.load(path)


def test_losses_that_are_nan_are_loaded_as_nan(model, tmp_path):
    other = copy.deepcopy(model)
    other.history_ = {"loss": [float("inf")], "best_epoch": 0}
    other.head_history_ = {"loss": [float("nan")], "best_epoch": 0}
    other.save(tmp_path / "m")
    again = unspool.load(tmp_path / "m")
    np.testing.assert_equal(again.history_, {"loss": [np.nan], "best_epoch": 0})
    np.testing.assert_equal(again.head_history_, {"loss": [np.nan], "best_epoch": 0})
