"""Pickles and copies of fitted models; those of other devices are in tests/devices."""

import copy
import pickle
import warnings

import numpy as np
import pytest
import torch

from tests.trained import ALL

NAMES = ["repeat, both ways, two layers", "stacked", "images", "forecaster, dense"]
CLASSIFIERS = ["classifier, lstm", "classifier, images"]
WARNING_TEXT = (
    "`device` 'cuda:99' cannot be used (",
    "). Use 'auto' or 'cpu'. The model was loaded to the CPU. Set `device` before you fit it "
    "again.",
)


def answer(model, X):
    name = next(n for n in ("transform", "predict_proba", "forecast") if hasattr(model, n))
    return getattr(model, name)(X)


def missing(model):
    """The model with a device that this machine does not have, as one of another machine has."""
    for name in ("device", "autoencoder__device"):
        if name in model.get_params():
            model.set_params(**{name: "cuda:99"})
    if hasattr(model, "autoencoder_"):
        model.autoencoder_.set_params(device="cuda:99")
    return model


@pytest.mark.cpu
@pytest.mark.parametrize("name", [*NAMES, *CLASSIFIERS])
def test_a_pickle_of_a_model_whose_device_is_not_there_runs_on_the_cpu_and_says_so_once(name):
    model, X = missing(ALL[name].fit()), ALL[name].X
    content = pickle.dumps(model)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("default")
        again = pickle.loads(content)
    (reported,) = (str(one.message) for one in caught)
    assert reported.startswith(WARNING_TEXT[0])
    assert reported.endswith(WARNING_TEXT[1])
    assert again.get_params()["device"] == "cuda:99"
    np.testing.assert_array_equal(answer(again, X), answer(model, X))


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_a_classifier_and_its_model_share_the_encoder_in_pickles_and_copies(name):
    model, X = ALL[name].fit(), ALL[name].X
    for again in (pickle.loads(pickle.dumps(model)), copy.deepcopy(model)):
        assert again.module_.encoder is again.autoencoder_.module_.encoder
        assert again.module_.encoder is not model.module_.encoder
        assert list(again.module_.state_dict()) == list(model.module_.state_dict())
        np.testing.assert_array_equal(answer(again, X), answer(model, X))


@pytest.mark.parametrize("name", [*NAMES, *CLASSIFIERS])
def test_a_copy_shares_no_weights(name):
    model, X = ALL[name].fit(), ALL[name].X
    expected, copied = answer(model, X), copy.deepcopy(model)
    with torch.no_grad():
        for weight in copied.module_.parameters():
            weight.zero_()
    np.testing.assert_array_equal(answer(model, X), expected)
    assert (answer(copied, X) != expected).any()


def test_an_unfitted_model_is_pickled_without_a_look_at_its_device():
    for name in ("repeat", "classifier, lstm"):
        again = pickle.loads(pickle.dumps(missing(ALL[name].make())))
        assert again.device == "cuda:99"
        assert not again.__sklearn_is_fitted__()
