"""Encoders: what a code is made of, codes after every step, codes that are drawn."""

import re

import numpy as np
import pytest
import torch
from torch.distributions import Normal, kl_divergence
from torch.nn.utils.rnn import pack_padded_sequence

from tests.close import assert_close
from unspool.errors import InputError
from unspool.nn import Autoencoder, DenseDecoder, DenseEncoder, LSTMDecoder, LSTMEncoder

B, T, F, H, L = 4, 6, 2, 3, 5
LENGTHS = torch.tensor([6, 1, 4, 2])
LAYERS = pytest.mark.parametrize("num_layers", [1, 2])
DIRECTIONS = pytest.mark.parametrize("bidirectional", [False, True])


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def normal(*shape, seed=1):
    return torch.randn(*shape, dtype=torch.float64, generator=generator(seed))


def make(latent_dim=L, **options):
    given = {"units": H, "generator": generator()}
    return LSTMEncoder(F, latent_dim, **{**given, **options}).double()


def torch_finals(encoder, x):
    """h and c of all layers and directions from `torch.nn.LSTM`, on packed sequences."""
    packed = pack_padded_sequence(x, LENGTHS, batch_first=True, enforce_sorted=False)
    return encoder.lstm.to_torch()(packed)[1]


@LAYERS
@DIRECTIONS
@pytest.mark.parametrize("whole", [False, True], ids=["last h", "whole state"])
def test_the_code_is_the_final_or_the_whole_state(num_layers, bidirectional, whole):
    directions = 1 + bidirectional
    width = H * directions * (2 * num_layers if whole else 1)
    shape = {"num_layers": num_layers, "bidirectional": bidirectional, "whole_state": whole}
    encoder = make(width, **shape)
    x = normal(B, T, F)
    h_n, c_n = torch_finals(encoder, x)
    parts = [*h_n, *c_n] if whole else h_n[-directions:]
    assert encoder.projection is None
    assert_close("code", torch.cat(list(parts), 1), encoder(x, LENGTHS))
    other = make(L, **shape)
    assert other.projection.weight.shape == (L, width)
    linear = torch.cat(list(parts), 1) @ other.projection.weight.T + other.projection.bias
    assert_close("another width", linear, other(x, LENGTHS))


@DIRECTIONS
def test_the_whole_state_of_layers_of_different_units_has_all_h_before_all_c(bidirectional):
    directions, x = 1 + bidirectional, normal(B, T, F)
    shape = {"units": (5, 3), "bidirectional": bidirectional, "whole_state": True}
    encoder = make(16 * directions, **shape)
    _, (h_n, c_n) = encoder.lstm(x, LENGTHS)
    assert encoder.projection is None
    assert [state.shape[1] for state in h_n] == [5] * directions + [3] * directions
    assert_close("code", torch.cat([*h_n, *c_n], 1), encoder(x, LENGTHS))
    last = make(3 * directions, **{**shape, "whole_state": False})
    assert last.projection is None
    _, (h_n, _) = last.lstm(x, LENGTHS)
    assert_close("last h", torch.cat(list(h_n[-directions:]), 1), last(x, LENGTHS))


@pytest.mark.parametrize("units", [H, (H,), (H, H), (3, 7, H)], ids=str)
@pytest.mark.parametrize("latent_dim", [H, L], ids=["state", "projected"])
def test_the_code_after_a_step_equals_that_of_the_prefix(latent_dim, units):
    encoder = make(latent_dim, units=units)
    x = normal(B, T, F)
    codes = encoder.encode_by_step(x, LENGTHS)
    assert codes.shape == (B, T, latent_dim)
    for i, length in enumerate(LENGTHS):
        for step in range(length):
            cut = encoder(x[i : i + 1, : step + 1])
            assert_close(f"sequence {i} after step {step}", cut[0], codes[i, step])


@pytest.mark.parametrize(
    "options", [{"bidirectional": True}, {"whole_state": True}, {"pooling": "mean"}], ids=str
)
def test_encode_by_step_refuses_two_directions_pooling_and_whole_states(options):
    with pytest.raises(InputError) as caught:
        make(**options).encode_by_step(normal(B, T, F))
    assert str(caught.value) == (
        "Codes after every step need an encoder with bidirectional=False, pooling='last', "
        "n_kernels=0, and no decoder that starts from its state ('state', …)."
    )


@pytest.mark.parametrize("name", ["dense", "repeat", "previous", "reshape", "flat"])
def test_forecasts_after_every_step_equal_those_of_the_prefixes(name):
    steps = {"steps": 3}
    decoder = DenseDecoder(L, F, **steps) if name == "dense" else LSTMDecoder(name, L, F, **steps)
    model = Autoencoder(make(), {"forecast": decoder.double()}, 3)
    x = normal(B, T, F)
    forecasts = model.decode_by_step("forecast", x, LENGTHS)
    assert forecasts.shape == (B, T, 3, F)
    for i, length in enumerate(LENGTHS):
        for step in range(length):
            cut = model.run_decoder("forecast", x[i : i + 1, : step + 1])
            assert_close(f"sequence {i} after step {step}", cut[0], forecasts[i, step])


