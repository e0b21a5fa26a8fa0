"""Messages of the command line that no other test compares."""

import io
import json
import zipfile

import numpy as np
import pytest

from tests.cli.tables import write_csv
from unspool import LSTMForecaster, Windows

pytestmark = pytest.mark.filterwarnings(
    "ignore::unspool.errors.NoBetterThanMeanWarning"
)  # few epochs


def message_of(done):
    """Return stderr in one line, without the frame around errors of usage."""
    return " ".join(done.err.replace("│", " ").split())


OPTIONS = {
    "detect DATA --state s.npz": "it needs --follow; leave it out",
    "detect DATA --normal DATA --normal-until 9": (
        "--normal and --normal-until both give the normal data; leave one of them out"
    ),
    "detect DATA --compare --kind code": "simple methods have no codes; leave out --kind code",
    "detect DATA --model DETECTOR --rate 0.2": (
        "The file of --model holds a detector, which is used unchanged; leave out --rate, or give "
        "a model file that `unspool fit` wrote."
    ),
    "detect DATA --model DETECTOR --scores a.csv -o a.csv": (
        "Two of -o, --scores, --plot and --save name the same file; name different files."
    ),
    "detect DATA --follow --kind step": (
        "--follow always computes the kind trailing; leave --kind out"
    ),
    "detect DATA --follow": (
        "it needs a detector: give --model with a file that --save wrote, or --normal"
    ),
    "detect DATA --follow --model DETECTOR --scores a.csv": (
        "it reads lines one by one and prints their scores to stdout; leave out --scores"
    ),
    "detect DATA --normal-until soon": "--normal-until must be a time like",
    "detect DATA --normal-until 1999-01-01": (
        "machine.csv: nothing is normal; give another --normal-until."
    ),
    "detect ROWS --normal-until soon --on-missing mask --compare": (
        "--normal-until must be a whole number of rows, since it has no times, got 'soon'."
    ),
    "detect ROWS --compare --on-missing mask --normal-until 90": (
        "--compare runs simple methods, which do not accept missing values; leave --compare out, "
        "or fill the values."
    ),
    "evaluate SCORES --label label --labels w.csv": (
        "--label and --labels both give labels; leave one of them out"
    ),
    "fit DATA -o m --window 8 --quiet --verbose": "not together with --quiet",
    "fit DATA -o m --window 8 --missing -200,mask": (
        "it names values that mean missing, such as -200; give --on-missing mask"
    ),
    "import torch.pt -o m": (
        "PyTorch weights do not contain the number of steps of a sequence; add --max-length N."
    ),
    "detect BEATS --normal BEATS --plot a.png": (
        "--plot draws series, but DATA holds sequences, each with one score; leave --plot out, and "
        "see `unspool plot reconstruction`."
    ),
    "evaluate MANY --time time": (
        "many.zip: the archive has several files; unpack it, and give one of them."
    ),
    "import torch.pt -o m --forecast --classify": "--forecast and --classify exclude each other",
    "plot history MODEL -o a.png --count 3": ("The picture history has no --count; leave it out."),
    "plot history MODEL -o a.png --start 3": ("The picture history has no --start; leave it out."),
    "plot history MODEL BEATS -o a.png": (
        "The picture history needs no DATA; leave out DATA and its options."
    ),
    "plot trace MODEL BEATS -o a.png --start 99": (
        "--start must be below 20, the number of sequences, got 99."
    ),
    "plot history MODEL -o a.pgn": "unknown ending of a picture '.pgn': did you mean '.png'?",
}


