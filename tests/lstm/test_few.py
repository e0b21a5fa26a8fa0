"""Few sequences without gradients: kernels that are called without PyTorch's dispatcher."""

import warnings
from dataclasses import replace
from unittest.mock import patch

import numpy as np
import pytest
import torch
from torch._subclasses import FakeTensorMode

from tests.lstm.cases import GRU, RESULTS, Case, call, tensors
from unspool.errors import InputError
from unspool.lstm import few, lstm
from unspool.lstm.pooling import STATISTICS
from unspool.nn import LSTM

CASE = Case(3, 9, 4, 20, 2, ragged=True)
CASES = [CASE, replace(CASE, cell=GRU), replace(CASE, reverse=True, B=1), replace(CASE, B=8, H=33)]
TINY = float(np.finfo(np.float32).tiny)


@pytest.mark.parametrize("case", CASES, ids=str)
@pytest.mark.parametrize("options", [{}, {"statistics": STATISTICS}], ids=["states", "statistics"])
def test_inference_mode_computes_the_same_bits_without_the_dispatcher(case, options):
    inputs, _, lengths = tensors(case)
    wanted = {"return_sequences": not options, **options}
    with torch.no_grad():
        expected = call("compiled", inputs, lengths, case, **wanted)
    with torch.inference_mode(), patch.object(torch.ops.unspool, "lstm") as operator:
        got = call("compiled", inputs, lengths, case, **wanted)
    assert not operator.called
    for name, one, other in zip(RESULTS, got, expected, strict=True):
        np.testing.assert_array_equal(one, other, err_msg=name)


def test_without_initial_states_they_are_zeros():
    inputs, _, lengths = tensors(CASE)
    names = ("x", "w_ih", "w_hh", "bias")
    zeros = {name: torch.zeros(CASE.B, CASE.H, dtype=inputs["x"].dtype) for name in ("h0", "c0")}
    for mode in (torch.no_grad(), torch.inference_mode()):
        with mode:
            given = [inputs[name] for name in names]
            results = lstm(*given, lengths=lengths), lstm(*given, lengths=lengths, **zeros)
        for one, other in zip(*results, strict=True):
            assert torch.equal(one, other)


@torch.inference_mode()
def test_tensors_with_gaps_in_memory_are_read_in_their_order():
    inputs, _, lengths = tensors(CASE)
    gaps = {name: torch.stack([one, -one], -1)[..., 0] for name, one in inputs.items()}
    with patch.object(torch.ops.unspool, "lstm") as operator:
        results = [call("compiled", given, lengths, CASE) for given in (inputs, gaps)]
    assert not operator.called
    for one, other in zip(*results, strict=True):
        assert torch.equal(one, other)


@torch.inference_mode()
def test_the_standard_deviation_of_no_steps_is_zero():
    inputs, *_ = tensors(CASE)
    wanted = {"statistics": ("std",), "return_sequences": False}
    found, *_ = call("compiled", inputs, torch.tensor([0, 9, 2]), CASE, **wanted)
    assert not found[0].any()
    assert found[1:].all()


@torch.inference_mode()
def test_a_change_of_weights_is_noticed_however_it_was_made():
    layers, x = LSTM(2, 3), torch.ones(1, 4, 2)
    weight = layers.stack()[0][0].weight_hh
    codes = [layers(x)[0]]
    weight.data.mul_(2)
    codes.append(layers(x)[0])
    weight.detach().numpy()[:] *= 2
    codes.append(layers(x)[0])
    fresh = LSTM(2, 3)
    fresh.load_state_dict(layers.state_dict())
    assert not torch.equal(codes[0], codes[1])
    assert not torch.equal(codes[1], codes[2])
    assert torch.equal(codes[2], fresh(x)[0])


def test_a_traced_call_is_not_recorded_as_a_constant_in_inference_mode():
    """PyTorch cannot trace the operator, and says so."""
    inputs, *_ = tensors(CASE)
    weights = [inputs[name].detach() for name in ("w_ih", "w_hh", "bias")]

    def final_states(x):
        return lstm(x, *weights, return_sequences=False)[1]

    with torch.inference_mode(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # tracing is deprecated
        with pytest.raises(RuntimeError, match="Tracing a list of bool type"):
            torch.jit.trace(final_states, inputs["x"].detach().clone())


def test_a_call_in_a_mode_or_a_transform_of_pytorch_goes_through_the_dispatcher():
    """PyTorch replaces the tensors there by others, which have no memory."""
    inputs, *_ = tensors(CASE)
    x, *weights = (inputs[name].detach() for name in ("x", "w_ih", "w_hh", "bias"))
    with torch.inference_mode(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the operator has no rule for batches
        expected = lstm(x, *weights)[1]
        both = torch.func.vmap(lambda one: lstm(one, *weights)[1])(torch.stack([x, x]))
        assert torch.equal(both[0], expected)
        assert torch.equal(both[1], expected)
        with FakeTensorMode(allow_non_fake_inputs=True), patch.object(few, "run") as ran:
            lstm(x, *weights)
        assert not ran.called


def test_lengths_in_the_memory_of_another_device_are_not_read():
    inputs, *_ = tensors(CASE)
    x, w_ih, w_hh, bias = (inputs[name].detach() for name in ("x", "w_ih", "w_hh", "bias"))
    lengths = torch.ones(CASE.B, dtype=torch.int64, device="meta")
    flags = [False, False, False, True, False]
    assert (
        few.run(x, w_ih, w_hh, bias, None, None, None, None, lengths, 9, flags, [], "lstm") is None
    )


@pytest.mark.parametrize(
    ("name", "shape"), [("x", (3, 9, 5)), ("w_hh", (80, 19)), ("h0", (2, 20)), ("bias", (79,))]
)
def test_shapes_that_do_not_fit_are_refused_in_inference_mode(name, shape):
    inputs, _, lengths = tensors(CASE)
    with torch.inference_mode(), pytest.raises(InputError, match=f"Expected `{name}` of shape"):
        call("compiled", inputs | {name: torch.zeros(shape)}, lengths, CASE)


@pytest.mark.parametrize("length", [-1, 10])
def test_lengths_beyond_the_sequences_are_refused_in_inference_mode(length):
    inputs, *_ = tensors(CASE)
    with torch.inference_mode(), pytest.raises(InputError, match="from 0 to 9 steps"):
        call("compiled", inputs, torch.tensor([1, length, 2]), CASE)


@pytest.mark.parametrize("batch", [1, 3, 8])
def test_states_that_decay_become_zero_instead_of_denormal(batch):
    """The weights halve the state of a ReLU cell at every step."""
    w_hh, bias = torch.zeros(4, 1), torch.tensor([-9.0, 0.0, 0.0, 9.0])
    w_ih = torch.zeros(4, 1)
    x, c0 = torch.zeros(batch, 130, 1), torch.full((batch, 1), 1.0)
    for mode in (torch.no_grad(), torch.inference_mode()):
        with mode, patch.object(few, "run", wraps=few.run) as ran:
            _, _, c_n = lstm(
                x, w_ih, w_hh, bias, h0=torch.zeros(batch, 1), c0=c0, activation="relu",
                recurrent_activation="hard_sigmoid", backend="compiled",
            )  # fmt: skip
            assert ran.called
        assert not c_n.any()
        assert np.float32(TINY) * np.float32(0.5) != 0  # the caller's setting is restored
