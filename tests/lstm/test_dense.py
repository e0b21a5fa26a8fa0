"""Dense layers in inference: each row by itself, whatever stands beside it."""

import numpy as np
import pytest
import torch

from unspool.errors import InputError
from unspool.lstm import dense
from unspool.nn.dense import Dense

SHAPES = [(1, 1), (3, 5), (10, 64), (64, 1), (128, 7), (784, 32), (33, 31), (100, 65), (5, 130)]
dtypes = pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
shapes = pytest.mark.parametrize(("inputs", "outputs"), SHAPES)


def draw(count, inputs, outputs, dtype=torch.float32):
    generator = torch.Generator().manual_seed(0)
    sizes = (count, inputs), (outputs, inputs), (outputs,)
    return [torch.randn(size, generator=generator, dtype=torch.float64).to(dtype) for size in sizes]


@dtypes
@shapes
def test_a_row_alone_and_among_others(inputs, outputs, dtype):
    x, weight, bias = draw(200, inputs, outputs, dtype)
    among = dense.linear(x, weight, bias)
    for first, last in [(0, 1), (1, 3), (3, 6), (6, 13), (13, 21), (21, 52), (52, 200)]:
        alone = dense.linear(x[first:last], weight, bias)
        np.testing.assert_array_equal(alone, among[first:last])


@dtypes
@shapes
def test_it_is_the_product(inputs, outputs, dtype):
    arguments = draw(50, inputs, outputs, dtype)
    x, weight, bias = (one.numpy().astype(np.longdouble) for one in arguments)
    error = abs(dense.linear(*arguments).numpy() - (x @ weight.T + bias))
    size = abs(x) @ abs(weight.T) + abs(bias)
    assert (error <= 2 * torch.finfo(dtype).eps * size).all()


def test_a_large_bias_costs_no_digits_of_the_sum():
    x, weight, _ = draw(50, 100, 3)
    product = dense.linear(x, weight, torch.zeros(3))
    np.testing.assert_array_equal(dense.linear(x, weight, torch.full((3,), 1e4)), product + 1e4)


def test_the_number_of_threads():
    x, weight, bias = draw(3000, 100, 65)
    before, found = torch.get_num_threads(), []
    try:
        for number in (1, 2, 5):
            torch.set_num_threads(number)
            found.append(dense.linear(x, weight, bias).numpy())
    finally:
        torch.set_num_threads(before)
    np.testing.assert_array_equal(found[0], found[1])
    np.testing.assert_array_equal(found[0], found[2])


@pytest.mark.parametrize("shape", [(0,), (7, 0), (4, 6), (2, 3, 4), ()])
def test_vectors_of_any_shape(shape):
    x, weight, bias = draw(int(np.prod(shape)), 5, 3)
    expected = dense.linear(x, weight, bias).view(*shape, 3)
    np.testing.assert_array_equal(dense.linear(x.view(*shape, 5), weight, bias), expected)


def test_how_arguments_lie_in_memory():
    x, weight, bias = draw(20, 5, 3)
    apart = torch.full((5, 40), torch.nan)[:, ::2].T.copy_(x)
    turned = weight.T.contiguous().T
    expected = dense.linear(x, weight, bias)
    np.testing.assert_array_equal(
        dense.linear(apart, turned, torch.stack([bias, bias], 1)[:, 1]), expected
    )


def test_what_does_not_fit_is_refused():
    x, weight, bias = draw(20, 5, 3)
    for bad in (
        (x, weight.double(), bias),
        (x, weight, bias[:2]),
        (x, weight, bias.double()),
    ):
        with pytest.raises(InputError, match=r"^Expected weights \(3, 5\) and a bias \(3,\) in"):
            dense.linear(*bad)
    with pytest.raises(InputError, match=r"^Expected weights"):
        torch.ops.unspool.rows(x[:, :4], weight, bias)


def test_a_layer_takes_this_way_in_inference_alone():
    layer, (x, _, _) = Dense(128, 64), draw(1, 128, 64)
    among = torch.cat([x, x.flip(1)])
    plain = torch.nn.functional.linear(x, layer.weight, layer.bias)
    np.testing.assert_array_equal(layer(x).detach(), plain.detach())
    with torch.inference_mode():
        np.testing.assert_array_equal(layer(x), layer(among)[:1])
        np.testing.assert_array_equal(layer(x), dense.linear(x, layer.weight, layer.bias))


def test_the_operator_is_one_of_pytorchs():
    torch.library.opcheck(torch.ops.unspool.rows, tuple(draw(20, 5, 3)))
