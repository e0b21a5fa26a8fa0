import numpy as np
import pytest
from sklearn.model_selection import KFold, train_test_split

from unspool.data.sequences import MASK_HINT, Sequences
from unspool.errors import InputError

LENGTHS = [3, 0, 5, 2]


def ragged(dtype=np.float64, features=2):
    rng = np.random.default_rng(0)
    return [rng.normal(size=(length, features)).astype(dtype) for length in LENGTHS]


def padded(sequences, steps=5, fill=0.0):
    values = np.full((len(sequences), steps, sequences[0].shape[1]), fill)
    for row, sequence in zip(values, sequences, strict=True):
        row[: len(sequence)] = sequence
    return values


def error_of(call, *args, **kwargs):
    with pytest.raises(InputError) as caught:
        call(*args, **kwargs)
    return str(caught.value)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_floats_are_kept_and_not_copied(dtype):
    values = np.ones((2, 3, 1), dtype)
    sequences = Sequences(values)
    assert sequences.values.dtype == dtype
    assert np.shares_memory(sequences.values, values)


def test_padding_of_zeros_is_not_copied():
    values = padded(ragged())
    assert np.shares_memory(Sequences(values, LENGTHS).values, values)


@pytest.mark.parametrize("dtype", [np.float16, np.int8, np.uint64, bool, ">f4", object])
def test_other_real_numbers_become_float64(dtype):
    sequences = Sequences(np.ones((2, 3, 1)).astype(dtype))
    assert sequences.values.dtype == np.float64
    np.testing.assert_array_equal(sequences.values, np.ones((2, 3, 1)))


@pytest.mark.parametrize("garbage", [7.0, np.nan, np.inf])
def test_padding_becomes_zero_and_the_array_of_the_user_stays(garbage):
    values = padded(ragged(), fill=garbage)
    before = values.copy()
    sequences = Sequences(values, LENGTHS)
    np.testing.assert_array_equal(sequences.values, padded(ragged()))
    np.testing.assert_array_equal(values, before)


def test_steps_at_the_end_that_are_nan_in_every_feature_are_padding():
    sequences = Sequences(padded(ragged(), fill=np.nan))
    assert sequences.lengths.tolist() == LENGTHS
    np.testing.assert_array_equal(sequences.values, padded(ragged()))


def test_a_step_at_the_end_that_is_nan_in_one_feature_is_an_error():
    values = np.ones((2, 3, 2))
    values[1, 2, 0] = np.nan
    values[0, 2] = np.nan  # padding, beside it
    assert error_of(Sequences, values) == (
        "Sequence 1 holds nan at step 2, feature 0; fill or drop such "
        f"steps{MASK_HINT} (only steps at the "
        "end that are NaN in every feature count as padding)."
    )


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_message_names_the_sequence_and_the_step_that_is_not_finite(bad, monkeypatch):
    monkeypatch.setattr("unspool.data.sequences.CHUNK_VALUES", 12)  # a few chunks, not one
    values = np.ones((9, 4, 1))
    values[7, 1] = bad
    assert error_of(Sequences, values) == (
        f"Sequence 7 holds {bad} at step 1, feature 0; fill or drop such steps"
        f"{MASK_HINT if bad != bad else ''} (only steps at "
        "the end that are NaN in every feature count as padding)."
    )


def test_given_lengths_say_what_is_padding_and_nan_within_them_is_an_error():
    values = np.ones((1, 3, 1))
    values[0, 2] = np.nan
    assert error_of(Sequences, values, [3]).startswith("Sequence 0 holds nan at step 2")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"values": np.ones((4, 3))},
            "Expected sequences of shape (N, T, F), got an array of shape (4, 3); give a single "
            "sequence as (1, T, F).",
        ),
        (
            {"values": np.ones((4, 3, 0))},
            "Expected at least one feature, got shape (4, 3, 0).",
        ),
        (
            {"values": np.ones((2, 3, 1)), "lengths": [3]},
            "Expected `lengths` as 2 whole numbers, got shape (1,) of int64.",
        ),
        (
            {"values": np.ones((2, 3, 1)), "lengths": [3.0, 2.0]},
            "Expected `lengths` as 2 whole numbers, got shape (2,) of float64.",
        ),
        (
            {"values": np.ones((2, 3, 1)), "lengths": [3, 4]},
            "Expected `lengths` from 0 to 3 (the steps of `values`), got 3 to 4.",
        ),
        (
            {"values": np.ones((2, 3, 1)), "lengths": [-1, 3]},
            "Expected `lengths` from 0 to 3 (the steps of `values`), got -1 to 3.",
        ),
        (
            {"values": np.ones((2, 3, 2)), "feature_names": ["a"]},
            "Expected 2 feature names, got 1: ['a'].",
        ),
        (
            {"values": [[["a"], ["b"]]]},
            "Expected real numbers in sequences, got dtype <U1; convert text to numbers with "
            "X.astype(float).",
        ),
        (
            {"values": np.ones((2, 3, 1), complex)},
            "Expected real numbers in sequences, got dtype complex128. Complex data not "
            "supported: give real and imaginary parts as two features, or the absolute values "
            "with numpy.abs.",
        ),
        (
            {"values": [[[{}]]]},
            "Expected numbers in sequences, but NumPy cannot read them: float() argument must "
            "be a string or a real number, not 'dict'.",
        ),
    ],
)
def test_arguments_that_do_not_fit_are_refused(arguments, message):
    assert error_of(Sequences, **arguments) == message


