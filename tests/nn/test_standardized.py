"""The linear layer that starts as principal components, and what it leaves behind."""

import numpy as np
import torch
from sklearn.decomposition import PCA
from sklearn.preprocessing import StandardScaler

from unspool.nn.standardized import CODE_STD, Standardized

INPUTS = torch.from_numpy(
    np.float32(
        np.random.default_rng(0).normal(size=(50, 7))
        @ np.random.default_rng(1).normal(size=(7, 90))
        * np.linspace(0.1, 3, 90)
        + 5
    )
)


def started(outputs=4, inputs=INPUTS):
    layer = Standardized(inputs.shape[1], outputs, torch.Generator().manual_seed(0))
    layer.start(inputs)
    return layer


def test_outputs_start_as_principal_components_with_a_small_standard_deviation():
    codes = started()(INPUTS).detach().numpy()
    expected = PCA(4).fit_transform(StandardScaler().fit_transform(INPUTS.double().numpy()))
    expected *= CODE_STD / np.sqrt(expected.var(axis=0).mean())
    np.testing.assert_allclose(abs(codes), abs(expected), atol=1e-4)
    np.testing.assert_allclose(codes.var(axis=0).mean(), CODE_STD**2, rtol=1e-4)


def test_nearly_constant_inputs_have_zero_weights():
    inputs = INPUTS.clone()
    inputs[:, 3] = 5 + 1e-5 * torch.arange(50)
    layer = started(inputs=inputs)
    before = layer(inputs)
    inputs[:, 3] += 100
    assert torch.equal(layer(inputs), before)


def test_outputs_beyond_the_components_are_0_and_can_learn():
    layer = started(outputs=9)  # of 7 factors
    codes = layer(INPUTS)
    assert (codes[:, 7:] == 0).all()
    assert codes[:, :7].std(0).min() > 0.01
    codes.sum().backward()
    assert layer.weight.grad[7:].abs().max() > 0


def test_equal_inputs_are_mapped_to_0():
    layer = started(inputs=torch.ones(5, 90))
    assert not layer(torch.ones(3, 90)).any()


def test_folding_changes_no_output_and_leaves_a_plain_layer():
    layer = started()
    before = layer(INPUTS)
    layer.fold()
    torch.testing.assert_close(layer(INPUTS), before, atol=1e-4, rtol=0)
    torch.testing.assert_close(
        torch.nn.functional.linear(INPUTS, layer.weight, layer.bias), before, atol=1e-4, rtol=0
    )
    assert set(layer.state_dict()) == {"weight", "bias"}
    settled = layer.weight.clone()
    layer.fold()
    assert torch.equal(layer.weight, settled)


def test_unfolding_changes_no_output():
    torch.manual_seed(0)
    layer = Standardized(90, 4)
    before = layer(INPUTS).detach()
    layer.unfold(INPUTS)
    torch.testing.assert_close(layer(INPUTS), before, atol=1e-4, rtol=0)
    standard = (INPUTS - layer.shift) * layer.scale
    torch.testing.assert_close(standard.mean(0), torch.zeros(90), atol=1e-4, rtol=0)
    torch.testing.assert_close(standard.std(0, correction=0), torch.full((90,), CODE_STD * 64 / 90))
    layer.fold()
    torch.testing.assert_close(layer(INPUTS), before, atol=1e-4, rtol=0)
    constant = INPUTS.clone()
    constant[:, 3] = 5
    before = layer(constant).detach()
    layer.unfold(constant)
    torch.testing.assert_close(layer(constant), before, atol=1e-4, rtol=0)
    assert not layer.weight[:, 3].any()


def test_a_step_of_adam_changes_the_output_as_in_a_layer_of_64_inputs():
    layer = started()
    before = layer(INPUTS)
    optimizer = torch.optim.Adam(layer.parameters(), lr=0.005)
    before.sum().backward()
    optimizer.step()
    moved = (layer(INPUTS) - before).abs().max()
    assert 0 < moved < 0.005 * (64 * 4 + 1)  # 64 inputs of at most 4 standard deviations


def test_the_same_inputs_give_the_same_signs():
    assert torch.equal(started().weight, started(inputs=INPUTS.flip(0)).weight.clone()) or (
        torch.allclose(started().weight, started(inputs=INPUTS.flip(0)).weight, atol=1e-4)
    )
