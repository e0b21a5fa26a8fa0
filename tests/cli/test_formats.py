"""Data of other formats in every command: compressed files, folders, standard input, images."""

import gzip
import io
import json
import re
import sys

import numpy as np
import pyarrow as pa
import pyarrow.feather as feather
import pytest
from pyarrow import csv

from tests.io.idx_files import idx_bytes
from unspool.cli import stdin


@pytest.fixture
def piped(monkeypatch):
    """A function that puts bytes into standard input."""

    def put(blob):
        stdin._copied.cache_clear()
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(blob)))

    yield put
    stdin._copied.cache_clear()


def others(series, folder):
    """The table `series` in other formats, which hold no less than the text."""
    table = csv.read_csv(series)
    path = folder / "log.csv.gz"
    path.write_bytes(gzip.compress(series.read_bytes()))
    feather.write_feather(table, folder / "log.feather")
    text = table.set_column(0, "time", table["time"].cast(pa.string())).to_pylist()
    (folder / "log.json").write_text(json.dumps(text))
    (folder / "one").mkdir()
    (folder / "one" / "log.csv").write_bytes(series.read_bytes())
    return [path, folder / "log.feather", folder / "log.json", folder / "one"]


@pytest.mark.parametrize("command", ["encode", "score", "reconstruct"])
def test_commands_read_the_same_from_every_format(run, series, series_model, tmp_path, command):
    wanted = run(command, series_model, series)
    assert wanted.code == 0
    for path in others(series, tmp_path):
        found = run(command, series_model, path)
        assert (found.code, _blank(found.out)) == (0, _blank(wanted.out)), path


def _blank(table):
    """Return a table with a blank in its times, since Arrow and JSON do not keep the T of text."""
    return re.sub(r"(\d)T(\d)", r"\1 \2", table)


def test_detect_and_plot_read_other_formats(run, series, series_model, tmp_path):
    call = ["--normal-until", "2024-01-01T00:30:00", "--model", series_model]
    wanted = run("detect", series, *call)
    assert wanted.code == 0
    for path in others(series, tmp_path):
        assert _blank(run("detect", path, *call).out) == _blank(wanted.out)
        picture = tmp_path / "a.png"
        assert run("plot", "reconstruction", series_model, path, "-o", picture).code == 0


def test_data_comes_from_stdin_and_goes_to_stdout_in_pipes(run, series, series_model, piped):
    wanted = run("score", series_model, series)
    for blob in (series.read_bytes(), gzip.compress(series.read_bytes())):
        piped(blob)
        found = run("score", series_model, "-", "-o", "-")
        assert (found.code, found.out) == (0, wanted.out)
    assert "stdin" in found.err
    piped(b"")
    assert "nothing came from standard input" in run("score", series_model, "-").err


def test_each_file_of_a_pattern_is_a_series(run, series, series_model, tmp_path):
    folder = tmp_path / "logs"
    folder.mkdir()
    for name in ("m2", "m10"):
        (folder / f"{name}.csv").write_bytes(series.read_bytes())
    done = run("score", series_model, f"{folder}/*.csv")
    ids = [line.split(",")[0] for line in done.out.splitlines()[1:]]
    assert ids == ["m2"] * 60 + ["m10"] * 60
    done = run("score", series_model, folder, "--files", "rows")
    assert "time goes back" in done.err
    done = run("score", series_model, *sorted(folder.iterdir()))
    assert done.code == 2
    assert "give one DATA: a folder, or a pattern in quotes" in done.err


def test_kind_conv_is_trained_on_images(run, tmp_path):
    pixels = np.random.default_rng(0).integers(0, 255, (20, 6, 5), np.uint8)
    data, model = tmp_path / "a-images-idx3-ubyte", tmp_path / "m.unspool"
    data.write_bytes(idx_bytes(pixels, gzipped=False))
    call = ["--kind", "conv", "--latent-dim", 3, "--epochs", 1, "-q", "-o", model]
    done = run("fit", data, *call, "--set", "filters=[2]")
    assert done.code == 0
    assert "array of 20x6x5 read as images" in done.err
    assert len(run("encode", model, data).out.splitlines()) == 21
    assert len(run("score", model, data).out.splitlines()) == 21
    assert len(run("reconstruct", model, data).out.splitlines()) == 1 + 20 * 30
    assert run("reconstruct", model, data, "-o", tmp_path / "r.npy").code == 0
    assert np.load(tmp_path / "r.npy").shape == (20, 6, 5, 1)
    assert run("plot", "images", model, data, "-o", tmp_path / "a.png").code == 0
    done = run("fit", data, *call, "--no-images")
    assert "its columns as features" in done.err


def test_evaluate_reads_compressed_tables_and_refuses_arrays(run, tmp_path):
    text = "time,score,label\n" + "".join(f"{i},{i % 7},{int(i % 7 == 6)}\n" for i in range(70))
    (tmp_path / "a.csv").write_text(text)
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(text.encode()))
    wanted = run("evaluate", tmp_path / "a.csv")
    assert wanted.code == 0
    assert run("evaluate", tmp_path / "a.csv.gz").out == wanted.out
    np.save(tmp_path / "a.npy", np.ones((4, 2)))
    done = run("evaluate", tmp_path / "a.npy")
    assert "this is an array, whose columns have no names" in done.err
