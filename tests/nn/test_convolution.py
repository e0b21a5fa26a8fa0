"""Convolutional modules, compared with plain convolutions of upsampled images."""

import math

import pytest
import torch
from torch.nn import functional

from tests.close import assert_close
from unspool.blueprint.convolutions import Convolutions, crop_before, padding
from unspool.errors import InputError
from unspool.nn.conv_decoder import ConvDecoder
from unspool.nn.conv_encoder import ConvEncoder
from unspool.nn.convolution import Convolution, Pool
from unspool.nn.losses import LOSSES


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def enlarged(images, up):
    return images.repeat_interleave(up[0], 1).repeat_interleave(up[1], 2)


def convolved(images, convolution):
    """Pad as Keras's "same": the odd zero of an even kernel is at the far edge."""
    (height, width), weight = convolution.kernel_size, convolution.weight
    pads = ((width - 1) // 2, width // 2, (height - 1) // 2, height // 2)
    read = functional.pad(images.permute(0, 3, 1, 2), pads)
    return functional.conv2d(read, weight, convolution.bias).permute(0, 2, 3, 1)


def with_biases(module):
    for name, weight in module.named_parameters():
        if name.endswith("bias"):
            torch.nn.init.normal_(weight, generator=generator(1))
    return module.double()


@pytest.mark.parametrize("up", [(1, 1), (2, 2), (3, 3), (2, 1), (1, 3)], ids=str)
@pytest.mark.parametrize("kernel", [(1, 1), (3, 3), (4, 4), (5, 2), (7, 1)], ids=str)
def test_a_convolution_with_upsampling_equals_that_of_the_upsampled_image(kernel, up):
    convolution = with_biases(Convolution(3, 5, kernel, up=up, generator=generator()))
    images = torch.randn(2, 6, 5, 3, dtype=torch.float64, generator=generator())
    ours = images.clone().requires_grad_()
    theirs = images.clone().requires_grad_()
    got, expected = convolution(ours), convolved(enlarged(theirs, up), convolution)
    assert_close("images", expected, got)
    weights = torch.randn(got.shape, dtype=torch.float64, generator=generator(2))
    parameters = list(convolution.parameters())
    for name, one, other in zip(
        ["weight", "bias", "images"],
        torch.autograd.grad((expected * weights).sum(), [*parameters, theirs]),
        torch.autograd.grad((got * weights).sum(), [*parameters, ours]),
        strict=True,
    ):
        assert_close(f"gradient of {name}", one, other)
        assert one.abs().max() > 0


def test_weights_start_as_in_keras():
    convolution = Convolution(8, 16, (3, 5), generator=generator())
    limit = math.sqrt(6 / (3 * 5 * 8 + 3 * 5 * 16))  # Glorot: fans count the pixels of the kernel
    assert 0.98 * limit < convolution.weight.abs().max() < limit
    assert not convolution.bias.any()
    same, other = (Convolution(8, 16, (3, 5), generator=generator(seed)) for seed in (0, 1))
    assert torch.equal(convolution.weight, same.weight)
    assert not torch.equal(convolution.weight, other.weight)


def test_pooling_counts_incomplete_blocks_at_the_far_edges():
    images = torch.arange(15.0).view(1, 3, 5, 1)
    assert Pool((2, 2))(images)[0, :, :, 0].tolist() == [[6, 8, 9], [11, 13, 14]]
    assert Pool((1, 1))(images) is images
    assert shrinking((3, 5), (2, 2), 3).sizes == [(3, 5), (2, 3), (1, 2), (1, 1)]


def shrinking(shape, pool, count):
    """`count` convolutions with this pooling."""
    ones = ((1, 1),) * count
    return Convolutions(shape, (3,) * count, ones, ones, (pool,) * count)


@pytest.mark.parametrize("stride", [(1, 1), (2, 2), (3, 1), (2, 5)], ids=str)
@pytest.mark.parametrize("kernel", [(1, 1), (3, 3), (4, 4), (2, 5)], ids=str)
@pytest.mark.parametrize("size", [(6, 5), (7, 9), (1, 2)], ids=str)
def test_a_strided_convolution_is_padded_as_in_keras(size, kernel, stride):
    convolution = with_biases(Convolution(3, 5, kernel, stride=stride, generator=generator()))
    images = torch.randn(2, *size, 3, dtype=torch.float64, generator=generator())
    (above, below), (left, right) = map(padding, size, kernel, stride)
    read = functional.pad(images.permute(0, 3, 1, 2), (left, right, above, below))
    expected = functional.conv2d(read, convolution.weight, convolution.bias, stride)
    assert expected.shape[2:] == tuple(-(-n // s) for n, s in zip(size, stride, strict=True))
    assert 0 <= below - above <= 1
    assert_close("images", expected.permute(0, 2, 3, 1), convolution(images))


@pytest.mark.parametrize("up", [(2, 2), (3, 1), (1, 2), (5, 4)], ids=str)
@pytest.mark.parametrize("kernel", [(1, 1), (3, 3), (4, 4), (7, 2)], ids=str)
def test_a_transposed_convolution_equals_that_of_torch_cropped_as_in_keras(kernel, up):
    convolution = with_biases(
        Convolution(3, 5, kernel, up=up, transposed=True, generator=generator())
    )
    images = torch.randn(2, 6, 5, 3, dtype=torch.float64, generator=generator())
    ours, theirs = (images.clone().requires_grad_() for _ in range(2))
    got = convolution(ours)
    whole = functional.conv_transpose2d(
        theirs.permute(0, 3, 1, 2), convolution.weight.transpose(0, 1), convolution.bias, up,
        output_padding=tuple(max(0, u - k) for u, k in zip(up, kernel, strict=True)),
    )  # fmt: skip
    top, left = map(crop_before, kernel, up)
    expected = whole[:, :, top : top + 6 * up[0], left : left + 5 * up[1]].permute(0, 2, 3, 1)
    assert_close("images", expected, got)
    weights = torch.randn(got.shape, dtype=torch.float64, generator=generator(2))
    parameters = list(convolution.parameters())
    for one, other in zip(
        torch.autograd.grad((expected * weights).sum(), [*parameters, theirs]),
        torch.autograd.grad((got * weights).sum(), [*parameters, ours]),
        strict=True,
    ):
        assert_close("gradient", one, other)


def by_hand(encoder, images):
    """Convolution, activation, pool, one after the other: maps before each pool, and the last."""
    maps = []
    for convolution, pool in zip(encoder.convolutions, encoder.pools, strict=True):
        maps.append(encoder.activation(convolved(images, convolution)))
        read = maps[-1].permute(0, 3, 1, 2)
        images = functional.max_pool2d(read, pool.kernel_size, ceil_mode=True).permute(0, 2, 3, 1)
    return maps, images


@pytest.mark.parametrize("activation", ["relu", "elu", "gelu", "tanh", "softmax"])
def test_an_encoder_applies_convolution_activation_and_pooling(activation):
    encoder = with_biases(
        ConvEncoder(2, (7, 5), filters=(4, 3), activation=activation, generator=generator())
    )
    x = torch.randn(3, 35, 2, dtype=torch.float64, generator=generator())
    maps, last = by_hand(encoder, x.view(3, 7, 5, 2))
    assert_close("code", last.flatten(1), encoder(x))
    for layer, expected in enumerate(maps):
        assert_close(f"map {layer}", expected, encoder.feature_maps(x, layer=layer))
    assert encoder.latent_dim == 2 * 2 * 3


@pytest.mark.parametrize("missing", [False, True])
def test_steps_after_the_end_of_a_sequence_are_zeros_whatever_the_batch_has_there(missing):
    encoder = with_biases(
        ConvEncoder(2, (9, 1), 3, filters=(4, 3), kernel=(3, 1), pool=(2, 1), missing=missing,
                    generator=generator())
    )  # fmt: skip
    if missing:
        encoder.fill.copy_(torch.tensor([5.0, -7.0]))
    x = torch.randn(3, 7, 2, dtype=torch.float64, generator=generator())
    lengths = torch.tensor([7, 4, 1])
    if missing:
        x[1, 2, 0] = torch.nan
    padded = x.new_zeros(3, 9, 2 * (1 + missing))
    for i, length in enumerate(lengths):
        real = x[i, :length]
        gone = real.isnan()
        read = torch.where(gone, encoder.fill, real) if missing else real
        padded[i, :length] = torch.cat([read, gone.double()], 1) if missing else read
        x[i, length:] = torch.nan if missing else 99.0
    maps, last = by_hand(encoder, padded.view(3, 9, 1, -1))
    assert_close("code", encoder.projection(last.flatten(1)), encoder(x, lengths))
    for layer, expected in enumerate(maps):
        assert_close(f"map {layer}", expected, encoder.feature_maps(x, lengths, layer))


def test_with_a_latent_dim_dense_layers_map_the_feature_map_to_the_code_and_back():
    encoder = ConvEncoder(1, (6, 6), 5, filters=(4,), generator=generator())
    x = torch.randn(2, 36, 1, generator=generator())
    _, last = by_hand(encoder, x.view(2, 6, 6, 1))
    linear = encoder.projection
    assert_close("code", last.flatten(1) @ linear.weight.T + linear.bias, encoder(x))
    decoder = ConvDecoder(5, 1, (6, 6), filters=(4,), generator=generator())
    assert decoder.start.weight.shape == (36, 5)
    assert ConvDecoder(None, 1, (6, 6), filters=(4,)).start is None
    assert ConvDecoder(36, 1, (6, 6), filters=(4,)).start is None  # as wide as the map
    assert ConvEncoder(1, (6, 6), 36, filters=(4,)).projection is None


@pytest.mark.parametrize("shape", [(8, 8), (7, 5), (1, 1), (9, 1)], ids=str)
def test_a_decoder_convolves_upsamples_and_crops(shape):
    kernel, pool = ((3, 1), (2, 1)) if shape[1] == 1 else ((3, 3), (2, 2))
    decoder = with_biases(
        ConvDecoder(
            6, 2, shape, filters=(3, 4), kernel=kernel, pool=pool, activation="tanh",
            output_activation="softmax", generator=generator(),
        )
    )  # fmt: skip
    code = torch.randn(3, 6, dtype=torch.float64, generator=generator())
    start = torch.tanh(code @ decoder.start.weight.T + decoder.start.bias)
    images = start.view(3, *shrinking(shape, pool, 2).sizes[-1], 4)
    first, second, third = decoder.convolutions
    assert [c.weight.shape[:2] for c in decoder.convolutions] == [(4, 4), (3, 4), (2, 3)]
    images = torch.tanh(convolved(images, first))
    larger = reversed(shrinking(shape, pool, 1).sizes)
    for convolution, (height, width) in zip((second, third), larger, strict=True):
        images = convolved(enlarged(images, pool), convolution)[:, :height, :width]
        images = torch.tanh(images) if convolution is second else images
    expected = images.softmax(-1).flatten(1, 2)
    assert_close("images", expected, decoder(code, math.prod(shape)))
    assert_close("cut", expected[:, :1], decoder(code, 1))


def test_the_model_of_the_article_has_as_many_weights_as_in_keras():
    encoder, decoder = ConvEncoder(1, (28, 28)), ConvDecoder(None, 1, (28, 28))
    count = sum(w.numel() for part in (encoder, decoder) for w in part.parameters())
    assert count == (9 + 1) * 32 + (9 * 32 + 1) * 32 + (9 * 32 + 1)
    assert encoder.latent_dim == 14 * 14 * 32


def test_relu_outputs_have_a_gradient_at_the_start_even_where_the_image_is_black():
    for output_activation, alive in (("relu", True), ("sigmoid", False)):
        decoder = ConvDecoder(None, 1, (6, 6), output_activation=output_activation)
        bias = decoder.convolutions[-1].bias
        assert (bias > 0).all() == alive
    decoder = ConvDecoder(None, 1, (6, 6), output_activation="relu")
    images = decoder(torch.zeros(1, 9 * 32), 36)  # the code of a black image
    (gradient,) = torch.autograd.grad(images.sum(), decoder.convolutions[-1].bias)
    assert gradient == 36


def test_crossentropy_has_a_gradient_for_relu_outputs_above_one():
    decoder = ConvDecoder(None, 1, (4, 4), filters=(2,), output_activation="relu")
    bias = decoder.convolutions[-1].bias
    torch.nn.init.constant_(bias, 3.0)
    images = decoder(torch.zeros(2, 8), 16)
    assert images.min() > 1
    loss = LOSSES["binary_crossentropy"](images, torch.full_like(images, 0.5)).mean()
    (gradient,) = torch.autograd.grad(loss, bias)
    assert gradient > 1  # cut off at 1, as in Keras, it would be 0 for good


def test_amount_and_values_of_padding_change_nothing():
    encoder = ConvEncoder(2, (9, 1), 4, kernel=(3, 1), pool=(2, 1), generator=generator())
    lengths = torch.tensor([9, 4, 0])
    x = torch.randn(3, 9, 2, generator=generator())
    x[1, 4:], x[2] = 1e3, -7.0
    clean = x.clone()
    clean[1, 4:], clean[2] = 0, 0
    assert torch.equal(encoder(x, lengths), encoder(clean, lengths))
    assert torch.equal(encoder(x[1:, :4], lengths[1:]), encoder(x, lengths)[1:])


def test_sequences_longer_than_the_shape_are_refused():
    encoder = ConvEncoder(2, (9, 1), 4, kernel=(3, 1), pool=(2, 1))
    with pytest.raises(InputError, match=r"^Expected sequences of at most 9 steps, got 10\."):
        encoder(torch.zeros(1, 10, 2))


def test_a_variational_encoder_computes_mean_and_variance_from_the_feature_map():
    encoder = ConvEncoder(1, (4, 4), 3, filters=(2,), variational=True, generator=generator())
    assert encoder.projection.weight.shape == encoder.log_variance.weight.shape == (3, 8)
    map_sized = ConvEncoder(1, (4, 4), filters=(2,), variational=True)
    assert map_sized.projection.weight.shape == (8, 8)
