"""A training step in one call, from plain tensors: compared with autograd over the same layers."""

import pytest
import torch

from tests.close import assert_close
from unspool._padding import reverse_within
from unspool.errors import InputError
from unspool.lstm import lstm
from unspool.lstm.fused import Batch, DenseStage, LSTMStage, loss_and_gradients, weights_of

B, T, F, H, U, K = 37, 6, 3, 5, 4, 2  # K features are read in place of the input
LENGTHS = torch.arange(B) % (T + 1)
ACTIVATIONS = {"linear": lambda x: x, "relu": torch.relu, "tanh": torch.tanh}
ERRORS = {"mse": torch.square, "mae": torch.abs}


def drawn(
    dtype=torch.float64,
    reads="x",
    backwards=False,
    emits="last",
    activation="tanh",
    weighted=None,
    cell="lstm",
):
    """Draw the stages of an autoencoder, and a batch."""
    generator = torch.Generator().manual_seed(0)

    def normal(*shape):
        values = torch.randn(*shape, generator=generator, dtype=torch.float64) / 2
        return values.to(dtype)

    g = 3 if cell == "gru" else 4
    width = {"x": F, "positions": K, None: 0}[reads]
    encoder = LSTMStage(
        normal(g * H, F), normal(g * H, H), normal(4 * H), reads="x", emits=emits, cell=cell
    )
    decoder = LSTMStage(
        normal(g * U, width) if reads else None, normal(g * U, U), normal(4 * U), normal(g * U, H),
        "relu", "hard_sigmoid", reads=reads, reads_backwards=backwards, cell=cell,
    )  # fmt: skip
    dense = [
        DenseStage(normal(7, U), normal(7), "relu"),
        DenseStage(normal(F, 7), normal(F), activation),
    ]
    x = normal(B, T, F)
    inputs = {"x": x, "positions": normal(B, T, K)}
    error_weights = None if weighted is None else normal(*weighted).abs()
    return [encoder, decoder, *dense], Batch(x, inputs, LENGTHS, error_weights)


def by_layers(stages, batch, loss):
    """Compute the loss and the gradients with autograd, layer by layer."""
    weights = [w for w in weights_of(stages) if w is not None]
    for weight in weights:
        weight.requires_grad_()
    encoder, decoder, *dense = stages
    statistics = {"return_sequences": False, "statistics": (encoder.emits,)}
    code, *_ = lstm(
        batch.inputs["x"], *encoder.weights[:3], lengths=LENGTHS, backend="stepwise",
        cell=encoder.cell, **statistics,
    )  # fmt: skip
    read = None if decoder.reads is None else batch.inputs[decoder.reads]
    if decoder.reads_backwards:
        read = reverse_within(read, LENGTHS)
    values, *_ = lstm(
        read, *decoder.weights[:3], context=code[:, 0], w_context=decoder.w_context, steps=T,
        lengths=LENGTHS, activation=decoder.activation,
        recurrent_activation=decoder.recurrent_activation, backend="stepwise", cell=decoder.cell,
    )  # fmt: skip
    for stage in dense:
        values = ACTIVATIONS[stage.activation](values @ stage.weight.T + stage.bias)
    errors = ERRORS[loss](values - batch.target)
    if batch.error_weights is not None:
        errors = errors * batch.error_weights
    total = errors[torch.arange(T) < LENGTHS[:, None]].sum()
    gradients = torch.autograd.grad(total, weights)
    for weight in weights:
        weight.requires_grad_(False)
    return total.detach(), list(gradients)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
@pytest.mark.parametrize(
    ("options", "loss"),
    [
        ({}, "mse"),
        ({"reads": None, "activation": "linear"}, "mae"),
        ({"backwards": True, "emits": "mean"}, "mse"),
        ({"reads": "positions", "emits": "max"}, "mse"),
        ({"reads": "positions", "backwards": True, "emits": "min"}, "mse"),
        ({"weighted": (B, 1, 1)}, "mse"),
        ({"weighted": (B, T, 1)}, "mae"),
        ({"weighted": (1, 1, F)}, "mse"),
        ({"weighted": (B, T, F), "backwards": True}, "mse"),
    ],
    ids=str,
)
@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_loss_and_gradients_are_those_of_the_layers(cell, options, loss, dtype):
    options = {**options, "cell": cell}
    expected, gradients = by_layers(*drawn(**options), loss)
    stages, batch = drawn(dtype, **options)
    total, found = loss_and_gradients(stages, batch, loss)
    assert_close("loss", expected.to(dtype), total)
    assert [w is None for w in weights_of(stages)] == [g is None for g in found]
    found = [gradient for gradient in found if gradient is not None]
    for one, other in zip(gradients, found, strict=True):
        assert_close("gradient", one.to(dtype), other)
        assert one.abs().max() > 0, "this gradient is zero: nothing was compared"


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
def test_weights_of_one_change_no_bit(dtype):
    stages, batch = drawn(dtype)
    total, gradients = loss_and_gradients(stages, batch, "huber")
    ones = batch._replace(error_weights=torch.ones(1, 1, 1, dtype=dtype))
    same, same_gradients = loss_and_gradients(stages, ones, "huber")
    assert torch.equal(total, same)
    for one, other in zip(gradients, same_gradients, strict=True):
        assert one is other is None or torch.equal(one, other)


