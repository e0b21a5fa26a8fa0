"""Ctrl-C during `fit` keeps what was trained so far if it is usable, otherwise the older model."""

import pickle
import signal
import warnings

import numpy as np
import pytest
from sklearn.model_selection import GridSearchCV

from tests.estimators.quick import quick, sines
from tests.signals import SignalInEpoch, fresh_signals  # noqa: F401
from unspool import (
    AnomalyDetector,
    ConvAutoencoder,
    DenseAutoencoder,
    EncoderClassifier,
    LSTMAutoencoder,
    LSTMForecaster,
    StackedAutoencoder,
    load,
)
from unspool.errors import InputError, InterruptedWarning
from unspool.training import interruption
from unspool.training.batches import Batches

pytestmark = [
    pytest.mark.usefixtures("fresh_signals"),
    pytest.mark.filterwarnings("ignore::unspool.errors.NoBetterThanMeanWarning"),
]

QUICK = {"epochs": 4, "random_state": 0, "verbose": 0, "batch_size": 10}
X, LABELS = sines(40, 12, features=2), np.arange(40) % 2
CONTINUE = "the best weights so far are kept; continue with `fit(X, initial=model)`."


def fitted(model, *given, **also):
    """Fit and return the model, and the text of its only warning."""
    with pytest.warns(InterruptedWarning) as warned:
        assert model.fit(*given, **also) is model
    (one,) = warned
    assert one.filename == __file__
    return model, str(one.message)


def state(model):
    """Everything that a model holds, as bytes."""
    return pickle.dumps(model)


KINDS = {
    "lstm": LSTMAutoencoder(4, units=8, **QUICK),
    "composite": LSTMAutoencoder(4, units=8, horizon=3, **QUICK),
    "forecaster": LSTMForecaster(horizon=3, units=8, **QUICK),
    "dense": DenseAutoencoder(4, **QUICK),
    "conv": ConvAutoencoder(4, **QUICK),
    "without patience": LSTMAutoencoder(4, units=8, patience=None, **QUICK),
}


@pytest.mark.parametrize("model", KINDS.values(), ids=KINDS)
def test_a_fit_keeps_the_weights_of_the_whole_epochs(model):
    short, message = fitted(model, X, callbacks=[SignalInEpoch(3)])
    assert message == f"Training was interrupted after 2 of 4 epochs; {CONTINUE}"
    assert short.interrupted_ is True
    assert [len(short.history_[name]) for name in ("loss", "val_loss")] == [2, 2]
    output = getattr(short, "transform", None) or short.predict
    kept = output(X).copy()
    assert np.isfinite(kept).all()

    stopped = model.fit(X, callbacks=[lambda _, history: len(history["loss"]) == 2])
    assert model.interrupted_ is False
    assert stopped is short
    assert np.array_equal(kept, output(X))


def test_a_signal_in_the_last_epoch_keeps_a_whole_training():
    model, message = fitted(quick(epochs=2), X, callbacks=[SignalInEpoch(2, at="end")])
    assert message == f"Training was interrupted after 2 of 2 epochs; {CONTINUE}"
    assert np.array_equal(model.transform(X), quick(epochs=2).fit(X).transform(X))


def test_an_interrupted_model_can_be_saved_and_continued(tmp_path):
    model, _ = fitted(quick(epochs=4), X, callbacks=[SignalInEpoch(2)])
    model.save(tmp_path / "model.unspool")
    loaded = load(tmp_path / "model.unspool")
    assert np.array_equal(loaded.transform(X), model.transform(X))
    assert loaded.interrupted_ is True
    quick(epochs=1).fit(X).save(tmp_path / "whole.unspool")
    assert load(tmp_path / "whole.unspool").interrupted_ is False
    more = quick(epochs=4).fit(X, initial=model)
    assert more.history_["loss"][0] < model.history_["loss"][0]


def test_a_signal_before_the_first_step_leaves_the_model_as_before():
    model = quick(epochs=1)
    with pytest.raises(KeyboardInterrupt):
        model.fit(X, callbacks=[SignalInEpoch(1)])
    assert not model.__sklearn_is_fitted__()
    assert not hasattr(model, "interrupted_")

    before = state(model.fit(X))
    with pytest.raises(KeyboardInterrupt):
        model.fit(2 * X, callbacks=[SignalInEpoch(1)])
    assert state(model) == before


@pytest.mark.parametrize(
    ("signals", "error"),
    [
        ([signal.SIGINT, signal.SIGINT], KeyboardInterrupt),
        ([signal.SIGTERM, signal.SIGTERM], SystemExit),
        ([signal.SIGTERM, signal.SIGINT], KeyboardInterrupt),
    ],
)
def test_a_second_signal_leaves_the_model_as_before(signals, error):
    model = quick(epochs=3).fit(X)
    before = state(model)
    with pytest.raises(error):
        model.fit(2 * X, callbacks=[SignalInEpoch(2, *signals)])
    assert state(model) == before
    assert model.fit(X).interrupted_ is False


