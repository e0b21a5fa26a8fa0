"""Later commands read files whose columns differ from those of training."""

import numpy as np
import pytest

from tests.cli.tables import read_csv, write_csv

T = np.arange(60)
HOURS = [str(np.datetime64("2024-01-01T00:00") + np.timedelta64(int(i), "h")) for i in T]
BASE = {"time": HOURS, "a": np.sin(T / 4), "b": np.cos(T / 5)}
SAME = {
    "more columns": {**BASE, "c": T, "note": ["x"] * 60},
    "another order": {name: BASE[name] for name in ("b", "time", "a")},
    "another zone": {**BASE, "time": [f"{one}+02:00" for one in HOURS]},
    "another unit": {**BASE, "time": 1000 * (1_704_067_200 + 3600 * T)},
    "another name of the time": {"when": HOURS, **{name: BASE[name] for name in "ab"}},
    "a label": {**BASE, "label": T % 2},
}


@pytest.fixture
def trained(run, tiny, tmp_path):
    """A model, and a detector, that were trained with --time and --max-gap."""
    data = write_csv(tmp_path / "base.csv", BASE)
    model, detector = tmp_path / "m.unspool", tmp_path / "d.unspool"
    options = ["--time", "time", "--max-gap", "3h"]
    assert run("fit", data, "--window", 8, "-o", model, "--epochs", 1, *options).code == 0
    done = run("detect", data, "--normal", data, "--save", detector, *options, *tiny)
    assert done.code == 0, done.err
    return model, detector


@pytest.mark.parametrize("form", SAME)
def test_the_same_features_have_the_same_results(run, trained, tmp_path, form):
    model, detector = trained
    base, other = tmp_path / "base.csv", write_csv(tmp_path / "other.csv", SAME[form])
    codes = [read_csv(run("encode", model, one).out)["code_0"] for one in (base, other)]
    assert codes[0] == codes[1]
    scores = []
    for one in (base, other):
        done = run("detect", one, "--model", detector, "--scores", tmp_path / "s.csv")
        assert done.code == 0, done.err
        scores.append(read_csv((tmp_path / "s.csv").read_text())["score"])
    assert scores[0] == scores[1]
    if form == "more columns":
        assert "c, note  left out  not a feature of the model" in done.err
    if form == "another name of the time":
        assert (
            "there is no column 'time', the time in training: another column is taken" in done.err
        )


def test_a_feature_or_a_time_that_a_file_lacks_is_named(run, trained, tmp_path):
    model, detector = trained
    path = write_csv(tmp_path / "x.csv", {"time": HOURS, "a": T})
    for call in (("encode", model, path), ("detect", path, "--model", detector)):
        done = run(*call)
        assert done.code == 1
        assert "unknown column 'b'" in done.err
        assert "The model was trained on the features a, b." in done.err
    path = write_csv(tmp_path / "x.csv", {"a": T, "b": T})
    done = run("encode", model, path)
    assert (done.code, "the file has no column of times; name it with --time" in done.err) == (
        1,
        True,
    )
    done = run("detect", path, "--model", detector)
    said = (
        "x.csv: --max-gap of the detector needs the times of the steps, but the file has no column"
    )
    assert (done.code, said in done.err) == (1, True)


def test_a_gap_of_training_is_said_to_be_in_the_unit_of_numbers(run, trained, tmp_path):
    path = write_csv(tmp_path / "x.csv", {**BASE, "time": T * 10})
    said = "x.csv: the times are plain numbers, and the --max-gap of training, 10800, is taken in"
    for call in (("encode", trained[0], path), ("detect", path, "--model", trained[1])):
        done = run(*call)
        assert done.code == 0, done.err
        assert said in done.err
    assert said not in run("encode", trained[0], path, "--max-gap", 30).err
