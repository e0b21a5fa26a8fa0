"""Windows equal explicit slices of their series, for all options."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from unspool import Windows
from unspool.data.merging import overlap_mean
from unspool.errors import InputError

DTYPES = ("f8", "f4", "f2", "i8", "i2", "u1", "?", ">f4", ">i4")


@st.composite
def series_lists(draw):
    """One to three series (T_i, F) of 1 to 25 steps, of any dtype and layout."""
    features = draw(st.integers(1, 3))
    dtype = draw(st.sampled_from(DTYPES))
    found = []
    for number, steps in enumerate(draw(st.lists(st.integers(1, 25), min_size=1, max_size=3))):
        values = np.arange(1, steps * features + 1).reshape(steps, features) + 30 * number
        values = (values % 2 if dtype == "?" else values).astype(dtype)
        layout = draw(st.sampled_from(("C", "F", "reversed", "every other", "read-only")))
        if layout == "F":
            values = np.asfortranarray(values)
        elif layout == "reversed":
            values = values[::-1].copy()[::-1]
        elif layout == "every other":
            values = np.repeat(values, 2, axis=0)[::2]
        elif layout == "read-only":
            values.flags.writeable = False
        found.append(values)
    return found


@st.composite
def options(draw, steps):
    """Options of `Windows` for series of these numbers of steps."""
    found = {
        "size": draw(st.integers(1, 8)),
        "stride": draw(st.integers(1, 9)),
        "dilation": draw(st.integers(1, 3)),
        "tail": draw(st.booleans()),
        "short": draw(st.sampled_from(("error", "keep"))),
    }
    cuts = draw(st.sampled_from(("none", "breaks", "times", "both")))
    if cuts in ("breaks", "both"):
        found["breaks"] = [
            sorted(draw(st.sets(st.integers(1, max(1, n - 1)), max_size=3))) if n > 1 else []
            for n in steps
        ]
    if cuts in ("times", "both"):
        gaps = [draw(st.lists(st.integers(0, n - 1), max_size=2)) for n in steps]
        found["times"] = [
            np.cumsum(1.0 + 9.0 * np.isin(np.arange(n), some))
            for n, some in zip(steps, gaps, strict=True)
        ]
        found["max_gap"] = draw(st.sampled_from((2.0, 5.0, 20.0, None)))
    return found


def pieces(steps, given):
    """Return series, first step and the step after the last of each part without a gap."""
    found = []
    for number, count in enumerate(steps):
        edges = {0, count} | set(given["breaks"][number] if "breaks" in given else ())
        if given.get("max_gap") is not None:
            distances = np.diff(given["times"][number])
            edges |= set((np.flatnonzero(distances > given["max_gap"]) + 1).tolist())
        found += [(number, *pair) for pair in pairwise(sorted(edges))]
    return found


def places(steps, given):
    """Return series, first step and steps of each window, by the words of the documentation.

    There are none if a series is refused as too short.
    """
    size, stride, dilation = given["size"], given["stride"], given["dilation"]
    span = (size - 1) * dilation + 1
    if min(steps) < span and given["short"] == "error":
        return []
    found = []
    for number, first, end in pieces(steps, given):
        starts = list(range(first, end - span + 1, stride))
        if not starts and given["short"] == "keep":
            found.append((number, first, np.arange(first, end, dilation)))
        if starts and given["tail"] and starts[-1] != end - span:
            starts.append(end - span)
        found += [(number, one, np.arange(one, one + span, dilation)) for one in starts]
    return found


@st.composite
def cases(draw):
    """Series, options of `Windows`, and the places of the windows."""
    series = draw(series_lists())
    steps = [len(one) for one in series]
    given_options = draw(options(steps))
    return series, given_options, places(steps, given_options)


@st.composite
def windows(draw):
    """Windows, their series and their places."""
    series, given_options, expected = draw(cases())
    assume(expected)
    return Windows(series, **given_options), series, expected


@given(cases())
def test_series_are_refused_where_no_window_fits(case):
    series, given_options, expected = case
    if expected:
        assert len(Windows(series, **given_options)) == len(expected)
        return
    with pytest.raises(InputError, match=r"Expected a series of at least|No window of"):
        Windows(series, **given_options)


@given(windows(), st.data())
def test_windows_are_slices_of_their_series(case, data):
    made, series, expected = case
    assert len(made) == len(expected)
    indices = np.array(
        data.draw(st.lists(st.integers(-len(made), len(made) - 1), max_size=30)), int
    )
    some = [expected[i] for i in indices]
    owner, start = made.place(indices)
    assert owner.tolist() == [number for number, _, _ in some]
    assert start.tolist() == [first for _, first, _ in some]
    assert made.ends_of(indices).tolist() == [int(steps[-1]) + 1 for _, _, steps in some]
    values, lengths = made.take(indices)
    assert lengths.tolist() == [len(steps) for _, _, steps in some]
    assert values.shape == (len(some), max(lengths, default=0), made.n_features)
    for row, (number, _, steps) in zip(values, some, strict=True):
        np.testing.assert_array_equal(row[: len(steps)], series[number][steps])
        assert not row[len(steps) :].any()
    for i in indices[:3]:
        np.testing.assert_array_equal(made[int(i)], series[expected[i][0]][expected[i][2]])


@given(windows(), st.data())
def test_parts_of_windows_are_windows(case, data):
    made, _, expected = case
    n = len(made)
    kind = data.draw(st.sampled_from(("slice", "indices", "mask")))
    if kind == "slice":
        key = data.draw(st.slices(n))
    elif kind == "indices":
        key = np.array(data.draw(st.lists(st.integers(-n, n - 1), max_size=8)), int)
    else:
        key = np.array(data.draw(st.lists(st.booleans(), min_size=n, max_size=n)), bool)
    chosen = np.arange(n)[key]
    part = made[key]
    assert len(part) == len(chosen)
    owner, start = part.place(np.arange(len(part)))
    assert [*zip(owner, start, strict=True)] == [expected[i][:2] for i in chosen]


@given(cases())
def test_chunks_have_each_step_from_the_first_window_to_the_last_once(case):
    series, given_options, expected = case
    assume(expected)
    rows = np.concatenate(list(Windows(series, **given_options).chunks()))
    wanted = series  # of whole series, the steps after the last window are included
    if len(pieces([len(one) for one in series], given_options)) > len(series):
        wanted = []
        for number, one in enumerate(series):
            of_it = [steps for owner, _, steps in expected if owner == number]
            if of_it:
                wanted.append(one[min(s[0] for s in of_it) : max(s[-1] for s in of_it) + 1])
    np.testing.assert_array_equal(rows, np.concatenate(wanted))


@given(windows(), st.sampled_from((1, 3, 100)))
def test_merged_windows_are_means_over_the_windows_of_each_step(case, batch):
    made, series, expected = case
    values = {i: np.arange(len(steps)) + 10.0 * i for i, (_, _, steps) in enumerate(expected)}
    size = max(map(len, values.values()))

    def batches():
        for start in range(0, len(made), batch):
            indices = np.arange(start, min(start + batch, len(made)))
            yield (
                indices,
                np.stack([np.pad(values[i], (0, size - len(values[i]))) for i in indices]),
            )

    merged = overlap_mean(made, batches())
    for number, one in enumerate(series):
        by_step = [[] for _ in one]
        for i, (owner, _, steps) in enumerate(expected):
            if owner == number:
                for step, value in zip(steps, values[i], strict=True):
                    by_step[step].append(value)
        wanted = [np.mean(some) if some else np.nan for some in by_step]
        np.testing.assert_allclose(merged[number], wanted, rtol=1e-12)


@given(windows(), st.integers(0, 3))
def test_windows_without_their_end_are_the_first_steps_of_each(case, removed):
    made, series, expected = case
    assume(made.min_length > removed)
    part = made.without_end(removed)
    values, lengths = part.take(np.arange(len(part)))
    for row, length, (number, _, steps) in zip(values, lengths, expected, strict=True):
        kept = steps[: len(steps) - removed]
        assert length == len(kept)
        np.testing.assert_array_equal(row[:length], series[number][kept])


@given(windows(), st.floats(0, 1))
def test_no_window_is_on_both_sides_of_a_split(case, fraction):
    made, _, expected = case
    earlier, later = made.split(fraction)
    assert not set(earlier) & set(later)
    for number in {owner for owner, _, _ in expected}:
        before = [expected[i][2][-1] for i in earlier if expected[i][0] == number]
        after = [expected[i][2][0] for i in later if expected[i][0] == number]
        if before and after:
            assert max(before) < min(after)


@given(windows())
def test_the_latest_window_ends_at_the_end_of_its_series(case):
    made, series, _ = case
    for one, latest in zip(series, made.latest(), strict=True):
        assert 1 <= len(latest) <= made.size
        wanted = one[len(one) - 1 - (len(latest) - 1) * made.dilation :: made.dilation]
        np.testing.assert_array_equal(latest, wanted)


@given(windows(), st.integers(1, 5))
def test_an_index_outside_is_an_index_error(case, beyond):
    made, _, _ = case
    for index in (len(made) + beyond - 1, -len(made) - beyond):
        with pytest.raises(IndexError, match="Expected indices from"):
            made.take([index])
