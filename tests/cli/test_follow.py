"""`unspool detect --follow`: a score for each line of stdin or of a growing file."""

import io
import os
import signal
import sys

import numpy as np
import pytest

import unspool
from tests.cli.tables import read_csv
from unspool.cli import followed_file
from unspool.cli.followed_file import InterruptBetweenLines
from unspool.io.files import read_file
from unspool.runtime import load_detector


@pytest.fixture
def log(machine, tmp_path):
    """The machine's log without labels, 40 lines and a header."""
    path = tmp_path / "log.csv"
    lines = [line.rpartition(",")[0] for line in machine.read_text().splitlines()]
    path.write_text("\n".join(lines[:41]) + "\n")
    return path


@pytest.fixture
def pauses(monkeypatch):
    """Actions that happen, in turn, when a file has no more lines; then Ctrl-C."""
    actions = []

    def pause(seconds):
        if not actions:
            raise KeyboardInterrupt
        actions.pop(0)()

    monkeypatch.setattr(followed_file.time, "sleep", pause)
    return actions


def batch(detector, log):
    values = np.asarray(read_file(log, window=1).source.series[0])
    return load_detector(detector).detect(values, "trailing")


def columns(table):
    return [np.array(table[name], float) for name in ("score", "threshold", "alarm")]


def test_each_line_has_the_score_and_threshold_of_the_whole_series(follow, detector, log):
    done = follow(log.read_text())
    assert (done.code, done.err) == (0, "")
    assert list(done.table) == ["time", "score", "threshold", "alarm"]
    assert done.table["time"] == read_csv(log.read_text())["time"]
    expected = batch(detector, log)
    score, threshold, alarm = columns(done.table)
    np.testing.assert_allclose(score, expected.scores, rtol=1e-5)
    np.testing.assert_allclose(threshold, expected.thresholds, rtol=1e-5)
    np.testing.assert_array_equal(alarm, score > threshold)


def test_a_line_that_cannot_be_read_is_reported_and_has_no_score(follow, log):
    lines = log.read_text().splitlines()
    bad = ["2024-01-01 00:09:30,1", "2024-01-01 00:09:40,,3", "2024-01-01 00:09:50,1,off", "1",
           "2024-01-01 00:09:55,1,inf", "2024-01-01 00:09:56,1,2,3", "\xff,\xfe,1"]  # fmt: skip
    text = "\n".join(lines[:11] + bad + lines[11:]) + "\n"
    done = follow(text.encode("latin-1"))
    assert done.code == 0
    messages = done.err.splitlines()
    reasons = [
        "Expected 3 fields, got 2.",
        "Column 'flow' is empty.",
        "Expected a number in column 'heat', got 'off'.",
        "got 1.",
        "inf",
        "got 4.",
        "column 'flow'",
    ]
    assert len(messages) == len(bad)
    for number, (line, reason) in enumerate(zip(messages, reasons, strict=True), 12):
        assert line.startswith(f"stdin, line {number}: ")
        assert reason in line
    assert len(done.table["score"]) == 40 + len(bad)
    assert done.table["score"][10:17] == done.table["alarm"][10:17] == [""] * 7
    assert done.table["time"][10] == "2024-01-01 00:09:30"
    alone = follow(log.read_text()).table
    assert done.table["score"][17:] == alone["score"][10:]
    assert done.table["threshold"][17:] == alone["threshold"][10:]


def test_empty_lines_are_skipped(follow, log):
    lines = log.read_text().splitlines()
    done = follow("\n".join([*lines[:11], "", "  ", *lines[11:], "", ""]))
    assert (done.code, done.err) == (0, "")
    assert done.table == follow(log.read_text()).table
    message = follow("\n".join([*lines[:11], "", "1,2"])).err
    assert message.startswith("stdin, line 13: ")


@pytest.mark.parametrize(
    "form", ["order", "semicolons", "tabs", "no header", "no header, no time", "windows", "named"]
)
def test_lines_are_read_in_many_formats(follow, log, form):
    expected = follow(log.read_text()).table
    rows = [line.split(",") for line in log.read_text().splitlines()]
    options = []
    if form == "order":
        rows = [["x", heat, flow, "when"] if i == 0 else ["9", heat, flow, time]
                for i, (time, flow, heat) in enumerate(rows)]  # fmt: skip
        text = "\n".join(map(",".join, rows))
    elif form == "semicolons":
        text = "\n".join(";".join(row).replace(".", ",") for row in rows)
    elif form == "tabs":
        text = "\n".join(map("\t".join, rows))
    elif form == "no header":
        text = "\n".join(map(",".join, rows[1:]))
    elif form == "no header, no time":
        text = "\n".join(",".join(row[1:]) for row in rows[1:])
    elif form == "windows":
        text = "\ufeff" + "\r\n".join(f"{flow},{heat},{time}" for time, flow, heat in rows)
    else:
        rows[0] = ["heat", "a", "b"]  # the time has the name of a feature
        text, options = "\n".join(map(",".join, rows)), ["--columns", "a,b", "--time", "heat"]
    done = follow(text, *options)
    assert (done.code, done.err) == (0, "")
    assert done.table["score"] == expected["score"]
    if form == "no header, no time":
        assert done.table["step"] == [str(i) for i in range(40)]
    else:
        assert done.table["time"] == expected["time"]


