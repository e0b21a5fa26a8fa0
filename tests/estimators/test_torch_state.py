"""What PyTorch is set to changes no model, and models leave it as it was."""

import copy
import random
from contextlib import ExitStack, contextmanager

import numpy as np
import pytest
import torch
from torch import nn

import unspool
from tests.estimators.quick import sines
from unspool import (
    ConvAutoencoder,
    DenseAutoencoder,
    EncoderClassifier,
    LSTMAutoencoder,
    LSTMForecaster,
    StackedAutoencoder,
)
from unspool.estimators.batch_runner import runner
from unspool.interop.torch import to_torch

pytestmark = pytest.mark.filterwarnings("ignore::unspool.errors.NoBetterThanMeanWarning")

X, LABELS = sines(24, 9), np.arange(24) % 2
SMALL = {"epochs": 2, "batch_size": 8, "random_state": 0, "verbose": 0}
RANDOM = {"kl_weight": 0.1, "input_noise": 0.1, "input_dropout": 0.1}
MODELS = {
    "lstm": lambda: LSTMAutoencoder(5, num_layers=2, **RANDOM, **SMALL),
    "lstm, fed back": lambda: LSTMAutoencoder(
        5, decoder="previous", teacher_forcing=0.5, bidirectional=False, **SMALL
    ),
    "lstm, one call": lambda: LSTMAutoencoder(5, bidirectional=False, **SMALL),
    "lstm, library": lambda: LSTMAutoencoder(5, backend="torch", **SMALL),
    "forecaster": lambda: LSTMForecaster(5, horizon=2, decoder="dense", **SMALL),
    "dense": lambda: DenseAutoencoder(5, hidden_units=(7,), **RANDOM, **SMALL),
    "stacked": lambda: StackedAutoencoder(5, hidden_units=(7,), fine_tune=True, **SMALL),
    "conv": lambda: ConvAutoencoder(5, filters=(4,), **RANDOM, **SMALL),
    "classifier": lambda: EncoderClassifier(
        LSTMAutoencoder(5, **SMALL), fine_tune=True, head_units=(3,), **SMALL
    ),
}


def outputs(make, path):
    """Everything that a model computes, from its training to what is loaded from a file."""
    model = make()
    model.fit(X, LABELS if isinstance(model, EncoderClassifier) else None)
    model.save(path)
    found = dict(model.history_)
    for place, one in {"fitted": model, "loaded": unspool.load(path)}.items():
        for name in ("transform", "reconstruct", "predict", "predict_proba"):
            if hasattr(one, name):
                found[f"{place} {name}"] = getattr(one, name)(X)
        inner = getattr(one, "autoencoder_", one)
        assert {weight.dtype for weight in inner.module_.parameters()} == {torch.float32}
        assert not any(weight.is_inference() for weight in inner.module_.parameters())
    return found


def assert_equal(found, expected):
    assert list(found) == list(expected)
    for name, value in expected.items():
        np.testing.assert_array_equal(found[name], value, err_msg=name)


@contextmanager
def default(setting, value, before):
    setting(value)
    try:
        yield
    finally:
        setting(before)


SETTINGS = {
    "float64 by default": lambda: default(torch.set_default_dtype, torch.float64, torch.float32),
    "bfloat16 by default": lambda: default(torch.set_default_dtype, torch.bfloat16, torch.float32),
    "another device by default": lambda: default(torch.set_default_device, "meta", None),
    "another device here": lambda: torch.device("meta"),
    "no_grad": torch.no_grad,
    "inference_mode": torch.inference_mode,
    "autocast": lambda: torch.autocast("cpu", torch.bfloat16),
}


@pytest.fixture(scope="module")
def expected(tmp_path_factory):
    folder = tmp_path_factory.mktemp("expected")
    return {name: outputs(make, folder / name) for name, make in MODELS.items()}


@pytest.mark.parametrize("setting", SETTINGS)
@pytest.mark.parametrize("name", ["lstm", "conv"])
def test_settings_of_pytorch_change_nothing(name, setting, expected, tmp_path):
    with SETTINGS[setting]():
        before = settings()
        found = outputs(MODELS[name], tmp_path / "model")
        assert settings() == before
    assert_equal(found, expected[name])


@pytest.mark.parametrize("name", MODELS)
def test_all_settings_of_pytorch_together_change_no_model(name, expected, tmp_path):
    with ExitStack() as together:
        for setting in SETTINGS.values():
            together.enter_context(setting())
        found = outputs(MODELS[name], tmp_path / "model")
    assert_equal(found, expected[name])


def settings():
    return (
        torch.get_default_dtype(),
        torch.empty(0).device,
        torch.is_grad_enabled(),
        torch.is_inference_mode_enabled(),
        torch.is_autocast_enabled("cpu"),
    )


@pytest.mark.parametrize("name", MODELS)
def test_the_random_numbers_of_others_are_left_alone(name, tmp_path):
    def states():
        of_numpy = np.random.get_state()  # noqa: NPY002
        return torch.get_rng_state().tolist(), of_numpy, random.getstate()

    before = copy.deepcopy(states())
    outputs(MODELS[name], tmp_path / "model")
    for now, then in zip(states(), before, strict=True):
        assert repr(now) == repr(then)


@pytest.mark.parametrize("how", [torch.inference_mode, torch.no_grad])
def test_what_was_fitted_or_loaded_without_gradients_can_be_trained(how, tmp_path):
    with how():
        model = MODELS["lstm"]().fit(X)
        model.save(tmp_path / "model")
        loaded = unspool.load(tmp_path / "model")
    for one in (model, loaded):
        EncoderClassifier(one, fine_tune=True, **SMALL).fit(X, LABELS)


def test_between_batches_gradients_are_the_callers_affair():
    model = MODELS["dense"]().fit(X)
    outputs = runner(model).outputs(model._read(X), lambda batch: model.encoder_(batch.x))
    for _ in outputs:
        assert not torch.is_inference_mode_enabled()


@pytest.mark.parametrize("name", ["lstm", "forecaster", "dense", "conv"])
def test_a_plain_module_of_a_model_is_made_alike(name):
    model, before = MODELS[name]().fit(X), torch.get_rng_state()
    expected = to_torch(model)
    assert torch.equal(torch.get_rng_state(), before)
    assert nn.Linear in map(type, expected.modules())
    with ExitStack() as together:
        for setting in SETTINGS.values():
            together.enter_context(setting())
        found = to_torch(model)
    for one, other in zip(found.parameters(), expected.parameters(), strict=True):
        assert one.dtype == torch.float32
        assert one.requires_grad == other.requires_grad
        assert torch.equal(one, other)
