"""`unspool import` of PyTorch weights."""

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from tests.interop.torch_modules import F, T, made, outputs
from unspool import load

X = np.random.default_rng(1).normal(size=(4, T, F)).astype(np.float32)


@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
def test_weights_become_a_model_and_the_parts_are_named(run, tmp_path, suffix):
    module, _ = made("tutorial")
    path, out = tmp_path / f"m{suffix}", tmp_path / "m.unspool"
    (torch.save if suffix == ".pt" else save_file)(module.state_dict(), path)
    result = run("import", path, "-o", out, "--max-length", T)
    assert result.code == 0
    assert (
        "encoder=encoder.rnn1,encoder.rnn2, decoder=decoder.rnn1,decoder.rnn2, "
        "head=decoder.output_layer"
    ) in result.err
    assert "(--decoder-kind repeat)" in result.err
    np.testing.assert_allclose(load(out).reconstruct(X), outputs(module, X), atol=1e-5)


def test_the_parts_and_their_connection_can_be_given(run, tmp_path):
    module, _ = made("by number")
    path, out = tmp_path / "m.pt", tmp_path / "m.unspool"
    torch.save(module.state_dict(), path)
    result = run("import", path, "-o", out, "--max-length", T)
    assert result.code == 1
    assert "leave open whether 'lstm1' (LSTM 3 to 6) encodes" in result.err
    parts = ["--encoder", "lstm1", "--decoder", "lstm2", "--head", "fc", "--mean", "1,2,3"]
    assert run("import", path, "-o", out, "--max-length", T, *parts, "--scale", 2).code == 0
    mean = np.array([1, 2, 3])
    expected = outputs(module, ((X - mean) / 2).astype(np.float32)) * 2 + mean
    np.testing.assert_allclose(load(out).reconstruct(X), expected, atol=1e-5)


def test_forecasters_and_classifiers_are_converted(run, tmp_path):
    out = tmp_path / "m.unspool"
    for name, method, options in (
        ("four steps", "predict", ["--horizon", 4]),
        ("classes", "predict_proba", ["--classify"]),
    ):
        module, _ = made(name)
        torch.save(module.state_dict(), tmp_path / "m.pt")
        assert run("import", tmp_path / "m.pt", "-o", out, "--max-length", T, *options).code == 0
        np.testing.assert_allclose(getattr(load(out), method)(X), outputs(module, X), atol=1e-5)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("m.pt", [], "add --max-length N"),
        ("m.pt", ["--max-length", 9, "--mean", "a"], "--mean needs numbers separated by commas"),
        ("m.pt", ["--max-length", 9, "--second-input", "previous"], "--second-input is for Keras"),
        ("m.pt", ["--max-length", 9, "--forecast", "--classify"], "exclude each other"),
        ("m.keras", ["--decoder-kind", "state"], "--decoder-kind is for PyTorch weights"),
        ("m.keras", ["--ignore", "a"], "--ignore is for PyTorch weights"),
        ("m.keras", ["--target-scale", "2"], "--target-scale is for PyTorch weights"),
    ],
)
def test_an_option_that_does_not_fit_is_refused(run, tmp_path, name, options, message):
    module, _ = made("lstm")
    torch.save(module.state_dict(), tmp_path / name)
    result = run("import", tmp_path / name, "-o", tmp_path / "m.unspool", *options)
    assert result.code == 1
    assert message in " ".join(result.err.split())
    assert not (tmp_path / "m.unspool").exists()
