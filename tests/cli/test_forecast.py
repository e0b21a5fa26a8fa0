"""Models with a horizon on the command line: fit, forecast, and their pictures."""

import numpy as np
import pytest

import unspool
from tests.cli.tables import read_csv, write_csv
from unspool.estimators import batch_runner
from unspool.io.files import read_file

QUICK = ["--epochs", 1, "--latent-dim", 3, "--seed", 0]


@pytest.fixture
def forecaster(run, series, tmp_path):
    path = tmp_path / "forecaster.unspool"
    done = run(
        "fit", series, "--kind", "forecaster", "--window", 8, "--horizon", 4, "-o", path, *QUICK
    )
    assert done.code == 0, done.err
    return path


pytestmark = pytest.mark.filterwarnings("ignore::unspool.errors.NoBetterThanMeanWarning")


def test_windows_are_lengthened_by_the_horizon(run, series, forecaster):
    model = unspool.load(forecaster)
    assert type(model).__name__ == "LSTMForecaster"
    assert (model.window_, model.max_length_, model.horizon_) == ((8, 1), 8, 4)
    done = run("inspect", forecaster)
    assert "8 steps, stride 1" in done.out


def test_forecast_continues_after_the_end_of_a_series(run, series, forecaster):
    table = read_csv(run("forecast", forecaster, series).out)
    assert list(table) == ["ahead", "time", "a", "b"]
    assert table["ahead"] == ["1", "2", "3", "4"]
    (values,) = read_file(series, window=8).source.series
    expected = unspool.load(forecaster).forecast(values[None, -8:])[0]
    np.testing.assert_allclose(np.array([table["a"], table["b"]], float).T, expected)


def test_quantiles_are_additional_columns(run, series, tmp_path):
    path = tmp_path / "m.unspool"
    options = ["--kind", "forecaster", "--window", 8, "--horizon", 4, "-o", path, *QUICK]
    assert run("fit", series, *options, "--set", "quantiles=[0.1,0.5]").code == 0
    table = read_csv(run("forecast", path, series).out)
    assert list(table) == ["ahead", "time", "a", "b", "a_q0.1", "a_q0.5", "b_q0.1", "b_q0.5"]
    model = unspool.load(path)
    (values,) = read_file(series, window=8).source.series
    quantiles = model.predict_quantiles(values[None, -8:])[0]
    for i, name in enumerate("ab"):
        for place, q in enumerate(("q0.1", "q0.5")):
            column = np.array(table[f"{name}_{q}"], float)
            np.testing.assert_allclose(column, quantiles[:, i, place])
    array = tmp_path / "ahead.npy"
    assert run("forecast", path, series, "-o", array).code == 0
    forecast = model.forecast(values[None, -8:])
    expected = np.concatenate([forecast[..., None], quantiles[None]], axis=3)
    np.testing.assert_allclose(np.load(array), expected)


def test_every_forecasts_after_every_window(run, series, forecaster, tmp_path):
    path = tmp_path / "all.npy"
    assert run("forecast", forecaster, series, "--every", "-o", path).code == 0
    windows = read_file(series, window=8).source
    assert np.load(path).shape == (53, 4, 2)
    np.testing.assert_allclose(np.load(path), unspool.load(forecaster).forecast(windows))
    table = read_csv(run("forecast", forecaster, series, "--every").out)
    assert table["start"][:5] == ["2024-01-01T00:00:00"] * 4 + ["2024-01-01T00:01:00"]


@pytest.mark.parametrize("every", [[], ["--every"]])
@pytest.mark.parametrize("late", [False, True])
def test_irregular_times_are_continued_by_their_usual_step_with_one_note(
    run, forecaster, tmp_path, every, late
):
    minutes = np.arange(60)
    minutes[20:] += late  # two steps, of which one is the last, are twice as long
    minutes[-1] += late
    times = [f"2024-01-01T{i // 60:02}:{i % 60:02}:00" for i in minutes]
    values = np.random.default_rng(0).normal(size=(2, 60))
    data = write_csv(tmp_path / "late.csv", {"time": times, "a": values[0], "b": values[1]})
    done = run("forecast", forecaster, data, *every)
    assert done.code == 0, done.err
    expected = [f"2024-01-01T{i // 60:02}:{i % 60:02}:00" for i in minutes[-1] + np.arange(1, 5)]
    assert read_csv(done.out)["time"][-4:] == expected
    note = (
        "the times are irregular: 3% of the steps have another length than the usual one, by which "
        "the times of the forecast continue"
    )
    assert done.err.count(note) == done.err.count("irregular") == late


