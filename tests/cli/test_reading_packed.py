"""Packed files and files of several parts, which later commands read as in training."""

import gzip
import zipfile

import numpy as np
import pytest
from matplotlib import image

from tests.cli.tables import read_csv, write_csv
from unspool.io import compressed

T = np.arange(40)
COLUMNS = {"time": T, "site": T // 20, "a": np.sin(T / 3), "b": np.cos(T / 4)}


@pytest.fixture
def table(tmp_path):
    return write_csv(tmp_path / "log.csv", COLUMNS)


@pytest.fixture
def packed(table, tmp_path):
    """The table in an archive with a second table."""
    path = tmp_path / "logs.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.write(table, "pump.csv")
        archive.write(table, "fan.csv")
    return path


@pytest.fixture
def counted(monkeypatch):
    """The names of the files that are unpacked."""
    found = []
    for name in ("_single", "_members"):
        called = getattr(compressed, name)

        def count(path, *rest, called=called):
            found.append(path.name)
            return called(path, *rest)

        monkeypatch.setattr(compressed, name, count)
    return found


def test_a_packed_file_is_unpacked_once(run, table, counted, tmp_path):
    zipped, zipped_tsv = tmp_path / "log.zip", tmp_path / "log.tsv.gz"
    with zipfile.ZipFile(zipped, "w") as archive:
        archive.write(table, "log.csv")
    zipped_tsv.write_bytes(gzip.compress(table.read_text().replace(",", "\t").encode()))
    path = tmp_path / "m.unspool"
    for data in (zipped, zipped_tsv):
        call = ["fit", data, "--window", 5, "-o", path, "--epochs", 1, "--id", "site"]
        assert run(*call, "--time", "time").code == 0
        assert counted == [data.name]
        assert run("encode", path, data).code == 0
        assert counted == [data.name] * 2
        counted.clear()


def test_a_packed_file_is_unpacked_once_by_detect(run, packed, tiny, counted):
    call = ["detect", packed, "--key", "fan.csv", "--id", "site", "--time", "time"]
    done = run(*call, "--normal-until", 15, *tiny)
    assert done.code == 0, done.err
    assert counted == ["logs.zip"]


def test_a_key_of_training_that_a_later_file_lacks_is_said(run, packed, table, tmp_path):
    path, other = tmp_path / "m.unspool", tmp_path / "next.zip"
    call = ["fit", packed, "--window", 5, "-o", path, "--epochs", 1, "--key", "fan.csv"]
    assert run(*call, "--id", "site").code == 0
    with zipfile.ZipFile(other, "w") as archive:
        archive.write(table, "april.csv")
    done = run("encode", path, other)
    assert done.code == 0, done.err
    said = "there is no file 'fan.csv', which training read (--key): the only one is read\n"
    assert f"next.zip: {said}" in done.err
    assert done.out == run("encode", path, packed).out
    with zipfile.ZipFile(other, "a") as archive:
        archive.write(table, "may.csv")
    done = run("encode", path, other)
    assert (done.code, "--key: unknown file 'fan.csv'" in done.err) == (1, True)
    assert run("encode", path, other, "--key", "may.csv").code == 0
    done = run("encode", path, other, "--key", "fan.csv")  # given now
    assert (done.code, "next.zip: --key: unknown file 'fan.csv'" in done.err) == (1, True)
    with zipfile.ZipFile(other, "w") as archive:
        archive.writestr("june.csv", "time,c\n1,2\n2,3\n")
    done = run("encode", path, other)
    assert done.code == 1
    assert "june.csv: --columns: there are no columns a, b; the file has time, c." in done.err


def test_a_key_of_the_training_of_a_detector_is_searched_for(run, packed, table, tiny, tmp_path):
    path, scores = tmp_path / "d.unspool", tmp_path / "s.csv"
    call = ["detect", packed, "--key", "fan.csv", "--id", "site", "--normal-until", 15]
    assert run(*call, *tiny, "--save", path).code == 0
    np.savez(tmp_path / "x.npz", values=np.column_stack([COLUMNS["a"], COLUMNS["b"]]))
    done = run("detect", tmp_path / "x.npz", "--model", path, "--scores", scores)
    assert done.code == 0, done.err
    said = "there is no array 'fan.csv', which training read (--key): the only one is read\n"
    assert said in done.err
    assert len(read_csv(scores.read_text())["score"]) == 40


def test_roles_of_training_are_not_said_to_be_named_by_the_user(run, table, tmp_path):
    path = tmp_path / "m.unspool"
    options = ["--id", "site", "--drop", "b", "--time", "time"]
    done = run("fit", table, "--window", 5, "-o", path, "--epochs", 1, *options)
    assert done.err.count("named by the user") == 2
    done = run("encode", path, table)
    assert "named by the user" not in done.err
    rows = [line.split() for line in done.err.splitlines() if "remembered from the model" in line]
    assert [row[:2] for row in rows] == [["time", "time"], ["site", "id"], ["b", "left"]]
    done = run("encode", path, table, "--id", "site")
    assert (done.err.count("named by the user"), done.err.count("remembered from")) == (1, 2)


def test_detect_scores_each_sequence_of_a_folder(run, tiny, tmp_path):
    folder, scores = tmp_path / "cycles", tmp_path / "s.csv"
    folder.mkdir()
    rows = np.sin(np.arange(20) / 3 + np.arange(30)[:, None])
    for name in "ab":
        lines = "".join("1\t" + "\t".join(map(str, row)) + "\n" for row in rows)
        (folder / f"{name}.tsv").write_text(lines)
    done = run("detect", folder, "--normal-until", 20, *tiny[2:], "--scores", scores)
    assert done.code == 0, done.err
    assert read_csv(scores.read_text())["id"] == [
        *(f"a/{i}" for i in range(20, 30)),
        *(f"b/{i}" for i in range(30)),
    ]


def test_detect_refuses_images(run, tmp_path):
    (tmp_path / "pictures").mkdir()
    for name in "ab":
        image.imsave(tmp_path / "pictures" / f"{name}.png", np.zeros((4, 4)))
    said = "`unspool detect` scores series and sequences, and images have no steps; use `unspool"
    done = run("detect", tmp_path / "pictures")
    assert (done.code, f"pictures: {said} score`" in done.err) == (1, True)
    np.save(tmp_path / "x.npy", np.zeros((9, 4, 4)))
    assert said in run("detect", tmp_path / "x.npy", "--images").err
