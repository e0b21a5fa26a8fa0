"""Compiled optimizers compute what `torch.optim` computes, and can continue with its state."""

import copy
import subprocess
import sys

import numpy as np
import pytest
import torch
from torch import nn

from unspool.errors import InputError
from unspool.training.gradients import Gradients
from unspool.training.optimizers import OPTIMIZERS, CompiledOptimizer, make_optimizer
from unspool.training.tensor_table import BLOCK

SHAPES = [(3, 5), (1,), (BLOCK + 3,), (7, 4, 2), ()]  # one of them has two blocks


def weights(seed=0):
    generator = torch.Generator().manual_seed(seed)
    return [nn.Parameter(torch.randn(shape, generator=generator)) for shape in SHAPES]


def pair(name, **options):
    """Return equal weights and their optimizers, compiled and of PyTorch."""
    ours, theirs = weights(), weights()
    compiled = make_optimizer(name, ours, **options)
    assert isinstance(compiled, CompiledOptimizer)
    given = {"learning_rate": "lr", "weight_decay": "weight_decay"}
    options = {given[key]: value for key, value in options.items()}
    return ours, compiled, theirs, OPTIMIZERS[name](theirs, **options)


def draw_gradients(generator, *of, skip=()):
    """Set equal gradients of very different sizes; those of weights in `skip` are None."""
    for number, shape in enumerate(SHAPES):
        size = 10.0 ** float(torch.empty(()).uniform_(-4, 2, generator=generator))
        gradient = size * torch.randn(shape, generator=generator)
        for all_weights in of:
            one = all_weights[number]
            one.grad = None if number in skip else gradient.to(one.dtype, copy=True)


def assert_close(ours, theirs):
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_hundred_steps_of_each_optimizer_are_those_of_pytorch(name):
    ours, compiled, theirs, reference = pair(name)
    generator = torch.Generator().manual_seed(1)
    for step in range(100):
        draw_gradients(generator, ours, theirs)
        rate = compiled.param_groups[0]["lr"] * (1.03 if step < 30 else 0.97)  # a schedule
        for one in (compiled, reference):
            one.param_groups[0]["lr"] = rate
            one.step()
    assert_close(ours, theirs)
    for number, expected in reference.state_dict()["state"].items():
        state = compiled.state_dict()["state"][number]
        assert set(state) >= set(expected) - {"momentum_buffer"}
        for key, value in expected.items():
            if value is not None:
                size = float(value.abs().max())
                torch.testing.assert_close(state[key], value, rtol=0, atol=1e-6 * size)


@pytest.mark.parametrize("decay", [0.0, 0.004, 0.3])
def test_weight_decay_is_that_of_adamw(decay):
    ours, compiled, theirs, reference = pair("adamw", learning_rate=0.05, weight_decay=decay)
    generator = torch.Generator().manual_seed(2)
    for _ in range(100):
        draw_gradients(generator, ours, theirs)
        compiled.step()
        reference.step()
    assert_close(ours, theirs)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_weights_without_gradients_remain_and_count_no_step(name):
    ours, compiled, theirs, reference = pair(name)
    generator = torch.Generator().manual_seed(3)
    before = [one.detach().clone() for one in ours]
    for step in range(12):
        draw_gradients(generator, ours, theirs, skip={0, 3} if step % 3 else {0})
        compiled.step()
        reference.step()
    assert torch.equal(ours[0], before[0])
    assert_close(ours, theirs)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_the_state_of_pytorch_is_continued_and_the_other_way_round(name):
    ours, compiled, theirs, reference = pair(name)
    generator = torch.Generator().manual_seed(4)
    for _ in range(5):
        draw_gradients(generator, ours, theirs)
        compiled.step()
        reference.step()
    state, other = copy.deepcopy(compiled.state_dict()), copy.deepcopy(reference.state_dict())
    compiled.load_state_dict(other)
    reference.load_state_dict({**other, "state": state["state"]})
    for _ in range(5):
        draw_gradients(generator, ours, theirs)
        compiled.step()
        reference.step()
    assert_close(ours, theirs)


