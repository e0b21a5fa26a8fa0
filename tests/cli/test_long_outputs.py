"""Commands write long outputs in parts, equal to short ones, and continue what was interrupted."""

import os
import re
from io import StringIO

import numpy as np
import pytest

from tests.cli.tables import write_csv
from unspool.cli import long_outputs
from unspool.estimators import batch_runner
from unspool.io import long_output

STEPS = {"a": 41, "b": 14, "c": 30}


@pytest.fixture
def in_parts(monkeypatch):
    """Return a function that makes batches, pieces and parts small."""

    def start():
        monkeypatch.setattr(batch_runner, "INFERENCE_STEPS", 24)
        monkeypatch.setattr(batch_runner, "PIECE_BATCHES", 2)
        monkeypatch.setattr(batch_runner, "SORTED_BATCHES", 2)
        monkeypatch.setattr(long_output, "PART_BYTES", 400)

    return start


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("long")


@pytest.fixture(scope="module")
def machines(folder):
    """Three series of two features, one after another, with gaps and missing values."""
    rng = np.random.default_rng(0)
    rows = []
    for name, n in STEPS.items():
        walk = rng.normal(size=(n, 2)).cumsum(0)
        for i in range(n):
            minute = i + (i > 20) * 500
            row = [name, f"2024-01-01 {minute // 60:02}:{minute % 60:02}", *walk[i], i % 7 == 0]
            if rng.random() < 0.05:
                row[2] = ""
            rows.append(row)
    names = ["id", "time", "x", "two,parts", "label"]
    columns = dict(zip(names, zip(*rows, strict=True), strict=True))
    return write_csv(folder / "machines.csv", columns)


@pytest.fixture(scope="module")
def interleaved(machines, folder):
    lines = machines.read_text().splitlines(keepends=True)
    order = np.random.default_rng(0).permutation(len(lines) - 1) + 1
    # The rows of each series stay in order.
    by_series = sorted(order, key=lambda row: (row * 37) % 11)
    kept = sorted(by_series, key=lambda row: lines[row].split(",")[1])
    path = folder / "interleaved.csv"
    path.write_text("".join([lines[0], *(lines[row] for row in kept)]))
    return path


@pytest.fixture(scope="module")
def whole_sequences(folder):
    """Sequences of 1 to 30 steps."""
    rng = np.random.default_rng(1)
    lengths = rng.integers(1, 30, 40)
    values = rng.normal(size=(40, lengths.max(), 2)).cumsum(1)
    path = folder / "sequences.npz"
    np.savez(path, X=values, lengths=lengths, y=np.arange(40) % 3)
    return path


@pytest.fixture(scope="module")
def batches(folder):
    """Sequences of 4 to 9 steps in a table, each with an id."""
    rng = np.random.default_rng(2)
    rows = np.repeat(np.arange(40), rng.integers(4, 10, 40))
    a, b = rng.normal(size=(2, len(rows)))
    return write_csv(folder / "batches.csv", {"id": [f"b{i}" for i in rows], "a": a, "b": b})


@pytest.fixture(scope="module")
def ahead(folder):
    """A feature of the two steps after each of these sequences, which are in another order."""
    ids = [f"b{i}" for i in reversed(range(40)) for _ in range(2)]
    return write_csv(
        folder / "ahead.csv", {"id": ids, "a": np.random.default_rng(3).normal(size=80)}
    )


@pytest.fixture(scope="module")
def models(machines, whole_sequences, batches, folder):
    """Models of windows, of windows that are forecast, and of sequences."""
    from unspool.cli import main

    windows = ["--window", 8, "--on-missing", "mask"]
    known = ["--kind", "forecaster", "--horizon", 2, "--known", "a", "--targets", "b"]
    known += ["--set", "validation_split=0"]  # otherwise the linear forecast alone is kept
    fits = {
        "windows": [machines, *windows, "--stride", 3],
        "forecaster": [machines, *windows, "--kind", "forecaster", "--horizon", 2],
        "composite": [machines, *windows, "--horizon", 2],
        "sequences": [whole_sequences],
        "known": [batches, *known],
    }
    for name, given in fits.items():
        arguments = ["fit", *given, "-o", folder / name, "-q", "--epochs", 1, "--seed", 0]
        with pytest.raises(SystemExit) as ended:
            main([str(one) for one in arguments])
        assert not ended.value.code
    return {name: folder / name for name in fits}


