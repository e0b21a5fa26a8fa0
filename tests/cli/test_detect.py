"""`unspool detect`: normal and scored data, the files it writes, and the calls it refuses."""

import inspect
import json
import re
import warnings
from math import isnan

import numpy as np
import pyarrow as pa
import pytest

import unspool
from tests.cli.conftest import MINUTES
from tests.cli.tables import read_csv, write_csv
from unspool import AnomalyDetector, Windows, evaluation, plots
from unspool.anomaly.scores import SCORE_KINDS
from unspool.anomaly.threshold_kinds import THRESHOLD_KINDS
from unspool.cli.compare import simple_methods
from unspool.cli.detector_options import Kind, Threshold
from unspool.errors import ThresholdWarning
from unspool.io.files import read_file

UNTIL = ["--normal-until", "2024-01-01 04:00"]  # step 240
FIXED = ["--threshold", "quantile", "--kind", "step"]  # finds the failure with the tiny model


def values_of(path, start=0, names=("flow", "heat")):
    """Return the series in a file, from a step on, as input of a detector."""
    values = np.asarray(read_file(path, window=1).source.series[0])[start:]
    return [pa.table({name: values[:, i] for i, name in enumerate(names)})]


def without(path, *names):
    """Return the table without some of its columns."""
    table = read_csv(path.read_text())
    kept = {name: values for name, values in table.items() if name not in names}
    return write_csv(path.with_name("fewer.csv"), kept)


def test_data_before_a_time_is_normal_and_the_rest_is_scored(run, machine, tiny, tmp_path):
    scores, saved = tmp_path / "scores.csv", tmp_path / "saved.unspool"
    done = run("detect", machine, *UNTIL, *tiny, "--scores", scores, "--save", saved)
    assert done.code == 0, done.err
    detector = unspool.load(saved)
    assert isinstance(detector, AnomalyDetector)
    assert (detector.window_, detector.model_.latent_dim, detector.random_state) == (8, 2, 0)
    expected = detector.detect(values_of(machine, 240))
    table = read_csv(scores.read_text())
    assert list(table) == ["time", "label", "score", "threshold", "alarm"]
    assert table["time"][0] == "2024-01-01 04:00"
    np.testing.assert_array_equal(np.array(table["score"], float), expected.scores[0])
    np.testing.assert_array_equal(np.array(table["threshold"], float), expected.thresholds[0])
    np.testing.assert_array_equal(np.array(table["alarm"], int), expected.alarms[0])

    events = read_csv(done.out)
    assert list(events) == ["start", "peak", "end", "steps", "height", "threshold", "features"]
    starts = [str(MINUTES[240 + one.start]).replace("T", " ") for one in expected.events]
    assert events["start"] == starts
    last = done.err.splitlines()[-1]
    assert last.startswith(f"{len(expected.events)} event")
    assert f"{expected.alarms[0].mean():.2%} of 160 steps above the threshold" in last
    assert "(score window, threshold moving, rate 0.005)" in last


def test_the_detector_is_trained_on_the_normal_part_alone(run, machine, tiny, tmp_path):
    lines = machine.read_text().splitlines(keepends=True)
    broken = tmp_path / "broken.csv"
    broken.write_text("".join(lines[:241]) + "2024-01-01 04:00,99,99,normal\n" * 9)
    for data, name in ((machine, "one"), (broken, "two")):
        assert run("detect", data, *UNTIL, *tiny, "--save", tmp_path / name).code == 0
    one, two = (unspool.load(tmp_path / name) for name in ("one", "two"))
    np.testing.assert_array_equal(one.scales_["window"], two.scales_["window"])
    assert one.offset_ == two.offset_


def test_each_series_is_split_at_the_time(run, machine, tiny, tmp_path):
    table = read_csv(machine.read_text())
    del table["label"]
    twice = {name: values + values[:300] for name, values in table.items()}
    data = write_csv(tmp_path / "two.csv", {"id": ["a"] * 400 + ["b"] * 300, **twice})
    scores, picture = tmp_path / "scores.csv", tmp_path / "picture.png"
    done = run("detect", data, *UNTIL, *tiny, *FIXED, "--scores", scores, "--plot", picture)
    assert done.code == 0, done.err
    written = read_csv(scores.read_text())
    assert written["id"] == ["a"] * 160 + ["b"] * 60
    assert written["time"][159:161] == ["2024-01-01 06:39", "2024-01-01 04:00"]
    events = read_csv(done.out)
    failed = [(one, peak[11:16]) for one, peak in zip(events["series"], events["peak"], strict=True)
              if peak[11:16] >= "05:00"]  # fmt: skip
    assert [one for one, peak in failed if "05:35" <= peak <= "05:54"] == ["a"]
    assert f"wrote {picture}, which shows the series with the highest score, a" in done.err
    assert picture.stat().st_size > 10_000


