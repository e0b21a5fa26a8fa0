"""How random kernels are drawn and adapted to training sequences."""

import numpy as np
import pytest
import torch

from unspool.blueprint import Kernels as Part
from unspool.lstm.convolutions import convolved
from unspool.nn.random_kernels import SLOPE, RandomKernels


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize(
    ("count", "steps", "dilations", "each"),
    [
        (20, 1, (1,), 20),
        (20, 9, (1,), 20),
        (20, 16, (1,), 20),
        (20, 17, (1, 2), 10),
        (20, 33, (1, 2, 4), 6),
        (512, 1000, (1, 2, 4, 8, 16, 32, 64), 73),
        (2, 1000, (1, 2, 4, 8, 16, 32, 64), 1),
    ],
)
def test_dilations_span_the_sequence(count, steps, dilations, each):
    part = Part.of(count, 3, steps)
    assert (part.dilations, part.each) == (dilations, each)
    assert part.TAPS == 9
    assert (part.TAPS - 1) * max(dilations) < max(steps, 9)


def test_kernels_have_mean_0_and_norm_1_and_read_one_to_nine_features():
    weight = RandomKernels(Part(30, (1, 2), 400), seeded()).weight
    torch.testing.assert_close(weight.mean(2), torch.zeros(800, 30), atol=1e-6, rtol=0)
    torch.testing.assert_close(weight.flatten(1).norm(dim=1), torch.ones(800))
    reads = (weight != 0).any(2).sum(1)
    assert (reads.min(), reads.max()) == (1, 9)
    assert len({tuple(row) for row in (weight != 0).any(2).tolist()}) > 400


def test_adapt_scales_responses_and_sets_biases_to_their_quantiles():
    rng = np.random.default_rng(0)
    lengths = torch.from_numpy(rng.integers(20, 41, 50))
    lengths[3] = 0
    x = torch.from_numpy(np.float32(7 + 0.01 * rng.normal(size=(50, 40, 2)).cumsum(1)))
    real = torch.arange(40) < lengths[:, None]
    x[~real] = 0
    bank = RandomKernels(Part(2, (1, 2), 60), seeded())
    bank.adapt(x, lengths, seeded())
    for place, dilation in enumerate(bank.dilations):
        own = slice(60 * place, 60 * place + 60)
        response = convolved(x, bank.weight[own], dilation).transpose(0, 1)[:, real]  # (60, steps)
        np.testing.assert_allclose(response.std(1, correction=0), 6 * SLOPE, rtol=1e-3)
        below = (response + bank.bias[own, None] < 0).float().mean(1)
        assert 0 <= below.min() < 0.15
        assert 0.85 < below.max() <= 1
        assert 0.35 < below.mean() < 0.65
    means = bank(x, lengths)
    assert (means.min() >= 0, means.max() <= 1) == (True, True)
    assert means[lengths > 0].std(0).min() > 0.005
    assert not means[3].any()


def test_padding_does_not_change_how_kernels_are_adapted():
    x = torch.randn(12, 30, 1, generator=seeded())
    lengths = torch.full((12,), 30)
    found = []
    for more in (0, 5):
        bank = RandomKernels(Part(1, (1, 2), 8), seeded())
        bank.adapt(torch.nn.functional.pad(x, (0, 0, 0, more)), lengths, seeded(1))
        found.append((bank.weight, bank.bias))
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize("x", [torch.zeros(4, 0, 1), torch.full((4, 20, 1), 3.0)])
def test_constant_and_empty_sequences_keep_kernels_finite(x):
    bank = RandomKernels(Part(1, (1, 2), 8), seeded())
    bank.adapt(x, torch.full((4,), x.shape[1]), seeded())
    assert bank.weight.isfinite().all()
    assert bank.bias.isfinite().all()


@pytest.mark.parametrize("steps", [1, 20])
def test_rounding_errors_in_responses_to_constant_sequences_are_not_enlarged(steps):
    levels = torch.randn(50, 1, 3, generator=seeded()) * torch.tensor([1e-3, 1.0, 1e3])
    bank = RandomKernels(Part(3, (1, 2), 40), seeded())
    bank.adapt(levels.expand(-1, steps, -1), None, seeded())
    np.testing.assert_allclose(bank.weight.flatten(1).norm(dim=1), 6 * SLOPE, rtol=1e-5)


def test_kernels_have_no_trainable_parameters():
    bank = RandomKernels(Part(1, (1,), 8), seeded())
    assert not list(bank.parameters())
    assert set(bank.state_dict()) == {"weight", "bias"}
