"""Bad input from the command line: one message, exit code 1, nothing written."""

import numpy as np
import pytest

from tests.cli.tables import write_csv

T = np.arange(40)


def bad(tmp_path, name, content):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def table(tmp_path, **columns):
    return write_csv(tmp_path / "bad.csv", {"a": np.sin(T), **columns})


def test_bad_data_is_refused_with_one_message_and_nothing_is_written(run, tmp_path):
    nan, inf = np.cos(T).tolist(), np.cos(T).tolist()
    nan[7], inf[9] = "", "inf"
    mixed = [*T[:30], "oops", *T[31:]]
    ts = "@problemName x\n@univariate true\n@classLabel true 1 2\n@data\n"
    ragged = ts.replace("univariate true", "univariate false") + "1,2,3:1,2:1\n"
    cases = {
        "empty file": (bad(tmp_path, "empty.csv", ""), "the file is empty"),
        "header only": (bad(tmp_path, "header.csv", "a,b\n"), "header.csv"),
        "missing file": (tmp_path / "missing.csv", "there is no such file"),
        "text column": (table(tmp_path, words=[*range(39), "x"]), "'words'"),
        "broken header": (bad(tmp_path, "b.ts", ts.replace("@data\n", "")), "@data"),
        "ragged channels": (bad(tmp_path, "c.ts", ragged), "line 5"),
        "unknown ending": (bad(tmp_path, "a.cvs", "a\n1\n"), "did you mean '.csv'?"),
        "pickled array": (tmp_path / "object.npy", "object"),
    }  # fmt: skip
    np.save(tmp_path / "object.npy", np.array([{}], dtype=object))
    for name, (path, reason) in cases.items():
        check(run, tmp_path, name, path, reason)
    check(run, tmp_path, "NaN", table(tmp_path, b=nan), "'b'")
    check(run, tmp_path, "infinity", table(tmp_path, b=inf), "'b'")
    check(run, tmp_path, "unequal dtypes", table(tmp_path, b=mixed), "'b'")
    check(run, tmp_path, "short series", table(tmp_path), "at least 50 steps", "--window", 50)
    check(run, tmp_path, "no window", table(tmp_path), "--window", window=None)


def test_a_message_names_a_flag_once(run, tmp_path):
    gap = ["", *np.cos(T)[1:].tolist()]
    done = run("fit", table(tmp_path, b=gap), "-o", tmp_path / "m.unspool", "--window", 8)
    assert done.err.endswith(
        "Give --on-missing interpolate, --on-missing drop or --on-missing mask, or leave the "
        "column out with --drop b.\n"
    )


def check(run, tmp_path, name, path, reason, *options, window=8):
    before = sorted(tmp_path.iterdir())
    given = options or (() if window is None or path.suffix == ".ts" else ("--window", window))
    done = run("fit", path, "-o", tmp_path / "m.unspool", "--epochs", 1, *given)
    assert done.code == 1, f"{name}: exit code {done.code}, {done.err}"
    last = done.err.strip().splitlines()[-1]
    assert reason in done.err, f"{name}: {last}"
    assert "Traceback" not in done.err
    assert done.err.count("unspool: ") == 1
    assert sorted(tmp_path.iterdir()) == before, f"{name}: something was written"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--latent-dim", 0], "--latent-dim must be a whole number of at least 1, got 0."),
        (["--decoder", "repeet"], "did you mean 'repeat'?"),
        (["--set", "unitz=3"], "did you mean 'units'?"),
        (["--set", "units"], "Expected --set NAME=VALUE, got 'units'."),
        (["--set", "optimizer=adm"], "did you mean 'adam'?"),
        (["--set", "units=0"], "--set units must be a whole number of at least 1"),
        (["--columns", "aa"], "did you mean 'a'?"),
        (["--stride", 0], "--stride must be a whole number of at least 1, got 0."),
        (["--window", 0], "--window must be a whole number of at least 1 or None, got 0."),
        (["--label", "lable"], "did you mean 'label'?"),
    ],
    ids=str,
)
def test_a_bad_option_is_refused_by_its_flag(run, series, tmp_path, options, message):
    done = run("fit", series, "--window", 8, "-o", tmp_path / "m", *options)
    assert done.code == 1
    assert message in done.err
    assert "`" not in done.err
    assert not (tmp_path / "m").exists()


