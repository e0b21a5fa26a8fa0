"""`unspool fit` from a trained model, with frozen layers, and with a line for each epoch."""

import json
import re

import numpy as np
import pytest
import torch

import unspool

TINY = ["--epochs", 2, "--seed", 0]


def fitted(run, data, path, *more):
    done = run("fit", data, "--window", 8, "--latent-dim", 3, "-o", path, *TINY, "--quiet", *more)
    assert done.code == 0, done.err
    return unspool.load(path)


@pytest.mark.parametrize("more", [[], ["--horizon", 2], ["--kind", "dense"],
                                  ["--kind", "forecaster", "--horizon", 2]])  # fmt: skip
def test_fit_goes_on_from_a_model_file(run, series, tmp_path, more):
    first = fitted(run, series, tmp_path / "first", *more)
    done = run("fit", series, "--initial", tmp_path / "first", "-o", tmp_path / "second",
               "--set", "learning_rate=1e-30", "--epochs", 1, "--quiet")  # fmt: skip
    assert done.code == 0, done.err
    second = unspool.load(tmp_path / "second")
    assert type(second) is type(first)
    assert second.window_ == first.window_ == (8, 1)
    assert second.get_params()["latent_dim"] == 3
    weights = second.module_.state_dict()
    for name, one in first.module_.state_dict().items():
        np.testing.assert_allclose(weights[name], one, rtol=1e-4, atol=1e-5)


def test_layers_are_frozen_by_name(run, series, tmp_path):
    first = fitted(run, series, tmp_path / "first").module_.state_dict()
    done = run("fit", series, "--initial", tmp_path / "first", "-o", tmp_path / "second",
               "--freeze", "encoder.lstm, reconstruction", "--quiet")  # fmt: skip
    assert done.code == 0, done.err
    second = unspool.load(tmp_path / "second").module_.state_dict()
    changed = {name for name, one in first.items() if not torch.equal(one, second[name])}
    assert changed == {"encoder.projection.weight", "encoder.projection.bias"}


def test_messages_name_the_options(run, series, tmp_path):
    fitted(run, series, tmp_path / "first")
    call = ["fit", series, "--initial", tmp_path / "first", "-o", tmp_path / "second"]
    done = run(*call, "--latent-dim", 4)
    assert done.code == 1
    assert done.err.splitlines()[-1].endswith(
        "The model has other layers than --initial, from which it starts: --latent-dim is 4, but "
        "3 there; set the same parameters, or leave --initial out."
    )
    done = run(*call, "--freeze", "encode")
    assert done.code == 1
    assert "unknown layer in --freeze 'encode': did you mean 'encoder'?" in done.err
    done = run(*call, "--kind", "dense")
    assert done.code == 1
    assert "this is a DenseAutoencoder, but that is a LSTMAutoencoder" in done.err


@pytest.mark.filterwarnings("ignore::unspool.errors.NoBetterThanMeanWarning")
def test_a_classifier_is_not_gone_on_with(run, series, tmp_path):
    X = np.random.default_rng(0).normal(size=(20, 4))
    model = unspool.DenseAutoencoder(2, epochs=1, verbose=0).fit(X)
    classifier = unspool.EncoderClassifier(model, epochs=1, verbose=0).fit(X, np.arange(20) % 2)
    classifier.save(tmp_path / "c")
    done = run("fit", series, "--initial", tmp_path / "c", "-o", tmp_path / "m")
    assert done.code == 1
    assert "holds an EncoderClassifier; train it in Python." in done.err


@pytest.mark.parametrize("option", ["--verbose", "-v"])
def test_verbose_prints_a_line_for_each_epoch(run, series, tmp_path, option):
    call = ["fit", series, "--window", 8, "-o", tmp_path / "m", *TINY]
    done = run(*call, option)
    lines = [line for line in done.err.splitlines() if line.startswith("Epoch ")]
    assert [line.split()[1] for line in lines] == ["1/2", "2/2"]
    assert all(
        re.search(r" - \d+\.\ds - .* - loss: [\d.]+ - .*learning_rate: ", one) for one in lines
    )
    assert "Epoch" not in run(*call).err
    assert run(*call, option, "--quiet").code == 2


def test_a_detector_prints_lines_too(run, series, tmp_path):
    done = run("detect", series, "--normal", series, "--window", 8, "--seed", 0, "--rate", 0.5,
               "-o", tmp_path / "e.csv", "-v")  # fmt: skip
    assert "\nEpoch 1/30 - " in done.err


def test_log_json_writes_a_line_for_each_epoch(run, series, tmp_path):
    path = tmp_path / "log.jsonl"
    model = fitted(run, series, tmp_path / "model", "--log-json", path)
    entries = [json.loads(line) for line in path.read_text().splitlines()]
    assert [one["event"] for one in entries] == ["start", "epoch", "epoch", "end"]
    assert [one["loss"] for one in entries[1:3]] == model.history_["loss"]
    done = run("fit", series, "--window", 8, "-o", tmp_path / "model", *TINY, "--log-json", "-")
    assert [json.loads(line)["event"] for line in done.out.splitlines()][-1] == "end"


def test_a_log_that_cannot_be_written_is_refused_before_reading(run, tmp_path):
    path = tmp_path / "none" / "log.jsonl"
    done = run("fit", "absent.csv", "-o", tmp_path / "model", "--log-json", path)
    assert done.code == 1
    assert "there is no folder" in done.err
