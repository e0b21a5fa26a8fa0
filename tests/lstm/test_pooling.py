"""Statistics of an encoder's states: in PyTorch, in NumPy, and one step at a time."""

import numpy as np
import pytest
import torch

from tests.close import assert_close
from unspool.blueprint.layers import POOLINGS, VARIANCE_FLOOR
from unspool.lstm import pooling
from unspool.nn import LSTMEncoder
from unspool.runtime.pooling import RunningPool, pooled, pooled_parts

STATISTICS = POOLINGS["all"]
LENGTHS = np.array([7, 7, 4, 2, 1, 0])
B, T, S = len(LENGTHS), 7, 3


def states(dtype=torch.float64, seed=0):
    """Draw states, and take the last real one of each sequence."""
    generator = torch.Generator().manual_seed(seed)
    h = torch.randn(B, T, S, generator=generator, dtype=dtype)
    last = torch.stack([one[max(n - 1, 0)] * (n > 0) for one, n in zip(h, LENGTHS, strict=True)])
    return h, last


def by_torch(statistics, h, last, lengths=None):
    """Return the statistics concatenated, as an encoder uses them."""
    return pooling.pooled(statistics, h, last, lengths).flatten(1)


def by_hand(h, last, statistics=STATISTICS):
    rows = []
    for one, end, n in zip(h.numpy(), last.numpy(), LENGTHS, strict=True):
        real = one[:n] if n else end[None]
        found = {"last": end, "mean": real.mean(0), "max": real.max(0), "min": real.min(0)}
        found["std"] = np.sqrt(real.var(0) + VARIANCE_FLOOR) if n else np.zeros(S)
        rows.append(np.concatenate([found[name] for name in statistics]))
    return np.array(rows)


@pytest.mark.parametrize("name", POOLINGS)
def test_each_statistic_is_that_of_the_real_steps(name):
    h, last = states()
    found = by_torch(POOLINGS[name], h, last, torch.from_numpy(LENGTHS))
    np.testing.assert_allclose(found, by_hand(h, last, POOLINGS[name]), rtol=1e-12, atol=1e-12)


def test_without_lengths_all_steps_are_real():
    h, last = states()
    full = torch.full((B,), T)
    np.testing.assert_allclose(
        by_torch(STATISTICS, h, last), by_torch(STATISTICS, h, last, full), rtol=1e-12
    )


def test_states_past_the_end_change_neither_value_nor_gradient():
    results = []
    for filling in (0.0, 1e6):
        h, last = states()
        past = torch.arange(T) >= torch.from_numpy(LENGTHS)[:, None]
        h[past] = filling
        h.requires_grad_()
        found = by_torch(STATISTICS, h, last, torch.from_numpy(LENGTHS))
        (found * torch.arange(found.numel()).reshape(found.shape)).sum().backward()
        assert (h.grad[past] == 0).all()
        results.append((found.detach().numpy(), h.grad.numpy()))
    np.testing.assert_array_equal(*[value for value, _ in results])
    np.testing.assert_array_equal(*[gradient for _, gradient in results])


def test_gradients_are_those_of_finite_differences():
    h, last = states()
    lengths = torch.from_numpy(LENGTHS)
    torch.autograd.gradcheck(
        lambda h, last: by_torch(STATISTICS, h, last, lengths), (h.requires_grad_(), last)
    )


def test_constant_states_have_a_finite_gradient():
    h = torch.ones(2, T, S, requires_grad=True)
    by_torch(("std",), h, h[:, -1]).sum().backward()
    assert torch.isfinite(h.grad).all()


@pytest.mark.parametrize("steps", [0, 1])
def test_sequences_without_steps_have_the_last_state_and_no_deviation(steps):
    h = torch.ones(2, steps, S)
    found = by_torch(STATISTICS, h, torch.full((2, S), 2.0), torch.zeros(2, dtype=torch.int64))
    np.testing.assert_array_equal(found, np.repeat([[2, 2, 2, 2, 0]], 2, 0).repeat(S, 1))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_a_sequence_has_the_same_bits_alone_and_in_a_padded_batch(dtype):
    generator = torch.Generator().manual_seed(0)
    h = torch.randn(60, 70, 5, generator=generator, dtype=dtype)
    lengths = torch.arange(60) + 11
    among = pooling.pooled(STATISTICS, h, h[:, 0], lengths)
    for row, n in ((0, 11), (8, 19), (59, 70)):
        alone = h[row : row + 1, :n].clone()
        for given in (None, lengths[row : row + 1]):
            found = pooling.pooled(STATISTICS, alone, alone[:, 0], given)
            np.testing.assert_array_equal(found[0], among[row])


