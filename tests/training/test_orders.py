"""Which sequences share a batch, and in what order the batches of an epoch follow."""

import numpy as np
import pytest

from tests.training.one_number import CPU
from unspool import LSTMAutoencoder, Sequences
from unspool.data.scaling import Scaler
from unspool.training.batches import Batches
from unspool.training.orders import (
    BATCH_STEPS,
    LengthOrder,
    MixedOrder,
    batches_by_length,
    expected_steps,
    mixed_padding,
    order_of,
    stratified_batches,
)

PLAIN = Scaler(np.zeros(1), np.ones(1))
SHORT_AND_LONG = np.concatenate(
    [np.random.default_rng(0).integers(10, 41, 2000), [2000, 2500, 5000, 9000]]
)


def epoch_of(order, seed=0):
    return list(order.epoch(np.random.default_rng(seed)))


def padding_of(batches, lengths):
    padded = sum(len(batch) * lengths[batch].max() for batch in batches)
    return 1 - lengths.sum() / padded


def ragged(lengths):
    values = np.zeros((len(lengths), max(lengths), 1))
    for number, length in enumerate(lengths):
        values[number, :length] = number
    return Sequences(values, lengths)


def test_sequences_of_one_length_keep_the_order_of_stratified_batches():
    source = Sequences(np.arange(100.0)[:, None, None] * np.ones((1, 5, 1)))
    data = Batches(source, PLAIN, np.arange(100), 8, CPU, np.random.default_rng(3))
    expected = stratified_batches(100, 13, 8, np.random.default_rng(3))
    for batch, positions in zip(data, expected, strict=True):
        assert batch.x[:, 0, 0].tolist() == positions.tolist()
    assert data.note == ""


@pytest.mark.parametrize("low", [7, 1])
def test_evenly_distributed_lengths_are_mixed(low):
    lengths = np.random.default_rng(0).integers(low, 30, 500)
    order = order_of(lengths, 500, 32)
    assert isinstance(order, MixedOrder)
    expected = stratified_batches(500, 16, 32, np.random.default_rng(0))
    assert all(np.array_equal(*pair) for pair in zip(epoch_of(order), expected, strict=True))


def test_a_few_long_sequences_do_not_pad_the_short_ones():
    order = order_of(SHORT_AND_LONG, len(SHORT_AND_LONG), 32)
    assert isinstance(order, LengthOrder)
    batches = epoch_of(order)
    assert padding_of(batches, SHORT_AND_LONG) < 0.1
    mixed = MixedOrder(len(SHORT_AND_LONG), 32)
    assert padding_of(epoch_of(mixed), SHORT_AND_LONG) > 0.8


def test_every_sequence_is_once_in_an_epoch_of_similar_lengths():
    order = order_of(SHORT_AND_LONG, len(SHORT_AND_LONG), 32)
    first, second = epoch_of(order, 1), epoch_of(order, 2)
    for batches in (first, second):
        assert sorted(np.concatenate(batches)) == list(range(len(SHORT_AND_LONG)))
        assert len(batches) == len(order)
        assert max(map(len, batches)) <= 32
    assert [one.tolist() for one in first] != [one.tolist() for one in second]
    assert len(order) <= 1.25 * len(SHORT_AND_LONG) / 32


def test_batches_of_similar_lengths_come_in_random_order():
    order = order_of(SHORT_AND_LONG, len(SHORT_AND_LONG), 32)
    longest = [[SHORT_AND_LONG[batch].max() for batch in epoch_of(order, seed)] for seed in (0, 1)]
    for one in longest:
        rises = np.mean(np.diff(one) > 0)
        assert 0.3 < rises < 0.7
    assert np.argmax(longest[0]) != np.argmax(longest[1])