def test_a_series_of_one_row_has_no_step_so_the_forecast_of_no_series_has_times(
    run, tmp_path, monkeypatch
):
    monkeypatch.setattr(batch_runner, "INFERENCE_STEPS", 24)  # series in several pieces
    monkeypatch.setattr(batch_runner, "PIECE_BATCHES", 1)
    t = np.arange(31)
    columns = {
        "id": ["long"] * 30 + ["short"],
        "time": [f"2024-01-01T00:{i:02}:00" for i in t],
        "a": np.sin(t),
    }
    data, path = write_csv(tmp_path / "data.csv", columns), tmp_path / "m.unspool"
    long = write_csv(tmp_path / "long.csv", {name: one[:30] for name, one in columns.items()})
    options = ["--kind", "forecaster", "--window", 8, "--horizon", 2, "-o", path, "--keep-short"]
    assert run("fit", long, *options, *QUICK).code == 0
    for every in ([], ["--every"]):
        done = run("forecast", path, data, "--keep-short", *every)
        assert done.code == 0, done.err
        table = read_csv(done.out)
        assert list(table) == ["id", *["start"] * bool(every), "ahead", "a"]
        assert table["id"][-2:] == ["short"] * 2


def test_a_composite_model_of_sequences_forecasts_each(run, heartbeats, tmp_path):
    path = tmp_path / "m.unspool"
    assert run("fit", heartbeats, "--horizon", 3, "-o", path, *QUICK).code == 0
    model = unspool.load(path)
    assert (model.max_length_, model.horizon_) == (9, 3)
    table = read_csv(run("forecast", path, heartbeats).out)
    assert list(table) == ["label", "ahead", "feature_0"]
    assert len(table["ahead"]) == 20 * 3
    source = read_file(heartbeats).source
    np.testing.assert_allclose(np.array(table["feature_0"], float), model.forecast(source).ravel())


def test_a_composite_model_reconstructs_and_scores_without_the_target_of_the_forecast(
    run, heartbeats, tmp_path
):
    path = tmp_path / "m.unspool"
    assert run("fit", heartbeats, "--horizon", 3, "-o", path, *QUICK).code == 0
    model, past = unspool.load(path), read_file(heartbeats).source.values[:, :9]
    table = read_csv(run("reconstruct", path, heartbeats).out)
    assert table["step"][:10] == [*map(str, range(9)), "0"]
    expected = model.reconstruct(past)
    np.testing.assert_allclose(np.array(table["feature_0"], float), expected.ravel(), rtol=1e-6)
    table = read_csv(run("score", path, heartbeats).out)
    np.testing.assert_allclose(
        np.array(table["error"], float), model.reconstruction_error(past), rtol=1e-6
    )
    picture = tmp_path / "picture.png"
    assert run("plot", "reconstruction", path, heartbeats, "-o", picture).code == 0


@pytest.mark.parametrize("picture", ["forecast", "diagram"])
def test_plot_draws_a_forecaster(run, series, forecaster, tmp_path, picture):
    data = [series] if picture == "forecast" else []
    path = tmp_path / "picture.svg"
    done = run("plot", picture, forecaster, *data, "-o", path)
    assert done.code == 0, done.err
    assert b"<svg" in path.read_bytes()


def test_a_model_that_cannot_do_it_is_refused(run, model, series, forecaster, heartbeats):
    done = run("reconstruct", forecaster, series)
    assert (done.code, done.err) == (
        1,
        "unspool: `reconstruct` needs a model that reconstructs, but this file holds an "
        "LSTMForecaster; `unspool fit --help` lists the kinds of models.\n",
    )
    done = run("forecast", model, heartbeats)
    assert done.code == 1
    assert done.err == (
        "unspool: `forecast` needs a model with a horizon, but this LSTMAutoencoder has none; "
        "train "
        "it with `unspool fit --horizon N`.\n"
    )
    done = run("fit", heartbeats, "--kind", "dense", "--horizon", 3, "-o", "never.unspool")
    assert (done.code, done.err) == (
        1,
        "unspool: DenseAutoencoder has no --horizon; leave it out.\n",
    )


def test_a_patch_size_is_a_number_or_auto(run, heartbeats, tmp_path):
    path = tmp_path / "m.unspool"
    assert run("fit", heartbeats, "--patch-size", 5, "-o", path, *QUICK).code == 0
    assert unspool.load(path).get_params()["patch_size"] == 5
    lines = [line.split() for line in run("inspect", path).out.splitlines()]
    assert ["patches", "5", "steps"] in lines
    assert run("fit", heartbeats, "--patch-size", "auto", "-o", path, *QUICK).code == 0
    assert unspool.load(path).patch_size_ == 1
    assert "patches" not in run("inspect", path).out
    done = run("fit", heartbeats, "--patch-size", "many", "-o", "never.unspool")
    assert "Invalid value for --patch-size: expected a whole number or auto, got 'many'" in done.err
    done = run("fit", heartbeats, "--kind", "dense", "--patch-size", 3, "-o", "never.unspool")
    assert done.err == "unspool: DenseAutoencoder has no --patch-size; leave it out.\n"