PARTS = {  # first step and end of three parts, for sequences of these lengths
    7: [(0, 2), (2, 4), (4, 7)],
    4: [(0, 1), (1, 2), (2, 4)],
    2: [(0, 1), (0, 1), (1, 2)],
    1: [(0, 1), (0, 1), (0, 1)],
}


def test_statistics_of_parts_are_those_of_their_steps():
    h, _ = states()
    names = ("mean", "max", "min", "std")
    found = pooling.pooled_parts(names, h, 3, torch.from_numpy(LENGTHS))
    assert found.shape == (B, 3 * 4, S)
    columns = np.where(np.arange(T)[:, None, None] < LENGTHS, h.numpy().transpose(1, 2, 0), 0)
    twin = pooled_parts(names, columns, 3, LENGTHS)
    np.testing.assert_allclose(twin, found.flatten(1), rtol=1e-6, atol=1e-7)
    for row, n in enumerate(LENGTHS):
        cut = [h[row, first:end].numpy() for first, end in PARTS.get(n, [])]
        expected = [
            [part.mean(0), part.max(0), part.min(0), np.sqrt(part.var(0) + VARIANCE_FLOOR)]
            for part in cut
        ] or np.zeros((3, 4, S))
        np.testing.assert_allclose(found[row], np.reshape(expected, (12, S)), rtol=1e-12)
    whole = pooling.pooled_parts(names, h[:2], 3)
    np.testing.assert_array_equal(whole, found[:2])


@pytest.mark.parametrize("steps", [0, 2])
def test_parts_of_no_steps_are_zero(steps):
    lengths = torch.zeros(2, dtype=torch.int64)
    found = pooling.pooled_parts(("mean", "std"), torch.ones(2, steps, S), 3, lengths)
    np.testing.assert_array_equal(found, np.zeros((2, 6, S)))
    twin = pooled_parts(("mean", "std"), np.ones((steps, S, 2)), 3, lengths.numpy())
    np.testing.assert_array_equal(twin, np.zeros((2, 6 * S)))


def test_the_runtime_computes_the_same_statistics():
    h, last = (each.float() for each in states())
    expected = by_torch(STATISTICS, h, last, torch.from_numpy(LENGTHS))
    past = np.arange(T)[:, None] >= LENGTHS
    columns = np.where(past[:, None], 0, h.numpy().transpose(1, 2, 0)).astype(np.float32)
    found = pooled(STATISTICS, columns, last.numpy(), LENGTHS)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("series", [None, 2])
def test_running_statistics_are_those_of_the_steps_so_far(series):
    h = np.random.default_rng(0).normal(size=(T, S, 2)).astype(np.float32) + 100
    pool = RunningPool(STATISTICS)
    which = 0 if series is None else slice(None)
    for step in range(T):
        pool.add(h[step][:, which])
        last = np.atleast_2d(h[step].T[which])
        lengths = np.full(len(last), step + 1)
        expected = pooled(STATISTICS, h[: step + 1, :, : len(last)], last, lengths)
        np.testing.assert_allclose(pool.pooled(last), expected, rtol=1e-4)


def test_before_the_first_step_running_statistics_are_zero():
    found = RunningPool(STATISTICS).pooled(np.zeros((1, S), np.float32))
    np.testing.assert_array_equal(found, np.zeros((1, 5 * S)))


@pytest.mark.parametrize("name", POOLINGS)
@pytest.mark.parametrize("backend", ["compiled", "torch", "stepwise"])
def test_an_encoder_computes_the_same_codes_on_every_backend(name, backend):
    from unspool.nn import Cell

    def encoder(backend):
        return LSTMEncoder(
            2, 4, units=3, num_layers=2, bidirectional=True, pooling=name,
            cell=Cell(backend=backend), generator=torch.Generator().manual_seed(0),
        )  # fmt: skip

    x = torch.randn(B, T, 2, generator=torch.Generator().manual_seed(1))
    lengths = torch.from_numpy(LENGTHS)
    x[torch.arange(T) >= lengths[:, None]] = 0
    one, other = encoder(backend), encoder("stepwise")
    codes = [each(x, lengths) for each in (one, other)]
    assert_close("codes", *codes)
    for each in codes:
        each.square().sum().backward()
    for (name, mine), theirs in zip(one.named_parameters(), other.parameters(), strict=True):
        assert_close(name, mine.grad, theirs.grad)
