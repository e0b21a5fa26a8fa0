"""`--missing -200`: numbers that mean that a value is missing."""

import io
import sys

import numpy as np
import pytest

pytestmark = pytest.mark.filterwarnings("ignore::unspool.errors.NoBetterThanMeanWarning")

QUICK = ["--epochs", 1, "--latent-dim", 3, "--seed", 0, "--on-missing", "mask"]
CODE = ["--missing", "-200, -9"]


@pytest.fixture(scope="module")
def air(tmp_path_factory):
    """The same hourly measurements, with missing values as empty cells and as numbers."""
    folder = tmp_path_factory.mktemp("air")
    rng = np.random.default_rng(0)
    values = np.sin(np.arange(120)[:, None] / 4 + np.arange(2)) + 2
    holes = rng.random(values.shape) < 0.1
    holes[60:70] = True
    holes[0, 0] = True

    def write(name, codes):
        lines = ["time;CO;NO"]
        for i, row in enumerate(values):
            cells = [codes[j] if holes[i, j] else f"{row[j]:.2f}" for j in (0, 1)]
            lines.append(";".join([str(i), *cells]).replace(".", ","))
        path = folder / name
        path.write_text("\n".join(lines) + "\n")
        return path

    return write("empty.csv", ["", ""]), write("coded.csv", ["-200", "-9,0"])


def test_every_command_reads_numbers_as_missing_values(run, air, tmp_path):
    empty, coded = air
    outputs = []
    for name, data, options in (("e", empty, []), ("c", coded, CODE)):
        model, written = tmp_path / f"{name}.unspool", []
        done = run("fit", data, *options, "--window", 12, "-o", model, *QUICK)
        assert done.code == 0, done.err
        for command in (["reconstruct", "--impute"], ["encode"], ["score"]):
            done = run(command[0], model, data, *options, *command[1:])
            assert done.code == 0, done.err
            written.append(done.out)
        scores = tmp_path / f"{name}.csv"
        done = run("detect", data, *options, "--model", model, "--scores", scores)
        assert done.code == 0, done.err
        outputs.append([*written, scores.read_text()])
    assert "-200" in coded.read_text()
    assert outputs[0] == outputs[1]


def test_a_model_without_missing_values_refuses_the_numbers(run, air, tmp_path):
    done = run("fit", air[1], *CODE, "--window", 12, "-o", tmp_path / "m.unspool")
    assert done.code == 1
    assert "missing by --missing, the first is -200" in done.err
    assert "give --on-missing interpolate" in done.err


def test_follow_reads_the_numbers_as_missing_values(run, air, tmp_path, monkeypatch):
    empty, coded = air
    detector = tmp_path / "d.unspool"
    done = run(
        "detect",
        empty,
        "--save",
        detector,
        "--on-missing",
        "mask",
        "--normal-until",
        100,
        "--set",
        "epochs=1",
    )
    assert done.code == 0, done.err
    outputs = []
    for data, options in ((empty, []), (coded, CODE)):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data.read_bytes())))
        done = run("detect", "-", "--follow", "--model", detector, *options)
        assert done.code == 0, done.err
        outputs.append(done.out)
    assert outputs[0] == outputs[1]
    assert outputs[0].splitlines()[66].split(",")[1] == ""


@pytest.mark.parametrize("policy", ["interpolate", "drop"])
def test_later_commands_treat_missing_values_as_in_training(run, air, tmp_path, policy):
    model, empty = tmp_path / "m.unspool", tmp_path / "hole.csv"
    lines = air[0].read_text().splitlines()
    lines[1], lines[-1] = "0;1,5;2,5", "119;1,5;2,5"
    empty.write_text("\n".join(lines) + "\n")
    call = ["--window", 6, "--on-missing", policy, "-o", model, *QUICK[:-2]]
    done = run("fit", empty, *call)
    assert done.code == 0, done.err
    done = run("score", model, empty)
    assert done.code == 0, done.err
    assert f"as in training: --on-missing {policy}" in done.err
    rows = len(done.out.splitlines()) - 1
    assert rows == 120 if policy == "interpolate" else rows < 110
    refused = run("score", model, empty, "--on-missing", "raise")
    assert "has no value in data row" in refused.err
    refused = run("score", model, empty, "--on-missing", "mask")
    assert "--on-missing mask needs a model that was trained with --on-missing mask" in refused.err


def test_a_policy_given_as_a_missing_value_is_answered_with_its_option(run, air, tmp_path):
    done = run("fit", air[0], "--window", 6, "--missing", "mask", "-o", tmp_path / "m.unspool")
    assert done.code == 2
    assert "give --on-missing mask" in done.err


def test_detect_drops_steps_and_no_window_crosses_them(run, air, tmp_path):
    out = tmp_path / "scores.csv"
    call = ["detect", air[0], "--on-missing", "drop", "--scores", out, "--set", "epochs=1"]
    done = run(*call, "--window", 5, "--seed", 0)
    assert done.code == 0, done.err
    assert "with a missing value left out, and no window crosses them" in done.err
    scored = [int(line.split(",")[0]) for line in out.read_text().splitlines()[1:]]
    assert not {*range(60, 70)} & {*scored}
