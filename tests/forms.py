"""Forms that an X may have, and objects that are refused, for tests of everything that reads X.

`SAME` has forms of data that are there as plain arrays too, `REFUSED` has what is no such data,
with the words of the message that say what to do. `trained` gives models that read them.
"""

import array
import datetime
import warnings
from collections import deque
from functools import cache
from types import SimpleNamespace

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.dataset
import scipy.sparse
import torch
from torch.nn.utils.rnn import pack_sequence
from torch.utils.data import DataLoader, TensorDataset

from unspool import (
    DenseAutoencoder,
    EncoderClassifier,
    LSTMAutoencoder,
    LSTMForecaster,
    Sequences,
    runtime,
)
from unspool.data.stored import MappedArray

N, T, F = 8, 6, 2
RNG = np.random.default_rng(0)
# Values that bfloat16 holds as well.
CUBE = RNG.integers(-50, 50, (N, T, F)) / 4
LENGTHS = [6, 4, 5, 6, 3, 6, 5, 2]
RAGGED = [one[:length] for one, length in zip(CUBE, LENGTHS, strict=True)]
PADDED = np.where(np.arange(T)[:, None] < np.array(LENGTHS)[:, None, None], CUBE, np.nan)
TABLE = CUBE[:, :, 0].copy()
SERIES = CUBE.reshape(-1, F)
LABELS = np.array(list("abababab"))
DAYS = pd.date_range("2024-01-01", periods=len(SERIES), freq="D")


def frames_of(sequences, kind=pd.DataFrame):
    return [kind({"a": one[:, 0], "b": one[:, 1]}) for one in sequences]


def in_other_orders(sequences):
    frames = frames_of(sequences)
    return [frame[["b", "a"]] if i % 2 else frame for i, frame in enumerate(frames)]


def by_instance(sequences, times=None):
    """A frame with the index (instance, time), whose instances are not sorted."""
    times = DAYS if times is None else times
    names = [f"m{9 - i}" for i in range(len(sequences))]
    pairs = [(name, times[i]) for name, one in zip(names, sequences, strict=True)
             for i in range(len(one))]  # fmt: skip
    index = pd.MultiIndex.from_tuples(pairs, names=["instance", "timepoint"])
    return pd.DataFrame(np.concatenate(sequences), index=index, columns=["a", "b"])


def by_time(sequences):
    """The same with rows sorted by time, as a plant would record them."""
    frame = by_instance(sequences)
    step = frame.groupby(level=0).cumcount()
    return frame.iloc[np.argsort(step.to_numpy(), kind="stable")]


def nested(sequences, cell=np.array, frame=pd.DataFrame):
    return frame({name: [cell(one[:, i].tolist()) for one in sequences]
                  for i, name in enumerate("ab")})  # fmt: skip


def objects(things):
    made = np.empty(len(things), object)
    made[:] = things
    return made


def hidden(values):
    """Masked where `values` is NaN, with extreme numbers under the mask."""
    return np.ma.MaskedArray(np.nan_to_num(values, nan=-9999.0), np.isnan(values))


def tensors(sequences, **options):
    return [torch.tensor(one, **options) for one in sequences]


class Takes:
    """Sequences that are taken by their numbers, and their lengths if these are given."""

    def __init__(self, values, lengths=None):
        self.values, self.lengths = values, lengths

    def __len__(self):
        return len(self.values)

    def take(self, indices):
        if self.lengths is None:
            return self.values[indices]
        lengths = self.lengths[indices]
        return self.values[indices, : lengths.max(initial=0)], lengths


def missing_at_the_ends(kind):
    """A table whose last value is missing in two rows."""
    values = TABLE.copy()
    values[[1, 4], -1] = np.nan
    columns = {str(i): values[:, i] for i in range(T)}
    if kind == "array":
        return values
    if kind == "masked":
        return hidden(values)
    if kind == "pandas":
        return pd.DataFrame(columns).astype("Float64")
    lists = {name: [None if np.isnan(v) else v for v in one] for name, one in columns.items()}
    return {"polars": pl.DataFrame, "arrow": pa.table}[kind](lists)


