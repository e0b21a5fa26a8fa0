import tracemalloc

import numpy as np
import pandas as pd
import polars as pl
import pytest
from numpy.lib.stride_tricks import sliding_window_view
from sklearn.model_selection import KFold, train_test_split

from unspool.data.merging import overlap_mean
from unspool.data.sequences import MASK_HINT
from unspool.data.series import chronological_split
from unspool.data.windows import Windows
from unspool.errors import InputError


def naive(series, size, stride=1, tail=False):
    """Windows by definition, one by one; a series of fewer than `size` steps is one window."""
    cut = []
    for one in series:
        starts = list(range(0, max(1, len(one) - size + 1), stride))
        if tail and starts[-1] + size < len(one):
            starts.append(len(one) - size)
        cut += [one[start : start + size] for start in starts]
    return cut


def numbered(*lengths, features=2, dtype=np.float64):
    """Series whose values are all different, so that no window equals another."""
    ends = np.cumsum(lengths)
    return [
        np.arange((end - length) * features, end * features).reshape(length, features).astype(dtype)
        for length, end in zip(lengths, ends, strict=True)
    ]


def assert_holds(windows, expected):
    values, lengths = windows.take(np.arange(len(windows)))
    assert lengths.tolist() == [len(one) for one in expected]
    assert windows.lengths_of(np.arange(len(windows))).tolist() == lengths.tolist()
    for got, length, one in zip(values, lengths, expected, strict=True):
        np.testing.assert_array_equal(got[:length], one)
        assert not got[length:].any()


def error_of(call, *args, **kwargs):
    with pytest.raises(InputError) as caught:
        call(*args, **kwargs)
    return str(caught.value)


@pytest.mark.parametrize("features", [1, 3])
def test_windows_of_one_series_equal_numpys_sliding_windows(features):
    (series,) = numbered(50, features=features)
    expected = sliding_window_view(series, 7, axis=0).swapaxes(1, 2)
    windows = Windows(series, 7)
    values, lengths = windows.take(np.arange(44))
    np.testing.assert_array_equal(values, expected)
    assert lengths.tolist() == [7] * 44
    assert windows.shape == expected.shape
    values[:] = -1
    np.testing.assert_array_equal(windows.take([3])[0], expected[[3]])  # a batch is its own


@pytest.mark.parametrize("tail", [False, True])
@pytest.mark.parametrize("stride", [1, 3, 4, 9])
@pytest.mark.parametrize("lengths", [(23,), (4,), (11, 4, 5, 17)])
def test_windows_are_the_naive_ones_and_never_cross_series(lengths, stride, tail):
    series = numbered(*lengths)
    windows = Windows(series, 4, stride, tail=tail)
    assert_holds(windows, naive(series, 4, stride, tail))


@pytest.mark.parametrize("lengths", [(3,), (2, 9, 1), (2, 3)])
def test_short_series_are_kept_whole_if_requested(lengths):
    series = numbered(*lengths)
    windows = Windows(series, 5, short="keep")
    assert_holds(windows, naive(series, 5))
    assert windows.max_length == min(5, max(lengths))
    np.testing.assert_array_equal(windows[0], naive(series, 5)[0])


def test_tail_covers_every_step():
    for length in range(4, 20):
        windows = Windows(numbered(length), 4, 3, tail=True)
        covered = {
            first + step for first in windows.place(range(len(windows)))[1] for step in range(4)
        }
        assert covered == set(range(length))


@pytest.mark.parametrize(
    "key",
    [
        slice(2, 9),
        slice(None, None, -3),
        slice(-4, None, 2),
        [5, 0, 5],
        [-1, -14],
        [],
        np.arange(14) % 3 == 0,
        np.array([1, 13], np.uint8),
        (np.array([4, 2]), ...),
    ],
)
def test_windows_are_picked_as_numpy_picks_rows(key):
    series = numbered(10, 9, 5)
    windows, expected = Windows(series, 4), naive(series, 4)
    rows = np.arange(15)[:14][np.array(key, int) if isinstance(key, list) else key]
    part = windows[:14][key]
    assert isinstance(part, Windows)
    assert len(part) == len(rows)
    assert_holds(part, [expected[i] for i in rows])


def test_parts_of_parts_are_counted_from_the_part():
    series = numbered(12, 9)
    windows, expected = Windows(series, 4), naive(series, 4)
    mask = np.array([True, False, True, True, False, True])
    nested = windows[1:14][::2][:6][mask][[3, 0, -2]][1:]
    rows = np.arange(15)[1:14][::2][:6][mask][[3, 0, -2]][1:]
    assert_holds(nested, [expected[i] for i in rows])
    np.testing.assert_array_equal(nested[-1], expected[rows[-1]])
    np.testing.assert_array_equal(windows[[4, 6]][np.int64(1)], expected[6])