def test_batches_of_similar_lengths_are_spread_over_the_data():
    lengths = np.tile([10, 10, 10, 10, 1000], 128)
    batches = epoch_of(order_of(lengths, 640, 32))
    assert sorted(int(lengths[batch].max()) for batch in batches) == [10] * 16 + [1000] * 4
    for batch in batches:
        assert len(np.unique(lengths[batch])) == 1
        assert [position // 20 for position in batch.tolist()] == list(range(32))


def test_a_limit_of_steps_draws_fresh_batches_of_all_lengths():
    order = order_of(SHORT_AND_LONG, len(SHORT_AND_LONG), 32, steps=10)
    assert len(order) == 10
    epochs = [epoch_of(order, seed) for seed in range(300)]
    assert {len(batches) for batches in epochs} == {10}
    drawn = [np.concatenate(batches) for batches in epochs]
    assert all(len(np.unique(one)) == len(one) for one in drawn)
    counts = np.bincount(np.concatenate(drawn), minlength=len(SHORT_AND_LONG))
    share = 10 / len(order_of(SHORT_AND_LONG, len(SHORT_AND_LONG), 32))
    assert counts.min() > 0
    assert counts[SHORT_AND_LONG < 100].mean() / 300 == pytest.approx(share, rel=0.1)
    assert counts[SHORT_AND_LONG > 100].mean() / 300 == pytest.approx(share, rel=0.5)


def test_batches_of_very_long_sequences_are_small():
    lengths = np.concatenate([np.full(3200, 20), np.full(64, BATCH_STEPS // 4), [2 * BATCH_STEPS]])
    batches = epoch_of(order_of(lengths, len(lengths), 32))
    sizes = {int(lengths[batch].max()): len(batch) for batch in batches}
    assert sizes == {20: 32, BATCH_STEPS // 4: 4, 2 * BATCH_STEPS: 1}


def test_a_single_batch_of_ordinary_size_is_not_divided():
    lengths = np.array([5] * 30 + [500])
    assert isinstance(order_of(lengths, 31, 32), MixedOrder)
    assert isinstance(order_of(lengths, 31, 16), LengthOrder)


def test_few_batches_are_divided_into_few_ranges():
    lengths = np.unique(np.geomspace(3, 3000, 64).astype(int))  # three batches
    order = order_of(lengths, len(lengths), 32)
    assert isinstance(order, LengthOrder)
    assert len(order.ranges) == 2


@pytest.mark.parametrize("size", [1, 4, 32])
def test_the_expected_padding_is_that_of_many_epochs(size):
    lengths = np.random.default_rng(1).exponential(100, 1000).astype(int) + 1
    epochs = [epoch_of(MixedOrder(1000, size), seed) for seed in range(5)]
    mean = np.mean([padding_of(batches, lengths) for batches in epochs])
    assert mixed_padding(lengths, size) == pytest.approx(mean, abs=0.01)
    assert expected_steps(np.array([3, 8]), np.array([5, 1]), 1) == 48


def test_the_share_of_padding_is_reported():
    lengths = [3] * 40 + [900]
    data = Batches(ragged(lengths), PLAIN, np.arange(41), 8, CPU, np.random.default_rng(0))
    assert data.note == (
        "sequences have 3 to 900 steps; batches of similar lengths, 0% padding instead of 83%"
    )
    assert len(data) == len(list(data)) == 6
    assert sorted(batch.x.shape[1] for batch in data) == [3] * 5 + [900]


def test_empty_sequences_are_in_batches_too():
    lengths = np.array([0] * 40 + [1] * 40 + [100])
    batches = epoch_of(order_of(lengths, 81, 8))
    assert sorted(np.concatenate(batches)) == list(range(81))


def test_batches_without_gradients_are_as_large_as_their_longest_sequences_allow():
    lengths = np.array([9, 1, 3, 20, 1, 3])
    found = batches_by_length(lengths, lambda longest: np.maximum(1, 9 // longest))
    assert [one.tolist() for one in found] == [[1, 4, 2], [5], [0], [3]]


def test_validation_batches_are_made_by_length_if_one_sequence_is_very_long():
    source = ragged([2, 1, 1, 1, 1, 1, 1, 50])

    def sizes(longest):
        return np.maximum(1, 8 // longest)

    data = Batches(source, PLAIN, np.arange(8), 1, CPU, sizes=sizes)
    assert [batch.x.shape[:2] for batch in data] == [(6, 1), (1, 2), (1, 50)]
    assert len(data) == 3
    together = Batches(source, PLAIN, np.arange(8), 8, CPU, sizes=sizes)
    assert [batch.x[:, 0, 0].tolist() for batch in together] == [list(range(8))]


@pytest.mark.parametrize(("verbose", "said"), [(1, False), (2, True)])
def test_a_fit_with_verbose_2_says_how_much_padding_there_is(capsys, verbose, said):
    X = [np.arange(3.0)] * 60 + [np.arange(300.0)]
    LSTMAutoencoder(
        2, units=2, epochs=1, batch_size=8, validation_split=0, random_state=0, verbose=verbose
    ).fit(X)
    assert ("batches of similar lengths, 0% padding" in capsys.readouterr().err) is said