def test_from_list_pads_to_the_longest():
    sequences = Sequences.from_list(ragged(), feature_names=["a", "b"])
    assert sequences.lengths.tolist() == LENGTHS
    assert sequences.feature_names == ("a", "b")
    np.testing.assert_array_equal(sequences.values, padded(ragged()))


def test_from_list_keeps_float32_even_with_an_empty_list():
    sequences = Sequences.from_list([*ragged(np.float32), []])
    assert sequences.values.dtype == np.float32
    assert sequences.lengths.tolist() == [*LENGTHS, 0]
    assert sequences.n_features == 2


def test_from_list_reads_one_dimension_as_one_feature():
    sequences = Sequences.from_list([[1, 2], np.array([3.0]), np.ones((3, 1))])
    np.testing.assert_array_equal(sequences.values[..., 0], [[1, 2, 0], [3, 0, 0], [1, 1, 1]])
    assert sequences.lengths.tolist() == [2, 1, 3]


def test_from_list_takes_nan_at_the_end_of_a_sequence_as_padding():
    sequences = Sequences.from_list([[1.0, np.nan, np.nan], [2.0, 3.0]])
    assert sequences.lengths.tolist() == [1, 2]
    assert sequences.shape == (2, 2, 1)


@pytest.mark.parametrize(
    ("sequences", "message"),
    [
        ([], "Expected at least one sequence, got an empty list."),
        (
            [1.0, 2.0],
            "Expected every sequence as (steps, features) or (steps,), got shape () for "
            "sequence 0.",
        ),
        (
            [np.ones((2, 3)), np.ones((1, 2, 3))],
            "Expected every sequence as (steps, features) or (steps,), got shape (1, 2, 3) for "
            "sequence 1.",
        ),
        (
            [np.ones((2, 3)), np.ones((2, 2))],
            "Expected sequences of 3 features like the first, got shape (2, 2) for sequence 1; "
            "where features come first, as (F, T), give [x.T for x in X].",
        ),
        (
            [np.ones((2, 3)), np.ones(3)],
            "Expected sequences of 3 features like the first, got shape (3,) for sequence 1.",
        ),
        (
            [np.ones((2, 0)), np.ones((3, 0))],
            "Expected every sequence as (steps, features) or (steps,), got shape (2, 0) for "
            "sequence 0.",
        ),
        (
            [[1.0, 2.0], ["a"]],
            "Expected real numbers in sequence 1, got dtype <U1; convert text to numbers with "
            "X.astype(float).",
        ),
        (
            [[1.0, 2.0], [1.0, None, np.inf, 3.0]],
            "Sequence 1 holds nan at step 1, feature 0; fill or drop such "
            f"steps{MASK_HINT} (only steps at "
            "the end that are NaN in every feature count as padding).",
        ),
    ],
)
def test_from_list_refuses_what_cannot_be_padded(sequences, message):
    assert error_of(Sequences.from_list, sequences) == message


def test_sequences_of_no_steps_are_sequences():
    sequences = Sequences(np.full((3, 4, 2), np.nan))
    assert sequences.lengths.tolist() == [0, 0, 0]
    assert sequences.max_length == 0
    assert sequences.take([0, 2])[0].shape == (2, 0, 2)
    assert sequences[1].shape == (0, 2)
    assert len(Sequences(np.zeros((2, 0, 1)))) == 2
    np.testing.assert_array_equal(sequences.mean_sequence(), np.zeros((4, 2)))


