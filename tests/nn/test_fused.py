"""The training step in one call, compared with the modules run one after the other."""

import numpy as np
import pytest
import torch

from tests.close import assert_close
from unspool.errors import InputError
from unspool.lstm import threads
from unspool.lstm.prepared import PreparedLayer
from unspool.nn import LSTM, Autoencoder, Cell, LSTMDecoder, LSTMEncoder, fused
from unspool.nn.losses import LOSSES, count_values, masked_sum
from unspool.training.batches import Batch
from unspool.training.objective import AutoencoderLoss

REVERSED = "reversed_input"


def model(
    F=2,
    H=5,
    units=None,
    decoder="repeat",
    head=(),
    output="linear",
    cell=None,
    pooling="last",
    seed=0,
    patch_size=1,
):
    generator = torch.Generator().manual_seed(seed)
    return Autoencoder(
        LSTMEncoder(F, H, pooling=pooling, cell=cell, patch_size=patch_size, generator=generator),
        {
            "reconstruction": LSTMDecoder(
                decoder, H, F, units=units, head_units=head, output_activation=output, cell=cell,
                patch_size=patch_size, generator=generator,
            )
        },
    )  # fmt: skip


def batch(B, T, F, ragged=False, seed=1):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(B, T, F, dtype=torch.float64, generator=generator)
    if not ragged:
        return x, None
    lengths = torch.randint(0, T + 1, (B,), generator=generator)
    lengths[0], lengths[-1] = 0, T
    return x, lengths


def by_modules(made, x, lengths, loss, error_weights=None):
    total = masked_sum(LOSSES[loss](made(x, lengths), x), lengths, error_weights)
    return total, torch.autograd.grad(total, list(made.parameters()))


@pytest.mark.parametrize("ragged", [False, True], ids=["full", "ragged"])
@pytest.mark.parametrize(
    ("shape", "loss", "options"),
    [
        (
            (40, 7, 1),
            "mse",
            {"H": 10, "decoder": "reversed_input", "head": (10,), "output": "tanh"},
        ),
        ((70, 9, 3), "mae", {"H": 6, "units": 5}),
        ((33, 2, 17), "huber", {"H": 20, "units": 33, "decoder": REVERSED, "head": (4, 9)}),
        ((3, 20, 2), "mse", {"units": 3, "head": (18,), "output": "sigmoid"}),
        ((1, 4, 2), "mse", {"output": "relu", "cell": Cell("relu", "hard_sigmoid")}),
        ((70, 9, 3), "mse", {"H": 6, "pooling": "mean"}),
        ((40, 7, 2), "mae", {"H": 10, "pooling": "max", "decoder": REVERSED, "head": (4,)}),
        ((40, 7, 2), "mse", {"H": 7, "decoder": REVERSED, "cell": Cell(kind="gru")}),
    ],
    ids=["article", "no head", "wide", "deep", "relu", "mean", "max", "GRU"],
)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
def test_loss_and_gradients_are_those_of_the_modules(dtype, shape, loss, options, ragged):
    made = model(F=shape[2], **options).double()
    x, lengths = batch(*shape, ragged=ragged)
    expected = by_modules(made, x, lengths, loss)
    made, x = made.to(dtype), x.to(dtype)
    total = fused.loss_sum(made, x, lengths, loss)
    assert all(layer.ran == fused.RAN for _, layer in made._lstm())
    gradients = torch.autograd.grad(total, list(made.parameters()))
    assert_close("loss", expected[0].to(dtype), total)
    for (name, _), one, other in zip(made.named_parameters(), expected[1], gradients, strict=True):
        assert_close(name, one.to(dtype), other)
        assert one.abs().max() > 0, f"{name} has no gradient: nothing was compared"
    with torch.no_grad():
        assert torch.equal(fused.loss_sum(made, x, lengths, loss), total.detach())


@pytest.mark.parametrize(
    ("lengths", "served"),
    [(None, True), ([0, 4, 12, 8], True), ([0, 4, 12, 7], False)],
    ids=["full", "whole patches", "an incomplete patch"],
)
@pytest.mark.parametrize("head", [(), (9,)], ids=["no head", "head"])
def test_patches_are_served_if_they_are_complete(lengths, served, head):
    made = model(patch_size=4, head=head, output="tanh").double()
    x, _ = batch(4, 12, 2)
    lengths = None if lengths is None else torch.tensor(lengths)
    total = fused.loss_sum(made, x, lengths, "mse")
    assert (total is not None) == served
    if not served:
        return
    expected, gradients = by_modules(made, x, lengths, "mse")
    assert_close("loss", expected, total)
    found = torch.autograd.grad(total, list(made.parameters()))
    for (name, _), one, other in zip(made.named_parameters(), gradients, found, strict=True):
        assert_close(name, one, other)
        assert one.abs().max() > 0, f"{name} has no gradient: nothing was compared"


