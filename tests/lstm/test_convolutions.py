"""Means over time of dilated convolutions, compared with loops in NumPy."""

import numpy as np
import pytest
import torch

from unspool.errors import InputError
from unspool.lstm import convolutions
from unspool.lstm.convolutions import convolved_means, kernel_means

# Sequences, steps, features, kernels of a dilation, dilations, taps.
SHAPES = [
    (5, 7, 1, 3, (1, 2), 9),
    (9, 50, 2, 17, (1, 2, 4), 9),
    (4, 20, 3, 40, (1, 64), 9),
    (3, 8, 11, 33, (3,), 2),
    (2, 1, 1, 1, (1,), 9),
    (1, 200, 1, 16, (1, 2, 4, 8, 16), 9),
]
dtypes = pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
shapes = pytest.mark.parametrize("shape", SHAPES, ids=str)


def drawn(shape, dtype, *, ragged=True):
    batch, steps, features, each, dilations, taps = shape
    generator = torch.Generator().manual_seed(sum(shape[:4]))

    def normal(*sizes):
        return torch.randn(*sizes, generator=generator, dtype=dtype)

    x, weight = normal(batch, steps, features), normal(each * len(dilations), features, taps)
    lengths = None
    if ragged:
        lengths = torch.randint(0, steps + 1, (batch,), generator=generator)
        lengths[0] = steps
    return x, lengths, weight, normal(len(weight)), dilations


def by_loops(x, lengths, weight, bias, dilations):
    """Compute every mean by its definition, in float64."""
    x, weight, bias = (one.double().numpy() for one in (x, weight, bias))
    (batch, steps, _), (count, _, taps) = x.shape, weight.shape
    found = np.zeros((batch, count))
    for b in range(batch):
        end = steps if lengths is None else int(lengths[b])
        for k in range(count):
            dilation = dilations[k * len(dilations) // count]
            total = 0.0
            for t in range(end):
                response = bias[k]
                for tap in range(taps):
                    place = t - (taps - 1 - tap) * dilation
                    response += weight[k, :, tap] @ x[b, max(place, 0)]
                total += min(max(response / 6 + 0.5, 0.0), 1.0)
            found[b, k] = total / max(end, 1)
    return found


@dtypes
@shapes
@pytest.mark.parametrize("compute", [kernel_means, convolved_means])
def test_means_are_those_of_the_definition(compute, shape, dtype):
    for ragged in (True, False):
        given = drawn(shape, dtype, ragged=ragged)
        atol = 1e-6 if dtype == torch.float32 else 1e-13
        np.testing.assert_allclose(compute(*given).numpy(), by_loops(*given), atol=atol)


@dtypes
@shapes
def test_a_sequence_has_the_same_bits_alone_and_in_a_batch(shape, dtype):
    x, lengths, *kernels = drawn(shape, dtype)
    together = kernel_means(x, lengths, *kernels)
    for b, length in enumerate(lengths):
        alone = kernel_means(x[b : b + 1, : max(int(length), 1)], length[None], *kernels)
        assert torch.equal(alone[0], together[b])


def test_the_number_of_threads_changes_no_bit(monkeypatch):
    given = drawn(SHAPES[1], torch.float32)
    alone = kernel_means(*given)
    monkeypatch.setattr(convolutions, "PRODUCTS_PER_THREAD", 1)
    monkeypatch.setattr(convolutions.threads, "count", lambda: 3)
    assert torch.equal(kernel_means(*given), alone)


def test_padding_is_not_read():
    x, lengths, *kernels = drawn(SHAPES[1], torch.float32)
    expected = kernel_means(x, lengths, *kernels)
    x[torch.arange(x.shape[1]) >= lengths[:, None]] = 1e30
    assert torch.equal(kernel_means(x, lengths, *kernels), expected)


def test_gradients_are_computed_by_pytorch():
    x, lengths, *kernels = drawn((2, 6, 2, 2, (1, 2), 3), torch.float64)
    for one in (x, *kernels[:2]):
        one.requires_grad_()
    assert torch.autograd.gradcheck(
        lambda *inputs: kernel_means(inputs[0], lengths, *inputs[1:], kernels[2]),
        (x, *kernels[:2]),
    )


def test_empty_batches_and_sequences_are_served():
    _, _, *kernels = drawn(SHAPES[0], torch.float32)
    assert kernel_means(torch.zeros(0, 4, 1), None, *kernels).shape == (0, 6)
    assert not kernel_means(torch.zeros(3, 0, 1), None, *kernels).any()
    assert not convolved_means(torch.zeros(3, 0, 1), None, *kernels).any()


def test_the_operator_passes_the_checks_of_pytorch():
    x, lengths, weight, bias, dilations = drawn(SHAPES[0], torch.float32)
    given = (x, lengths, weight, bias, list(dilations))
    torch.library.opcheck(torch.ops.unspool.kernel_means.default, given)


@pytest.mark.parametrize("wrong", ["weight", "bias", "dilations", "lengths", "count"])
def test_arguments_that_do_not_match_raise(wrong):
    x, lengths, weight, bias, dilations = drawn(SHAPES[0], torch.float32)
    given = {"weight": weight, "bias": bias, "dilations": list(dilations), "lengths": lengths}
    given[wrong] = {
        "weight": weight.double(),
        "bias": bias[:-1],
        "dilations": [1, 0],
        "lengths": lengths + 7,
        "count": lengths[:-1],
    }[wrong]
    if wrong == "count":
        given["lengths"] = given.pop(wrong)
    with pytest.raises(InputError, match="Expected"):
        torch.ops.unspool.kernel_means(
            x, given["lengths"], given["weight"], given["bias"], given["dilations"]
        )
