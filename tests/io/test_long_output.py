"""Long outputs: written in parts, continued after any interruption, equal to a short output."""

import io
import os
from contextlib import closing
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from tests.full_disk import FULL, full_disk
from unspool.errors import InputError
from unspool.io import long_output, write
from unspool.io.long_output import Rows, write_long
from unspool.io.parts import Parts
from unspool.io.write import header_of, write_table

N = 40
ENDINGS = ("csv", "parquet", "npy")


class Killed(BaseException):
    """The end of a process at some moment."""


def columns(start, stop):
    rows = np.arange(start, stop)
    return {
        "id": np.array([f"series {row // 10}" for row in rows]),
        "two\nlines": rows * 3,
        "x": (rows / 7).astype(np.float32),
    }


def array(start, stop):
    return np.arange(start, stop)[:, None, None] * np.ones((1, 2, 3), np.float32)


def make(position, state, step=3, log=None):
    total = state or 0
    for start in range(position, N, step):
        stop = min(start + step, N)
        total += sum(range(start, stop))
        if log is not None:
            log.append(start)
        yield Rows(stop, columns(start, stop), array(start, stop), total)
    assert total == sum(range(N))  # the state continues


def written(path, say=print, identity=None, **named):
    given = {"model": "m"} if identity is None else identity
    write_long(path, named.pop("make", make), identity=lambda: given, say=say, **named)


def whole(path):
    write_table(columns(0, N), path, array=array(0, N))
    return path.read_bytes()


@pytest.fixture(autouse=True)
def small_parts(monkeypatch):
    """Make parts of a few rows, and groups of Parquet of more than a part."""
    monkeypatch.setattr(long_output, "PART_BYTES", 300)
    monkeypatch.setattr(write, "GROUP_ROWS", 11)


@pytest.mark.parametrize("ending", ENDINGS)
def test_parts_are_joined_to_the_bytes_of_a_file_written_at_once(tmp_path, ending, capsys):
    expected = whole(tmp_path / f"whole.{ending}")
    path = tmp_path / f"a.{ending}"
    seen = []
    written(path, make=lambda *given: watched(make(*given), tmp_path, seen))
    assert path.read_bytes() == expected
    assert any(f".a.{ending}.parts" in names for names in seen)  # there were parts
    assert sorted(os.listdir(tmp_path)) == sorted([f"a.{ending}", f"whole.{ending}"])
    assert capsys.readouterr() == ("", "")
    if ending == "parquet":
        assert pq.ParquetFile(path).num_row_groups == 4


def watched(rows, folder, seen):
    for one in rows:
        seen.append(os.listdir(folder))
        yield one


def test_a_short_output_has_no_parts(tmp_path, monkeypatch):
    monkeypatch.setattr(long_output, "PART_BYTES", 1 << 26)
    seen = []
    written(tmp_path / "a.csv", make=lambda *given: watched(make(*given), tmp_path, seen))
    assert seen
    assert not any(seen)
    assert (tmp_path / "a.csv").read_bytes() == whole(tmp_path / "b.csv")


