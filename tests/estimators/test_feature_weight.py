"""`feature_weight` and `class_weight`: weights of features and of classes in the loss."""

import json

import numpy as np
import pandas as pd
import pytest

import unspool
from tests.model_file.files import rewrite
from tests.trained import LAST, ragged, rows
from unspool import (
    AnomalyDetector,
    ConvAutoencoder,
    DenseAutoencoder,
    EncoderClassifier,
    LSTMAutoencoder,
    LSTMForecaster,
    StackedAutoencoder,
)
from unspool.errors import InputError

pytestmark = pytest.mark.filterwarnings("ignore::unspool.errors.NoBetterThanMeanWarning")

QUICK = {"epochs": 2, "random_state": 0, "verbose": 0}
STILL = {"epochs": 1, "random_state": 0, "verbose": 0, "learning_rate": 1e-30, "patience": None}
X = ragged(features=3)
LONG = X[X.lengths > 3]


def lstm(**parameters):
    return LSTMAutoencoder(**{"latent_dim": 3, **LAST, **QUICK, **parameters})


MODELS = {
    "lstm": lambda **p: LSTMAutoencoder(3, **LAST, **p),
    "dense": lambda **p: DenseAutoencoder(3, **p),
    "stacked": lambda **p: StackedAutoencoder(2, hidden_units=(4,), **p),
    "conv": lambda **p: ConvAutoencoder(3, filters=(2,), **p),
}


@pytest.mark.parametrize("kind", MODELS)
def test_the_loss_is_the_weighted_mean_of_the_errors_of_the_features(kind):
    model = MODELS[kind](**STILL, validation_split=0, feature_weight=(1, 0, 3)).fit(X)
    errors = model.reconstruction_error(X, per=("step", "feature"))
    by_feature = errors[~np.isnan(errors).any(axis=2)].mean(axis=0)
    expected = np.average(by_feature, weights=[1, 0, 3])
    assert model.history_["loss"][0] == pytest.approx(expected, rel=1e-4)
    plain = MODELS[kind](**STILL, validation_split=0).fit(X)
    assert plain.history_["loss"][0] == pytest.approx(by_feature.mean(), rel=1e-4)


def test_with_targets_the_weights_are_those_of_the_targets():
    model = lstm(**STILL, validation_split=0, targets=[2, 0], feature_weight=(1, 3)).fit(X)
    errors = model.reconstruction_error(X, per=("step", "feature"))
    by_feature = errors[~np.isnan(errors).any(axis=2)].mean(axis=0)
    expected = np.average(by_feature, weights=[1, 3])
    assert model.history_["loss"][0] == pytest.approx(expected, rel=1e-4)


def test_the_forecast_of_a_feature_is_weighted():
    model = LSTMForecaster(3, horizon=2, dropout=0.0, feature_weight=[0, 2, 1], **STILL)
    model.set_params(validation_split=0, linear_steps=0).fit(LONG)
    past, future = LONG.without_end(2), np.stack([LONG[i][-2:] for i in range(len(LONG))])
    squares = ((model.forecast(past) - future) / model.scaler_.scale) ** 2
    expected = np.average(squares.mean(axis=(0, 1)), weights=[0, 2, 1])
    assert model.history_["loss"][0] == pytest.approx(expected, rel=1e-4)


def test_a_feature_of_weight_0_is_read_but_not_reconstructed():
    t, phases = np.arange(20), np.random.default_rng(0).uniform(0, 6, (2, 60, 1))
    both = np.stack([np.sin(t / 2 + phases[0]), np.sin(t / 2 + phases[1])], axis=2)
    errors = []
    for weights in (None, (1, 0)):
        model = DenseAutoencoder(2, hidden_units=(), feature_weight=weights, **QUICK)
        model.set_params(epochs=200, learning_rate=0.01).fit(both)
        errors.append(model.reconstruction_error(both, per="feature").mean(axis=0))
    assert errors[1][0] < 0.5 * errors[0][0]
    assert errors[1][1] > 0.5


def test_only_the_ratios_matter_and_equal_weights_change_no_bit():
    def codes(weights):
        return lstm(feature_weight=weights).fit(X).transform(X)

    np.testing.assert_array_equal(codes(None), codes([3, 3, 3]))
    np.testing.assert_array_equal(codes([1, 2, 4]), codes(np.array([8, 16, 32])))
    assert abs(codes([1, 2, 4]) - codes(None)).max() > 0