def test_steps_are_counted_from_the_beginning_of_the_file(run, machine, tiny, tmp_path):
    data = without(machine, "time", "label")
    output, scores = tmp_path / "events.json", tmp_path / "scores.csv"
    call = ["detect", data, *tiny, *FIXED, "-o", output, "--scores", scores]
    done = run(*call, "--normal-until", 240)
    assert (done.code, done.out) == (0, "")
    assert read_csv(scores.read_text())["step"] == [str(i) for i in range(240, 400)]
    events = json.loads(output.read_text())
    assert any(340 <= one["peak"] < 350 and one["features"][0]["name"] == "heat" for one in events)
    assert run(*call, "--normal-until", "noon").code == 1


def test_the_first_fifth_is_normal_by_default(run, machine, tiny, tmp_path):
    scores = tmp_path / "scores.csv"
    done = run("detect", machine, *tiny, "--scores", scores)
    assert "machine.csv: the first fifth is taken as normal and the rest is scored" in done.err
    assert len(read_csv(scores.read_text())["score"]) == 320


def test_normal_data_is_read_from_another_file(run, machine, tiny, tmp_path):
    lines = machine.read_text().splitlines(keepends=True)
    normal, rest = tmp_path / "normal.csv", tmp_path / "rest.csv"
    normal.write_text("".join(lines[:241]))
    rest.write_text("".join(lines[:1] + lines[241:]))
    one = run("detect", machine, *UNTIL, *tiny)
    two = run("detect", rest, "--normal", normal, *tiny)
    assert (one.code, two.code) == (0, 0)
    assert one.out == two.out
    assert "normal.csv: 1 series of 240 steps, 2 features" in two.err


def test_a_saved_detector_is_used_unchanged(run, machine, tiny, tmp_path):
    saved = tmp_path / "saved.unspool"
    run("detect", machine, *UNTIL, *tiny, "--memory", 50, "--save", saved)
    scores = tmp_path / "scores.csv"
    done = run("detect", machine, "--model", saved, "--scores", scores, "--kind", "trailing")
    assert done.code == 0, done.err
    assert "taken as normal" not in done.err
    with pytest.warns(ThresholdWarning):
        expected = unspool.load(saved).detect(values_of(machine), "trailing")
    assert done.err.count("warning: A moving threshold") == 1
    written = read_csv(scores.read_text())
    np.testing.assert_array_equal(np.array(written["score"], float), expected.scores[0])
    assert "(score trailing, threshold moving" in done.err
    for option in (["--rate", "0.1"], ["--gap", "0"], ["--set", "epochs=3"], UNTIL):
        refused = run("detect", machine, "--model", saved, *option)
        assert refused.code == 1
        assert f"leave out {option[0]}," in refused.err


def test_a_fitted_model_gets_scales_and_thresholds_from_normal_data(run, machine, tiny, tmp_path):
    model, saved = tmp_path / "model.unspool", tmp_path / "saved.unspool"
    fit = ["fit", machine, "--window", 8, "--epochs", 1, "--latent-dim", 2, "--seed", 0]
    assert run(*fit, "-o", model, "--quiet").code == 0
    done = run("detect", machine, "--model", model, *UNTIL, "--save", saved)
    assert done.code == 0, done.err
    detector = unspool.load(saved)
    before = unspool.load(model)
    np.testing.assert_array_equal(
        detector.model_.transform(Windows(values_of(machine), 8)),
        before.transform(Windows(values_of(machine), 8)),
    )
    assert detector.thresholds_["window"].n_scores == 240
    refused = run("detect", machine, "--model", model, "--window", 9)
    assert refused.code == 1
    assert "--window applies to a model that is trained now" in refused.err
    refused = run("detect", machine, "--model", model, "--set", "epochs=9")
    assert "unknown parameter 'epochs'" in refused.err


