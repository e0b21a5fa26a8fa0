"""A training step in one call, from plain tensors: compared with autograd over the same layers."""

import pytest
import torch

from tests.close import assert_close
from unspool._padding import reverse_within
from unspool.errors import InputError
from unspool.lstm import lstm
from unspool.lstm.fused import (
    CopyStage,
    Dense,
    DenseStage,
    LossStage,
    LSTMStage,
    MaskStage,
    weights_of,
)
from unspool.lstm.program import PreparedProgram, losses_and_gradients

B, T, F, H, U, L, K = 37, 6, 3, 5, 4, 7, 2  # K features are copied to the vector of statistics
LENGTHS = torch.arange(B) % (T + 1)
ACTIVATIONS = {"linear": lambda x: x, "relu": torch.relu, "tanh": torch.tanh}
ERRORS = {"mse": torch.square, "mae": torch.abs}
STATISTICS = ("last", "mean", "max", "min", "std")


def drawn(
    dtype=torch.float64,
    reads="x",
    backwards=False,
    emits=STATISTICS,
    activation="tanh",
    weighted=None,
    cell="lstm",
    start=False,
):
    """Draw the stages of an autoencoder in both directions, and a batch."""
    generator = torch.Generator().manual_seed(0)

    def normal(*shape):
        values = torch.randn(*shape, generator=generator, dtype=torch.float64) / 2
        return values.to(dtype)

    g, ends = (3, 1) if cell == "gru" else (4, 2)
    stages, width = [], 2 * H * len(emits)
    for side in range(2):
        weights = normal(g * H, F), normal(g * H, H), normal(4 * H)
        stages.append(
            LSTMStage(
                T, *weights, reads="x", lengths="lengths", reverse=side == 1, beside=side == 1,
                vector="features", statistics=emits, place=side * H, stride=2 * H, cell=cell,
            )
        )  # fmt: skip
    stages += [
        CopyStage("copied", "features", K, width),
        DenseStage(
            normal(L, width + K), normal(L), "features", "code", activation,
            normal(width + K), normal(width + K).abs(),
        ),
        MaskStage("mask", "code", "dropped"),
    ]  # fmt: skip
    if start:
        rows = 2 * ends * U
        stages.append(DenseStage(normal(rows, L), normal(rows), "dropped", "start"))
    read = {"x": F, "positions": K, None: 0}[reads]
    for side in range(2):
        places = (side * U, (2 + side) * U)[:ends]
        stages.append(
            LSTMStage(
                T, normal(g * U, read) if reads else None, normal(g * U, U), normal(4 * U),
                normal(g * U, L), "relu", "hard_sigmoid", cell, reads, backwards,
                lengths="lengths", reverse=side == 1, beside=side == 1, context="dropped",
                states="states", states_place=side * U, start="start" if start else None,
                start_places=places if start else (),
            )
        )  # fmt: skip
    layers = [
        Dense(normal(7, 2 * U), normal(7), "relu"),
        Dense(normal(F, 7), normal(F), activation),
    ]
    loss = LossStage(layers, "states", "x", "mse", lengths="lengths")
    arrays = {
        "x": normal(B, T, F), "positions": normal(B, T, K), "lengths": LENGTHS,
        "copied": normal(B, K), "mask": normal(B, L),
    }  # fmt: skip
    if weighted is not None:
        loss = loss._replace(error_weights="weights")
        arrays["weights"] = normal(*weighted).abs().expand(B, T, F)
    return [*stages, loss], arrays


