"""Each command on real files: its outputs, its messages, and that labels are only passed on."""

import re
import subprocess
import sys

import numpy as np
import pyarrow.parquet as pq
import pytest

import unspool
from tests.cli.tables import read_csv, write_csv
from unspool.io.files import read_file


def test_fit_writes_a_model_and_prints_the_role_of_each_column(run, series, tmp_path):
    path = tmp_path / "m.unspool"
    done = run(
        "fit", series, "--window", 8, "-o", path, "--epochs", 2, "--latent-dim", 3,
        "--batch-size", 7,
        "--decoder", "reversed_input", "--seed", 5, "--set", "units=[4, 3]",
        "--set", "scaling=minmax",
    )  # fmt: skip
    assert (done.code, done.out) == (0, "")
    assert re.search(r"^time +time +contains dates +--time or --columns$", done.err, re.MULTILINE)
    assert (
        "series.csv: Windows(53 windows of 8 steps, stride 1, over 1 series, 2 features)"
        in done.err
    )
    assert done.err.splitlines()[-1].split() == ["model", str(path)]
    model = unspool.load(path)
    changed = {"latent_dim": 3, "epochs": 2, "batch_size": 7, "decoder": "reversed_input"}
    changed |= {"random_state": 5, "units": (4, 3), "scaling": "minmax"}
    assert {name: model.get_params()[name] for name in changed} == changed
    assert list(model.feature_names_in_) == ["a", "b"]
    assert model.window_ == (8, 1)


def test_an_epoch_over_windows_is_bounded_by_default(run, series, tmp_path):
    call = ["fit", series, "--window", 16, "-o", tmp_path / "m", "--epochs", 1]
    done = run(*call)
    assert "an epoch has at most 100 batches of windows" in done.err
    assert unspool.load(tmp_path / "m").steps_per_epoch == 100
    done = run(*call, "--set", "steps_per_epoch=null")
    assert "an epoch has" not in done.err
    assert unspool.load(tmp_path / "m").steps_per_epoch is None


def test_fit_warns_if_the_model_is_no_better_than_the_mean(run, tmp_path):
    data = write_csv(tmp_path / "far_from_zero.csv", {"a": 9 + np.sin(np.arange(60))})
    done = run("fit", data, "--window", 8, "-o", tmp_path / "m", "--epochs", 1,
               "--set", "learning_rate=1e-9", "--set", "scaling=none")  # fmt: skip
    assert "warning: The reconstruction is no better than the mean sequence" in done.err


def test_fit_says_that_batches_have_similar_lengths(run, tmp_path):
    steps = [3] * 60 + [300]
    ids = np.repeat(np.arange(61), steps)
    values = np.sin(np.arange(sum(steps)))
    data = write_csv(tmp_path / "d.csv", {"id": ids, "a": values})
    call = ["fit", data, "--id", "id", "-o", tmp_path / "m", "--epochs", 1, "--batch-size", 8,
            "--set", "validation_split=0"]  # fmt: skip
    said = "3 to 300 steps; batches of similar lengths, 0% padding instead of 79%"
    assert said in " ".join(run(*call).err.split())
    assert "similar lengths" not in run(*call, "--batch-size", 64).err


def test_labels_are_never_trained_on(run, heartbeats, tmp_path):
    other = tmp_path / "other.tsv"
    other.write_text("".join("7" + line[1:] for line in heartbeats.read_text().splitlines(True)))
    for name, data in (("one", heartbeats), ("two", other)):
        run("fit", data, "-o", tmp_path / name, "--epochs", 2, "--seed", 0)
    X = read_file(heartbeats).source
    codes = [unspool.load(tmp_path / name).transform(X) for name in ("one", "two")]
    np.testing.assert_array_equal(*codes)