SAME = {
    "sequences": (
        CUBE,
        {
            "array of another layout": lambda: np.asfortranarray(CUBE),
            "read-only array": lambda: np.frombuffer(CUBE.tobytes()).reshape(CUBE.shape),
            "float16 array": lambda: CUBE.astype(np.float16),
            "array of objects": lambda: CUBE.astype(object),
            "object array of arrays": lambda: objects(list(CUBE)),
            "object table of series": lambda: nested(CUBE).to_numpy(),
            "list of arrays": lambda: list(CUBE),
            "tuple of arrays": lambda: tuple(CUBE),
            "deque of arrays": lambda: deque(CUBE),
            "nested lists": lambda: CUBE.tolist(),
            "masked array without a masked value": lambda: np.ma.MaskedArray(CUBE),
            "list of matrices": lambda: [np.asmatrix(one) for one in CUBE],
            "Sequences": lambda: Sequences(CUBE),
            "tensor": lambda: torch.tensor(CUBE),
            "tensor with gradients": lambda: torch.tensor(CUBE, requires_grad=True),
            "bfloat16 tensor": lambda: torch.tensor(CUBE, dtype=torch.bfloat16),
            "list of tensors with gradients": lambda: tensors(CUBE, requires_grad=True),
            "list of bfloat16 tensors": lambda: tensors(CUBE, dtype=torch.bfloat16),
            "sparse tensor": lambda: torch.tensor(CUBE).to_sparse(),
            "list of pandas frames": lambda: frames_of(CUBE),
            "list of polars frames": lambda: frames_of(CUBE, pl.DataFrame),
            "list of Arrow tables": lambda: frames_of(CUBE, pa.table),
            "list of frames, columns in other orders": lambda: in_other_orders(CUBE),
            "frame by (instance, time)": lambda: by_instance(CUBE),
            "frame by (instance, number)": lambda: by_instance(CUBE, list(range(9))),
            "frame by (instance, time), mixed": lambda: by_time(CUBE),
            "pandas frame of arrays": lambda: nested(CUBE),
            "pandas frame of Series": lambda: nested(CUBE, pd.Series),
            "polars frame of lists": lambda: nested(CUBE, list, pl.DataFrame),
            "polars frame of arrays": lambda: nested(CUBE, list, pl.DataFrame).cast(
                pl.Array(pl.Float64, T)
            ),
            "Arrow table of lists": lambda: nested(CUBE, list, pa.table),
            "data set of PyTorch": lambda: TensorDataset(
                torch.tensor(CUBE), torch.arange(len(CUBE))
            ),
            "object that takes sequences": lambda: Takes(CUBE),
            "array that is not in memory": lambda: MappedArray(CUBE),
            "numbers of float16 that are not in memory": lambda: MappedArray(CUBE.astype("f2")),
        },
    ),
    "ragged sequences": (
        RAGGED,
        {
            "padded with NaN": lambda: PADDED,
            "Sequences with lengths": lambda: Sequences(np.nan_to_num(PADDED), LENGTHS),
            "padded and masked": lambda: hidden(PADDED),
            "list of masked arrays": lambda: list(hidden(PADDED)),
            "object array of arrays": lambda: objects(RAGGED),
            "list of lists": lambda: [one.tolist() for one in RAGGED],
            "list of tensors": lambda: tensors(RAGGED, requires_grad=True),
            "list of frames, columns in other orders": lambda: in_other_orders(RAGGED),
            "frame by (instance, time)": lambda: by_instance(RAGGED),
            "frame by (instance, time), mixed": lambda: by_time(RAGGED),
            "pandas frame of Series": lambda: nested(RAGGED, pd.Series),
            "polars frame of lists": lambda: nested(RAGGED, list, pl.DataFrame),
            "Arrow table of lists": lambda: nested(RAGGED, list, pa.table),
            "object that takes sequences": lambda: Takes(np.nan_to_num(PADDED), np.array(LENGTHS)),
            "padded array that is not in memory": lambda: MappedArray(PADDED),
        },
    ),
    "table": (
        TABLE,
        {
            "matrix": lambda: np.asmatrix(TABLE),
            "array of objects": lambda: TABLE.astype(object),
            "nested lists": lambda: TABLE.tolist(),
            "list of pandas Series": lambda: [pd.Series(row) for row in TABLE],
            "list of buffers": lambda: [array.array("d", row) for row in TABLE],
            "masked array without a masked value": lambda: np.ma.MaskedArray(TABLE),
            "tensor with gradients": lambda: torch.tensor(TABLE, requires_grad=True),
            "pandas frame": lambda: pd.DataFrame(TABLE),
            "pandas frame of Float64": lambda: pd.DataFrame(TABLE).convert_dtypes(),
            "polars frame": lambda: pl.DataFrame(TABLE),
            "Arrow table": lambda: pa.table({str(i): TABLE[:, i] for i in range(T)}),
            "record batch": lambda: pa.record_batch({str(i): TABLE[:, i] for i in range(T)}),
            "table that is not in memory": lambda: MappedArray(TABLE),
            "Arrow data set": lambda: pyarrow.dataset.dataset(
                pa.table({str(i): TABLE[:, i] for i in range(T)})
            ),
        },
    ),
    "table with missing ends": (
        missing_at_the_ends("array"),
        {
            kind: lambda kind=kind: missing_at_the_ends(kind)
            for kind in ("masked", "pandas", "polars", "arrow")
        },
    ),
}

