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
def test_a_pickle_is_restored_on_its_device_or_without_it_on_the_cpu(name, tmp_path, monkeypatch):
    model, X = ALL[name].fit(), ALL[name].X
    expected, there = answer(model, X), resolve_device("auto").type
    content = pickle.dumps(model)
    joblib.dump(model, tmp_path / "model.joblib")
    assert kinds_of_device(model) == {there}
    for restored in (pickle.loads(content), joblib.load(tmp_path / "model.joblib")):
        assert kinds_of_device(restored) == {there}
        np.testing.assert_array_equal(answer(restored, X), expected)
    monkeypatch.setattr(devices, "automatic", lambda: "cpu")
    restored = pickle.loads(content)
    assert kinds_of_device(restored) == {"cpu"}
    np.testing.assert_allclose(answer(restored, X), expected, rtol=0, atol=1e-4)


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
def test_a_classifier_and_its_model_share_the_encoder_after_unpickling(name):
    model = pickle.loads(pickle.dumps(ALL[name].fit()))
    assert model.module_.encoder is model.autoencoder_.module_.encoder


@pytest.mark.filterwarnings("ignore::unspool.errors.NoBetterThanMeanWarning")  # one epoch
def test_a_process_without_the_device_can_unpickle(tmp_path):
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
    difference = abs(model.predict_proba(RAGGED) - np.load(f"{tmp_path}/{{name}}.npy")).max()
    device = str(next(model.module_.parameters()).device)
    found.append([device, float(difference), [str(one.message) for one in caught]])
print(json.dumps(found))
"""
    )
    (device, difference, warned), (named_device, named_difference, named_warnings) = found
    assert (device, named_device) == ("cpu", "cpu")
    assert max(difference, named_difference) < 1e-4
    assert warned == []
    assert len(named_warnings) == 1
    assert named_warnings[0].startswith(
        f"`device` {str(resolve_device('auto'))!r} cannot be used ("
    )
