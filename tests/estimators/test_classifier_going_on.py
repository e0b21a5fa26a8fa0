"""A classifier whose training goes on: `warm_start`, `initial` and `partial_fit`."""

import copy
import pickle

import numpy as np
import pytest
import torch
from sklearn.base import clone

from tests.estimators.quick import LAST, sines
from tests.trained import ALL, LABELS, RAGGED
from unspool import DenseAutoencoder, EncoderClassifier, LSTMAutoencoder, load
from unspool.errors import InputError

pytestmark = pytest.mark.filterwarnings("ignore::unspool.errors.NoBetterThanMeanWarning")

QUICK = {"epochs": 2, "random_state": 0, "verbose": 0, "batch_size": 10}
STILL = {"learning_rate": 1e-30, "learning_rate_schedule": "constant"}  # changes no float32
speed = np.where(np.arange(40) % 2, 2, 6)[:, None]
X = np.sin(np.arange(20) / speed + np.arange(40)[:, None])
Y = np.array(["fast", "slow"])[(speed[:, 0] == 6).astype(int)]


def classifier(**parameters):
    given = {"head_units": (3,), "fine_tune": True, **QUICK, **parameters}
    return EncoderClassifier(**{"autoencoder": LSTMAutoencoder(4, **QUICK), **given})


@pytest.mark.parametrize("how", ["initial", "path", "warm_start", "partial_fit", "loaded"])
@pytest.mark.parametrize("name", ["classifier, lstm", "classifier, images", "classifier, defaults"])
def test_training_starts_from_encoder_and_head(name, how, tmp_path):
    case = ALL[name]
    first = case.train()
    before = first.predict_proba(case.X)
    path = tmp_path / "c.unspool"
    first.save(path)
    if how in ("initial", "path"):
        second = case.make().set_params(**STILL)
        second.fit(case.X, case.y, initial=first if how == "initial" else path)
    elif how == "warm_start":
        second = first.set_params(warm_start=True, **STILL).fit(case.X, case.y)
    else:
        second = first if how == "partial_fit" else load(path)
        second.set_params(**STILL).partial_fit(case.X, case.y)
    np.testing.assert_allclose(second.predict_proba(case.X), before, rtol=1e-3, atol=1e-5)
    second.save(path)
    np.testing.assert_allclose(load(path).predict_proba(case.X), before, rtol=1e-3, atol=1e-5)


def test_a_warm_start_goes_on_learning_in_both_stages():
    model = classifier(warm_start=True, epochs=15).fit(X, Y)
    heads, wholes = model.head_history_["loss"], model.history_["loss"]
    model.fit(X, Y)
    assert model.head_history_["loss"][0] < heads[0]
    assert model.head_history_["loss"][0] < 2 * wholes[-1]
    assert model.history_["loss"][-1] < wholes[-1]


def test_a_pass_with_balanced_weights_may_lack_a_class():
    labels = np.array(["a", "b", "b", "c"])[np.arange(40) % 4]
    known = labels != "c"
    balanced, by_hand = (
        classifier(class_weight=weight, fine_tune=False)
        .partial_fit(X[known], labels[known], ["a", "b", "c"])
        .predict_proba(X)
        for weight in ("balanced", {"a": 2, "b": 1})
    )
    np.testing.assert_allclose(balanced, by_hand, rtol=1e-5)


def test_the_start_is_not_changed():
    first = classifier().fit(X, Y)
    before = first.predict_proba(X)
    classifier().fit(X, Y, initial=first)
    np.testing.assert_array_equal(first.predict_proba(X), before)


def test_partial_fit_learns_from_parts(tmp_path):
    model = classifier(autoencoder=LSTMAutoencoder(4, **QUICK, **LAST))
    model.partial_fit(X[:20], Y[:20], classes=["slow", "fast"])
    assert model.classes_.tolist() == ["fast", "slow"]
    for _ in range(15):
        model.partial_fit(X[:20], Y[:20]).partial_fit(X[20:], Y[20:])
    assert len(model.history_["loss"]) == len(model.head_history_["loss"]) == 31
    assert model.history_["loss"][-1] < 0.5 * model.history_["loss"][0]
    assert model.score(X, Y) >= 0.9
    model.save(tmp_path / "c.unspool")
    loaded = load(tmp_path / "c.unspool").partial_fit(X, Y)
    assert loaded.score(X, Y) >= 0.9
    assert loaded.history_["loss"][:31] == model.history_["loss"]