def test_encode_writes_labels_and_codes_to_stdout(run, model, heartbeats):
    done = run("encode", model, heartbeats)
    assert done.code == 0
    table = read_csv(done.out)
    assert list(table) == ["label", "code_0", "code_1", "code_2"]
    assert table["label"] == ["1", "2"] * 10
    expected = unspool.load(model).transform(read_file(heartbeats).source)
    got = np.array([table[f"code_{i}"] for i in range(3)], np.float32).T
    np.testing.assert_array_equal(got, expected)
    assert "each row is a label and a sequence, as in the UCR archive" in done.err


@pytest.mark.parametrize("ending", ["csv", "parquet", "npy"])
def test_encode_writes_every_format(run, model, heartbeats, tmp_path, ending):
    path = tmp_path / f"codes.{ending}"
    done = run("encode", model, heartbeats, "-o", path)
    assert (done.code, done.out) == (0, "")
    expected = unspool.load(model).transform(read_file(heartbeats).source)
    if ending == "npy":
        got = np.load(path)
    elif ending == "parquet":
        table = pq.read_table(path)
        assert table.column_names == ["label", "code_0", "code_1", "code_2"]
        got = np.stack([table[f"code_{i}"].to_numpy() for i in range(3)], 1)
    else:
        table = read_csv(path.read_text())
        got = np.array([table[f"code_{i}"] for i in range(3)], np.float32).T
    np.testing.assert_array_equal(got, expected)


@pytest.mark.parametrize("ending", ["csv", "parquet", "npy"])
def test_encode_writes_features_under_their_names(run, model, heartbeats, tmp_path, ending):
    path = tmp_path / f"features.{ending}"
    done = run("encode", model, heartbeats, "--features", "--scales", "1,2", "-o", path)
    assert (done.code, done.out) == (0, "")
    trained, X = unspool.load(model), read_file(heartbeats).source
    expected, names = trained.features(X, scales=(1, 2)), trained.feature_names((1, 2)).tolist()
    assert {"state5_mean", "state0_std_2of2"} < set(names)
    if ending == "npy":
        got = np.load(path)
    elif ending == "parquet":
        table = pq.read_table(path)
        assert table.column_names == ["label", *names]
        got = np.stack([table[name].to_numpy() for name in names], 1)
    else:
        table = read_csv(path.read_text())
        assert list(table) == ["label", *names]
        got = np.array([table[name] for name in names], np.float32).T
    np.testing.assert_array_equal(got, expected)
    table = read_csv(run("encode", model, heartbeats, "--features").out)
    assert list(table) == ["label", *trained.feature_names()]


def test_encode_refuses_models_without_features(run, heartbeats, model, tmp_path):
    done = run("encode", model, heartbeats, "--scales", "1,2")
    assert (done.code, done.out) == (1, "")
    assert "--scales needs --features; add that, or leave --scales out." in done.err
    for scales in ("1,1", "0", "two", "1 2", ""):
        done = run("encode", model, heartbeats, "--features", "--scales", scales)
        assert (done.code, done.out) == (1, "")
        assert "--scales must be distinct whole numbers from 1 to 1024" in done.err
    dense = tmp_path / "dense.unspool"
    run("fit", heartbeats, "-o", dense, "--kind", "dense", "--epochs", 1)
    done = run("encode", dense, heartbeats, "--features")
    assert (done.code, done.out) == (1, "")
    assert "a model that has an LSTM encoder, but this file holds a DenseAutoencoder" in done.err
    forecaster = tmp_path / "forecaster.unspool"
    run("fit", heartbeats, "-o", forecaster, "--kind", "forecaster", "--epochs", 1)
    assert run("encode", forecaster, heartbeats, "--features").code == 0


def test_encode_cuts_windows_as_in_fit(run, series_model, series):
    table = read_csv(run("encode", series_model, series).out)
    assert list(table) == ["start", "label", "code_0", "code_1", "code_2"]
    assert len(table["start"]) == 1 + (60 - 8) // 3
    assert table["start"][1] == "2024-01-01T00:03:00"
    assert table["label"] == ["ok"] * 11 + ["bad"] * 7


