"""Statistics of the states, which `lstm` returns instead of the states.

They are compared with NumPy: with statistics of the reference's states, one sequence at a time,
whose gradients are backpropagated through the reference.
"""

from dataclasses import replace
from unittest.mock import patch

import numpy as np
import pytest
import torch

from tests.close import assert_close
from tests.lstm.cases import SERVED, Case, call, draw, expected, split, tensors
from tests.lstm.cases import truth as reference_truth
from unspool.blueprint.layers import VARIANCE_FLOOR
from unspool.errors import InputError
from unspool.lstm import BACKENDS, few, lstm, prepared
from unspool.lstm.compiled.small_batch import Arguments
from unspool.lstm.pooling import STATISTICS
from unspool.lstm.prepared import PreparedLayer
from unspool.nn import LSTM, Cell

SUBSETS = [STATISTICS, STATISTICS[::-1], *((name,) for name in STATISTICS), ("mean", "max")]
FEW = Case(6, 9, 3, 5, ragged=True)
directions = pytest.mark.parametrize("reverse", [False, True], ids=["forward", "reverse"])
backends = pytest.mark.parametrize("backend", BACKENDS)
served = pytest.mark.parametrize(
    ("backend", "cell"), [pytest.param(*one, id=f"{one[0]}-{'-'.join(one[1])}") for one in SERVED]
)


@pytest.fixture(autouse=True)
def poisoned(monkeypatch):
    allocate = PreparedLayer.allocate
    monkeypatch.setattr(
        PreparedLayer, "allocate", lambda layer, *shape: allocate(layer, *shape).fill_(torch.nan)
    )


def truth(case, statistics, grad):
    """Statistics (B, K, H), and the gradients of the arguments for `grad` of these."""
    arguments, cotangents, lengths = draw(case)
    h, h_n = expected(case)["h"], expected(case)["h_n"]
    found, grad_h = np.zeros((case.B, len(statistics), case.H)), np.zeros_like(h)
    grad_h_n, without = cotangents["grad_h_n"].copy(), np.zeros_like(h_n)
    for b in range(case.B):
        n = case.T if lengths is None else lengths[b]
        for k, name in enumerate(statistics):
            g, real = grad[b, k], h[b, :n]
            if name == "last" or not n:
                found[b, k] = 0 if name == "std" else h_n[b]
                if name == "last":
                    grad_h_n[b] += g
                elif name != "std":
                    without[b] += g
            elif name == "mean":
                found[b, k] = real.mean(0)
                grad_h[b, :n] += g / n
            elif name == "std":
                found[b, k] = np.sqrt(real.var(0) + VARIANCE_FLOOR)
                grad_h[b, :n] += g * (real - real.mean(0)) / (n * found[b, k])
            else:
                found[b, k] = getattr(real, name)(0)
                at = real.argmax(0) if name == "max" else real.argmin(0)
                grad_h[b, at, np.arange(case.H)] += g
    first, named = split(arguments)
    _, gradients = reference_truth(
        case, *first, **named, grad_h=grad_h, grad_h_n=grad_h_n + without,
        grad_c_n=cotangents["grad_c_n"], lengths=lengths, steps=case.T, **case.options,
    )  # fmt: skip
    return found, {name: gradients[name] for name in arguments}


def run(backend, case, statistics, grad, dtype):
    """Return the statistics and the gradients that a backend computes."""
    inputs, (_, *finals), lengths = tensors(case, dtype)
    results = call(backend, inputs, lengths, case, return_sequences=False, statistics=statistics)
    cotangents = [torch.tensor(grad, dtype=dtype), *finals]
    reached = [k for k, one in enumerate(results) if one.requires_grad]  # not the c of a GRU
    gradients = torch.autograd.grad(
        [results[k] for k in reached],
        list(inputs.values()),
        [cotangents[k] for k in reached],
        materialize_grads=True,
    )
    return results[0], dict(zip(inputs, gradients, strict=True))


