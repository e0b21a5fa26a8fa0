"""Dropout between layers, on the hidden state and on the code, compared with explicit masks."""

import pytest
import torch

from tests.close import assert_close
from unspool.errors import InputError
from unspool.nn import (
    LSTM,
    Autoencoder,
    Cell,
    ConvDecoder,
    ConvEncoder,
    DenseDecoder,
    DenseEncoder,
    LSTMDecoder,
    LSTMEncoder,
    TeacherForcing,
    fused,
)
from unspool.nn.dropout import Dropout
from unspool.training.batches import Batch
from unspool.training.objective import AutoencoderLoss, dropping


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def recurrent(decoder="repeat", dtype=torch.float64, **options):
    drawn = generator(1)
    return Autoencoder(
        LSTMEncoder(2, 4, generator=drawn, **options),
        {"reconstruction": LSTMDecoder(decoder, 4, 2, steps=6, generator=drawn, **options)},
    ).to(dtype)


def dense():
    drawn, linear = generator(1), {"activation": "linear", "units": [7, 6]}
    return Autoencoder(
        DenseEncoder(2, 6, 4, code_activation="linear", generator=drawn, **linear),
        {"reconstruction": DenseDecoder(4, 2, 6, generator=drawn, **linear)},
    ).double()


def convolutional(latent_dim):
    drawn, shape = generator(1), {"filters": [5, 3], "activation": "linear", "pool": (1, 1)}
    return Autoencoder(
        ConvEncoder(2, (3, 2), latent_dim, generator=drawn, **shape),
        {"reconstruction": ConvDecoder(latent_dim, 2, (3, 2), generator=drawn, **shape)},
    ).double()


def batch(sequences=3, steps=6, seed=5):
    x = torch.randn(sequences, steps, 2, generator=generator(seed), dtype=torch.float64)
    return Batch(x, None)


def test_a_mask_has_zeros_and_the_inverse_of_the_share_that_is_kept():
    mask = Dropout(recurrent=0.2, generator=generator()).state_mask(400, 50, torch.ones(1))
    assert set(mask.unique().tolist()) == {0.0, 1.25}
    assert (mask == 0).double().mean().item() == pytest.approx(0.2, abs=0.01)


def test_code_mask_drops_what_of_code_drops():
    code = torch.randn(7, 9, generator=generator(2))
    mask = Dropout(code=0.4, generator=generator()).code_mask(7, 9, code)
    dropped = Dropout(code=0.4, generator=generator()).of_code(code)
    assert_close("code", code * mask, dropped)
    assert (dropped == 0).any()


def test_shares_of_zero_draw_nothing():
    drawn = generator()
    before, x = drawn.get_state(), torch.ones(3, 4)
    dropout = Dropout(generator=drawn)
    assert dropout.of_layer(x) is dropout.of_code(x) is x
    assert dropout.state_mask(3, 4, x) is dropout.code_mask(3, 4, x) is None
    assert torch.equal(drawn.get_state(), before)


def test_dropout_between_lstm_layers_acts_on_every_output_but_the_last():
    lstm = LSTM(2, (4, 3, 5), bidirectional=True, generator=generator(1)).double()
    x, lengths = batch().x, torch.tensor([6, 0, 3])
    lstm.dropout = Dropout(layers=0.5, generator=generator())
    states, _ = lstm(x, lengths)
    same, expected = Dropout(layers=0.5, generator=generator()), x
    for depth, directions in enumerate(lstm.stack()):
        expected = expected if depth == 0 else same.of_layer(expected)
        expected = torch.cat([layer(expected, lengths)[0] for layer in directions], 2)
    assert_close("states", expected, states)
    lstm.dropout = None
    assert not torch.allclose(lstm(x, lengths)[0], states)


def test_every_layer_and_direction_has_a_mask_of_its_own():
    lstm = LSTM(2, (4, 4), bidirectional=True, generator=generator(1)).double()
    lstm.dropout = Dropout(recurrent=0.5, generator=generator())
    states, _ = lstm(batch().x)
    lstm.dropout = Dropout(recurrent=0.5, generator=generator())
    masks = lstm.state_masks(3)
    assert len({str(mask.tolist()) for mask in masks}) == 4
    lstm.dropout = None
    assert_close("states", lstm(batch().x, h_masks=masks)[0], states)
    assert lstm.state_masks(3) == [None] * 4


