"""`unspool score --per-feature`: a column with the error of each feature."""

import numpy as np
import pyarrow.parquet as pq
import pytest
from matplotlib import pyplot

import unspool
from tests.cli.tables import read_csv, write_csv
from unspool import Windows
from unspool.estimators import batch_runner
from unspool.io.files import read_file


def numbers(table, names):
    return np.array([table[name] for name in names], float).T


def test_a_long_series_has_the_error_of_each_feature_at_every_step(run, series_model, series):
    plain = read_csv(run("score", series_model, series).out)
    table = read_csv(run("score", series_model, series, "--per-feature").out)
    assert list(table) == ["time", "label", "error", "a", "b"]
    windows = read_file(series, window=8, stride=3, tail=True).source
    (expected,) = unspool.load(series_model).reconstruction_error(
        windows, per=("step", "feature"), merge=True
    )
    np.testing.assert_array_equal(numbers(table, "ab"), expected)
    np.testing.assert_allclose(numbers(table, ["error"]), numbers(plain, ["error"]), rtol=1e-12)
    assert {name: table[name] for name in ("time", "label")} == {
        name: plain[name] for name in ("time", "label")
    }


def test_each_sequence_has_the_error_of_each_feature(run, tmp_path):
    X = np.random.default_rng(0).normal(size=(20, 9, 2))
    data, path = tmp_path / "X.npy", tmp_path / "m.unspool"
    np.save(data, X)
    assert run("fit", data, "-o", path, "--epochs", 1, "--latent-dim", 3).code == 0
    table = read_csv(run("score", path, data, "--per-feature").out)
    assert list(table) == ["error", "feature_0", "feature_1"]
    expected = unspool.load(path).reconstruction_error(X, per="feature")
    got = numbers(table, ["feature_0", "feature_1"])
    np.testing.assert_array_equal(got, expected)
    np.testing.assert_allclose(numbers(table, ["error"])[:, 0], got.mean(axis=1), rtol=1e-12)


@pytest.mark.parametrize("ending", ["npy", "parquet"])
def test_files_hold_the_errors_of_features(run, series_model, series, tmp_path, ending):
    path = tmp_path / f"errors.{ending}"
    assert run("score", series_model, series, "--per-feature", "-o", path).code == 0
    expected = numbers(read_csv(run("score", series_model, series, "--per-feature").out), "ab")
    if ending == "npy":
        np.testing.assert_array_equal(np.load(path), expected)
    else:
        table = pq.read_table(path)
        assert table.column_names == ["time", "label", "error", "a", "b"]
        np.testing.assert_array_equal(np.stack([table["a"], table["b"]], 1), expected)


def test_a_feature_with_the_name_of_another_column_is_renamed(run, tmp_path):
    t = np.arange(40)
    columns = {"time": t, "error": np.sin(t), "error_error": np.cos(t), "step": t % 7, "a": t % 5}
    data, path = write_csv(tmp_path / "log.csv", columns), tmp_path / "m.unspool"
    roles = ["--time", "time", "--columns", "error,error_error,step,a"]
    done = run("fit", data, *roles, "--window", 8, "-o", path, "--epochs", 1, "--latent-dim", 2)
    assert done.code == 0, done.err
    done = run("score", path, data, "--time", "time", "--per-feature", "-o", tmp_path / "e.csv")
    assert done.code == 0, done.err
    table = read_csv((tmp_path / "e.csv").read_text())
    names = ["error_error_error", "error_error", "step", "a"]
    assert list(table) == ["time", "error", *names]
    windows = read_file(
        data, window=8, tail=True, time="time", columns=["error", "error_error", "step", "a"]
    ).source
    (expected,) = unspool.load(path).reconstruction_error(
        windows, per=("step", "feature"), merge=True
    )
    np.testing.assert_array_equal(numbers(table, names), expected)


def test_a_loss_of_whole_steps_is_refused_before_reading(run, tmp_path):
    X = np.eye(3)[np.random.default_rng(0).integers(0, 3, (20, 9))]
    data, path = tmp_path / "X.npy", tmp_path / "m.unspool"
    np.save(data, X)
    done = run(
        "fit", data, "-o", path, "--epochs", 1, "--set", "loss=categorical_crossentropy",
        "--set", "output_activation=softmax", "--set", "scaling=none",
    )  # fmt: skip
    assert done.code == 0, done.err
    assert run("score", path, data).code == 0
    done = run("score", path, tmp_path / "missing.npy", "--per-feature")
    assert (done.code, done.out) == (1, "")
    assert (
        "The loss 'categorical_crossentropy' has one value for all features of a step, so there "
        "are no errors by feature; leave out --per-feature."
    ) in done.err