def test_a_classifier_is_refused(run, machine, heartbeats, tmp_path):
    X = read_file(heartbeats).source
    inner = unspool.LSTMAutoencoder(2, epochs=1, verbose=0, random_state=0)
    path = tmp_path / "classifier.unspool"
    classifier = unspool.EncoderClassifier(inner, epochs=1, verbose=0, random_state=0)
    classifier.fit(X, np.arange(len(X)) % 2).save(path)
    done = run("detect", machine, "--model", path)
    assert done.code == 1
    assert "holds an EncoderClassifier" in done.err


def test_alarms_per_day_set_rate_and_period(run, machine, tiny, tmp_path):
    saved = tmp_path / "saved.unspool"
    done = run("detect", machine, *UNTIL, *tiny, "--alarms-per-day", 20, "--save", saved)
    assert done.code == 0, done.err
    threshold = unspool.load(saved).thresholds_["window"]
    assert (threshold.kind, threshold.rate, threshold.steps_per_period) == ("alarms", 20, 1440)
    assert "threshold alarms, 20 alarms in 1440 steps" in done.err.splitlines()[-1]
    timeless = without(machine, "time")
    done = run("detect", timeless, *tiny, "--normal-until", 240, "--alarms-per-day", 20)
    assert done.code == 1
    assert "--alarms-per-day needs dates, but fewer.csv has none" in done.err
    call = ["detect", timeless, *tiny, "--normal-until", 240, "--threshold", "alarms"]
    assert "give --alarms-per-day N" in run(*call).err
    assert run(*call, "--rate", 20, "--set", "period=1440").code == 0
    both = run("detect", machine, *tiny, "--alarms-per-day", 20, "--rate", 0.1)
    assert "leave out --rate and --threshold" in both.err


def test_settings_reach_the_detector_and_the_model(run, machine, tiny, tmp_path):
    saved = tmp_path / "saved.unspool"
    given = ["--memory", 70, "--gap", 5, "--rate", 0.2, "--kind", "step", "--set"]
    done = run("detect", machine, *UNTIL, *tiny, *given, "calibration_split=0.5", "--save", saved)
    assert done.code == 0, done.err
    detector = unspool.load(saved)
    expected = {"memory": 70, "gap": 5, "rate": 0.2, "kind": "step", "calibration_split": 0.5}
    expected |= {"random_state": 0, "window": 8, "threshold": "moving"}
    assert {name: detector.get_params()[name] for name in expected} == expected
    assert detector.thresholds_["step"].n_scores == 120
    assert (detector.model.epochs, detector.model.units) == (2, 4)
    odd = run("detect", machine, *tiny, "--set", "unitz=3")
    assert (odd.code, "did you mean 'units'?" in odd.err) == (1, True)


def test_messages_name_flags_instead_of_parameters(run, machine, tiny):
    done = run("detect", machine, *UNTIL, *tiny, "--memory", 50)
    (line,) = [one for one in done.err.splitlines() if one.startswith("warning: A moving")]
    assert "--memory" in line
    assert "`" not in line
    for option, value in (("--memory", 0), ("--window", 0), ("--set", "calibration_split=2")):
        done = run("detect", machine, *UNTIL, *tiny, option, value)
        assert done.code == 1
        name = "--set calibration_split" if option == "--set" else option
        assert f"unspool: {name} must be a " in done.err


def test_a_wrong_number_of_alarms_per_day_names_its_flag(run, machine, tiny):
    for value in (0, -1, "nan"):
        done = run("detect", machine, *UNTIL, *tiny, "--alarms-per-day", value)
        assert done.code == 1
        assert "unspool: --alarms-per-day must be a number above 0, got" in done.err
    done = run("detect", machine, *UNTIL, *tiny, "--alarms-per-day", 0.5)
    assert (done.code, "period" in done.err) == (0, False)
    assert "0.5 false alarms per day are " in done.err


def test_a_flag_that_was_not_given_is_not_blamed(run, machine, tiny, tmp_path):
    short = tmp_path / "short.csv"
    short.write_text("".join(machine.read_text().splitlines(keepends=True)[:3]))
    done = run("detect", short, *tiny)
    assert (done.code, "another" in done.err) == (1, False)
    assert "nothing is normal; give --normal or --normal-until." in done.err


def test_too_few_normal_scores_for_the_rate_are_reported(run, machine, tiny):
    done = run("detect", machine, *UNTIL, *tiny)
    assert "the threshold starts from 48 normal scores, which are worth " in done.err
    assert (
        "; a rate of 0.005 needs 200, so at first the share of alarms may be several times the rate"
        in done.err
    )
    assert "starts from" not in run("detect", machine, *UNTIL, *tiny, "--rate", 0.9).err
    assert "starts from" not in run("detect", machine, *UNTIL, *tiny, *FIXED).err