def by_layers(stages, arrays):
    """Compute the loss and the gradients with autograd, stage by stage."""
    weights = [weight.requires_grad_() for weight in weights_of(stages) if weight is not None]
    vectors, states = {}, []
    for each in stages:
        if isinstance(each, LSTMStage):
            read = None if each.reads is None else arrays[each.reads]
            if each.reads_backwards:
                read = reverse_within(read, LENGTHS)
            h0 = c0 = None
            if each.start is not None:
                pieces = [vectors[each.start][:, place : place + U] for place in each.start_places]
                h0, c0 = (*pieces, None)[:2]
            found, *_ = lstm(
                read, *each.weights[:3], lengths=LENGTHS, steps=T, backend="stepwise",
                activation=each.activation, recurrent_activation=each.recurrent_activation,
                cell=each.cell, reverse=each.reverse, context=vectors.get(each.context),
                w_context=each.w_context, h0=h0, c0=c0, statistics=each.statistics,
                return_sequences=not each.statistics,
            )  # fmt: skip
            states.append(found)
            if len(states) == 2 and each.statistics:
                vectors["features"] = torch.cat(states, 2).flatten(1)
                states = []
        elif isinstance(each, CopyStage):
            vectors["features"] = torch.cat([vectors["features"], arrays[each.array]], 1)
        elif isinstance(each, DenseStage):
            read = vectors[each.reads]
            read = read if each.shift is None else (read - each.shift) * each.scale
            sums = read @ each.weight.T + each.bias
            vectors[each.writes] = ACTIVATIONS[each.activation](sums)
        elif isinstance(each, MaskStage):
            vectors[each.writes] = vectors[each.reads] * arrays[each.mask]
    values = torch.cat(states, 2)
    for layer in stages[-1].layers:
        values = ACTIVATIONS[layer.activation](values @ layer.weight.T + layer.bias)
    errors = ERRORS[stages[-1].loss](values - arrays["x"]) * arrays.get("weights", 1)
    total = errors[torch.arange(T) < LENGTHS[:, None]].sum()
    gradients = torch.autograd.grad(total, weights)
    for weight in weights:
        weight.requires_grad_(False)
    return total.detach(), list(gradients)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"reads": None, "activation": "linear"},
        {"backwards": True, "emits": ("mean",)},
        {"reads": "positions", "emits": ("max", "last"), "start": True},
        {"reads": "positions", "backwards": True, "emits": ("min",)},
        {"weighted": (B, 1, 1), "emits": ("last",)},
        {"weighted": (B, T, F), "backwards": True, "start": True},
    ],
    ids=str,
)
@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_loss_and_gradients_are_those_of_the_layers(cell, options, dtype):
    options = {**options, "cell": cell}
    expected, gradients = by_layers(*drawn(**options))
    stages, arrays = drawn(dtype, **options)
    (total,), found = losses_and_gradients(stages, arrays)
    assert_close("loss", expected.to(dtype), total)
    assert [w is None for w in weights_of(stages)] == [g is None for g in found]
    found = [gradient for gradient in found if gradient is not None]
    for one, other in zip(gradients, found, strict=True):
        assert_close("gradient", one.to(dtype), other)
        assert one.abs().max() > 0, "this gradient is zero: nothing was compared"


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
def test_weights_of_one_change_no_bit(dtype):
    (total,), gradients = losses_and_gradients(*drawn(dtype))
    stages, arrays = drawn(dtype)
    stages[-1] = stages[-1]._replace(error_weights="ones")
    (same,), same_gradients = losses_and_gradients(
        stages, {**arrays, "ones": torch.ones(B, T, F, dtype=dtype)}
    )
    assert torch.equal(total, same)
    for one, other in zip(gradients, same_gradients, strict=True):
        assert one is other is None or torch.equal(one, other)


def test_arrays_with_gaps_in_memory_are_read_at_the_right_places():
    stages, arrays = drawn(weighted=(B, T, F))
    (total,), gradients = losses_and_gradients(stages, arrays)
    wide = torch.full((B, 2 * T, F + 2), torch.nan, dtype=torch.float64)
    wide[:, ::2, 1:-1] = arrays["x"]
    turned = arrays["mask"].T.contiguous().T
    gaps = {**arrays, "x": wide[:, ::2, 1:-1], "mask": turned}
    (same,), same_gradients = losses_and_gradients(stages, gaps)
    assert torch.equal(total, same)
    for one, other in zip(gradients, same_gradients, strict=True):
        assert one is other is None or torch.equal(one, other)


def test_gradients_of_the_weighted_loss_are_finite_differences():
    stages, arrays = drawn(weighted=(B, T, F), start=True)
    _, gradients = losses_and_gradients(stages, arrays)
    for weight, gradient in zip(weights_of(stages), gradients, strict=True):
        if weight is None:
            continue
        place, step, losses = (1,) * weight.ndim, 1e-5, []
        value = float(weight[place])
        for change in (step, -step):
            weight[place] = value + change
            (loss,), _ = losses_and_gradients(stages, arrays, gradients=False)
            losses.append(float(loss))
        weight[place] = value
        slope = (losses[0] - losses[1]) / (2 * step)
        assert slope == pytest.approx(float(gradient[place]), rel=1e-6, abs=1e-7)


def test_without_gradients_the_loss_has_the_same_bits():
    stages, arrays = drawn()
    (total,), _ = losses_and_gradients(stages, arrays)
    (alone,), gradients = losses_and_gradients(stages, arrays, gradients=False)
    assert torch.equal(total, alone)
    assert gradients == []


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_a_program_runs_again_with_other_weights_and_other_arrays(cell):
    """The weights are changed in place, and moved."""
    stages, arrays = drawn(cell=cell)
    program = PreparedProgram(stages, B, gradients=True)
    program.run(arrays)
    for weight in weights_of(stages)[:2]:
        weight.mul_(2)
    for weight in weights_of(stages)[-2:]:
        weight.set_(weight * 2)
    others = {**arrays, "x": arrays["x"] * 2, "lengths": LENGTHS.flip(0)}
    (total,), gradients = program.run(others)
    (expected,), parts = losses_and_gradients(stages, others)
    assert torch.equal(total, expected)
    present = [part.flatten() for part in parts if part is not None]
    assert torch.equal(gradients, torch.cat(present))


