"""What must not change a bit of what the compiled backend computes."""

from dataclasses import replace
from unittest.mock import patch

import numpy as np
import pytest
import torch

from tests.lstm.cases import RESULTS, Case, assert_same, call, labelled, run, tensors
from unspool.lstm import operators
from unspool.lstm.compiled import small_batch
from unspool.lstm.compiled.vector import BYTES
from unspool.lstm.pooling import STATISTICS
from unspool.lstm.prepared import TILE_VECTORS

CASE = Case(257, 20, 3, 10, 5, ragged=True)
OWN = ("x", "context", "h0", "c0")  # arguments that each sequence has for itself
cases = pytest.mark.parametrize(
    "case",
    [
        CASE,
        replace(CASE, ragged=False),
        replace(CASE, reverse=True),
        replace(CASE, reverse=True, ragged=False, cell=("relu", "hard_sigmoid")),
        replace(CASE, H=33, scale=100),
    ],
    ids=str,
)
dtypes = pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)


@pytest.fixture
def threads():
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


@dtypes
@cases
def test_a_sequence_alone_and_among_others(case, dtype):
    among = run("compiled", case, dtype)
    inputs, cotangents, lengths = tensors(case, dtype)
    for row in (0, 1, 31, 32, 100, 256):
        own = slice(row, row + 1)
        alone = {n: one[own] if n in OWN else one for n, one in inputs.items()}
        results = call("compiled", alone, None if lengths is None else lengths[own], case)
        wanted = [alone[name] for name in OWN]
        gradients = torch.autograd.grad(results, wanted, [one[own] for one in cotangents])
        got = labelled(results, dict(zip(OWN, gradients, strict=True)))
        assert_same({label: among[label][own] for label in got}, got)


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
def test_a_few_sequences_without_gradients_and_many(case, options, dtype):
    """Few are laid out otherwise, see `operators.small_batch`."""
    case = replace(case, **options)
    inputs, _, lengths = tensors(case, dtype)
    for more in WANTED:
        with torch.no_grad():
            among = call("compiled", inputs, lengths, case, **more)
            for first, last in ((0, 1), (1, 2), (2, 5), (5, 13), (200, 224), (256, 257)):
                own = slice(first, last)
                few = {n: one[own] if n in OWN else one for n, one in inputs.items()}
                with patch.object(small_batch, "forward", wraps=small_batch.forward) as ran:
                    got = call(
                        "compiled",
                        few,
                        None if lengths is None else lengths[own],
                        case,
                        **more,
                    )
                assert ran.called == (last - first <= operators.SMALL_BATCH * lanes(dtype))
                for name, one, other in zip(RESULTS, among, got, strict=True):
                    np.testing.assert_array_equal(other, one[own], err_msg=name)


def lanes(dtype):
    return TILE_VECTORS * BYTES // dtype.itemsize


@dtypes
@cases
def test_the_number_of_threads(case, dtype, threads):
    threads(1)
    one = run("compiled", case, dtype)
    for number in (2, 5):
        threads(number)
        assert_same(one, run("compiled", case, dtype))


@dtypes
@cases
def test_statistics_alone_and_among_others_on_any_number_of_threads(case, dtype, threads):
    threads(1)
    among = pooled(case, dtype)
    for number, rows in ((2, slice(None)), (5, slice(None)), (1, slice(31, 32)), (1, slice(9, 99))):
        threads(number)
        got = pooled(case, dtype, rows)
        for name in got if rows == slice(None) else ("pooled", *(f"gradient of {n}" for n in OWN)):
            right = among[name] if rows == slice(None) else among[name][rows]
            np.testing.assert_array_equal(got[name], right, err_msg=name)


def pooled(case, dtype, rows=slice(None), padding=0):
    """Statistics of some of the sequences, and the gradients of all arguments."""
    inputs, cotangents, lengths = tensors(case, dtype)
    given = {
        n: (one[rows] if n in OWN else one).detach().requires_grad_() for n, one in inputs.items()
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
def test_statistics_whatever_the_amount_of_padding(case):
    expected, got = pooled(case, torch.float32), pooled(case, torch.float32, padding=13)
    assert not got["gradient of x"][:, case.T :].any()
    got["gradient of x"] = got["gradient of x"][:, : case.T]
    assert_same(expected, got)


@cases
def test_the_amount_of_padding(case):
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
def test_what_stands_in_the_padding(reverse, filling):
    case = replace(CASE, reverse=reverse)
    inputs, _, lengths = tensors(case)
    past = torch.arange(case.T)[:, None] >= lengths[:, None, None]
    other = torch.where(past, filling, inputs["x"].detach()).requires_grad_()
    assert_same(run("compiled", case), run("compiled", case, x=other))


def test_which_gradients_are_wanted():
    expected = run("compiled", CASE)
    for wanted in ("x", "w_ih", "w_hh", "bias", "context", "w_context", "h0", "c0"):
        inputs, cotangents, lengths = tensors(CASE)
        frozen = {name: one if name == wanted else one.detach() for name, one in inputs.items()}
        results = call("compiled", frozen, lengths, CASE)
        (gradient,) = torch.autograd.grad(results, [frozen[wanted]], cotangents)
        got = labelled(results, {wanted: gradient})
        assert_same({label: expected[label] for label in got}, got)


def test_whether_gradients_and_sequences_are_wanted():
    expected = run("compiled", CASE)
    inputs, _, lengths = tensors(CASE)
    with torch.no_grad():
        assert_same(
            {n: expected[n] for n in RESULTS}, labelled(call("compiled", inputs, lengths, CASE), {})
        )
        _, h_n, c_n = call("compiled", inputs, lengths, CASE, return_sequences=False)
    np.testing.assert_array_equal(h_n, expected["h_n"])
    np.testing.assert_array_equal(c_n, expected["c_n"])


def apart(array):
    """The same numbers with room between them, in another order."""
    spread = torch.full([2 * n for n in reversed(array.shape)], torch.nan, dtype=array.dtype)
    view = spread[tuple(slice(None, None, 2) for _ in array.shape)].permute(
        *reversed(range(array.ndim))
    )
    return view.copy_(array.detach())


def test_how_arguments_lie_in_memory():
    inputs, cotangents, lengths = tensors(CASE)
    spread = {name: apart(array).requires_grad_() for name, array in inputs.items()}
    scattered = torch.full((CASE.B, 3), -1)
    scattered[:, 1] = lengths
    results = call("compiled", spread, scattered[:, 1], CASE)
    gradients = torch.autograd.grad(
        results, list(spread.values()), [apart(one) for one in cotangents]
    )
    got = labelled(results, dict(zip(inputs, gradients, strict=True)))
    assert_same(run("compiled", CASE), got)


@pytest.mark.parametrize("dtype", [torch.int32, torch.uint8], ids=str)
def test_the_type_of_the_lengths(dtype):
    inputs, _, lengths = tensors(CASE)
    one = call("compiled", inputs, lengths, CASE)
    other = call("compiled", inputs, lengths.to(dtype), CASE)
    assert_same(labelled(one, {}), labelled(other, {}))


def test_one_row_for_all_sequences():
    case = replace(CASE, ragged=False)
    inputs, *_ = tensors(case)
    shared = {n: one[:1].expand_as(one) if n in OWN else one for n, one in inputs.items()}
    repeated = {n: one.clone() for n, one in shared.items()}
    results = [labelled(call("compiled", each, None, case), {}) for each in (repeated, shared)]
    assert_same(*results)
    assert (results[0]["h"] == results[0]["h"][:1]).all()