def test_score_of_a_long_series_is_an_error_for_every_step(run, series_model, series):
    table = read_csv(run("score", series_model, series).out)
    assert list(table) == ["time", "label", "error"]
    assert table["label"] == ["ok"] * 40 + ["bad"] * 20
    model = unspool.load(series_model)
    windows = read_file(series, window=8, stride=3, tail=True).source
    (expected,) = model.reconstruction_error(windows, per="step", merge=True)
    np.testing.assert_allclose(np.array(table["error"], float), expected)


def test_score_of_sequences_is_an_error_for_each(run, model, heartbeats):
    table = read_csv(run("score", model, heartbeats).out)
    assert list(table) == ["label", "error"]
    expected = unspool.load(model).reconstruction_error(read_file(heartbeats).source)
    np.testing.assert_allclose(np.array(table["error"], float), expected)


def test_score_prints_r2_and_the_skill_beyond_the_mean_sequence(run, model, heartbeats):
    trained, source = unspool.load(model), read_file(heartbeats).source
    said = run("score", model, heartbeats).err
    assert (
        f"R² {trained.score(source):.4g}, skill score beyond the mean sequence "
        f"{trained.skill_score(source):.4g}\n"
    ) in said


def test_epochs_may_be_auto(run, heartbeats, tmp_path, monkeypatch):
    monkeypatch.setattr("unspool.training.schedule.MIN_EPOCHS", 3)
    monkeypatch.setattr("unspool.training.schedule.MIN_UPDATES", 1)
    path = tmp_path / "m"
    assert run("fit", heartbeats, "-o", path, "--epochs", "auto", "--kind", "dense").code == 0
    model = unspool.load(path)
    assert model.epochs == "auto"
    assert len(model.history_["loss"]) == 3


def test_reconstruct_writes_one_row_per_step_of_a_long_series(run, series_model, series, tmp_path):
    table = read_csv(run("reconstruct", series_model, series).out)
    assert list(table) == ["time", "label", "a", "b"]
    windows = read_file(series, window=8, stride=3, tail=True).source
    (expected,) = unspool.load(series_model).reconstruct(windows, merge=True)
    np.testing.assert_allclose(np.array([table["a"], table["b"]], float).T, expected)
    run("reconstruct", series_model, series, "-o", tmp_path / "again.npy")
    np.testing.assert_array_equal(np.load(tmp_path / "again.npy"), expected)


def test_reconstruct_writes_sequences_one_after_the_other(run, model, heartbeats, tmp_path):
    table = read_csv(run("reconstruct", model, heartbeats).out)
    assert list(table) == ["sequence", "step", "label", "feature_0"]
    assert table["sequence"][10:14] == ["0", "0", "1", "1"]
    assert table["step"][10:14] == ["10", "11", "0", "1"]
    run("reconstruct", model, heartbeats, "-o", tmp_path / "again.npy")
    again = np.load(tmp_path / "again.npy")
    assert again.shape == (20, 12, 1)
    np.testing.assert_allclose(np.array(table["feature_0"], float), again.ravel())


def test_an_id_column_makes_ragged_sequences(run, tmp_path):
    lengths = [5, 9, 3, 7]
    ids = np.repeat(["w", "x", "y", "z"], lengths)
    data = write_csv(tmp_path / "d.csv", {"unit": ids, "a": np.sin(np.arange(24))})
    done = run("fit", data, "-o", tmp_path / "m", "--epochs", 1, "--latent-dim", 2)
    assert done.code == 0, done.err
    table = read_csv(run("score", tmp_path / "m", data).out)
    assert table["id"] == ["w", "x", "y", "z"]
    table = read_csv(run("reconstruct", tmp_path / "m", data).out)
    assert table["id"] == list(ids)