def test_a_fit_is_kept_although_its_warning_is_an_error():
    model = quick(epochs=3)
    with warnings.catch_warnings():
        warnings.simplefilter("error", InterruptedWarning)
        with pytest.raises(InterruptedWarning):
            model.fit(X, callbacks=[SignalInEpoch(2)])
    assert len(model.history_["loss"]) == 1


def test_an_interrupted_pass_of_partial_fit_is_kept():
    class SignalOnce(DenseAutoencoder):
        """Sends a signal while it reads the second batch."""

        def _batches(self, *given):
            batches = super()._batches(*given)
            gather, self.read_ = batches.gather, 0

            def signalling(indices):
                self.read_ += 1
                if self.read_ == 2 and len(self.__dict__.get("_optimizers_seen", ())):
                    signal.raise_signal(signal.SIGINT)
                return gather(indices)

            batches.gather = signalling
            return batches

    model = SignalOnce(4, **QUICK).partial_fit(X)
    model._optimizers_seen = [1]
    with pytest.warns(InterruptedWarning) as warned:
        model.partial_fit(X)
    assert [str(one.message) for one in warned] == [
        "Training was interrupted in the first of 1 epochs; the weights so far are kept; continue "
        "with `partial_fit`."
    ]
    assert model.interrupted_ is True
    assert len(model.history_["loss"]) == 2
    model._optimizers_seen = []
    assert len(model.partial_fit(X).history_["loss"]) == 3
    assert model.interrupted_ is False


def stack(**parameters):
    return StackedAutoencoder(3, hidden_units=(8,), **{**QUICK, "epochs": 2, **parameters})


def test_a_stack_without_all_of_its_layers_is_of_no_use():
    for epoch in (1, 2):
        with pytest.raises(KeyboardInterrupt):
            stack().fit(X, callbacks=[SignalInEpoch(epoch)])


def test_a_stack_whose_last_layer_has_begun_is_kept():
    model, message = fitted(stack(), X, callbacks=[SignalInEpoch(4)])
    assert message == f"Training was interrupted after 1 of 2 epochs (layer 1); {CONTINUE}"
    assert [len(layer["loss"]) for layer in model.history_["layers"]] == [2, 1]
    assert model.reconstruct(X).shape == X.shape


def test_a_stack_is_kept_if_a_signal_ends_the_fine_tuning_or_comes_before_it():
    model, message = fitted(stack(fine_tune=True), X, callbacks=[SignalInEpoch(4, at="end")])
    assert message == f"Training was interrupted after 2 of 2 epochs (layer 1); {CONTINUE}"
    assert len(model.history_["loss"]) == 1
    interruption._last_request = -interruption.SECONDS_TO_INSIST
    model, message = fitted(stack(fine_tune=True), X, callbacks=[SignalInEpoch(6)])
    assert message == f"Training was interrupted after 1 of 2 epochs; {CONTINUE}"
    assert len(model.history_["loss"]) == 1


def classifier(autoencoder=None, **parameters):
    given = {"epochs": 3, "random_state": 0, "verbose": 0, "fine_tune": True}
    return EncoderClassifier(autoencoder or quick(epochs=2), **{**given, **parameters})


class Subclass(LSTMAutoencoder):
    """An autoencoder that sends a signal in the second epoch of its fit."""

    def fit(self, *given, **also):
        return super().fit(*given, **also, callbacks=[SignalInEpoch(2)])


def test_a_classifier_without_a_head_is_of_no_use():
    with pytest.raises(KeyboardInterrupt):
        classifier(Subclass(4, units=8, **QUICK)).fit(X, LABELS)


@pytest.mark.parametrize(
    ("epoch", "at", "progress", "epochs"),
    [
        (2, "begin", "after 1 of 3 epochs (head)", [1, 1]),
        (3, "end", "after 3 of 3 epochs (head)", [3, 3]),
        (4, "begin", "after 0 of 3 epochs (fine-tuning)", [3, 1]),
        (6, "begin", "after 2 of 3 epochs (fine-tuning)", [3, 2]),
    ],
)
def test_a_classifier_with_a_head_is_kept(epoch, at, progress, epochs):
    model, message = fitted(classifier(), X, LABELS, callbacks=[SignalInEpoch(epoch, at=at)])
    assert message == f"Training was interrupted {progress}; {CONTINUE}"
    assert [len(model.head_history_["loss"]), len(model.history_["loss"])] == epochs
    assert np.isfinite(model.history_["accuracy"]).all()
    assert np.isfinite(model.predict_proba(X)).all()
    assert model.interrupted_ is True


