"""The reference of the GRU, compared with finite differences and torch.nn.GRU."""

import numpy as np
import pytest
import torch

from tests.close import assert_close
from tests.lstm.test_reference import DIFFERENCES, RAGGED, STEP, assert_gradients_close, cells
from unspool.lstm import reference, reference_gru
from unspool.lstm.backends.torch_lstm import gru_parameters, one_gru_bias, reordered

B, T, F, C, H = 4, 6, 2, 3, 3
directions = pytest.mark.parametrize("reverse", [False, True], ids=["forward", "reverse"])
FIRST = ("x", "w_ih", "w_hh", "bias")


def draw(seed=0):
    """Draw all arguments, and a gradient for each result."""
    rng = np.random.default_rng(seed)
    shapes = {
        "x": (B, T, F),
        "w_ih": (3 * H, F),
        "w_hh": (3 * H, H),
        "bias": (4 * H,),
        "context": (B, C),
        "w_context": (3 * H, C),
        "h0": (B, H),
    }
    arguments = {name: rng.normal(size=shape) for name, shape in shapes.items()}
    return arguments, {"grad_h": rng.normal(size=(B, T, H)), "grad_h_n": rng.normal(size=(B, H))}


def call(function, arguments, **more):
    named = {name: array for name, array in arguments.items() if name not in FIRST}
    return function(*(arguments.get(name) for name in FIRST), **named, **more)


def differences(arguments, cotangents, **options):
    """Compute central differences of Σ results × cotangents for each number of each argument."""

    def loss():
        results = call(reference_gru.forward, arguments, **options)
        return sum((r * g).sum() for r, g in zip(results, cotangents.values(), strict=True))

    gradients = {}
    for name, array in arguments.items():
        gradients[name] = np.empty_like(array)
        for index in np.ndindex(array.shape):
            kept, at = array[index], []
            for array[index] in (kept + STEP, kept - STEP):
                at.append(loss())
            array[index] = kept
            gradients[name][index] = (at[0] - at[1]) / (2 * STEP)
    return gradients


def test_one_step_is_the_equations_with_gates_in_the_order_z_r_n():
    rng = np.random.default_rng(0)
    w_ih, w_hh, bias = rng.normal(size=(3, 1)), rng.normal(size=(3, 1)), rng.normal(size=4)
    x, h0 = 0.7, 0.2
    sigma = lambda v: 1 / (1 + np.exp(-v))  # noqa: E731
    z, r = (sigma(w_ih[k, 0] * x + w_hh[k, 0] * h0 + bias[k]) for k in (0, 1))
    n = np.tanh(w_ih[2, 0] * x + bias[2] + r * (w_hh[2, 0] * h0 + bias[3]))
    _, h_n = reference_gru.forward(np.array([[[x]]]), w_ih, w_hh, bias, h0=np.array([[h0]]))
    assert_close("h", z * h0 + (1 - z) * n, h_n[0, 0])


def test_split_gates_names_the_blocks_and_join_gates_puts_them_together():
    weights = {"w_hh": np.arange(6.0).reshape(6, 1), "bias": np.arange(8.0)}
    split = {name: reference.split_gates(weight, "gru") for name, weight in weights.items()}
    assert {name: block[:, 0].tolist() for name, block in split["w_hh"].items()} == {
        "z": [0, 1],
        "r": [2, 3],
        "n": [4, 5],
    }
    assert list(split["bias"]) == ["z", "r", "n", "rn"]
    shuffled = {name: dict(reversed(gates.items())) for name, gates in split.items()}
    for name, joined in reference.join_gates(shuffled).items():
        np.testing.assert_array_equal(joined, weights[name])


@pytest.mark.parametrize("lengths", [None, RAGGED], ids=["full", "ragged"])
@directions
@cells
def test_gradients_are_those_of_finite_differences(cell, reverse, lengths):
    arguments, cotangents = draw()
    options = {**cell, "reverse": reverse, "lengths": lengths}
    expected = differences(arguments, cotangents, **options)
    got = call(reference_gru.backward, arguments, **cotangents, **options)
    assert_gradients_close(expected, got, scale=DIFFERENCES)


@directions
@pytest.mark.parametrize(
    "left_out",
    [("x", "w_ih"), ("context", "w_context"), ("x", "w_ih", "context", "w_context")],
    ids="+".join,
)
def test_parts_left_out_have_no_gradient_and_change_no_other(left_out, reverse):
    arguments, cotangents = draw()
    for name in left_out:
        del arguments[name]
    options = {"lengths": RAGGED, "steps": T, "reverse": reverse}
    expected = differences(arguments, cotangents, **options)
    got = call(reference_gru.backward, arguments, **cotangents, **options)
    assert_gradients_close(expected, got, scale=DIFFERENCES)


def test_results_and_gradients_equal_those_of_torch_nn_gru():
    arguments, cotangents = draw()
    del arguments["context"], arguments["w_context"]
    inputs = {name: torch.tensor(array) for name, array in arguments.items()}
    for name in ("x", "h0"):
        inputs[name].requires_grad_()
    module = torch.nn.GRU(F, H, batch_first=True, dtype=torch.float64)
    names = ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0")
    weights = gru_parameters(*(inputs[name] for name in FIRST[1:]))
    module.load_state_dict(dict(zip(names, weights, strict=True)))
    h, h_n = module(inputs["x"], inputs["h0"][None])
    got = call(reference_gru.forward, arguments)
    for label, one, other in zip(("h", "h_n"), (h, h_n[0]), got, strict=True):
        assert_close(label, one, other)
    torch.autograd.backward((h, h_n[0]), [torch.tensor(g) for g in cotangents.values()])
    recurrent_bias = module.bias_hh_l0.grad[2 * H :]
    expected = {
        "x": inputs["x"].grad,
        "h0": inputs["h0"].grad,
        "w_ih": reordered(module.weight_ih_l0.grad),
        "w_hh": reordered(module.weight_hh_l0.grad),
        "bias": torch.cat([reordered(module.bias_ih_l0.grad), recurrent_bias]),
    }
    assert_gradients_close(expected, call(reference_gru.backward, arguments, **cotangents))


def test_two_biases_of_torch_become_one():
    b_ih, b_hh = torch.arange(6.0), 10 * torch.arange(6.0)
    assert one_gru_bias(b_ih, b_hh).tolist() == [22, 33, 0, 11, 4, 5, 40, 50]
