"""Patches: the reshape, encoders and decoders by patches, padding, gradients."""

import numpy as np
import pytest
import torch

from tests.close import assert_close
from unspool.blueprint import DECODERS
from unspool.errors import InputError
from unspool.nn import Autoencoder, LSTMDecoder, LSTMEncoder, TeacherForcing
from unspool.nn.losses import LOSSES, masked_sum
from unspool.nn.patches import lengths_in_patches, patch_positions, patched, unpatched
from unspool.runtime import patches as runtime
from unspool.runtime.recurrence import BatchLengths

B, T, F, L, P = 5, 7, 2, 6, 3
LENGTHS = torch.tensor([7, 0, 1, 3, 5])


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def normal(*shape, seed=1):
    return torch.randn(*shape, dtype=torch.float64, generator=generator(seed))


def by_hand(x, lengths, size):
    """Patches one value after the other."""
    batch, steps, features = x.shape
    found = np.zeros((batch, -(-steps // size), size * features))
    for i in range(batch):
        for step in range(int(lengths[i])):
            for feature in range(features):
                found[i, step // size, step % size * features + feature] = x[i, step, feature]
    return found


def autoencoder(decoder, size=P, **options):
    given = {"latent_dim": L, "units": 4, "num_layers": 2, "generator": generator()}
    both = {"patch_size": size, **given}
    encoder = LSTMEncoder(F, whole_state=DECODERS[decoder].starts, **both)
    decoder = LSTMDecoder(decoder, n_features=F, steps=T, **{**both, **options})
    return Autoencoder(encoder, {"reconstruction": decoder}).double()


@pytest.mark.parametrize("size", [2, 3, 7, 9])
def test_a_patch_is_the_concatenation_of_its_steps(size):
    x = normal(B, T, F)
    x[torch.arange(T) >= LENGTHS[:, None]] = torch.nan  # is not read
    expected = by_hand(x, LENGTHS, size)
    np.testing.assert_array_equal(patched(x, size, LENGTHS), expected)
    counted = [-(-int(length) // size) for length in LENGTHS]
    assert lengths_in_patches(LENGTHS, size).tolist() == counted
    clean = np.nan_to_num(x.numpy())
    np.testing.assert_array_equal(runtime.patched(clean, size), expected)
    order = np.argsort(-LENGTHS.numpy(), kind="stable")
    batch = runtime.in_patches(BatchLengths(LENGTHS.numpy()[order], T), size)
    assert batch.lengths.tolist() == sorted(counted, reverse=True)
    assert batch.steps == -(-T // size)


def test_unpatched_inverts_patched():
    x = normal(B, T, F)
    joined = unpatched(patched(x, P).view(B, 3, P, F), T)
    assert torch.equal(joined, x)


def test_the_position_of_a_patch_is_encoded_as_waves_of_16_lengths():
    found = patch_positions(70, normal(2, L))
    assert found.shape == (2, 70, 32)
    for k in (0, 1, 5, 63, 69):
        waves = [2 * np.pi * j * k / 64 for j in range(1, 17)]
        expected = [*map(np.sin, waves), *map(np.cos, waves)]
        for one in found[:, k]:
            np.testing.assert_allclose(one, expected, atol=1e-12)
    in_numpy = runtime.patch_positions(70, 2)
    assert in_numpy.dtype == np.float32
    np.testing.assert_allclose(in_numpy.transpose(2, 0, 1), found, atol=1e-6)
    assert len(np.unique(found[0, :64].numpy().round(6), axis=0)) == 64


@pytest.mark.parametrize("decoder", DECODERS)
def test_decoders_without_input_read_the_position_of_the_patch(decoder):
    made, kind = autoencoder(decoder).decoder(), DECODERS[decoder]
    assert made.reads_place == (kind.reads is None and kind.code != "steps")
    alone = autoencoder(decoder, size=1).decoder()
    assert not alone.reads_place


def test_a_patch_of_one_step_is_the_step():
    x = normal(B, T, F)
    assert patched(x, 1, LENGTHS) is x
    assert lengths_in_patches(LENGTHS, 1) is LENGTHS
    assert unpatched(x, T).shape == x.shape


def test_an_encoder_of_patches_reads_them_as_wider_steps():
    encoder = LSTMEncoder(F, L, units=4, bidirectional=True, patch_size=P, pooling="all",
                          generator=generator()).double()  # fmt: skip
    wide = LSTMEncoder(P * F, L, units=4, bidirectional=True, pooling="all").double()
    wide.load_state_dict(encoder.state_dict())
    x = normal(B, T, F)
    steps = torch.from_numpy(by_hand(x, LENGTHS, P))
    assert torch.equal(wide(steps, -(-LENGTHS // P)), encoder(x, LENGTHS))


@pytest.mark.parametrize("reverse_target", [False, True], ids=["in order", "reversed"])
def test_a_decoder_of_patches_decodes_the_steps_of_each(reverse_target):
    given = {"units": 4, "head_units": (3,), "reverse_target": reverse_target}
    decoder = LSTMDecoder("repeat", L, F, patch_size=P, generator=generator(), **given).double()
    code = normal(B, L)
    states, _ = decoder.lstm(patch_positions(3, code), -(-LENGTHS // P), context=code)
    written, steps = decoder.head(states).reshape(B, 9, F), decoder(code, T, LENGTHS)
    for i, length in enumerate(LENGTHS.tolist()):
        expected = written[i, :length]
        if reverse_target:
            expected = expected.flip(0)
        assert_close(f"sequence {i}", expected, steps[i, :length])


def test_the_reversed_input_starts_with_the_last_step():
    """Whatever the length: the first patch read has the last steps, the last step first."""
    decoder = LSTMDecoder("reversed_input", L, F, units=4, patch_size=P, generator=generator())
    decoder = decoder.double()
    model = Autoencoder(LSTMEncoder(F, L, patch_size=P), {"reconstruction": decoder}).double()
    x, code = normal(B, T, F), normal(B, L)
    found = model.decode("reconstruction", code, x, LENGTHS)
    for i, length in enumerate(LENGTHS.tolist()):
        alone = x[i : i + 1, :length].flip(1)
        read = torch.from_numpy(by_hand(alone, [length], P))
        states, _ = decoder.lstm(read, context=code[i : i + 1], steps=read.shape[1])
        expected = decoder.head(states).reshape(-1, F)[:length]
        assert_close(f"sequence {i}", expected, found[i, :length])


@pytest.mark.parametrize("decoder", ["previous", "state_previous"])
def test_previous_decoders_read_the_previous_patch(decoder):
    """In training the true one, so that no output depends on steps of its own patch or later."""
    made = autoencoder(decoder).decoder()
    code, target = normal(1, L), normal(1, T, F)
    before = made(code, T, None, teacher=TeacherForcing(target))
    for step in range(T):
        other = target.clone()
        other[:, step] += 1
        changed = (made(code, T, None, teacher=TeacherForcing(other)) != before).any(2)[0]
        first = (step // P + 1) * P
        assert not changed[:first].any()
        assert changed[first:].all()
    # Its own outputs for the true steps are the same as none.
    own = made(code, T)
    assert_close("own outputs", own, made(code, T, None, teacher=TeacherForcing(own)))
    assert_close("none of the true steps", own, made(code, T, teacher=TeacherForcing(target, 0.0)))


@pytest.mark.parametrize("decoder", DECODERS)
@pytest.mark.parametrize("options", [{}, {"head_units": (3,)}], ids=["no head", "head"])
def test_padding_changes_no_output_and_no_gradient(decoder, options):
    made = autoencoder(decoder, **options)
    x = normal(B, T, F)
    x[torch.arange(T) >= LENGTHS[:, None]] = 0
    results = []
    for rubbish in (0.0, 1e3):
        given = torch.where((torch.arange(T) < LENGTHS[:, None])[..., None], x, rubbish)
        loss = masked_sum(LOSSES["mse"](made(given, LENGTHS), x), LENGTHS)
        results.append([loss, *torch.autograd.grad(loss, list(made.parameters()))])
    for one, other in zip(*results, strict=True):
        assert torch.equal(one, other)
    together = made(x, LENGTHS)
    for i, length in enumerate(LENGTHS.tolist()):
        alone = made(x[i : i + 1, :length])[0]
        assert_close(f"sequence {i} alone", alone, together[i, :length])


@pytest.mark.parametrize("decoder", DECODERS)
def test_gradients_equal_finite_differences(decoder):
    made = autoencoder(decoder)
    x = normal(B, T, F)

    def loss():
        found = made.decode("reconstruction", made.encoder(x, LENGTHS), x, LENGTHS,
                            TeacherForcing(x) if made.decoder().feeds_back else None)  # fmt: skip
        return masked_sum(LOSSES["mse"](found, x), LENGTHS)

    weights = list(made.parameters())
    gradients = torch.autograd.grad(loss(), weights)
    for weight, gradient in zip(weights, gradients, strict=True):
        direction = normal(*weight.shape, seed=2)
        with torch.no_grad():
            weight += 1e-5 * direction
            above = loss()
            weight -= 2e-5 * direction
            slope = (above - loss()) / 2e-5
            weight += 1e-5 * direction
        expected = float((gradient * direction).sum())
        assert float(slope) == pytest.approx(expected, rel=1e-5, abs=1e-6)


def test_encode_by_step_refuses_patches():
    with pytest.raises(InputError) as error:
        LSTMEncoder(F, L, patch_size=4).encode_by_step(normal(B, T, F))
    assert str(error.value) == (
        "Codes after every step need an encoder that reads step by step, but this one reads "
        "patches of 4 steps. Fit it with patch_size=1, or use a stream of `unspool.runtime`."
    )
