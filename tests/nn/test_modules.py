"""Modules: how weights start, what a decoder reads, and that padding changes no gradient."""

import math

import numpy as np
import pytest
import torch

from tests.close import assert_close
from unspool.blueprint import DECODERS
from unspool.errors import InputError
from unspool.nn import LSTM, Autoencoder, Head, LSTMDecoder, LSTMEncoder, LSTMLayer
from unspool.nn.dense import ACTIVATIONS, make_activation
from unspool.nn.losses import LOSSES
from unspool.training.batches import Batch
from unspool.training.objective import AutoencoderLoss


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def test_weights_start_as_in_keras_but_for_the_forget_bias():
    layer = LSTMLayer(30, 20, context_size=10, generator=generator())
    limit = math.sqrt(6 / (40 + 80))  # Glorot: context and input are one kernel of 40 by 80
    for weight in (layer.weight_ih, layer.weight_context):
        assert 0.95 * limit < weight.abs().max() < limit
    recurrent = layer.weight_hh.detach()
    assert_close("orthogonal", torch.eye(20), recurrent.T @ recurrent)
    assert layer.bias.tolist() == [0.0] * 20 + [2.0] * 20 + [0.0] * 40
    head = Head(20, 3, units=[10], generator=generator())
    limit = math.sqrt(6 / 30)
    assert 0.9 * limit < head[0].weight.abs().max() < limit
    assert not head[0].bias.any()


def test_the_same_seed_makes_the_same_weights():
    def make(seed):
        return torch.cat(
            [w.flatten() for w in LSTMEncoder(2, 3, generator=generator(seed)).parameters()]
        )

    assert torch.equal(make(1), make(1))
    assert not torch.equal(make(1), make(2))


def test_a_stack_runs_its_layers_one_after_the_other():
    stack = LSTM(3, 4, num_layers=2, bidirectional=True, context_size=2, generator=generator())
    x, context = torch.randn(5, 7, 3), torch.randn(5, 2)
    states, (finals, _) = stack(x, context=context)
    (down, up), (down2, up2) = stack.layers
    first = torch.cat([down(x, context=context)[0], up(x, context=context)[0]], 2)
    (h, (h_n, _)), (g, (g_n, _)) = down2(first), up2(first)
    assert_close("states", torch.cat([h, g], 2), states)
    assert_close("final", torch.stack([h_n, g_n]), finals[2:])
    assert_close("the backward half ends at the first step", g[:, 0], g_n)


def test_the_code_is_the_state_if_both_have_the_same_size():
    assert LSTMEncoder(2, 6).projection is None
    assert LSTMEncoder(2, 6, units=3, bidirectional=True).projection is None
    wide = LSTMEncoder(2, 6, units=4, generator=generator())
    x = torch.randn(3, 5, 2)
    assert_close(
        "code", wide.lstm(x)[1][0][0] @ wide.projection.weight.T + wide.projection.bias, wide(x)
    )


@pytest.mark.parametrize("lengths", [None, torch.tensor([6, 3, 0])], ids=["full", "ragged"])
def test_the_reversed_input_decoder_reads_the_input_backwards_within_its_length(lengths):
    decoder = LSTMDecoder("reversed_input", 4, 2, generator=generator())
    model = Autoencoder(LSTMEncoder(2, 4), {"reconstruction": decoder})
    code, x = torch.randn(3, 4), torch.randn(3, 6, 2)
    turned = x.clone()
    for row, length in enumerate([6, 6, 6] if lengths is None else lengths.tolist()):
        turned[row, :length] = x[row, :length].flip(0)
    layer = decoder.lstm.layers[0][0]
    expected = decoder.head(layer(turned, lengths, context=code)[0])
    assert_close("sequence", expected, model.decode("reconstruction", code, x, lengths))