def test_targets_with_gaps_in_memory_are_weighted_at_the_right_places():
    stages, batch = drawn(weighted=(B, T, F))
    total, gradients = loss_and_gradients(stages, batch, "huber")
    apart = torch.zeros(B, 2 * T, F + 2, dtype=torch.float64)
    apart[:, ::2, 1:-1] = batch.target
    same, same_gradients = loss_and_gradients(
        stages, batch._replace(target=apart[:, ::2, 1:-1]), "huber"
    )
    assert torch.equal(total, same)
    for one, other in zip(gradients, same_gradients, strict=True):
        assert one is other is None or torch.equal(one, other)


def test_gradients_of_the_weighted_loss_are_finite_differences():
    stages, batch = drawn(weighted=(B, T, F))
    _, gradients = loss_and_gradients(stages, batch, "mse")
    for weight, gradient in zip(weights_of(stages), gradients, strict=True):
        if weight is None:
            continue
        place, step, losses = (1,) * weight.ndim, 1e-5, []
        value = float(weight[place])
        for change in (step, -step):
            weight[place] = value + change
            losses.append(float(loss_and_gradients(stages, batch, "mse", gradients=False)[0]))
        weight[place] = value
        slope = (losses[0] - losses[1]) / (2 * step)
        assert slope == pytest.approx(float(gradient[place]), rel=1e-6, abs=1e-7)


def test_without_gradients_the_loss_has_the_same_bits():
    stages, batch = drawn()
    total, _ = loss_and_gradients(stages, batch, "huber")
    alone, gradients = loss_and_gradients(stages, batch, "huber", gradients=False)
    assert torch.equal(total, alone)
    assert gradients == []


def replaced(position, **fields):
    def change(stages, batch):
        stages[position] = stages[position]._replace(**fields)
        return stages, batch

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda stages, batch: (stages, batch._replace(target=batch.target[:, :, :2])),
            "Expected `target` of shape (37, 6, 3) in torch.float64, "
            "not of (37, 6, 2) in torch.float64.",
        ),
        (
            lambda stages, batch: (stages, batch._replace(target=batch.target.float())),
            "Expected `target` of shape (37, 6, 3) in torch.float64, "
            "not of (37, 6, 3) in torch.float32.",
        ),
        (
            replaced(2, weight=torch.zeros(7, 3, dtype=torch.float64)),
            "Expected `weight` of shape (7, 4) in torch.float64, not of (7, 3) in torch.float64.",
        ),
        (
            lambda stages, batch: (stages, batch._replace(error_weights=torch.ones(1, 1, 1))),
            "Expected `error_weights` of shape (37, 6, 3) in torch.float64, "
            "not of (37, 6, 3) in torch.float32.",
        ),
        (
            replaced(1, w_context=None),
            "Expected `context` and `w_context` together, or neither.",
        ),
        (
            lambda stages, batch: (stages[:2], batch),
            "Expected an LSTM stage that emits a code, an LSTM stage that emits none, and dense "
            "stages; got LSTMStage, LSTMStage.",
        ),
        (
            replaced(0, emits=None),
            "Expected an LSTM stage that emits a code, an LSTM stage that emits none, and dense "
            "stages; got LSTMStage, LSTMStage, DenseStage, DenseStage.",
        ),
        (
            replaced(1, cell="gru"),
            "Expected stages with the same `cell`, got 'lstm' and 'gru'.",
        ),
    ],
    ids=[
        "features",
        "dtype",
        "weight",
        "error weights",
        "context",
        "no dense stage",
        "no code",
        "cells",
    ],
)
def test_stages_and_batches_that_do_not_match_raise(change, message):
    with pytest.raises(InputError) as caught:
        loss_and_gradients(*change(*drawn()), "mse")
    assert str(caught.value) == message


def test_an_unknown_loss_raises():
    with pytest.raises(InputError, match="unknown `loss` 'mes': did you mean 'mse'"):
        loss_and_gradients(*drawn(), "mes")
