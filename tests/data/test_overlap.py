"""Windows that were cut by hand are recognised; data that only repeat are not."""

import numpy as np
import pytest
from numpy.lib.stride_tricks import sliding_window_view

from unspool import Sequences, Windows
from unspool.data.overlap import shared, window_shift

rng = np.random.default_rng(0)
SERIES = {
    "noise": rng.normal(size=(600, 1)),
    "sine": np.sin(np.arange(600)[:, None] / 7),
    "features": rng.normal(size=(600, 3)),
    "rounded": np.round(20 + 3 * np.sin(np.arange(600)[:, None] / 40), 2),
    "whole numbers": np.cumsum(rng.integers(-3, 4, (600, 1)), axis=0),
    "walk": np.cumsum(rng.normal(size=(600, 2)), axis=0).astype(np.float32),
}


def cut(series, steps=24, stride=1):
    return sliding_window_view(series, steps, axis=0).swapaxes(1, 2)[::stride].copy()


@pytest.mark.parametrize("stride", [1, 3, 16])
@pytest.mark.parametrize("name", SERIES)
def test_windows_cut_by_hand_are_recognised(name, stride):
    rows = cut(SERIES[name], stride=stride)
    assert window_shift(Sequences(rows)) == stride
    assert window_shift(Sequences(rows[::-1])) == stride


def test_windows_in_a_table_are_recognised():
    rows = cut(SERIES["noise"], stride=2)[:, None, :, 0]  # one step of many features
    assert window_shift(Sequences(rows)) == 2
    assert window_shift(Sequences(rows[:, :, ::-1])) == 2  # lags, the latest first


def test_windows_of_several_series_are_recognised():
    rows = np.concatenate([cut(SERIES["noise"][:300]), cut(SERIES["noise"][300:])])
    assert window_shift(Sequences(rows)) == 1


def phases(period, steps=24, n=200):
    start = rng.integers(0, period, (n, 1))
    return np.sin(2 * np.pi * ((start + np.arange(steps)) % period) / period)[:, :, None]


DIFFERENT = {
    "equal sines": np.tile(np.sin(np.arange(24) / 3)[:, None], (200, 1, 1)),
    "constant rows": np.repeat(rng.normal(size=(200, 1, 1)), 24, axis=1),
    "one constant": np.ones((200, 24, 1)),
    "rising constants": np.repeat(np.arange(200.0)[:, None, None], 24, axis=1),
    "a period in each row": phases(8),
    "a period longer than a row": phases(50),
    "one period, row by row": np.tile(SERIES["noise"][:24], (200, 1, 1)),
    "rows side by side": cut(SERIES["noise"], steps=24, stride=24),
    "sines of any phase": np.sin(np.arange(24) / 3 + rng.uniform(0, 6, (200, 1)))[:, :, None],
    "alternating": np.tile([[[0.0], [1.0], [0.0]], [[1.0], [0.0], [1.0]]], (100, 1, 1)),
    "unit vectors": np.eye(200)[:, :, None],
    "a table of unit vectors": np.eye(200)[:, None],
    "binary": rng.integers(0, 2, (200, 24, 1)).astype(float),
    "answers": rng.integers(1, 6, (200, 1, 10)).astype(float),
    "one event": (np.arange(24) == rng.integers(0, 24, (200, 1)))[:, :, None].astype(float),
    "shuffled": cut(SERIES["noise"])[rng.permutation(577)],
    "noise": rng.normal(size=(200, 24, 2)),
    "few": cut(SERIES["noise"])[:8],
    "two steps": cut(SERIES["noise"], steps=2),
    "nothing": np.zeros((20, 0, 1)),
}


@pytest.mark.parametrize("name", DIFFERENT)
def test_other_rows_are_no_windows(name):
    assert window_shift(Sequences(DIFFERENT[name])) is None


def test_sequences_of_different_lengths_are_no_windows():
    lengths = rng.integers(0, 25, 577)
    assert window_shift(Sequences(cut(SERIES["noise"]), lengths)) is None


def test_windows_know_their_series():
    assert window_shift(Windows(SERIES["noise"], 24)) is None


@pytest.mark.parametrize("name", SERIES)
def test_a_random_part_of_windows_overlaps_the_rest(name):
    rows = cut(SERIES[name])
    order = rng.permutation(len(rows))
    found = shared(Sequences(rows[order[:400]]), Sequences(rows[order[400:]]))
    assert found.checked == 128
    if name in ("rounded", "whole numbers"):  # too few different steps to tell
        assert found.overlapping <= 128
    else:
        assert found.overlapping == 128
    assert found.equal == 0


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize(
    "make", [lambda rows: Sequences(cut(rows)), lambda rows: Windows(rows, 24)]
)
def test_windows_on_both_sides_of_a_cut_overlap(make, turned):
    whole = make(SERIES["features"])
    parts = [whole[:300], whole[300:400]]
    training, validation = parts[::-1] if turned else parts
    found = shared(training, validation)
    assert found.equal == 0
    # 128 of 300 windows are checked, or all 100; an overlap of a single step is no evidence.
    assert found.overlapping == (22 if not turned else pytest.approx(22 * 128 / 300, abs=1))
    parts = [whole[:300], whole[323:400]]
    training, validation = parts[::-1] if turned else parts
    assert shared(training, validation).overlapping == 0


def test_windows_overlap_rows_that_were_cut_by_hand():
    training = Windows([SERIES["features"][:400]], 24)
    assert shared(training, Sequences(cut(SERIES["features"])[380:])).overlapping > 0
    assert shared(training, Sequences(cut(SERIES["features"])[400:])).overlapping == 0


def test_sequences_of_different_lengths_are_found():
    lengths = rng.integers(1, 25, 200)
    training = Sequences(rng.normal(size=(200, 24, 2)), lengths)
    some = training[:10]
    longer = Sequences(np.pad(some.values, ((0, 0), (0, 5), (0, 0))), some.lengths)
    assert shared(training, longer).equal == 10
    assert shared(training, Sequences(longer.values + 1, longer.lengths)).equal == 0


def test_rows_of_a_table_are_found():
    table = rng.normal(size=(200, 1, 5))
    assert shared(Sequences(table), Sequences(table[::10])).equal == 20
    assert shared(Sequences(table[:100]), Sequences(table[100:])) == shared(
        Sequences(table[100:]), Sequences(table[:100])
    )
    assert shared(Sequences(table[:100]), Sequences(table[100:])).equal == 0


NOT_SHARED = [name for name in DIFFERENT if name not in ("shuffled", "two steps", "few", "nothing")]


@pytest.mark.parametrize("name", NOT_SHARED)
def test_data_that_repeat_are_not_shared(name):
    rows = DIFFERENT[name]
    rows = rows[rng.permutation(len(rows))]
    at = 3 * len(rows) // 4
    found = shared(Sequences(rows[:at]), Sequences(rows[at:]))
    assert (found.equal, found.overlapping) == (0, 0)


def test_empty_sequences_are_not_compared():
    empty = Sequences(np.zeros((5, 4, 1)), [0] * 5)
    full = Sequences(rng.normal(size=(5, 4, 1)))
    assert shared(empty, full).equal == 0
    assert shared(full, empty).checked == 0