def check(backend, case, statistics=STATISTICS, dtype=torch.float64, scale=1.0):
    rng = np.random.default_rng(7)
    grad = rng.normal(size=(case.B, len(statistics), case.H)).astype(np.float32).astype(float)
    right, gradients = truth(case, statistics, grad)
    found, got = run(backend, case, statistics, grad, dtype)
    numpy = str(dtype).removeprefix("torch.")
    assert_close("statistics", right.astype(numpy), found, scale)
    for name, one in gradients.items():
        assert_close(f"gradient of {name}", one.astype(numpy), got[name], scale)
    if backend == "compiled":
        inputs, _, lengths = tensors(case, dtype)
        more = {"return_sequences": False, "statistics": statistics}
        with torch.no_grad():
            without, *_ = call("compiled", inputs, lengths, case, **more)
        np.testing.assert_array_equal(without, found.detach())


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
@pytest.mark.parametrize(
    "case",
    [
        FEW,
        Case(1, 1, 1, 1, 1),
        replace(FEW, ragged=False, left_out=("context", "w_context")),
        replace(FEW, left_out=("x", "w_ih", "h0", "c0")),
        Case(70, 5, 2, 33, ragged=True),
    ],
    ids=str,
)
@directions
@served
def test_statistics_and_gradients_are_those_of_the_reference(backend, cell, reverse, case, dtype):
    check(backend, replace(case, cell=cell, reverse=reverse), dtype=dtype, scale=5)


@pytest.mark.parametrize(
    "case",
    [Case(257, 63, 3, 10, 5, ragged=True), Case(40, 20, 17, 33, ragged=True, scale=100)],
    ids=str,
)
@directions
def test_statistics_of_a_large_batch_are_those_of_the_reference(case, reverse):
    # The slope of a gate that is nearly closed or open consists of rounding errors.
    check("compiled", replace(case, reverse=reverse), scale=5)


@pytest.mark.parametrize("statistics", SUBSETS, ids="-".join)
@backends
def test_any_statistics_in_any_order(backend, statistics):
    check(backend, FEW, statistics)
    check(backend, replace(FEW, reverse=True, ragged=False), statistics)


@pytest.mark.parametrize("case", [replace(FEW, T=0, ragged=False), replace(FEW, B=0)], ids=str)
@backends
def test_empty_batches_and_sequences_are_served(backend, case):
    check(backend, case)


def test_gradients_are_those_of_finite_differences():
    inputs, _, lengths = tensors(Case(5, 4, 2, 2, ragged=True))
    more = {"lengths": lengths, "return_sequences": False, "statistics": STATISTICS}

    def pooled(x, w_ih, w_hh, bias, h0, c0):
        return lstm(x, w_ih, w_hh, bias, h0=h0, c0=c0, backend="compiled", **more)[0]

    names = ("x", "w_ih", "w_hh", "bias", "h0", "c0")
    torch.autograd.gradcheck(pooled, [inputs[name] for name in names])


@pytest.mark.parametrize("statistics", SUBSETS, ids="-".join)
def test_gradients_of_statistics_alone(statistics):
    """The final states have no gradient here."""
    inputs, _, lengths = tensors(FEW)
    more = {"return_sequences": False, "statistics": statistics}
    got = [
        torch.autograd.grad(
            call(backend, inputs, lengths, FEW, **more)[0].sin().sum(), list(inputs.values())
        )
        for backend in ("stepwise", "compiled")
    ]
    for name, one, other in zip(inputs, *got, strict=True):
        assert_close(f"gradient of {name}", one, other)


def steady(T, dtype, level):
    """Inputs and weights of one unit whose states stay near `level`."""
    values = np.random.default_rng(3).normal(size=(2, T, 1))
    x = torch.tensor(level + 0.01 * np.sign(level) * values, dtype=dtype)
    w_ih = torch.tensor([[0.0], [0.0], [1.0], [0.0]], dtype=dtype)
    # No state is carried over: input and output gates are open, the forget gate is shut.
    bias = torch.tensor([50.0, -50.0, 0.0, 50.0], dtype=dtype)
    return x, w_ih, torch.zeros(4, 1, dtype=dtype), bias


