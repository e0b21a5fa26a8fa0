"""Losses by feature and loss functions on tensors: formulas, NumPy, gradients and weights."""

import numpy as np
import pytest
import torch
from torch.autograd import gradcheck

from unspool import _losses
from unspool._loss_parameter import LossFunction, read_loss
from unspool.blueprint.activations import MixedActivation, activation_for
from unspool.nn.dense import ACTIVATIONS, make_activation
from unspool.nn.losses import LOSSES, count_values, loss_values, masked_sum
from unspool.runtime import dense as dense_functions

B, T, F = 4, 5, 7
LENGTHS = torch.tensor([5, 0, 2, 3])
LOSS = read_loss(
    {(1, 4, 6): "categorical_crossentropy", 3: "binary_crossentropy", 0: "huber", "*": "mae"}, F
)
# A second category, whose columns are next to each other.
TWO = read_loss({(5, 3): "categorical_crossentropy", (0, 1, 2): "categorical_crossentropy"}, F)


def normal(*shape, seed=0):
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def batch(loss):
    """Predictions and targets (B, T, F), of which those of cross-entropies are probabilities."""
    prediction, target = normal(B, T, F), normal(B, T, F, seed=1)
    for tensor in (prediction, target):
        for name, columns in loss.parts:
            here = (..., list(columns))
            if name == "categorical_crossentropy":
                tensor[here] = tensor[here].softmax(-1)
            elif name == "binary_crossentropy":
                tensor[here] = tensor[here].sigmoid()
    return prediction, target


@pytest.mark.parametrize("loss", [LOSS, TWO])
def test_each_column_has_its_loss(loss):
    prediction, target = batch(loss)
    values = loss_values(prediction, target, loss)
    for name, columns in loss.parts:
        here = (..., list(columns))
        expected = LOSSES[name](prediction[here], target[here])
        torch.testing.assert_close(values[here], expected, rtol=0, atol=0)
    assert sorted(c for part in loss.parts for c in part.columns) == list(range(F))


@pytest.mark.parametrize("loss", [LOSS, TWO])
def test_numpy_computes_the_values_of_torch(loss):
    prediction, target = batch(loss)
    values = loss_values(prediction, target, loss).numpy()
    arrays = prediction.numpy(), target.numpy()
    np.testing.assert_allclose(_losses.loss_values(*arrays, loss), values, rtol=1e-12)
    by_step = _losses.step_errors(*arrays, loss)
    np.testing.assert_allclose(by_step, values.sum(-1) / loss.values_per_step, rtol=1e-12)
    errors = _losses.feature_errors(*arrays, loss)
    for name, columns in loss.parts:
        here = (..., list(columns))
        expected = values[here]
        if name == "categorical_crossentropy":
            expected = expected.sum(-1, keepdims=True) + 0 * expected
        np.testing.assert_allclose(errors[here], expected, rtol=1e-12)


@pytest.mark.parametrize(("loss", "per_step"), [(LOSS, 5), (TWO, 4)])
def test_a_category_counts_once_per_step(loss, per_step):
    assert loss.values_per_step == per_step
    assert count_values(normal(B, T, F), LENGTHS, loss) == 10 * per_step
    assert sum(map(loss.values_of, loss.columns_by_loss)) == per_step


@pytest.mark.parametrize("loss", [LOSS, TWO])
def test_gradients_are_those_of_finite_differences(loss):
    prediction, target = batch(loss)
    assert gradcheck(
        lambda p: masked_sum(loss_values(p, target, loss, LENGTHS), LENGTHS),
        prediction.requires_grad_(),
    )


def test_weights_of_features_multiply_the_values_of_their_columns():
    prediction, target = batch(LOSS)
    weights = normal(1, 1, F, seed=2).abs()
    values = loss_values(prediction, target, LOSS)
    expected = sum(
        weights[0, 0, c] * values[i, :n, c].sum() for c in range(F) for i, n in enumerate(LENGTHS)
    )
    torch.testing.assert_close(masked_sum(values, LENGTHS, weights), expected)


def test_a_value_of_a_step_has_the_mean_weight_of_its_features():
    prediction, target = normal(B, T, F), normal(B, T, F, seed=1)
    squares = LossFunction("squares", lambda p, t: (p - t).square().mean(-1))
    values = loss_values(prediction, target, squares)
    assert values.shape == (B, T, 1)
    assert count_values(values, LENGTHS, squares) == 10
    weights = normal(B, 1, F, seed=2).abs()
    expected = masked_sum(values, LENGTHS, weights.mean(-1, keepdim=True))
    torch.testing.assert_close(masked_sum(values, LENGTHS, weights), expected)


@pytest.mark.parametrize("filler", [0.0, float("inf"), -3.0])
def test_the_padding_changes_neither_the_loss_of_a_function_nor_its_gradient(filler):
    root = LossFunction("root", lambda p, t: (p - t).square().sum(-1).sqrt())
    prediction, target = normal(B, T, F), normal(B, T, F, seed=1)
    real = torch.arange(T) < LENGTHS[:, None]
    found = []
    for value in (1.0, filler):
        read = torch.where(real[:, :, None], prediction, value).requires_grad_()
        total = masked_sum(loss_values(read, target, root, LENGTHS), LENGTHS)
        (gradient,) = torch.autograd.grad(total, read)
        assert not gradient[~real].any()
        found.append((total.detach(), gradient))
    for got, expected in zip(*found, strict=True):
        torch.testing.assert_close(got, expected, rtol=0, atol=0)


@pytest.mark.parametrize("loss", [LOSS, TWO])
@pytest.mark.parametrize("others", ["linear", "tanh", "sigmoid"])
def test_each_column_has_the_activation_that_its_loss_needs(loss, others):
    plan = activation_for(loss, others)
    assert isinstance(plan, MixedActivation)
    x = normal(B, T, F)
    output = make_activation(plan)(x)
    for name, columns in loss.parts:
        here = (..., list(columns))
        names = {"categorical_crossentropy": "softmax", "binary_crossentropy": "sigmoid"}
        expected = ACTIVATIONS[names.get(name, others)]()(x[here])
        torch.testing.assert_close(output[here], expected, rtol=1e-14, atol=0)
    np.testing.assert_allclose(dense_functions.activation(plan)(x.numpy()), output, rtol=1e-12)


def test_one_activation_for_all_columns_is_that_activation():
    assert activation_for(read_loss({(0, 1): "binary_crossentropy"}, 2), "tanh") == "sigmoid"
    assert activation_for(read_loss({(0, 1): "categorical_crossentropy"}, 2), "relu") == "softmax"
    assert activation_for(read_loss({0: "mae"}, 2), "relu") == "relu"
