"""Which backend runs a call, and the reasons that are reported."""

import math
from dataclasses import replace

import pytest
import torch

from tests.lstm.cases import Case, split, tensors
from unspool import _types
from unspool.blueprint import cells
from unspool.errors import InputError
from unspool.lstm import BACKENDS, Call, Choice, choose, lstm, reference
from unspool.lstm.backends import compiled
from unspool.lstm.pooling import STATISTICS
from unspool.nn import LSTMLayer


def run(backend="auto", on_choice=None, **options):
    first, named = split(tensors(Case(2, 3, 1, 2))[0])
    return lstm(*first, **named, backend=backend, on_choice=on_choice, **options)


def test_auto_reports_the_backend_and_why_earlier_ones_were_passed_over():
    assert choose(Call()) == ("compiled", "first choice for this cell")
    assert choose(Call("relu", device="cuda")) == (
        "stepwise",
        "compiled runs on the CPU, not on cuda; "
        "torch runs tanh cells with sigmoid gates only, not relu with sigmoid",
    )
    assert choose(Call(dtype=torch.float16)).reason == (
        "compiled computes in float32 or float64, not in float16"
    )


@pytest.fixture
def measured(monkeypatch):
    """A measurement in which torch trains faster on fewer than 10 sequences."""
    monkeypatch.setattr(compiled, "CROSSOVER", ((16, 0), (math.inf, 10)))


def test_auto_chooses_torch_for_training_small_batches_of_wide_layers(measured):
    few = Call(batch=9, hidden=256)
    assert choose(few) == (
        "torch",
        "compiled is slower on fewer than 10 sequences in layers of 256 units",
    )
    assert choose(replace(few, batch=10)).name == "compiled"
    assert choose(replace(few, hidden=16)).name == "compiled"
    assert choose(few, "compiled").name == "compiled"
    assert choose(replace(few, cell="gru")).name == "compiled"
    assert choose(replace(few, cell="gru", batch=3)).name == "torch"
    relu = replace(few, activation="relu")  # which torch cannot run
    assert choose(relu).name == "compiled"


@pytest.mark.parametrize("hidden", [1, 16, 64, 256, 2000])
def test_without_gradients_the_choice_does_not_depend_on_the_batch(hidden):
    calls = [Call(batch=batch, hidden=hidden, training=False) for batch in (None, 1, 2, 63, 1000)]
    assert {choose(call).name for call in calls} == {"compiled"}


@pytest.mark.parametrize(
    ("backend", "activation"),
    [("auto", "tanh"), ("auto", "relu"), *((name, "tanh") for name in BACKENDS)],
)
def test_on_choice_receives_the_backend_that_runs(backend, activation, monkeypatch):
    choices, ran = [], []
    for name, module in BACKENDS.items():

        def spy(*arguments, name=name, run=module.run):
            ran.append(name)
            return run(*arguments)

        monkeypatch.setattr(module, "run", spy)
    run(backend, choices.append, activation=activation)
    assert [choice.name for choice in choices] == ran
    if backend == "auto":
        assert choices == [choose(Call(activation, batch=2, hidden=2))]
    else:
        assert choices == [Choice(backend, "requested by name")]


def test_a_layer_reports_the_backend_that_would_run_it_and_then_the_one_that_did(measured):
    layer, x = LSTMLayer(1, 32), torch.zeros(9, 3, 1)
    assert layer.backend == Choice("compiled", "first choice for this cell")
    layer(x)
    assert layer.backend == layer.ran == layer.choice(9)
    assert layer.ran.name == "torch"
    with torch.no_grad():
        layer(x)
    assert layer.backend == layer.ran == layer.choice(9, training=False)
    assert layer.ran.name == "compiled"


def test_a_backend_requested_by_name_raises_if_it_cannot_serve_the_call():
    with pytest.raises(InputError) as caught:
        choose(Call("relu"), "torch")
    assert str(caught.value) == (
        "`backend` 'torch' runs tanh cells with sigmoid gates only, not relu with sigmoid; "
        "use 'auto' or another backend."
    )
    with pytest.raises(InputError) as caught:
        choose(Call(dtype=torch.float16), "compiled")
    assert str(caught.value) == (
        "`backend` 'compiled' computes in float32 or float64, not in float16; "
        "use 'auto' or another backend."
    )


def test_unknown_names_raise_with_the_nearest_known_name():
    with pytest.raises(
        InputError, match=r"unknown `backend` 'stepwize': did you mean 'stepwise'\?"
    ):
        run("stepwize")
    with pytest.raises(InputError, match=r"unknown `activation` 'tan': did you mean 'tanh'\?"):
        run(activation="tan")


def test_an_unknown_cell_and_a_cell_state_of_a_gru_are_refused():
    with pytest.raises(InputError, match=r"unknown `cell` 'gr': did you mean 'gru'\?"):
        run(cell="gr")
    with pytest.raises(InputError) as caught:
        run(cell="gru")
    assert str(caught.value) == "A GRU has no cell state; leave `c0` None."


def test_without_x_the_number_of_steps_is_required():
    inputs, *_ = tensors(Case(2, 3, 1, 2))
    with pytest.raises(InputError) as caught:
        lstm(None, None, inputs["w_hh"], inputs["bias"], context=inputs["context"])
    assert str(caught.value) == (
        "`x` is None; then `steps` is required, and `context` or `h0` for the batch size."
    )


@pytest.mark.parametrize(
    ("literal", "served"),
    [
        (_types.BackendName, BACKENDS),
        (_types.CellActivationName, reference.ACTIVATIONS),
        (_types.GateActivationName, reference.RECURRENT_ACTIVATIONS),
        (_types.CellName, cells.CELLS),
        (_types.StatisticName, STATISTICS),
    ],
    ids=["backends", "activations", "recurrent activations", "cells", "statistics"],
)
def test_the_types_of_names_list_all_names_that_are_served(literal, served):
    assert sorted(_types.names(literal)) == sorted(served)
