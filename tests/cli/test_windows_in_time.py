"""--window 6h, --stride 1h, --dilation and --max-gap on files with times."""

import numpy as np
import pandas as pd
import pytest

import unspool
from tests.cli.tables import read_csv, write_csv
from unspool.errors import InputError
from unspool.io.files import read_file

QUICK = ["--epochs", 1, "--latent-dim", 3, "--seed", 0]
pytestmark = pytest.mark.filterwarnings("ignore::unspool.errors.NoBetterThanMeanWarning")


@pytest.fixture
def log(tmp_path):
    """Ten minutes from row to row, with a day without rows after row 60."""
    times = np.datetime64("2024-01-01T00:00") + np.arange(120) * np.timedelta64(10, "m")
    times[60:] += np.timedelta64(1, "D")
    values = np.sin(np.arange(120.0) / 7)
    return write_csv(tmp_path / "log.csv", {"time": times.astype(str), "a": values, "b": -values})


def test_windows_by_time_are_fitted_saved_and_used_again(run, log, tmp_path):
    path = tmp_path / "m.unspool"
    done = run(
        "fit", log, "--window", "2h", "--stride", "30min", "--dilation", 2, "-o", path, *QUICK
    )
    assert done.code == 0, done.err
    said = "34 windows of 6 steps, stride 3, dilation 2, over 1 series, 2 features, no gap above 1"
    assert said in done.err
    model = unspool.load(path)
    assert (model.window_, model.dilation_, model.max_gap_) == ((6, 3), 2, 1500)
    assert "6 steps, stride 3, dilation 2, no gap above 1500" in run("inspect", path).out
    done = run("encode", path, log)
    assert said in done.err
    loaded = read_file(log, window="2h", stride="30min", dilation=2)
    codes = np.array([*read_csv(done.out).values()][1:], float).T
    np.testing.assert_allclose(codes, model.transform(loaded.source))
    starts = read_csv(done.out)["start"]
    assert (starts[1], starts[-1][:16]) == ("2024-01-01T00:30", "2024-01-02T18:00")
    windows = run("encode", path, log, "--max-gap", "none", "--window", 6, "--stride", 1).err
    assert "110 windows of 6 steps, stride 1, dilation 2, over 1 series, 2 features)\n" in windows


def test_scores_stay_at_their_times_and_steps_in_no_window_have_none(run, log, tmp_path):
    path = tmp_path / "m.unspool"
    run("fit", log, "--window", "9h", "--dilation", 9, "-o", path, *QUICK)
    table = read_csv(run("score", path, log).out)
    assert len(table["time"]) == 120
    model = unspool.load(path)
    source = read_file(log, window="9h", dilation=9, tail=True).source
    (expected,) = model.reconstruction_error(source, per="step", merge=True)
    found = np.array([value or "nan" for value in table["error"]], float)
    np.testing.assert_allclose(found, expected)


def test_a_forecast_is_computed_from_the_steps_after_the_last_gap(run, log, tmp_path):
    path = tmp_path / "m.unspool"
    done = run(
        "fit", log, "--kind", "forecaster", "--window", "1h", "--horizon", 3, "-o", path, *QUICK
    )
    assert "104 windows of 9 steps" in done.err
    model = unspool.load(path)
    assert (model.window_, model.horizon_) == ((6, 1), 3)
    (series,) = read_file(log, window=1).source.series
    short = tmp_path / "short.csv"
    short.write_text("\n".join(log.read_text().splitlines()[:64]))  # three rows after the gap
    table = read_csv(run("forecast", path, short, "--keep-short").out)
    expected = model.forecast([series[60:63]])[0]
    np.testing.assert_allclose(np.array([table["a"], table["b"]], float).T, expected)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--window", "soon"], "--window must be a whole number of steps of at least 1 or a durat"),
        (["--window", "1h", "--max-gap", "x"], "--max-gap must be a duration above 0 such as '2h'"),
        (
            ["--window", "7min", "--dilation", "2"],
            "The window of 420 s is shorter than a step of",
        ),
        (["--max-gap", "1h"], "--dilation and --max-gap say how to cut windows, but --window is n"),
    ],
)
def test_windows_in_time_that_cannot_be_cut_are_refused_in_flags(
    run, log, tmp_path, options, message
):
    done = run("fit", log, "-o", tmp_path / "m", *QUICK, *options)
    assert done.code == 1
    assert message in done.err


def test_a_file_without_times_has_no_windows_in_time(run, tmp_path):
    path = tmp_path / "x.npy"
    np.save(path, np.zeros((50, 2)))
    with pytest.raises(InputError, match="windows are to be cut by time, but the file has no col"):
        read_file(path, window="6h")
    done = run("fit", path, "--window", "6h", "-o", tmp_path / "m", *QUICK)
    assert "name it with --time, or give --window and --stride as numbers of steps" in done.err


def test_times_that_are_numbers_have_gaps_in_their_unit(tmp_path):
    times = np.r_[np.arange(10.0), 50 + np.arange(10.0)]
    path = write_csv(tmp_path / "n.csv", {"time": times, "a": times})
    assert len(read_file(path, window=4, time="time").source) == 17
    assert len(read_file(path, window=4, time="time", max_gap=5).source) == 14


def test_detect_cuts_windows_by_time_and_scores_no_window_across_a_gap(run, log, tmp_path):
    path, out = tmp_path / "d.unspool", tmp_path / "scores.csv"
    done = run(
        "detect", log, "--window", "1h", "--dilation", 2, "--save", path, "--scores", out,
        "--seed", 0, "--set", "epochs=1",
    )  # fmt: skip
    assert done.code == 0, done.err
    detector = unspool.load(path)
    assert (detector.window_, detector.dilation_, detector.max_gap_) == (3, 2, 1500)
    assert detector.model_.dilation_ == 2
    loaded = read_file(log, window=1)
    frame = pd.DataFrame(loaded.source.series[0], index=loaded.steps["time"][0], columns=["a", "b"])
    table = read_csv(out.read_text())
    found = np.array(table["score"], float)[-60:]
    np.testing.assert_allclose(found, detector.anomaly_scores(frame)[-60:], rtol=1e-3)


def test_steps_that_stride_and_dilation_leave_out_are_reported(run, log, tmp_path):
    path = tmp_path / "m.unspool"
    call = ["--window", 6, "--dilation", 3, "-o", path, *QUICK]
    assert run("fit", log, "--stride", 6, *call).code == 0
    for command in ("score", "reconstruct"):
        done = run(command, path, log)
        said = "steps have no value; with the dilation of 3, a stride of 6 leaves steps out"
        assert said in " ".join(done.err.split())
        assert "have no value" not in run(command, path, log, "--stride", 1).err


def test_a_number_may_begin_with_its_point(run, log, tmp_path):
    path = tmp_path / "m.unspool"
    done = run("fit", log, "--window", 6, "--set", "code_dropout=.25", "-o", path, *QUICK)
    assert done.code == 0, done.err
    assert unspool.load(path).code_dropout == 0.25


def test_a_gap_limit_that_leaves_no_window_has_its_unit(run, log, tmp_path):
    done = run("fit", log, "--window", 6, "--max-gap", 3, "-o", tmp_path / "m.unspool", *QUICK)
    assert (done.code, "two gaps of more than 3 s;" in done.err) == (1, True)
