"""Dense layers in inference: the result for a row does not depend on the other rows."""

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
def test_a_row_has_the_same_bits_alone_and_in_a_batch(inputs, outputs, dtype):
    x, weight, bias = draw(200, inputs, outputs, dtype)
    among = dense.linear(x, weight, bias)
    for first, last in [(0, 1), (1, 3), (3, 6), (6, 13), (13, 21), (21, 52), (52, 200)]:
        alone = dense.linear(x[first:last], weight, bias)
        np.testing.assert_array_equal(alone, among[first:last])


@dtypes
@shapes
def test_the_result_is_the_product_up_to_rounding(inputs, outputs, dtype):
    arguments = draw(50, inputs, outputs, dtype)
    x, weight, bias = (one.numpy().astype(np.longdouble) for one in arguments)
    error = abs(dense.linear(*arguments).numpy() - (x @ weight.T + bias))
    size = abs(x) @ abs(weight.T) + abs(bias)
    assert (error <= 2 * torch.finfo(dtype).eps * size).all()


def test_a_large_bias_costs_no_digits_of_the_sum():
    x, weight, _ = draw(50, 100, 3)
    product = dense.linear(x, weight, torch.zeros(3))
    np.testing.assert_array_equal(dense.linear(x, weight, torch.full((3,), 1e4)), product + 1e4)


def test_the_number_of_threads_changes_no_bit():
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
def test_vectors_may_have_any_leading_shape(shape):
    x, weight, bias = draw(int(np.prod(shape)), 5, 3)
    expected = dense.linear(x, weight, bias).view(*shape, 3)
    np.testing.assert_array_equal(dense.linear(x.view(*shape, 5), weight, bias), expected)


def test_the_memory_layout_of_arguments_changes_nothing():
    x, weight, bias = draw(20, 5, 3)
    strided = torch.full((5, 40), torch.nan)[:, ::2].T.copy_(x)
    transposed = weight.T.contiguous().T
    expected = dense.linear(x, weight, bias)
    np.testing.assert_array_equal(
        dense.linear(strided, transposed, torch.stack([bias, bias], 1)[:, 1]), expected
    )


def test_shapes_and_dtypes_that_do_not_match_raise():
    x, weight, bias = draw(20, 5, 3)
    for bad in (
        (x, weight.double(), bias),
        (x, weight, bias[:2]),
        (x, weight, bias.double()),
    ):
        with pytest.raises(InputError, match=r"^Expected weights \(3, 5\) and a bias \(3,\) in"):
            dense.linear(*bad)
    with pytest.raises(InputError, match=r"^Expected weights"):
        torch.ops.unspool.dense(x[:, :4], weight, bias)


def test_a_layer_uses_the_operator_in_inference_only():
    layer, (x, _, _) = Dense(128, 64), draw(1, 128, 64)
    among = torch.cat([x, x.flip(1)])
    plain = torch.nn.functional.linear(x, layer.weight, layer.bias)
    np.testing.assert_array_equal(layer(x).detach(), plain.detach())
    with torch.inference_mode():
        np.testing.assert_array_equal(layer(x), layer(among)[:1])
        np.testing.assert_array_equal(layer(x), dense.linear(x, layer.weight, layer.bias))


def test_the_operator_passes_the_checks_of_pytorch():
    torch.library.opcheck(torch.ops.unspool.dense, tuple(draw(20, 5, 3)))
