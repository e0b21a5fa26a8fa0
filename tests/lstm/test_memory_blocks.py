"""Memory blocks are reused, but never while an array or a view still uses them."""

import gc

import numpy as np
import pytest
import torch

from unspool.lstm import memory


@pytest.fixture(autouse=True)
def nothing_kept(monkeypatch):
    monkeypatch.setattr(memory, "_free", [])


def address(array):
    return array.__array_interface__["data"][0]


def test_blocks_begin_at_multiples_of_64_bytes_and_can_be_written():
    for count in (1, 1000, 1 << 20):
        values = memory.block(count, np.float32)
        assert (len(values), values.dtype, address(values) % 64) == (count, np.float32, 0)
        values[:] = 1


def test_memory_is_reused_when_the_last_view_is_gone():
    first = memory.block(1 << 20, np.float32)
    where = address(first)
    tensor = torch.from_numpy(first.reshape(1 << 10, -1)[3:])[1:]
    del first
    gc.collect()
    other = memory.block(1 << 20, np.float32)
    assert address(other) != where  # the tensor still uses it
    del tensor
    gc.collect()
    smaller = memory.block(900_000, np.float32)
    assert address(smaller) == where
    assert not memory._free


def test_a_block_that_is_much_too_large_is_not_reused():
    large = memory.block(1 << 20, np.float32)
    where = address(large)
    del large
    gc.collect()
    assert len(memory._free) == 1
    assert address(memory.block(1 << 19, np.float32)) != where


def test_small_blocks_are_not_kept():
    values = memory.block(100, np.float64)
    del values
    gc.collect()
    assert memory._free == []


def test_unused_blocks_are_dropped_beyond_a_limit(monkeypatch):
    monkeypatch.setattr(memory, "MAX_KEPT", 10 << 20)
    blocks = [memory.block(1 << 20, np.float32) for _ in range(4)]
    del blocks
    gc.collect()
    memory.block(1 << 22, np.float32)
    assert sum(map(len, memory._free)) <= (10 << 20) + (17 << 20)
    memory._take(1)
    assert sum(map(len, memory._free)) <= 10 << 20
