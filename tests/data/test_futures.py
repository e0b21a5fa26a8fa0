"""Sequences with futures that are cut off or given."""

import numpy as np
import pytest

from unspool import Sequences, Windows
from unspool.data.futures import Futures
from unspool.errors import InputError

LENGTHS = [9, 4, 6, 5]


def sequences(lengths=None):
    values = np.random.default_rng(0).normal(size=(4, 9, 2))
    return Sequences(values, LENGTHS if lengths is None else lengths)


def windows():
    series = [np.arange(40.0).reshape(20, 2), -np.arange(14.0).reshape(7, 2)]
    return Windows(series, 9, 2, short="keep")


@pytest.mark.parametrize("horizon", [1, 3])
@pytest.mark.parametrize("make", [sequences, windows], ids=["Sequences", "Windows"])
def test_the_last_steps_of_each_are_cut_off_and_are_its_future(make, horizon):
    source = make()
    cut = Futures(source, horizon)
    order = np.array([2, 0, 3, 1, 0])
    values, lengths, future = cut.take_with_future(order)
    assert future.shape == (5, horizon, 2)
    assert values.shape[1] == lengths.max()
    for i, past, length, next_steps in zip(order, values, lengths, future, strict=True):
        whole = source[int(i)]
        assert length == len(whole) - horizon
        np.testing.assert_array_equal(past[:length], whole[:-horizon])
        np.testing.assert_array_equal(next_steps, whole[-horizon:])
    np.testing.assert_array_equal(cut.lengths_of(order), lengths)
    assert len(cut) == len(source)
    assert cut.n_features == 2
    assert cut.max_length == source.max_length - horizon
    assert cut.min_length == source.min_length - horizon
    np.testing.assert_array_equal(cut.take(order)[0], values)
    np.testing.assert_array_equal(cut.take(order)[1], lengths)


@pytest.mark.parametrize("make", [sequences, windows], ids=["Sequences", "Windows"])
def test_a_given_future_belongs_to_its_sequence(make):
    source = make()
    future = np.random.default_rng(1).normal(size=(len(source), 20, 2))  # longer than any past
    given = Futures(source, 20, future)
    order = np.array([3, 1, 1])
    values, lengths, y = given.take_with_future(order)
    np.testing.assert_array_equal(y, future[order])
    np.testing.assert_array_equal(values, source.take(order)[0])
    np.testing.assert_array_equal(lengths, source.take(order)[1])
    assert (given.max_length, given.min_length) == (source.max_length, source.min_length)


def test_sequences_of_no_step_have_a_future_only_where_it_is_given():
    source = sequences([9, 0, 6, 5])
    future = np.ones((4, 2, 2))
    assert Futures(source, 2, future).take_with_future([1])[0].shape == (1, 0, 2)
    with pytest.raises(InputError):
        Futures(source, 2)


@pytest.mark.parametrize("horizon", [4, 7])
def test_a_past_of_at_least_one_step_is_left(horizon):
    with pytest.raises(InputError) as caught:
        Futures(sequences(), horizon)
    assert str(caught.value) == (
        f"Expected sequences of more than {horizon} steps, because the last {horizon} are "
        "forecast, but the shortest has 4; leave it out, lower `horizon`, or give the future as "
        "`y`."
    )
    assert Futures(sequences(), 3).min_length == 1


def test_statistics_are_over_all_there_is():
    source = sequences()
    cut = Futures(source, 3)
    np.testing.assert_array_equal(np.concatenate(list(cut.chunks())), source.values[
        np.arange(9) < np.array(LENGTHS)[:, None]
    ])  # fmt: skip
    np.testing.assert_array_equal(cut.mean_sequence(), source.mean_sequence()[:6])
