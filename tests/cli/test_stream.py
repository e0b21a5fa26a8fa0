"""Commands read large files in pieces, and write what they write of the whole files."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.cli.tables import read_csv
from unspool import model_file
from unspool.io import streaming

T = np.arange(240)
TABLE = pa.table(
    {
        "time": np.datetime64("2024-01-01", "us") + T * np.timedelta64(1, "h"),
        "heat": np.sin(T / 5),
        "speed": np.cos(T / 7),
    }
)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "data").mkdir()
    for i in range(3):
        pq.write_table(TABLE.slice(80 * i, 80), tmp_path / "data" / f"{i}.parquet")
    return tmp_path / "data"


def test_a_folder_is_streamed_as_it_is_read(run, folder, tmp_path):
    whole, pieces = tmp_path / "whole.unspool", tmp_path / "pieces.unspool"
    options = ["--window", 12, "--epochs", 1, "--latent-dim", 3, "--seed", 0, "--set"]
    options += ["batch_size=1000", "--files", "rows"]
    for path, flag in ((whole, "--no-stream"), (pieces, "--stream")):
        done = run("fit", folder, "-o", path, flag, *options)
        assert done.code == 0, done.err
        assert ("values are read in pieces" in done.err) == (flag == "--stream")
    one, other = model_file.read(whole), model_file.read(pieces)
    assert one.fitted["reading"] == other.fitted["reading"] == {"files": "rows"}
    for name, values in one.weights.items():
        np.testing.assert_array_equal(other.weights[name], values)
    for command in ("encode", "reconstruct", "score"):
        outputs = [run(command, whole, folder, flag) for flag in ("--no-stream", "--stream")]
        assert outputs[0].code == 0, outputs[0].err
        assert outputs[0].out == outputs[1].out


def test_an_array_is_streamed_as_it_is_read(run, tmp_path):
    np.save(tmp_path / "x.npy", np.stack([np.sin(T / 5), np.cos(T / 7)], axis=1).astype("f4"))
    model = tmp_path / "m.unspool"
    done = run(
        *("fit", tmp_path / "x.npy", "--window", 12, "-o", model, "--stream", "--epochs", 1),
    )
    assert done.code == 0, done.err
    outputs = [
        run("encode", model, tmp_path / "x.npy", flag) for flag in ("--stream", "--no-stream")
    ]
    assert len(read_csv(outputs[0].out)["start"]) == 229
    assert outputs[0].out == outputs[1].out


def test_large_files_are_streamed_and_the_reason_is_printed(run, folder, tmp_path, monkeypatch):
    monkeypatch.setattr(streaming, "free_memory", lambda: 10_000)
    done = run("fit", folder, "--window", 12, "-o", tmp_path / "m.unspool", "--epochs", 1)
    assert done.code == 0, done.err
    assert "because they take 5.8 kB, more than 1/8 of the free memory" in done.err
    assert "--no-stream" in done.err
    assert "3 series" in done.err


def test_an_option_that_needs_the_whole_file_is_refused(run, folder, tmp_path):
    done = run(
        *("fit", folder, "--window", 12, "-o", tmp_path / "m.unspool", "--stream"),
        *("--on-missing", "drop"),
    )
    assert done.code == 1
    assert "needs all values at once" in done.err
