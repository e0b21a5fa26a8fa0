"""Decoders by name, against loops over single steps of the LSTM in NumPy."""

import numpy as np
import pytest
import torch

from tests.close import assert_close
from unspool.blueprint import DECODERS
from unspool.errors import InputError
from unspool.lstm import reference
from unspool.nn import Autoencoder, DenseDecoder, LSTMDecoder, LSTMEncoder, TeacherForcing
from unspool.nn.losses import masked_sum

B, T, F, H, L = 4, 5, 2, 3, 7  # 7 numbers are no whole number of pieces for 5 steps
LENGTHS = torch.tensor([5, 0, 3, 1])
FEEDING = [name for name, kind in DECODERS.items() if kind.reads == "previous"]
ONE_BY_ONE = [name for name, kind in DECODERS.items() if not kind.flat]
BOTH_WAYS = [name for name, kind in DECODERS.items() if kind.both_ways]


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def normal(*shape, seed=1):
    return torch.randn(*shape, dtype=torch.float64, generator=generator(seed))


def make(name, latent_dim=L, steps=T, **options):
    given = {"units": H, "head_units": (4,), "output_activation": "tanh", "generator": generator()}
    return LSTMDecoder(name, latent_dim, F, steps=steps, **{**given, **options}).double()


def turned(x, lengths):
    """Sequences from their own last step to their first, by hand."""
    x = x.clone()
    for row, length in zip(x, [x.shape[1]] * len(x) if lengths is None else lengths, strict=True):
        row[:length] = row[:length].flip(0)
    return x


def head(decoder, states):
    """Dense layers in NumPy: ReLU between them, tanh at the end."""
    linear = [layer for layer in decoder.head if isinstance(layer, torch.nn.Linear)]
    assert len(linear) == 2
    for layer in linear:
        states = states @ layer.weight.detach().numpy().T + layer.bias.detach().numpy()
        states = np.tanh(states) if layer is linear[-1] else np.maximum(states, 0)
    return states


