"""The compiled backend as a PyTorch operator: tracing, gradients, and what it refuses."""

from dataclasses import replace

import pytest
import torch

from tests.close import assert_close
from tests.lstm.cases import GRU, Case, call, mask, tensors
from unspool.errors import InputError
from unspool.lstm import lstm
from unspool.lstm.pooling import STATISTICS
from unspool.lstm.prepared import PreparedLayer
from unspool.nn import LSTM, Cell

CASE = Case(5, 4, 3, 2, ragged=True)
NAMES = ("x", "w_ih", "w_hh", "bias", "context", "w_context", "h0", "c0")


def arguments(case, *, return_sequences=True, training=True, statistics=()):
    inputs, cotangents, lengths = tensors(case, torch.float32)
    flags = [False, False, case.reverse, return_sequences, training]
    given = [inputs.get(name) for name in NAMES]
    if not training:
        given = [one if one is None else one.detach() for one in given]
    h_mask = torch.tensor(mask(case), dtype=torch.float32) if case.masked else None
    flags_and_names = flags, list(statistics), case.cell[-1]
    return (*given, lengths, h_mask, case.T, *flags_and_names), cotangents


@pytest.mark.parametrize(
    "case",
    [
        CASE,
        replace(CASE, reverse=True, ragged=False),
        replace(CASE, left_out=("x", "w_ih"), H=16, C=16),
        replace(CASE, left_out=("context", "w_context"), ragged=False),
        replace(CASE, masked=True),
        replace(CASE, cell=GRU),
        replace(CASE, cell=GRU, masked=True),
    ],
    ids=["all", "no lengths", "no input", "no context", "masked", "GRU", "masked GRU"],
)
def test_the_operators_pass_the_checks_of_pytorch(case, monkeypatch):
    allocate = PreparedLayer.allocate  # all values are compared, also those that nobody writes
    monkeypatch.setattr(
        PreparedLayer, "allocate", lambda layer, *shape: allocate(layer, *shape).zero_()
    )
    given, cotangents = arguments(case)
    torch.library.opcheck(torch.ops.unspool.lstm.default, given)
    pooled = {"return_sequences": False, "statistics": STATISTICS}
    for more in (
        {"return_sequences": False},
        {"training": False},
        pooled,
        pooled | {"training": False},
    ):
        torch.library.opcheck(torch.ops.unspool.lstm.default, arguments(case, **more)[0])

    with torch.no_grad():
        h, _, _, pooled, reserve = torch.ops.unspool.lstm(*given[:-2], list(STATISTICS), given[-1])
    x, w_ih, w_hh, _, *others = (one.detach() if hasattr(one, "detach") else one for one in given)
    flags, cell = given[-3], given[-1]
    for needed, grad_pooled in ((True, None), (False, None), (True, torch.ones_like(pooled))):
        torch.library.opcheck(
            torch.ops.unspool.lstm_backward.default,
            (*cotangents, grad_pooled, x, w_ih, w_hh, *others[:-4], h, pooled, reserve, flags,
             list(STATISTICS), needed, cell),
        )  # fmt: skip


@pytest.mark.parametrize("compiler", ["eager", "aot_eager"])
@pytest.mark.parametrize("lengths", [None, torch.tensor([4, 0, 3, 1, 4])], ids=["full", "ragged"])
@pytest.mark.parametrize("statistics", [(), STATISTICS, ("std",)], ids="-".join)
@pytest.mark.parametrize("kind", ["lstm", "gru"])
def test_a_module_compiled_by_pytorch_computes_the_same_numbers(
    kind, compiler, lengths, statistics
):
    torch.compiler.reset()  # else PyTorch stops compiling after a number of compilations
    torch.manual_seed(0)
    module = LSTM(3, 2, num_layers=2, bidirectional=True, cell=Cell(backend="compiled", kind=kind))
    compiled = torch.compile(module, backend=compiler, fullgraph=True)
    x = torch.randn(5, 4, 3)
    sums = []
    more = {"return_sequences": not statistics, "statistics": statistics}
    for one in (module, compiled):
        h, (h_n, *c_n) = one(x, lengths, **more)
        loss = (h**3).sum() + (h_n**2).sum() + sum(c.sum() for c in c_n)
        sums.append([h, h_n, *c_n, *torch.autograd.grad(loss, list(module.parameters()))])
    names = ["h", "h_n", "c_n"][: len(sums[0]) - len(list(module.parameters()))]
    names = [*names, *(name for name, _ in module.named_parameters())]
    for name, expected, got in zip(names, *sums, strict=True):
        assert_close(name, expected, got)


