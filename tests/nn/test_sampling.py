"""Draws from outputs that are probabilities, by how often they fall."""

import numpy as np
import pytest
import torch

from unspool.errors import InputError
from unspool.nn.sampling import sampler

BINARY, CATEGORICAL = "binary_crossentropy", "categorical_crossentropy"
CHANCES = torch.tensor([0.6, 0.3, 0.1])


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def many(n=20000):
    return CHANCES.expand(n // 10, 10, 3)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
@pytest.mark.parametrize("loss", [BINARY, CATEGORICAL])
def test_draws_fall_as_often_as_they_should(loss, temperature):
    drawn = sampler(loss, temperature, generator())(many())
    assert drawn.shape == many().shape
    assert drawn.dtype == many().dtype
    assert set(drawn.unique().tolist()) == {0.0, 1.0}
    p = CHANCES.numpy().astype(np.float64)
    if loss == CATEGORICAL:
        assert (drawn.sum(2) == 1).all()
        expected = p ** (1 / temperature) / (p ** (1 / temperature)).sum()
    else:
        odds = (p / (1 - p)) ** (1 / temperature)
        expected = odds / (1 + odds)
        together = (drawn[..., 0] * drawn[..., 1]).mean().item()
        assert together == pytest.approx(expected[0] * expected[1], abs=0.015)
    np.testing.assert_allclose(drawn.mean((0, 1)), expected, atol=0.015)


@pytest.mark.parametrize(
    ("loss", "expected"), [(BINARY, [1.0, 0.0, 0.0]), (CATEGORICAL, [1.0, 0.0, 0.0])]
)
def test_temperature_0_takes_the_likeliest(loss, expected):
    noise = generator()
    before = noise.get_state()
    drawn = sampler(loss, 0, noise)(many(20))
    assert drawn.tolist() == [[expected] * 10] * 2
    assert torch.equal(noise.get_state(), before)
    almost = sampler(loss, 0.01, generator())(many(2000))
    assert torch.equal(almost, torch.tensor(expected).expand_as(almost))


def test_binary_draws_of_temperature_0_may_be_none_or_all():
    draw = sampler(BINARY, 0)
    assert draw(torch.tensor([[0.4, 0.2], [0.9, 0.51]])).tolist() == [[0, 0], [1, 1]]


@pytest.mark.parametrize("temperature", [0.0, 0.3, 1.0, 3.0])
def test_what_is_certain_happens_and_what_is_outside_0_to_1_is_as_certain(temperature):
    certain = torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.7, -0.4]]).repeat(300, 1)
    for loss in (BINARY, CATEGORICAL):
        drawn = sampler(loss, temperature, generator())(certain)
        share = (drawn == certain.clamp(0, 1)).all(1).float().mean()
        assert share > (0.97 if temperature == 3 else 0.9999)


@pytest.mark.parametrize("loss", [BINARY, CATEGORICAL])
def test_the_generator_decides(loss):
    one, again, other = (sampler(loss, 1.0, generator(seed))(many(200)) for seed in (0, 0, 1))
    assert torch.equal(one, again)
    assert not torch.equal(one, other)


@pytest.mark.parametrize("loss", [BINARY, CATEGORICAL])
@pytest.mark.parametrize("temperature", [0.0, 1.0])
@pytest.mark.parametrize("shape", [(3,), (2, 3), (0, 4, 3), (2, 0, 3)])
def test_any_number_of_axes_and_of_steps(loss, temperature, shape):
    drawn = sampler(loss, temperature, generator())(torch.full(shape, 1 / 3))
    assert drawn.shape == shape


@pytest.mark.parametrize("loss", ["mse", "huber"])
def test_outputs_that_are_no_probabilities_cannot_be_drawn(loss):
    with pytest.raises(InputError) as caught:
        sampler(loss, 1.0)
    assert str(caught.value) == (
        "`temperature` needs outputs that are probabilities (a cross-entropy loss), but this model "
        f"was trained with loss={loss!r}. Leave `temperature` out."
    )
