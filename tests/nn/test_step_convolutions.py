"""Convolutions in front of an LSTM, compared with convolutions of single sequences."""

import pytest
import torch
from torch.nn import functional

from tests.close import assert_close
from unspool.blueprint import StepConvolutions as Plan
from unspool.errors import InputError
from unspool.nn import LSTMEncoder
from unspool.nn.step_convolutions import StepConvolutions

PLANS = {
    "one layer": Plan(2, (3,), (3,), (2,)),
    "even kernel": Plan(2, (3,), (4,), (3,), "tanh"),
    "causal": Plan(2, (3, 4), (3, 2), (1, 2), "elu", "causal"),
    "unpadded": Plan(2, (3, 4), (3, 2), (2, 1), "relu", "valid"),
    "unpadded, pooled twice": Plan(2, (3, 4), (2, 2), (2, 2), "linear", "valid"),
    "softmax": Plan(2, (3,), (1,), (2,), "softmax"),
}
ACTIVATIONS = {
    "relu": torch.relu, "tanh": torch.tanh, "elu": functional.elu, "linear": lambda x: x,
    "softmax": lambda x: x.softmax(-1),
}  # fmt: skip


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def modules(plan):
    found = StepConvolutions(plan, generator()).double()
    for layer, _ in zip(found, plan.filters, strict=False):
        torch.nn.init.normal_(layer.bias, generator=generator(1))
    return found


def by_hand(found, x):
    """The outputs for one sequence (T, F), which may have no steps."""
    plan = found.part
    for layer, kernel, pool in zip(found, plan.kernels, plan.pools, strict=False):
        before = {"same": (kernel - 1) // 2, "causal": kernel - 1, "valid": 0}[plan.padding]
        after = 0 if plan.padding == "valid" else kernel - 1 - before
        padded = functional.pad(x, (0, 0, before, after))
        if not len(x) or len(padded) < kernel:
            x = x.new_zeros(0, len(layer.bias))
            continue
        outputs = functional.conv1d(padded.T[None], layer.weight, layer.bias)[0].T
        outputs = ACTIVATIONS[plan.activation](outputs)
        whole = [outputs[i : i + pool] for i in range(0, len(outputs), pool)]
        if plan.padding == "valid":
            whole = [one for one in whole if len(one) == pool]
        x = torch.stack([one.amax(0) for one in whole]) if whole else outputs[:0]
    return x


@pytest.mark.parametrize("name", PLANS)
def test_outputs_are_those_of_each_sequence_alone_whatever_is_in_the_padding(name):
    found = modules(PLANS[name])
    lengths = torch.tensor([11, 7, 4, 3, 1, 0])
    x = torch.randn(6, 11, 2, dtype=torch.float64, generator=generator(2))
    got, ends = found(x, lengths)
    for i, length in enumerate(lengths):
        expected = by_hand(found, x[i, :length])
        assert ends[i] == len(expected)
        assert_close(f"sequence {i}", expected, got[i, : ends[i]])
        assert not got[i, ends[i] :].any()
    other = torch.where(torch.arange(11)[:, None] < lengths[:, None, None], x, 1e6)
    assert torch.equal(found(other, lengths)[0], got)
    whole, same = found(x, None)[0], found(x, torch.full((6,), 11))[0]
    assert torch.equal(whole, same)


def test_gradients_do_not_depend_on_the_amount_of_padding():
    found, lengths = modules(PLANS["unpadded"]), torch.tensor([7, 5])
    x = torch.randn(2, 7, 2, dtype=torch.float64, generator=generator(2))
    gradients = []
    for longer in (x, functional.pad(x, (0, 0, 0, 6), value=9.0)):
        outputs, _ = found(longer, lengths)
        gradients.append(torch.autograd.grad((outputs**2).sum(), list(found.parameters())))
    for one, other in zip(*gradients, strict=True):
        assert_close("gradient", one, other)
        assert one.abs().max() > 0


def test_the_output_of_inference_equals_that_of_training_and_has_the_same_bits_alone():
    found = StepConvolutions(Plan(3, (8, 5), (5, 3), (2, 1)), generator())
    lengths, x = torch.tensor([40, 23, 9]), torch.randn(3, 40, 3, generator=generator(2))
    trained, _ = found(x, lengths)
    with torch.inference_mode():
        inferred, ends = found(x, lengths)
        assert_close("outputs", trained.detach(), inferred)
        for i, length in enumerate(lengths):
            alone, _ = found(x[i : i + 1, :length], lengths[i : i + 1])
            assert torch.equal(alone[0], inferred[i, : ends[i]])


def encoder(pool=1, **options):
    plan = Plan(3, (4,), (3,), (pool,), **options)
    return LSTMEncoder(3, 5, convolutions=plan, generator=generator())


def test_codes_after_every_step_are_those_of_the_first_steps():
    causal, x = encoder(padding="causal"), torch.randn(2, 6, 3, generator=generator())
    codes = causal.encode_by_step(x)
    for step in range(6):
        assert_close(f"step {step}", causal(x[:, : step + 1]), codes[:, step])
    for other in (encoder(), encoder(pool=2, padding="causal")):
        with pytest.raises(InputError) as caught:
            other.encode_by_step(x)
        assert str(caught.value) == (
            "Codes after every step need an encoder that reads step by step, but this one reads "
            "the outputs of convolutions that read later steps or are pooled. Fit it with "
            "conv_padding='causal' and conv_pool_size=1, or with conv_filters=()."
        )


def test_a_sequence_too_short_for_the_kernels_has_the_code_of_an_empty_one():
    unpadded = encoder(padding="valid")
    x = torch.randn(2, 2, 3, generator=generator())
    assert torch.equal(unpadded(x), unpadded(x, torch.tensor([0, 0])))
    assert torch.equal(unpadded(x), unpadded(x[:, :0]))