@pytest.mark.parametrize("teacher", [None, 0.5], ids=["own outputs", "scheduled sampling"])
def test_a_decoder_that_feeds_back_keeps_its_mask_at_every_step(teacher):
    made, masks = recurrent("previous"), []
    layer = made.decoder().lstm.stack()[0][0]
    layer.register_forward_pre_hook(
        lambda _, args, kwargs: masks.append(kwargs["h_mask"]), with_kwargs=True
    )
    forcing = teacher and TeacherForcing(batch().x, teacher, generator())
    with dropping(made, Dropout(recurrent=0.5, generator=generator())):
        made.decode("reconstruction", torch.ones(3, 4).double(), batch().x, None, forcing)
    assert len(masks) == 6
    assert all(mask is masks[0] for mask in masks)
    assert set(masks[0].unique().tolist()) == {0.0, 2.0}


def outputs(made, dropout, count):
    """Reconstruct the same batch `count` times; (count, B, T, F)."""
    with torch.no_grad(), dropping(made, dropout):
        return torch.stack([made(batch().x) for _ in range(count)])


@pytest.mark.parametrize(
    "make",
    [dense, lambda: convolutional(4), lambda: convolutional(None)],
    ids=["dense", "convolutions", "convolutions without a dense layer"],
)
def test_the_mean_of_a_linear_model_over_many_masks_is_its_output_without_dropout(make):
    made = make()
    many = outputs(made, Dropout(layers=0.3, generator=generator()), 4000)
    alone = made(batch().x).detach()
    error = many.std(0) / len(many) ** 0.5
    assert (error > 0).all(), "nothing was dropped"
    assert ((many.mean(0) - alone).abs() < 5 * error).all()


def test_dropout_of_dense_layers_acts_between_them_and_not_on_the_code():
    made, same = dense(), Dropout(layers=0.5, generator=generator())
    with dropping(made, Dropout(layers=0.5, generator=generator())):
        got = made(batch().x)
    first, second, code = made.encoder.layers[::2]
    x = code(same.of_layer(second(same.of_layer(first(batch().x.flatten(1))))))
    first, second, *last = (one for one in made.decoder().head if hasattr(one, "weight"))
    x = last[0](same.of_layer(second(same.of_layer(first(x)))))
    assert_close("reconstruction", x.view(3, 6, 2), got)


def test_an_lstm_autoencoder_with_a_dense_decoder_drops_between_lstm_layers_only():
    drawn = generator(1)
    decoder = DenseDecoder(4, 2, 6, units=[8], generator=drawn)
    made = Autoencoder(LSTMEncoder(2, 4, generator=drawn), {"reconstruction": decoder}).double()
    with dropping(made, Dropout(layers=0.5, generator=generator())):
        assert torch.equal(made(batch().x), made(batch().x))


def test_dropping_ends_with_its_context_after_an_error_too():
    made = recurrent(num_layers=2)
    with pytest.raises(ZeroDivisionError), dropping(made, Dropout(layers=0.5)):
        raise ZeroDivisionError
    assert not any(getattr(module, "dropout", None) for module in made.modules())


@pytest.mark.parametrize(
    "decoder", ["repeat", "reversed_input", "previous", "state", "reshape", "flat"]
)
@pytest.mark.parametrize("evaluates", [True, False], ids=["evaluation", "training"])
def test_the_objective_drops_in_training_only(decoder, evaluates):
    made = recurrent(decoder, num_layers=2).train(not evaluates)
    shares = Dropout(0.3, 0.3, 0.3, generator())
    totals = [
        AutoencoderLoss(made, dropout=dropout)(batch())["loss"].total.item()
        for dropout in (Dropout(), shares, shares)
    ]
    assert len(set(totals)) == (1 if evaluates else 3)


@pytest.mark.parametrize("share", ["layers", "recurrent", "code"])
def test_the_same_seed_draws_the_same_masks(share):
    made = recurrent(num_layers=2).train()
    totals = [
        AutoencoderLoss(made, dropout=Dropout(generator=generator(seed), **{share: 0.4}))(batch())
        for seed in (0, 0, 1)
    ]
    one, two, other = (terms["loss"].total.item() for terms in totals)
    assert one == two != other