@pytest.mark.parametrize(
    ("batch", "count", "items"),
    [(1, 8, 2), (16, 2, 2), (32, 1, 4), (32, 8, 4), (64, 8, 8), (256, 8, 16)],
)
def test_small_batches_are_work_for_several_threads(monkeypatch, batch, count, items):
    """The two directions of a layer, and one tile of 16 float32 sequences each, with AVX-512."""
    monkeypatch.setattr("unspool.lstm.program.BYTES", 64)
    monkeypatch.setattr("unspool.lstm.threads.count", lambda: count)
    stages, _ = drawn(torch.float32)
    assert PreparedProgram(stages, batch, gradients=True).items == items


def replaced(position, **fields):
    def change(stages, arrays):
        stages[position] = stages[position]._replace(**fields)
        return stages, arrays

    return change


def with_array(**given):
    return lambda stages, arrays: (stages, {**arrays, **given})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            with_array(x=torch.zeros(B, T, 2, dtype=torch.float64)),
            "Expected `x` of shape (37, 6, 3) in torch.float64, "
            "not of (37, 6, 2) in torch.float64.",
        ),
        (
            with_array(x=torch.zeros(B, T, F)),
            "Expected `x` of shape (37, 6, 3) in torch.float64, "
            "not of (37, 6, 3) in torch.float32.",
        ),
        (
            with_array(x=torch.zeros(B, T, F, dtype=torch.float64, device="meta")),
            "Expected `x` on the CPU, not on meta.",
        ),
        (
            with_array(copied=torch.zeros(B, 1, dtype=torch.float64)),
            "Expected `copied` of shape (37, 2) in torch.float64, not of (37, 1) in torch.float64.",
        ),
        (with_array(lengths=LENGTHS + 1), "Expected `lengths` from 0 to 6 steps, not 1 to 7."),
        (
            replaced(0, w_hh=torch.zeros(20, 4, dtype=torch.float64)),
            "Expected `w_ih` of shape (16, 3), not of (20, 3).\n"
            "Expected `w_hh` of shape (16, 4), not of (20, 4).\n"
            "Expected `bias` of shape (16,), not of (20,).",
        ),
        (
            replaced(-1, layers=[Dense(torch.zeros(7, 3), torch.zeros(7))]),
            "Expected `weight` of shape (7, 8), not of (7, 3).",
        ),
        (replaced(0, reads=None), "Expected `reads` and `w_ih` together, or neither."),
        (replaced(-2, w_context=None), "Expected `context` and `w_context` together, or neither."),
        (
            replaced(0, statistics=("std",)),
            "Expected the statistic 'mean' with 'std', which needs it.",
        ),
        (replaced(-2, cell="gru"), "Expected stages with the same `cell`, got 'lstm' and 'gru'."),
        (
            lambda stages, arrays: (stages[3:], arrays),
            "Expected a stage that writes the vector 'features' before its reader.",
        ),
        (
            lambda stages, arrays: (stages[-1:], arrays),
            "Expected at least one LSTM stage and one loss stage.",
        ),
        (
            replaced(3, weight=torch.zeros(L, 4, dtype=torch.float64)),
            "Expected a weight for the 52 values of 'features', not for 4.",
        ),
        (
            replaced(3, activation="softmax"),
            "Expected another `activation` of a dense stage than 'softmax'.",
        ),
        (
            replaced(-1, layers=[Dense(torch.zeros(7, 8), torch.zeros(7), "softmax")] * 2),
            "Expected the activation 'softmax' in the last dense layer only.",
        ),
        (replaced(-1, layers=[]), "Expected a loss stage with at least one dense layer."),
        (
            lambda stages, arrays: ([*stages, stages[-1]], arrays),
            "Expected no other reader of 'states' than one loss.",
        ),
        (
            lambda stages, arrays: ([*stages[:2], stages[1], *stages[2:]], arrays),
            "Expected at most two stages side by side.",
        ),
        (
            replaced(-2, reads="dropped", w_ih=torch.zeros(4 * U, 2, dtype=torch.float64)),
            "Expected 'dropped' of at least 12 values, not of 7.",
        ),
        (
            lambda stages, arrays: replaced(-2, reads="inner")(
                *replaced(0, states="inner")(stages, arrays)
            ),
            "Expected 'inner' of 6 steps and 3 features, not of 6 and 5.",
        ),
        (
            replaced(-1, layers=[Dense(torch.zeros(7, 8), torch.zeros(7))]),
            "Expected all weights in torch.float64 on the CPU.",
        ),
        (
            replaced(3, scale=torch.ones(52)),
            "Expected all weights in torch.float64 on the CPU.",
        ),
        (
            replaced(-3, start="dropped", start_places=(0, 4)),
            "Expected 'dropped' with 4 units at each place.",
        ),
    ],
)
def test_stages_and_arrays_that_do_not_match_raise(change, message):
    with pytest.raises(InputError) as caught:
        losses_and_gradients(*change(*drawn()))
    assert str(caught.value) == message


def test_an_unknown_loss_raises():
    stages, arrays = replaced(-1, loss="mes")(*drawn())
    with pytest.raises(InputError, match="unknown `loss` 'mes': did you mean 'mse'"):
        losses_and_gradients(stages, arrays)