def test_data_that_differs_from_the_normal_data_is_reported(run, machine, tiny, tmp_path):
    table = read_csv(machine.read_text())
    table["heat"] = [float(one) + 90 * (i >= 240) for i, one in enumerate(table["heat"])]
    moved = write_csv(tmp_path / "moved.csv", table)
    words = (
        "more than half of all steps are above the threshold, so they differ from the normal data"
    )
    assert words in run("detect", moved, *UNTIL, *tiny, *FIXED).err
    assert words not in run("detect", machine, *UNTIL, *tiny, *FIXED).err


def test_exit_code_is_3_if_there_are_events(run, machine, tiny, detector, tmp_path):
    call = ["detect", machine, "--model", detector, "-o", tmp_path / "events.csv"]
    assert run(*call).code == 0
    assert run(*call, "--exit-code").code == 3
    assert (tmp_path / "events.csv").exists()
    lines = machine.read_text().splitlines(keepends=True)
    calm = tmp_path / "calm.csv"
    calm.write_text("".join(lines[:20]))
    assert run("detect", calm, "--model", detector, "--exit-code").code == 0


def test_the_picture_shows_labels_and_times(run, machine, detector, tmp_path, monkeypatch):
    seen = {}
    drawn = plots.AnomalyDisplay.from_detection

    def watched(*args, **given):
        seen.update(given)
        return drawn(*args, **given)

    monkeypatch.setattr(plots.AnomalyDisplay, "from_detection", watched)
    picture = tmp_path / "picture.svg"
    assert run("detect", machine, "--model", detector, "--plot", picture).code == 0
    np.testing.assert_array_equal(np.flatnonzero(seen["labels"]), np.arange(340, 350))
    np.testing.assert_array_equal(seen["times"], MINUTES)
    assert seen["feature_names"] == ("flow", "heat")
    assert picture.read_text().startswith("<?xml")


def test_labels_change_nothing(run, machine, tiny):
    one = run("detect", machine, *UNTIL, *tiny)
    two = run("detect", without(machine, "label"), *UNTIL, *tiny)
    assert one.out == two.out


def test_compare_prints_the_results_of_all_methods(run, machine, tiny, tmp_path):
    scores = tmp_path / "scores.csv"
    call = [*UNTIL, *tiny, *FIXED, "--compare", "--scores", scores]
    done = run("detect", machine, *call)
    assert done.code == 0, done.err
    lines = done.err.splitlines()
    heads = [i for i, line in enumerate(lines) if line.startswith("method")]
    row = {}
    for head in heads:
        rows = [re.split(r"\s{2,}", line.strip()) for line in lines[head : head + 8]]
        assert [one[0] for one in rows[1:]] == ["LSTMAutoencoder", *simple_methods(None)]
        assert all(len(line) <= 80 for line in lines[head : head + 8])
        row |= dict(zip(*rows[:2], strict=True))
    table = read_csv(scores.read_text())
    numbers = [np.array(table[name], float) for name in ("score", "alarm")]
    truth = np.array(table["label"]) == "failed"
    expected = evaluation.evaluate(truth, *numbers, steps_per_day=1440)
    assert row["normal above"] == f"{expected.flagged_normal:.2%}"
    assert row["VUS-PR"] == f"{expected.vus_pr:.3f}"
    assert row["AUC-PR"] == f"{expected.auc_pr:.3f}"
    assert row["found"] == f"{expected.n_found} of 1"
    assert row["steps late"] == (
        "–" if isnan(expected.delay_mean) else f"{expected.delay_mean:.0f}"
    )
    assert row["precision"] == f"{expected.precision:.3f}"
    assert row["false/day"] == f"{expected.false_alarms_per_day:.2g}"
    assert row["events"] == str(expected.n_alarms)
    assert done.err.count("warning: ") == run("detect", machine, *call[:-3]).err.count("warning: ")
    unlabelled = run("detect", without(machine, "label"), *call).err
    assert ("VUS-PR" in done.err, "VUS-PR" in unlabelled) == (True, False)


