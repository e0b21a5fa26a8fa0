"""Names and values from files are printed without control characters."""

import warnings

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import unspool
from tests.cli.tables import write_csv
from tests.model_file.files import changed, rewrite
from unspool._terminal import printable, printable_line
from unspool.cli import main

pytestmark = pytest.mark.filterwarnings("ignore::unspool.errors.NoBetterThanMeanWarning")

ESC = "\x1b]0;evil\x07\x1b[2J"
T = np.arange(30)


@pytest.fixture
def output_of(capsys, monkeypatch):
    """Run a command line, and return its whole output to stdout and stderr."""
    monkeypatch.setenv("COLUMNS", "500")

    def call(*arguments):
        with pytest.raises(SystemExit):
            main([str(argument) for argument in arguments])
        return "".join(capsys.readouterr())

    return call


def check(text, *expected):
    for character in text:
        assert character.isprintable() or character == "\n", ascii(text)
    for one in expected:
        assert one in text, text


def test_control_characters_are_escaped_and_other_characters_are_unchanged():
    assert printable("Größe 字 é [red] :smile: \\") == "Größe 字 é [red] :smile: \\"
    assert printable("a\x1b[31mb\r\t\0\x7f\x9b") == "a\\x1b[31mb\\r\\t\\x00\\x7f\\x9b"
    assert printable("\u202eab\u2066\u2028\ufeff\udc80\U000e0041") == (
        "\\u202eab\\u2066\\u2028\\ufeff\\udc80\\U000e0041"
    )
    joined = "می\u200cخواهم 👩\u200d🚀 a\u00a0b\u3000c \ue000"
    assert printable(joined) == joined
    assert (printable("a\nb"), printable_line("a\nb")) == ("a\nb", "a\\nb")


COLUMN = f"a{ESC}[red]:smile:"


@pytest.mark.parametrize("color", [None, "1"], ids=["plain", "colors"])
def test_column_names_and_file_names_are_escaped(output_of, tmp_path, monkeypatch, color):
    if color:
        monkeypatch.setenv("FORCE_COLOR", color)
    path = tmp_path / f"a{ESC}\n.parquet"
    pq.write_table(pa.table({COLUMN: np.sin(T), "b\nc": np.cos(T)}), path)
    text = output_of("fit", path, "--window", 8, "-o", tmp_path / f"m{ESC}", "--epochs", 1)
    assert ESC not in text
    assert "\x1b]" not in text
    assert f"a{printable(ESC)}[red]:smile:, b\\nc" in text
    assert f"a{printable(ESC)}\\n.parquet: " in text
    assert f"m{printable(ESC)}" in text


def test_errors_are_escaped(output_of, tmp_path):
    path = write_csv(tmp_path / f"a{ESC}.csv", {COLUMN: np.where(T < 9, T, np.inf)})
    for arguments in (
        ["fit", path, "--window", 8, "-o", tmp_path / "m", "--columns", "aa"],
        ["fit", path, "--window", 8, "-o", tmp_path / "m"],
        ["fit", path, "-o", tmp_path / "m", "--set", f"{ESC}=1"],
        ["score", tmp_path / f"no{ESC}", path],
        ["plot", "history", path, "-o", f"a{ESC}.png"],
        ["export", path, "-o", f"a{ESC}.onnx"],
        ["import", f"a{ESC}.keras", "-o", tmp_path / "m"],
        ["demo", f"two_sines{ESC}"],
        ["encode", path, path, "-o", f"a{ESC}"],
    ):
        check(output_of(*arguments), "\\x1b", "unspool: ")


def test_wrong_usage_is_escaped(output_of):
    for arguments in (
        ["inspect", "a", f"b{ESC}[red]"],  # as where *.unspool finds two files
        [f"fit{ESC}"],
        ["fit", "a", f"--option{ESC}"],
        ["plot", f"history{ESC}", "a"],
    ):
        check(output_of(*arguments), "\\x1b", "unspool: ", " --help")


def test_the_content_of_a_model_file_is_escaped(output_of, tmp_path):
    X = np.sin(T + np.arange(12)[:, None])
    labels = np.array([f"ok{ESC}", "bad[red]\n"])[np.arange(12) % 2]
    unspool.EncoderClassifier(
        unspool.DenseAutoencoder(2, epochs=1, verbose=0), epochs=1, verbose=0
    ).fit(X, labels).save(tmp_path / "classifier")
    check(output_of("inspect", tmp_path / "classifier"), f"bad[red]\\n, ok{printable(ESC)}")

    frame = unspool.Windows(X, 4, feature_names=[f"f{i}{ESC}[b]\n" for i in range(30)])
    unspool.LSTMAutoencoder(2, epochs=1, verbose=0).fit(frame).save(tmp_path / "names")
    rewrite(tmp_path / "names", changed(versions={f"torch{ESC}": f"1{ESC}[i]"}))
    check(
        output_of("inspect", tmp_path / "names"),
        f"f0{printable(ESC)}[b]\\n, f1",
        f"1{printable(ESC)}[i]",
    )

    rewrite(tmp_path / "names", changed(fitted__part=f"model{ESC}"))
    check(output_of("inspect", tmp_path / "names"), "unspool: ")


def test_warnings_are_escaped(output_of, tmp_path, monkeypatch):
    def read(path):
        warnings.warn(f"about {ESC}", UserWarning, stacklevel=1)
        raise unspool.errors.InputError("enough")

    monkeypatch.setattr("unspool.model_file.read", read)
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        text = output_of("export", tmp_path / "a", "-o", tmp_path / "a.onnx")
    assert text == f"unspool: warning: about {printable(ESC)}\nunspool: enough\n"


def test_the_folder_of_a_demo_is_escaped(output_of, tmp_path):
    text = output_of("demo", "forecast_in_numpy", "-o", tmp_path / f"d{ESC}[red]", "--epochs", 1)
    check(text, f"d{printable(ESC)}[red]'.")


def test_data_on_stdout_is_unchanged(run, tmp_path):
    path = write_csv(tmp_path / "a.csv", {COLUMN: np.sin(T)})
    run("fit", path, "--window", 8, "-o", tmp_path / "m", "--epochs", 1, "--latent-dim", 2)
    assert COLUMN in run("reconstruct", tmp_path / "m", path).out.splitlines()[0]