@pytest.mark.parametrize("shape", [(4, 1, 1), (4, 12, 1), (1, 1, 2), (4, 12, 2)], ids=str)
@pytest.mark.parametrize("patch_size", [1, 4])
def test_weights_of_errors_multiply_the_errors(patch_size, shape):
    made = model(patch_size=patch_size, head=(9,), output="tanh").double()
    x, _ = batch(4, 12, 2)
    lengths = torch.tensor([0, 4, 12, 8])
    generator = torch.Generator().manual_seed(2)
    error_weights = torch.rand(shape, dtype=torch.float64, generator=generator)
    total = fused.loss_sum(made, x, lengths, "mse", error_weights)
    expected, gradients = by_modules(made, x, lengths, "mse", error_weights)
    assert_close("loss", expected, total)
    found = torch.autograd.grad(total, list(made.parameters()))
    for (name, _), one, other in zip(made.named_parameters(), gradients, found, strict=True):
        assert_close(name, one, other)


def test_patches_of_sequences_that_end_within_one_are_not_served():
    x, _ = batch(4, 13, 2)
    assert fused.loss_sum(model(patch_size=4).double(), x, None, "mse") is None
    reads = model(patch_size=4, decoder=REVERSED).double()
    assert fused.loss_sum(reads, x[:, :12], None, "mse") is None


def test_gradients_are_scaled_by_the_gradient_of_the_loss():
    made = model()
    x, _ = batch(4, 6, 2)
    bias = made.encoder.lstm.layers[0][0].bias
    gradients = []
    for by in (1.0, 0.5):
        loss = fused.loss_sum(made, x.float(), None, "mse")
        gradients += torch.autograd.grad(loss * by, [bias])
    assert torch.equal(gradients[0] * 0.5, gradients[1])


