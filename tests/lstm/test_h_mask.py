"""A mask of the hidden state that the gates read, which is the same at every step."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.close import assert_close
from tests.lstm.cases import (
    CELLS,
    Case,
    assert_same,
    call,
    check,
    labelled,
    mask,
    run,
    tensors,
)
from unspool.errors import InputError
from unspool.lstm import Call, choose, lstm
from unspool.lstm.pooling import STATISTICS

CASE = Case(257, 12, 3, 10, 5, ragged=True, masked=True)
CASES = [CASE, Case(1, 9, 2, 33, masked=True), Case(7, 5, 17, 16, 0, ragged=True, masked=True)]
PER_SEQUENCE = ("x", "context", "h0", "c0")
backends = pytest.mark.parametrize("backend", ["compiled", "stepwise"])
directions = pytest.mark.parametrize("reverse", [False, True], ids=["forward", "reverse"])


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
@pytest.mark.parametrize("case", CASES, ids=str)
@pytest.mark.parametrize("cell", CELLS, ids="-".join)
@directions
@backends
def test_results_and_gradients_equal_the_reference(backend, reverse, cell, case, dtype):
    if dtype == torch.float32 and cell != CELLS[0]:  # few values, so that none is near a kink
        case = replace(case, B=min(case.B, 3), T=5)
    check(backend, replace(case, cell=cell, reverse=reverse), dtype)


@pytest.mark.parametrize("options", [{"T": 0}, {"B": 0}, {"left_out": ("x", "w_ih")}], ids=str)
@backends
def test_empty_batches_and_layers_without_input_have_masks(backend, options):
    check(backend, replace(CASE, **options))


@backends
def test_a_mask_that_all_sequences_share_equals_a_torch_lstm_with_scaled_recurrent_weights(backend):
    torch.manual_seed(0)
    module = torch.nn.LSTM(3, 5, batch_first=True, dtype=torch.float64)
    x, factors = torch.randn(4, 9, 3, dtype=torch.float64), torch.tensor([0, 1.5, 1.5, 0, 1.5])
    weights = [weight.detach() for weight in module.parameters()]
    got, *_ = lstm(
        x, weights[0], weights[1], weights[2] + weights[3],
        h_mask=factors.double().expand(4, 5), backend=backend,
    )  # fmt: skip
    with torch.no_grad():
        module.weight_hh_l0 *= factors
    assert_close("h", module(x)[0], got)


@backends
def test_a_mask_of_ones_changes_nothing(backend):
    case = replace(CASE, masked=False)
    inputs, _, lengths = tensors(case)
    ones = torch.ones(case.B, case.H, dtype=torch.float64)
    without = call(backend, inputs, lengths, case)
    for one, other in zip(without, call(backend, inputs, lengths, case, h_mask=ones), strict=True):
        torch.testing.assert_close(other, one, rtol=0, atol=0)


def test_statistics_and_their_gradients_are_those_of_stepwise():
    sums = []
    more = {"return_sequences": False, "statistics": STATISTICS}
    for backend in ("stepwise", "compiled"):
        inputs, cotangents, lengths = tensors(CASE)
        pooled, *finals = call(backend, inputs, lengths, CASE, **more)
        given = torch.ones_like(pooled).cumsum(1)
        found = torch.autograd.grad(
            [pooled, *finals], list(inputs.values()), [given, *cotangents[1:]]
        )
        sums.append([pooled, *found])
    for name, one, other in zip(["pooled", *inputs], *sums, strict=True):
        assert_close(name, one, other)


@directions
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
def test_a_sequence_has_the_same_bits_alone_and_in_a_batch(dtype, reverse):
    case = replace(CASE, reverse=reverse)
    among = run("compiled", case, dtype)
    inputs, cotangents, lengths = tensors(case, dtype)
    for row in (0, 1, 31, 32, 256):
        rows = slice(row, row + 1)
        alone = {n: one[rows] if n in PER_SEQUENCE else one for n, one in inputs.items()}
        h_mask = torch.tensor(mask(case, rows), dtype=dtype)
        results = call("compiled", alone, lengths[rows], case, h_mask=h_mask)
        needed = [alone[name] for name in PER_SEQUENCE]
        gradients = torch.autograd.grad(results, needed, [one[rows] for one in cotangents])
        got = labelled(results, dict(zip(PER_SEQUENCE, gradients, strict=True)))
        assert_same({label: among[label][rows] for label in got}, got)


def test_the_number_of_threads_changes_no_bit():
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        one = run("compiled", CASE, torch.float32)
        for number in (2, 5):
            torch.set_num_threads(number)
            assert_same(one, run("compiled", CASE, torch.float32))
    finally:
        torch.set_num_threads(before)


def test_the_amount_and_content_of_padding_changes_no_bit():
    inputs, _, lengths = tensors(CASE)
    padded = dict(inputs)
    padded["x"] = torch.nn.functional.pad(inputs["x"].detach(), (0, 0, 0, 3), value=1e30)
    longer = replace(CASE, T=CASE.T + 3)
    for one, other in zip(
        call("compiled", inputs, lengths, CASE)[1:],
        call("compiled", padded, lengths, longer)[1:],
        strict=True,
    ):
        np.testing.assert_array_equal(other.detach(), one.detach())


def test_torch_is_passed_over_and_refused_by_name():
    assert choose(Call(h_mask=True)).name == "compiled"
    assert choose(Call(h_mask=True, batch=1, hidden=512)).name == "compiled"
    assert choose(Call(h_mask=True, device="cuda")) == (
        "stepwise",
        "compiled runs on the CPU, not on cuda; "
        "torch has no mask of the hidden state (recurrent dropout)",
    )
    with pytest.raises(InputError) as caught:
        choose(Call(h_mask=True), "torch")
    assert str(caught.value) == (
        "`backend` 'torch' has no mask of the hidden state (recurrent dropout); use 'auto' or "
        "another backend."
    )


@pytest.mark.parametrize(
    ("h_mask", "expected"),
    [
        (torch.ones(2, 3), "Expected `h_mask` of shape (2, 5), got (2, 3)."),
        (torch.ones(1, 5), "Expected `h_mask` of shape (2, 5), got (1, 5)."),
        (
            torch.ones(2, 5, requires_grad=True),
            "`h_mask` has no gradient, but it requires one; pass `h_mask.detach()`.",
        ),
    ],
    ids=["units", "batch", "gradient"],
)
@backends
def test_a_mask_of_another_shape_or_with_a_gradient_is_refused(backend, h_mask, expected):
    x, weights = torch.ones(2, 3, 1), (torch.ones(20, 1), torch.zeros(20, 5), torch.zeros(20))
    with pytest.raises(InputError) as caught:
        lstm(x, *weights, h_mask=h_mask, backend=backend)
    assert str(caught.value) == expected
