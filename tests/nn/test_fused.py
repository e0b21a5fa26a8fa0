"""The training step in one call, compared with the modules run one after the other."""

import numpy as np
import pytest
import torch

from tests.close import assert_close
from unspool.errors import InputError
from unspool.lstm import threads
from unspool.nn import Autoencoder, Cell, LSTMDecoder, LSTMEncoder, fused
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


def loss_sum(made, x, lengths=None, loss="mse", error_weights=None, dropout=None):
    """The loss of the reconstruction in one call, or None."""
    target = fused.Target(made.of_targets(x), error_weights)
    found = fused.losses(made, x, lengths, {"reconstruction": target}, loss, dropout=dropout)
    return None if found is None else found["reconstruction"]


def by_modules(made, x, lengths=None, loss="mse", error_weights=None):
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
    total = loss_sum(made, x, lengths, loss)
    assert all(layer.ran == fused.RAN for _, layer in made._lstm())
    assert made.whole_step == "in one call with the whole training step"
    gradients = torch.autograd.grad(total, list(made.parameters()))
    assert_close("loss", expected[0].to(dtype), total)
    for (name, _), one, other in zip(made.named_parameters(), expected[1], gradients, strict=True):
        assert_close(name, one.to(dtype), other)
        assert one.abs().max() > 0, f"{name} has no gradient: nothing was compared"
    with torch.no_grad():
        assert torch.equal(loss_sum(made, x, lengths, loss), total.detach())


@pytest.mark.parametrize(
    "lengths", [None, [0, 4, 12, 8], [0, 4, 11, 7]], ids=["full", "whole patches", "incomplete"]
)
@pytest.mark.parametrize("steps", [12, 11])
@pytest.mark.parametrize("head", [(), (9,)], ids=["no head", "head"])
def test_patches_may_be_incomplete(lengths, steps, head):
    made = model(patch_size=4, head=head, output="tanh").double()
    x, _ = batch(4, steps, 2)
    lengths = None if lengths is None else torch.tensor(lengths).clamp(max=steps)
    total = loss_sum(made, x, lengths)
    expected, gradients = by_modules(made, x, lengths)
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
    total = loss_sum(made, x, lengths, "mse", error_weights)
    expected, gradients = by_modules(made, x, lengths, "mse", error_weights)
    assert_close("loss", expected, total)
    found = torch.autograd.grad(total, list(made.parameters()))
    for (name, _), one, other in zip(made.named_parameters(), gradients, found, strict=True):
        assert_close(name, one, other)


def test_gradients_are_scaled_by_the_gradient_of_the_loss():
    made = model()
    x, _ = batch(4, 6, 2)
    bias = made.encoder.lstm.layers[0][0].bias
    gradients = []
    for by in (1.0, 0.5):
        loss = loss_sum(made, x.float())
        gradients += torch.autograd.grad(loss * by, [bias])
    assert torch.equal(gradients[0] * 0.5, gradients[1])


def test_losses_that_are_added_with_other_weights_have_no_gradient():
    decoders = {name: LSTMDecoder("repeat", 5, 2) for name in ("reconstruction", "forecast")}
    made = Autoencoder(LSTMEncoder(2, 5), decoders, horizon=6)
    x = batch(4, 6, 2)[0].float()
    targets = {"reconstruction": fused.Target(x), "forecast": fused.Target(x, weight=0.5)}
    bias = made.encoder.lstm.layers[0][0].bias

    def gradient(*weights):
        found = fused.losses(made, x, None, targets, "mse")
        assert made.whole_step.startswith("in one call")
        loss = sum(weight * found[name] for weight, name in zip(weights, decoders, strict=True))
        return torch.autograd.grad(loss, [bias])[0]

    torch.testing.assert_close(gradient(2, 1), 2 * gradient(1, 0.5))
    message = "Expected the losses of a training step in one call to be added with the weights"
    for weights in ((1, 1), (1, 0), (0, 1)):
        with pytest.raises(InputError, match=message):
            gradient(*weights)


@pytest.mark.parametrize("used", [2, 5])
@pytest.mark.parametrize("pooling", ["last", "mean", "max"])
def test_the_number_of_threads_changes_no_bit(used, pooling):
    made = model(H=10, head=(3,), pooling=pooling)
    x, lengths = batch(257, 12, 2, ragged=True)
    results = []
    for count in (1, used):
        torch.set_num_threads(count)
        try:
            total = loss_sum(made, x.float(), lengths)
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
        total = loss_sum(made, given, lengths)
        results.append([total, *torch.autograd.grad(total, list(made.parameters()))])
    for one, other in zip(*results, strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize(("F", "H"), [(2, 10), (16, 1)])  # gradients in rows with and without a gap
@pytest.mark.parametrize("pooling", ["last", "mean", "max"])
def test_uninitialised_arrays_change_no_bit_and_cause_no_warning(monkeypatch, pooling, F, H):
    made = model(F=F, H=H, head=(3,), decoder="reversed_input", pooling=pooling)
    x, lengths = batch(257, 6, F, ragged=True)

    def both():
        total = loss_sum(made, x.float(), lengths)
        return [total, *torch.autograd.grad(total, list(made.parameters()))]

    def allocate(count, kind):
        return rng.integers(0, 1 << 32, count, dtype=np.uint32).view(kind)

    clean, rng = both(), np.random.default_rng(0)
    monkeypatch.setattr("unspool.lstm.program_memory.allocate", allocate)
    monkeypatch.setattr("unspool.lstm.threads.count", lambda: 4)  # each with other random bits
    for _ in range(20):  # a RuntimeWarning of NumPy would be an error
        for one, other in zip(clean, both(), strict=True):
            assert torch.equal(one, other)


@pytest.mark.parametrize("made", [model(), model(output="elu")], ids=["fused", "modules"])
def test_the_objective_is_the_same_for_models_that_are_served_and_others(made):
    x, lengths = batch(6, 7, 2, ragged=True)
    total, count, _ = AutoencoderLoss(made)(Batch(x.float(), lengths))["loss"]
    expected, _ = by_modules(made, x.float(), lengths)
    assert_close("loss", expected.float(), total)
    assert count == count_values(x, lengths) == int(lengths.sum()) * 2


def test_frozen_weights_receive_no_gradient_and_the_others_do():
    made = model()
    for weight in made.encoder.parameters():
        weight.requires_grad_(False)
    x, _ = batch(4, 6, 2)
    x = x.float()
    loss_sum(made, x).backward()
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
