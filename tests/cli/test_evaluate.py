"""`unspool evaluate`: scores in a file, with labels in a column or as windows in a file."""

import json
import re

import numpy as np
import pytest

from tests.cli.tables import write_csv
from unspool import evaluation

RNG = np.random.default_rng(0)
TRUTH = np.repeat([0, 1, 0, 1, 0], [40, 10, 30, 5, 115])
SCORES = RNG.normal(size=200) + TRUTH
ALARMS = (SCORES > 1.5).astype(int)
TIMES = np.datetime64("2024-01-01T00:00:00") + np.arange(200) * np.timedelta64(10, "m")
SHOWN = [str(one) for one in TIMES]


@pytest.fixture
def scores(tmp_path):
    columns = {"time": SHOWN, "score": SCORES, "threshold": [1.5] * 200, "alarm": ALARMS}
    return write_csv(tmp_path / "scores.csv", columns)


def expected(**given):
    return evaluation.evaluate(TRUTH, SCORES, ALARMS, **{"steps_per_day": 144, **given})


@pytest.mark.parametrize("kind", ["numbers", "names", "truth", "empty"])
def test_labels_are_read_from_a_column(run, tmp_path, kind):
    labels = {
        "numbers": TRUTH,
        "names": np.where(TRUTH, "pump", "Normal"),
        "truth": np.where(TRUTH, "true", "false"),
        "empty": np.where(TRUTH, "1", ""),
    }[kind]
    columns = {"time": SHOWN, "score": SCORES, "alarm": ALARMS, "label": labels}
    done = run("evaluate", write_csv(tmp_path / "scores.csv", columns), "--gap", 3)
    assert done.code == 0, done.err
    assert done.out == f"{expected(gap=3)}\n"
    assert re.search(r"^label +label +has a usual name ", done.err, re.MULTILINE)


def test_columns_with_other_names_are_named_by_options(run, tmp_path):
    columns = {"a": SCORES, "b": ALARMS, "c": TRUTH, "text": ["x"] * 200}
    data = write_csv(tmp_path / "scores.csv", columns)
    done = run("evaluate", data, "--score", "a", "--alarm", "b", "--label", "c")
    assert done.out == f"{expected(steps_per_day=None)}\n"
    assert "per day" not in done.out
    done = run("evaluate", data, "--score", "a", "--label", "c")
    assert done.out == f"{evaluation.evaluate(TRUTH, SCORES)}\n"
    assert "only scores are evaluated" in done.err


def test_results_are_also_written_to_a_json_file(run, scores, tmp_path):
    output = tmp_path / "found.json"
    write_csv(tmp_path / "windows.csv", {"start": [SHOWN[40]], "end": [SHOWN[49]]})
    run("evaluate", scores, "--labels", tmp_path / "windows.csv", "-o", output)
    truth = TRUTH * (np.arange(200) < 60)
    found = evaluation.evaluate(truth, SCORES, ALARMS, steps_per_day=144)
    assert json.loads(output.read_text()) == found.as_dict()
    calm = write_csv(tmp_path / "calm.csv", {"score": SCORES, "alarm": ALARMS * 0, "label": TRUTH})
    run("evaluate", calm, "-o", output)
    assert json.loads(output.read_text())["precision"] is None
    refused = run("evaluate", calm, "-o", tmp_path / "found.txt")
    assert (refused.code, "'.json'" in refused.err) == (1, True)


def test_steps_without_a_score_are_left_out(run, tmp_path):
    without = np.isin(np.arange(200), [0, 1, 60, 120])
    texts = [""] * 200
    for i in np.flatnonzero(~without):
        texts[i] = repr(float(SCORES[i]))
    texts[1] = "nan"  # as in a file of --scores
    columns = {"score": texts, "alarm": np.where(without, 0, ALARMS), "label": TRUTH}
    done = run("evaluate", write_csv(tmp_path / "scores.csv", columns))
    assert done.code == 0, done.err
    kept = ~without
    assert done.out == f"{evaluation.evaluate(TRUTH[kept], SCORES[kept], ALARMS[kept])}\n"
    assert "4 steps have no score and are left out" in done.err
    columns["score"] = ["", *["nan"] * 199]
    done = run("evaluate", write_csv(tmp_path / "none.csv", columns))
    assert (done.code, "a series has no score" in done.err) == (1, True)


def windows():
    return [[SHOWN[40], SHOWN[49]], [SHOWN[80], SHOWN[84]]]


def test_labels_are_read_as_windows_from_a_table(run, scores, tmp_path):
    early = ["2023-12-01", "2023-12-02T10:00:00"]
    starts, ends = zip(early, *windows(), strict=True)
    path = write_csv(tmp_path / "windows.csv", {"start": starts, "end": ends})
    done = run("evaluate", scores, "--labels", path)
    assert done.out == f"{expected()}\n"
    assert "windows.csv: 1 of 3 windows contain no step of scores.csv" in done.err


def test_windows_of_data_without_times_are_step_numbers(run, tmp_path):
    columns = {"step": np.arange(100, 300), "score": SCORES, "alarm": ALARMS}
    data = write_csv(tmp_path / "scores.csv", columns)
    path = write_csv(tmp_path / "windows.csv", {"start": [140, 180], "end": [149, 184]})
    done = run("evaluate", data, "--labels", path)
    assert done.out == f"{expected(steps_per_day=None)}\n"


