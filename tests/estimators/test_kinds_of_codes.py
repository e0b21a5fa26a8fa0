"""Denoising, sparse and variational autoencoders."""

import numpy as np
import pytest
import torch

import unspool
from tests.close import assert_close
from tests.estimators.quick import quick, sines

# Most fits here are far too short to be any good.
pytestmark = pytest.mark.filterwarnings("ignore::unspool.errors.NoBetterThanMeanWarning")

K = 3


def short(**parameters):
    return quick(**{"epochs": 2, "latent_dim": 5, **parameters})


@pytest.fixture(scope="module")
def denoising():
    """Means of the squared error on disturbed input, by what disturbs it and by what was learned.

    Wide codes of short sequences: a model that never saw noise copies it.
    """
    X, rng = sines(n=100, steps=6), np.random.default_rng(1)
    disturbed = {
        "input_noise": X + rng.normal(0, 0.8, X.shape),
        "input_dropout": np.where(rng.random((*X.shape[:2], 1)) < 0.3, X.mean(), X),
    }
    options = {"latent_dim": 24, "patience": None, "bidirectional": False, "validation_split": 0}

    def errors(**learned):
        model = quick(**options, **learned).fit(X)
        return {name: ((model.reconstruct(x) - X) ** 2).mean() for name, x in disturbed.items()}

    return {
        "nothing": errors(),
        "input_noise": errors(input_noise=0.8 / X.std()),
        "input_dropout": errors(input_dropout=0.3),
    }


@pytest.mark.parametrize(("name", "share"), [("input_noise", 0.9), ("input_dropout", 0.7)])
def test_denoising_brings_disturbed_input_closer_to_the_clean_one(denoising, name, share):
    assert denoising[name][name] < share * denoising["nothing"][name]


def test_a_penalty_on_codes_makes_them_smaller_and_sparser():
    X = sines(n=60, steps=12)
    options = {"patience": None, "epochs": 25, "validation_split": 0}
    plain, sparse = (quick(code_l1=weight, **options).fit(X) for weight in (0.0, 0.05))
    assert np.abs(sparse.transform(X)).mean() < 0.6 * np.abs(plain.transform(X)).mean()
    assert (np.abs(sparse.transform(X)) < 0.02).mean() > (np.abs(plain.transform(X)) < 0.02).mean()
    assert sparse.score(X) > 0.8
    assert sparse.history_["code_l1"][-1] == pytest.approx(
        np.abs(sparse.transform(X)).sum(1).mean(), rel=0.1
    )


@pytest.mark.cpu
def test_a_variational_autoencoder_brings_codes_near_the_standard_normal():
    X = sines(n=60, steps=12)
    options = {"patience": None, "epochs": 25, "validation_split": 0}
    loose, tight = (quick(kl_weight=weight, **options).fit(X) for weight in (1e-4, 1.0))

    def moments(model):
        """Mean and variance of codes drawn for all of X."""
        features = model.encoder_.features(torch.from_numpy(model.scaler_.apply(X)), None)
        mean, variance = model.encoder_.projection(features), model.encoder_.log_variance(features)
        assert_close("a code is the mean of its distribution", mean, model.transform(X))
        mean, variance = mean.detach().numpy(), variance.detach().exp().numpy()
        return mean.mean(0), (variance + mean**2).mean(0) - mean.mean(0) ** 2

    (mean, variance), (loose_mean, loose_variance) = moments(tight), moments(loose)
    assert np.abs(mean).max() < 0.5
    assert np.abs(np.log(variance)).max() < 0.5
    assert np.abs(loose_mean).max() > 1
    assert np.abs(np.log(loose_variance)).max() > 1
    assert tight.history_["divergence"][-1] < 0.2 * loose.history_["divergence"][-1]
    np.testing.assert_array_equal(tight.transform(X), tight.transform(X))


def test_options_of_the_code_save_and_load(tmp_path):
    X = sines(n=30, steps=9)
    model = short(kl_weight=0.1, code_l1=0.1, input_noise=0.1, input_dropout=0.1, horizon=K).fit(X)
    model.save(tmp_path / "model.unspool")
    loaded = unspool.load(tmp_path / "model.unspool")
    np.testing.assert_array_equal(loaded.transform(X), model.transform(X))
    np.testing.assert_array_equal(loaded.forecast(X), model.forecast(X))
    assert loaded.history_ == model.history_
    known = {"device": loaded.device, "loss_weights": (1.0, 1.0), "metrics": (), "head_units": ()}
    assert loaded.get_params() == model.get_params() | known
