"""A classifier in a model file: it comes back as it was, and damage is told."""

import json
import re

import numpy as np
import pytest
import safetensors.torch
import torch
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator

import unspool
from tests.estimators.quick import sines
from unspool import DenseAutoencoder, EncoderClassifier, LSTMAutoencoder, LSTMForecaster
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


def parts(path):
    with safetensors.safe_open(path, framework="pt") as file:
        header = json.loads(file.metadata()["unspool"])
        return header, {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118


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


def test_the_device_is_that_of_load(path):
    for device in ("cpu", "auto"):
        again = unspool.load(path, device=device)
        assert again.device == again.autoencoder.device == again.autoencoder_.device == device


def test_the_file_holds_the_encoder_and_no_decoder(path):
    header, tensors = parts(path)
    assert header["model"] == "EncoderClassifier"
    assert header["fitted"]["classes"] == {"dtype": "<U1", "values": ["a", "b", "c"]}
    assert not [name for name in tensors if "decoder" in name]
    assert tensors["head.2.weight"].shape == (3, 4)


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


def test_a_random_state_that_is_no_number_is_left_out(tmp_path):
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
        "str, int, bool or float, or numbers of NumPy's."
    )
    assert list(tmp_path.iterdir()) == []


def changed(**changes):
    def change(header, _):
        for key, value in changes.items():
            place = header
            *way, last = key.split("__")
            for name in way:
                place = place[name]
            if value is ...:
                del place[last]
            else:
                place[last] = value

    return change


def labels(dtype, *values):
    return changed(fitted__classes={"dtype": dtype, "values": list(values)})


def tensor(name, change):
    def put(_, tensors):
        tensors[name] = change(tensors.get(name))

    return put


DAMAGE = {
    "another autoencoder": (
        changed(fitted__autoencoder__model="LSTMAutoencodr"),
        "did you mean 'LSTMAutoencoder'?",
    ),
    "a classifier in it": (
        changed(fitted__autoencoder__model="EncoderClassifier"),
        "unknown model 'EncoderClassifier'",
    ),
    "no autoencoder": (changed(fitted__autoencoder=...), "KeyError"),
    "its parameter": (
        changed(fitted__autoencoder__parameters__latent_dim=0),
        "`latent_dim` must be a whole number",
    ),
    "its size": (changed(fitted__autoencoder__parameters__latent_dim=4), "size mismatch"),
    "its vast size": (
        changed(fitted__autoencoder__parameters__latent_dim=10**9),
        "Storage size",
    ),
    "the one given": (
        changed(parameters__autoencoder__parameters__latent_dim=0),
        "`latent_dim` must be a whole number",
    ),
    "the class of the one given": (
        changed(parameters__autoencoder__model="EncoderClassifier"),
        "unknown model 'EncoderClassifier'",
    ),
    "a parameter": (changed(parameters__epochs=0), "`epochs` must be a whole number"),
    "an unknown parameter": (changed(parameters__epoch=3), "did you mean 'epochs'?"),
    "a missing parameter": (changed(parameters__autoencoder=...), "KeyError"),
    "the head": (changed(parameters__head_units=[5]), "size mismatch"),
    "a vast head": (changed(parameters__head_units=[10**12, 10**12]), "Storage size"),
    "more layers": (changed(parameters__head_units=[4, 4]), "Missing key"),
    "history": (changed(fitted__history={"loss": []}), "history"),
    "history of the head": (changed(fitted__head_history={"loss": []}), "history"),
    "one class fewer": (labels("<U1", "a", "b"), "size mismatch"),
    "one class": (labels("<U1", "a"), "Expected two classes or more, each once and sorted"),
    "no class": (labels("<U1"), "Expected the names of classes as <U1, got []."),
    "a class twice": (labels("<U1", "a", "b", "b"), "each once and sorted"),
    "classes in disorder": (labels("<U1", "b", "a", "c"), "each once and sorted"),
    "numbers for strings": (labels("<U1", 1, 2, 3), "Expected the names of classes as <U1"),
    "strings for numbers": (labels("<i8", "a", "b"), "Expected the names of classes as <i8"),
    "truth for numbers": (labels("<i8", False, True), "Expected the names of classes as <i8"),
    "mixed objects": (labels("|O", 1, "b"), "Expected the names of classes as |O"),
    "lists": (labels("|O", ["a"], ["b"]), "Expected the names of classes as |O"),
    "too large": (labels("|u1", 1, 2, 300), "Expected the names of classes as |u1: "),
    "another dtype": (labels("<M8[D]", "2020-01-01", "2021-01-01"), "Expected the names"),
    "no dtype": (labels("what", "a", "b", "c"), "TypeError"),
    "nan in the head": (
        tensor("head.0.weight", lambda t: t * float("nan")),
        "the tensor 'head.0.weight' holds others.",
    ),
    "nan in the encoder": (
        tensor("autoencoder.module.encoder.lstm.layers.0.0.bias", lambda t: t * float("nan")),
        "holds others.",
    ),
    "a head of other numbers": (
        tensor("head.0.weight", lambda t: t.double()),
        "Expected torch.float32 in the tensor 'head.0.weight'",
    ),
    "more tensors": (tensor("head.9.weight", lambda _: torch.zeros(1)), "Unexpected key"),
    "more of the encoder": (
        tensor("autoencoder.module.more", lambda _: torch.zeros(1)),
        "Unexpected key",
    ),
    "another's tensor": (tensor("other", lambda _: torch.zeros(1)), "Unexpected key"),
    "a tensor fewer": (lambda _, tensors: tensors.pop("head.0.bias"), "Missing key"),
    "no scaler": (lambda _, tensors: tensors.pop("autoencoder.scaler.shift"), "scaler.shift"),
}


@pytest.mark.parametrize(("change", "reason"), DAMAGE.values(), ids=DAMAGE)
def test_a_damaged_file(path, change, reason):
    header, tensors = parts(path)
    change(header, tensors)
    safetensors.torch.save_file(tensors, path, {"unspool": json.dumps(header)})
    with pytest.raises(ModelFileError, match=re.escape(reason)) as caught:
        unspool.load(path)
    assert str(caught.value).startswith(f"{path} does not hold a usable model")
