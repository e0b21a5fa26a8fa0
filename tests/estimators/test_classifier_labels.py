"""Labels of an `EncoderClassifier`: their types, and how they are split for validation."""

import numpy as np
import pandas as pd
import pytest
from sklearn.exceptions import DataConversionWarning

import unspool
from tests.estimators.classifiers import labelled, quick, small
from tests.estimators.quick import sines
from unspool import (
    LSTMAutoencoder,
    Sequences,
    Windows,
)
from unspool.errors import InputError
from unspool.estimators import classifier_fit

# The autoencoders here are far too small and short-trained to be any good.
pytestmark = pytest.mark.filterwarnings("ignore::unspool.errors.NoBetterThanMeanWarning")


@pytest.fixture(scope="module")
def data():
    return labelled()


@pytest.fixture(scope="module")
def trained(data):
    return small().fit(data[0])


TWO = np.arange(60) % 2
THREE = np.arange(60) % 3
LABELS = {
    "int": THREE - 7,
    "uint8": THREE.astype(np.uint8),
    "bool": TWO.astype(bool),
    "float": THREE.astype(np.float32),
    "str": np.array(["a", "bb", "ccc"])[THREE],
    "str objects": np.array(["a", "bb", "ccc"], object)[THREE],
    "int objects": np.array([3, 10**30, -4], object)[THREE],
    "many": np.arange(60) // 4,
}
TUPLES = np.empty(60, object)
TUPLES[:] = [(i % 2, "a") for i in range(60)]


@pytest.mark.parametrize("y", LABELS.values(), ids=LABELS)
def test_labels_of_any_type_come_back_as_they_are(data, trained, y, tmp_path):
    X = data[0]
    model = quick(trained, epochs=2).fit(X, y)
    assert model.classes_.dtype == y.dtype
    assert model.classes_.tolist() == sorted(set(y.tolist()))
    assert model.predict_proba(X).shape == (60, len(set(y.tolist())))
    assert model.predict(X).dtype == y.dtype
    assert set(model.predict(X).tolist()) <= set(y.tolist())
    model.save(tmp_path / "m")
    again = unspool.load(tmp_path / "m")
    assert again.classes_.dtype == y.dtype
    np.testing.assert_array_equal(again.classes_, model.classes_)
    assert {type(label) for label in again.predict(X)} == {type(y[0])}


def test_labels_of_other_types_are_classes_too(data, trained):
    model = quick(trained, epochs=2).fit(data[0], TUPLES)
    assert model.classes_.tolist() == [(0, "a"), (1, "a")]
    assert set(model.predict(data[0])) <= {(0, "a"), (1, "a")}


def test_labels_in_a_list_or_a_column(data, trained):
    X, y = data
    expected = quick(trained).fit(X, y).predict_proba(X)
    for form in (list(y), pd.Series(y), pd.Series(y, dtype="category"), pd.Series(y).array):
        np.testing.assert_array_equal(quick(trained).fit(X, form).predict_proba(X), expected)
    with pytest.warns(DataConversionWarning):
        quick(trained).fit(X, y[:, None])


BAD_LABELS = [
    (
        None,
        "EncoderClassifier requires y to be passed, but the target y is None; give one label "
        "per sequence.",
    ),
    (np.ones(60), "Expected labels of at least two classes in `y`, got one class: 1.0."),
    (["a"] * 60, "Expected labels of at least two classes in `y`, got one class: 'a'."),
    (
        THREE[:-1],
        "Found input variables with inconsistent numbers of samples: [60, 59]",
    ),
    (
        np.where(TWO, np.nan, 1),
        "Expected a label in `y` for every sequence, but it contains NaN or another missing",
    ),
    (np.where(TWO, np.inf, 1), "Input y contains infinity"),
    (np.linspace(0, 1, 60), "Unknown label type: continuous"),
    (np.linspace(0, 1, 60).astype(object), "Unknown label type: continuous"),
    (np.ones((60, 2)), "y should be a 1d array, got an array of shape (60, 2) instead."),
    (
        np.array([1, "a"], object)[TWO],
        "Expected labels of one type that can be sorted, got other labels ('<' not supported "
        "between instances of 'str' and 'int'); convert all of them to strings.",
    ),
    (
        np.ma.MaskedArray(1.0, True),
        "Expected a label in `y` for every sequence, but it contains NaN or another missing value "
        "for sequence 0; leave such sequences out.",
    ),
    ([], "Found input variables with inconsistent numbers of samples: [60, 0]"),
]


@pytest.mark.parametrize(("y", "message"), BAD_LABELS, ids=[m for _, m in BAD_LABELS])
def test_bad_labels_are_reported_before_anything_is_trained(data, y, message, monkeypatch):
    def fail(*_):
        raise AssertionError("trained on bad labels")

    monkeypatch.setattr(LSTMAutoencoder, "fit", fail)
    with pytest.raises(InputError) as caught:
        quick().fit(data[0], y)
    assert str(caught.value).startswith(message)


# -- training -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("counts", "share", "held_out"),
    [
        ([50, 50], 0.1, [5, 5]),
        ([90, 10], 0.1, [9, 1]),
        ([28, 2], 0.1, [3, 0]),
        ([5, 5], 0.3, None),  # 3 of 10: 1 and 2, or 2 and 1
        ([1, 1, 1], 0.5, [0, 0, 0]),
        ([1, 9], 0.5, [0, 5]),
        ([3, 3], 0.99, [2, 2]),
        ([20, 20], 0.0, [0, 0]),
        ([2] * 10, 0.1, None),  # 2 of 20
    ],
)
def test_every_class_is_trained_on_and_held_out_in_its_share(counts, share, held_out):
    classes = np.random.default_rng(0).permutation(np.repeat(np.arange(len(counts)), counts))
    X, seen = Sequences(np.zeros((len(classes), 1, 1))), set()
    for seed in range(5):
        training, held = classifier_fit.split_by_class(
            X, classes, share, np.random.default_rng(seed)
        )
        assert sorted([*training, *held]) == list(range(len(classes)))
        assert set(classes[training]) == set(classes)
        got = np.bincount(classes[held], minlength=len(counts)).tolist()
        assert got == held_out if held_out else sum(got) == round(share * len(classes))
        seen.add(tuple(held))
    assert len(seen) > 1 or sum(held_out or [1]) == 0


def test_windows_are_held_out_by_time_unless_a_class_would_be_missing():
    windows = Windows(np.zeros((100, 1)), 10, 1)
    rng = np.random.default_rng(0)
    alike = np.arange(91) % 2
    training, held_out = classifier_fit.split_by_class(windows, alike, 0.2, rng)
    assert training.max() + 10 <= held_out.min()
    late = (np.arange(91) > 85).astype(int)
    training, held_out = classifier_fit.split_by_class(windows, late, 0.2, rng)
    assert set(late[training]) == {0, 1}
    assert set(late[held_out]) == {0}


def test_if_data_is_too_small_nothing_is_held_out():
    X = sines(n=3)
    model = quick(small(validation_split=0)).fit(X, ["a", "b", "c"])
    assert "val_loss" not in model.history_
    assert model.predict_proba(X).shape == (3, 3)


# -- parameters -----------------------------------------------------------------------------------