def test_labels_that_are_classes_are_not_used(run, machine, tiny, tmp_path):
    table = read_csv(machine.read_text())
    table["label"] = ["7"] * 400
    data = write_csv(tmp_path / "classes.csv", table)
    done = run("detect", data, *UNTIL, *tiny, "--compare")
    assert done.code == 0, done.err
    assert "labels are not used in the table and the picture: Labels must be 0 or 1" in done.err
    assert "VUS-PR" not in done.err
    done = run("detect", data, *UNTIL, *tiny, "--compare", "--label", "label")
    assert (done.code, done.out) == (1, "")
    assert run("detect", data, *UNTIL, *tiny, "--label", "label").code == 0


def test_compare_fits_simple_methods_with_the_detector_s_parameters(
    run, machine, tiny, tmp_path, monkeypatch
):
    fitted = []
    fit = AnomalyDetector.fit
    monkeypatch.setattr(AnomalyDetector, "fit", lambda self, X: fitted.append(self) or fit(self, X))
    saved = tmp_path / "saved.unspool"
    given = ["--threshold", "quantile", "--rate", 0.07, "--gap", 3]
    run("detect", machine, *UNTIL, *tiny, *given, "--save", saved)
    done = run("detect", machine, *UNTIL, "--model", saved, "--compare", "--kind", "step")
    assert done.code == 0, done.err
    assert len(fitted) == 1 + len(simple_methods(None))
    for one in fitted[1:]:
        assert (one.kind, one.rate, one.gap, one.window_) == ("step", 0.07, 3, 8)
        assert one.thresholds_["step"].n_scores == 48


def test_sequences_have_one_score_each(run, tiny, tmp_path):
    values = np.sin(np.arange(12)[:, None] / 2 + np.arange(40)[:, None, None])
    values[35] += 9
    data = tmp_path / "cycles.npy"
    np.save(data, values)
    scores = tmp_path / "scores.csv"
    call = ["detect", data, "--normal-until", 30, *tiny[2:], "--threshold", "quantile"]
    done = run(*call, "--scores", scores)
    assert done.code == 0, done.err
    table = read_csv(scores.read_text())
    assert table["sequence"] == [str(i) for i in range(30, 40)]
    alarms = [one for one, alarm in zip(table["sequence"], table["alarm"], strict=True)
              if alarm == "1"]  # fmt: skip
    assert "35" in alarms
    assert set(read_csv(done.out)["series"]) == set(alarms)
    assert "of 10 sequences above the threshold" in done.err
    refused = run(*call, "--plot", tmp_path / "picture.png")
    assert (refused.code, "--plot draws series" in refused.err) == (1, True)


def test_options_that_exclude_each_other_are_refused(run, machine):
    call = ["detect", machine]
    assert run(*call, *UNTIL, "--normal", machine).code == 2
    assert run(*call, "--compare", "--kind", "code").code == 2
    assert run(*call, "--state", "state.npz").code == 2
    assert run(*call, "--kind", "windows").code == 2


def test_files_are_checked_before_anything_is_trained(run, machine, tmp_path, monkeypatch):
    monkeypatch.setattr(AnomalyDetector, "fit", lambda *_: pytest.fail("trained"))
    cases = [
        (["-o", tmp_path / "events.cvs"], "did you mean '.csv'?"),
        (["--plot", tmp_path / "picture.pgn"], "did you mean '.png'?"),
        (["--scores", tmp_path / "absent" / "scores.csv"], "there is no folder"),
        (["--save", tmp_path / "absent" / "d"], "there is no folder"),
        (["-o", tmp_path / "a.csv", "--scores", tmp_path / "a.csv"], "the same file"),
        (["--normal-until", "2023-01-01"], "nothing is normal"),
        (["--normal-until", "2025-01-01"], "nothing is left to score"),
        (["--normal-until", "240"], "must be a time like 2024-01-01"),
        (["--columns", "flaw"], "did you mean 'flow'?"),
    ]
    for options, message in cases:
        done = run("detect", machine, *options)
        assert done.code == 1, options
        assert message in done.err, options


def test_no_file_that_is_read_is_overwritten(run, machine, detector, tmp_path):
    link = tmp_path / "link.csv"
    link.symlink_to(machine)
    before = machine.read_bytes()
    for options, flag, read in (
        (["-o", machine], "-o", "DATA"),
        (["--scores", link], "--scores", "DATA"),
        (["--save", detector], "--save", "--model"),
        (["--follow", "--state", machine], "--state", "DATA"),
    ):
        done = run("detect", machine, "--model", detector, *options)
        assert (done.code, done.out) == (1, "")
        assert f"{flag} would overwrite the file of {read}" in done.err
    assert machine.read_bytes() == before