CALLS = {
    "encode windows": ("encode", "windows", "machines", []),
    "encode windows, one dropped column": ("encode", "windows", "machines", ["--features"]),
    "encode interleaved windows": ("encode", "windows", "interleaved", []),
    "encode sequences": ("encode", "sequences", "whole_sequences", []),
    "reconstruct windows": ("reconstruct", "windows", "machines", []),
    "impute windows": ("reconstruct", "windows", "machines", ["--impute"]),
    "reconstruct windows with leaps": (
        "reconstruct",
        "windows",
        "machines",
        ["--stride", "2", "--dilation", "2", "--keep-short"],
    ),
    "reconstruct interleaved windows": ("reconstruct", "windows", "interleaved", []),
    "reconstruct sequences": ("reconstruct", "sequences", "whole_sequences", []),
    "score windows": ("score", "windows", "machines", []),
    "score features of windows": ("score", "windows", "machines", ["--per-feature"]),
    "score interleaved windows": ("score", "windows", "interleaved", []),
    "score sequences": ("score", "sequences", "whole_sequences", ["--per-feature"]),
    "score forecasts": ("score", "forecaster", "machines", ["--per-feature"]),
    "score composite": ("score", "composite", "machines", []),
    "forecast series": ("forecast", "composite", "machines", []),
    "forecast after every window": ("forecast", "forecaster", "machines", ["--every"]),
    "forecast interleaved": ("forecast", "forecaster", "interleaved", ["--every"]),
    "forecast with known features": ("forecast", "known", "batches", ["--future"]),
}


@pytest.fixture
def call(run, models, request):
    def do(name, output):
        command, model, data, options = CALLS[name]
        data = request.getfixturevalue(data)
        if options == ["--future"]:
            options = [*options, request.getfixturevalue("ahead")]
        return run(command, models[model], data, "-o", output, *options)

    return do


@pytest.mark.parametrize("name", CALLS)
def test_an_output_in_parts_has_the_bytes_of_one_that_is_written_at_once(
    call, name, tmp_path, in_parts, monkeypatch
):
    endings = ("csv", "parquet", "npy")
    for ending in endings:
        done = call(name, tmp_path / f"whole.{ending}")
        assert done.code == 0, done.err
    printed = call(name, "-")
    in_parts()
    counts = []
    monkeypatch.setattr(
        long_outputs._Progress, "_update", lambda self, position: counts.append(position)
    )
    for ending in endings:
        counts.clear()
        again = call(name, tmp_path / f"parts.{ending}")
        assert again.code == 0
        assert again.err == done.err
        expected = (tmp_path / f"whole.{ending}").read_bytes()
        assert (tmp_path / f"parts.{ending}").read_bytes() == expected
    assert len(counts) > 1 or name == "forecast series"
    assert counts == sorted(counts)
    assert call(name, "-").out == printed.out
    assert not [one for one in os.listdir(tmp_path) if one.startswith(".")]


@pytest.mark.parametrize(
    "name",
    [
        "encode windows",
        "impute windows",
        "score features of windows",
        "score forecasts",
        "forecast after every window",
    ],
)
def test_data_that_are_read_in_pieces_give_the_same_output(
    run, models, machines, name, tmp_path, in_parts
):
    import pyarrow.csv
    import pyarrow.parquet

    data = tmp_path / "machines.parquet"
    pyarrow.parquet.write_table(pyarrow.csv.read_csv(machines), data, row_group_size=13)
    command, model, _, options = CALLS[name]
    for stream in (False, True):
        if stream:
            in_parts()
        path, how = tmp_path / f"{stream}.csv", "--stream" if stream else "--no-stream"
        done = run(command, models[model], data, "-o", path, *options, how)
        assert done.code == 0, done.err
    assert "values are read in pieces" in done.err
    assert (tmp_path / "True.csv").read_bytes() == (tmp_path / "False.csv").read_bytes()


