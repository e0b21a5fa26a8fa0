"""Messages about data that no other test compares."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from unspool import DenseAutoencoder, LSTMAutoencoder, Sequences, Windows, as_sequences
from unspool.data.futures import as_future
from unspool.data.messages import errors_naming
from unspool.data.targets import check_apart
from unspool.errors import InputError

X = np.random.default_rng(0).normal(size=(12, 6, 2)).cumsum(1)
DAYS = pd.date_range("2024-01-01", periods=6)
NO_INSTANCE = pd.MultiIndex.from_arrays([[], []])
CUT = (
    "cut it into windows with Windows(frame, size), or give [frame] for one sequence. For a table "
    "of several series see sequences_from_table; "
)


def broken():
    with errors_naming(Path("a.csv")):
        raise OSError(5, "Input/output error")


def too_large():
    with errors_naming(Path("a.csv")):
        raise MemoryError


CASES = {
    "a table without columns": (
        lambda: DenseAutoencoder(2).fit(X[:, :0, 0]),
        "Expected at least one column, but there are 0 feature(s) (shape=(12, 0)) while a minimum "
        "of 1 is required.",
    ),
    "sequences without steps": (
        lambda: LSTMAutoencoder(2).fit(Sequences(X, np.zeros(12, int))),
        "Expected a sequence with at least one step to learn from, got Sequences(12 sequences of 0 "
        "steps, 2 features); all their values are missing.",
    ),
    "a frame with an index of times": (
        lambda: as_sequences(pd.DataFrame(X[:6, :, 0], index=DAYS)),
        "Expected a sequence in every row, but the rows of this frame are steps of time, since its "
        f"index contains times; {CUT}if every row is a sequence, call .reset_index(drop=True).",
    ),
    "a frame with a column of times": (
        lambda: as_sequences(pd.DataFrame(X[:6, :2, 0], columns=["time", "a"])),
        "Expected a sequence in every row, but the rows of this frame are steps of time, since it "
        f"has a column 'time'; drop that column, and {CUT}if every row is a sequence, drop that "
        "column only.",
    ),
    "times that go back": (
        lambda: as_sequences([pd.DataFrame(X[0], index=DAYS[::-1])]),
        "Expected times that increase from row to row, but in the index of sequence 0 times go "
        "back or are missing; call .sort_index() first.",
    ),
    "objects in a column": (
        lambda: as_sequences(pd.DataFrame({"a": [object(), object()]})),
        "Expected numbers in column 'a', but NumPy cannot read them: float() argument must be a "
        "string or a real number, not 'object'. Drop the column or choose others.",
    ),
    "an empty index of instances": (
        lambda: as_sequences(pd.DataFrame({"a": []}, index=NO_INSTANCE)),
        "Expected at least one instance, got an empty index (instance, time).",
    ),
    "futures of different lengths": (
        lambda: as_future(Sequences(X, np.arange(12) % 3 + 1), None),
        "Expected futures of one length in `y`, got different lengths; cut them to one.",
    ),
    "times of two kinds": (
        lambda: Windows(
            [X[:, 0]] * 2, 5, times=[np.arange(12), pd.date_range(DAYS[0], periods=12)]
        ),
        "Expected `times` of one kind, got dates for some series only.",
    ),
    "a target twice": (
        lambda: LSTMAutoencoder(2, targets=(0, -2)).fit(X),
        "`targets` has the feature 0 twice; leave one out.",
    ),
    "a known feature of a model of all features": (
        lambda: check_apart(None, [1], ("a", "b"), 2),
        "`known` has the feature 'b', which is forecast too, because `targets` is None; set "
        "`targets` to the features to forecast, out of 2.",
    ),
    "a file that the system cannot read": (broken, "a.csv: cannot be read: Input/output error."),
    "a file that does not fit in memory": (
        too_large,
        "a.csv: there is not enough memory to read it; split it, or write one series (T, F) as "
        ".npy, from which windows are read on demand.",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_what_is_wrong_with_data_is_said_in_full(name):
    make, message = CASES[name]
    with pytest.raises(InputError) as caught:
        make()
    assert str(caught.value) == message


def test_series_in_cells_of_frames_in_a_list_are_refused():
    polars = pytest.importorskip("polars")
    frame = polars.DataFrame({"a": [[1.0, 2.0], [3.0, 4.0]]})
    with pytest.raises(InputError) as caught:
        as_sequences([frame])
    assert str(caught.value) == (
        "Expected numbers in column 'a', got series in its cells; choose the columns that contain "
        "series, and give the frame itself, not in a list."
    )