def test_an_empty_state_begins_anew():
    ours, compiled, theirs, reference = pair("adam")
    generator = torch.Generator().manual_seed(5)
    fresh = copy.deepcopy(compiled.state_dict())
    draw_gradients(generator, ours)
    compiled.step()
    with torch.no_grad():
        for one, other in zip(ours, theirs, strict=True):
            one.copy_(other)
    compiled.load_state_dict(fresh)
    draw_gradients(generator, ours, theirs)
    compiled.step()
    reference.step()
    assert_close(ours, theirs)


def test_weights_may_be_replaced_between_steps():
    ours, compiled, theirs, reference = pair("sgd")
    generator = torch.Generator().manual_seed(6)
    for _ in range(3):
        for all_weights in (ours, theirs):
            all_weights[0].data = torch.ones(SHAPES[0])
        draw_gradients(generator, ours, theirs)
        compiled.step()
        reference.step()
    assert_close(ours, theirs)
    assert not torch.equal(ours[0], torch.ones(SHAPES[0]))


def test_gradients_with_gaps_in_memory_are_read_in_their_order():
    weight = nn.Parameter(torch.zeros(2, 3))
    weight.grad = torch.arange(6.0).view(3, 2).T
    make_optimizer("sgd", [weight], 1.0).step()
    assert torch.equal(weight, -torch.arange(6.0).view(3, 2).T)


def test_a_step_counts_as_a_change_in_place():
    weight = nn.Parameter(torch.ones(3))
    loss = (weight * weight).sum()
    weight.grad = torch.ones(3)
    make_optimizer("adam", [weight]).step()
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


def test_a_model_that_is_converted_while_it_trains_is_an_error():
    weight = nn.Parameter(torch.ones(3))
    optimizer = make_optimizer("adam", [weight])
    weight.data = weight.data.double()
    weight.grad = torch.ones(3, dtype=torch.float64)
    with pytest.raises(InputError) as error:
        optimizer.step()
    assert str(error.value) == (
        "The weights are no longer contiguous float32 values on the CPU; do not move or convert a "
        "model while it trains."
    )


def test_other_weights_than_float32_have_an_optimizer_of_pytorch():
    double = nn.Parameter(torch.ones(3, dtype=torch.float64))
    assert type(make_optimizer("adam", [double])) is torch.optim.Adam


@pytest.mark.parametrize("limit", [None, 1e-3, 7.0, 1e9])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_gradients_are_clipped_like_those_of_pytorch(limit, dtype):
    ours, theirs = ([nn.Parameter(one.detach().to(dtype)) for one in weights()] for _ in range(2))
    generator = torch.Generator().manual_seed(7)
    gradients = Gradients(ours)
    for skip in ((), (2,)):
        draw_gradients(generator, ours, theirs, skip=skip)
        norm = gradients.clip(limit)
        expected = nn.utils.clip_grad_norm_(theirs, limit or 1e30)
        assert float(norm) == pytest.approx(float(expected), rel=1e-6)
        for one, other in zip(ours, theirs, strict=True):
            torch.testing.assert_close(one.grad, other.grad, rtol=1e-6, atol=0)
            assert (one.grad is None) == (other.grad is None)


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_gradients_that_are_not_finite_remain_unchanged(value, dtype):
    weight, other = (nn.Parameter(torch.ones(3, dtype=dtype)) for _ in range(2))
    weight.grad, other.grad = torch.tensor([1.0, value, 3.0], dtype=dtype), other.detach().clone()
    norm = Gradients([weight, other]).clip(0.5)
    assert not np.isfinite(float(norm))
    assert torch.equal(other.grad, torch.ones(3, dtype=dtype))
    assert weight.grad[0] == 1.0


def test_weights_without_any_gradient_have_no_norm():
    assert Gradients(weights()).clip(1.0) is None


def test_training_on_the_cpu_does_not_import_the_compiler_of_pytorch():
    code = """
import sys
import numpy as np
from unspool import LSTMAutoencoder
X = np.random.default_rng(0).normal(size=(9, 4, 1))
LSTMAutoencoder(2, epochs=1, verbose=0).fit(X).transform(X)
print(sorted(one for one in sys.modules if one.split(".")[:2] == ["torch", "_dynamo"]))
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout == "[]\n"