ROWS_ARE_TIMES = r"rows of this frame are steps of time.*Windows\(frame, size\).*\[frame\]"
FRAME = pd.DataFrame(SERIES, columns=["a", "b"])
WIDE = pd.DataFrame(TABLE, columns=list("abcdef"))
DATES = np.arange("2024-01-01", "2024-01-17", dtype="M8[D]").reshape(8, 2)

REFUSED = {
    # rows that are times
    "frame with dates as index": (FRAME.set_index(DAYS), ROWS_ARE_TIMES),
    "frame with dates of a time zone": (FRAME.set_index(DAYS.tz_localize("UTC")), ROWS_ARE_TIMES),
    "frame with periods": (FRAME.set_index(DAYS.to_period("D")), ROWS_ARE_TIMES),
    "frame with durations": (FRAME.set_index(DAYS - DAYS[0]), ROWS_ARE_TIMES),
    "frame with date objects": (FRAME.set_index(pd.Index(DAYS.date)), ROWS_ARE_TIMES),
    "frame with dates as text": (FRAME.set_index(DAYS.astype(str)), ROWS_ARE_TIMES),
    "frame with intervals of time": (
        FRAME.set_index(pd.IntervalIndex.from_arrays(DAYS, DAYS + pd.Timedelta("1D"))),
        ROWS_ARE_TIMES,
    ),
    "frame with an index called time": (FRAME.rename_axis("time"), ROWS_ARE_TIMES),
    "frame with a column called time": (FRAME.assign(time=np.arange(48)), ROWS_ARE_TIMES),
    "polars frame with a column called time": (
        pl.DataFrame({"Timestamp": np.arange(9), "a": np.arange(9.0)}),
        ROWS_ARE_TIMES,
    ),
    "polars frame with dates": (
        pl.DataFrame({"at": DAYS.to_list(), "a": SERIES[:, 0]}),
        r"column 'at', got Datetime.*Windows\(frame, size\)",
    ),
    "Arrow table with dates": (
        pa.table({"at": pa.array(DAYS), "a": SERIES[:, 0]}),
        r"column 'at', got Datetime.*Windows\(frame, size\)",
    ),
    "frame with a column of date objects": (
        FRAME.assign(at=DAYS.date),
        r"column 'at', got dates or times; leave them out",
    ),
    "table with one column": (SERIES[:, :1], r"X\[None\].*Windows\(X, size\)"),
    "frame with one column": (FRAME[["a"]], r"X\[None\].*Windows\(X, size\)"),
    "series": (SERIES[:, 0], r"X\[None\].*Windows\(X, size\)"),
    "pandas Series": (FRAME["a"], r"X\[None\].*Windows\(X, size\)"),
    "polars Series": (pl.Series(SERIES[:, 0]), r"X\[None\].*Windows\(X, size\)"),
    "list of numbers": ([1.0, 2.0, 3.0], r"X\[None\].*Windows\(X, size\)"),
    # indices and columns that do not say what they are
    "frame with three levels": (
        pd.concat({"plant": by_instance(CUBE)}),
        r"two levels, \(instance, time\), got 3.*droplevel",
    ),
    "frame by (time, instance)": (
        by_instance(CUBE).swaplevel().sort_index(),
        r"first level holds times; call .swaplevel\(\).sort_index\(\)",
    ),
    "frame by (instance, name)": (
        by_instance(CUBE, list("qwertz")),
        r"numbers or times in its second level, got string.*reset_index",
    ),
    "frame by (instance, time) that goes back": (
        by_instance(CUBE, DAYS[::-1]),
        r"times that increase within an instance.*sort_index",
    ),
    "frame by (instance, no time)": (
        by_instance(CUBE, [pd.NaT, *DAYS]),
        r"without gaps.*with gaps; set such an index",
    ),
    "frames whose times go back": (
        [frame.set_index(DAYS[:T][::-1]) for frame in frames_of(CUBE)],
        r"index of sequence 0 times go back.*sort_index",
    ),
    "frames by (instance, time) in a list": (
        [by_instance(CUBE)],
        r"alone, not in a list",
    ),
    "frames with other columns": (
        [*frames_of(CUBE), FRAME.rename(columns={"b": "c"})],
        r"columns \('a', 'b'\).*got \('a', 'c'\) in sequence 8; choose the same",
    ),
    "frame with a column twice": (
        pd.DataFrame(TABLE, columns=list("abcdea")),
        r"column name 'a' appears twice; rename",
    ),
    "Arrow table with a column twice": (
        pa.table([pa.array([1.0, 2]), pa.array([3.0, 4])], names=["a", "a"]),
        r"column name 'a' appears twice; rename",
    ),
    "frames with a column twice": (
        [pd.DataFrame(one, columns=["a", "a"]) for one in CUBE],
        r"column name 'a' appears twice; rename",
    ),
    "frame with levels of columns": (
        pd.DataFrame(TABLE, columns=pd.MultiIndex.from_product([list("ab"), range(3)])),
        r"names of 2 levels; join the levels",
    ),
    # cells
    "cells of unequal length in a row": (
        pd.DataFrame({"a": list(CUBE[:, :, 0]), "b": list(CUBE[:, :4, 1])}),
        r"cells of row 0, got shapes \(6,\), \(4,\); resample them to the same steps",
    ),
    "cells of which some are numbers": (
        nested(CUBE).assign(c=1.0),
        r"series in every cell.*got 1.0 in row 0, column 'c'; choose the columns",
    ),
    "cells of which one is missing": (
        pl.DataFrame({"a": [[1.0, 2.0], None]}),
        r"got None in row 1, column 'a'; choose",
    ),
    "text": (pd.DataFrame({"a": ["x", "y"]}), r"column 'a', got String; drop it"),
    # shapes
    "channels first": ([x.T for x in RAGGED], r"features come first.*\[x.T for x in X\]"),
    "number": (3.0, r"Reshape your data: give one series of T steps as \(1, T, F\)"),
    "four axes": (np.ones((8, 3, 4, 5)), r"Reshape your data"),
    "no sequence": (CUBE[:0], r"at least one sequence, got none"),
    "no feature": (CUBE[:, :, :0], r"at least one feature"),
    "no column": (TABLE[:, :0], r"0 feature|Expected \d features|at least one step"),
    # kinds of values
    "dates": (DATES, r"dates and times cannot be features: leave them out"),
    "durations": (DATES - DATES[0, 0], r"dates and times cannot be features: leave them out"),
    "dates in sequences": (DATES[:, :, None], r"dates and times cannot be features"),
    "dates as objects": (DATES.astype(object), r"got dates or times; leave them out"),
    "NumPy's dates as objects": (
        np.array([[*row] for row in DATES] + [[None, None]], dtype=object),
        r"got dates or times; leave them out",
    ),
    "list of dates": ([[datetime.date(2024, 1, 1)] * 2] * 2, r"got dates or times; leave them out"),
    "masked dates": (np.ma.MaskedArray(DATES, False), r"dates and times cannot be features"),
    "complex numbers": (CUBE * 1j, r"two features"),
    "list of text": ([["1.5", "2"], ["1", "2"]], r"convert text to numbers"),
    "text as objects": (np.array([["1.5", 2.0]], dtype=object), r"got text; convert it to numbers"),
    "bytes in an array": (TABLE.astype("S"), r"convert text to numbers"),
    "records": (np.zeros(4, [("a", float), ("b", float)]), r"structured_to_unstructured"),
    "whole numbers without end": ([[10**400, 1], [1, 2]], r"int too large"),
    # things to take an array out of
    "nothing": (None, r"got NoneType; convert it to an array"),
    "path": ("sines.csv", r"read_file\(path\)"),
    "bytes": (b"12", r"frombuffer"),
    "dictionary": ({"a": CUBE[0]}, r"list\(X.values\(\)\)"),
    "set": ({1.0, 2.0}, r"give a list"),
    "generator": ((one for one in CUBE), r"list\(X\)"),
    "map": (map(np.asarray, CUBE), r"list\(X\)"),
    "view of a dictionary": ({"a": CUBE[0]}.values(), r"to a list of arrays"),
    "lazy frame": (pl.LazyFrame({"a": [1.0]}), r"X.collect\(\)"),
    "sparse matrix": (scipy.sparse.csr_matrix(TABLE), r"X.toarray\(\)"),
    "packed sequences": (pack_sequence(tensors(CUBE)), r"pad_packed_sequence"),
    "loader": (DataLoader(TensorDataset(torch.tensor(CUBE))), r"numpy.concatenate"),
    "tensor without values": (torch.zeros(2, 3, 1, device="meta"), r"no data"),
}


QUICK = {"epochs": 1, "random_state": 0, "verbose": 0}


def lstm(**parameters):
    return LSTMAutoencoder(3, validation_split=0, **QUICK, **parameters)


def forecaster():
    return LSTMForecaster(3, validation_split=0, **QUICK)


@cache
def trained(kind):
    """Models that were fitted on this kind of data, and their runtime models."""
    X = {"one feature": CUBE[:, :, :1], "table": TABLE}.get(kind.partition(" with")[0], CUBE)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        composite = lstm(horizon=1).fit(X)
        models = {
            "composite": composite,
            "plain": lstm().fit(X),
            "forecaster": forecaster().fit(X),
            "classifier": EncoderClassifier(composite, **QUICK).fit(X, LABELS),
            "dense": DenseAutoencoder(3, validation_split=0, **QUICK).fit(X),
        }
    light = {f"light_{name}": runtime.Model(model.contents()) for name, model in models.items()}
    return SimpleNamespace(**models, **light)