def test_the_penalty_of_a_code_is_that_of_the_code_before_dropout():
    made = recurrent().train()
    terms = AutoencoderLoss(made, code_l1=1.0, dropout=Dropout(code=0.5, generator=generator()))
    total = made.encoder(batch().x).abs().sum()
    assert_close("code_l1", total, terms(batch())["code_l1"].total)


def differences(made, loss, weight, step=1e-6):
    """Central differences of a loss by the first numbers of a weight."""
    found = []
    for place in range(min(3, weight.numel())):
        with torch.no_grad():
            at = []
            for change in (step, -2 * step):
                weight.view(-1)[place] += change
                at.append(loss().item())
            weight.view(-1)[place] += step
            found.append((at[0] - at[1]) / (2 * step))
    return torch.tensor(found, dtype=torch.float64)


@pytest.mark.parametrize("pooling", ["last", "mean", "max"])
@pytest.mark.parametrize("decoder", ["repeat", "reversed_input"])
@pytest.mark.parametrize("shares", [(0, 0.4, 0), (0, 0, 0.4), (0, 0.4, 0.4)], ids=str)
def test_the_fused_training_step_drops_the_same_and_its_gradients_are_finite_differences(
    shares, decoder, pooling
):
    drawn = generator(1)
    smooth = {"units": 4, "head_units": [3], "head_activation": "tanh"}
    made = Autoencoder(
        LSTMEncoder(2, 5, pooling=pooling, generator=drawn),
        {"reconstruction": LSTMDecoder(decoder, 5, 2, generator=drawn, **smooth)},
    )
    made = made.double().train()
    x, lengths = batch(37).x, torch.arange(37) % 7
    weights = list(made.parameters())

    def total(**options):
        dropout = Dropout(*shares, generator())
        return AutoencoderLoss(made, dropout=dropout, **options)(Batch(x, lengths))["loss"].total

    fast, slow = total(), total(metrics=("mae",))
    assert all(layer.ran != fused.RAN for _, layer in made._lstm())
    total()
    assert all(layer.ran == fused.RAN for _, layer in made._lstm())
    assert_close("loss", slow, fast)
    gradients = torch.autograd.grad(fast, weights)
    for one, other in zip(torch.autograd.grad(slow, weights), gradients, strict=True):
        assert_close("gradient", one, other)
        assert one.abs().max() > 0
    for weight, gradient in zip(weights, gradients, strict=True):
        found = differences(made, total, weight)
        torch.testing.assert_close(gradient.flatten()[:3], found, rtol=1e-6, atol=1e-5)


def test_recurrent_masks_use_the_fused_training_step_for_small_batches_of_wide_layers_too():
    """Without masks, torch's LSTM would run them."""
    drawn = generator(1)
    made = Autoencoder(
        LSTMEncoder(2, 80, generator=drawn),
        {"reconstruction": LSTMDecoder("repeat", 80, 2, generator=drawn)},
    )
    x = batch(2).x.float()
    targets, dropout = {"reconstruction": fused.Target(x)}, Dropout(recurrent=0.5)
    assert fused.losses(made, x, None, targets, "mse") is None
    assert fused.losses(made, x, None, targets, "mse", dropout=dropout) is not None


def test_the_number_of_threads_changes_no_bit_of_the_fused_training_step():
    made = recurrent(dtype=torch.float32).train()
    before, results = torch.get_num_threads(), []
    try:
        for count in (1, 2, 5):
            torch.set_num_threads(count)
            dropout = Dropout(0, 0.4, 0.4, generator())
            x = batch(257).x.float()
            targets = {"reconstruction": fused.Target(x)}
            (loss,) = fused.losses(made, x, None, targets, "mse", dropout=dropout).values()
            results.append([loss, *torch.autograd.grad(loss, list(made.parameters()))])
    finally:
        torch.set_num_threads(before)
    for other in results[1:]:
        assert all(map(torch.equal, results[0], other))


def test_backend_torch_refuses_recurrent_dropout():
    made = recurrent(cell=Cell(backend="torch")).train()
    dropout = Dropout(recurrent=0.5, generator=generator())
    with pytest.raises(InputError, match="`backend` 'torch' has no mask of the hidden state"):
        AutoencoderLoss(made, dropout=dropout)(batch())