@pytest.mark.parametrize("line", OPTIONS)
def test_a_command_that_cannot_run_says_why(
    run, line, machine, model, detector, heartbeats, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    rows = {"a": np.sin(np.arange(200) / 3), "b": np.cos(np.arange(200) / 5)}
    rows["a"][7] = np.nan
    files = {
        "DATA": machine,
        "MODEL": model,
        "DETECTOR": detector,
        "BEATS": heartbeats,
        "ROWS": write_csv(tmp_path / "rows.csv", rows),
        "MANY": tmp_path / "many.zip",
        "SCORES": write_csv(tmp_path / "scores.csv", {"score": [1.0, 2.0], "label": [0, 1]}),
    }
    (tmp_path / "torch.pt").write_bytes(b"")
    with zipfile.ZipFile(files["MANY"], "w") as archive:
        for name in ("a.csv", "b.csv"):
            archive.writestr(name, "score,label\n1,0\n")
    before = sorted(tmp_path.iterdir())
    done = run(*(files.get(word, word) for word in line.split()))
    assert done.code in (1, 2)
    assert OPTIONS[line] in message_of(done)
    assert sorted(tmp_path.iterdir()) == before


WINDOWS = {
    "w.csv:a": ("start,end\n1,2\n", "a table has no keys; leave out :a."),
    "w.json:d": (
        json.dumps({"a/x.csv": [], "b/x.csv": []}),
        "no entry ends with 'd'; select one with --labels FILE:KEY: a/x.csv, b/x.csv.",
    ),
    "w.csv": ("start,end\nx,y\n", "column 'start' holds no numbers."),
    "v.csv": (
        "start,end\n2024-01-01,2024-01-02\n",
        "column 'start' must hold numbers, like the times of the scores.",
    ),
}


@pytest.mark.parametrize("given", WINDOWS)
def test_windows_of_labels_that_cannot_be_read_are_refused(run, given, tmp_path):
    content, message = WINDOWS[given]
    (tmp_path / given.partition(":")[0]).write_text(content)
    scores = write_csv(tmp_path / "s.csv", {"step": np.arange(9), "score": np.arange(9.0)})
    done = run("evaluate", scores, "--labels", tmp_path / given)
    assert done.code == 1
    assert message in message_of(done)


def test_windows_of_labels_of_another_kind_than_dates_are_refused(run, tmp_path):
    times = [f"2024-01-01 00:0{i}:00" for i in range(9)]
    scores = write_csv(tmp_path / "s.csv", {"time": times, "score": np.arange(9.0)})
    (tmp_path / "w.json").write_text('[["noon", "night"]]')
    done = run("evaluate", scores, "--labels", tmp_path / "w.json")
    assert "expected dates such as 2013-12-10 06:25:00, got 'noon'." in message_of(done)


def test_a_json_file_of_windows_is_of_one_series(run, tmp_path):
    columns = {"id": [*"aaabbb"], "step": [0, 1, 2] * 2, "score": np.arange(6.0)}
    scores = write_csv(tmp_path / "s.csv", columns)
    (tmp_path / "w.json").write_text("[[1, 2]]")
    done = run("evaluate", scores, "--labels", tmp_path / "w.json")
    assert message_of(done).endswith(
        "a JSON file holds windows of one series; give a table with an id column."
    )


LINES = {
    "flow,speed\n1,2\n": (
        "there is no column heat, which the detector reads; the columns are flow, speed. Name "
        "other columns with --columns, in the detector's order, or, if these are not the names, "
        "give --skip or --header 0."
    ),
    "1,2,3,4\n1,2,3,4\n": (
        "the detector reads 2 features, but the first line has 4 fields (0, 1, 2, 3); name the "
        "features with --columns, in the detector's order."
    ),
    "flow,heat\n1,NA\n": "Column 'heat' holds NA, which means missing.",
    "flow,heat\n1,-200\n": "Column 'heat' is missing (--missing -200).",
}


@pytest.mark.parametrize("lines", LINES)
def test_lines_that_a_detector_cannot_score_are_refused(run, detector, lines, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(lines.encode())))
    done = run("detect", "-", "--follow", "--model", detector, "--missing", "-200")
    assert LINES[lines] in message_of(done)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ("heat,flow", "--columns: expected the detector's features flow, heat, in this order, got "
         "heat, flow; reorder them, or leave --columns out."),
        ("heat", "--columns: the detector has 2 features, got 1."),
    ],
)  # fmt: skip
def test_other_columns_than_those_of_the_detector_are_refused(
    run, detector, columns, message, monkeypatch
):
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"flow,heat\n1,2\n")))
    done = run("detect", "-", "--follow", "--model", detector, "--columns", columns)
    assert message in message_of(done)


def test_a_quantity_that_is_no_feature_has_no_errors_to_score(run, series, tmp_path):
    values = np.sin(np.arange(60))[:, None] * [1, 2]
    windows = Windows(values, 8, feature_names=("a", "b"))
    model = LSTMForecaster(2, epochs=1, verbose=0, random_state=0)
    model.fit(windows, np.arange(len(windows), dtype=float)).save(tmp_path / "m.unspool")
    done = run("score", tmp_path / "m.unspool", series, "-o", tmp_path / "a.csv")
    assert (
        "This model predicts a quantity that is no feature of DATA, so that its forecasts have no "
        "errors; use `forecast`."
    ) in message_of(done)


def test_a_model_without_known_features_reads_no_future(run, series, tmp_path):
    model = tmp_path / "m.unspool"
    fit = ("fit", series, "--kind", "forecaster", "--window", 8, "--horizon", 2, "-o", model)
    assert run(*fit, "--epochs", 1, "--latent-dim", 2).code == 0
    done = run("forecast", model, series, "--future", series)
    assert message_of(done).endswith(
        "The model was trained without --known features; leave --future out."
    )
