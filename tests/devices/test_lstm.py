"""The recurrence on the device: results and all gradients are those of the NumPy reference."""

import warnings
from dataclasses import replace

import pytest
import torch

from tests.close import assert_close
from tests.lstm.cases import CELLS, GRU, Case, expected, labelled, split, tensors
from unspool.lstm import lstm
from unspool.nn.device import resolve_device

FEW = Case(5, 7, 3, 4, ragged=True)
CASES = [
    FEW,
    replace(FEW, ragged=False),
    replace(FEW, left_out=("x", "w_ih")),
    replace(FEW, left_out=("x", "w_ih"), ragged=False),
    replace(FEW, left_out=("context", "w_context")),
    replace(FEW, left_out=("context", "w_context"), ragged=False),
    replace(FEW, left_out=("x", "w_ih", "context", "w_context")),
    replace(FEW, left_out=("h0", "c0", "context", "w_context")),
    replace(FEW, left_out=("c0",)),
    replace(FEW, T=1, B=1),
    replace(FEW, T=0),
    replace(FEW, B=0),
    Case(40, 33, 5, 32, ragged=True),
]


def run(case, backend, dtype=torch.float64, change=lambda name, tensor: tensor):
    """Results and gradients on the device, in the memory of the CPU."""
    there = resolve_device("auto")
    inputs, cotangents, lengths = tensors(case, dtype)
    inputs = {
        name: change(name, tensor.detach().to(there)).requires_grad_()
        for name, tensor in inputs.items()
    }
    first, named = split(inputs)
    lengths = None if lengths is None else lengths.to(there)
    results = lstm(*first, **named, lengths=lengths, steps=case.T, **case.of_cell, backend=backend)
    reached = [place for place, one in enumerate(results) if one.requires_grad]
    gradients = torch.autograd.grad(
        [results[place] for place in reached],
        list(inputs.values()),
        [cotangents[place].to(there) for place in reached],
        materialize_grads=True,
    )
    found = dict(zip(inputs, (one.cpu() for one in gradients), strict=True))
    return labelled([one.detach().cpu() for one in results], found)


def with_gaps(name, tensor):
    """Copies of the same numbers that are not contiguous in memory."""
    if tensor.ndim < 1:
        return tensor
    return torch.stack([tensor, tensor.neg()], -1)[..., 0]


@pytest.mark.parametrize("cell", [CELLS[0], GRU], ids="-".join)
@pytest.mark.parametrize("reverse", [False, True], ids=["forward", "reverse"])
@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case}-{'+'.join(case.left_out)}")
@pytest.mark.parametrize("change", [lambda name, tensor: tensor, with_gaps], ids=["whole", "gaps"])
def test_the_torch_backend_equals_the_reference(case, cell, reverse, change):
    case = replace(case, cell=cell, reverse=reverse)
    got = run(case, "torch", change=change)
    for label, one in expected(case).items():
        assert_close(label, one, got[label])


@pytest.mark.parametrize("cell", CELLS, ids="-".join)
def test_every_cell_equals_the_reference(cell):
    for reverse in (False, True):
        case = replace(FEW, cell=cell, reverse=reverse)
        got = run(case, "stepwise")
        for label, one in expected(case).items():
            assert_close(label, one, got[label])


def test_auto_chooses_torch_and_for_other_cells_stepwise():
    there = resolve_device("auto")
    arguments = {name: one.to(there) for name, one in tensors(FEW)[0].items()}
    first, named = split(arguments)
    choices = []
    for activation in ("tanh", "relu"):
        lstm(*first, **named, activation=activation, on_choice=choices.append)
    assert [choice.name for choice in choices] == ["torch", "stepwise"]


def test_inference_issues_no_warning():
    there = resolve_device("auto")
    first, named = split({n: t.detach().to(there) for n, t in tensors(FEW)[0].items()})
    with warnings.catch_warnings(record=True) as caught, torch.inference_mode():
        warnings.simplefilter("always")
        lstm(*first, **named)
    assert not caught