def test_lines_are_read_with_the_separator_decimal_point_and_header_of_the_options(follow, log):
    expected = follow(log.read_text()).table
    lines = log.read_text().splitlines()
    text = "\n".join(line.replace(",", "|").replace(".", ",") for line in lines[1:])
    done = follow(text, "--delimiter", "|", "--decimal", ",", "--header", 0)
    assert (done.code, done.err) == (0, "")
    assert done.table["score"] == expected["score"]
    done = follow("\n".join(["1,2,3", *lines[1:]]), "--header", 1, "--columns", "2,3")
    assert done.table["score"] == expected["score"]


def test_missing_and_repeated_columns_are_refused(follow, log):
    text = log.read_text()
    done = follow(text.replace("heat", "hat"))
    assert (done.code, done.out) == (1, "")
    assert "stdin: there is no column heat, which the detector reads" in done.err
    assert "the columns are time, flow, hat" in done.err
    assert "--time: unknown column 'tim'" in follow(text, "--time", "tim").err
    assert "the detector has 2 features, got 1" in follow(text, "--columns", "flow").err
    doubled = follow(text.replace("time,flow,heat", "flow,flow,heat"))
    assert (doubled.code, doubled.out) == (1, "")
    assert "stdin: 2 columns have the name 'flow'" in doubled.err
    swapped = follow(text, "--columns", "heat,flow")
    assert (swapped.code, swapped.out) == (1, "")
    assert "features flow, heat, in this order, got heat, flow" in swapped.err
    assert "reads 2 features" in follow("1,2,3,4,5\n").err


def test_a_detector_is_trained_on_normal_data_first(run, machine, log, tiny, tmp_path, monkeypatch):
    saved = tmp_path / "saved.unspool"
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(log.read_bytes())))
    done = run("detect", "-", "--follow", "--normal", machine, *tiny, "--save", saved)
    assert done.code == 0, done.err
    detector = unspool.load(saved)
    assert detector.kind == "trailing"
    expected = batch(saved, log).scores
    np.testing.assert_allclose(columns(read_csv(done.out))[0], expected, rtol=1e-5)


def test_lines_that_are_appended_to_a_file_are_scored(run, detector, log, pauses):
    whole = log.read_text()
    lines = whole.splitlines(keepends=True)
    log.write_text("".join(lines[:20]) + lines[20][:25])

    def append(text):
        with log.open("a") as file:
            file.write(text)

    pauses += [lambda: None, lambda: append(lines[20][25:]), lambda: append("".join(lines[21:]))]
    done = run("detect", log, "--follow", "--model", detector)
    assert (done.code, done.err) == (0, "")
    table = read_csv(done.out)
    np.testing.assert_allclose(columns(table)[0], batch(detector, log).scores, rtol=1e-5)


def test_output_is_flushed_after_every_line(run, detector, log, pauses, monkeypatch):
    written, seen = io.BytesIO(), []
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written))  # keeps what is not flushed

    def count_lines_and_append():
        seen.append(written.getvalue().count(b"\n"))
        with log.open("a") as file:
            file.write("2024-01-01 00:40:00,1,50\n")

    pauses += [count_lines_and_append] * 2
    run("detect", log, "--follow", "--model", detector)
    assert seen == [41, 42]


@pytest.mark.parametrize("what", ["truncated", "replaced", "removed"])
def test_a_file_that_was_replaced_ends_the_run(run, detector, log, pauses, tmp_path, what):
    size = log.stat().st_size

    def change():
        if what == "truncated":
            log.write_text("time,flow,heat\n")
        elif what == "removed":
            log.unlink()
        else:
            other = tmp_path / "other.csv"
            other.write_text(log.read_text() * 2)
            other.replace(log)

    pauses.append(change)
    done = run("detect", log, "--follow", "--model", detector, "--state", tmp_path / "state.npz")
    assert done.code == 1
    happened = {
        "truncated": f"truncated, from {size:,} bytes to 15",
        "replaced": "replaced by another file",
        "removed": "removed",
    }
    assert done.err.endswith(
        f"{log}: the file was {happened[what]} while it was followed; start again to follow the "
        "current file.\n"
    )
    assert len(read_csv(done.out)["score"]) == 40
    assert (tmp_path / "state.npz").exists()


def test_a_run_continues_from_the_state_of_an_earlier_run(follow, log, tmp_path):
    whole = follow(log.read_text())
    lines = log.read_text().splitlines(keepends=True)
    state = tmp_path / "state.npz"
    one = follow("".join(lines[:19]), "--state", state)
    two = follow("".join(lines[:1] + lines[19:]), "--state", state)
    assert (one.code, two.code) == (0, 0)
    for name in whole.table:
        assert one.table[name] + two.table[name] == whole.table[name]