def test_rows_of_a_table_are_sequences_with_an_id_and_a_label(run, tmp_path):
    steps = {f"s{i}": np.sin(np.arange(12) + i) for i in range(6)}
    labels = ["on", "off"] * 6
    data = write_csv(tmp_path / "d.csv", {"id": np.arange(100, 112), **steps, "label": labels})
    done = run("fit", data, "--rows", "-o", tmp_path / "m", "--epochs", 1, "--latent-dim", 2)
    assert done.code == 0, done.err
    table = read_csv(run("reconstruct", tmp_path / "m", data, "--rows").out)
    assert list(table) == ["id", "step", "label", "feature_0"]
    assert table["id"] == [str(number) for number in range(100, 112) for _ in range(6)]
    assert table["step"] == list("012345") * 12
    assert table["label"] == [name for name in labels for _ in range(6)]


def test_several_series_are_scored_step_by_step(run, tmp_path):
    ids = np.repeat(["w", "x"], [20, 30])
    data = write_csv(tmp_path / "d.csv", {"unit": ids, "a": np.sin(np.arange(50))})
    run("fit", data, "--window", 6, "-o", tmp_path / "m", "--epochs", 1, "--latent-dim", 2)
    table = read_csv(run("score", tmp_path / "m", data).out)
    assert list(table) == ["id", "step", "error"]
    assert table["id"] == list(ids)
    assert table["step"] == [str(i) for n in (20, 30) for i in range(n)]


def test_keep_short_keeps_series_shorter_than_the_window(run, series_model, series, tmp_path):
    short = tmp_path / "short.csv"
    short.write_text("".join(series.read_text().splitlines(True)[:6]))
    assert run("score", series_model, short).code == 1
    table = read_csv(run("score", series_model, short, "--keep-short").out)
    assert len(table["error"]) == 5


def test_inspect_prints_parameters_features_shapes_and_backends(run, series_model):
    done = run("inspect", series_model)
    assert (done.code, done.err) == (0, "")
    for part in (
        "LSTMAutoencoder",
        "latent_dim=3",
        "2: a, b",
        "8 steps, stride 3",
        "encoder",
        "(N, 3)",
        "compiled (first choice for this cell)",
        f"unspool {unspool.__version__}, torch ",
    ):
        assert part in done.out
    model = unspool.load(series_model)
    total = sum(weight.numel() for weight in model.module_.parameters())
    assert f"{total:,}" in done.out


@pytest.mark.parametrize("picture", ["history", "reconstruction", "trace", "scatter"])
def test_plot_draws_each_picture(run, model, heartbeats, tmp_path, picture):
    data = [] if picture == "history" else [heartbeats]
    path = tmp_path / "picture.png"
    done = run("plot", picture, model, *data, "-o", path)
    assert done.code == 0, done.err
    assert path.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    assert f"wrote {path}" in done.err


@pytest.mark.filterwarnings("ignore::unspool.errors.NoBetterThanMeanWarning")  # one epoch
def test_demo_runs_a_script_with_its_options(run, tmp_path):
    done = run("demo", "forecast_in_numpy", "-o", tmp_path / "demo", "--epochs", 1, "--seed", 3)
    assert done.code == 0, done.err
    assert {file.name for file in (tmp_path / "demo").iterdir()} == {
        "forecast.png",
        "forecast.unspool",
        "forecast_by_step.png",
        "history.png",
    }
    model = unspool.load(tmp_path / "demo" / "forecast.unspool")
    assert (model.latent_dim, model.epochs, model.random_state) == (100, 1, 3)
    for result in ("test MSE", "largest difference"):
        assert result in done.out


def test_demo_refuses_options_that_it_does_not_have(run):
    for option, value in (("--epochs", 1), ("--mnist", ".")):
        done = run("demo", "machine_temperature", option, value)
        assert done.code == 1
        assert (
            done.err == f"unspool: The demo 'machine_temperature' has no {option}; leave it out.\n"
        )
    assert "'two_sines'" in run("demo", "two_sins").err


def test_version_is_printed(run):
    assert run("--version").out == f"unspool {unspool.__version__}\n"


