"""Numbers that mean "missing" in a file."""

from pathlib import Path

import numpy as np
import pytest

from unspool import Sequences, Windows, read_file
from unspool.errors import InputError

TABLE = "time;CO;NO\n" + "".join(
    f"{t};{-200 if t % 4 == 1 else t / 2:.1f};{-9 if t == 6 else 20}\n".replace(".", ",")
    for t in range(12)
)


def test_numbers_that_mean_missing_are_nan_in_features_and_counted_in_a_note(tmp_path: Path):
    path = tmp_path / "air.csv"
    path.write_text(TABLE)
    data = read_file(path, window=4, missing="mask", missing_values=[-200, -9])
    assert isinstance(data.source, Windows)
    (series,) = data.source.series
    empty = np.argwhere(np.isnan(series)).tolist()
    assert empty == [[1, 0], [5, 0], [6, 1], [9, 0]]
    assert "4 values are -200 or -9 and read as missing" in data.notes
    assert (data.steps["time"][0] == np.arange(12)).all()


def test_a_missing_value_that_a_model_does_not_accept_is_refused(tmp_path: Path):
    path = tmp_path / "air.csv"
    path.write_text(TABLE)
    with pytest.raises(InputError, match=r"3 values are missing by `missing_values`, the first"):
        read_file(path, window=4, missing_values=[-200])
    assert read_file(path, window=4, missing_values=[-77]).notes[-1].startswith("0 values are -77")


def test_numbers_that_mean_missing_at_the_end_of_a_sequence_are_no_padding(tmp_path: Path):
    values = np.arange(24, dtype=np.int16).reshape(2, 6, 2)
    values[0, -2:] = -200
    np.save(tmp_path / "a.npy", values)
    source = read_file(tmp_path / "a.npy", missing="mask", missing_values=[-200]).source
    assert isinstance(source, Sequences)
    assert source.lengths.tolist() == [6, 6]
    assert np.isnan(source.values).sum() == 4


def test_a_number_that_means_missing_changes_no_padding(tmp_path: Path):
    np.savez(tmp_path / "a.npz", X=np.ones((2, 4, 1)), lengths=[2, 4])
    data = read_file(tmp_path / "a.npz", missing="mask", missing_values=[0])
    assert data.notes[-1].startswith("0 values")
    assert isinstance(data.source, Sequences)
    assert data.source.lengths.tolist() == [2, 4]


def test_float32_columns_are_compared_as_float32(tmp_path: Path):
    np.save(tmp_path / "a.npy", np.array([[0.1, 1.0], [2.0, 3.0]], np.float32))
    data = read_file(tmp_path / "a.npy", missing="mask", missing_values=[0.1])
    assert data.notes[-1].startswith("1 value is 0.1")


@pytest.mark.parametrize("wrong", [-200, "-200", [True], [float("nan")], [""]])
def test_other_missing_values_are_refused(tmp_path: Path, wrong: object):
    path = tmp_path / "air.csv"
    path.write_text(TABLE)
    with pytest.raises(
        InputError, match="`missing_values` must be a list of finite numbers and texts"
    ):
        read_file(path, window=4, missing_values=wrong)  # type: ignore[arg-type]