def test_forecasts_after_every_step_need_an_lstm_and_a_decoder_of_the_code_alone():
    dense = Autoencoder(DenseEncoder(F, T, L), {"forecast": DenseDecoder(L, F, 1)}, 1)
    with pytest.raises(
        InputError,
        match=r"^Forecasts after every step need an LSTMEncoder, but .* a DenseEncoder\.$",
    ):
        dense.decode_by_step("forecast", torch.zeros(B, T, F))
    reading = Autoencoder(make(), {"forecast": LSTMDecoder("reversed_input", L, F).double()}, 1)
    with pytest.raises(
        InputError, match=r"^Forecasts after every step need a decoder that reads only "
    ):
        reading.decode_by_step("forecast", normal(B, T, F))


@pytest.mark.parametrize("shape", [(0, T, F), (B, 0, F)])
def test_empty_sequences_have_no_forecasts_by_step(shape):
    model = Autoencoder(make(), {"forecast": DenseDecoder(L, F, 3).double()}, 3)
    assert model.decode_by_step("forecast", normal(*shape)).shape == (*shape[:2], 3, F)


@pytest.mark.parametrize("kind", ["lstm", "dense"])
def test_sample_of_an_encoder_that_is_not_variational_returns_the_code(kind):
    encoder = make() if kind == "lstm" else DenseEncoder(F, T, L).double()
    x = normal(B, T, F)
    code, divergence = encoder.train().sample(x, LENGTHS, generator())
    assert torch.equal(code, encoder(x, LENGTHS))
    assert divergence.tolist() == [0.0] * B


def variational(kind, latent_dim=L):
    if kind == "lstm":
        return make(latent_dim, variational=True)
    given = {"code_activation": "tanh", "generator": generator()}
    return DenseEncoder(F, T, latent_dim, variational=True, **given).double()


@pytest.mark.parametrize("kind", ["lstm", "dense"])
@pytest.mark.parametrize("training", [False, True])
def test_the_divergence_is_that_from_the_standard_normal(kind, training):
    encoder = variational(kind).train(training)
    x = normal(B, T, F)
    _, divergence = encoder.sample(x, LENGTHS, generator())
    features = encoder.features(x, LENGTHS)
    mean, spread = encoder.projection(features), (encoder.log_variance(features) / 2).exp()
    expected = kl_divergence(Normal(mean, spread), Normal(0.0, 1.0)).sum(1)
    assert (expected > 0).all()
    assert_close("divergence", expected, divergence)


@pytest.mark.parametrize("kind", ["lstm", "dense"])
def test_in_evaluation_a_variational_code_is_its_mean(kind):
    encoder = variational(kind).eval()
    x, noise = normal(B, T, F), generator()
    before = noise.get_state()
    code, _ = encoder.sample(x, LENGTHS, noise)
    assert torch.equal(code, encoder(x, LENGTHS))
    assert torch.equal(noise.get_state(), before)


@pytest.mark.parametrize("kind", ["lstm", "dense"])
def test_codes_are_drawn_with_their_means_and_spreads(kind):
    encoder = variational(kind, latent_dim=2).train()
    with torch.no_grad():
        encoder.log_variance.bias.copy_(torch.tensor([-2.0, 1.0]))
    one = normal(1, T, F)
    x = one.expand(20000, T, F)
    with torch.no_grad():
        drawn, _ = encoder.sample(x, None, generator())
        features = encoder.features(one, None)
        spread = (encoder.log_variance(features)[0] / 2).exp()
    noise = (drawn - encoder(one).detach()) / spread
    assert noise.mean(0).abs().max() < 0.03
    assert_close("spread", torch.ones(2, dtype=torch.float64), noise.std(0), scale=2e10)
    assert abs(np.corrcoef(noise.T.numpy())[0, 1]) < 0.03
    same, _ = encoder.sample(x, None, generator())
    other, _ = encoder.sample(x, None, generator(1))
    assert torch.equal(same, drawn)
    assert not torch.equal(other, drawn)


def test_a_variational_encoder_always_has_a_projection():
    encoder = make(H, variational=True)
    assert encoder.projection.weight.shape == encoder.log_variance.weight.shape == (H, H)
    assert make(H).log_variance is None


@pytest.mark.parametrize("units", [(), (7, 4)], ids=str)
def test_a_dense_encoder_applies_its_layers_to_all_values_at_once(units):
    encoder = DenseEncoder(
        F, T, L, units=units, activation="relu", code_activation="tanh", generator=generator()
    ).double()
    x = normal(B, T, F)
    filled = np.zeros((B, T, F))
    for row, one, length in zip(filled, x, LENGTHS, strict=True):
        row[:length] = one[:length]
    values = filled.reshape(B, T * F)
    linear = [layer for layer in encoder.layers if isinstance(layer, torch.nn.Linear)]
    assert [layer.out_features for layer in linear] == [*units, L]
    for layer in linear:
        values = values @ layer.weight.detach().numpy().T + layer.bias.detach().numpy()
        values = np.tanh(values) if layer is linear[-1] else np.maximum(values, 0)
    assert_close("code", values, encoder(x, LENGTHS))
    assert_close("fewer steps", values[1], encoder(x[1:2, :3], LENGTHS[1:2])[0])


def test_a_dense_encoder_refuses_longer_sequences():
    message = (
        "Expected sequences of at most 6 steps, got 7. Dense and convolutional models cannot "
        "read longer sequences than in `fit`; fit it again, or cut the sequences."
    )
    with pytest.raises(InputError, match=f"^{re.escape(message)}$"):
        DenseEncoder(F, T, L)(torch.zeros(B, T + 1, F))