def test_plot_draws_images_and_weights_of_a_dense_model(run, tmp_path):
    data = tmp_path / "images.npy"
    np.save(data, np.random.default_rng(0).random((30, 16)))
    path, picture = tmp_path / "m.unspool", tmp_path / "picture.png"
    assert run("fit", data, "--kind", "dense", "-o", path, *QUICK).code == 0
    assert type(unspool.load(path)).__name__ == "DenseAutoencoder"
    for call in (["images", path, data], ["weights", path]):
        done = run("plot", *call, "-o", picture)
        assert done.code == 0, done.err
        assert picture.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"


def test_inspect_describes_a_classifier_and_encode_refuses_it(run, heartbeats, tmp_path):
    source = read_file(heartbeats).source
    inner = unspool.LSTMAutoencoder(latent_dim=3, epochs=1, random_state=0, verbose=0)
    path = tmp_path / "classifier.unspool"
    unspool.EncoderClassifier(inner, epochs=2, verbose=0).fit(source, ["b", "a"] * 10).save(path)
    done = run("inspect", path)
    assert (done.code, done.err) == (0, "")
    for part in ("EncoderClassifier", "encoder of", "LSTMAutoencoder", "a, b", "2 epochs"):
        assert part in done.out
    done = run("encode", path, heartbeats)
    assert done.code == 1
    assert (
        "`encode` needs a model that encodes sequences, but this file holds an EncoderClassifier"
        in done.err
    )


@pytest.fixture
def with_known(run, series, tmp_path):
    path = tmp_path / "known.unspool"
    options = ["--kind", "forecaster", "--window", 8, "--horizon", 4, "-o", path, *QUICK]
    done = run("fit", series, "--targets", "b", "--known", "a", *options)
    assert done.code == 0, done.err
    return path


def test_targets_are_the_columns_of_a_forecast_and_known_features_come_from_a_file(
    run, series, with_known, tmp_path
):
    model = unspool.load(with_known)
    assert (model.targets, model.known, model.targets_) == (("b",), ("a",), (1,))
    assert "known ahead" in run("inspect", with_known).out
    refused = run("forecast", with_known, series)
    assert refused.code == 1
    assert "give them for the 4 steps after DATA in --future" in refused.err
    future = tmp_path / "future.csv"
    future.write_text("b,a\n" + "".join(f",{value}\n" for value in (0.5, 1.0, 1.5, 2.0, 9.0)))
    table = read_csv(run("forecast", with_known, series, "--future", future).out)
    assert list(table) == ["ahead", "time", "b"]
    (values,) = read_file(series, window=8).source.series
    ahead = np.array([0.5, 1.0, 1.5, 2.0])[None, :, None]
    expected = model.forecast(values[None, -8:], ahead)[0, :, 0]
    np.testing.assert_allclose(np.array(table["b"], float), expected, rtol=1e-6)
    future.write_text("a\n1\n2\n")
    short = run("forecast", with_known, series, "--future", future)
    assert (short.code, "Expected at least 4 rows" in short.err) == (1, True)


def test_every_window_reads_its_known_features_from_the_data(run, series, with_known, tmp_path):
    path = tmp_path / "all.npy"
    done = run("forecast", with_known, series, "--every", "-o", path)
    assert done.code == 0, done.err
    (values,) = read_file(series, window=8).source.series
    both = np.lib.stride_tricks.sliding_window_view(values, 12, 0).swapaxes(1, 2)
    expected = unspool.load(with_known).forecast(both[:, :8], both[:, 8:, :1])
    np.testing.assert_allclose(np.load(path), expected, rtol=1e-6)


def test_a_target_that_does_not_exist_is_reported_with_its_flag(run, series, tmp_path):
    done = run("fit", series, "--window", 8, "--targets", "c", "-o", tmp_path / "m.unspool", *QUICK)
    assert done.code == 1
    assert "--targets: unknown feature 'c': known are 'a', 'b'." in done.err


def test_reconstructions_and_scores_have_the_columns_of_the_targets(run, series, tmp_path):
    path = tmp_path / "m.unspool"
    assert run("fit", series, "--window", 8, "--targets", "b", "-o", path, *QUICK).code == 0
    assert list(read_csv(run("reconstruct", path, series).out)) == ["time", "label", "b"]
    scored = read_csv(run("score", path, series, "--per-feature").out)
    assert list(scored) == ["time", "label", "error", "b"]


