"""The `callbacks` of `fit`: what is called when, and what the model can do meanwhile."""

import json

import numpy as np
import pytest
import torch

from tests.estimators.quick import sines
from tests.trained import ALL
from unspool import (
    AnomalyDetector,
    DenseAutoencoder,
    EncoderClassifier,
    LSTMAutoencoder,
    StackedAutoencoder,
    load,
    runtime,
)
from unspool.callbacks import JSONLogger
from unspool.errors import InputError

pytestmark = pytest.mark.filterwarnings("ignore::unspool.errors.NoBetterThanMeanWarning")

QUICK = {"epochs": 3, "random_state": 0, "verbose": 0, "batch_size": 10}
X = sines(40, 12, features=2)
V = sines(20, 12, features=2, seed=1)
LABELS = np.arange(40) % 2


class Noted:
    """Notes each call, and whether the model is fitted then."""

    def __init__(self):
        self.calls = []

    def on_train_begin(self, model):
        self.calls.append(("train begins", model))

    def on_epoch_begin(self, model):
        self.calls.append(("epoch begins", model))

    def on_epoch_end(self, model, history):
        self.calls.append(("epoch ends", model, history))

    def on_train_end(self, model, history):
        self.calls.append(("train ends", model, history))

    @property
    def names(self):
        return [name for name, *_ in self.calls]


EPOCH = ["epoch begins", "epoch ends"]


def test_the_methods_are_called_in_order_with_the_estimator():
    noted, functions = Noted(), []
    model = DenseAutoencoder(3, validation_split=0.2, **QUICK)
    model.fit(X, callbacks=[noted, lambda *given: functions.append(given)])
    assert noted.names == ["train begins", *3 * EPOCH, "train ends"]
    assert all(one is model for _, one, *_ in noted.calls)
    assert [one for one, _ in functions] == [model] * 3
    ends = [call[2] for call in noted.calls if call[0] == "epoch ends"]
    for epoch, history in enumerate(ends):  # each call has its own lists
        assert history["loss"] == model.history_["loss"][: epoch + 1]
        assert history["val_loss"] == model.history_["val_loss"][: epoch + 1]
    assert [history for _, history in functions] == ends
    assert noted.calls[-1][2] == model.history_


def test_an_object_needs_only_some_of_the_methods():
    class Last:
        def on_train_end(self, model, history):
            self.history = history

        def __call__(self, model, history):
            raise AssertionError("an object with methods is not a function")

    last = Last()
    model = DenseAutoencoder(3, **QUICK).fit(X, callbacks=[last])
    assert last.history == model.history_


@pytest.mark.parametrize("name", ["defaults", "variational", "composite", "dense rows", "stacked",
                                  "images", "forecaster, normalised, fed back"])  # fmt: skip
def test_a_model_in_a_callback_is_that_of_the_epoch(name, tmp_path):
    """It encodes, and what it saves returns the same."""
    case, seen = ALL[name], []

    def check(model, history):
        reads = "transform" if hasattr(model, "transform") else "forecast"
        path = tmp_path / f"{len(seen)}.unspool"
        model.save(path)
        found = getattr(model, reads)(case.X)
        size = abs(found).max()
        for other in (load(path), runtime.load(path)):
            np.testing.assert_allclose(
                getattr(other, reads)(case.X), found, rtol=1e-4, atol=2e-5 * size
            )
        seen.append(found)

    plain = case.train(epochs=3, patience=None)
    watched = case.make().set_params(epochs=3, patience=None).fit(case.X, case.y, callbacks=[check])
    state = plain.module_.state_dict()
    for weight, one in watched.module_.state_dict().items():  # the callback changes nothing
        assert torch.equal(one, state[weight]), weight
    reads = plain.transform if hasattr(plain, "transform") else plain.forecast
    np.testing.assert_allclose(seen[-1], reads(case.X), rtol=1e-4, atol=1e-4 * abs(seen[-1]).max())
    assert abs(seen[0] - seen[-1]).max() > 0


def test_the_error_in_a_callback_is_the_validation_loss():
    errors, losses = [], []

    X1, V1 = X[:, :, :1], V[:, :, :1]
    model = LSTMAutoencoder(3, **QUICK)

    def in_scaled_units(model, history):
        difference = model.reconstruct(V1) - V1
        errors.append(np.mean((difference / model.scaler_.scale) ** 2))
        losses.append(history["val_loss"][-1])

    model.fit(X1, validation_data=V1, callbacks=[in_scaled_units])
    assert errors == pytest.approx(losses, rel=1e-4)
    assert len(set(losses)) == 3


@pytest.mark.parametrize("answer", [True, np.True_])
def test_training_stops_when_a_callback_returns_true(answer):
    calls = []

    def stop(model, history):
        calls.append(len(history["loss"]))
        return answer if len(calls) == 2 else None

    model = DenseAutoencoder(3, **{**QUICK, "epochs": 50}).fit(X, callbacks=[stop])
    assert len(model.history_["loss"]) == 2
    assert calls == [1, 2]


@pytest.mark.parametrize("answer", [1, "yes", [True], 0.5, None, False])
def test_nothing_but_true_stops_training(answer):
    model = DenseAutoencoder(3, **QUICK).fit(X, callbacks=[lambda model, history: answer])
    assert len(model.history_["loss"]) == 3


@pytest.mark.parametrize("method", ["on_train_begin", "on_epoch_begin", "on_epoch_end",
                                    "on_train_end"])  # fmt: skip
