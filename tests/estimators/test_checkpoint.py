"""A fit that is killed at any place continues, and ends in the same bits as one that is not."""

import numpy as np
import pytest
import torch
from sklearn.frozen import FrozenEstimator

from tests.killed import KilledError, count_batches, differences, fitted_with_kills, killed_after
from unspool import (
    AnomalyDetector,
    ConvAutoencoder,
    DenseAutoencoder,
    EncoderClassifier,
    LSTMAutoencoder,
    LSTMForecaster,
    Sequences,
    StackedAutoencoder,
    Windows,
)
from unspool.anomaly import SubPCA
from unspool.data import stored
from unspool.errors import InputError
from unspool.training import blocks

# Fits of a few epochs to noise, some with a learning rate that diverges: only their bits count.
pytestmark = [
    pytest.mark.filterwarnings("ignore::unspool.errors.NoBetterThanMeanWarning"),
    pytest.mark.filterwarnings("ignore::unspool.errors.UnstableTrainingWarning"),
    pytest.mark.filterwarnings("ignore::unspool.errors.OverlapWarning"),
    pytest.mark.filterwarnings("ignore::unspool.errors.ThresholdWarning"),
]

RNG = np.random.default_rng(0)
X = RNG.normal(size=(24, 8, 2)).cumsum(1)
RAGGED = Sequences(RNG.normal(size=(24, 8, 2)), RNG.integers(1, 9, 24))
VERY_RAGGED = Sequences(
    RNG.normal(size=(24, 200, 2)), np.concatenate([RNG.integers(1, 5, 22), [180, 200]])
)
HOLES = np.where(RNG.random(X.shape) < 0.1, np.nan, X)
LABELS = np.arange(24) % 3
SERIES = RNG.normal(size=(90, 2)).cumsum(0)
COMMON = {"batch_size": 6, "epochs": 4, "random_state": 0, "verbose": 0, "device": "cpu"}


def lstm(**more):
    return LSTMAutoencoder(**{"latent_dim": 3, "units": 4, **COMMON, **more})


def forecaster(**more):
    return LSTMForecaster(2, **{"units": 4, **COMMON, **more})


def dense(**more):
    return DenseAutoencoder(3, **{"hidden_units": (5,), **COMMON, **more})


def stacked(**more):
    return StackedAutoencoder(3, **{"hidden_units": (6, 5), **COMMON, **more})


def classifier(autoencoder, **more):
    return EncoderClassifier(autoencoder, **{**COMMON, **more})


def exploding(**more):
    """Training that diverges, and continues from earlier weights."""
    return lstm(
        activation="relu", learning_rate=300.0, global_clipnorm=None, optimizer="sgd", **more
    )


MANY_KILLS = {
    "the default model": (lambda: LSTMAutoencoder(4, **COMMON), X, {}),
    "stacked, fine-tuned": (lambda: stacked(fine_tune=True, input_noise=0.1), X, {}),
    "composite": (lambda: lstm(horizon=2, decoder="previous", input_dropout=0.2), X, {}),
    "classifier": (
        lambda: classifier(lstm(code_dropout=0.2), fine_tune=True, validation_split=0.25),
        X,
        {"y": LABELS},
    ),
}
FEW_KILLS = {
    "no random_state": (lambda: lstm(random_state=None, input_noise=0.3), X, {}),
    "a RandomState": (
        lambda: lstm(random_state=np.random.RandomState(torch.randint(99, ()).item())),
        X,
        {},
    ),
    "ragged": (lambda: lstm(bidirectional=True), RAGGED, {}),
    "very different lengths": (lambda: lstm(batch_size=3), VERY_RAGGED, {}),
    "windows, a part of them per epoch": (lambda: lstm(steps_per_epoch=3), Windows(SERIES, 8), {}),
    "missing values": (lambda: lstm(missing="mask", input_dropout=0.3), HOLES, {}),
    "weights of sequences": (lambda: lstm(), X, {"sample_weight": np.arange(24.0)}),
    "groups": (lambda: lstm(validation_split=0.3), X, {"groups": LABELS}),
    "validation data": (lambda: lstm(), X, {"validation_data": X[:5] + 1}),
    "frozen": (lambda: lstm(), X, {"freeze": "reconstruction"}),
    "early stopping": (lambda: lstm(patience=2, epochs=30, learning_rate=0.3), X, {}),
    "the last weights": (lambda: lstm(patience=None), X, {}),
    "a plateau": (
        lambda: lstm(
            learning_rate_schedule="reduce_on_plateau", plateau_patience=1, learning_rate=0.2
        ),
        X,
        {},
    ),
    "scheduled sampling": (lambda: lstm(decoder="previous", teacher_forcing=0.3), X, {}),
    "dropout": (
        lambda: lstm(num_layers=2, dropout=0.2, recurrent_dropout=0.2, kl_weight=0.1),
        X,
        {},
    ),
    "contrastive": (lambda: lstm(contrastive_weight=0.2, metrics=("mae",)), X, {}),
    "divergence": (exploding, X, {}),
    **{
        name: (lambda name=name: dense(optimizer=name, learning_rate=None), X, {})
        for name in ("rmsprop", "adamw", "nadam", "adamax", "adagrad", "adadelta", "sgd")
    },
    "convolutions": (lambda: ConvAutoencoder(3, filters=(4,), **COMMON), X, {}),
    "forecaster": (lambda: forecaster(quantiles=(0.1, 0.9), horizon=2), X, {}),
    "forecaster with y": (lambda: forecaster(horizon=None), X[:, :6], {"y": X[:, 6:]}),
    "classifier of a trained model": (
        lambda: classifier(lstm().fit(X), class_weight="balanced"),
        X,
        {"y": LABELS},
    ),
    "detector": (lambda: AnomalyDetector(lstm(), window=8, random_state=0), SERIES, {}),
    "detector without random_state": (
        lambda: AnomalyDetector(dense(random_state=None), window=8),
        SERIES,
        {},
    ),
}


