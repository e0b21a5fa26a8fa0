"""Results and all gradients of every backend, compared with the NumPy reference.

The arrays that compiled code fills contain NaN before, so that values it leaves out are noticed.
"""

from dataclasses import replace

import pytest
import torch

from tests.close import assert_close
from tests.lstm.cases import (
    CELLS,
    GRU,
    RESULTS,
    SERVED,
    Case,
    call,
    check,
    draw,
    expected,
    run,
    tensors,
)
from unspool.lstm import BACKENDS
from unspool.lstm.prepared import PreparedLayer

directions = pytest.mark.parametrize("reverse", [False, True], ids=["forward", "reverse"])
backends = pytest.mark.parametrize("backend", BACKENDS)
dtypes = pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
served = pytest.mark.parametrize(
    ("backend", "cell"), [pytest.param(*one, id=f"{one[0]}-{'-'.join(one[1])}") for one in SERVED]
)
SHAPES = [
    Case(1, 1, 1, 1, 1),
    Case(257, 1, 3, 33, ragged=True),
    Case(257, 63, 3, 10, 5, ragged=True),
    Case(1, 63, 2, 128),
    Case(5, 63, 2, 128, 0, ragged=True),
    Case(40, 20, 17, 33, ragged=True, scale=100),
]
FEW = Case(4, 9, 3, 5, ragged=True)
few_of_each = pytest.mark.parametrize("few", [FEW, replace(FEW, cell=GRU)], ids=str)


@pytest.fixture(autouse=True)
def poisoned(monkeypatch):
    allocate = PreparedLayer.allocate
    monkeypatch.setattr(
        PreparedLayer, "allocate", lambda layer, *shape: allocate(layer, *shape).fill_(torch.nan)
    )


@dtypes
@pytest.mark.parametrize("case", SHAPES, ids=str)
@directions
@served
def test_results_and_gradients_equal_the_reference(backend, cell, reverse, case, dtype):
    if dtype == torch.float32 and cell[:2] != CELLS[0][:2] and case.B * case.T * case.H > 2000:
        # Among many values some are so near to a kink that rounding moves them across it.
        case = replace(case, B=2, T=min(case.T, 20))
    # The slope of a gate that is nearly closed or open consists of rounding errors.
    check(backend, replace(case, cell=cell, reverse=reverse), dtype, 1 if case.scale == 1 else 5)


@pytest.mark.parametrize(
    "left_out",
    [
        ("context", "w_context"),
        ("x", "w_ih"),
        ("h0", "c0"),
        ("c0",),
        ("x", "w_ih", "context", "w_context"),
        ("x", "w_ih", "h0", "c0"),
    ],
    ids="+".join,
)
@directions
@backends
@few_of_each
def test_inputs_and_initial_states_may_be_left_out(few, backend, left_out, reverse):
    check(backend, replace(few, left_out=left_out, reverse=reverse))
    check(backend, replace(few, left_out=left_out, reverse=reverse, ragged=False))


@pytest.mark.parametrize(
    "case",
    [replace(FEW, cell=cell, **{name: 0}) for cell in (FEW.cell, GRU) for name in "TB"],
    ids=str,
)
@backends
def test_empty_batches_and_sequences_are_served(backend, case):
    check(backend, case)


@directions
@served
def test_without_sequences_the_final_states_and_their_gradients_are_the_same(
    backend, cell, reverse
):
    case = replace(FEW, cell=cell, reverse=reverse)
    inputs, cotangents, lengths = tensors(case)
    sums = []
    for return_sequences in (True, False):
        h, *finals = call(backend, inputs, lengths, case, return_sequences=return_sequences)
        gradients = torch.autograd.grad(finals, list(inputs.values()), cotangents[1:])
        sums.append([*finals, *gradients])
    assert h.shape == (case.B, 0, case.H)
    for label, one, other in zip([*RESULTS[1:], *inputs], *sums, strict=True):
        assert_close(label, one, other)


@pytest.mark.parametrize(
    ("few", "result"),
    [(FEW, name) for name in RESULTS] + [(replace(FEW, cell=GRU), name) for name in ("h", "h_n")],
    ids=str,
)
@backends
def test_gradients_of_a_single_result_are_those_of_stepwise(few, backend, result):
    inputs, cotangents, lengths = tensors(few)
    place = RESULTS.index(result)
    got = torch.autograd.grad(
        call(backend, inputs, lengths, few)[place],
        list(inputs.values()),
        cotangents[place],
        materialize_grads=True,
    )
    results = call("stepwise", inputs, lengths, few)
    weighted = [
        (one * (g if n == place else 0 * g)).sum()
        for n, (one, g) in enumerate(zip(results, cotangents, strict=True))
    ]
    right = torch.autograd.grad(sum(weighted), list(inputs.values()), materialize_grads=True)
    for name, one, other in zip(inputs, right, got, strict=True):
        assert_close(f"gradient of {name}", one, other)


@directions
@backends
@few_of_each
def test_lengths_equal_running_each_sequence_alone(few, backend, reverse):
    case = replace(few, B=6, reverse=reverse)
    inputs, _, lengths = tensors(case)
    h, h_n, c_n = call(backend, inputs, lengths, case)
    for row, length in enumerate(lengths.tolist()):
        alone = {
            name: tensor[row : row + 1] if name in ("context", "h0", "c0") else tensor
            for name, tensor in inputs.items()
        }
        alone["x"] = inputs["x"][row : row + 1, :length]
        one_h, one_h_n, one_c_n = call(backend, alone, None, replace(case, T=length))
        assert_close("h", one_h[0], h[row, :length])
        assert_close("h past the end", one_h_n.expand(9 - length, -1), h[row, length:])
        assert_close("h_n", one_h_n[0], h_n[row])
        assert_close("c_n", one_c_n[0], c_n[row])


@backends
@few_of_each
def test_values_in_the_padding_change_nothing(few, backend):
    inputs, _, lengths = tensors(few)
    past = torch.arange(few.T)[:, None] >= lengths[:, None, None]
    other = torch.where(past, 1e15, inputs["x"].detach()).requires_grad_()
    got = run(backend, few, x=other)
    for label, one in expected(few).items():
        assert_close(label, one, got[label])
    assert not got["gradient of x"][past.expand(-1, -1, few.F)].any()


@backends
@few_of_each
def test_arguments_are_not_modified(few, backend):
    inputs, cotangents, lengths = tensors(few)
    results = call(backend, inputs, lengths, few)
    torch.autograd.grad(results, list(inputs.values()), cotangents)
    arguments, before, drawn = draw(few)
    for one, other in zip(arguments.values(), inputs.values(), strict=True):
        assert_close("argument", one, other)
    for one, other in zip(before.values(), cotangents, strict=True):
        assert_close("gradient", one, other)
    assert lengths.tolist() == drawn.tolist()
