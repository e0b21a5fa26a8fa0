"""A model that was fitted on the device is pickled, copied and opened elsewhere."""

import copy
import pickle

import joblib
import numpy as np
import pytest
import torch

from tests.lstm.processes import in_process
from tests.trained import ALL, RAGGED
from unspool.nn import device as devices
from unspool.nn.device import resolve_device

NAMES = ["state, both ways, two layers", "stacked", "images", "forecaster, dense"]
CLASSIFIERS = ["classifier, lstm", "classifier, images"]


def answer(model, X):
    name = next(n for n in ("transform", "predict_proba", "forecast") if hasattr(model, n))
    return getattr(model, name)(X)


def kinds_of_device(model):
    return {weight.device.type for weight in model.module_.parameters()}


@pytest.mark.parametrize("name", [*NAMES, *CLASSIFIERS])
def test_a_pickle_comes_back_on_the_device_and_opens_without_it(name, tmp_path, monkeypatch):
    model, X = ALL[name].fit(), ALL[name].X
    expected, there = answer(model, X), resolve_device("auto").type
    content = pickle.dumps(model)
    joblib.dump(model, tmp_path / "model.joblib")
    assert kinds_of_device(model) == {there}
    for again in (pickle.loads(content), joblib.load(tmp_path / "model.joblib")):
        assert kinds_of_device(again) == {there}
        np.testing.assert_array_equal(answer(again, X), expected)
    monkeypatch.setattr(devices, "automatic", lambda: "cpu")
    again = pickle.loads(content)
    assert kinds_of_device(again) == {"cpu"}
    np.testing.assert_allclose(answer(again, X), expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize("name", [*NAMES, *CLASSIFIERS])
def test_a_copy_stays_on_the_device(name, monkeypatch):
    model, X = ALL[name].fit(), ALL[name].X
    monkeypatch.setattr(devices, "automatic", lambda: "cpu")
    copied = copy.deepcopy(model)
    there = kinds_of_device(model)
    assert there != {"cpu"}
    assert kinds_of_device(copied) == there
    np.testing.assert_array_equal(answer(copied, X), answer(model, X))
    with torch.no_grad():
        for weight in copied.module_.parameters():
            weight.zero_()
    assert np.abs(answer(model, X)).max() > 0


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_a_classifier_and_its_model_share_the_encoder_in_a_pickle_too(name):
    model = pickle.loads(pickle.dumps(ALL[name].fit()))
    assert model.module_.encoder is model.autoencoder_.module_.encoder


@pytest.mark.filterwarnings("ignore::unspool.errors.NoBetterThanMeanWarning")  # one epoch
def test_a_process_without_the_device_opens_the_pickle(tmp_path):
    X = RAGGED
    for name, device in (("auto", "auto"), ("named", str(resolve_device("auto")))):
        case = ALL["classifier, lstm"]
        model = case.make().set_params(device=device)
        model.autoencoder.set_params(device=device)
        model.fit(X, case.y)
        (tmp_path / f"{name}.pickle").write_bytes(pickle.dumps(model))
        np.save(tmp_path / f"{name}.npy", model.predict_proba(X))
    found = in_process(
        f"""
import json, pickle, warnings
import numpy as np
from tests.trained import RAGGED
found = []
for name in ("auto", "named"):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("default")
        with open(f"{tmp_path}/{{name}}.pickle", "rb") as file:
            model = pickle.load(file)
    apart = abs(model.predict_proba(RAGGED) - np.load(f"{tmp_path}/{{name}}.npy")).max()
    device = str(next(model.module_.parameters()).device)
    found.append([device, float(apart), [str(one.message) for one in caught]])
print(json.dumps(found))
"""
    )
    (device, apart, told), (named_device, named_apart, named_told) = found
    assert (device, named_device) == ("cpu", "cpu")
    assert max(apart, named_apart) < 1e-4
    assert told == []
    assert len(named_told) == 1
    assert named_told[0].startswith(f"`device` {str(resolve_device('auto'))!r} cannot be used (")
