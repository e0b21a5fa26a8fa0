"""Dense modules, compared with explicit matrix products."""

import numpy as np
import pytest
import torch

from tests.close import assert_close
from unspool.errors import InputError
from unspool.nn.dense import ACTIVATIONS
from unspool.nn.feedforward import DenseDecoder, DenseEncoder, pad_to


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def product(x, linear):
    return x @ linear.weight.detach().double().numpy().T + linear.bias.detach().double().numpy()


def with_biases(module):
    for name, weight in module.named_parameters():
        if name.endswith("bias"):
            torch.nn.init.normal_(weight, generator=generator(1))
    return module.double()


def test_an_encoder_applies_its_layers_to_the_whole_sequence():
    encoder = with_biases(
        DenseEncoder(
            2, 5, 3, units=(7, 4), activation="tanh", code_activation="relu", generator=generator()
        )
    )
    x = torch.randn(6, 5, 2, dtype=torch.float64, generator=generator())
    first, _, second, _, third, _ = encoder.layers
    hidden = np.tanh(product(x.numpy().reshape(6, 10), first))
    code = np.maximum(0, product(np.tanh(product(hidden, second)), third))
    assert_close("code", code, encoder(x))
    assert (code > 0).any()
    assert encoder.projection is None


def test_a_decoder_returns_all_steps_of_its_last_layer():
    decoder = with_biases(
        DenseDecoder(
            3, 2, 5, units=(4,), activation="relu", output_activation="tanh", generator=generator()
        )
    )
    code = torch.randn(6, 3, dtype=torch.float64, generator=generator())
    first, _, second, *_ = decoder.head
    hidden = np.maximum(0, product(code.numpy(), first))
    expected = np.tanh(product(hidden, second)).reshape(6, 5, 2)
    assert_close("sequence", expected, decoder(code, 5))
    assert_close("fewer steps", expected[:, :2], decoder(code, 2))


def test_amount_and_values_of_padding_change_nothing():
    encoder = DenseEncoder(2, 9, 4, generator=generator())
    lengths = torch.tensor([9, 4, 0])
    x = torch.randn(3, 9, 2, generator=generator())
    x[1, 4:], x[2] = 1e3, -7.0
    clean = x.clone()
    clean[1, 4:], clean[2] = 0, 0
    assert torch.equal(encoder(x, lengths), encoder(clean, lengths))
    assert_close("cut", encoder(x, lengths)[1:], encoder(x[1:, :4], lengths[1:]))


def test_sequences_are_padded_at_their_ends():
    x = torch.ones(2, 3, 1)
    assert pad_to(5, x)[:, :, 0].tolist() == [[1, 1, 1, 0, 0]] * 2
    assert torch.equal(pad_to(3, x), x)
    with pytest.raises(InputError) as caught:
        pad_to(2, x)
    assert str(caught.value) == (
        "Expected sequences of at most 2 steps, got 3. Dense and convolutional models cannot "
        "read longer sequences than in `fit`; fit it again, or cut the sequences."
    )


def test_a_variational_encoder_computes_mean_and_variance_from_the_last_layer():
    encoder = with_biases(
        DenseEncoder(1, 4, 3, units=(6,), variational=True, generator=generator())
    )
    x = torch.randn(5, 4, 1, dtype=torch.float64, generator=generator())
    last = encoder.layers(x.flatten(1)).detach().numpy()
    mean, log_variance = product(last, encoder.projection), product(last, encoder.log_variance)
    code, divergence = encoder.eval().sample(x)
    assert_close("mean", mean, code)
    expected = 0.5 * (mean**2 + np.exp(log_variance) - 1 - log_variance).sum(1)
    assert_close("divergence", expected, divergence)


def test_the_same_seed_makes_the_same_weights():
    def weights(seed):
        parts = (DenseEncoder(2, 3, 4, generator=generator(seed)),
                 DenseDecoder(4, 2, 3, generator=generator(seed)))  # fmt: skip
        return torch.cat([w.flatten() for part in parts for w in part.parameters()])

    assert torch.equal(weights(1), weights(1))
    assert not torch.equal(weights(1), weights(2))


@pytest.mark.parametrize("name", sorted(set(ACTIVATIONS) - {"softmax"}))
def test_an_activation_has_the_same_bits_at_any_place_of_an_array(name):
    activation, x = ACTIVATIONS[name](), torch.randn(99, generator=generator()) * 3
    with torch.inference_mode():
        alone = torch.cat([activation(one.clone()) for one in x.split(1)])
        for count in range(1, 100):
            assert torch.equal(activation(x[:count].clone()), alone[:count])
    torch.testing.assert_close(alone, activation(x), rtol=2e-6, atol=1e-6)