def test_the_repeat_decoder_reads_nothing_but_the_code():
    decoder = LSTMDecoder("repeat", 4, 2, generator=generator())
    code = torch.randn(3, 4)
    assert decoder.lstm.layers[0][0].weight_ih is None
    one, two = (decoder(code, 6, None, torch.randn(3, 6, 2)) for _ in range(2))
    assert torch.equal(one, two)
    assert not torch.allclose(one, decoder(code + 1, 6))


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("decoder", DECODERS)
@pytest.mark.parametrize("loss", ["mse", "binary_crossentropy"])
def test_codes_losses_and_gradients_do_not_depend_on_padding(decoder, bidirectional, loss):
    lengths = torch.tensor([9, 0, 4, 1, 7])
    values = torch.rand(5, 9, 2, dtype=torch.float64, generator=generator())
    future = torch.rand(5, 3, 2, dtype=torch.float64, generator=generator(1))
    options = {
        "units": 4,
        "num_layers": 2,
        "bidirectional": bidirectional,
        "output_activation": "sigmoid",
        "generator": generator(),
    }
    model = Autoencoder(
        LSTMEncoder(2, 3, num_layers=2, bidirectional=bidirectional, generator=generator()),
        {
            "reconstruction": LSTMDecoder(decoder, 3, 2, steps=22, **options),
            "forecast": LSTMDecoder(decoder, 3, 2, steps=3, **options),
        },
        horizon=3,
    ).double()
    results = []
    for padding in (0, 13):
        x = torch.nn.functional.pad(values, (0, 0, 0, padding))
        # whatever the padding contains
        x[torch.arange(9 + padding) >= lengths[:, None]] = 0.5 if loss != "mse" else 1e3
        terms = AutoencoderLoss(model, loss)(Batch(x, lengths, future))
        assert {name: term.size for name, term in terms.items()} == {
            "reconstruction_loss": 21 * 2,
            "forecast_loss": 5 * 3 * 2,
        }
        total = sum(term.total / term.size for term in terms.values())
        gradients = torch.autograd.grad(total, list(model.parameters()))
        results.append([model.encoder(x, lengths), total, *gradients])
    names = ["codes", "loss", *(name for name, _ in model.named_parameters())]
    for name, one, other in zip(names, *results, strict=True):
        assert_close(name, one, other)
        assert one.abs().max() > 0, f"{name} is zero: nothing was compared"


def test_losses_equal_their_definitions():
    prediction, target = torch.tensor([0.0, 0.5, 3.0]), torch.zeros(3)
    assert LOSSES["mse"](prediction, target).tolist() == [0, 0.25, 9]
    assert LOSSES["mae"](prediction, target).tolist() == [0, 0.5, 3]
    assert LOSSES["huber"](prediction, target).tolist() == [0, 0.125, 2.5]


def test_gates_are_the_rows_of_the_weights_in_the_order_i_f_c_o():
    layer = LSTMLayer(2, 3, generator=generator())
    gates = layer.gates()
    assert gates["w_ih"]["i"].shape == (3, 2)
    assert gates["w_hh"]["o"].shape == (3, 3)
    assert gates["bias"]["f"].tolist() == [2, 2, 2]
    assert_close("c", layer.weight_hh[6:9], gates["w_hh"]["c"])


@pytest.mark.parametrize(
    ("make", "start"),
    [
        (lambda: LSTMDecoder("repeet", 4, 2), "unknown decoder 'repeet': did you mean 'repeat'?"),
        (lambda: LSTMEncoder(2, 4, pooling="men"), "unknown pooling 'men': did you mean 'mean'?"),
        (lambda: Head(4, 2, units=(3,), activation="rleu"), "unknown activation 'rleu': did you"),
        (lambda: LSTMDecoder("flat", 4, 2), "Decoder 'flat' needs `steps`, the maximum number"),
        (
            lambda: LSTMDecoder("reversed_input", 4, 2)(torch.zeros(1, 4), 3),
            "This decoder reads the input; pass `reversed_input`.",
        ),
    ],
)
def test_invalid_arguments_of_modules_are_refused_with_a_reason(make, start):
    with pytest.raises(InputError) as caught:
        make()
    assert str(caught.value).startswith(start)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_an_activation_has_the_same_bits_at_any_place_of_an_array(name):
    x = torch.linspace(-6, 6, 601).repeat(3, 1).T.contiguous()
    activation = make_activation(name)
    with torch.inference_mode():
        together = activation(x)
        for number in (0, 1, 300, 417, 599, 600):
            alone = activation(x[number : number + 1].clone())
            np.testing.assert_array_equal(alone[0], together[number])
    np.testing.assert_allclose(activation(x).numpy(), together.numpy(), rtol=0, atol=2e-6)