def test_an_error_in_a_callback_ends_the_fit_and_changes_nothing(method):
    def fail(*_):
        raise KeyError("mine")

    failing = type("Failing", (), {method: fail})()
    model = DenseAutoencoder(3, **QUICK)
    with pytest.raises(KeyError, match="mine"):
        model.fit(X, callbacks=[failing])
    assert not hasattr(model, "module_")
    model.fit(X)
    before, history = model.transform(X), model.history_
    with pytest.raises(KeyError, match="mine"):
        model.fit(X[::-1], callbacks=[failing])
    np.testing.assert_array_equal(model.transform(X), before)
    assert model.history_ is history


def test_training_ends_for_a_callback_when_another_one_fails():
    noted = Noted()

    def fail(model, history):
        raise RuntimeError

    with pytest.raises(RuntimeError):
        DenseAutoencoder(3, **QUICK).fit(X, callbacks=[noted, fail])
    assert noted.names == ["train begins", *EPOCH, "train ends"]


def test_the_best_weights_are_restored_before_training_ends():
    found = {}

    class Weights:
        def on_epoch_end(self, model, history):
            found[len(history["loss"]) - 1] = model.transform(X)

        def on_train_end(self, model, history):
            found["end"] = model.transform(X)

    # the validation loss of noise rises, so that the last epoch is not the best one
    noise = np.random.default_rng(0).normal(size=V.shape)
    model = DenseAutoencoder(3, learning_rate=0.05, learning_rate_schedule="constant",
                             **{**QUICK, "epochs": 8})  # fmt: skip
    model.fit(X, validation_data=noise, callbacks=[Weights()])
    best = model.history_["best_epoch"]
    assert best < 7
    np.testing.assert_array_equal(found["end"], found[best])
    np.testing.assert_array_equal(found["end"], model.transform(X))


def test_a_stack_calls_for_each_layer_and_for_the_whole():
    noted = Noted()
    model = StackedAutoencoder(2, hidden_units=(4,), fine_tune=True, **QUICK)
    model.fit(X, callbacks=[noted])
    assert noted.names == 3 * ["train begins", *3 * EPOCH, "train ends"]


@pytest.mark.parametrize("encoder", [LSTMAutoencoder(3, **QUICK), DenseAutoencoder(3, **QUICK)])
def test_a_classifier_predicts_and_saves_in_both_stages(encoder, tmp_path):
    stages = []

    class Check(Noted):
        def on_epoch_end(self, model, history):
            super().on_epoch_end(model, history)
            path = tmp_path / "c.unspool"
            model.save(path)
            found = model.predict_proba(V)
            np.testing.assert_allclose(load(path).predict_proba(V), found, rtol=1e-3, atol=1e-5)
            likely = np.log(found[np.arange(20), LABELS[:20]])
            stages.append((-likely.mean(), history["val_loss"][-1]))

    noted = Check()
    model = EncoderClassifier(encoder, fine_tune=True, head_units=(3,), **QUICK)
    plain = EncoderClassifier(encoder, fine_tune=True, head_units=(3,), **QUICK)
    model.fit(X, LABELS, validation_data=(V, LABELS[:20]), callbacks=[noted])
    assert noted.names == 2 * ["train begins", *3 * EPOCH, "train ends"]
    for loss, measured in stages:
        assert loss == pytest.approx(measured, rel=1e-3)
    plain.fit(X, LABELS, validation_data=(V, LABELS[:20]))
    np.testing.assert_array_equal(plain.predict_proba(X), model.predict_proba(X))


@pytest.mark.filterwarnings("ignore::unspool.errors.ThresholdWarning")
def test_callbacks_of_a_detector_get_its_model(tmp_path):
    series, noted = np.sin(np.arange(300.0) / 5)[:, None], Noted()
    detector = AnomalyDetector(DenseAutoencoder(3, **QUICK), window=8, random_state=0)
    plain = AnomalyDetector(DenseAutoencoder(3, **QUICK), window=8, random_state=0).fit(series)
    detector.fit(series, callbacks=[noted, JSONLogger(tmp_path / "log.jsonl")])
    assert noted.names == ["train begins", *3 * EPOCH, "train ends"]
    assert {type(call[1]) for call in noted.calls} == {DenseAutoencoder}
    assert noted.calls[-1][1] is detector.model_
    lines = (tmp_path / "log.jsonl").read_text().splitlines()
    kinds = [json.loads(line)["event"] for line in lines]
    assert kinds == ["start", *3 * ["epoch"], "end"]
    np.testing.assert_array_equal(
        detector.anomaly_scores(series[:50]), plain.anomaly_scores(series[:50])
    )


@pytest.mark.parametrize(
    ("callbacks", "message"),
    [
        (print, "`callbacks` must be a list of functions and objects, got <built-in function "),
        ([Noted], "Expected an object in `callbacks`, got the class Noted; give Noted()."),
        ([3], "Expected a function (model, history) in `callbacks`, or an object with a method "
              "on_train_begin, on_epoch_begin, on_epoch_end, on_train_end or on_log, got 3."),
    ],
)  # fmt: skip
def test_what_cannot_be_called_is_refused(callbacks, message):
    with pytest.raises(InputError) as error:
        DenseAutoencoder(3, **QUICK).fit(X, callbacks=callbacks)
    assert str(error.value).startswith(message)
