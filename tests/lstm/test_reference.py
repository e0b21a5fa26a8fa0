"""The reference itself, against the equations written out gate by gate, and torch.nn.LSTM."""

import numpy as np
import pytest
import torch

from tests.close import assert_close
from unspool.lstm import reference


def test_one_step_is_the_equations_with_gates_in_the_order_i_f_c_o():
    rng = np.random.default_rng(0)
    w_ih, w_hh, bias = rng.normal(size=(4, 1)), rng.normal(size=(4, 1)), rng.normal(size=4)
    x, h0, c0 = 0.7, 0.2, -0.4
    sigma = lambda z: 1 / (1 + np.exp(-z))  # noqa: E731
    i, f, g, o = (w_ih[k, 0] * x + w_hh[k, 0] * h0 + bias[k] for k in range(4))
    c = sigma(f) * c0 + sigma(i) * np.tanh(g)
    _, h_n, c_n = reference.forward(
        np.array([[[x]]]), w_ih, w_hh, bias, h0=np.array([[h0]]), c0=np.array([[c0]])
    )
    assert_close("c", c, c_n[0, 0])
    assert_close("h", sigma(o) * np.tanh(c), h_n[0, 0])


def test_equals_torch_nn_lstm():
    torch.manual_seed(0)
    module = torch.nn.LSTM(3, 5, batch_first=True, dtype=torch.float64)
    x = torch.randn(4, 9, 3, dtype=torch.float64)
    h, (h_n, c_n) = module(x)
    weights = {name: value.detach().numpy() for name, value in module.named_parameters()}
    got = reference.forward(
        x.numpy(),
        weights["weight_ih_l0"],
        weights["weight_hh_l0"],
        weights["bias_ih_l0"] + weights["bias_hh_l0"],
    )
    for label, one, other in zip(("h", "h_n", "c_n"), (h, h_n[0], c_n[0]), got, strict=True):
        assert_close(label, one, other)


def test_split_gates_names_the_four_blocks():
    split = reference.split_gates(np.arange(8.0).reshape(8, 1))
    assert {name: block[:, 0].tolist() for name, block in split.items()} == {
        "i": [0, 1],
        "f": [2, 3],
        "c": [4, 5],
        "o": [6, 7],
    }


def test_reverse_within_leaves_padding_in_place():
    x = np.array([[1, 2, 3, 0], [4, 5, 0, 0]])
    assert reference.reverse_within(x, np.array([3, 2])).tolist() == [[3, 2, 1, 0], [5, 4, 0, 0]]


@pytest.mark.parametrize("x", [-1e30, -1e4, -50.0, 0.0, 50.0, 1e4, 1e30])
def test_sigmoid_never_overflows(x):
    with np.errstate(all="raise", under="ignore"):
        value = reference.sigmoid(np.array([x], np.float32))
    assert 0 <= value[0] <= 1
    assert_close("sigmoid", torch.sigmoid(torch.tensor([x])), value)