def start(decoder, code):
    """h and c of each layer and direction as the code has them: all h first, then all c."""
    if not decoder.kind.starts:
        return None
    if decoder.start is not None:
        code = code @ decoder.start.weight.detach().numpy().T + decoder.start.bias.detach().numpy()
    each = np.split(code, code.shape[1] // H, axis=1)
    return each[: len(each) // 2], each[len(each) // 2 :]


def pieces(code, steps=T):
    """The code cut into `steps` rows, the last ones filled up with zeros."""
    width = int(np.ceil(code.shape[1] / steps))
    filled = np.zeros((len(code), steps * width))
    filled[:, : code.shape[1]] = code
    return filled.reshape(len(code), steps, width)


def decoded(decoder, code, read):
    """A decoder in one direction, step after step; ``read(step, written)`` is what it reads."""
    code = code.numpy()
    h, c = start(decoder, code) or ([np.zeros((len(code), H))] * 2, [np.zeros((len(code), H))] * 2)
    h, c = list(h), list(c)
    written = []
    for step in range(T):
        x = read(step, written)
        for depth, (layer,) in enumerate(decoder.lstm.stack()):
            weights = layer.weights()
            context = code if "w_context" in weights else None
            _, h[depth], c[depth] = reference.forward(
                None if x is None else x[:, None], weights.pop("w_ih", None), **weights,
                context=context, h0=h[depth], c0=c[depth], steps=1,
            )  # fmt: skip
            x = h[depth]
        written.append(head(decoder, x))
    return np.stack(written, 1)


@pytest.mark.parametrize("num_layers", [1, 2])
@pytest.mark.parametrize("name", [*ONE_BY_ONE, *(f"{name}, own" for name in FEEDING)])
def test_every_step_reads_what_the_table_of_decoders_says(name, num_layers):
    name, _, own = name.partition(",")
    decoder = make(name, num_layers=num_layers)
    code, reversed_input, target = normal(B, L), normal(B, T, F, seed=2), normal(B, T, F, seed=3)

    def read(step, written):
        match name:
            case "repeat" | "state" | "state_repeat":
                return None
            case "reversed_input" | "state_reversed_input":
                return reversed_input[:, step].numpy()
            case "reshape":
                return pieces(code.numpy())[:, step]
            case "previous" | "state_previous":
                before = written[-1] if own and step else target[:, step - 1].numpy()
                return before if step else np.zeros((B, F))

    teacher = None if own else TeacherForcing(target)
    assert_close(
        name, decoded(decoder, code, read), decoder(code, T, None, reversed_input, teacher)
    )


@pytest.mark.parametrize("name", BOTH_WAYS)
def test_both_directions_start_and_read_at_their_own_ends(name):
    decoder = make(name, bidirectional=True)
    code, reversed_input = normal(B, L), normal(B, T, F, seed=2)
    x = {"steps": pieces(code.numpy())}.get(decoder.kind.code)
    x = reversed_input.numpy() if decoder.needs_input else x
    h, c = start(decoder, code.numpy()) or ([None] * 2, [None] * 2)
    halves = []
    for number, layer in enumerate(decoder.lstm.stack()[0]):
        weights = layer.weights()
        context = code.numpy() if "w_context" in weights else None
        states, _, _ = reference.forward(
            x, weights.pop("w_ih", None), **weights, context=context, h0=h[number], c0=c[number],
            lengths=LENGTHS.numpy(), steps=T, reverse=number == 1,
        )  # fmt: skip
        halves.append(states)
    expected = head(decoder, np.concatenate(halves, axis=2))
    assert_close(name, expected, decoder(code, T, LENGTHS, reversed_input))


@pytest.mark.parametrize("latent_dim", [L, 15, 3])
def test_flat_maps_the_final_state_to_all_steps_at_once(latent_dim):
    decoder = make("flat", latent_dim, bidirectional=True)
    code = normal(B, latent_dim)
    (layer,) = decoder.lstm.stack()[0]  # one direction, whatever was requested
    _, final, _ = reference.forward(pieces(code.numpy()), **layer.weights())
    expected = head(decoder, final).reshape(B, T, F)
    assert_close("flat", expected, decoder(code, T))
    assert_close("fewer steps", expected[:, :2], decoder(code, 2))


@pytest.mark.parametrize("latent_dim", [10, 7, 3])
def test_reshape_reads_a_piece_of_the_code_at_every_step_and_zeros_where_none_is_left(latent_dim):
    decoder = make("reshape", latent_dim)
    code = normal(B, latent_dim)
    assert decoder.lstm.stack()[0][0].input_size == -(-latent_dim // T)
    read = pieces(code.numpy())
    expected = decoded(decoder, code, lambda step, written: read[:, step])
    assert_close("reshape", expected, decoder(code, T))
    assert_close("fewer steps", expected[:, :2], decoder(code, 2))


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("num_layers", [1, 2])
@pytest.mark.parametrize(
    "name", ["state", "state_repeat", "state_reversed_input", "state_previous"]
)
def test_a_state_decoder_starts_from_the_encoders_own_h_and_c(name, num_layers, bidirectional):
    both = bidirectional and name != "state_previous"
    shape = {"units": H, "num_layers": num_layers, "bidirectional": both}
    latent_dim = 2 * num_layers * (1 + both) * H
    encoder = LSTMEncoder(F, latent_dim, whole_state=True, **shape, generator=generator()).double()
    decoder = make(name, latent_dim, **{**shape, "bidirectional": bidirectional})
    assert encoder.projection is None
    assert decoder.start is None
    seen = []
    decoder.lstm.register_forward_pre_hook(
        lambda module, args, kwargs: seen.append(kwargs["state"]), with_kwargs=True
    )
    x = normal(B, T, F)
    Autoencoder(encoder, {"reconstruction": decoder})(x, LENGTHS)
    _, (h_n, c_n) = encoder.lstm(x, LENGTHS)
    assert_close("h", h_n, torch.stack(seen[0][0]))
    assert_close("c", c_n, torch.stack(seen[0][1]))
    assert len(torch.cat([h_n, c_n])[:, 0, 0].unique()) == 2 * len(h_n)


@pytest.mark.parametrize(
    "name", ["state", "state_repeat", "state_reversed_input", "state_previous"]
)
def test_a_state_decoder_of_different_units_starts_from_slices_of_the_code(name):
    decoder = make(name, 16, units=(5, 3), bidirectional=False)
    assert decoder.start is None
    code, seen = normal(B, 16), []
    decoder.lstm.register_forward_pre_hook(
        lambda module, args, kwargs: seen.append(kwargs["state"]), with_kwargs=True
    )
    decoder(code, 1, reversed_input=normal(B, 1, F))
    (h, c), *_ = seen
    for place, state in zip((0, 5, 8, 13), (*h, *c), strict=True):
        assert torch.equal(state, code[:, place : place + state.shape[1]])
    assert make(name, 15, units=(5, 3), bidirectional=False).start.weight.shape == (16, 15)


def test_a_state_decoder_of_another_width_starts_through_a_linear_layer():
    assert make("state", 2 * H).start is None
    assert make("state", 2 * H + 1).start.weight.shape == (2 * H, 2 * H + 1)
    assert make("state", 2 * H, num_layers=2).start.weight.shape == (4 * H, 2 * H)


@pytest.mark.parametrize("reverse_target", [False, True])
@pytest.mark.parametrize("name", FEEDING)
def test_teacher_forcing_with_its_own_output_changes_nothing(name, reverse_target):
    decoder = make(name, reverse_target=reverse_target)
    code = normal(B, L)
    alone = decoder(code, T, LENGTHS).detach()
    forced = decoder(code, T, LENGTHS, None, TeacherForcing(alone))
    other = decoder(code, T, LENGTHS, None, TeacherForcing(alone + 1))
    for i, length in enumerate(LENGTHS):
        assert_close(name, alone[i, :length], forced[i, :length])
    assert not torch.allclose(alone[0], other[0])


@pytest.mark.parametrize("name", FEEDING)
def test_no_gradient_flows_through_the_fed_back_output(name):
    decoder, code, target = make(name), normal(B, L), normal(B, T, F, seed=2)
    gradients = []
    for teacher in (None, TeacherForcing(decoder(code, T).detach())):
        loss = ((decoder(code, T, None, None, teacher) - target) ** 2).sum()
        gradients.append(torch.autograd.grad(loss, list(decoder.parameters())))
    for (label, _), expected, gradient in zip(decoder.named_parameters(), *gradients, strict=True):
        assert_close(label, gradient, expected)


def what_was_read(decoder, code, teacher):
    """The steps (B, T, F) that a decoder read, in order, and what it wrote."""
    read = []
    hook = decoder.lstm.register_forward_pre_hook(lambda module, args: read.append(args[0]))
    written = decoder(code, teacher.target.shape[1], None, None, teacher)
    hook.remove()
    return torch.cat(read, 1), written


@pytest.mark.parametrize("share", [0.0, 0.3, 0.999])
@pytest.mark.parametrize("name", FEEDING)
def test_the_teacher_forcing_ratio_applies_to_every_sequence_and_step(name, share):
    decoder = make(name)
    code, target = normal(300, L), normal(300, 9, F, seed=2)
    read, written = what_was_read(decoder, code, TeacherForcing(target, share, generator()))
    assert not read[:, 0].any()
    true = (read[:, 1:] == target[:, :-1]).all(2)
    own = torch.isclose(read[:, 1:], written[:, :-1], rtol=0, atol=1e-12).all(2)
    assert (true ^ own).all()
    assert true.double().mean().item() == pytest.approx(share, abs=0.03)
    if share == 0.3:  # neither whole steps nor whole sequences
        assert true.double().mean(0).max() < 0.45
        assert true.double().mean(1).max() < 1
        same, _ = what_was_read(decoder, code, TeacherForcing(target, share, generator()))
        other, _ = what_was_read(decoder, code, TeacherForcing(target, share, generator(1)))
        assert torch.equal(same, read)
        assert not torch.equal(other, read)


def test_a_drawn_output_is_returned_and_read_next():
    decoder = make("previous")
    code, read = normal(B, L), []
    decoder.lstm.register_forward_pre_hook(lambda module, args: read.append(args[0]))
    drawn = decoder(code, T, draw=lambda output: (output > 0).to(output) + 10)
    assert set(drawn.unique().tolist()) == {10.0, 11.0}
    assert torch.equal(torch.cat(read[1:], 1), drawn[:, :-1])


@pytest.mark.parametrize("name", ["repeat", "state", "state_repeat", "reshape", *FEEDING])
@pytest.mark.parametrize("lengths", [None, LENGTHS], ids=["full", "ragged"])
@pytest.mark.parametrize("share", [1.0, 0.5, None], ids=["true", "mixed", "own"])
def test_a_reversed_target_is_decoded_from_the_last_real_step(name, lengths, share):
    code, target = normal(B, L), normal(B, T, F, seed=2)

    def teacher(x):
        return None if share is None else TeacherForcing(x, share, generator())

    reversed_input = make(name, reverse_target=True)(code, T, lengths, None, teacher(target))
    plain = make(name)(code, T, lengths, None, teacher(turned(target, lengths)))
    for row, expected, length in zip(
        reversed_input, plain, [T] * B if lengths is None else lengths, strict=True
    ):
        assert_close(name, expected[:length].flip(0), row[:length])


@pytest.mark.parametrize("horizon", [2, T, 8])
@pytest.mark.parametrize("name", ["reversed_input", "state_reversed_input"])
@pytest.mark.parametrize("lengths", [None, LENGTHS], ids=["full", "ragged"])
def test_a_forecast_reads_the_reversed_input_and_then_zeros(name, horizon, lengths):
    decoder = make(name)
    model = Autoencoder(LSTMEncoder(F, L).double(), {"forecast": decoder}, horizon)
    code, x = normal(B, L), normal(B, T, F, seed=2)
    read = np.zeros((B, horizon, F))
    for row, one, length in zip(read, x, [T] * B if lengths is None else lengths, strict=True):
        last = one[:length].flip(0)[:horizon]
        row[: len(last)] = last
    dirty = x.clone()
    if lengths is not None:
        dirty[torch.arange(T) >= lengths[:, None]] = 99.0
    got = model.decode("forecast", code, dirty, lengths)
    assert_close(name, decoder(code, horizon, None, torch.from_numpy(read)), got)
    assert got.shape == (B, horizon, F)


@pytest.mark.parametrize("name", ["repeat", "state", "state_repeat", "previous", "state_previous"])
@pytest.mark.parametrize("reverse_target", [False, True])
def test_generation_does_not_depend_on_padding_or_on_others(name, reverse_target):
    decoder = make(name, reverse_target=reverse_target)
    code = normal(B, L)
    tight, wide = decoder(code, T, LENGTHS), decoder(code, T + 6, LENGTHS)
    for i, length in enumerate(LENGTHS):
        alone = decoder(code[i : i + 1], int(length))
        assert_close("alone", tight[i, :length], alone[0])
        assert_close("padded", tight[i, :length], wide[i, :length])


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("reverse_target", [False, True])
@pytest.mark.parametrize("name", [*DECODERS, *(f"{name}, own" for name in FEEDING), "dense"])
def test_every_weight_and_the_code_have_a_gradient(name, bidirectional, reverse_target):
    name, _, own = name.partition(",")
    options = {"bidirectional": bidirectional, "reverse_target": reverse_target, "num_layers": 2}
    tanh = {"head_activation": "tanh"}  # a ReLU may be off for all there is here
    decoder = make(name, **options, **tanh) if name != "dense" else dense(activation="tanh")
    code, target = normal(B, L).requires_grad_(), normal(B, T, F, seed=2)
    teacher = None if own else TeacherForcing(target)
    out = decoder(code, T, LENGTHS, normal(B, T, F, seed=3), teacher)
    masked_sum((out - target) ** 2, LENGTHS).backward()
    assert code.grad[0].any()
    if name not in ("dense", "flat"):
        assert not code.grad[1].any(), "a sequence of no step pulls at its code"
    for name, weight in decoder.named_parameters():
        assert weight.grad is not None, name
        assert weight.grad.any(), name


@pytest.mark.parametrize("name", [*DECODERS, "dense"])
def test_zero_steps_are_decoded_to_empty_sequences(name):
    decoder = make(name) if name != "dense" else dense()
    code, target = normal(B, L), normal(B, 0, F)
    assert decoder(code, 0, None, target).shape == (B, 0, F)
    assert decoder(code, 0, None, target, TeacherForcing(target)).shape == (B, 0, F)


@pytest.mark.parametrize("name", [*DECODERS, "dense"])
def test_needs_input_feeds_back_and_max_steps_match_the_table_of_decoders(name):
    decoder = make(name) if name != "dense" else dense()
    properties = (decoder.needs_input, decoder.feeds_back, decoder.max_steps)
    assert properties == {
        "reversed_input": (True, False, None),
        "state_reversed_input": (True, False, None),
        "previous": (False, True, None),
        "state_previous": (False, True, None),
        "reshape": (False, False, T),
        "flat": (False, False, T),
        "dense": (False, False, T),
    }.get(name, (False, False, None))


def dense(**options):
    given = {"units": (4,), "output_activation": "tanh", "generator": generator()}
    return DenseDecoder(L, F, T, **{**given, **options}).double()


def test_a_dense_decoder_reshapes_the_output_of_its_layers():
    decoder = dense()
    code = normal(B, L)
    expected = head(decoder, code.numpy()).reshape(B, T, F)
    assert_close("dense", expected, decoder(code, T))
    assert_close("fewer steps", expected[:, :2], decoder(code, 2))


@pytest.mark.parametrize("name", [*DECODERS, "dense"])
def test_the_memory_layout_of_a_code_changes_nothing(name):
    decoder = make(name) if name != "dense" else dense()
    code, reversed_input = normal(L, L).T, normal(L, T, F, seed=2)
    expected = decoder(code.contiguous(), T, None, reversed_input)
    assert_close(name, expected, decoder(code, T, None, reversed_input))


@pytest.mark.parametrize("name", [*DECODERS, "dense"])
def test_softmax_is_over_the_features_of_a_step(name):
    options = {"output_activation": "softmax"}
    decoder = make(name, **options) if name != "dense" else dense(**options)
    out = decoder(normal(B, L), T, None, normal(B, T, F))
    assert_close("sums", torch.ones(B, T, dtype=torch.float64), out.sum(2))


def test_a_missing_decoder_is_named_with_those_that_exist():
    encoder = LSTMEncoder(F, L).double()
    with pytest.raises(InputError) as caught:
        Autoencoder(encoder, {"reconstruction": dense()}).decoder("forecast")
    assert str(caught.value) == (
        "This model has no decoder 'forecast'; its decoders are 'reconstruction'."
    )
    with pytest.raises(InputError) as caught:
        Autoencoder(encoder, {})(normal(B, T, F))
    assert str(caught.value) == (
        "This model has no decoder 'reconstruction'; it has an encoder only."
    )
