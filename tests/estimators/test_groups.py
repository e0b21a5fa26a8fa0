"""Whole groups of sequences are held out."""

import numpy as np
import pandas as pd
import pytest
from sklearn.model_selection import GroupKFold, cross_validate

from tests.estimators.quick import sines
from unspool import DenseAutoencoder, EncoderClassifier, LSTMAutoencoder, Sequences, Windows
from unspool.errors import InputError
from unspool.estimators.held_out import read_groups, split, split_by_group
from unspool.estimators.labels import split_by_class

pytestmark = pytest.mark.filterwarnings("ignore::unspool.errors.NoBetterThanMeanWarning")

QUICK = {"latent_dim": 3, "epochs": 2, "batch_size": 8, "random_state": 0, "verbose": 0}
X = sines(n=60, steps=8)


def draw(groups, share, seed=0, source=None):
    source = Sequences(sines(n=len(groups), steps=8)) if source is None else source
    codes = read_groups(groups, len(groups))
    return split(source, share, np.random.default_rng(seed), groups=codes)


@pytest.mark.parametrize("share", ["auto", 0.05, 0.1, 0.3, 0.5, 0.9])
@pytest.mark.parametrize("sizes", [[6] * 10, [1, 2, 3, 4, 5] * 4, [30, 10, 10, 5, 5], [59, 1]])
@pytest.mark.parametrize("seed", range(3))
def test_no_group_is_in_both_parts(share, sizes, seed):
    groups = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(sizes)), sizes))
    training, held_out = draw(groups, share, seed)
    np.testing.assert_array_equal(np.sort(np.r_[training, held_out]), np.arange(60))
    assert not np.isin(groups[held_out], groups[training]).any()
    assert len(training)
    target = 6 if share == "auto" else 60 * share
    assert len(held_out)
    # No other group brings the part nearer to the share, or the part is the smallest group.
    distance = abs(len(held_out) - target)
    assert distance <= max(min(sizes), max(sizes) / 2, target - 1)
    if max(sizes) <= 6:
        assert distance <= 3


def test_groups_are_drawn_at_random():
    groups = np.arange(60) // 6
    found = {tuple(np.unique(groups[draw(groups, 0.1, seed)[1]])) for seed in range(20)}
    assert len(found) > 4


def test_auto_holds_out_no_group_of_more_than_a_quarter():
    assert len(draw(np.arange(60) // 20, "auto")[1]) == 0
    assert len(draw(np.arange(60) // 20, 0.1)[1]) == 20
    assert len(draw(np.zeros(60), "auto")[1]) == 0
    with pytest.raises(
        InputError, match=r"^`validation_split` 0.1 leaves 60 sequences to train on"
    ):
        draw(np.zeros(60), 0.1)


def test_groups_of_one_sequence_are_no_groups():
    names = [f"s{i}" for i in range(60)]
    one, two = (LSTMAutoencoder(**QUICK).fit(X, groups=given) for given in (None, names))
    assert one.history_ == two.history_


FORMS = [
    lambda groups: groups,
    lambda groups: groups.tolist(),
    lambda groups: pd.Series(groups),
    lambda groups: groups[:, None],
    lambda groups: np.char.add("machine ", groups.astype(str)),
    lambda groups: pd.Series(groups).astype("category").astype(str),
]


@pytest.mark.parametrize("form", FORMS)
def test_fit_holds_out_groups_in_any_form(form, monkeypatch):
    parts = {}

    def noted(self, objective, batches, validation, run):
        parts.update(training=batches.indices, held_out=validation.indices)
        return train(self, objective, batches, validation, run)

    train = DenseAutoencoder._train
    monkeypatch.setattr(DenseAutoencoder, "_train", noted)
    groups = np.arange(60) % 10
    DenseAutoencoder(**QUICK, validation_split=0.2).fit(X, groups=form(groups))
    assert len(parts["held_out"]) == 12
    assert not np.isin(groups[parts["held_out"]], groups[parts["training"]]).any()


@pytest.mark.parametrize(
    ("groups", "message"),
    [
        (np.zeros(59), r"^`groups` must have the shape \(60,\), one group for each sequence"),
        (np.zeros((60, 2)), r"^`groups` must have the shape \(60,\), .* got \(60, 2\)"),
        ([None, *range(59)], "but some are missing"),
        ([np.nan, *range(59)], "but some are missing"),
        (["a", *range(59)], "^Expected groups of one type in `groups`|shape"),
    ],
)
def test_other_groups_are_refused(groups, message):
    given = np.array(groups, object) if isinstance(groups, list) else groups
    with pytest.raises(InputError, match=message):
        DenseAutoencoder(**QUICK).fit(X, groups=given)


def windows():
    return Windows([np.arange(100.0) + 1000 * i for i in range(6)], 10)


def test_windows_of_whole_series_may_be_held_out():
    source = windows()
    series, _ = source.place(np.arange(len(source)))
    training, held_out = draw(series, 0.3, source=source)
    assert not np.isin(series[held_out], series[training]).any()
    assert len(training) + len(held_out) == len(source)


def test_windows_that_overlap_held_out_windows_are_not_used():
    source = windows()
    series, start = source.place(np.arange(len(source)))
    groups = start // 30 + 10 * series  # part of a series
    training, held_out = draw(groups, 0.2, source=source)
    steps = [
        set(source[some].take(np.arange(len(some)))[0].ravel()) for some in (training, held_out)
    ]
    assert len(training)
    assert len(held_out)
    assert not steps[0] & steps[1]
    left_out = np.setdiff1d(np.arange(len(source)), np.r_[training, held_out])
    held = [set(source[int(i)].ravel()) for i in held_out]
    assert len(left_out)
    assert all(any(set(source[int(i)].ravel()) & one for one in held) for i in left_out)


@pytest.mark.parametrize("seed", range(5))
def test_a_classifier_keeps_each_class_and_holds_out_groups(seed):
    rng = np.random.default_rng(seed)
    groups = rng.integers(0, 20, 200)
    classes = (groups + rng.integers(0, 2, 200)) % 3
    training, held_out = split_by_class(Sequences(sines(n=200)), classes, 0.2, rng, groups)
    assert not np.isin(groups[held_out], groups[training]).any()
    assert set(classes[training]) == {0, 1, 2}
    share = np.bincount(classes[held_out], minlength=3) / np.bincount(classes)
    assert abs(share - 0.2).max() < 0.2  # a group is about a seventh of a class


def test_a_class_of_one_group_is_not_held_out():
    groups = classes = np.arange(60) % 3
    training, held_out = split_by_group(
        Sequences(X), groups, 0.3, np.random.default_rng(0), classes
    )
    assert (len(training), len(held_out)) == (60, 0)


def test_a_classifier_passes_groups_to_an_encoder_that_is_not_fitted():
    groups, y = np.arange(60) // 6, np.arange(60) % 2
    inner = LSTMAutoencoder(**QUICK)
    options = {name: value for name, value in QUICK.items() if name != "latent_dim"}
    model = EncoderClassifier(inner, **options, validation_split=0.2).fit(X, y, groups=groups)
    alone = LSTMAutoencoder(**QUICK).fit(X, groups=groups)
    assert model.autoencoder_.history_ == alone.history_
    assert "val_loss" in model.history_


def test_cross_validation_by_group_works():
    groups = np.arange(60) // 6
    scores = cross_validate(
        DenseAutoencoder(**QUICK), X, groups=groups, cv=GroupKFold(2), params={"groups": groups}
    )
    assert np.isfinite(scores["test_score"]).all()
