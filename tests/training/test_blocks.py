"""Batches of sequences that are read in blocks of neighbours."""

import numpy as np
import pytest

from tests.training.one_number import CPU
from tests.training.stored import SequencesInBlocks, WindowsInBlocks
from unspool import Sequences, Windows
from unspool.data.futures import Futures
from unspool.data.scaling import Scaler
from unspool.training import blocks as module
from unspool.training.batches import Batches

PLAIN = Scaler(np.zeros(1), np.ones(1))


def numbered(n, steps=2, lengths=None):
    return Sequences(np.arange(1.0, n + 1)[:, None, None] * np.ones((1, steps, 1)), lengths)


def batches(source, size, seed=0, indices=None, steps=None):
    indices = np.arange(len(source)) if indices is None else indices
    return Batches(source, PLAIN, indices, size, CPU, np.random.default_rng(seed), steps)


def numbers(epoch):
    return [[int(value) - 1 for value in batch.x[:, 0, 0]] for batch in epoch]


@pytest.fixture(params=[40, 130, 10_000], ids=["a block", "several blocks", "everything"])
def pool(request, monkeypatch):
    monkeypatch.setattr(module, "POOL_VALUES", request.param)


@pytest.mark.parametrize("size", [1, 7, 8, 33, 200])
def test_every_sequence_is_once_in_an_epoch_in_as_few_batches_as_possible(pool, size):
    data = batches(SequencesInBlocks(numbered(103), [0, 20, 40, 60, 80, 100, 103]), size)
    for epoch in (numbers(data), numbers(data)):
        assert sorted(np.concatenate(epoch)) == list(range(103))
        assert len(epoch) == len(data) == -(-103 // size)
        assert max(map(len, epoch)) <= size


def test_blocks_are_read_once_in_a_new_order_in_every_epoch(monkeypatch):
    monkeypatch.setattr(module, "POOL_VALUES", 3 * 20 * 2)
    source = SequencesInBlocks(numbered(200), np.arange(0, 201, 20))
    data = batches(source, 8)
    orders = []
    for _ in range(2):
        source.loaded.clear()
        list(data)
        orders.append(list(source.loaded))
        assert len(set(orders[-1])) == len(orders[-1])
        assert set(orders[-1]) <= {(start, start + 20) for start in range(0, 200, 20)}
    assert len(orders[0]) == 10 > len(orders[1]) >= 6  # some were still in memory
    assert [one for one in orders[0] if one in orders[1]] != orders[1]
    assert not source.taken


def test_a_pool_has_as_many_blocks_as_memory_allows(monkeypatch):
    monkeypatch.setattr(module, "POOL_VALUES", 3 * 20 * 2)
    source = SequencesInBlocks(numbered(200), np.arange(0, 201, 20))
    data = batches(source, 10)
    most = 0
    for _ in data:
        most = max(most, sum(block is not None for block in data._take.__self__.held.values()))
    assert most == 4  # three, and the one with the sequences that are left


def test_every_batch_is_spread_over_the_pool(monkeypatch):
    monkeypatch.setattr(module, "POOL_VALUES", 4 * 16 * 2)
    source = SequencesInBlocks(numbered(128), np.arange(0, 129, 16))
    for batch in numbers(batches(source, 8)):
        assert np.bincount(np.array(batch) // 16).max() == 2  # of four blocks


def test_with_everything_in_one_pool_batches_are_spread_over_all_data():
    source = SequencesInBlocks(numbered(128), np.arange(0, 129, 16))
    for batch in numbers(batches(source, 8)):
        assert [number // 16 for number in sorted(batch)] == list(range(8))


def test_only_blocks_of_sequences_that_are_used_are_read(pool):
    source = SequencesInBlocks(numbered(100), np.arange(0, 101, 10))
    used = np.concatenate([np.arange(3, 9), np.arange(55, 72)])
    epoch = numbers(batches(source, 5, indices=used))
    assert sorted(np.concatenate(epoch)) == used.tolist()
    assert set(source.loaded) == {(0, 10), (50, 60), (60, 70), (70, 80)}


def test_a_limit_of_steps_reads_the_blocks_of_one_pool(monkeypatch):
    monkeypatch.setattr(module, "POOL_VALUES", 4 * 25 * 2)
    source = SequencesInBlocks(numbered(1000), np.arange(0, 1001, 25))
    data = batches(source, 4, steps=5)
    seen = set()
    for _ in range(150):
        source.loaded.clear()
        epoch = numbers(data)
        assert [len(batch) for batch in epoch] == [4] * 5 == [4] * len(data)
        assert len(source.loaded) <= 4
        assert len({number for batch in epoch for number in batch}) == 20
        seen |= {start for start, _ in source.loaded}
    assert seen == set(range(0, 1000, 25))


def test_an_epoch_continues_after_batches_that_are_not_read(monkeypatch):
    monkeypatch.setattr(module, "POOL_VALUES", 2 * 20 * 2)
    edges = np.arange(0, 101, 20)
    whole = numbers(batches(SequencesInBlocks(numbered(100), edges), 8))
    source = SequencesInBlocks(numbered(100), edges)
    rest = numbers(batches(source, 8).epoch(skip=10))
    assert rest == whole[10:]
    assert len(source.loaded) <= 3


def test_batches_are_read_from_the_blocks_in_groups(monkeypatch):
    monkeypatch.setattr(module, "GROUP_VALUES", 5 * 8 * 2)
    data = batches(SequencesInBlocks(numbered(200), np.arange(0, 201, 20)), 8)
    read, groups = data.order.blocks._read, []

    def counted(indices):
        groups.append(len(indices))
        return read(indices)

    monkeypatch.setattr(data.order.blocks, "_read", counted)
    assert sorted(np.concatenate(numbers(data))) == list(range(200))
    assert groups == [40] * 5


def test_few_long_sequences_in_blocks_do_not_pad_short_ones(pool):
    lengths = np.full(200, 2)
    lengths[[5, 77, 120]] = 600
    source = SequencesInBlocks(numbered(200, 600, lengths), np.arange(0, 201, 20))
    data = batches(source, 8)
    assert "2 to 600 steps; batches of similar lengths" in data.note
    epoch = list(data)
    assert sorted(np.concatenate(numbers(epoch))) == list(range(200))
    assert len(epoch) == len(data)
    assert {batch.x.shape[1] for batch in epoch} == {2, 600}
    assert sum(len(batch.x) for batch in epoch if batch.x.shape[1] == 600) == 3


def test_windows_in_blocks_have_the_steps_of_their_series(pool):
    windows = Windows([np.arange(1.0, 41), np.arange(101.0, 131)], 5)
    data = batches(WindowsInBlocks(windows, [0, 10, 30, 50, len(windows)]), 4)
    found = sorted(tuple(row) for batch in data for row in batch.x[:, :, 0].tolist())
    expected, _ = windows.take(np.arange(len(windows)))
    assert found == sorted(map(tuple, expected[:, :, 0].tolist()))


@pytest.mark.parametrize("given", [False, True])
def test_futures_follow_their_sequences(pool, given):
    sequences = Sequences(np.arange(60.0).reshape(20, 3, 1))
    future = np.arange(20.0)[:, None, None] if given else None

    class FuturesInBlocks(Futures):
        blocks = np.array([0, 6, 12, 20])

        def load(self, start, stop):
            some = None if future is None else future[start:stop]
            return Futures(sequences[start:stop], 1, some)

    for batch in batches(FuturesInBlocks(sequences, 1, future), 3):
        first = batch.x[:, 0, 0]
        expected = first / 3 if given else first + 2
        assert batch.y[:, 0, 0].tolist() == expected.tolist()


def test_classes_and_indices_belong_to_the_sequences_that_are_read(pool):
    source = SequencesInBlocks(numbered(60), [0, 25, 60])
    data = Batches(
        source, PLAIN, np.arange(60), 7, CPU, np.random.default_rng(0), classes=np.arange(1, 61)
    )
    for batch in data:
        assert batch.y.tolist() == batch.x[:, 0, 0].tolist()


def test_indices_in_any_order_name_the_sequences_that_are_read(pool):
    source = SequencesInBlocks(numbered(103), [0, 20, 40, 60, 80, 100, 103])
    some = np.random.default_rng(0).permutation(103)[:50]
    data = batches(source, 8, indices=some)
    assert sorted(np.concatenate(numbers(data))) == sorted(some)
    assert len(source.taken) < 8  # the others from the blocks
