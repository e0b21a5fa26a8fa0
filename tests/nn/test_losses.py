"""Losses and metrics against torch's own and against their formulas."""

import numpy as np
import pytest
import torch
from torch.nn import functional

from tests.close import assert_close
from unspool._losses import MIN_PROBABILITY
from unspool.nn.losses import (
    LOSSES,
    count_values,
    masked_sum,
    metric,
)

BINARY, CATEGORICAL = "binary_crossentropy", "categorical_crossentropy"
LENGTHS = torch.tensor([5, 0, 2, 3])


def uniform(*shape, seed=0):
    return torch.rand(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def shares(*shape, seed=0):
    return torch.softmax(3 * uniform(*shape, seed=seed), -1)


def one_hot(*shape, seed=0):
    *first, last = shape
    return functional.one_hot(uniform(*first, seed=seed).mul(last).long(), last).double()


def test_binary_crossentropy_is_torchs_inside_0_to_1():
    prediction = uniform(4, 5, 3) * 0.998 + 0.001
    for target in (uniform(4, 5, 3, seed=1), uniform(4, 5, 3, seed=1).round()):
        expected = functional.binary_cross_entropy(prediction, target, reduction="none")
        assert_close("loss", expected, LOSSES[BINARY](prediction, target))


def test_categorical_crossentropy_is_torchs_inside_0_to_1():
    logits = 3 * uniform(4, 5, 3)
    for target in (shares(4, 5, 3, seed=1), one_hot(4, 5, 3, seed=1)):
        expected = functional.cross_entropy(
            logits.flatten(0, 1), target.flatten(0, 1), reduction="none"
        ).view(4, 5)
        errors = LOSSES[CATEGORICAL](torch.softmax(logits, -1), target)
        assert_close("loss", expected, errors.sum(2))


def test_probabilities_are_clipped_as_in_keras():
    p = np.array(
        [0.0, 1e-12, 0.5 * MIN_PROBABILITY, MIN_PROBABILITY, 0.3, 1 - MIN_PROBABILITY, 1.0]
    )
    cut = np.clip(p, 1e-7, 1 - 1e-7)  # keras.backend.epsilon()
    for t in (0.0, 0.25, 1.0):
        keras = -(t * np.log(cut) + (1 - t) * np.log(1 - cut))
        got = LOSSES[BINARY](torch.from_numpy(p), torch.tensor(t))
        np.testing.assert_allclose(got, keras, rtol=1e-6, atol=2.1e-6)  # 2e-7 + 10 · 1e-7
    got = LOSSES[CATEGORICAL](torch.from_numpy(p), torch.tensor(1.0))
    np.testing.assert_allclose(got, -np.log(np.maximum(p, 1e-7)), rtol=1e-6)


@pytest.mark.parametrize("target", [0.0, 0.2, 0.9, 1.0])
@pytest.mark.parametrize("outside", [-1e6, -3.0, -1e-3, 1.001, 4.0, 1e6])
def test_outside_0_to_1_the_loss_is_finite_and_its_gradient_points_back(outside, target):
    p = torch.tensor(outside, dtype=torch.float64, requires_grad=True)
    loss = LOSSES[BINARY](p, torch.tensor(target, dtype=torch.float64))
    loss.backward()
    edge = torch.tensor(float(outside > 0), dtype=torch.float64)
    assert torch.isfinite(loss)
    assert loss > LOSSES[BINARY](edge, torch.tensor(target, dtype=torch.float64))
    assert torch.isfinite(p.grad)
    assert p.grad * (1 if outside > 1 else -1) > 0


@pytest.mark.parametrize("loss", [BINARY, CATEGORICAL])
def test_crossentropy_has_the_gradient_of_its_formula_inside(loss):
    prediction = (uniform(3, 4, 2) * 0.9 + 0.05).requires_grad_()
    target = uniform(3, 4, 2, seed=1)
    LOSSES[loss](prediction, target).sum().backward()
    p = prediction.detach()
    expected = -target / p + ((1 - target) / (1 - p) if loss == BINARY else 0)
    assert_close("gradient", expected, prediction.grad, scale=10)


def test_the_other_losses_equal_their_definitions():
    prediction, target = 6 * uniform(4, 5, 3) - 3, uniform(4, 5, 3, seed=1)
    difference = (prediction - target).numpy()
    expected = {
        "mse": difference**2,
        "mae": np.abs(difference),
        "huber": np.where(np.abs(difference) < 1, difference**2 / 2, np.abs(difference) - 0.5),
    }
    assert {*expected, BINARY, CATEGORICAL} == set(LOSSES)
    for name, errors in expected.items():
        assert_close(name, errors, LOSSES[name](prediction, target))
        assert metric(name, BINARY) is LOSSES[name]


def test_binary_accuracy_is_the_share_of_values_on_the_right_side():
    prediction = torch.tensor([[[0.4, 0.6], [0.5, 0.51], [-2.0, 7.0]]])
    target = torch.tensor([[[0.0, 0.0], [0.0, 1.0], [1.0, 1.0]]])
    hits = metric("accuracy", BINARY)(prediction, target)
    assert hits.tolist() == [[[1, 0], [1, 1], [0, 1]]]
    assert (masked_sum(hits, None).item(), count_values(target, None, BINARY)) == (4, 6)


@pytest.mark.parametrize("features", [1, 3])
def test_categorical_accuracy_is_the_share_of_steps_whose_likeliest_feature_is_right(features):
    prediction, target = shares(4, 5, features), one_hot(4, 5, features, seed=1)
    hits = metric("accuracy", CATEGORICAL)(prediction, target)
    assert hits.shape == prediction.shape
    expected = prediction.numpy().argmax(2) == target.numpy().argmax(2)
    assert_close("hits", expected.astype(np.float32), hits.sum(2))
    if features == 3:
        assert 0 < expected.mean() < 1
    real = np.arange(5) < LENGTHS.numpy()[:, None]
    share = masked_sum(hits, LENGTHS) / count_values(target, LENGTHS, CATEGORICAL)
    assert share.item() == pytest.approx(expected[real].mean())


@pytest.mark.parametrize("name", LOSSES)
def test_sums_and_counts_are_over_real_steps(name):
    prediction, target = shares(4, 5, 3), shares(4, 5, 3, seed=1)
    errors = LOSSES[name](prediction, target)
    total = sum(errors[i, :length].sum() for i, length in enumerate(LENGTHS))
    assert_close("sum", total, masked_sum(errors, LENGTHS))
    assert_close("sum", errors.sum(), masked_sum(errors, None))
    by = 1 if name == CATEGORICAL else 3
    assert count_values(target, LENGTHS, name) == 10 * by
    assert count_values(target, None, name) == 20 * by
    assert isinstance(count_values(target, LENGTHS, name), int)


@pytest.mark.parametrize("name", LOSSES)
def test_values_in_padding_have_no_gradient(name):
    prediction = shares(4, 5, 3).requires_grad_()
    target = shares(4, 5, 3, seed=1)
    past = torch.arange(5) >= LENGTHS[:, None]
    target[past] = 99.0
    masked_sum(LOSSES[name](prediction, target), LENGTHS).backward()
    assert not prediction.grad[past].any()
    assert prediction.grad[~past].any(1).all()
