"""What must not change a bit of the results of the compiled backend."""

from dataclasses import replace
from unittest.mock import patch

import numpy as np
import pytest
import torch

from tests.lstm.cases import GRU, RESULTS, Case, assert_same, call, labelled, run, tensors
from unspool.lstm.compiled import few, small_batch
from unspool.lstm.compiled.vector import BYTES
from unspool.lstm.pooling import STATISTICS

CASE = Case(257, 20, 3, 10, 5, ragged=True)
PER_SEQUENCE = ("x", "context", "h0", "c0")  # arguments with a row for each sequence
cases = pytest.mark.parametrize(
    "case",
    [
        CASE,
        replace(CASE, ragged=False),
        replace(CASE, reverse=True),
        replace(CASE, reverse=True, ragged=False, cell=("relu", "hard_sigmoid", "lstm")),
        replace(CASE, H=33, scale=100),
        replace(CASE, cell=GRU),
        replace(CASE, reverse=True, ragged=False, H=33, cell=("relu", "hard_sigmoid", "gru")),
    ],
    ids=str,
)
one_of_each = pytest.mark.parametrize("case", [CASE, replace(CASE, cell=GRU)], ids=str)
dtypes = pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)


@pytest.fixture
def threads():
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


@dtypes
@cases
def test_a_sequence_has_the_same_bits_alone_and_in_a_batch(case, dtype):
    among = run("compiled", case, dtype)
    inputs, cotangents, lengths = tensors(case, dtype)
    for row in (0, 1, 31, 32, 100, 256):
        rows = slice(row, row + 1)
        alone = {n: one[rows] if n in PER_SEQUENCE else one for n, one in inputs.items()}
        results = call("compiled", alone, None if lengths is None else lengths[rows], case)
        needed = [alone[name] for name in PER_SEQUENCE]
        gradients = torch.autograd.grad(results, needed, [one[rows] for one in cotangents])
        got = labelled(results, dict(zip(PER_SEQUENCE, gradients, strict=True)))
        assert_same({label: among[label][rows] for label in got}, got)


WANTED = [
    {"return_sequences": True},
    {"return_sequences": False},
    {"return_sequences": False, "statistics": STATISTICS},
]
FEW_OPTIONS = [
    {},
    {"left_out": ("context", "w_context")},
    {"left_out": ("x", "w_ih"), "ragged": False},
    {"F": 1, "C": 1, "T": 1},
    {"T": 0, "ragged": False},
    {"H": 1},
    {"H": 64, "F": 17},
]