@pytest.mark.parametrize("batch", [2, 40], ids=["few", "many"])
@pytest.mark.parametrize("T", [1, 100, 20_000])
@pytest.mark.parametrize("level", [3.0, -3.0, 0.0])
def test_statistics_of_nearly_constant_states_are_those_of_float64(level, T, batch):
    found = []
    for dtype in (torch.float64, torch.float32):
        x, *weights = steady(T, dtype, level)
        x = x.repeat(batch // 2, 1, 1)
        with torch.no_grad():
            h, *_ = lstm(x.float().to(dtype), *weights, backend="compiled")
            pooled, *_ = lstm(
                x.float().to(dtype), *weights, backend="compiled", return_sequences=False,
                statistics=("mean", "std"),
            )  # fmt: skip
        found.append((pooled.double().numpy(), h.double().numpy()))
    (pooled, _), (got, h) = found
    assert np.abs(got[:, 0] - h.mean(1)).max() < 1e-7  # of the same states, up to rounding
    np.testing.assert_allclose(got[:, 1], np.sqrt(h.var(1) + VARIANCE_FLOOR), rtol=2e-5)
    np.testing.assert_allclose(got, pooled, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    ("backend", "shares"), [("compiled", [0, 0, 1]), ("stepwise", [1 / 3, 1 / 3, 1 / 3])]
)
@pytest.mark.parametrize("name", ["max", "min"])
def test_equal_extreme_states_share_the_gradient_or_the_last_one_receives_it(backend, shares, name):
    x, *weights = steady(3, torch.float64, 0.0)
    x = torch.full_like(x, 0.5).requires_grad_()
    pooled, *_ = lstm(x, *weights, backend=backend, return_sequences=False, statistics=(name,))
    pooled.sum().backward()
    slope = 1 - np.tanh(np.tanh(0.5)) ** 2
    slope *= 1 - np.tanh(0.5) ** 2
    np.testing.assert_allclose(x.grad[0, :, 0], slope * np.array(shares), rtol=1e-6)


@pytest.mark.parametrize("batch", [3, 40], ids=["few", "many"])
def test_statistics_of_nan_states_are_nan(batch):
    x, *weights = steady(5, torch.float32, 0.0)
    x, w_hh = x[:1].repeat(batch, 1, 1), torch.ones(4, 1)
    x[0, 3] = torch.nan
    with torch.no_grad():
        pooled, *_ = lstm(
            x, weights[0], w_hh, weights[2], backend="compiled", return_sequences=False,
            statistics=STATISTICS,
        )  # fmt: skip
    assert pooled[0].isnan().all()
    assert pooled[1:].isfinite().all()


@pytest.mark.parametrize("batch", [3, 40], ids=["few", "many"])
def test_without_gradients_no_state_is_kept(batch):
    inputs, _, lengths = tensors(replace(FEW, B=batch))
    shapes, fields, new = [], [], PreparedLayer.allocate
    with (
        torch.no_grad(),
        patch.object(PreparedLayer, "allocate", lambda s, *n: shapes.append(n) or new(s, *n)),
        patch.object(few, "Arguments", lambda *a, **n: fields.append(a) or Arguments(*a, **n)),
    ):
        call(
            "compiled", inputs, lengths, replace(FEW, B=batch),
            return_sequences=False, statistics=STATISTICS,
        )  # fmt: skip
    if batch == 3:
        (one,) = fields
        assert not Arguments(*one).h
        assert Arguments(*one).pooled
        return
    assert (batch, len(STATISTICS), FEW.H) in shapes
    assert (0, batch, FEW.H) in shapes
    assert (FEW.T, batch, FEW.H) not in shapes


def test_statistics_need_no_array_of_state_gradients():
    inputs, _, lengths = tensors(FEW)
    more = {"return_sequences": False, "statistics": STATISTICS}
    pooled, *_ = call("compiled", inputs, lengths, FEW, **more)
    records = []
    as_record = prepared.as_record
    with patch.object(prepared, "as_record", lambda args: records.append(args) or as_record(args)):
        pooled.sum().backward()
    assert records[0].grad_pooled
    assert not records[0].grad_h


def test_a_stack_returns_the_statistics_of_its_last_layer():
    torch.manual_seed(0)
    module = LSTM(3, 4, num_layers=2, bidirectional=True, cell=Cell(backend="compiled"))
    x, lengths = torch.randn(6, 9, 3), torch.tensor([9, 0, 1, 4, 9, 2])
    pooled, _ = module(x, lengths, return_sequences=False, statistics=("mean", "max"))
    h, _ = module(x, lengths)
    assert pooled.shape == (6, 2, 8)
    for row, n in enumerate(lengths):
        if n:
            assert_close("mean", h[row, :n].mean(0), pooled[row, 0])
            assert_close("max", h[row, :n].amax(0), pooled[row, 1])


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (
            {"statistics": ("mean",)},
            "`statistics` are returned instead of the states; they need return_sequences=False.",
        ),
        (
            {"statistics": ("mean", "std", "mean"), "return_sequences": False},
            "`statistics` ('mean', 'std', 'mean') repeats a name; give each once.",
        ),
        (
            {"statistics": ("median",), "return_sequences": False},
            "unknown `statistics` 'median': did you mean 'mean'? Known are 'last', 'max', 'mean', "
            "'min', 'std'.",
        ),
    ],
)
def test_unknown_statistics_and_statistics_of_sequences_raise(more, message):
    inputs, _, lengths = tensors(FEW)
    first, named = split(inputs)
    with pytest.raises(InputError) as caught:
        lstm(*first, **named, lengths=lengths, **more)
    assert str(caught.value) == message
