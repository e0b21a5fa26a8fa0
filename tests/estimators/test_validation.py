"""On what a fit validates: how many sequences, which ones, and that they stay the same."""

import numpy as np
import pytest

from tests.estimators.quick import LAST, sines
from unspool import DenseAutoencoder, LSTMAutoencoder, LSTMForecaster, StackedAutoencoder, Windows
from unspool.errors import InputError
from unspool.estimators import base, batch_runner
from unspool.training.batches import Batches

pytestmark = pytest.mark.filterwarnings("ignore::unspool.errors.NoBetterThanMeanWarning")

QUICK = {"latent_dim": 3, "epochs": 3, "batch_size": 8, "random_state": 0, "verbose": 0}
PLAIN = {**QUICK, **LAST}  # whose encoder reads no sequences before training


@pytest.fixture
def read(monkeypatch):
    """The indices of all sequences that were read to validate on, pass by pass."""
    passes = []

    class Seen(Batches):
        def __iter__(self):
            if self.rng is None:
                passes.append(self.indices.tolist())
            return super().__iter__()

    monkeypatch.setattr(base, "Batches", Seen)
    monkeypatch.setattr(batch_runner, "Batches", Seen)
    return passes


X = sines(n=1000, steps=8)


def test_all_held_out_sequences_are_used_where_epochs_are_not_limited(read):
    LSTMAutoencoder(**PLAIN).fit(X)
    assert [len(one) for one in read] == [100] * 4  # three epochs, and the comparison with the mean


def test_a_limited_epoch_is_validated_on_the_same_share(read):
    LSTMAutoencoder(**PLAIN, steps_per_epoch=45).fit(X)  # 360 of 900
    assert [len(one) for one in read] == [40] * 4
    assert all(one == read[0] for one in read)


def test_the_share_is_one_batch_at_least(read):
    LSTMAutoencoder(**PLAIN, steps_per_epoch=1).fit(X)
    assert [len(one) for one in read] == [8] * 4


@pytest.mark.parametrize(("steps", "expected"), [(1, 8), (3, 24), (12, 96), (13, 100), (1000, 100)])
@pytest.mark.parametrize("steps_per_epoch", [None, 2])
def test_validation_steps_are_batches(read, steps, expected, steps_per_epoch):
    LSTMAutoencoder(**PLAIN, steps_per_epoch=steps_per_epoch, validation_steps=steps).fit(X)
    assert [len(one) for one in read] == [expected] * 4
    assert len(set(read[0])) == expected


def test_they_are_spread_over_what_is_held_out(read):
    windows = Windows(np.sin(np.arange(3000) / 5), 10)
    _, held_out = windows.split(0.1)
    LSTMForecaster(**QUICK, validation_steps=4).fit(windows)
    edges = held_out[0] + np.linspace(0, len(held_out), 33)
    for first, last, one in zip(edges[:-1], edges[1:], read[0], strict=True):
        assert first - 1 <= one <= last
    assert all(one == read[0] for one in read)


@pytest.mark.parametrize("kind", [DenseAutoencoder, StackedAutoencoder])
def test_other_models_validate_so_too(read, kind):
    kind(**QUICK, validation_steps=2, hidden_units=(4,)).fit(X[:, :, 0])
    assert read
    assert {len(one) for one in read if len(one) < 900} == {16}


def test_one_seed_draws_the_same_sequences(read):
    for _ in range(2):
        LSTMAutoencoder(**PLAIN, validation_steps=2).fit(X)
    assert read[0] == read[4]


@pytest.mark.parametrize(("most", "expected"), [(2048, 900), (100, 100)])
def test_initial_weights_are_chosen_by_some_of_the_training_sequences(
    read, monkeypatch, most, expected
):
    monkeypatch.setattr(batch_runner, "INITIAL_SAMPLE", most)
    LSTMAutoencoder(**QUICK).fit(X)
    assert len(set(read[0])) == expected
    assert not set(read[0]) & set(read[1])  # those held out


def test_validation_steps_is_none_or_a_whole_number():
    with pytest.raises(InputError) as caught:
        LSTMAutoencoder(validation_steps=0).fit(X)
    assert str(caught.value) == (
        "`validation_steps` must be a whole number of at least 1 or None, got 0."
    )