def test_a_second_derivative_is_refused():
    inputs, *_ = tensors(CASE)
    h, *_ = call("compiled", inputs, None, CASE)
    (gradient,) = torch.autograd.grad((h**2).sum(), inputs["x"], create_graph=True)
    with pytest.raises(InputError) as caught:
        torch.autograd.grad(gradient.sum(), inputs["w_hh"])
    assert str(caught.value) == (
        "`backend` 'compiled' has no second derivative; use backend='stepwise'."
    )


def test_a_gradient_of_what_ran_without_training_is_refused():
    inputs = [one.requires_grad_() if one is not None else one for one in arguments(CASE)[0][:8]]
    flags = [False, False, False, True, False]
    h, *_ = torch.ops.unspool.lstm(*inputs, None, None, CASE.T, flags, [], "lstm")
    with pytest.raises(InputError) as caught:
        h.sum().backward()
    assert str(caught.value) == (
        "The backward pass needs a forward pass that ran with `training`; this one did not."
    )


def test_a_gradient_after_the_lengths_were_changed_is_refused():
    inputs, _, lengths = tensors(CASE)
    h, *_ = call("compiled", inputs, lengths, CASE)
    lengths += 1
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        h.sum().backward()


@pytest.mark.parametrize(
    ("lengths", "message"),
    [
        ([5, 4, 3, 2, 1], "Expected `lengths` from 0 to 4 steps, not 1 to 5."),
        ([4, -1, 3, 2, 1], "Expected `lengths` from 0 to 4 steps, not -1 to 4."),
        ([4, 4], "Expected `lengths` of shape (5,), one per sequence, not (2,)."),
        ([[4]] * 5, "Expected `lengths` of shape (5,), one per sequence, not (5, 1)."),
        ([1.5] * 5, "Expected `lengths` in whole numbers, not in torch.float32."),
    ],
    ids=str,
)
def test_bad_lengths_are_refused(lengths, message):
    with pytest.raises(InputError) as caught:
        call("compiled", tensors(CASE)[0], torch.tensor(lengths), CASE)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("name", "change", "expected", "got"),
    [
        ("x", lambda a: a.float(), "(5, 4, 3) in torch.float64", "(5, 4, 3) in torch.float32"),
        ("w_ih", lambda a: a[:, :2], "(8, 3) in torch.float64", "(8, 2) in torch.float64"),
        ("w_hh", lambda a: a[:6], "(8, 2) in torch.float64", "(6, 2) in torch.float64"),
        ("bias", lambda a: a[:7], "(8,) in torch.float64", "(7,) in torch.float64"),
        ("context", lambda a: a[:4], "(5, 2) in torch.float64", "(4, 2) in torch.float64"),
        ("w_context", lambda a: a.T, "(8, 2) in torch.float64", "(2, 8) in torch.float64"),
        ("h0", lambda a: a[:1], "(5, 2) in torch.float64", "(1, 2) in torch.float64"),
        ("c0", lambda a: a[0], "(5, 2) in torch.float64", "(2,) in torch.float64"),
        ("c0", lambda a: a.half(), "(5, 2) in torch.float64", "(5, 2) in torch.float16"),
    ],
)
def test_arguments_that_do_not_fit_are_refused(name, change, expected, got):
    inputs, *_ = tensors(CASE)
    inputs[name] = change(inputs[name])
    with pytest.raises(InputError) as caught:
        call("compiled", inputs, None, CASE)
    assert str(caught.value) == f"Expected `{name}` of shape {expected}, not of {got}."


@pytest.mark.parametrize(
    ("missing", "pair"),
    [
        ("x", "`x` and `w_ih`"),
        ("w_ih", "`x` and `w_ih`"),
        ("context", "`context` and `w_context`"),
        ("w_context", "`context` and `w_context`"),
    ],
)
def test_an_input_without_its_weights_is_refused(missing, pair):
    inputs, *_ = tensors(CASE)
    del inputs[missing]
    with pytest.raises(InputError) as caught:
        call("compiled", inputs, None, CASE)
    assert str(caught.value) == f"Expected {pair} together, or neither."


def test_half_precision_runs_on_another_backend_and_raises_if_compiled_is_requested():
    inputs, *_ = tensors(CASE, torch.bfloat16)
    first = [inputs[name] for name in NAMES[:4]]
    choices = []
    h, *_ = lstm(*first, on_choice=choices.append)
    assert h.dtype == torch.bfloat16
    assert choices[0].name != "compiled"
    with pytest.raises(InputError) as caught:
        lstm(*first, backend="compiled")
    assert str(caught.value) == (
        "`backend` 'compiled' computes in float32 or float64, not in bfloat16; "
        "use 'auto' or another backend."
    )
