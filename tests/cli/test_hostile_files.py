"""Names and contents of files that scripts stumble over: read right, or refused in one sentence."""

import os
import threading

import pytest

from unspool.errors import InputError
from unspool.io import several
from unspool.io.files import read_file

NAMES = ["a b.csv", "100%s.csv", "[x].csv", "q?.csv", "{b}.csv", "new\nline.csv", "'.csv", "$A.csv"]


def text_of(path):
    return "\n".join("\t".join(line.split("\t")[1:]) for line in path.read_text().splitlines())


@pytest.fixture
def rows(heartbeats):
    """The values of the heartbeats as a table without a header."""
    return text_of(heartbeats).replace("\t", ",")


@pytest.mark.parametrize("name", NAMES)
def test_a_file_is_read_whatever_its_name(run, model, rows, tmp_path, name):
    path = tmp_path / name
    path.write_text(rows)
    done = run("encode", model, path, "--rows")
    assert done.code == 0, done.err
    assert done.out.count("\n") == 21


@pytest.mark.skipif(os.name != "posix", reason="names of files are texts")
def test_a_name_that_is_not_utf8_is_read_where_the_library_can(run, model, rows, tmp_path):
    path = os.fsdecode(os.path.join(os.fsencode(tmp_path), b"lat\xfcin.csv"))
    with open(path, "w") as file:
        file.write(rows)
    assert run("encode", model, path, "--rows").code == 0
    other = f"{path.removesuffix('csv')}parquet"
    os.rename(path, other)
    done = run("encode", model, other, "--rows")
    said = "the library that reads it accepts only names in UTF-8; rename the file."
    assert (done.code, said in done.err) == (1, True)


def test_a_name_that_begins_with_a_dash_and_an_empty_one_are_explained(
    run, model, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "-lead.csv").write_text("1,2\n")
    done = run("encode", model, "-lead.csv")
    assert done.code == 2
    assert "No such option: -l; write ./-lead.csv for the file of this name; see" in done.err
    done = run("encode", model, "")
    said = "an argument is empty; if it is a variable of the shell, give it a value."
    assert (done.code, said in done.err) == (2, True)


@pytest.mark.parametrize("name", ["page.csv", "page.parquet", "page.npy"])
def test_what_servers_send_instead_of_a_file_is_named(run, model, tmp_path, name):
    path = tmp_path / name
    path.write_text("\n<!DOCTYPE html><html><head><title>404</title></head></html>\n")
    done = run("encode", model, path)
    said = f"{name}: the file is a web page (HTML), as servers send it instead of a file; download"
    assert (done.code, said in done.err) == (1, True)
    path.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12\n")
    said = f"{name}: the file is a pointer of Git LFS to the data; fetch them with `git lfs pull`."
    assert said in run("encode", model, path).err


@pytest.mark.parametrize("ending", [".csv", ".npy", ".npz", ".parquet", ".mat", ".ts", ".idx"])
def test_an_empty_file_of_each_kind_is_refused(run, detector, tmp_path, ending):
    path = tmp_path / f"empty{ending}"
    path.touch()
    for call in (("encode", detector, path), ("detect", path, "--model", detector)):
        done = run(*call)
        assert done.code == 1
        assert f"empty{ending}: the file is empty (0 bytes); write it again." in done.err


def test_a_folder_without_rights_is_refused(tmp_path, monkeypatch):
    (tmp_path / "a").mkdir()
    (tmp_path / "b.csv").write_text("1,2\n3,4\n")
    monkeypatch.setattr(several, "_is_readable", lambda folder: folder.name != "a")
    with pytest.raises(InputError) as caught:
        read_file(tmp_path, window=2)
    said = f"{tmp_path}: the folder {tmp_path / 'a'} cannot be read; change its permissions."
    assert str(caught.value) == said


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="the system has no named pipes")
def test_a_pipe_is_read_as_a_file(run, model, rows, tmp_path):
    path = tmp_path / "pipe"
    os.mkfifo(path)
    writer = threading.Thread(target=path.write_text, args=(rows,))
    writer.start()
    done = run("encode", model, path, "--rows")
    writer.join()
    assert done.code == 0, done.err
    assert done.out.count("\n") == 21
    done = run("encode", model, os.devnull)
    assert (done.code, "DATA is an empty pipe; pipe a file into it." in done.err) == (1, True)


def test_many_columns_of_one_name_get_numbers(tmp_path):
    n = 1500
    path = tmp_path / "wide.csv"
    path.write_text("\n".join([",".join(["same", "same.2"] * n), *[",".join(["1.5"] * 2 * n)] * 3]))
    names = read_file(path, window=2).source.feature_names
    assert len({*names}) == 2 * n
    assert names[:4] == ("same", "same.2", "same.1", "same.2.1")
    assert names[-2:] == (f"same.{n}", f"same.2.{n - 1}")