@pytest.mark.parametrize("part", [slice(None), slice(2, 7), [0, 3, 4, 5, 6]])
def test_negative_indices_count_from_the_end(part):
    windows = Windows(numbered(9), 3)[part]
    n = len(windows)
    np.testing.assert_array_equal(windows.take([-1, -n])[0], windows.take([n - 1, 0])[0])


@pytest.mark.parametrize("index", [5, -6])
@pytest.mark.parametrize("part", [slice(5), [0, 1, 2, 3, 4]])
def test_an_index_outside_of_a_part_never_reaches_the_windows_beyond(part, index):
    windows = Windows(numbered(20), 3)[part]
    for call in (windows.take, windows.place, windows.lengths_of, windows.__getitem__):
        with pytest.raises(IndexError) as caught:
            call([index])
        assert str(caught.value) == f"Expected indices from -5 to 4 of 5 windows, got {index}."


def test_a_mask_must_be_as_long_as_the_windows():
    windows = Windows(numbered(8), 3)
    mask = np.array([True, False, False, True, False, False])
    np.testing.assert_array_equal(windows.take(mask)[0], windows.take([0, 3])[0])
    with pytest.raises(IndexError) as caught:
        windows[mask[:4]]
    assert str(caught.value) == "Expected a mask of 6 windows, got one of 4."


def test_iteration_yields_every_window_once():
    series = numbered(6, 5)
    for got, one in zip(Windows(series, 4), naive(series, 4), strict=True):
        np.testing.assert_array_equal(got, one)


@pytest.mark.parametrize("dtype", [np.int8, np.uint16, np.int64, bool, np.float16, np.float32])
def test_a_batch_has_the_dtype_of_the_series(dtype):
    (series,) = numbered(9, dtype=dtype)
    for given in (series, [series, series]):
        values, _ = Windows(given, 3).take([0, 4])
        assert values.dtype == dtype
    np.testing.assert_array_equal(values, [series[0:3], series[4:7]])


def test_series_of_several_dtypes_meet_in_one_that_holds_both():
    windows = Windows([np.arange(4, dtype=np.int16), np.array([0.5, 1.5, 2.5], np.float32)], 3)
    values, _ = windows.take([1, 2])
    assert values.dtype == np.float32
    assert values[..., 0].tolist() == [[1, 2, 3], [0.5, 1.5, 2.5]]


def test_a_memory_map_is_read_where_it_lies(tmp_path):
    np.save(tmp_path / "series.npy", numbered(40, dtype=np.float32)[0])
    series = np.load(tmp_path / "series.npy", mmap_mode="r")
    windows = Windows(series, 6)
    assert np.shares_memory(windows.series[0], series)
    values, _ = windows.take([7])
    np.testing.assert_array_equal(values[0], series[7:13])
    assert not np.shares_memory(values, series)


@pytest.mark.parametrize("frame", [pd.DataFrame, pl.DataFrame])
def test_columns_name_the_features(frame):
    table = frame({"volts": [1.0, 2.0, 3.0], "amps": [4.0, 5.0, 6.0]})
    assert Windows(table, 2).feature_names == ("volts", "amps")
    assert Windows([table, table], 2).feature_names == ("volts", "amps")
    assert Windows(table, 2, feature_names=np.array(["u", "i"])).feature_names == ("u", "i")


@pytest.mark.parametrize("kept", [slice(None), slice(None, None, 2)])
@pytest.mark.parametrize(("stride", "tail"), [(1, False), (3, False), (3, True)])
def test_split_cuts_every_series_and_leaves_no_step_on_both_sides(stride, tail, kept):
    series = numbered(40, 25, 31)
    windows = Windows(series, 5, stride, tail=tail)[kept]
    before, after = windows.split(0.4)
    owner, start = windows.place(np.arange(len(windows)))
    for number, one in enumerate(series):
        cut = round(len(one) * 0.6)
        mine = np.flatnonzero(owner == number)
        assert [i for i in mine if start[i] + 5 <= cut] == [i for i in before if i in mine]
        assert [i for i in mine if start[i] >= cut] == [i for i in after if i in mine]
        assert {number} <= set(owner[before]) & set(owner[after])
    steps = [set(windows.take(part)[0].ravel()) for part in (before, after)]
    assert not steps[0] & steps[1]


@pytest.mark.parametrize("chunk_values", [1, 6, 1000])
def test_chunks_hold_every_step_once_and_their_mean_is_the_mean_sequence(chunk_values, monkeypatch):
    monkeypatch.setattr("unspool.data.windows.CHUNK_VALUES", chunk_values)
    series = numbered(11, 6, dtype=np.uint8)
    windows = Windows(series, 4)
    np.testing.assert_array_equal(np.concatenate(list(windows.chunks())), np.concatenate(series))
    mean = np.concatenate(series).mean(axis=0)
    np.testing.assert_allclose(windows.mean_sequence(), np.tile(mean, (4, 1)), rtol=1e-12)