def test_a_dict_weighs_the_features_with_these_names():
    frames = [pd.DataFrame(X[i], columns=["a", "b", "c"]) for i in range(len(X))]
    named = lstm(feature_weight={"c": 3.0, "a": 0.5}).fit(frames)
    np.testing.assert_array_equal(
        named.transform(frames), lstm(feature_weight=[0.5, 1, 3]).fit(X).transform(X)
    )
    table = pd.DataFrame(rows(), columns=list("abcdef"))
    given = DenseAutoencoder(2, feature_weight={"b": 5}, **QUICK).fit(table)
    listed = DenseAutoencoder(2, feature_weight=[1, 5, 1, 1, 1, 1], **QUICK).fit(table)
    np.testing.assert_array_equal(given.transform(table), listed.transform(table))


@pytest.mark.parametrize("weights", [[1, 2.5, 0], np.array([1, 2.5, 0]), {"b": 2.5, "c": 0}])
def test_files_keep_the_weights(weights, tmp_path):
    frames = [pd.DataFrame(X[i], columns=["a", "b", "c"]) for i in range(len(X))]
    model = lstm(feature_weight=weights).fit(frames)
    model.save(tmp_path / "m.unspool")
    loaded = unspool.load(tmp_path / "m.unspool")
    expected = weights if isinstance(weights, dict) else (1.0, 2.5, 0.0)
    assert loaded.feature_weight == expected
    np.testing.assert_array_equal(loaded.transform(frames), model.transform(frames))
    np.testing.assert_array_equal(loaded.fit(frames).transform(frames), model.transform(frames))
    run = unspool.runtime.load(tmp_path / "m.unspool")
    np.testing.assert_allclose(run.transform(frames), model.transform(frames), atol=1e-5)
    loaded.set_params(feature_weight=[1, 1, 2])
    with pytest.warns(unspool.errors.ParametersChangedWarning, match="feature_weight"):
        loaded.save(tmp_path / "n.unspool")


def test_a_detector_of_a_weighted_model_is_saved(tmp_path):
    series = np.random.default_rng(0).normal(size=(300, 2))
    detector = AnomalyDetector(lstm(feature_weight=(1, 3)), window=8, rate=0.1, verbose=0)
    detector.fit(series).save(tmp_path / "d.unspool")
    loaded = unspool.load(tmp_path / "d.unspool")
    assert loaded.model.feature_weight == (1, 3)
    np.testing.assert_allclose(loaded.score_samples(series), detector.score_samples(series))


NUMBERS = "`feature_weight` must be a number of at least 0, got "
BAD = {
    "number": (3, "`feature_weight` must be a list with the weight of each feature, a dict of "
               "weights by name, or None, got 3."),
    "negative": ([1, -1, 1], f"{NUMBERS}-1."),
    "nan": ([1, float("nan"), 1], f"{NUMBERS}nan."),
    "of a name": ({"a": "x"}, f"{NUMBERS}'x'."),
    "zero": ([0, 0, 0], "`feature_weight` must have at least one number above 0, got [0, 0, 0]."),
    "too few": ([1, 2], "`feature_weight` must have 3 weights, one for each feature that the "
                "model writes, got 2."),
    "names": ({"a": 2}, "`feature_weight` names features, but the features that the model "
              "writes have no names; give a list of 3 weights, or data with names."),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_weights_that_cannot_be_used_are_refused(case):
    weights, message = BAD[case]
    with pytest.raises(InputError) as caught:
        lstm(feature_weight=weights).fit(X)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ({"d": 2}, "`feature_weight`: unknown feature 'd': known are 'a', 'b', 'c'."),
        (
            dict.fromkeys("abc", 0),
            "Expected `feature_weight` above zero for some feature, got zero for each of them.",
        ),
    ],
    ids=["unknown", "zero"],
)
def test_names_that_are_no_features_are_refused(weights, message):
    frames = [pd.DataFrame(X[i], columns=["a", "b", "c"]) for i in range(len(X))]
    with pytest.raises(InputError) as caught:
        lstm(feature_weight=weights).fit(frames)
    assert str(caught.value) == message


# Classes.

TABLE = rows(60)
NUMBERED = np.arange(60) % 5 // 2  # 0 and 1 twice as often as 2


def classifier(**parameters):
    autoencoder = DenseAutoencoder(3, **QUICK).fit(TABLE)
    return EncoderClassifier(autoencoder, **{**QUICK, **parameters})


def test_the_weight_of_a_class_is_that_of_its_sequences():
    weights = {0: 1.0, 1: 4.0, 2: 0.5}
    by_class = classifier(class_weight=weights).fit(TABLE, NUMBERED)
    one_each = np.vectorize(weights.get)(NUMBERED)
    by_sequence = classifier().fit(TABLE, NUMBERED, one_each)
    found, expected = (model.predict_proba(TABLE) for model in (by_class, by_sequence))
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    plain = classifier().fit(TABLE, NUMBERED).predict_proba(TABLE)
    assert abs(found - plain).max() > 1e-3