def test_a_detector_has_thresholds_of_the_interrupted_model():
    series = np.sin(np.arange(400) / 5) + 0.1 * np.random.default_rng(0).normal(size=400)
    series = series[:, None]
    detector = AnomalyDetector(Subclass(4, units=8, **QUICK), window=8, random_state=0)
    detector, message = fitted(detector, series)
    assert message == (
        "Training was interrupted after 1 of 4 epochs; the best weights so far are kept, and "
        "scales and thresholds are those of this model; call `fit` again for a fully trained one."
    )
    assert detector.interrupted_ is True
    assert AnomalyDetector._from_contents(detector.contents(), "cpu").interrupted_ is True
    assert len(detector.model_.history_["loss"]) == 1
    assert len(detector.detect(series).scores) == 400


def test_two_signals_end_a_search():
    calls = []

    class Noted(LSTMAutoencoder):
        def fit(self, *given, **also):
            calls.append(self.units)
            return super().fit(*given, **also, callbacks=[SignalInEpoch(2)])

    search = GridSearchCV(Noted(4, **QUICK), {"units": [3, 4, 5]}, cv=2)
    with pytest.raises(KeyboardInterrupt), pytest.warns(InterruptedWarning):
        search.fit(X)
    assert calls == [3, 3]


def test_sigterm_ends_a_search_after_the_current_fit():
    calls = []

    class Noted(LSTMAutoencoder):
        def fit(self, *given, **also):
            calls.append(self.units)
            return super().fit(*given, **also, callbacks=[SignalInEpoch(2, signal.SIGTERM)])

    search = GridSearchCV(Noted(4, **QUICK), {"units": [3, 4, 5]}, cv=2)
    with pytest.raises(SystemExit) as caught, pytest.warns(InterruptedWarning):
        search.fit(X)
    assert caught.value.code == 143
    assert calls == [3, 3]


def models_with_checkpoints():
    return {
        "lstm": (LSTMAutoencoder(4, units=8, code_dropout=0.2, **{**QUICK, "epochs": 3}), ()),
        "stack": (stack(epochs=1, fine_tune=True), ()),
        "classifier": (classifier(quick(epochs=1), epochs=1), (LABELS,)),
    }


@pytest.mark.parametrize("kind", models_with_checkpoints())
def test_the_same_call_with_a_checkpoint_continues_to_the_bit(kind, tmp_path, monkeypatch):
    model, given = models_with_checkpoints()[kind]
    expected = model.fit(X, *given)
    weights = {name: one.numpy() for name, one in expected.module_.state_dict().items()}
    history = expected.history_
    step, gathered = Batches.gather, [0]

    def signalling(batches, indices):
        gathered[0] += 1
        if gathered[0] in signals:
            interruption._last_request = -interruption.SECONDS_TO_INSIST
            signal.raise_signal(signal.SIGINT)
        return step(batches, indices)

    monkeypatch.setattr(Batches, "gather", signalling)
    signals = []
    models_with_checkpoints()[kind][0].fit(X, *given)
    for place in range(2, gathered[0], 1 + gathered[0] // 12):
        gathered[0], signals[:] = 0, [place]
        path, results = tmp_path / f"{place}.ckpt", set()
        for _ in range(2):
            model, given = models_with_checkpoints()[kind]
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore", InterruptedWarning)
                    model.fit(X, *given, checkpoint=path)
            except KeyboardInterrupt:
                results.add("nothing usable")
            else:
                results.add("interrupted" if model.interrupted_ else "whole")
        assert "whole" in results
        assert model.history_ == history
        for name, weight in model.module_.state_dict().items():
            assert np.array_equal(weight.numpy(), weights[name]), (place, name)


def test_an_interrupted_fit_with_a_checkpoint_says_how_to_continue(tmp_path):
    path = tmp_path / "fit.ckpt"
    _, message = fitted(quick(epochs=3), X, callbacks=[SignalInEpoch(2)], checkpoint=path)
    assert message == (
        "Training was interrupted after 1 of 3 epochs; the best weights so far are kept; the same "
        "call of `fit` continues from the checkpoint."
    )


def test_an_interrupted_fit_with_warm_start_says_what_continues_the_checkpoint(tmp_path):
    path, given = tmp_path / "fit.ckpt", {"epochs": 3, "warm_start": True}
    model, message = fitted(quick(**given), X, callbacks=[SignalInEpoch(2)], checkpoint=path)
    assert message == (
        "Training was interrupted after 1 of 3 epochs; the best weights so far are kept; the same "
        "call of `fit` on an estimator that is as this one was before continues from the "
        "checkpoint."
    )
    with pytest.raises(InputError, match="from new weights and starts from weights with the che"):
        model.fit(X, checkpoint=path)
    continued = quick(**given).fit(X, checkpoint=path)
    assert continued.history_ == quick(epochs=3).fit(X).history_
