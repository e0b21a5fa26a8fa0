"""The fast recurrence agrees with the reference, for every way to compute its products."""

import numpy as np
import pytest

from tests.close import assert_close
from unspool.blueprint import Layers
from unspool.lstm import reference, reference_gru
from unspool.runtime import cells
from unspool.runtime.recurrence import LSTM, BatchLengths

# A vector; a long vector; a small batch; a batched product; a product that OpenBLAS may thread.
SIZES = {"one": (5, 1), "wide": (256, 1), "few": (5, 7), "stacked": (32, 100), "large": (96, 96)}


@pytest.mark.parametrize("cell", [("tanh", "sigmoid"), ("relu", "hard_sigmoid")], ids=str)
@pytest.mark.parametrize("kind", ["lstm", "gru"])
@pytest.mark.parametrize("directions", [1, 2])
@pytest.mark.parametrize("size", SIZES)
def test_states_are_those_of_the_reference(size, directions, kind, cell):
    units, batch = SIZES[size]
    rng = np.random.default_rng(0)
    plan = Layers(3, (units,), directions == 2, 2, *cell, kind)
    work = 4 * units * (units + 4) * batch
    size_class = (work > cells.ONE_THREAD_WORK) + (work >= cells.MANY_THREADS_WORK)
    assert size_class == {"one": 0, "wide": 1, "few": 0, "stacked": 1, "large": 2}[size]
    weights = {
        name: np.float32(rng.normal(size=shape) / np.sqrt(units)) for name, shape in plan.weights()
    }
    lengths = np.sort(rng.integers(0, 7, batch))[::-1].copy()
    lengths[0] = 6
    x = rng.normal(size=(batch, 6, 3)).astype(np.float32)
    context = rng.normal(size=(batch, 2)).astype(np.float32)
    states, finals = LSTM(plan, weights)(
        np.ascontiguousarray(x.transpose(1, 2, 0)), BatchLengths(lengths, 6), context=context.T
    )
    for half in range(directions):
        named = {
            name.removeprefix(f"layers.0.{half}."): weight.astype(np.float64)
            for name, weight in weights.items()
        }
        forward = reference.forward if kind == "lstm" else reference_gru.forward
        expected = forward(
            x.astype(np.float64),
            named.get("weight_ih"),
            named["weight_hh"],
            named["bias"],
            context=context.astype(np.float64),
            w_context=named["weight_context"],
            lengths=lengths,
            activation=cell[0],
            recurrent_activation=cell[1],
            reverse=bool(half),
        )
        real = np.arange(6)[:, None] < lengths
        got = states[:, half * units : (half + 1) * units].transpose(0, 2, 1)
        want = expected[0].transpose(1, 0, 2)
        assert_close("states", want[real].astype(np.float32), got[real])
        for name, one, of_layers in zip("hc", expected[1:], finals, strict=False):
            assert_close(name, one.astype(np.float32), of_layers[half].T)
        assert len(finals) == len(expected) - 1
