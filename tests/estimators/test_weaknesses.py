"""The warnings at the end of a fit: each is shown for the fault that it names, and not without."""

import warnings

import numpy as np
import pytest
import torch

from unspool import DenseAutoencoder, EncoderClassifier, Sequences, Windows
from unspool.errors import (
    GeneralizationWarning,
    NoBetterThanMeanWarning,
    OverlapWarning,
    UnusedCodeWarning,
)
from unspool.estimators import unused_code
from unspool.estimators.comparison import advice
from unspool.estimators.fit_sample import fit_sample
from unspool.estimators.sample_causes import Seen, seen_in_sample
from unspool.estimators.unused_code import dimensions, remedy, still_dimensions

QUICK = {"random_state": 0, "verbose": 0, "batch_size": 16, "code_activation": "linear"}


def data(n=64, rank=4, width=8, seed=0):
    rng = np.random.default_rng(seed)
    mixed = np.random.default_rng(9).normal(size=(rank, width))
    return rng.normal(size=(n, rank)) @ mixed


def warned(model, X, *y, **given):
    """The warnings of a fit: their categories and texts."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model.fit(X, *y, **given)
    return [(one.category, str(one.message)) for one in caught]


def with_dead_units(dead):
    """A model with ReLU codes, of which some are 0 for all sequences."""
    start = DenseAutoencoder(4, epochs=1, **{**QUICK, "code_activation": "relu"})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NoBetterThanMeanWarning)
        start.fit(data())
    with torch.no_grad():
        list(start.module_.encoder.parameters())[-1][dead] = -100
    return start


def test_dimensions_of_the_code_that_do_not_move_are_named():
    model = DenseAutoencoder(4, epochs=60, learning_rate=0.02,
                             **{**QUICK, "code_activation": "relu"})  # fmt: skip
    found = warned(model, data(), initial=with_dead_units([0, 2]))
    assert found == [
        (
            UnusedCodeWarning,
            "Dimensions 0 and 2 of the code (2 of 4) do not move: over 58 training sequences the "
            "standard deviation is below 0.1% of the median of the others, so the decoder learns "
            "nothing from there. With code_activation='relu' a unit can end at 0 for all "
            "sequences: use 'linear', or lower `latent_dim`.",
        )
    ]
    assert (model.transform(data())[:, [0, 2]] == 0).all()


def test_a_code_that_moves_is_no_reason_to_warn():
    assert warned(DenseAutoencoder(4, epochs=40, **QUICK), data()) == []


def test_after_few_updates_only_their_number_is_a_reason_to_warn():
    model = DenseAutoencoder(4, epochs=20, **{**QUICK, "code_activation": "relu"})  # 80 updates
    found = warned(model, data(), initial=with_dead_units([0, 2]))
    assert all(category is NoBetterThanMeanWarning for category, _ in found)


@pytest.mark.parametrize("X", [data(1), data(9), np.repeat(data(1), 20, axis=0)])
def test_a_few_sequences_or_equal_ones_may_be_learned_by_heart(X):
    large = {**QUICK, "hidden_units": (300,), "epochs": 120, "learning_rate": 1e-3}
    found = warned(DenseAutoencoder(4, validation_split=0, **large), X)
    assert [category for category, _ in found if category is not NoBetterThanMeanWarning] == []


def test_dimensions_of_a_variational_code_that_collapsed_are_still():
    codes = np.random.default_rng(0).normal(size=(200, 3)) * [1, 0.05, 0.2]
    assert still_dimensions(codes, variational=True).tolist() == [1]
    assert still_dimensions(codes, variational=False).tolist() == []
    assert still_dimensions(0 * codes, variational=False).tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    ("kl_weight", "share_of_mean", "most"),
    [
        (None, 0.101, 2),  # three quarters of the dimensions must move
        (None, 0.1, 6),  # a quarter of them, if the reconstruction is good
        (1e-3, 0.101, 4),  # half of them, if the code is variational
        (1e-3, 0.1, 6),
    ],
)
def test_how_many_dimensions_may_be_still_depends_on_the_loss_and_the_code(
    monkeypatch, kl_weight, share_of_mean, most
):
    model = DenseAutoencoder(8, kl_weight=kl_weight, code_activation="linear")
    monkeypatch.setattr(unused_code, "fit_sample", lambda estimator, batches: batches)
    for still in (most, most + 1):
        codes = np.random.default_rng(0).normal(size=(50, 8)) * (np.arange(8) >= still)
        monkeypatch.setattr(unused_code, "codes_of", lambda estimator, batches, codes=codes: codes)
        message = unused_code.unused_code(model, None, share_of_mean)
        assert (message is not None) == (still > most)


def test_what_moves_a_code_depends_on_the_model():
    variational = DenseAutoencoder(kl_weight=0.5, code_activation="linear")
    assert remedy(variational, variational=True) == "Lower `kl_weight`, for example to 0.05."
    sparse = DenseAutoencoder(code_l1=0.1, code_activation="linear")
    assert remedy(sparse, variational=False) == "Lower `code_l1`, or `latent_dim`."
    assert remedy(DenseAutoencoder(code_activation="linear"), variational=False) == (
        "Lower `latent_dim`."
    )
    named = "Dimensions 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, … of the code (12 of 32)"
    assert dimensions(range(12), 32) == named


def test_a_validation_loss_far_above_the_training_loss_is_overfitting():
    rng = np.random.default_rng(1)
    noisy = data(n=40, rank=2, width=16) + 1.5 * rng.normal(size=(40, 16))
    model = DenseAutoencoder(12, hidden_units=(64,), validation_split=0.3, epochs=150,
                             learning_rate=5e-3, patience=None, **QUICK)  # fmt: skip
    ((category, message),) = warned(model, noisy)
    assert category is GeneralizationWarning
    assert message.startswith(f"The validation loss is {model.history_['val_loss'][-1]:.4g}, ")
    assert "times the training loss of the same weights (" in message
    assert "learned the training sequences by heart (" in message
    assert "weights for each training value). Give `fit` more sequences, lower" in message


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda X: X + 9 * (np.arange(8) == 3), "the mean of feature 3 is "),
        (lambda X: X * np.where(np.arange(8) == 5, 12, 1), "the standard deviation of feature 5"),
    ],
)
def test_validation_data_of_another_distribution_are_named(change, expected):
    model = DenseAutoencoder(4, epochs=60, learning_rate=5e-3, **QUICK)
    ((category, message),) = warned(model, data(), validation_data=change(data(32, seed=1)))
    assert category is GeneralizationWarning
    assert f"The validation sequences have another distribution: {expected}" in message


def test_validation_data_of_the_same_distribution_are_no_reason_to_warn():
    model = DenseAutoencoder(4, epochs=60, learning_rate=5e-3, **QUICK)
    assert warned(model, data(), validation_data=data(32, seed=1)) == []


@pytest.mark.parametrize(("n", "scale"), [(9, 1.0), (40, 0.2)])
def test_few_or_good_validation_sequences_are_no_reason_to_warn(n, scale):
    rng = np.random.default_rng(1)
    noise = 1.5 * scale * rng.normal(size=(40 + n, 16))
    X = data(n=40 + n, rank=2, width=16) + noise
    model = DenseAutoencoder(12, hidden_units=(64,), epochs=150, learning_rate=5e-3,
                             patience=None, **QUICK)  # fmt: skip
    found = warned(model, X[:40], validation_data=X[40:])
    history = model.history_
    assert history["val_loss"][history["best_epoch"]] > 2 * history["loss"][history["best_epoch"]]
    assert [one for one in found if one[0] is GeneralizationWarning] == []


def test_a_model_that_is_far_too_large_warns_if_nothing_is_held_out():
    large = {**QUICK, "hidden_units": (300,), "epochs": 100, "learning_rate": 1e-3}
    ((category, message),) = warned(
        DenseAutoencoder(4, validation_split=0, **large), data(12)[:, :2]
    )
    weights = 2 * (2 * 300 + 300 * 4) + 300 + 4 + 300 + 2
    assert category is GeneralizationWarning
    assert message.startswith(
        f"The model has {weights:,} weights for 24 training values, and no sequences are held out"
    )
    small = {**large, "hidden_units": (30,)}
    assert warned(DenseAutoencoder(4, validation_split=0, **small), data(12)[:, :2]) == []


def series(seed, length=60):
    return np.random.default_rng(seed).normal(size=(length, 1)).cumsum(axis=0)


@pytest.mark.parametrize("padded", [False, True])
def test_copies_of_held_out_sequences_are_reported(padded):
    rows = [series(i, 12 + padded * i % 5)[:, 0] for i in range(40)]
    model = DenseAutoencoder(2, epochs=2, validation_split=0.25, **QUICK)
    found = [one for one in warned(model, rows + rows) if one[0] is OverlapWarning]
    ((_, message),) = found
    copied = int(message.split()[0])
    assert 10 < copied <= 20
    assert message == (
        f"{copied} of 20 held-out sequences that were checked occur in the rest of `X`, so the "
        "validation loss says little about other sequences; remove the copies, or hold them out "
        "together with `groups`."
    )
    found = [one for one in warned(model, rows) if one[0] is OverlapWarning]
    assert found == []


def test_sequences_with_few_different_values_may_be_repeated():
    bits = np.random.default_rng(0).integers(0, 2, (80, 6)).astype(float)
    model = DenseAutoencoder(2, epochs=2, validation_split=0.25, **QUICK)
    assert OverlapWarning not in [category for category, _ in warned(model, bits)]


@pytest.mark.parametrize("copied", [True, False])
def test_series_of_other_groups_with_the_same_steps_are_reported(copied):
    several = [series(i) for i in range(4)]
    if copied:
        several.append(several[3][10:])  # the same recording, from a later step on
    windows = Windows(several, 12)
    owner, _ = windows.place(np.arange(len(windows)))
    model = DenseAutoencoder(2, epochs=2, validation_split=0.25, **QUICK)
    messages = {
        message
        for seed in range(6)  # one of the two is held out for some seed
        for category, message in warned(model.set_params(random_state=seed), windows, groups=owner)
        if category is OverlapWarning
    }
    assert bool(messages) == copied
    for message in messages:
        _, _, checked, *_ = message.split()
        assert message.partition(" of ")[2] == (
            f"{checked} held-out windows that were checked occur in another series of `X`, at "
            "steps that are trained on, so the validation loss says little about other series; "
            "remove the copies, or hold them out together with `groups`."
        )


def test_a_classifier_reports_copies_too():
    rows = np.stack([series(i, 12)[:, 0] for i in range(20)])
    encoder = DenseAutoencoder(2, epochs=2, validation_split=0, **QUICK)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NoBetterThanMeanWarning)
        encoder.fit(rows)
    model = EncoderClassifier(encoder, epochs=2, validation_split=0.25, random_state=0, verbose=0)
    found = warned(model, np.concatenate([rows, rows]), np.tile([0, 1], 20))
    assert OverlapWarning in [category for category, _ in found]


def seen(X, **parameters):
    """What a sample shows, for a model of 2 codes."""
    model = DenseAutoencoder(2, epochs=1, validation_split=0, **{**QUICK, **parameters})
    batches = []
    original = DenseAutoencoder._batches

    class Kept(DenseAutoencoder):
        def _batches(self, *given):
            batches.append(original(self, *given))
            return batches[-1]

    kept = Kept(**model.get_params())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        kept.fit(X)
    return seen_in_sample(kept, batches[0], "reconstruction")


def test_the_sample_shows_a_feature_that_hides_the_others():
    X = np.random.default_rng(0).normal(size=(150, 5, 3)) * [1, 100, 1]
    found = seen(X, scaling="none")
    assert found.dominated.startswith("feature 1 has 100% of the variance of all 3 features")
    assert found.dominated.endswith("Set scaling='standard'.")
    assert seen(X).dominated == ""


def test_the_sample_shows_a_few_outliers():
    X = np.random.default_rng(0).normal(size=(200, 10))
    X[7] *= 300
    assert seen(X).dominated.startswith("2 of 200 sequences that were checked have ")
    assert seen(X[8:]).dominated == ""
    assert seen(X[:99]).dominated == ""  # of so few a hundredth is one


def test_a_feature_cannot_hide_others_after_scaling():
    X = np.zeros((150, 5, 3))  # the last features hardly vary around their mean sequence
    X[..., 0] = np.random.default_rng(0).normal(size=(150, 5))
    X[..., 1:] = np.arange(5)[:, None] + X[..., :1] / 100
    assert seen(X, scaling="standard").dominated == ""
    assert seen(X, scaling="none").dominated != ""


def test_the_sample_shows_how_much_a_linear_code_explains():
    assert seen(data(rank=2)).explained == pytest.approx(1)
    noise = np.random.default_rng(0).normal(size=(2000, 40))
    assert seen(noise).explained < 0.1
    assert seen(data(n=3)).explained is None


def advised(shown, losses=(1.0, 0.9, *[0.6, 0.61] * 15)):
    rates = [0.005] * len(losses)
    return advice(
        list(losses), 0.1, rates, of_constant=1.0, updates=1500, held_out=None, seen=shown
    )


def test_the_advice_names_what_the_sample_shows():
    assert advised(Seen("two sequences have it all.")) == "two sequences have it all."
    assert advised(Seen(explained=0.05, latent_dim=3)) == (
        "the code may be too short: 3 principal components, the best linear code of this length, "
        "explain only 5% of the variance around the mean. Raise `latent_dim`; if the data are "
        "mostly noise, smooth them."
    )
    assert advised(Seen(explained=0.9, latent_dim=3, also=" Use patches.")).endswith(
        "or raise `latent_dim`. Use patches."
    )


def test_a_sample_is_spread_over_the_sequences(monkeypatch):
    model = DenseAutoencoder(2, epochs=1, **QUICK)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(data())
    from unspool.training.batches import Batches

    source = Sequences(np.arange(1000.0)[:, None, None] * np.ones((1, 1, 8)))
    batches = Batches(source, model.scaler_, np.arange(1000), 16, torch.device("cpu"))
    assert fit_sample(model, batches, 4).indices.tolist() == [0, 333, 666, 999]
