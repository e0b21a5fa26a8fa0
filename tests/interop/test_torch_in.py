"""PyTorch modules as people write them become estimators with the same outputs."""

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from tests.interop.torch_modules import CASES, F, Simple, T, Tutorial, made, outputs
from unspool import load, runtime
from unspool.errors import InputError
from unspool.interop.torch import from_torch

X = np.random.default_rng(1).normal(size=(7, T, F)).astype(np.float32)

pytestmark = pytest.mark.filterwarnings("ignore::unspool.errors.NoBetterThanMeanWarning")


def near(got, expected):
    assert got.shape == expected.shape
    assert np.ptp(expected) > 1e-3
    np.testing.assert_allclose(got, expected, rtol=0, atol=1e-5 * max(1, np.abs(expected).max()))


@pytest.mark.parametrize("name", CASES)
def test_the_outputs_are_those_of_the_module(name, tmp_path):
    module, options = made(name)
    estimator, expected = from_torch(module.state_dict(), **options), outputs(module, X)
    method = CASES[name].method
    near(np.asarray(getattr(estimator, method)(X)), expected)
    estimator.save(tmp_path / "m.unspool")
    near(np.asarray(getattr(load(tmp_path / "m.unspool"), method)(X)), expected)
    near(np.asarray(getattr(runtime.load(tmp_path / "m.unspool"), method)(X)), expected)


@pytest.mark.parametrize("name", ["tutorial", "gru bottleneck", "five values", "classes"])
def test_the_architecture_can_be_trained_again(name):
    from sklearn.base import clone

    module, options = made(name)
    estimator = clone(from_torch(module.state_dict(), **options))
    y = {"five values": np.zeros((7, 5)), "classes": np.arange(7) % 4}.get(name)
    fitted = estimator.set_params(epochs=1, validation_split=0.0).fit(X, y)
    assert np.isfinite(np.asarray(getattr(fitted, CASES[name].method)(X))).all()


def test_the_scaling_of_the_training_is_applied_and_undone():
    module, options = made("lstm")
    mean, scale = np.array([1.0, 2, 3]), np.array([0.5, 2, 4])
    estimator = from_torch(module.state_dict(), mean=mean, scale=scale, **options)
    scaled = ((X - mean) / scale).astype(np.float32)
    expected = (outputs(module, scaled) * scale + mean).astype(np.float32)
    near(estimator.reconstruct(X), expected)


def test_the_scaling_of_a_target_is_undone():
    module, options = made("next value")
    estimator = from_torch(module.state_dict(), target_mean=7, target_scale=[3], **options)
    near(estimator.predict(X), outputs(module, X) * 3 + 7)


@pytest.mark.parametrize("suffix", [".pt", ".pth", ".ckpt", ".safetensors"])
def test_files_are_read(tmp_path, suffix):
    module, options = made("tutorial")
    path = tmp_path / f"model{suffix}"
    (save_file if suffix == ".safetensors" else torch.save)(module.state_dict(), path)
    near(from_torch(path, **options).reconstruct(X), outputs(module, X))
    near(from_torch(str(path), **options).reconstruct(X), outputs(module, X))


@pytest.mark.parametrize("key", ["state_dict", "model_state_dict", "model"])
def test_checkpoints_of_training_are_read(tmp_path, key):
    module, options = made("tutorial")
    state = {f"model.{name}": tensor for name, tensor in module.state_dict().items()}
    saved = {"epoch": 3, "optimizer_states": [{"state": {}, "lr": 0.1}], key: state}
    torch.save(saved, tmp_path / "model.ckpt")
    near(from_torch(tmp_path / "model.ckpt", **options).reconstruct(X), outputs(module, X))


def test_prefixes_of_wrappers_are_removed():
    module, options = made("tutorial")
    state = nn.DataParallel(module).state_dict()
    assert all(name.startswith("module.") for name in state)
    near(from_torch(state, **options).reconstruct(X), outputs(module, X))
    compiled = {f"_orig_mod.{name}": tensor for name, tensor in module.state_dict().items()}
    parts = {"encoder": ["encoder.rnn1", "encoder.rnn2"], "head": "decoder.output_layer"}
    parts["decoder"] = ["decoder.rnn1", "decoder.rnn2"]
    near(from_torch(compiled, **parts, **options).reconstruct(X), outputs(module, X))


@pytest.mark.parametrize(
    ("dtype", "tolerance"), [(torch.float16, 0.02), (torch.bfloat16, 0.2), (torch.float64, 1e-5)]
)
def test_other_precisions_are_converted(tmp_path, dtype, tolerance):
    module, options = made("tutorial")
    state = {name: tensor.to(dtype) for name, tensor in module.state_dict().items()}
    save_file(state, tmp_path / "m.safetensors")
    got = from_torch(tmp_path / "m.safetensors", **options).reconstruct(X)
    np.testing.assert_allclose(got, outputs(module, X), rtol=0, atol=tolerance)


def test_arrays_are_accepted_in_place_of_tensors():
    module, options = made("gru")
    state = {name: tensor.numpy() for name, tensor in module.state_dict().items()}
    near(from_torch(state, **options).reconstruct(X), outputs(module, X))


def test_ignored_modules_are_left_out():
    module, options = made("lstm")
    state = module.state_dict() | {"aux.weight": torch.ones(2, 5), "log_sigma": torch.ones(1)}
    options |= {"encoder": "encoder", "decoder": "decoder", "head": "fc"}
    with pytest.raises(InputError, match="the tensor 'log_sigma' of shape"):
        from_torch(state, **options)
    with pytest.raises(InputError, match="nothing reads the module 'aux'"):
        from_torch(state, **options, ignore=["log_sigma"])
    near(
        from_torch(state, **options, ignore=["log_sigma", "aux"]).reconstruct(X), outputs(module, X)
    )


def test_the_caller_s_tensors_are_not_changed():
    module, options = made("tutorial")
    state = module.state_dict()
    before = {name: tensor.clone() for name, tensor in state.items()}
    estimator = from_torch(state, **options)
    estimator.set_params(epochs=1).fit(X)
    assert all(torch.equal(state[name], before[name]) for name in before)


def test_the_names_of_the_tutorial_are_found():
    module = Tutorial()
    estimator = from_torch(module.state_dict(), max_length=T)
    assert estimator.units == (10, 5)
    assert estimator.latent_dim == 5
    assert estimator.decoder == "repeat"


def test_any_number_of_steps_is_accepted():
    module = Simple().eval()
    longer = np.random.default_rng(2).normal(size=(3, 40, F)).astype(np.float32)
    near(from_torch(module.state_dict(), max_length=T).reconstruct(longer), outputs(module, longer))