def test_columns_with_other_names_are_read_in_place_of_the_features(
    run, machine, detector, tmp_path
):
    renamed = tmp_path / "renamed.csv"
    renamed.write_text(machine.read_text().replace("flow", "Q").replace("heat", "T1"))
    without = run("detect", renamed, "--model", detector)
    assert (without.code, "`" in without.err) == (1, False)
    assert "--columns: " in without.err
    done = run("detect", renamed, "--model", detector, "--columns", "Q,T1")
    assert done.code == 0, done.err
    assert "read as the model's features: Q as flow, T1 as heat" in done.err
    assert done.out == run("detect", machine, "--model", detector).out
    normal = ["--normal", renamed, "--columns", "T1,Q", "--compare", "-o", tmp_path / "events.csv"]
    assert run("detect", renamed, "--model", detector, *normal).code == 0
    for options in (["--columns", "heat,flow"], ["--columns", "heat"]):
        assert run("detect", machine, "--model", detector, *options).code == 1


def test_help_names_the_defaults(run):
    parameters = inspect.signature(AnomalyDetector).parameters
    defaults = {name: one.default for name, one in parameters.items()}
    help_ = " ".join(run("detect", "--help").out.replace("│", " ").split())
    assert f"{defaults['kind']} (the default)" in help_
    assert f"{defaults['threshold']} (the default)" in help_
    assert f"{defaults['rate']} by default" in help_
    assert defaults["memory"] == "auto"
    assert "remembers; by default enough for the rate" in help_
    assert f"one event; {defaults['gap']} by default." in help_
    assert "Exit codes: 0 on success" in help_
    assert [one.value for one in Kind] == list(SCORE_KINDS)
    assert {one.value for one in Threshold} == set(THRESHOLD_KINDS)


@pytest.mark.parametrize(
    "command",
    [["encode"], ["reconstruct"], ["score"], ["plot", "reconstruction"], ["export"]],
    ids=lambda command: command[0],
)
def test_commands_that_need_a_model_read_a_detector(run, command, detector, machine, tmp_path):
    ending = {"plot": ".png", "export": ".onnx"}.get(command[0], ".csv")
    if ending == ".onnx":
        pytest.importorskip("onnx")
    model, data = tmp_path / "model.unspool", [] if command[0] == "export" else [machine]
    unspool.load(detector).model_.save(model)
    written = []
    for file in (detector, model):
        path = tmp_path / f"out{ending}"
        assert run(*command, file, *data, "-o", path).code == 0
        written.append(path.read_bytes())
    if ending == ".csv":
        assert written[0] == written[1]


def test_export_refuses_an_unknown_part_by_its_flag(run, detector, tmp_path):
    done = run("export", detector, "-o", tmp_path / "m.onnx", "--part", "encode")
    assert (done.code, "unknown --part 'encode'" in done.err) == (1, True)


def test_inspect_prints_the_score_and_threshold_of_a_detector(run, detector):
    out = run("inspect", detector).out
    assert "score window of windows of 8 steps; events are at least 16 steps apart" in out
    assert "moving, rate 0.005, memory 50; it starts at " in out
    assert "from 48 normal scores, which are worth" in out
    assert "2: flow, heat" in out


def test_only_the_requested_kind_of_score_warns(run, machine):
    X = np.asarray(read_file(machine, window=1).source.series[0])[:240]
    model = unspool.LSTMAutoencoder(2, units=4, epochs=1, verbose=0)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        AnomalyDetector(model, window=8, memory=50, random_state=0).fit(X)
    assert sum(one.category is ThresholdWarning for one in caught) == 1


def test_the_picture_shows_the_targets_of_the_model(run, machine, tiny, tmp_path, monkeypatch):
    shown = []
    drawn = plots.AnomalyDisplay.from_detection

    def watched(found, series, *args, **kwargs):
        shown.append((kwargs["feature_names"], series.shape[1]))
        return drawn(found, series, *args, **kwargs)

    monkeypatch.setattr(plots.AnomalyDisplay, "from_detection", watched)
    call = ["--normal-until", "2024-01-01 05:00", "--set", 'targets=["heat"]']
    done = run("detect", machine, *tiny, *call, "--plot", tmp_path / "picture.png")
    assert done.code == 0, done.err
    assert shown == [(("heat",), 1)]