def test_a_picture_of_reconstructions_has_bars_with_the_errors_of_features(
    run, series_model, series, tmp_path
):
    path = tmp_path / "picture.png"
    done = run("plot", "reconstruction", series_model, series, "--per-feature", "-o", path)
    assert done.code == 0, done.err
    assert path.stat().st_size > 1000
    axes = np.reshape(pyplot.gcf().axes, (5, 3))
    windows = read_file(series, window=8, stride=3).source
    chosen = np.linspace(0, len(windows) - 1, 5).round().astype(int)
    expected = unspool.load(series_model).reconstruction_error(windows[chosen], per="feature")
    got = [[bar.get_width() for bar in panel.patches] for panel in axes[:, 2]]
    np.testing.assert_allclose(got, expected, rtol=1e-5)


def test_a_loss_by_feature_is_set_by_names_of_columns(run, tmp_path):
    rng = np.random.default_rng(0)
    classes = np.eye(3)[rng.integers(0, 3, 60)]
    columns = {"a": rng.normal(size=60), "open": rng.integers(0, 2, 60)}
    columns |= dict(zip(["red", "green", "blue"], classes.T, strict=True))
    data, path = tmp_path / "m.csv", tmp_path / "m.unspool"
    write_csv(data, {name: list(map(float, values)) for name, values in columns.items()})
    loss = '{"open": "binary_crossentropy", "red,green,blue": "categorical_crossentropy"}'
    options = ("--window", 8, "--epochs", 1, "--latent-dim", 3, "--set", f"loss={loss}")
    assert run("fit", data, "-o", path, *options).code == 0
    model = unspool.load(path)
    assert "categorical_crossentropy_loss" in model.history_
    np.testing.assert_array_equal(model.scaler_.scale[1:], 1)
    table = read_csv(run("score", path, data, "--per-feature").out)
    np.testing.assert_array_equal(table["red"], table["blue"])
    refused = run("fit", data, "-o", path, "--window", 8, "--set", 'loss={"opn": "mae"}')
    assert "unknown feature 'opn': did you mean 'open'?" in refused.err


def test_with_missing_values_the_error_is_that_without_per_feature(run, tmp_path):
    rng = np.random.default_rng(0)
    values = rng.normal(size=(60, 2))
    values[5, 0] = values[9] = np.nan
    rows = "".join(",".join("" if np.isnan(v) else f"{v}" for v in one) + "\n" for one in values)
    data, path = tmp_path / "data.csv", tmp_path / "m.unspool"
    data.write_text("a,b\n" + rows)
    options = ["--window", 8, "--epochs", 1, "--set", "missing=mask", "--seed", 0]
    done = run("fit", data, "-o", path, *options)
    assert done.code == 0, done.err
    alone, both = (
        np.array([one or "nan" for one in read_csv(run("score", path, data, *more).out)["error"]])
        for more in ([], ["--per-feature"])
    )
    np.testing.assert_allclose(both.astype(float), alone.astype(float), rtol=1e-6)
    assert np.isfinite(both.astype(float)[5])


def test_windows_whose_last_steps_are_missing_have_no_error_of_the_forecast(
    run, tmp_path, monkeypatch
):
    monkeypatch.setattr(batch_runner, "INFERENCE_STEPS", 24)  # several pieces
    monkeypatch.setattr(batch_runner, "PIECE_BATCHES", 1)
    values = np.random.default_rng(0).normal(size=(40, 2))
    values[20, 0] = np.nan
    values[30] = np.nan
    rows = "".join(",".join("" if np.isnan(v) else f"{v}" for v in one) + "\n" for one in values)
    data, path = tmp_path / "data.csv", tmp_path / "m.unspool"
    data.write_text("a,b\n" + rows)
    options = ["--kind", "forecaster", "--window", 8, "--horizon", 1, "--on-missing", "mask"]
    done = run("fit", data, *options, "-o", path, "--epochs", 1, "--seed", 0)
    assert done.code == 0, done.err
    done = run("score", path, data, "--per-feature")
    model, table = unspool.load(path), read_csv(done.out)
    windows = Windows([values[:-1]], 8, missing="mask")
    squares = np.square((model.forecast(windows)[:, 0] - values[8:]) / model.scaler_.scale)
    for place, name in enumerate("ab"):
        found = np.array([one or "nan" for one in table[name]], float)
        np.testing.assert_allclose(found, squares[:, place], rtol=1e-4)
    means = np.array([one or "nan" for one in table["error"]], float)
    assert np.flatnonzero(np.isnan(means)).tolist() == [30 - 8]
    assert means[20 - 8] == pytest.approx(squares[20 - 8, 1], rel=1e-4)
    scored = f"mean squared error of the forecasts {np.nanmean(means):.4g}, in scaled units"
    assert scored in done.err
