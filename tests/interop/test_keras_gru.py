"""The recurrence of a GRU compared with that of Keras."""

import keras
import pytest
import torch

from tests.close import assert_close
from unspool.lstm import lstm


@pytest.mark.cpu
@pytest.mark.parametrize("units", [1, 3, 16, 65])
@pytest.mark.parametrize("batch", [1, 15, 16, 33])
def test_states_and_gradients_of_the_compiled_backend_equal_those_of_keras(batch, units):
    keras.utils.set_random_seed(units)
    x = torch.randn(batch, 5, 2, generator=torch.Generator().manual_seed(0))
    layer = keras.layers.GRU(units, return_sequences=True, bias_initializer="glorot_uniform")
    layer.build(x.shape)
    theirs = layer(x)
    theirs.square().sum().backward()
    kernel, recurrent, biases = (weight.value for weight in layer.weights)
    first, second = biases.detach()
    both = first + second
    bias = torch.cat([both[: 2 * units], first[2 * units :], second[2 * units :]])
    weights = [kernel.detach().T.contiguous(), recurrent.detach().T.contiguous(), bias]
    ours = [weight.requires_grad_() for weight in weights]
    h, *_ = lstm(x, *ours, cell="gru", backend="compiled")
    assert_close("h", theirs, h)
    h.square().sum().backward()
    bias = torch.cat([biases.grad[0], biases.grad[1, 2 * units :]])
    for label, one, other in zip(
        ("w_ih", "w_hh", "bias"), (kernel.grad.T, recurrent.grad.T, bias), ours, strict=True
    ):
        assert_close(f"gradient of {label}", one, other.grad)