def test_wrong_usage_exits_with_2(run, series):
    assert run("fit", series).code == 2
    done = run("fit", series, "-o", "m", "--epochs", "many")
    assert done.code == 2
    assert "--epochs: expected a whole number or auto, got 'many'" in done.err
    assert run("fitt").code == 2


@pytest.mark.parametrize("command", ["encode", "score", "reconstruct"])
def test_unreadable_models_and_unwritable_outputs_are_refused(
    run, model, heartbeats, tmp_path, command
):
    out = tmp_path / "out.csv"
    whole = model.read_bytes()
    cases = [
        ("missing", None, "does not exist"),
        ("cut", whole[: len(whole) // 2], "is cut short or damaged"),
        ("text", b"hello", "is not a model file"),
    ]
    for name, content, reason in cases:
        path = tmp_path / name
        if content is not None:
            path.write_bytes(content)
        done = run(command, path, heartbeats, "-o", out)
        assert (done.code, done.out) == (1, "")
        assert reason in done.err
    for target, reason in ((tmp_path / "o.xlsx", "ending"), (tmp_path / "no" / "o.csv", "folder")):
        done = run(command, model, heartbeats, "-o", target)
        assert (done.code, done.out) == (1, "")
        assert reason in done.err
    assert not out.exists()


def test_features_that_the_model_was_not_trained_on_are_refused(
    run, series_model, series, tmp_path
):
    other = tmp_path / "other.csv"
    other.write_text(series.read_text().replace("time,a,b", "time,a,c", 1))
    done = run("score", series_model, other)
    assert (done.code, done.out) == (1, "")
    assert done.err.endswith("The model was trained on the features a, b.\n")
    other.write_text(series.read_text().replace("time,a,b", "time,c,d", 1))
    done = run("score", series_model, other)
    assert done.err == (
        f"unspool: {other}: --columns: there are no columns a, b; the file has time, c, d, "
        "label. The model was trained on the features a, b.\n"
    )
    wide = np.zeros((40, 3))
    np.save(tmp_path / "wide.npy", wide)
    done = run("score", series_model, tmp_path / "wide.npy")
    assert done.code == 1
    assert "X has 3 features, but LSTMAutoencoder is expecting 2 features as input." in done.err


def test_plot_refuses_options_that_the_picture_does_not_have(run, model, tmp_path):
    done = run("plot", "scatter", model, "-o", tmp_path / "p.png")
    assert (done.code, "needs DATA; name a file after MODEL" in done.err) == (1, True)
    done = run("plot", "history", model, "-o", tmp_path / "p.pgn")
    assert (done.code, "did you mean '.png'?" in done.err) == (1, True)
    assert run("plot", "histry", model).code == 2
    for call, reason in (
        (["scatter", model, model, "--count", 3], "The picture scatter has no --count"),
        (
            ["reconstruction", model, model, "--start", 3],
            "The picture reconstruction has no --start",
        ),
        (["images", model, model, "--per-feature"], "The picture images has no --per-feature"),
        (["history", model, model], "The picture history needs no DATA"),
        (["history", model, "--window", 3], "The picture history needs no DATA"),
    ):
        done = run("plot", *call, "-o", tmp_path / "p.png")
        assert (done.code, reason in done.err) == (1, True), done.err
    assert not (tmp_path / "p.png").exists()


def test_a_full_disk_is_reported_in_one_line(run, heartbeats, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    done = run("fit", heartbeats, "-o", tmp_path / "m", "--epochs", 1)
    assert done.code == 1
    message = f"unspool: {tmp_path / 'm'}: cannot be written: No space left on device.\n"
    assert done.err.endswith(message)
    assert not (tmp_path / "m").exists()


def test_an_unknown_demo_is_refused_with_the_names_of_all(run):
    done = run("demo", "two_sins")
    assert done.code == 1
    assert done.err == (
        "unspool: unknown demo 'two_sins': did you mean 'two_sines'? Known are 'digit_images', "
        "'forecast_in_numpy', 'machine_temperature', 'moving_mnist', 'padded_sequences', "
        "'ramp_composite', 'two_sines'.\n"
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "for example with --window 96, or, if each row is a sequence, give --rows."),
        (["--window", 5000], "keep short series as one window with --keep-short."),
    ],
    ids=str,
)
def test_advice_to_cut_windows_names_the_flags_only(run, series, tmp_path, options, message):
    done = run("fit", series, "-o", tmp_path / "m", *options)
    assert done.code == 1
    assert done.err.rstrip().endswith(message)