SHORT = (
    "Expected a series of at least {} steps (the window), got {} in series {}; choose a smaller "
    "window, or keep short series as one window with short='keep'."
)


def spoilt(value, names=None):
    series = np.zeros((30, 2))
    series[21, 1] = value
    return {"series": [np.zeros((3, 2)), series], "size": 3, "feature_names": names}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"series": np.zeros(3), "size": 4}, SHORT.format(4, 3, 0)),
        ({"series": [np.zeros(9), np.zeros(2)], "size": 3}, SHORT.format(3, 2, 1)),
        ({"series": np.zeros((0, 2)), "size": 3, "short": "keep"}, SHORT.format(3, 0, 0)),
        (
            {"series": [np.zeros((9, 2)), np.zeros((9, 3))], "size": 3},
            "Expected every series with 2 features like the first, got 3 in series 1.",
        ),
        (
            spoilt(np.nan),
            "Series 1 holds nan at step 21, feature 1; fill or drop such steps before cutting "
            f"windows{MASK_HINT}.",
        ),
        (
            spoilt(np.inf, ["a", "b"]),
            "Series 1 holds inf at step 21, feature 'b'; fill or drop such steps before cutting "
            "windows.",
        ),
        (
            {"series": np.zeros((9, 2)), "size": 3, "feature_names": ["a"]},
            "Expected 2 feature names, got 1: ['a'].",
        ),
        (
            {"series": np.zeros(9), "size": 0, "stride": 1.5, "tail": 1, "short": "pad"},
            "`size` must be a whole number of at least 1, got 0.\n"
            "`stride` must be a whole number of at least 1, got 1.5.\n"
            "`tail` must be True or False, got 1.\n"
            "unknown `short` 'pad': known are 'error', 'keep'.",
        ),
    ],
)
def test_arguments_that_do_not_fit_are_refused(arguments, message, monkeypatch):
    monkeypatch.setattr("unspool.data.windows.CHUNK_VALUES", 8)  # a few chunks, not one
    assert error_of(Windows, **arguments) == message


def test_repr_tells_the_windows():
    assert repr(Windows(numbered(9, 8), 4, 2)[1:]) == (
        "Windows(5 windows of 4 steps, stride 2, over 2 series, 2 features)"
    )


def peak_of(call):
    tracemalloc.start()
    result = call()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return peak, result


@pytest.mark.parametrize("several", [False, True])
def test_a_long_series_costs_no_memory_beyond_itself_and_the_batch(several):
    series = np.zeros((10_000_000, 3), np.float32)  # 120 MB; its windows would be 120 GB
    given = [series, series[:5000]] if several else series
    peak, windows = peak_of(lambda: Windows(given, 1000))
    assert peak < 4e6
    indices = np.random.default_rng(0).integers(0, len(windows), 64)
    peak, (values, _) = peak_of(lambda: windows.take(indices))
    assert values.nbytes == 64 * 1000 * 3 * 4
    assert peak < 1.5 * values.nbytes
    peak, part = peak_of(lambda: windows[1_000_000:9_000_000:2][:-1])
    assert len(part) == 3_999_999
    assert peak < 1e5


def test_a_batch_from_thousands_of_series_costs_no_more_than_its_windows():
    windows = Windows([np.zeros((4, 1))] * 20_000, 3)
    indices = np.arange(0, 40_000, 4000)
    peak, _ = peak_of(lambda: windows.take(indices))
    assert peak < 20_000  # bytes: an array over all series would be 160,000


def test_scikit_learn_splits_windows_into_windows():
    windows = Windows(np.arange(40), 5)
    first = np.arange(36)
    train, test, first_train, first_test = train_test_split(windows, first, random_state=0)
    assert isinstance(train, Windows)
    assert isinstance(test, Windows)
    assert train.take(range(len(train)))[0][:, 0, 0].tolist() == first_train.tolist()
    assert test.take(range(len(test)))[0][:, 0, 0].tolist() == first_test.tolist()
    seen = [
        i for _, fold in KFold(4).split(windows) for i in windows[fold].place(range(len(fold)))[1]
    ]
    assert seen == list(range(36))


@pytest.mark.parametrize(
    "series",
    [
        np.arange(10),
        np.arange(20).reshape(10, 2),
        list(range(10)),
        pd.DataFrame({"a": range(10)}, index=np.arange(10) / 10),
        pl.DataFrame({"a": range(10)}),
    ],
    ids=lambda series: type(series).__name__,
)
def test_chronological_split_cuts_at_the_rounded_step(series):
    earlier, later = chronological_split(series, test_size=0.34)  # round(6.6)
    assert isinstance(earlier, type(series))
    assert isinstance(later, type(series))
    np.testing.assert_array_equal(np.asarray(earlier), np.asarray(series)[:7])
    np.testing.assert_array_equal(np.asarray(later), np.asarray(series)[7:])