@pytest.mark.parametrize("given", [None, np.linspace(1, 2, 60)], ids=["alone", "sample_weight"])
def test_balanced_classes_have_the_same_sum_of_weights(given):
    weights = np.ones(60) if given is None else given
    sums = np.bincount(NUMBERED, weights)
    balanced = classifier(class_weight="balanced").fit(TABLE, NUMBERED, given)
    expected = classifier().fit(TABLE, NUMBERED, weights / sums[NUMBERED])
    np.testing.assert_allclose(
        balanced.predict_proba(TABLE), expected.predict_proba(TABLE), rtol=1e-4
    )


def test_validation_uses_the_weights_of_the_classes():
    weights, still = {0: 3.0, 1: 1.0, 2: 0.0}, {"learning_rate": 1e-30, "epochs": 1}
    model = classifier(class_weight=weights, **still)
    model.fit(TABLE[:40], NUMBERED[:40], validation_data=(TABLE[40:], NUMBERED[40:]))
    chance = model.predict_proba(TABLE[40:])[np.arange(20), NUMBERED[40:]]
    expected = np.average(-np.log(chance), weights=np.vectorize(weights.get)(NUMBERED[40:]))
    assert model.history_["val_loss"][0] == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize(
    ("labels", "weights"),
    [
        (NUMBERED, {0: 1, 1: 4.0, 2: 0.5}),
        (NUMBERED, {np.int64(1): 4}),
        (np.array(["b", "a", "c"])[NUMBERED], {"a": 2.0}),
        (NUMBERED > 0, {True: 3.0, False: 1.0}),
        (NUMBERED, "balanced"),
    ],
    ids=["int", "numpy", "str", "bool", "balanced"],
)
def test_files_keep_the_weights_of_classes(labels, weights, tmp_path):
    model = classifier(class_weight=weights).fit(TABLE, labels)
    path = tmp_path / "m.unspool"
    model.save(path)
    loaded = unspool.load(path)
    assert loaded.class_weight == weights
    np.testing.assert_array_equal(loaded.predict(TABLE), model.predict(TABLE))
    unspool.runtime.load(path)

    def damage(header, tensors):
        header["parameters"]["class_weight"] = [1, 2]

    rewrite(path, damage)
    with pytest.raises(unspool.errors.ModelFileError, match="`class_weight` must be 'balanced'"):
        unspool.load(path)


def test_files_from_before_there_were_weights_are_read(tmp_path):
    model = classifier().fit(TABLE, NUMBERED)
    model.save(tmp_path / "m.unspool")

    def older(header, tensors):
        text = json.dumps(header)
        del header["parameters"]["class_weight"]
        for part in (header["parameters"], header["fitted"]):
            del part["autoencoder"]["parameters"]["feature_weight"]
        assert len(json.dumps(header)) < len(text)

    rewrite(tmp_path / "m.unspool", older)
    loaded = unspool.load(tmp_path / "m.unspool")
    assert (loaded.class_weight, loaded.autoencoder.feature_weight) == (None, None)
    np.testing.assert_array_equal(loaded.predict_proba(TABLE), model.predict_proba(TABLE))


BAD_CLASSES = {
    "name": ("equal", "`class_weight` must be 'balanced', a dict with the weight of each label, or "
             "None, got 'equal'."),
    "negative": ({0: -1}, "`class_weight` must be a number of at least 0, got -1."),
    "typo": ({0: 1, 3: 2}, "`class_weight` has a weight for 3, which is no label in `y`, but none "
             "for the label 1; correct the label."),
    "zero": ({0: 0, 1: 0, 2: 0}, "Expected `class_weight` above zero for some label in `y`, got "
             "zero for each of them."),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD_CLASSES)
def test_weights_of_classes_that_cannot_be_used_are_refused(case):
    weights, message = BAD_CLASSES[case]
    with pytest.raises(InputError) as caught:
        classifier(class_weight=weights).fit(TABLE, NUMBERED)
    assert str(caught.value) == message


def test_a_single_class_with_a_weight_is_refused():
    with pytest.raises(InputError) as caught:
        classifier().fit(TABLE, NUMBERED, (NUMBERED == 1) * 1.0)
    assert str(caught.value) == (
        "Expected labels of at least two classes among the sequences with a `sample_weight` above "
        "zero, got one class: 1."
    )
