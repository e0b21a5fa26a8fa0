"""Held-out windows are searched for in other series, and only where these are trained on."""

import numpy as np

from unspool import Sequences, Windows
from unspool.data import copies as module
from unspool.data.copies import copies

NOISE = np.random.default_rng(0).normal(size=(3, 60, 1))


def windows_of(*series):
    windows = Windows(list(series), 12)
    owner, start = windows.place(np.arange(len(windows)))
    return windows, owner, start


def test_a_copy_counts_only_where_it_is_trained_on():
    windows, owner, start = windows_of(NOISE[0], np.concatenate([NOISE[1], NOISE[0]]), NOISE[2])
    held_out = np.flatnonzero(owner == 0)
    assert copies(windows, np.flatnonzero(owner > 0), held_out).copied == 49
    before = np.flatnonzero((owner == 1) & (start < 60 + 18))  # the last one ends at step 89
    assert copies(windows, before, held_out).copied == 18
    assert copies(windows, np.flatnonzero(owner == 2), held_out).copied == 0


def test_a_window_is_no_copy_of_itself():
    windows, _, _ = windows_of(NOISE[0], NOISE[1])
    everything = np.arange(len(windows))
    assert copies(windows, everything, everything[:40]).copied == 0


def test_sequences_are_compared_with_all_parts_of_the_others(monkeypatch):
    monkeypatch.setattr(module, "AT_ONCE", 7)
    rows = np.random.default_rng(0).normal(size=(50, 12, 1))
    source = Sequences(np.concatenate([rows, rows[::-1]]))
    assert copies(source, np.arange(60), np.arange(60, 100)).copied == 40