@dtypes
@pytest.mark.parametrize("options", FEW_OPTIONS, ids=str)
@cases
def test_without_gradients_a_small_batch_has_the_bits_of_a_large_one(case, options, dtype):
    """Small batches have another layout, see `small_batch`."""
    case = replace(case, **options)
    inputs, _, lengths = tensors(case, dtype)
    for more in WANTED:
        with torch.no_grad():
            among = call("compiled", inputs, lengths, case, **more)
            for first, last in ((0, 1), (1, 2), (2, 5), (5, 13), (200, 224), (256, 257)):
                rows = slice(first, last)
                part = {n: one[rows] if n in PER_SEQUENCE else one for n, one in inputs.items()}
                with patch.object(small_batch, "forward", wraps=small_batch.forward) as ran:
                    got = call(
                        "compiled",
                        part,
                        None if lengths is None else lengths[rows],
                        case,
                        **more,
                    )
                assert ran.called == (last - first <= few.LANES * BYTES // dtype.itemsize)
                for name, one, other in zip(RESULTS, among, got, strict=True):
                    np.testing.assert_array_equal(other, one[rows], err_msg=name)


@dtypes
@cases
def test_the_number_of_threads_changes_no_bit(case, dtype, threads):
    threads(1)
    one = run("compiled", case, dtype)
    for number in (2, 5):
        threads(number)
        assert_same(one, run("compiled", case, dtype))


@dtypes
@cases
def test_statistics_have_the_same_bits_in_any_batch_and_on_any_number_of_threads(
    case, dtype, threads
):
    threads(1)
    among = pooled(case, dtype)
    for number, rows in ((2, slice(None)), (5, slice(None)), (1, slice(31, 32)), (1, slice(9, 99))):
        threads(number)
        got = pooled(case, dtype, rows)
        for name in (
            got if rows == slice(None) else ("pooled", *(f"gradient of {n}" for n in PER_SEQUENCE))
        ):
            right = among[name] if rows == slice(None) else among[name][rows]
            np.testing.assert_array_equal(got[name], right, err_msg=name)


def pooled(case, dtype, rows=slice(None), padding=0):
    """Statistics of some of the sequences, and the gradients of all arguments."""
    inputs, cotangents, lengths = tensors(case, dtype)
    given = {
        n: (one[rows] if n in PER_SEQUENCE else one).detach().requires_grad_()
        for n, one in inputs.items()
    }
    if padding:
        lengths = torch.full((case.B,), case.T) if lengths is None else lengths
        x = torch.nn.functional.pad(given["x"].detach(), (0, 0, 0, padding), value=torch.nan)
        given["x"] = x.requires_grad_()
    found, *_ = call(
        "compiled", given, None if lengths is None else lengths[rows],
        replace(case, T=case.T + padding), return_sequences=False, statistics=STATISTICS,
    )  # fmt: skip
    grad = cotangents[0][rows, : len(STATISTICS)]
    gradients = torch.autograd.grad(found, list(given.values()), grad)
    named = {f"gradient of {n}": one for n, one in zip(given, gradients, strict=True)}
    return {"pooled": found.detach(), **named}


@cases
def test_the_amount_of_padding_changes_no_bit_of_statistics(case):
    expected, got = pooled(case, torch.float32), pooled(case, torch.float32, padding=13)
    assert not got["gradient of x"][:, case.T :].any()
    got["gradient of x"] = got["gradient of x"][:, : case.T]
    assert_same(expected, got)


@cases
def test_the_amount_of_padding_changes_no_bit(case):
    inputs, cotangents, lengths = tensors(case, torch.float32)
    if lengths is None:
        lengths = torch.full((case.B,), case.T)
    expected = run("compiled", case, torch.float32)
    for filling in (0.0, torch.nan, torch.inf):
        x = inputs["x"].detach()
        longer = torch.nn.functional.pad(x, (0, 0, 0, 13), value=filling).requires_grad_()
        results = call("compiled", inputs | {"x": longer}, lengths, replace(case, T=case.T + 13))
        more = torch.nn.functional.pad(cotangents[0], (0, 0, 0, 13))
        gradients = torch.autograd.grad(
            results, list((inputs | {"x": longer}).values()), [more, *cotangents[1:]]
        )
        got = labelled(results, dict(zip(inputs, gradients, strict=True)))
        assert not got["gradient of x"][:, case.T :].any()
        assert (got["h"][:, case.T :] == got["h_n"][:, None]).all()
        for label in ("h", "gradient of x"):
            got[label] = got[label][:, : case.T]
        assert_same(expected, got)


@pytest.mark.parametrize("filling", [torch.nan, torch.inf, -1e30])
@pytest.mark.parametrize("reverse", [False, True], ids=["forward", "reverse"])
@one_of_each
def test_values_in_the_padding_change_no_bit(case, reverse, filling):
    case = replace(case, reverse=reverse)
    inputs, _, lengths = tensors(case)
    past = torch.arange(case.T)[:, None] >= lengths[:, None, None]
    other = torch.where(past, filling, inputs["x"].detach()).requires_grad_()
    assert_same(run("compiled", case), run("compiled", case, x=other))


@one_of_each
def test_a_gradient_does_not_depend_on_which_others_are_computed(case):
    expected = run("compiled", case)
    for needed in ("x", "w_ih", "w_hh", "bias", "context", "w_context", "h0", "c0"):
        inputs, cotangents, lengths = tensors(case)
        frozen = {name: one if name == needed else one.detach() for name, one in inputs.items()}
        results = call("compiled", frozen, lengths, case)
        (gradient,) = torch.autograd.grad(results, [frozen[needed]], cotangents)
        got = labelled(results, {needed: gradient})
        assert_same({label: expected[label] for label in got}, got)


@one_of_each
def test_results_do_not_depend_on_whether_gradients_and_sequences_are_requested(case):
    expected = run("compiled", case)
    inputs, _, lengths = tensors(case)
    with torch.no_grad():
        assert_same(
            {n: expected[n] for n in RESULTS}, labelled(call("compiled", inputs, lengths, case), {})
        )
        _, h_n, c_n = call("compiled", inputs, lengths, case, return_sequences=False)
    np.testing.assert_array_equal(h_n, expected["h_n"])
    np.testing.assert_array_equal(c_n, expected["c_n"])


def strided(array):
    """Copy the values to a tensor with gaps and reversed axes."""
    spread = torch.full([2 * n for n in reversed(array.shape)], torch.nan, dtype=array.dtype)
    view = spread[tuple(slice(None, None, 2) for _ in array.shape)].permute(
        *reversed(range(array.ndim))
    )
    return view.copy_(array.detach())


@one_of_each
def test_the_memory_layout_of_arguments_changes_no_bit(case):
    inputs, cotangents, lengths = tensors(case)
    spread = {name: strided(array).requires_grad_() for name, array in inputs.items()}
    scattered = torch.full((case.B, 3), -1)
    scattered[:, 1] = lengths
    results = call("compiled", spread, scattered[:, 1], case)
    gradients = torch.autograd.grad(
        results, list(spread.values()), [strided(one) for one in cotangents]
    )
    got = labelled(results, dict(zip(inputs, gradients, strict=True)))
    assert_same(run("compiled", case), got)


@pytest.mark.parametrize("dtype", [torch.int32, torch.uint8], ids=str)
def test_the_dtype_of_the_lengths_changes_no_bit(dtype):
    inputs, _, lengths = tensors(CASE)
    one = call("compiled", inputs, lengths, CASE)
    other = call("compiled", inputs, lengths.to(dtype), CASE)
    assert_same(labelled(one, {}), labelled(other, {}))


def test_expanded_arguments_give_the_bits_of_repeated_ones():
    case = replace(CASE, ragged=False)
    inputs, *_ = tensors(case)
    shared = {n: one[:1].expand_as(one) if n in PER_SEQUENCE else one for n, one in inputs.items()}
    repeated = {n: one.clone() for n, one in shared.items()}
    results = [labelled(call("compiled", each, None, case), {}) for each in (repeated, shared)]
    assert_same(*results)
    assert (results[0]["h"] == results[0]["h"][:1]).all()