def test_a_picture_of_a_forecast_shows_the_targets(run, series, with_known, tmp_path):
    done = run("plot", "forecast", with_known, series, "-o", tmp_path / "f.png")
    assert done.code == 0, done.err


def test_with_a_dilation_every_kth_row_of_the_future_is_read(run, series, tmp_path):
    path, future = tmp_path / "m.unspool", tmp_path / "future.csv"
    options = ["--kind", "forecaster", "--window", 6, "--dilation", 3, "--horizon", 2, "-o", path]
    done = run("fit", series, "--targets", "b", "--known", "a", *options, *QUICK)
    assert done.code == 0, done.err
    future.write_text("a\n" + "".join(f"{value}\n" for value in range(6)))
    table = read_csv(run("forecast", path, series, "--future", future).out)
    (values,) = read_file(series, window=6).source.series
    ahead = np.array([2.0, 5.0])[None, :, None]
    expected = unspool.load(path).forecast(values[::-1][::3][:6][::-1][None], ahead)[0, :, 0]
    np.testing.assert_allclose(np.array(table["b"], float), expected, rtol=1e-6)
    future.write_text("a\n" + "".join(f"{value}\n" for value in range(5)))
    short = run("forecast", path, series, "--future", future)
    assert (short.code, "Expected at least 6 rows" in short.err) == (1, True)


def test_rows_of_the_future_that_are_not_later_than_the_data_are_left_out(
    run, series, with_known, tmp_path
):
    after, whole = tmp_path / "after.csv", tmp_path / "whole.csv"
    rows = [f"2024-01-01T01:{minute:02}:00,{minute}\n" for minute in range(10)]
    after.write_text("time,a\n" + "".join(rows))
    earlier = [f"2024-01-01T00:{minute:02}:00,7\n" for minute in range(50, 60)]
    whole.write_text("time,a\n" + "".join(earlier + rows))
    expected = run("forecast", with_known, series, "--future", after)
    found = run("forecast", with_known, series, "--future", whole)
    assert expected.code == found.code == 0, found.err
    assert found.out == expected.out
    assert "whole.csv: 10 rows that are not later than DATA are left out" in found.err
    past = run("forecast", with_known, series, "--future", series)
    assert (past.code, "after the end of DATA" in past.err) == (1, True)


KNOWN = ["--kind", "forecaster", "--horizon", 2, "--known", "a", "--targets", "b", *QUICK]


def test_a_future_file_has_the_series_of_the_data(run, tmp_path):
    path, future = tmp_path / "m.unspool", tmp_path / "future.csv"
    ids, values = np.repeat(["x", "y"], 20), np.random.default_rng(0).normal(size=(2, 40))
    columns = {"id": ids, "a": values[0], "b": values[1]}
    data = write_csv(tmp_path / "data.csv", columns)
    assert run("fit", data, "--window", 6, *KNOWN, "-o", path).code == 0
    write_csv(future, {"id": ["x", "x", "z", "z"], "a": [1, 2, 3, 4]})
    done = run("forecast", path, data, "--future", future)
    assert done.err.endswith(f"{future} has no rows of the id 'y', which is in DATA.\n")
    write_csv(future, {"a": [1, 2, 3, 4]})
    done = run("forecast", path, data, "--future", future)
    assert done.err.endswith(
        f"Expected 2 series in {future}, as in DATA, got 1; give an id column, or forecast one "
        "series after another.\n"
    )


def test_known_features_after_every_window_need_windows(run, tmp_path):
    path, rows = tmp_path / "m.unspool", np.random.default_rng(0).normal(size=(2, 40))
    columns = {"id": np.arange(40) // 8, "a": rows[0], "b": rows[1]}
    data = write_csv(tmp_path / "data.csv", columns)
    assert run("fit", data, *KNOWN, "-o", path).code == 0
    done = run("forecast", path, data, "--every")
    assert done.err.endswith(
        "With --every, the features that are known ahead are read from the steps after each "
        "window, but DATA holds sequences; give --window, or --future.\n"
    )


def test_a_future_file_that_would_not_be_read_is_refused(run, series, with_known, tmp_path):
    done = run("forecast", with_known, series, "--every", "--future", series)
    assert done.code == 1
    assert done.err.endswith(
        "With --every, the features that are known ahead are read from DATA; leave --future out, "
        "or forecast only after the last window.\n"
    )
    path = tmp_path / "m.unspool"
    options = ["--kind", "forecaster", "--window", 8, "--horizon", 4, "-o", path, *QUICK]
    assert run("fit", series, *options).code == 0
    done = run("forecast", path, series, "--future", series)
    assert (done.code, "leave --future out" in done.err) == (1, True)