def test_chronological_split_splits_every_series_of_a_list():
    series = [np.arange(8), np.arange(12.0).reshape(6, 2)]
    earlier, later = chronological_split(series)
    assert [len(one) for one in earlier] == [6, round(4.5)]
    for one, early, late in zip(series, earlier, later, strict=True):
        np.testing.assert_array_equal(np.concatenate([early, late]), one)
        assert np.shares_memory(early, one)
        assert np.shares_memory(late, one)


@pytest.mark.parametrize("test_size", [0, 1, -0.1, 1.5, None, "0.2", True, np.nan])
def test_chronological_split_refuses_shares_outside_of_zero_to_one(test_size):
    assert error_of(chronological_split, np.arange(9), test_size) == (
        f"`test_size` must be a number above 0 and below 1, got {test_size!r}."
    )


@pytest.mark.parametrize("trailing", [(), (2,)])
def test_overlap_mean_averages_what_lies_on_a_step(trailing):
    rng = np.random.default_rng(0)
    windows = Windows(numbered(11, 3, 8), 4, 3, short="keep")
    values = rng.normal(size=(len(windows), 4, *trailing)).astype(np.float32)
    owner, start = windows.place(range(len(windows)))
    batches = [np.array([4, 0, 2]), np.array([1, 3, 5])]
    means = overlap_mean(windows, ((batch, values[batch]) for batch in batches))
    assert [one.shape for one in means] == [(11, *trailing), (3, *trailing), (8, *trailing)]
    for number, (mean, one) in enumerate(zip(means, windows.series, strict=True)):
        for step in range(len(one)):
            here = [
                values[i, step - start[i]].astype(float)
                for i in range(len(windows))
                if owner[i] == number and start[i] <= step < min(start[i] + 4, len(one))
            ]
            expected = np.mean(here, axis=0) if here else np.full(trailing, np.nan)
            np.testing.assert_allclose(mean[step], expected, rtol=1e-12, err_msg=f"step {step}")
    assert np.isnan(means[0][10:]).all()  # three windows of 4, 3 apart, end at step 10


@pytest.mark.parametrize("dilation", [1, 2])
def test_overlap_mean_adds_windows_in_their_order(dilation):
    windows = Windows(numbered(60, 41), 5, tail=True, dilation=dilation)
    values = np.random.default_rng(0).normal(size=(len(windows), 5)) * 10.0 ** np.arange(5)
    means = overlap_mean(windows, [(np.arange(len(windows)), values)])
    sums, counts = ([np.zeros(len(one)) for one in windows.series] for _ in range(2))
    for number, start, value in zip(*windows.place(range(len(windows))), values, strict=True):
        steps = slice(start, start + 4 * dilation + 1, dilation)
        sums[number][steps] += value
        counts[number][steps] += 1
    for mean, total, count in zip(means, sums, counts, strict=True):
        np.testing.assert_array_equal(mean, total / count)  # to the last bit


def test_overlap_mean_of_nothing_is_refused():
    message = "Expected at least one window to average, got none."
    assert error_of(overlap_mean, Windows(np.arange(9), 4), iter([])) == message


def test_chunks_of_a_part_are_the_steps_its_windows_reach():
    series = [np.arange(20.0), np.arange(100.0, 130.0)]
    windows = Windows(series, 5, 2)
    whole = np.concatenate(list(windows.chunks()))[:, 0]
    assert whole.tolist() == [*range(20), *range(100, 130)]
    owner, start = windows.place(np.arange(len(windows)))
    part = windows[(owner == 1) & (start >= 10) & (start <= 14)]
    assert np.concatenate(list(part.chunks()))[:, 0].tolist() == list(range(110, 119))
    assert part.mean_sequence().tolist() == [[np.mean(range(110, 119))]] * 5
    assert list(windows[:0].chunks()) == []


@pytest.mark.parametrize("batch", [3, 200])
def test_few_series_and_many_are_gathered_alike(batch):
    rng = np.random.default_rng(0)
    series = [rng.normal(size=(length, 2)) for length in (30, 4, 50)]
    windows = Windows(series, 7, short="keep")
    indices = rng.integers(0, len(windows), batch)
    values, lengths = windows.take(indices)
    for value, length, number, start in zip(values, lengths, *windows.place(indices), strict=True):
        assert length == min(7, len(series[number]))
        np.testing.assert_array_equal(value[:length], series[number][start : start + length])
        assert not value[length:].any()