@pytest.mark.parametrize("fine_tune", [False, True])
def test_copies_and_pickles_keep_the_state_of_the_optimizers(fine_tune):
    model = classifier(fine_tune=fine_tune).partial_fit(X, Y).partial_fit(X, Y)
    copies = [copy.deepcopy(model), pickle.loads(pickle.dumps(model))]
    forgotten = copy.deepcopy(model)
    del forgotten._optimizers
    expected = model.partial_fit(X, Y).predict_proba(X)
    for one in copies:
        np.testing.assert_array_equal(one.partial_fit(X, Y).predict_proba(X), expected)
    assert abs(forgotten.partial_fit(X, Y).predict_proba(X) - expected).max() > 0


def test_a_part_may_lack_classes():
    model = classifier()
    model.partial_fit(X[::2], Y[::2], classes=["slow", "fast", "none"])
    model.partial_fit(X[:1], Y[:1])
    assert model.predict_proba(X).shape == (40, 3)
    with pytest.raises(InputError, match="`y` contains the label 'other', which is none of the"):
        model.partial_fit(X[:2], ["slow", "other"])
    with pytest.raises(InputError, match=r"`classes` is .'a', 'b'., but the first call knew"):
        model.partial_fit(X[:2], ["slow", "none"], classes=["a", "b"])
    with pytest.raises(InputError, match="Expected labels of at least two classes in `y`"):
        classifier().partial_fit(X[:2], ["slow", "slow"])
    with pytest.raises(InputError, match="Expected at least two labels in `classes`"):
        classifier().partial_fit(X[:2], ["slow", "slow"], classes=["slow"])


def test_numbers_stay_numbers():
    labels = (Y == "slow").astype(int)
    model = classifier().partial_fit(X[:10], labels[:10], classes=[0, 1, 2])
    assert model.predict(X).dtype.kind == "i"
    model.partial_fit(X, labels)
    with pytest.raises(InputError, match="label 3, which is none of the classes"):
        model.partial_fit(X, labels + 2)


def test_what_cannot_be_a_start_is_refused():
    first = classifier().fit(X, Y)
    autoencoder = LSTMAutoencoder(4, **QUICK).fit(X)
    with pytest.raises(InputError, match="give it as `autoencoder`"):
        classifier().fit(X, Y, initial=autoencoder)
    with pytest.raises(InputError, match=r"knows .'fast', 'slow'.; give all of these labels"):
        classifier().fit(X, np.arange(40) % 3, initial=first)
    with pytest.raises(InputError, match=r"`head_units` is \(5,\), but \[?\(?3.* there"):
        classifier(head_units=(5,)).fit(X, Y, initial=first)
    with pytest.raises(InputError, match="features"):
        classifier().fit(sines(40, 20, features=2), Y, initial=first)


def test_a_clone_of_a_classifier_that_went_on_trains_anew():
    model = classifier().partial_fit(X, Y)
    expected = classifier().fit(X, Y)
    np.testing.assert_array_equal(
        clone(model).fit(X, Y).predict_proba(X), expected.predict_proba(X)
    )
    model.fit(X, Y)
    np.testing.assert_array_equal(model.predict_proba(X), expected.predict_proba(X))


def test_frozen_weights_of_a_head_stay_the_same_to_the_bit():
    model = classifier().partial_fit(X, Y)
    head = {name: one.clone() for name, one in model.module_.head.state_dict().items()}
    model.partial_fit(X, Y, freeze="head.dense_1").partial_fit(X, Y, freeze="head.dense_1")
    after = model.module_.head.state_dict()
    same = {name: torch.equal(one, after[name]) for name, one in head.items()}
    assert same == {"0.weight": True, "0.bias": True, "2.weight": False, "2.bias": False}


def test_ragged_sequences_go_on():
    model = EncoderClassifier(DenseAutoencoder(3, **QUICK), **QUICK).partial_fit(RAGGED, LABELS)
    assert model.partial_fit(RAGGED[:5], LABELS[:5]).predict(RAGGED).shape == (23,)