def fit_of(case):
    """Return a function that fits a new estimator, as a new process would."""
    make, data, arguments = case

    def fit(checkpoint=None, **more):
        goes_on = checkpoint is not None and checkpoint.exists()
        # Without `random_state` the seeds are drawn from this generator.
        np.random.seed(8 if goes_on else 7)  # noqa: NPY002
        torch.manual_seed(8 if goes_on else 7)
        more["checkpoint"] = checkpoint
        return make().fit(data, **arguments, **more)

    return fit


@pytest.mark.parametrize("case", MANY_KILLS.values(), ids=MANY_KILLS)
def test_a_fit_that_is_killed_a_dozen_times_ends_in_the_same_bits(case, tmp_path):
    fit, path = fit_of(case), tmp_path / "fit.checkpoint"
    step = max(3, count_batches(fit, path) // 12 + 1)
    killed = fitted_with_kills(fit, path, [step] * 40)
    assert not differences(fit(), killed)


@pytest.mark.parametrize("case", FEW_KILLS.values(), ids=FEW_KILLS)
def test_a_fit_that_is_killed_twice_ends_in_the_same_bits(case, tmp_path):
    fit, path = fit_of(case), tmp_path / "fit.checkpoint"
    batches = count_batches(fit, path)
    killed = fitted_with_kills(fit, path, [batches // 2 + 3, batches // 3 + 1])
    assert not differences(fit(), killed)


class Taken:
    """Sequences that are read when they are taken."""

    def __len__(self):
        return len(X)

    def take(self, indices):
        return X[indices]


def test_a_fit_on_data_that_are_not_in_memory_ends_in_the_same_bits(tmp_path, monkeypatch):
    monkeypatch.setattr(stored, "BLOCK_BYTES", 4 * X[0].nbytes)
    monkeypatch.setattr(blocks, "POOL_VALUES", 9 * X[0].size)
    fit, path = fit_of((lstm, Taken(), {})), tmp_path / "fit.checkpoint"
    killed = fitted_with_kills(fit, path, [5, 4, 6])
    assert not differences(fit(), killed)


def test_a_fit_that_has_ended_returns_the_same_model_without_training(tmp_path):
    fit, path = fit_of(MANY_KILLS["classifier"]), tmp_path / "fit.checkpoint"
    first = fit(checkpoint=path)
    written = path.read_bytes()
    with killed_after(1):
        second = fit(checkpoint=path)
    assert not differences(first, second)
    assert path.read_bytes() == written


def test_more_epochs_go_on_from_a_fit_that_has_ended(tmp_path):
    path, data = tmp_path / "fit.checkpoint", {"learning_rate_schedule": "constant"}
    lstm(**data, epochs=3, input_noise=0.1).fit(X, checkpoint=path)
    longer = lstm(**data, epochs=6, input_noise=0.1).fit(X, checkpoint=path)
    assert not differences(lstm(**data, epochs=6, input_noise=0.1).fit(X), longer)


def test_more_patience_goes_on_from_a_fit_that_was_stopped_early(tmp_path):
    given = {"epochs": 60, "learning_rate": 0.3, "learning_rate_schedule": "constant"}
    path = tmp_path / "fit.checkpoint"
    short = lstm(**given, patience=1).fit(X, checkpoint=path)
    longer = lstm(**given, patience=4).fit(X, checkpoint=path)
    whole = lstm(**given, patience=4).fit(X)
    assert len(short.history_["loss"]) < len(longer.history_["loss"])
    assert not differences(whole, longer)


def test_with_more_epochs_the_rate_continues_on_the_longer_schedule(tmp_path):
    path = tmp_path / "fit.checkpoint"
    lstm(epochs=4).fit(X, checkpoint=path)
    rates = lstm(epochs=8).fit(X, checkpoint=path).history_["learning_rate"]
    expected = lstm(epochs=8).fit(X).history_["learning_rate"]
    np.testing.assert_allclose(rates[4:], expected[4:], rtol=1e-12)


def test_what_follows_a_training_that_goes_on_is_trained_anew(tmp_path):
    path = tmp_path / "fit.checkpoint"
    given = {"learning_rate_schedule": "constant"}

    def fit(epochs, **more):
        return stacked(**given, epochs=epochs).fit(X, **more)

    fit(2, checkpoint=path)
    assert not differences(fit(4), fit(4, checkpoint=path))


def test_fewer_epochs_than_were_trained_are_refused(tmp_path):
    path = tmp_path / "fit.checkpoint"
    lstm(epochs=3).fit(X, checkpoint=path)
    with pytest.raises(InputError) as refused:
        lstm(epochs=2).fit(X, checkpoint=path)
    assert str(refused.value) == (
        "The checkpoint has been trained for 3 epochs, but `epochs` is 2; raise `epochs`, or give "
        "another `checkpoint`."
    )
    path.unlink()
    with killed_after(11), pytest.raises(KilledError):
        lstm(epochs=5).fit(X, checkpoint=path, checkpoint_every=1)
    with pytest.raises(InputError, match="for more than 2 epochs, but `epochs` is 2; raise"):
        lstm(epochs=2).fit(X, checkpoint=path)


BEFORE = "is the checkpoint of another fit: "
OTHERS = {
    "a parameter": ({"units": 5}, {}, "`units` was 4 and is 5 now"),
    "two parameters": (
        {"units": 5, "input_noise": 0.5},
        {},
        "`input_noise` was 0.0 and is 0.5 now; `units` was 4 and is 5 now",
    ),
    "no patience": ({"patience": None}, {}, "`patience` was 'auto' and is None now"),
    "values": ({}, {"X": X + 1e-6}, "the sequences have other values or lengths"),
    "number": ({}, {"X": X[:20]}, "there were 24 sequences and are 20 now"),
    "features": ({}, {"X": X[:, :, :1]}, "there were 2 features and are 1 now"),
    "weights": (
        {},
        {"sample_weight": np.arange(1.0, 25)},
        "`sample_weight` has other values",
    ),
    "groups": ({}, {"groups": LABELS}, "other sequences are held out"),
    "validation data": (
        {},
        {"validation_data": X[:3] + 1},
        "other sequences are held out; other sequences are validated on",
    ),
    "freeze": ({}, {"freeze": "encoder"}, "`freeze` was [] and is ['encoder'] now"),
}


@pytest.mark.parametrize(("parameters", "arguments", "what"), OTHERS.values(), ids=OTHERS)
def test_a_checkpoint_of_another_fit_is_refused_with_the_difference(
    parameters, arguments, what, tmp_path
):
    path = tmp_path / "fit.checkpoint"
    lstm(epochs=1).fit(X, checkpoint=path)
    written = path.read_bytes()
    with pytest.raises(InputError) as refused:
        lstm(epochs=1, **parameters).fit(**{"X": X, **arguments}, checkpoint=path)
    assert str(refused.value) == (
        f"{path} {BEFORE}{what}. Give the same parameters and data to continue it, or another "
        "`checkpoint`."
    )
    assert path.read_bytes() == written


@pytest.mark.parametrize(
    "windows",
    [Windows(SERIES, 8, 2)[1:], Windows(SERIES, 8, 2)[::-1], Windows(SERIES, 7, 2)[:42]],
    ids=["later", "another order", "shorter"],
)
def test_a_checkpoint_of_other_windows_of_the_same_series_is_refused(windows, tmp_path):
    path, given = tmp_path / "fit.checkpoint", {"epochs": 1, "validation_split": 0.0}
    of_fit = Windows(SERIES, 8, 2)
    lstm(**given).fit(of_fit if len(windows) == 42 else of_fit[:-1], checkpoint=path)
    with pytest.raises(InputError, match="the sequences have other values or lengths"):
        lstm(**given).fit(windows, checkpoint=path)


def test_a_checkpoint_of_windows_of_the_same_places_with_another_dilation_is_refused(tmp_path):
    path, given = tmp_path / "fit.checkpoint", {"epochs": 1, "validation_split": 0.0}
    wide = Windows(SERIES, 4, 2, dilation=7)
    narrow = Windows(SERIES, 4, 2)[: len(wide)]
    lstm(**given).fit(wide, checkpoint=path)
    with pytest.raises(InputError, match="the sequences have other values or lengths"):
        lstm(**given).fit(narrow, checkpoint=path)


@pytest.mark.parametrize("changed", ["X", "y", "sample_weight"])
def test_a_checkpoint_with_other_validation_data_is_refused(changed, tmp_path):
    path = tmp_path / "fit.checkpoint"
    data = {"X": X[:6], "y": X[:6, :2] + 1, "sample_weight": np.ones(6)}
    model = lstm(epochs=1, horizon=2)
    y = X[:, :2]
    model.fit(X, y, validation_data=tuple(data.values()), checkpoint=path)
    data[changed] = data[changed].copy()
    data[changed][1] += 0.5
    with pytest.raises(InputError, match="other sequences are validated on"):
        model.fit(X, y, validation_data=tuple(data.values()), checkpoint=path)


def test_a_checkpoint_of_another_start_is_refused(tmp_path):
    path, start = tmp_path / "fit.checkpoint", lstm(epochs=1).fit(X)
    lstm(epochs=1).fit(X, checkpoint=path)
    with pytest.raises(
        InputError, match=r"training started from new weights and starts from weights with the "
    ):
        lstm(epochs=1).fit(X, initial=start, checkpoint=path)


def test_a_checkpoint_of_other_labels_or_another_encoder_is_refused(tmp_path):
    path, other = tmp_path / "fit.checkpoint", lstm(random_state=1).fit(X)
    classifier(lstm().fit(X), epochs=1).fit(X, LABELS, checkpoint=path)
    with pytest.raises(InputError, match=r": `y` has other values\. Give"):
        classifier(lstm().fit(X), epochs=1).fit(X, LABELS[::-1], checkpoint=path)
    with pytest.raises(InputError, match="was 0 and is 1 now; training started from weights with"):
        classifier(other, epochs=1).fit(X, LABELS, checkpoint=path)


def test_a_checkpoint_of_a_classifier_with_another_start_is_refused(tmp_path):
    path, model = tmp_path / "fit.checkpoint", lstm().fit(X)
    given = {"epochs": 1, "random_state": None}
    start = classifier(model, **given).fit(X, LABELS)
    classifier(model, **given).fit(X, LABELS, initial=start, checkpoint=path)
    with pytest.raises(InputError, match=r"and starts from weights with the checksum .* now"):
        classifier(model, **given).fit(X, LABELS, checkpoint=path)


def test_a_checkpoint_of_another_class_is_refused(tmp_path):
    path = tmp_path / "fit.checkpoint"
    lstm(epochs=1).fit(X, checkpoint=path)
    with pytest.raises(InputError) as refused:
        dense().fit(X, checkpoint=path)
    assert str(refused.value) == (
        f"{path} is the checkpoint of the class LSTMAutoencoder, but this is DenseAutoencoder; "
        "give another `checkpoint`."
    )


def test_a_checkpoint_of_a_detector_with_another_class_of_model_is_refused(tmp_path):
    path, given = tmp_path / "fit.checkpoint", {"hidden_units": (5,), "epochs": 1}
    AnomalyDetector(dense(**given), window=8, random_state=0).fit(SERIES, checkpoint=path)
    with pytest.raises(
        InputError, match=r"fit: the model was DenseAutoencoder and is StackedAutoencoder now\."
    ):
        AnomalyDetector(stacked(fine_tune=True, **given), window=8, random_state=0).fit(
            SERIES, checkpoint=path
        )


def test_a_model_without_steps_of_training_has_no_checkpoint(tmp_path):
    path = tmp_path / "fit.checkpoint"
    for model in (SubPCA(), FrozenEstimator(lstm(epochs=1).fit(X))):
        with pytest.raises(InputError, match="`checkpoint` needs a model that `fit` trains step"):
            AnomalyDetector(model).fit(SERIES, checkpoint=path)
        with pytest.raises(InputError, match="`callbacks` needs a model that `fit` trains step"):
            AnomalyDetector(model).fit(SERIES, callbacks=[print])
    assert not path.exists()


@pytest.mark.parametrize("every", [0, -1, "soon", "0s", 1.5, None, True])
def test_other_intervals_are_refused(every, tmp_path):
    with pytest.raises(InputError) as refused:
        lstm().fit(X, checkpoint=tmp_path / "file", checkpoint_every=every)
    assert str(refused.value) == (
        "`checkpoint_every` must be a whole number of batches of at least 1 or a duration above 0 "
        f"such as '1min', got {every!r}."
    )


def test_other_checkpoints_than_paths_are_refused(tmp_path):
    with pytest.raises(
        InputError, match=r"`checkpoint` must be the path of a file or None, got 3\."
    ):
        lstm().fit(X, checkpoint=3)
    with pytest.raises(InputError, match="there is no folder"):
        lstm().fit(X, checkpoint=tmp_path / "no" / "folder")


class Counter:
    """A callback that counts epochs, and stops after some; a checkpoint keeps its state."""

    def __init__(self, limit):
        self.limit, self.count, self.begun = limit, 0, 0

    def on_epoch_begin(self, model):
        self.begun += 1

    def on_epoch_end(self, model, history):
        self.count += 1
        return self.count >= self.limit

    def state_dict(self):
        return {"count": self.count, "begun": self.begun, "weights": np.ones(2)}

    def load_state_dict(self, state):
        self.count, self.begun = state["count"], state["begun"]
        assert state["weights"].tolist() == [1, 1]


def test_callbacks_with_a_state_continue(tmp_path):
    counters = []

    def fit(**more):
        counters.append(Counter(5))
        return lstm(epochs=9, patience=None).fit(X, callbacks=[print_nothing, counters[-1]], **more)

    killed = fitted_with_kills(fit, tmp_path / "fit.checkpoint", [7, 6])
    assert (counters[-1].count, counters[-1].begun) == (5, 5)
    assert not differences(fit(), killed)
    with killed_after(1):
        again = fit(checkpoint=tmp_path / "fit.checkpoint")
    assert len(again.history_["loss"]) == 5  # the callback has stopped it for good


def print_nothing(model, history):
    pass


def test_states_of_other_callbacks_are_refused(tmp_path):
    path = tmp_path / "fit.checkpoint"
    lstm(epochs=1).fit(X, callbacks=[Counter(5)], checkpoint=path)
    with pytest.raises(InputError) as refused:
        lstm(epochs=1).fit(X, callbacks=[print_nothing, Counter(5)], checkpoint=path)
    assert str(refused.value) == (
        "The checkpoint has the states of callbacks (0 Counter) that differ from those of "
        "`callbacks` (1 Counter); give the same ones, in the same order."
    )


def test_states_of_callbacks_that_are_missing_now_are_refused(tmp_path):
    path = tmp_path / "fit.checkpoint"
    lstm(epochs=1).fit(X, callbacks=[Counter(5)], checkpoint=path)
    with pytest.raises(InputError) as refused:
        lstm(epochs=1).fit(X, checkpoint=path)
    assert str(refused.value) == (
        "The checkpoint has the states of callbacks (0 Counter), but `callbacks` has none; give "
        "the same ones, in the same order."
    )


def test_a_state_that_no_file_holds_is_refused_before_training(tmp_path):
    counter = Counter(5)
    counter.state_dict = lambda: {"seen": {1, 2}}
    with killed_after(1), pytest.raises(InputError) as refused:
        lstm(epochs=1).fit(X, callbacks=[counter], checkpoint=tmp_path / "file")
    assert str(refused.value) == (
        "A checkpoint holds numbers, texts, lists, dicts with text as keys, and arrays of numbers, "
        "but callbacks/UserCallbacks/0 Counter/seen is a set."
    )


def test_an_error_in_training_leaves_the_last_checkpoint(tmp_path):
    def fail(model, history):
        if len(history["loss"]) == 3:
            raise ZeroDivisionError

    path = tmp_path / "fit.checkpoint"
    with pytest.raises(ZeroDivisionError):
        lstm().fit(X, callbacks=[fail], checkpoint=path, checkpoint_every=1)
    assert not differences(lstm().fit(X), lstm().fit(X, checkpoint=path))