@pytest.mark.parametrize(
    ("name", "ending"),
    [
        ("encode windows", "csv"),
        ("reconstruct windows with leaps", "csv"),
        ("impute windows", "parquet"),
        ("score features of windows", "npy"),
        ("score sequences", "csv"),
        ("score forecasts", "parquet"),
        ("reconstruct sequences", "npy"),
        ("forecast after every window", "parquet"),
    ],
)
def test_a_command_that_was_interrupted_continues(
    call, name, ending, tmp_path, in_parts, monkeypatch
):
    in_parts()
    done = call(name, tmp_path / f"whole.{ending}")
    computed = counted(monkeypatch)
    call(name, tmp_path / f"counted.{ending}")
    total = len(computed)
    assert total > 2
    continued = []
    for after in sorted({1, total // 2, total - 1}):
        path = tmp_path / f"{after}.{ending}"
        computed.clear()
        computed.limit = after
        stopped = call(name, path)
        assert stopped.code == 130
        assert not path.exists()
        computed.clear()
        computed.limit = None
        again = call(name, path)
        assert again.code == 0
        assert path.read_bytes() == (tmp_path / f"whole.{ending}").read_bytes()
        assert scores_in(again.err) == scores_in(done.err)
        continued.append("rows of an earlier run" in again.err)
        assert continued[-1] == ("the same command continues after" in stopped.err)
    assert continued[-1]
    assert len(computed) < total


def scores_in(text):
    return [line for line in text.splitlines() if "skill score" in line or "mean squared" in line]


class Counted(list):
    """The batches that were computed; after `limit` of them, Ctrl-C."""

    limit = None


def counted(monkeypatch):
    computed, real = Counted(), batch_runner.BatchRunner.outputs

    def outputs(self, *given, **named):
        if computed.limit is not None and len(computed) >= computed.limit:
            raise KeyboardInterrupt
        computed.append(1)
        yield from real(self, *given, **named)

    monkeypatch.setattr(batch_runner.BatchRunner, "outputs", outputs)
    return computed


def test_parts_of_another_model_data_or_options_are_discarded(
    run, models, machines, tmp_path, in_parts, monkeypatch
):
    in_parts()
    data, model, path = tmp_path / "data.csv", tmp_path / "model", tmp_path / "codes.csv"
    data.write_bytes(machines.read_bytes())
    model.write_bytes(models["windows"].read_bytes())
    computed = counted(monkeypatch)

    def stop(*options):
        computed.clear()
        computed.limit = 3
        stopped = run("encode", model, data, "-o", path, *options)
        assert stopped.code == 130
        assert "stopped; the same command continues after" in stopped.err
        computed.limit = None

    stop()
    os.utime(data, ns=(1, 1))
    assert "whose data is other than now" in run("encode", model, data, "-o", path).err
    stop()
    model.write_bytes(models["composite"].read_bytes())
    assert "whose model is other than now" in run("encode", model, data, "-o", path).err
    stop()
    done = run("encode", model, data, "-o", path, "--features")
    assert "whose options is other than now" in done.err
    stop("--stride", 2)
    done = run("encode", model, data, "-o", path, "--stride", 2)
    assert "rows of an earlier run" in done.err
    stop("--stride", 2)
    assert "whose options is other than now" in run("encode", model, data, "-o", path).err
    stop()
    with monkeypatch.context() as patch:
        patch.setattr("unspool.__version__", "0.0")
        assert "whose version is other than now" in run("encode", model, data, "-o", path).err
    stop()
    done = run("reconstruct", model, data, "-o", path)
    assert "whose command and options are other than now" in done.err
    assert sorted(os.listdir(tmp_path)) == ["codes.csv", "data.csv", "model"]


def test_parts_with_other_known_features_or_windows_are_discarded(
    run, models, batches, machines, ahead, tmp_path, in_parts, monkeypatch
):
    in_parts()
    future, path, computed = tmp_path / "ahead.csv", tmp_path / "out.csv", counted(monkeypatch)
    future.write_bytes(ahead.read_bytes())

    def continued(change, *call):
        """Return what a command says that is continued after a change of its arguments."""
        computed.clear()
        assert run(*call).code == 0
        computed.limit = len(computed) - 1
        computed.clear()
        assert run(*call).code == 130
        computed.limit = None
        return run(*change(call)).err

    known = ["forecast", models["known"], batches, "-o", path, "--future", future]
    assert "rows of an earlier run" in continued(lambda call: call, *known)
    touched = continued(lambda call: os.utime(future, ns=(1, 1)) or call, *known)
    assert "whose options is other than now" in touched
    every = ["forecast", models["forecaster"], machines, "-o", path, "--every"]
    assert "whose options is other than now" in continued(lambda call: call[:-1], *every)


def test_data_that_change_in_place_are_other_data_even_with_their_old_time(
    run, models, machines, tmp_path, in_parts, monkeypatch
):
    in_parts()
    data, path = tmp_path / "data.csv", tmp_path / "codes.csv"
    text = machines.read_text()
    data.write_text(text)
    before = data.stat()
    computed = counted(monkeypatch)
    computed.limit = 3
    assert run("encode", models["windows"], data, "-o", path).code == 130
    data.write_text(text.replace("0.1", "0.2"))
    os.utime(data, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert data.stat().st_size == before.st_size
    computed.limit = None
    done = run("encode", models["windows"], data, "-o", path)
    assert "whose data is other than now" in done.err


def test_parts_are_of_the_data_before_a_change_during_the_computation(
    run, models, machines, tmp_path, in_parts, monkeypatch
):
    in_parts()
    data, path = tmp_path / "data.csv", tmp_path / "codes.csv"
    data.write_bytes(machines.read_bytes())
    computed = counted(monkeypatch)
    computed.limit = 3
    real = long_outputs.write_long

    def write_long(*given, **named):
        with data.open("a") as file:  # what a logger does
            file.write("c,2024-01-02 00:00,1,1,True\n")
        real(*given, **named)

    with monkeypatch.context() as patch:
        patch.setattr(long_outputs, "write_long", write_long)
        assert run("encode", models["windows"], data, "-o", path).code == 130
    computed.limit = None
    done = run("encode", models["windows"], data, "-o", path)
    assert "whose data is other than now" in done.err


def test_an_interrupted_command_on_standard_input_continues(
    run, models, machines, tmp_path, in_parts, monkeypatch
):
    from unspool.cli import stdin

    in_parts()
    computed, path = counted(monkeypatch), tmp_path / "codes.csv"
    monkeypatch.setattr(stdin, "_copied", lambda _: machines)
    computed.limit = 3
    assert run("encode", models["windows"], "-", "-o", path).code == 130
    computed.limit = None
    assert "rows of an earlier run" in run("encode", models["windows"], "-", "-o", path).err


def test_progress_is_shown_after_a_moment_in_a_terminal(
    run, models, machines, tmp_path, in_parts, monkeypatch
):
    from rich.console import Console

    in_parts()
    shown = []
    monkeypatch.setattr(long_outputs, "SHOWN_AFTER", 0.0)
    monkeypatch.setattr(Console, "is_terminal", property(lambda self: True))
    real = long_outputs._Progress._new_bar

    def new_bar(self):
        shown.append(real(self))
        return shown[-1]

    monkeypatch.setattr(long_outputs._Progress, "_new_bar", new_bar)
    done = run("encode", models["windows"], machines, "-o", tmp_path / "codes.csv")
    assert done.code == 0
    text = StringIO()
    Console(file=text, width=100).print(*shown)
    plain = re.sub(r"\x1b\[[0-9;]*m", "", text.getvalue()).strip()
    n = re.search(r"Windows\((\d+) windows", done.err)[1]
    assert re.fullmatch(rf"{n} of {n} windows ━+ [\d,]+ windows/s 0:00:00 left", plain)