def test_windows_of_several_series_need_an_id(run, tmp_path):
    columns = {"id": ["a"] * 200 + ["b"] * 200, "time": SHOWN * 2}
    columns |= {"score": np.tile(SCORES, 2), "alarm": np.tile(ALARMS, 2)}
    data = write_csv(tmp_path / "scores.csv", columns)
    (a, b), (c, d) = windows()
    path = write_csv(tmp_path / "windows.csv", {"id": ["b", "a"], "start": [a, c], "end": [b, d]})
    done = run("evaluate", data, "--labels", path)
    first, second = TRUTH * (np.arange(200) >= 60), TRUTH * (np.arange(200) < 60)
    found = evaluation.evaluate([first, second], [SCORES] * 2, [ALARMS] * 2, steps_per_day=144)
    assert done.out == f"{found}\n"
    nameless = write_csv(tmp_path / "nameless.csv", {"start": [a, c], "end": [b, d]})
    assert (
        "add a column id that names the series" in run("evaluate", data, "--labels", nameless).err
    )
    odd = write_csv(tmp_path / "odd.csv", {"id": ["c"], "start": [a], "end": [b]})
    assert "there is no series 'c'" in run("evaluate", data, "--labels", odd).err


def test_windows_are_read_from_a_json_file_by_key(run, scores, tmp_path):
    path = tmp_path / "combined.json"
    known = {"x/machine.csv": windows(), "y/other_machine.csv": [], "y/scores.csv": windows()[:1]}
    path.write_text(json.dumps(known))
    full = f"{expected()}\n"
    assert run("evaluate", scores, "--labels", f"{path}:machine.csv").out == full
    own = evaluation.evaluate(TRUTH * (np.arange(200) < 60), SCORES, ALARMS, steps_per_day=144)
    assert run("evaluate", scores, "--labels", path).out == f"{own}\n"
    two = run("evaluate", scores, "--labels", f"{path}:achine.csv")
    assert (two.code, "2 entries end with 'achine.csv'; select one" in two.err) == (1, True)
    none = run("evaluate", scores, "--labels", f"{path}:pump.csv")
    assert "no entry ends with 'pump.csv'" in none.err
    path.write_text(json.dumps({"z.csv": windows()}))
    assert run("evaluate", scores, "--labels", path).out == full
    path.write_text(json.dumps(windows()))
    assert run("evaluate", scores, "--labels", path).out == full


def test_unusable_scores_and_labels_are_refused(run, scores, tmp_path):
    broken = tmp_path / "broken.json"
    broken.write_text("{")
    pairs = tmp_path / "pairs.json"
    pairs.write_text('[["2024-01-01"]]')
    numbers = write_csv(tmp_path / "numbers.csv", {"start": [1], "end": [2]})
    named = write_csv(tmp_path / "named.csv", {"begin": [1], "end": [2]})
    classes = write_csv(tmp_path / "classes.csv", {"score": SCORES, "label": TRUTH + 1})
    gaps = {"score": SCORES, "alarm": [*ALARMS[:9], "", *ALARMS[10:]], "label": TRUTH}
    cases = [
        ([scores], "there is no label column; name one with --label"),
        ([scores, "--label", "lable"], "--label: unknown column 'lable'"),
        ([scores, "--score", "scor"], "did you mean 'score'?"),
        ([scores, "--labels", tmp_path / "absent.csv"], "there is no such file"),
        ([scores, "--labels", broken], "this is not valid JSON"),
        ([scores, "--labels", pairs], "expected a list of windows, each a pair"),
        ([scores, "--labels", numbers], "column 'start' must hold dates"),
        ([scores, "--labels", named], "unknown column 'start'"),
        ([classes], "Labels must be 0 or 1"),
        ([scores, "--gap", 0], "--gap"),
        ([write_csv(tmp_path / "gaps.csv", gaps)], "`alarms` must be 0 or 1"),
        ([tmp_path / "scores.npz"], "there is no such file"),
        ([tmp_path / "absent.csv"], "absent.csv"),
    ]
    for arguments, message in cases:
        done = run("evaluate", *arguments)
        assert done.code == 1, (arguments, done.err)
        assert message in done.err, (arguments, done.err)
        assert done.out == ""
    assert run("evaluate", scores, "--label", "alarm", "--labels", numbers).code == 2


def test_scores_that_detect_wrote(run, machine, detector, tmp_path):
    written = tmp_path / "scores.csv"
    assert run("detect", machine, "--model", detector, "--scores", written).code == 0
    done = run("evaluate", written)
    assert done.code == 0, done.err
    assert "events found          1 of 1" in done.out
    assert "false alarms per day" in done.out


def test_the_file_of_labels_is_not_overwritten(run, scores, tmp_path):
    windows = tmp_path / "windows.json"
    windows.write_text("[[3, 5]]")
    for labels in (windows, f"{windows}:machine"):
        done = run("evaluate", scores, "--labels", labels, "-o", windows)
        assert (done.code, "-o would overwrite the file of --labels" in done.err) == (1, True)
    assert windows.read_text() == "[[3, 5]]"


def test_a_file_of_events_has_no_scores(run, machine, detector, tmp_path):
    events = tmp_path / "events.csv"
    assert run("detect", machine, "--model", detector, "-o", events).code == 0
    done = run("evaluate", events)
    assert (done.code, "`unspool detect --scores` writes a file with scores" in done.err) == (
        1,
        True,
    )