@pytest.mark.parametrize("used", [2, 5])
@pytest.mark.parametrize("pooling", ["last", "mean", "max"])
def test_the_number_of_threads_changes_no_bit(used, pooling):
    made = model(H=10, head=(3,), pooling=pooling)
    x, lengths = batch(257, 12, 2, ragged=True)
    results = []
    for count in (1, used):
        torch.set_num_threads(count)
        try:
            total = fused.loss_sum(made, x.float(), lengths, "mse")
        finally:
            torch.set_num_threads(1)
        results.append([total, *torch.autograd.grad(total, list(made.parameters()))])
    for one, other in zip(*results, strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize("pooling", ["last", "mean", "max"])
def test_padding_changes_no_bit(pooling):
    made = model(decoder="reversed_input", pooling=pooling)
    x, lengths = batch(5, 9, 2, ragged=True)
    longer = torch.full((5, 14, 2), torch.nan)
    longer[:, :9] = x.float()
    longer[torch.arange(14) >= lengths[:, None]] = torch.nan
    results = []
    for given in (x.float(), longer):
        total = fused.loss_sum(made, given, lengths, "mse")
        results.append([total, *torch.autograd.grad(total, list(made.parameters()))])
    for one, other in zip(*results, strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize(("F", "H"), [(2, 10), (16, 1)])  # gradients in rows with and without a gap
@pytest.mark.parametrize("pooling", ["last", "mean", "max"])
def test_uninitialised_arrays_change_no_bit_and_cause_no_warning(monkeypatch, pooling, F, H):
    made = model(F=F, H=H, head=(3,), decoder="reversed_input", pooling=pooling)
    x, lengths = batch(257, 6, F, ragged=True)

    def both():
        total = fused.loss_sum(made, x.float(), lengths, "mse")
        return [total, *torch.autograd.grad(total, list(made.parameters()))]

    def allocate(layer, *shape):
        bits = rng.integers(0, 1 << 32, shape, dtype=np.uint32)
        return torch.from_numpy(bits.view(np.float32))

    clean, rng = both(), np.random.default_rng(0)
    monkeypatch.setattr(PreparedLayer, "allocate", allocate)
    monkeypatch.setattr("unspool.lstm.threads.count", lambda: 4)  # each with other random bits
    for _ in range(20):  # a RuntimeWarning of NumPy would be an error
        for one, other in zip(clean, both(), strict=True):
            assert torch.equal(one, other)


def test_other_models_are_not_served():
    x, _ = batch(4, 6, 2)
    x = x.float()
    plain = model()
    two_ways = model()
    two_ways.encoder.lstm = LSTM(2, 5, bidirectional=True)
    stacked = model()
    stacked.encoder.lstm = LSTM(2, 5, num_layers=2)

    class Another(LSTMDecoder):
        pass

    def with_decoder(*arguments, kind=LSTMDecoder, **options):
        return Autoencoder(plain.encoder, {"reconstruction": kind(*arguments, **options)})

    forecasting = Autoencoder(plain.encoder, {"forecast": plain.decoder()}, 3)
    both = Autoencoder(plain.encoder, {**plain.decoders, "forecast": plain.decoder()}, 3)
    whole_state = Autoencoder(LSTMEncoder(2, 5, units=5, whole_state=True), dict(plain.decoders))
    variational = Autoencoder(LSTMEncoder(2, 5, variational=True), dict(plain.decoders))
    pooled = Autoencoder(
        LSTMEncoder(2, 10, units=5, pooling="mean_max"),
        {"reconstruction": LSTMDecoder("repeat", 10, 2)},
    )

    for made, loss in [
        (with_decoder("repeat", 5, 2, kind=Another), "mse"),
        (with_decoder("previous", 5, 2), "mse"),
        (with_decoder("state", 5, 2), "mse"),
        (with_decoder("flat", 5, 2, steps=6), "mse"),
        (with_decoder("repeat", 5, 2, reverse_target=True), "mse"),
        (forecasting, "mse"),
        (both, "mse"),
        (whole_state, "mse"),
        (variational, "mse"),
        (pooled, "mse"),
        (model(units=4, cell=Cell(backend="torch")), "mse"),
        (model(output="elu"), "mse"),
        (two_ways, "mse"),
        (stacked, "mse"),
        (Autoencoder(LSTMEncoder(2, 5, units=4), dict(plain.decoders)), "mse"),
        (plain, "poisson"),
    ]:
        assert fused.loss_sum(made, x, None, loss) is None
    assert fused.loss_sum(plain, x.clone().requires_grad_(), None, "mse") is None
    assert fused.loss_sum(plain, x, None, "mse") is not None
    with pytest.raises(InputError, match="Expected `x` on the CPU, not on meta"):
        fused.loss_sum(plain, x.to("meta"), None, "mse")


@pytest.mark.parametrize("made", [model(), model(output="elu")], ids=["fused", "modules"])
def test_the_objective_is_the_same_for_models_that_are_served_and_others(made):
    x, lengths = batch(6, 7, 2, ragged=True)
    total, count, _ = AutoencoderLoss(made)(Batch(x.float(), lengths))["loss"]
    expected, _ = by_modules(made, x.float(), lengths, "mse")
    assert_close("loss", expected.float(), total)
    assert count == count_values(x, lengths) == int(lengths.sum()) * 2


def test_frozen_weights_receive_no_gradient_and_the_others_do():
    made = model()
    for weight in made.encoder.parameters():
        weight.requires_grad_(False)
    x, _ = batch(4, 6, 2)
    x = x.float()
    fused.loss_sum(made, x, None, "mse").backward()
    assert all(weight.grad is None for weight in made.encoder.parameters())
    rest = list(made.decoder().parameters())
    expected = torch.autograd.grad(masked_sum(LOSSES["mse"](made(x), x), None), rest)
    for weight, gradient in zip(rest, expected, strict=True):
        assert_close("gradient", gradient, weight.grad)


def test_pytorch_uses_one_thread_within_the_context_only():
    torch.set_num_threads(2)
    try:
        with threads.pytorch_on_one_thread():
            assert (torch.get_num_threads(), threads.count()) == (1, 2)
            with threads.pytorch_on_one_thread():
                assert threads.count() == 2
        assert (torch.get_num_threads(), threads.count()) == (2, 2)
        torch.set_num_threads(1)
        assert threads.count() == 1
    finally:
        torch.set_num_threads(1)
