"""Sequences of very different lengths, which are kept in memory without padding."""

import numpy as np
import pytest

from unspool import LSTMAutoencoder, Sequences
from unspool.data import stored_runs
from unspool.data.stored_runs import Runs, pieces
from unspool.errors import InputError

LENGTHS = [3, 0, 5, 400, 1, 2, 7] * 3


def sequences(features=2, dtype=np.float64):
    rng = np.random.default_rng(0)
    return [rng.normal(size=(length, features)).astype(dtype) for length in LENGTHS]


@pytest.fixture
def small_arrays_too(monkeypatch):
    monkeypatch.setattr(stored_runs, "PADDED_BYTES", 1000)


def padded(given, **options):
    values = np.zeros((len(given), max(map(len, given)), given[0].shape[1]), given[0].dtype)
    for row, one in zip(values, given, strict=True):
        row[: len(one)] = one
    return Sequences(values, [len(one) for one in given], **options)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_sequences_without_padding_are_those_with_padding(small_arrays_too, dtype):
    given = sequences(dtype=dtype)
    ragged, whole = Sequences.from_list(given), padded(given)
    assert isinstance(ragged.values, Runs)
    assert (repr(ragged), ragged.shape, ragged.blocks) == (repr(whole), whole.shape, None)
    for indices in ([0, 4, 2], [3], [1], np.array(LENGTHS) > 4, np.arange(21)):
        for one, other in zip(ragged.take(indices), whole.take(indices), strict=True):
            assert one.dtype == other.dtype
            assert np.array_equal(one, other)
    assert np.array_equal(np.concatenate(list(ragged.chunks())), np.concatenate(given))
    assert np.allclose(ragged.mean_sequence(), whole.mean_sequence())
    assert np.array_equal(ragged[3], given[3])
    assert np.array_equal(np.asarray(ragged.values), whole.values)


def test_parts_features_and_shorter_sequences_stay_without_padding(small_arrays_too):
    given = sequences()
    long = [one for one in given if len(one) > 2]
    ragged, whole = Sequences.from_list(long, ["a", "b"]), padded(long, feature_names=["a", "b"])
    for change in (
        lambda one: one[2:9],
        lambda one: one[np.array([5, 1, 3])],
        lambda one: one.select([1]),
        lambda one: one.without_end(2),
        lambda one: one.without_end(1).select([1, 0])[::2],
        lambda one: one.load(2, 8),
    ):
        part, expected = change(ragged), change(whole)
        assert isinstance(part.values, Runs)
        assert part.feature_names == expected.feature_names
        for one, other in zip(
            part.take(np.arange(len(part))), expected.take(np.arange(len(part))), strict=True
        ):
            assert np.array_equal(one, other)
        chunks = [np.concatenate(list(one.chunks())) for one in (part, expected)]
        assert np.array_equal(*chunks)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_the_place_of_a_value_that_is_not_finite_is_named_at_once(small_arrays_too, bad):
    given = sequences()
    given[10][7, 1] = bad
    with pytest.raises(InputError, match=f"Sequence 10 holds {bad} at step 7, feature 1"):
        Sequences.from_list(given)


def test_missing_values_are_kept(small_arrays_too):
    given = sequences()
    given[10][7, 1] = np.nan
    ragged = Sequences.from_list(given, missing="mask")
    assert ragged.has_missing
    assert np.array_equal(ragged[10], given[10], equal_nan=True)
    assert np.allclose(ragged.mean_sequence(), padded(given, missing="mask").mean_sequence())


def test_an_empty_list_among_the_sequences_does_not_change_their_dtype(small_arrays_too):
    given = [[], *sequences(dtype=np.float32)]
    ragged = Sequences.from_list(given)
    assert isinstance(ragged.values, Runs)
    assert {one.dtype for one in (ragged.values, ragged.take([0, 4])[0])} == {np.dtype(np.float32)}


def test_few_or_similar_sequences_are_one_padded_array(small_arrays_too):
    assert isinstance(
        Sequences.from_list([np.zeros((n, 1)) for n in (300, 400)]).values, np.ndarray
    )
    assert isinstance(Sequences.from_list([np.zeros((n, 1)) for n in (3, 40)]).values, np.ndarray)


def test_memory_is_that_of_the_steps():
    given = [np.zeros((20, 1))] * 3000 + [np.zeros((500_000, 1))]
    assert isinstance(Sequences.from_list(given).values, Runs)  # 12 GB with padding


def test_pieces_bound_the_steps_with_padding():
    lengths = np.random.default_rng(0).integers(0, 50, 300)
    found = list(pieces(lengths, 100))
    assert [start for start, _ in found] == [0, *(stop for _, stop in found[:-1])]
    assert found[-1][1] == 300
    assert max((stop - start) * lengths[start:stop].max() for start, stop in found) <= 100
    assert list(pieces(lengths[:0], 100)) == []


@pytest.mark.filterwarnings("ignore:The reconstruction is no better than the mean")  # few epochs
def test_a_model_does_not_depend_on_how_its_sequences_are_kept(monkeypatch):
    given = sequences()
    models = []
    for size in (1000, 1 << 40):
        monkeypatch.setattr(stored_runs, "PADDED_BYTES", size)
        model = LSTMAutoencoder(
            2, units=3, patch_size=1, n_kernels=0, epochs=2, batch_size=4, random_state=0, verbose=0
        )
        models.append((model.fit(given), model.transform(given), model.score(given)))
    (first, codes, score), (second, other_codes, other_score) = models
    assert first.history_["loss"] == pytest.approx(second.history_["loss"], rel=1e-6)
    assert np.allclose(codes, other_codes, atol=1e-6)
    assert score == pytest.approx(other_score, rel=1e-6)


def test_messages_about_a_part_name_sequences_by_their_number_in_the_whole(small_arrays_too):
    given = sequences()
    ragged = Sequences.from_list(given)
    ragged.values.series[0][sum(LENGTHS[:10]) + 7, 1] = np.nan  # sequence 10, after the check
    for part, place in ((ragged.load(4, 15), 6), (ragged[np.array([2, 10])], 1)):
        with pytest.raises(InputError, match="Sequence 10 holds nan at step 7, feature 1"):
            part.take([place])
