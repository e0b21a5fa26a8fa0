import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from unspool.data.convert import as_sequences
from unspool.data.sequences import MASK_HINT, Sequences
from unspool.data.series import as_series
from unspool.data.windows import Windows
from unspool.errors import InputError

NAN = np.nan
TABLE = {"a": [1.0, 2.0], "b": [3.0, 4.0], "c": [5.0, 6.0]}
FRAMES = {"pandas": pd.DataFrame, "polars": pl.DataFrame, "arrow": pa.table}


def error_of(call, *args):
    with pytest.raises(InputError) as caught:
        call(*args)
    return str(caught.value)


@pytest.mark.parametrize("X", [Sequences(np.ones((2, 3, 1))), Windows(np.arange(9), 4)])
def test_sequences_and_windows_are_returned_unchanged(X):
    assert as_sequences(X) is X


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", [(4, 5, 3), (4, 5), (4, 0, 2)])
def test_arrays_are_read_without_a_copy(shape, dtype):
    X = np.random.default_rng(0).normal(size=shape).astype(dtype)
    source = as_sequences(X)
    assert source.shape == (*shape, 1)[:3]
    assert source.values.dtype == dtype
    assert np.shares_memory(source.values, X) or not X.size
    np.testing.assert_array_equal(source.values.reshape(shape), X)


def test_nan_at_the_ends_is_padding():
    source = as_sequences(np.array([[1.0, 2.0, NAN], [3.0, NAN, NAN], [NAN, NAN, NAN]]))
    assert source.lengths.tolist() == [2, 1, 0]
    assert np.isfinite(source.values).all()


def test_nan_before_a_real_step_is_an_error():
    assert error_of(as_sequences, [[1.0, 2.0], [NAN, 3.0]]) == (
        "Sequence 1 holds nan at step 0, feature 0; fill or drop such "
        f"steps{MASK_HINT} (only steps at the "
        "end that are NaN in every feature count as padding)."
    )


@pytest.mark.parametrize(
    ("X", "lengths", "features"),
    [
        ([[1, 2, 3], [4, 5, 6]], [3, 3], 1),
        ([[1, 2, 3], [4]], [3, 1], 1),
        (([1, 2, 3], [4, 5]), [3, 2], 1),
        ([[], []], [0, 0], 1),
        ([[[1, 2], [3, 4]], [[5, 6]]], [2, 1], 2),
        ([[[1, 2], [3, 4]], [[5, 6], [7, 8]]], [2, 2], 2),
        ([[[1, 2], [3, 4]], []], [2, 0], 2),
        ([np.ones((2, 3)), np.ones((4, 3))], [2, 4], 3),
        ([np.ones(2), np.ones((4, 1))], [2, 4], 1),
        ([np.array([[1.0, 2.0], [NAN, NAN]]), np.ones((3, 2))], [1, 3], 2),
        ([pd.DataFrame(TABLE), pl.DataFrame(TABLE)[:1]], [2, 1], 3),
        (np.array([np.ones((2, 3)), np.ones((4, 3))], dtype=object), [2, 4], 3),
    ],
    ids=lambda value: None if isinstance(value, (list, int)) else type(value).__name__,
)
def test_a_list_is_padded_to_the_longest_sequence(X, lengths, features):
    source = as_sequences(X)
    assert source.lengths.tolist() == lengths
    assert source.n_features == features
    for read, given in zip(source, X, strict=True):
        whole = np.asarray(given, float).reshape(-1, features)
        np.testing.assert_array_equal(read, whole[: len(read)])


@pytest.mark.parametrize("frame", FRAMES.values(), ids=FRAMES)
def test_a_row_of_a_frame_is_a_sequence_of_one_feature(frame):
    source = as_sequences(frame(TABLE))
    np.testing.assert_array_equal(source.values[..., 0], [[1, 3, 5], [2, 4, 6]])


def test_missing_values_at_the_end_of_a_row_are_padding():
    expected = [[1.0, 3.0], [2.0, 0.0]]
    for frame in (
        pl.DataFrame({"a": [1, 2], "b": [3, None]}),
        pd.DataFrame({"a": [1, 2], "b": [3, None]}),
        pd.DataFrame({"a": [1, 2], "b": [3, None]}, dtype="Int64"),
    ):
        source = as_sequences(frame)
        assert source.lengths.tolist() == [2, 1]
        np.testing.assert_array_equal(source.values[..., 0], expected)


def test_float32_frames_stay_float32():
    assert as_sequences(pd.DataFrame(TABLE, dtype="float32")).values.dtype == np.float32
    assert as_sequences(pl.DataFrame(TABLE).cast(pl.Float32)).values.dtype == np.float32


SHAPES = (
    "Expected sequences as (N, T, F) or (N, T), a list of (T_i, F), a frame, or Windows(series, "
    "size), got an array of shape {}. Reshape your data: give one series of T steps as (1, T, "
    "F)."
)
ONE_SERIES = SHAPES.replace("one series of T", "one series of {}").replace(
    "as (1, T, F).", "as [X] (X[None] for an array), or cut it with Windows(X, size)."
)
TEXT = "; convert text to numbers with X.astype(float)."


