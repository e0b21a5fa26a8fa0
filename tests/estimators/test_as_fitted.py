"""What was fitted is what runs and is written, whatever is done to the estimator afterwards."""

import pickle
import warnings

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

import unspool
from tests.trained import ALL, LABELS, RAGGED, rows
from unspool import (
    ConvAutoencoder,
    EncoderClassifier,
    LSTMAutoencoder,
    LSTMForecaster,
    runtime,
)
from unspool.errors import InputError, ParametersChangedWarning
from unspool.training.optimizers import CompiledOptimizer

pytestmark = pytest.mark.filterwarnings("ignore::unspool.errors.NoBetterThanMeanWarning")

METHODS = ("transform", "reconstruct", "reconstruction_error", "score", "forecast", "predict")
QUICK = {"epochs": 1, "random_state": 0, "verbose": 0}

# Other values for parameters of every kind; those that a model does not have are left out.
CHANGES = {
    "activation": "relu",
    "recurrent_activation": "hard_sigmoid",
    "code_activation": "elu",
    "output_activation": "sigmoid",
    "decoder": "state",
    "loss": "nonsense",
    "latent_dim": 2,
    "units": 7,
    "hidden_units": (2,),
    "filters": (1,),
    "pool_size": 3,
    "image_shape": (1, 1),
    "horizon": 1,
    "kl_weight": 3.0,
    "scaling": "none",
    "learning_rate": -1,
    "backend": "stepwise",
}


def outputs(model, X):
    found = {}
    for name in METHODS:
        if name == "forecast" and not getattr(model, "horizon_", 0):
            continue
        if name == "score" and not hasattr(model, "reconstruct"):
            continue
        if hasattr(model, name):
            found[name] = getattr(model, name)(X)
    return found


def same(found, expected):
    assert set(found) == set(expected)
    for name, values in expected.items():
        np.testing.assert_array_equal(found[name], values, name)


CASES = [
    "repeat", "relu", "variational", "composite", "dense rows", "stacked", "images",
    "flat images", "convolved sequences", "forecaster, dense", "classifier, lstm",
]  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_set_params_after_fit_changes_nothing_that_was_fitted(name, tmp_path):
    case = ALL[name]
    model = case.fit()
    expected, contents = outputs(model, case.X), model.contents()
    known = model.get_params(deep=False)
    model.set_params(**{name: value for name, value in CHANGES.items() if name in known})
    same(outputs(model, case.X), expected)
    same(outputs(pickle.loads(pickle.dumps(model)), case.X), expected)
    with pytest.warns(ParametersChangedWarning):
        model.save(tmp_path / "m")
    same(outputs(unspool.load(tmp_path / "m", device="cpu"), case.X), expected)
    with pytest.warns(ParametersChangedWarning):
        assert model.contents().parameters == contents.parameters


def test_the_warning_names_what_was_changed_and_no_other():
    model = LSTMAutoencoder(3, **QUICK).fit(rows())
    model.set_params(verbose=1, random_state=4, device="cpu")
    model.contents()  # says nothing: warnings are errors here
    model.set_params(latent_dim=9, activation="relu")
    with pytest.warns(ParametersChangedWarning) as caught:
        model.contents()
    assert [str(one.message) for one in caught] == [
        "The model is saved as it was fitted, but `activation` was 'tanh' and is now 'relu', "
        "`latent_dim` was 3 and is now 9; call `fit` again to apply the change."
    ]
    assert clone(model).latent_dim == 9


def test_a_list_that_is_changed_in_place_changes_nothing_either():
    filters = [2]
    model = ConvAutoencoder(3, filters=filters, **QUICK).fit(RAGGED)
    maps = model.feature_maps(RAGGED)
    filters[0] = 5
    np.testing.assert_array_equal(model.feature_maps(RAGGED), maps)
    with pytest.warns(ParametersChangedWarning):
        assert model.contents().parameters["filters"] == [2]


def test_a_classifier_keeps_the_model_that_it_was_given():
    inner = LSTMAutoencoder(3, **QUICK)
    model = EncoderClassifier(inner, **QUICK).fit(RAGGED, LABELS)
    before = model.contents().parameters
    model.set_params(autoencoder__activation="relu")
    with pytest.warns(ParametersChangedWarning):
        assert model.contents().parameters == before
    assert before["autoencoder"]["parameters"]["activation"] == "tanh"


def test_a_fitted_model_given_to_a_classifier_is_written_with_what_it_was_fitted_with():
    inner = LSTMAutoencoder(3, **QUICK).fit(RAGGED)
    inner.set_params(activation="relu")
    contents = EncoderClassifier(inner, **QUICK).fit(RAGGED, LABELS).contents()
    assert contents.parameters["autoencoder"]["parameters"]["activation"] == "tanh"
    assert contents.fitted["autoencoder"]["parameters"]["activation"] == "tanh"


def test_the_runtime_computes_the_numbers_of_the_model_that_was_fitted():
    model = LSTMForecaster(3, horizon=2, **QUICK).fit(rows())
    expected = model.forecast(rows())
    model.set_params(activation="relu", decoder="repeat")
    with pytest.warns(ParametersChangedWarning):
        contents = model.contents()
    np.testing.assert_allclose(runtime.Model(contents).forecast(rows()), expected, rtol=1e-5)


@pytest.mark.parametrize("kind", ["parameters", "data", "interruption"])
@pytest.mark.parametrize("name", ["repeat", "composite", "images", "stacked", "classifier, lstm"])
def test_a_fit_that_fails_leaves_the_fitted_model_as_it_was(name, kind, monkeypatch):
    case = ALL[name]
    model = case.fit()
    expected, before = outputs(model, case.X), dict(vars(model))
    X, error = case.X, KeyboardInterrupt if kind == "interruption" else InputError
    if kind == "parameters":
        model.set_params(batch_size=0)
    if kind == "data":
        X = np.full((3, 4, 5), np.inf)
    if kind == "interruption":

        def interrupt(*_, **__):
            raise KeyboardInterrupt

        monkeypatch.setattr(CompiledOptimizer, "zero_grad", interrupt)
    y = case.y[: len(X)] if case.y is not None else None
    with warnings.catch_warnings(), pytest.raises(error):
        model.fit(X, y)
    same(outputs(model, case.X), expected)
    model.set_params(batch_size=before["batch_size"])
    assert vars(model).keys() == before.keys()


def test_an_interrupted_first_fit_leaves_no_fitted_model(monkeypatch):
    model = LSTMAutoencoder(3, **QUICK)

    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(CompiledOptimizer, "zero_grad", interrupt)
    with pytest.raises(KeyboardInterrupt):
        model.fit(rows())
    with pytest.raises(NotFittedError):
        model.transform(rows())
    assert set(vars(model)) == set(model.get_params())


@pytest.mark.parametrize("missing", ["validation_steps", "_parameters"])
def test_a_pickle_of_another_version_is_refused_in_words(missing):
    model = LSTMAutoencoder(3, **QUICK).fit(rows())
    del model.__dict__[missing]
    blob = pickle.dumps(model)
    with pytest.raises(InputError) as caught:
        pickle.loads(blob)
    assert str(caught.value) == (
        "This LSTMAutoencoder was pickled by another version of unspool; unpickle it with "
        "that version and call `save`, whose files all later versions read."
    )