def test_steps_are_numbered_over_all_runs(follow, log, tmp_path):
    rows = [line.partition(",")[2] for line in log.read_text().splitlines()[1:]]
    state = tmp_path / "state.npz"
    follow("\n".join(rows[:7]), "--state", state)
    assert follow("\n".join(rows[7:9]), "--state", state).table["step"] == ["7", "8"]


def test_a_state_holds_the_position_in_the_file(
    run, detector, log, pauses, tmp_path, follow, monkeypatch
):
    monkeypatch.setattr(followed_file, "BEGINNING", 100)
    whole = follow(log.read_text()).table
    text = log.read_text()
    lines = text.splitlines(keepends=True)
    state = tmp_path / "state.npz"
    call = ["detect", log, "--follow", "--model", detector, "--state", state]
    log.write_text("".join(lines[:19]) + lines[19][:9])
    one = run(*call)
    log.write_text(text.replace("\n2024-01-01 00:38,", "\n2024-01-01 00:38,x"))
    two = run(*call)
    assert "log.csv: continues after line 19" in two.err
    assert "log.csv, line 40: Expected a number in column 'flow'" in two.err
    scores = read_csv(one.out)["score"] + read_csv(two.out)["score"]
    assert scores[:38] == whole["score"][:38]
    assert scores[38] == ""
    other = "time,heat,flow\n" + lines[1].replace(",", ",1").replace("\n", "0\n") * 80
    log.write_text(other)  # the next log file, longer than the first
    three = run(*call)
    assert "continues" not in three.err
    assert len(read_csv(three.out)["score"]) == 80


def test_unusable_states_are_refused(follow, log, detector, tmp_path, run, machine, tiny):
    text, state = log.read_text(), tmp_path / "state.npz"
    state.write_bytes(b"no state")
    done = follow(text, "--state", state)
    assert (done.code, "this is not a state file of --follow" in done.err) == (1, True)
    assert state.read_bytes() == b"no state"
    np.savez(state, rows=1)
    assert "this is not a state" in follow(text, "--state", state).err
    state.unlink()
    assert follow(text, "--state", state).code == 0
    other = tmp_path / "other.unspool"
    assert run("detect", machine, *tiny, "--save", other).code == 0
    done = follow(text, "--state", state, model=other)
    assert (done.code, "the state of another detector" in done.err) == (1, True)


def test_a_closed_pipe_ends_the_run_without_a_message(run, detector, log, tmp_path, monkeypatch):
    class Pipe(io.StringIO):
        def write(self, text):
            if self.getvalue().count("\n") > 5:
                raise BrokenPipeError
            return super().write(text)

    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(log.read_bytes())))
    monkeypatch.setattr(sys, "stdout", Pipe())
    state = tmp_path / "state.npz"
    done = run("detect", "-", "--follow", "--model", detector, "--state", state)
    assert (done.code, done.err) == (0, "")
    assert int(np.load(state)["stream.0.steps"]) == 6


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_waits_until_a_line_is_processed(number):
    before, done = signal.getsignal(number), []

    def read_a_line(interrupts):
        with interrupts.deferred():
            os.kill(os.getpid(), number)
            done.append("line")

    def wait():
        os.kill(os.getpid(), number)
        done.append("more")

    with InterruptBetweenLines() as interrupts, pytest.raises(KeyboardInterrupt):
        read_a_line(interrupts)
    with InterruptBetweenLines(), pytest.raises(KeyboardInterrupt):
        wait()
    assert done == ["line"]
    assert signal.getsignal(number) is before


def test_options_that_follow_does_not_have_are_refused(run, detector, log, tmp_path):
    call = ["detect", log, "--follow"]
    assert "--follow: it needs a detector" in run(*call).err.replace("'", "")
    assert run(*call).code == 2
    options = [["-o", tmp_path / "e.csv"], ["--scores", tmp_path / "s.csv"], ["--compare"],
               ["--plot", tmp_path / "p.png"], ["--normal-until", 3], ["--exit-code"],
               ["--key", "a"], ["--files", "rows"], ["--rows"]]  # fmt: skip
    for option in options:
        done = run(*call, "--model", detector, *option)
        assert done.code == 2, option
        assert f"leave out {option[0]}" in done.err
    assert run(*call, "--model", detector, "--kind", "window").code == 2
    refused = run(*call, "--model", detector, "--rate", 0.1)
    assert (refused.code, "leave out --rate" in refused.err) == (1, True)
    absent = run("detect", tmp_path / "absent.csv", "--follow", "--normal", log)
    assert (absent.code, "absent.csv: cannot be read" in absent.err) == (1, True)


def test_a_detector_of_sequences_is_refused(run, log, tiny, tmp_path):
    data, saved = tmp_path / "cycles.npy", tmp_path / "saved.unspool"
    np.save(data, np.sin(np.arange(12)[:, None] / 2 + np.arange(40)[:, None, None]))
    assert run("detect", data, *tiny[2:], "--save", saved).code == 0
    done = run("detect", log, "--follow", "--model", saved)
    assert (done.code, "was fitted on sequences and cannot score" in done.err) == (1, True)