def test_a_slow_output_has_parts(tmp_path, monkeypatch):
    monkeypatch.setattr(long_output, "PART_BYTES", 1 << 26)
    monkeypatch.setattr(long_output, "PART_SECONDS", 0.0)
    seen = []
    written(tmp_path / "a.csv", make=lambda *given: watched(make(*given), tmp_path, seen))
    assert seen[1:] == [[".a.csv.parts"]] * (len(seen) - 1)
    assert (tmp_path / "a.csv").read_bytes() == whole(tmp_path / "b.csv")


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("place", ["before", "after"])
def test_an_output_that_is_killed_at_any_write_is_continued(tmp_path, ending, place, monkeypatch):
    expected = whole(tmp_path / f"whole.{ending}")
    real = Path.replace
    path = tmp_path / f"a.{ending}"
    moment, starts = 0, []
    while True:
        count = [0]

        def replace(source, target, count=count, moment=moment):
            count[0] += 1
            if place == "before" and count[0] == moment + 1:
                raise Killed
            real(source, target)
            if place == "after" and count[0] == moment + 1:
                raise Killed

        monkeypatch.setattr("pathlib.Path.replace", replace)
        log = []
        try:
            written(path, make=lambda *given, log=log: make(*given, log=log))
        except Killed:
            done = path.exists()
            assert not done or path.read_bytes() == expected
            monkeypatch.undo()
            monkeypatch.setattr(long_output, "PART_BYTES", 300)
            monkeypatch.setattr(write, "GROUP_ROWS", 11)
            written(path, make=lambda *given, log=log: make(*given, log=log))
            assert path.read_bytes() == expected
            assert sorted(os.listdir(tmp_path)) == sorted([path.name, f"whole.{ending}"])
            starts.append(len(log))
            path.unlink()
            moment += 1
        else:
            break
    assert moment > 8
    pieces = -(-N // 3)
    assert max(starts) <= pieces + 6  # little is computed twice
    monkeypatch.undo()


def interrupted_after(rows):
    def run(position, state):
        for one in make(position, state):
            if one.position > rows:
                raise KeyboardInterrupt
            yield one

    return run


def test_an_interrupted_output_says_that_it_can_continue(tmp_path):
    said, path = [], tmp_path / "a.csv"
    with pytest.raises(KeyboardInterrupt):
        written(path, said.append, make=interrupted_after(20))
    assert said == [f"{path}: stopped; the same command continues after 18 rows"]
    assert not path.exists()
    log = []
    written(path, said.append, make=lambda *given: make(*given, log=log))
    assert said[1:] == [f"{path}: continues after 18 rows of an earlier run"]
    assert log[0] == 18
    assert path.read_bytes() == whole(tmp_path / "b.csv")


@pytest.mark.parametrize(("seconds", "rows"), [(1000.0, 0), (0.0, 9)])
def test_long_work_of_an_interrupted_output_is_kept(tmp_path, monkeypatch, seconds, rows):
    monkeypatch.setattr(long_output, "PART_BYTES", 1 << 26)
    monkeypatch.setattr(long_output, "KEPT_SECONDS", seconds)
    path = tmp_path / "a.csv"
    with pytest.raises(KeyboardInterrupt):
        written(path, make=interrupted_after(10))
    assert position_of(path) == rows
    assert bool(os.listdir(tmp_path)) == bool(rows)


def test_rows_after_the_last_part_are_kept_at_an_interruption(tmp_path):
    path = tmp_path / "a.csv"
    with pytest.raises(KeyboardInterrupt):
        written(path, make=interrupted_after(22))
    assert position_of(path) == 21  # 18 are in parts of at least 300 bytes


def test_an_output_that_is_interrupted_at_once_leaves_nothing(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        written(tmp_path / "a.csv", make=interrupted_after(4))
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    ("now", "named"),
    [
        ({"model": "other", "data": 1}, "model is"),
        ({"model": "other", "data": 2}, "model and data are"),
        ({"model": "m", "data": 1, "options": {}}, "options is"),
    ],
)
def test_parts_of_something_else_are_discarded(tmp_path, now, named):
    path, said = tmp_path / "a.parquet", []
    with pytest.raises(KeyboardInterrupt):
        written(path, identity={"model": "m", "data": 1}, make=interrupted_after(20))
    log = []
    written(path, said.append, identity=now, make=lambda *given: make(*given, log=log))
    assert said == [f"{path}: parts of an earlier run are discarded, whose {named} other than now"]
    assert log[0] == 0
    assert path.read_bytes() == whole(tmp_path / "b.parquet")


@pytest.mark.parametrize("damage", ["shorter", "missing", "no entry", "no identity"])
def test_damaged_parts_are_computed_again(tmp_path, damage):
    path, folder = tmp_path / "a.npy", tmp_path / ".a.npy.parts"
    with pytest.raises(KeyboardInterrupt):
        written(path, make=interrupted_after(30))
    second = folder / "000001.npy"
    if damage == "shorter":
        second.write_bytes(second.read_bytes()[:-1])
    elif damage == "missing":
        second.unlink()
    elif damage == "no entry":
        (folder / "000001.json").write_text("{")
    else:
        (folder / "parts.json").unlink()
    log = []
    written(path, make=lambda *given: make(*given, log=log))
    assert 0 <= log[0] < 27
    assert (log[0] == 0) == (damage == "no identity")
    assert path.read_bytes() == whole(tmp_path / "b.npy")


def test_parts_after_a_damaged_one_are_not_mixed_with_new_parts(tmp_path, monkeypatch):
    path, folder = tmp_path / "a.npy", tmp_path / ".a.npy.parts"
    with pytest.raises(KeyboardInterrupt):
        written(path, make=interrupted_after(36))
    assert (folder / "000002.npy").exists()
    (folder / "000000.npy").unlink()
    monkeypatch.setattr(long_output, "PART_BYTES", 500)  # parts begin elsewhere
    with pytest.raises(KeyboardInterrupt):
        written(path, make=interrupted_after(15))
    written(path)
    assert path.read_bytes() == whole(tmp_path / "b.npy")


@pytest.mark.parametrize("ending", ENDINGS[:2])
def test_the_types_of_all_parts_together_are_those_of_the_whole(tmp_path, ending, monkeypatch):
    monkeypatch.setattr(long_output, "PART_BYTES", 1)
    values = np.array([None] * 10 + [1] * 10 + [2.5] * 20, object)

    def run(position, state):
        for start in range(position, N, 5):
            rows = slice(start, start + 5)
            yield Rows(start + 5, {"x": values[rows], "y": np.zeros(5)})

    path = tmp_path / f"a.{ending}"
    written(path, make=run)
    write_table({"x": values, "y": np.zeros(N)}, tmp_path / f"b.{ending}")
    assert path.read_bytes() == (tmp_path / f"b.{ending}").read_bytes()


def test_what_is_left_of_a_killed_join_is_removed(tmp_path):
    path = tmp_path / "a.csv"
    with pytest.raises(KeyboardInterrupt):
        written(path, make=interrupted_after(20))
    (tmp_path / ".a.csv.0123456789abcdef.part").write_text("half of the rows")
    written(path)
    assert os.listdir(tmp_path) == ["a.csv"]


def test_a_file_of_the_user_in_the_folder_of_parts_is_kept(tmp_path):
    path, folder = tmp_path / "a.csv", tmp_path / ".a.csv.parts"
    folder.mkdir()
    (folder / "notes.txt").write_text("mine")
    written(path)
    assert os.listdir(folder) == ["notes.txt"]
    assert path.read_bytes() == whole(tmp_path / "b.csv")


def test_two_processes_do_not_write_the_same_output(tmp_path):
    path = tmp_path / "a.csv"
    with closing(Parts(path, lambda: {"model": "m"}, print)) as first:
        first.add(columns(0, 5), None, 5)
        with pytest.raises(InputError) as raised:
            written(path)
    assert str(raised.value) == (
        f"{path}: another process is writing this file; wait for it, or choose another file."
    )
    assert position_of(path) == 5


def position_of(path):
    with closing(Parts(path, lambda: {"model": "m"}, print)) as parts:
        return parts.position


def test_a_full_disk_keeps_the_parts(tmp_path, monkeypatch):
    path = tmp_path / "a.npy"

    def growing(position, state):
        for start in range(position, 60, 20):
            size = 20 if start < 40 else 2000
            part = np.ones((20, size), np.float32)
            yield Rows(start + 20, {"x": np.zeros(20), "y": part.repeat(10)[:20]}, part)

    monkeypatch.setattr(long_output, "PART_BYTES", 100)
    with full_disk(), pytest.raises(InputError) as raised:
        written(path, make=growing)
    assert str(raised.value) == (
        f"{path}: {FULL} The rows so far are kept; the same command continues after them."
    )
    assert os.listdir(tmp_path) == [".a.npy.parts"]
    assert position_of(path) == 40


def test_a_first_part_that_cannot_be_written_leaves_nothing(tmp_path):
    def large(position, state):
        yield Rows(20, {"x": np.random.default_rng(0).normal(size=5000)})

    path = tmp_path / "a.csv"
    with full_disk(), pytest.raises(InputError) as raised:
        written(path, make=large)
    assert str(raised.value) == f"{path}: {FULL}"
    assert os.listdir(tmp_path) == []


def test_what_parts_are_made_of_may_not_fit_on_the_disk_either(tmp_path):
    path = tmp_path / "a.csv"
    with full_disk(), pytest.raises(InputError) as raised:
        written(path, identity={"data": ["a file"] * 10_000})
    assert str(raised.value) == f"{path}: {FULL}"
    assert os.listdir(tmp_path) == []


def test_columns_that_cannot_be_written_are_reported_as_for_a_short_output(tmp_path):
    def texts(position, state):
        yield Rows(99, {"x": np.array(["a"] * 99)})

    with pytest.raises(InputError) as raised:
        written(tmp_path / "a.npy", make=texts)
    assert str(raised.value) == (
        "A .npy file contains numbers, but no column is numeric; write .csv."
    )
    assert os.listdir(tmp_path) == []


def test_rows_are_printed_piece_by_piece(capsys):
    prints = []

    def run(position, state):
        for one in make(position, state):
            yield one
            prints.append(capsys.readouterr().out)

    write_long(None, run, identity=dict, say=print)
    text = "".join([*prints, capsys.readouterr().out])
    write_table(columns(0, N), None)
    assert text == capsys.readouterr().out
    assert sum(map(bool, prints)) > 3


def test_rows_in_another_order_are_written_in_that_order(tmp_path):
    order = np.random.default_rng(0).permutation(N)
    found = columns(0, N)
    write_table(
        {name: one[order] for name, one in found.items()},
        tmp_path / "whole.npy",
        array=array(0, N)[order],
    )
    written(tmp_path / "a.npy", order=order)
    assert (tmp_path / "a.npy").read_bytes() == (tmp_path / "whole.npy").read_bytes()
    twice = np.repeat(order, 2) * 2 + np.tile([0, 1], N)
    half = {name: one.repeat(2) for name, one in found.items()}
    rows = Rows(N, half, array(0, N))
    written(tmp_path / "b.csv", order=order, rows_each=2, make=lambda *given: iter([rows]))
    write_table({name: one[twice] for name, one in half.items()}, tmp_path / "c.csv")
    assert (tmp_path / "b.csv").read_bytes() == (tmp_path / "c.csv").read_bytes()


@pytest.mark.parametrize("names", [["a"], ["a\nb", "c"], ['a"\n"b', "c\n"]])
def test_the_header_of_a_file_ends_after_all_names(names):
    file = io.BytesIO(write.csv_text(dict.fromkeys(names, np.array([1, 2])), header=True).encode())
    size = header_of(file)
    rest = "".join(f"{','.join([row] * len(names))}\n" for row in "12")
    assert file.getvalue()[size:] == rest.encode()
