"""Atomic writing of files: by many writers at once, on full disks, with long names."""

import multiprocessing
import os
import stat
import threading
import time
from pathlib import Path

import numpy as np
import pytest

import unspool
from tests.full_disk import FULL, full_disk
from unspool import model_file
from unspool._files import atomic_write, check_output_path
from unspool.cli.pictures import save_picture
from unspool.errors import InputError, ModelFileError
from unspool.interop.onnx import export_onnx
from unspool.io.write import write_table
from unspool.plots import TrainingHistoryDisplay


def write(path, content=b"new"):
    with atomic_write(path) as file:
        file.write(content)


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def names(folder):
    return sorted(os.listdir(folder))


def at_the_same_time(path, content, n):
    """Write to `path` from n threads, each of which has its file open while the others have."""
    barrier, faults = threading.Barrier(n), []

    def one(i):
        try:
            with atomic_write(path) as file:
                barrier.wait(10)
                for _ in range(8):
                    file.write(content[i])
                    file.flush()
                barrier.wait(10)
        except BaseException as fault:
            faults.append(fault)

    threads = [threading.Thread(target=one, args=(i,)) for i in range(n)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return faults


def test_threads_that_write_to_one_path_each_write_a_complete_file(tmp_path):
    path, content = tmp_path / "model", [bytes([65 + i]) * 1000 * (i + 1) for i in range(6)]
    assert at_the_same_time(path, content, 6) == []
    assert path.read_bytes() in [one * 8 for one in content]
    assert names(tmp_path) == ["model"]


def test_two_machines_with_the_same_process_id_use_different_temporary_files(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "getpid", lambda: 1)  # as in containers that share a volume
    with atomic_write(tmp_path / "model") as slow:
        slow.write(b"first")
        write(tmp_path / "model", b"second")
        assert (tmp_path / "model").read_bytes() == b"second"
    assert (tmp_path / "model").read_bytes() == b"first"


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_process_uses_another_temporary_file(tmp_path):
    context = multiprocessing.get_context("fork")
    children = [context.Process(target=write, args=(tmp_path / "model",)) for _ in range(2)]
    with atomic_write(tmp_path / "model") as file:
        file.write(b"parent")
        for child in children:
            child.start()
        for child in children:
            child.join()
        assert [child.exitcode for child in children] == [0, 0]
    assert (tmp_path / "model").read_bytes() == b"parent"


def abandoned(folder, name, hours=2.0):
    path = folder / name
    path.write_bytes(b"half")
    then = time.time() - hours * 3600
    os.utime(path, (then, then))
    return name


def test_temporary_files_of_killed_writers_are_removed_by_the_next_write_to_the_path(tmp_path):
    abandoned(tmp_path, ".model.4711.part")  # as versions before this one called them
    abandoned(tmp_path, ".model.0123456789abcdef.part")
    kept = [
        abandoned(tmp_path, ".model.0123456789abcde0.part", hours=0.9),
        abandoned(tmp_path, ".other.0123456789abcdef.part"),
        abandoned(tmp_path, ".model.b.0123456789abcdef.part"),  # of "model.b"
        abandoned(tmp_path, ".model.mine.part"),
        abandoned(tmp_path, "model.0123456789abcdef.part"),
    ]
    (tmp_path / ".model.0a.part").mkdir()
    os.utime(tmp_path / ".model.0a.part", (0, 0))
    write(tmp_path / "model")
    assert names(tmp_path) == sorted([*kept, ".model.0a.part", "model"])


def test_the_temporary_file_of_a_running_writer_is_never_removed(tmp_path):
    with atomic_write(tmp_path / "model") as slow:
        (part,) = names(tmp_path)
        os.utime(tmp_path / part, (0, 0))
        slow.write(b"slow")
        write(tmp_path / "model", b"quick")
    assert (tmp_path / "model").read_bytes() == b"slow"
    assert names(tmp_path) == ["model"]


@pytest.mark.parametrize("before", [0o600, 0o640, 0o444, 0o666])
def test_a_file_that_is_replaced_keeps_its_permissions(tmp_path, before):
    path = tmp_path / "model"
    path.touch()
    path.chmod(before)
    old = os.umask(0o022)
    try:
        with atomic_write(path) as file:
            (part,) = (tmp_path / one for one in names(tmp_path) if one != "model")
            assert mode(part) == before  # from the start: nobody may read on meanwhile
            file.write(b"new")
    finally:
        os.umask(old)
    assert (mode(path), path.read_bytes()) == (before, b"new")


def test_a_new_file_gets_the_permissions_of_the_umask(tmp_path):
    old = os.umask(0o027)
    try:
        write(tmp_path / "model")
    finally:
        os.umask(old)
    assert mode(tmp_path / "model") == 0o640


def test_a_link_remains_a_link_and_its_target_keeps_its_permissions(tmp_path):
    (tmp_path / "to").mkdir()
    inner = tmp_path / "to" / "model"
    inner.touch()
    inner.chmod(0o600)
    (tmp_path / "link").symlink_to(inner)
    write(tmp_path / "link")
    assert (tmp_path / "link").is_symlink()
    assert (mode(inner), inner.read_bytes()) == (0o600, b"new")
    assert names(tmp_path / "to") == ["model"]


@pytest.mark.parametrize("name", ["a" * 255, "a" * 250 + ".npy", "ä" * 127, "a" + "字" * 84])
def test_names_may_be_as_long_as_the_file_system_allows(tmp_path, name):
    check_output_path(tmp_path / name)
    write(tmp_path / name)
    assert names(tmp_path) == [name]
    with atomic_write(tmp_path / name):
        (part,) = set(names(tmp_path)) - {name}
    abandoned(tmp_path, part)
    write(tmp_path / name)
    assert names(tmp_path) == [name]


@pytest.mark.parametrize("name", ["a" * 256, "字" * 86])
def test_longer_names_are_refused(tmp_path, name):
    with pytest.raises(InputError) as caught:
        check_output_path(tmp_path / name)
    assert str(caught.value) == (
        f"{tmp_path / name}: the file name has {len(name.encode())} bytes, but {tmp_path} "
        "allows at most 255; choose a shorter name."
    )


def test_paths_that_cannot_be_written_are_refused_with_a_reason(tmp_path):
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    os.mkfifo(tmp_path / "pipe")
    for path, reason in {
        tmp_path / "loop" / "model": "there is no folder",
        tmp_path / "pipe": "this is a device or a pipe; name a file.",
        Path(os.devnull): "this is a device or a pipe; name a file.",
        tmp_path / "a\0b": "a file name cannot contain a zero byte",
        Path(tmp_path, *["folder"] * 1000, "model"): "cannot be written: File name too long.",
        tmp_path / ("a" * 300) / "model": "cannot be written: File name too long.",
    }.items():
        with pytest.raises(InputError) as caught:
            check_output_path(path)
        assert reason in str(caught.value)
    with pytest.raises(InputError, match=r"loop: cannot be written: Too many levels of symb"):
        write(tmp_path / "loop")


def test_another_error_is_not_converted_and_no_file_remains(tmp_path):
    (tmp_path / "model").write_bytes(b"before")
    with pytest.raises(TypeError):
        write(tmp_path / "model", "no bytes")
    assert (names(tmp_path), (tmp_path / "model").read_bytes()) == (["model"], b"before")


def writers(tmp_path):
    X = np.sin(np.arange(12) / 2.1 + np.arange(20)[:, None])
    model = unspool.LSTMAutoencoder(8, epochs=1, random_state=0, verbose=0).fit(X)
    history, table = TrainingHistoryDisplay.from_estimator(model), {"n": np.arange(9000) / 7}
    return {
        "a.unspool": model.save,
        "a.onnx": lambda path: export_onnx(model, path),
        "a.csv": lambda path: write_table(table, path),
        "a.parquet": lambda path: write_table(table, path),
        "a.npy": lambda path: write_table(table, path),
        "a.png": lambda path: save_picture(history, path),
        "a.svg": lambda path: save_picture(history, path),
    }


@pytest.mark.filterwarnings("ignore::unspool.errors.NoBetterThanMeanWarning")
def test_every_writer_names_its_file_if_the_disk_is_full(tmp_path):
    for name, writer in writers(tmp_path).items():
        path = tmp_path / name
        path.write_bytes(b"before")
        with full_disk(), pytest.raises(InputError) as caught:
            writer(path)
        assert str(caught.value) == f"{path}: {FULL}"
        assert (names(tmp_path), path.read_bytes()) == ([name], b"before")
        path.unlink()


@pytest.mark.filterwarnings("ignore::unspool.errors.NoBetterThanMeanWarning")
def test_the_command_line_names_its_file_if_the_disk_is_full(run, tmp_path):
    model = tmp_path / "a.unspool"
    writers(tmp_path)["a.unspool"](model)
    np.save(tmp_path / "X.npy", np.ones((9, 12)))
    for command in (
        [
            "fit",
            tmp_path / "X.npy",
            "--latent-dim",
            30,
            "--epochs",
            1,
            "-o",
            tmp_path / "b.unspool",
        ],
        ["plot", "history", model, "-o", tmp_path / "b.png"],
        ["export", model, "-o", tmp_path / "b.onnx"],
    ):
        before = names(tmp_path)
        with full_disk():
            done = run(*command)
        assert done.code == 1
        assert done.err.endswith(f"unspool: {command[-1]}: {FULL}\n")
        assert names(tmp_path) == before


def test_a_name_that_cannot_be_encoded_is_refused(tmp_path):
    with pytest.raises(InputError, match="this system cannot encode the name"):
        check_output_path(tmp_path / "\ud800.unspool")


def test_a_path_that_is_too_long_is_not_a_model_file():
    for path in ("x" * 300, "/".join(["x" * 200] * 30)):
        with pytest.raises(ModelFileError, match="File name too long"):
            model_file.read(path)


@pytest.mark.skipif(os.name != "posix", reason="folders cannot be opened")
def test_file_and_folder_are_on_the_disk_before_a_write_ends(tmp_path, monkeypatch):
    synced, real = [], os.fsync

    def fsync(descriptor):
        synced.append((stat.S_ISDIR(os.fstat(descriptor).st_mode), names(tmp_path)))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    write(tmp_path / "file")
    (of_file, before), (of_folder, after) = synced
    assert (of_file, of_folder) == (False, True)
    assert before != after == ["file"]


def test_a_folder_that_cannot_be_synced_is_no_error(tmp_path, monkeypatch):
    real = os.fsync

    def fsync(descriptor):
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    write(tmp_path / "file")
    assert names(tmp_path) == ["file"]