def test_outputs_of_a_log_with_a_clock_change_have_its_times_row_by_row(
    run, series_model, series, tmp_path
):
    header, *rows = series.read_text().splitlines()
    clock = [
        f"2024-01-01T{(i if i < 40 else i - 12) // 12 + 1:02}:{i % 12 * 5:02}:00" for i in range(60)
    ]
    rows = [f"{time},{row.split(',', 1)[1]}" for time, row in zip(clock, rows, strict=True)]
    path = tmp_path / "log.csv"
    path.write_text("\n".join([header, *rows]) + "\n")
    for command in ("score", "reconstruct"):
        done = run(command, series_model, path)
        assert done.code == 0, done.err
        assert "time goes back once in column 'time', at data row 41" in done.err
        times = [time.replace(" ", "T") for time in read_csv(done.out)["time"]]
        assert times == clock
    starts = read_csv(run("encode", series_model, path, "--stride", 1).out)["start"]
    assert [time.replace(" ", "T") for time in starts] == clock[: len(starts)]


def test_the_package_runs_as_a_module():
    done = subprocess.run(
        [sys.executable, "-m", "unspool", "--version"], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == f"unspool {unspool.__version__}"


def test_fit_validates_on_another_file(run, heartbeats, tmp_path):
    other = tmp_path / "other.tsv"
    values = np.cos(np.arange(12) / 3 + np.random.default_rng(1).uniform(0, 6, (7, 1)))
    other.write_text("\n".join("\t".join(map(str, [1, *row])) for row in values) + "\n")
    call = ["fit", heartbeats, "-o", tmp_path / "m", "--epochs", 2, "--seed", 0]
    done = run(*call, "--validation", other)
    assert done.code == 0, done.err
    assert "other.tsv: Sequences(7 sequences of 12 steps, 1 feature)" in done.err
    parameters = {"epochs": 2, "random_state": 0, "verbose": 0}
    expected = unspool.LSTMAutoencoder(**parameters).fit(
        read_file(heartbeats).source, validation_data=values
    )
    model = unspool.load(tmp_path / "m")
    assert model.history_["val_loss"] == expected.history_["val_loss"]
    done = run(*call, "--validation", other, "--set", "validation_split=0.1")
    assert done.code == 1
    assert "--set validation_split is 0.1, but --validation is given too" in done.err
    done = run(*call, "--validation", heartbeats)
    assert "20 of 20 sequences of --validation that were checked" in done.err


def test_fit_validates_on_windows_with_their_futures(run, series, tmp_path):
    done = run("fit", series, "--kind", "forecaster", "--window", 8, "--horizon", 2, "--epochs", 1,
               "--validation", series, "-o", tmp_path / "m")  # fmt: skip
    assert done.code == 0, done.err
    assert done.err.count("Windows(51 windows of 10 steps") == 2
    assert "51 of 51 sequences of --validation that were checked overlap" in done.err


def test_fit_holds_out_rows_of_one_id_together(run, tmp_path, monkeypatch):
    given = {}
    fit = unspool.DenseAutoencoder.fit

    def noted(self, X, **options):
        given.update(options)
        return fit(self, X, **options)

    monkeypatch.setattr(unspool.DenseAutoencoder, "fit", noted)
    ids = [f"m{i // 4}" for i in range(40)]
    rng = np.random.default_rng(0)
    columns = {name: rng.normal(size=40) for name in "abcde"}
    rows = write_csv(tmp_path / "rows.csv", {"id": ids, **columns})
    call = ["fit", rows, "--kind", "dense", "--epochs", 1, "-o", tmp_path / "m"]
    assert run(*call, "--rows").code == 0
    assert given.pop("groups").tolist() == ids
    assert run(*call).code == 0  # each id is a series
    assert given == {}


def test_fit_warns_of_rows_that_overlap(run, tmp_path):
    series = np.random.default_rng(0).normal(size=260)
    rows = {f"c{i}": series[i : i + 250] for i in range(10)}
    data = write_csv(tmp_path / "rows.csv", rows)
    done = run("fit", data, "--rows", "--epochs", 1, "-o", tmp_path / "m")
    assert "warning: The rows of `X` are overlapping windows of a series" in done.err