@pytest.mark.parametrize(
    ("X", "message"),
    [
        (np.ones(5), ONE_SERIES.format("(5,)", 5)),
        (np.ones((2, 3, 4, 5)), SHAPES.format("(2, 3, 4, 5)")),
        ([np.ones((1, 2, 3)), np.ones((1, 2, 3))], SHAPES.format("(2, 1, 2, 3)")),
        (7, SHAPES.format("()")),
        (pd.Series([1, 2]), ONE_SERIES.format("(2,)", 2)),
        ([], "Expected at least one sequence, got none (shape (0,))."),
        (np.ones((0, 5, 2)), "Expected at least one sequence, got none (shape (0, 5, 2))."),
        (pd.DataFrame({"a": []}), "Expected at least one sequence, got none (shape (0, 1))."),
        (
            ["ab", "c"],
            "Expected sequence 0 as an array, a list of arrays or a frame, got str; "
            "read_file(path) reads a file.",
        ),
        ([["a", "b"], ["c"]], "Expected real numbers in sequence 0, got dtype <U1" + TEXT),
        (
            np.ones((2, 3), complex),
            "Expected real numbers in X, got dtype complex128. Complex data not supported: give "
            "real and imaginary parts as two features, or the absolute values with numpy.abs.",
        ),
        (
            np.array([["2020-01-01"]], "M8[D]"),
            "Expected real numbers in X, got dtype datetime64[D]; dates and times cannot be "
            "features: leave them out, or convert them to numbers, such as hours since the "
            "first.",
        ),
        (
            {"a": 1},
            "Expected X as an array, a list of arrays or a frame, got dict; give list(X.values()) "
            "where each of its values is a sequence, or numpy.stack(list(X.values()), axis=-1) "
            "where each is a feature.",
        ),
        (
            pd.DataFrame({"a": [1.0], "b": ["x"]}),
            "Expected numbers in column 'b', got String; drop it or choose columns. If it says "
            "which series a row belongs to, see sequences_from_table.",
        ),
        (
            [[[1, 2], [3]], [[4, 5], [6, 7]]],
            "Expected numbers in sequence 0, but NumPy cannot read them: setting an array "
            "element with a sequence. The requested array has an inhomogeneous shape after 1 "
            "dimensions. The detected shape was (2,) + inhomogeneous part.",
        ),
    ],
    ids=lambda value: None if isinstance(value, str) else type(value).__name__,
)
def test_what_cannot_be_sequences_is_refused(X, message):
    assert error_of(as_sequences, X) == message


@pytest.mark.parametrize("dtype", [np.float32, np.int16, np.uint8, bool])
def test_a_series_is_not_copied_and_keeps_its_dtype(dtype):
    values = np.ones((6, 2), dtype)
    (series,), names = as_series(values)
    assert series.dtype == dtype
    assert np.shares_memory(series, values)
    assert names is None


@pytest.mark.parametrize(
    "series",
    [[1, 2, 3], (1.0, 2.0, 3.0), np.array([1, 2, 3]), pd.Series([1, 2, 3]), pl.Series([1, 2, 3])],
)
def test_one_dimension_is_one_series_of_one_feature(series):
    (read,), _ = as_series(series)
    np.testing.assert_array_equal(read, [[1], [2], [3]])


@pytest.mark.parametrize("frame", FRAMES.values(), ids=FRAMES)
def test_a_row_of_a_frame_is_a_step(frame):
    (read,), names = as_series(frame(TABLE))
    np.testing.assert_array_equal(read, [[1, 3, 5], [2, 4, 6]])
    assert names == ("a", "b", "c")


def test_a_list_holds_one_series_each_however_it_is_nested():
    nested = [[[1, 2], [3, 4]], [[5, 6]]]
    for given in (nested, [np.array(one) for one in nested], [pd.DataFrame(one) for one in nested]):
        read, _ = as_series(given)
        assert [one.tolist() for one in read] == nested
    assert [one.tolist() for one in as_series([[1, 2], [3]])[0]] == [[[1], [2]], [[3]]]


def test_the_columns_of_frames_name_the_features():
    read, names = as_series([pd.DataFrame(TABLE), pl.DataFrame(TABLE)])
    assert names == ("a", "b", "c")
    assert len(read) == 2


@pytest.mark.parametrize(
    ("series", "message"),
    [
        ([], "Expected at least one series, got an empty list."),
        (
            np.ones((2, 3, 4)),
            "Expected a series as (T,) or (T, F) with rows as steps, got shape (2, 3, 4); give "
            "several series as list(X).",
        ),
        (
            np.ones((2, 0)),
            "Expected a series as (T,) or (T, F) with rows as steps, got shape (2, 0).",
        ),
        (
            [np.ones(3), np.ones((1, 1, 1))],
            "Expected series 1 as (T,) or (T, F) with rows as steps, got shape (1, 1, 1); give "
            "several series as list(X).",
        ),
        (["a", "b"], "Expected real numbers in a series, got dtype <U1" + TEXT),
        ([np.ones(2), ["a"]], "Expected real numbers in series 1, got dtype <U1" + TEXT),
        (
            pd.DataFrame({"t": ["x"]}),
            "Expected numbers in column 't', got String; drop it or choose columns. If it says "
            "which series a row belongs to, see sequences_from_table.",
        ),
        (
            [pl.DataFrame({"a": [1], "b": [2]}), pl.DataFrame({"b": [2], "c": [1]})],
            "Expected the columns ('a', 'b'), as in the first series, got ('b', 'c') in series "
            "1; choose the same columns in all of them.",
        ),
        (
            [[[1, 2], [3]]],
            "Expected numbers in series 0, but NumPy cannot read them: setting an array element "
            "with a sequence. The requested array has an inhomogeneous shape after 1 "
            "dimensions. The detected shape was (2,) + inhomogeneous part.",
        ),
    ],
    ids=lambda value: None if isinstance(value, str) else type(value).__name__,
)
def test_what_cannot_be_a_series_is_refused(series, message):
    assert error_of(as_series, series) == message