@pytest.mark.parametrize("indices", [[2, 0], [3], [-1, 1], np.array([1]), []])
def test_take_cuts_to_the_longest_of_the_batch(indices):
    values, lengths = Sequences.from_list(ragged()).take(np.array(indices, int))
    picked = [ragged()[i] for i in indices]
    assert lengths.tolist() == [len(one) for one in picked]
    assert values.shape == (len(picked), max(map(len, picked), default=0), 2)
    for row, one in zip(values, picked, strict=True):
        np.testing.assert_array_equal(row[: len(one)], one)
        assert not row[len(one) :].any()


@pytest.mark.parametrize(
    "key",
    [
        slice(1, 3),
        slice(None, None, -2),
        [3, 1],
        [-1],
        [],
        np.array([True, False, True, False]),
        np.array([2, 2], np.uint8),
        (np.array([0, 2]), ...),
    ],
)
def test_rows_are_picked_as_numpy_picks_them(key):
    sequences = Sequences.from_list(ragged(), feature_names=["a", "b"])
    picked = sequences[key]
    rows = np.arange(4)[
        np.array(key, int) if isinstance(key, list) else key
    ]  # NumPy reads [] as floats
    assert isinstance(picked, Sequences)
    assert picked.feature_names == ("a", "b")
    assert [len(one) for one in picked] == [LENGTHS[i] for i in rows]
    for one, i in zip(picked, rows, strict=True):
        np.testing.assert_array_equal(one, ragged()[i])


def test_one_row_is_cut_to_its_length():
    sequences = Sequences.from_list(ragged())
    for i in (0, 1, -1, np.int64(2)):
        np.testing.assert_array_equal(sequences[i], ragged()[i])
    with pytest.raises(IndexError):
        sequences[4]


@pytest.mark.parametrize("key", ["a", None, [0.5], [[0, 1]], (0, 1, 2)])
def test_other_keys_are_refused(key):
    if key == (0, 1, 2):  # a tuple of indices is what NumPy would read as three axes
        key = (0, slice(1))
    message = f"Expected an index, a slice, indices or a mask, got {key!r}."
    assert error_of(Sequences(np.ones((2, 3, 1))).__getitem__, key) == message


@pytest.mark.parametrize("chunk_values", [1, 20, 1000])
def test_chunks_hold_every_real_step_once_in_order(chunk_values, monkeypatch):
    monkeypatch.setattr("unspool.data.sequences.CHUNK_VALUES", chunk_values)
    chunks = list(Sequences(padded(ragged(), fill=np.nan)).chunks())
    assert (len(chunks) > 1) == (chunk_values < 1000)
    np.testing.assert_array_equal(np.concatenate(chunks), np.concatenate(ragged()))


def test_mean_sequence_is_over_the_sequences_that_reach_a_step():
    expected = np.zeros((5, 2))
    for step in range(5):
        expected[step] = np.mean([one[step] for one in ragged() if len(one) > step], axis=0)
    sequences = Sequences.from_list(ragged(np.float32))
    assert sequences.mean_sequence().dtype == np.float64
    np.testing.assert_allclose(sequences.mean_sequence(), expected, rtol=1e-6)


def test_mean_sequence_of_float32_is_summed_in_float64():
    values = np.array([2.0**24, 1.0, 1.0], np.float32).reshape(3, 1, 1)
    assert Sequences(values).mean_sequence() == (2.0**24 + 2) / 3


def test_repr_and_shape_tell_lengths_and_features():
    assert repr(Sequences.from_list(ragged())) == (
        "Sequences(4 sequences of 0 to 5 steps, 2 features)"
    )
    assert repr(Sequences(np.ones((1, 7, 3)))) == "Sequences(1 sequence of 7 steps, 3 features)"
    assert Sequences.from_list(ragged()).shape == (4, 5, 2)


def test_scikit_learn_splits_sequences_into_sequences():
    values = np.arange(12.0).reshape(12, 1, 1)
    sequences = Sequences(values)
    train, test, y_train, _ = train_test_split(sequences, np.arange(12), random_state=0)
    assert isinstance(train, Sequences)
    assert isinstance(test, Sequences)
    assert train.values[:, 0, 0].tolist() == y_train.tolist()
    seen = [i for _, fold in KFold(3).split(sequences) for i in sequences[fold].values.ravel()]
    assert seen == list(range(12))
