"""The parameters in signatures, types, docstrings and the table that checks them are the same."""

import inspect
import re
import types
from collections.abc import Sequence
from typing import Literal, get_args, get_origin, get_type_hints

import pytest

from unspool import _loss_parameter, _losses, _types
from unspool._registry import ESTIMATORS
from unspool._types import names
from unspool.anomaly import scores, threshold_kinds
from unspool.blueprint import definition
from unspool.blueprint.layers import DECODERS, POOLINGS
from unspool.data.scaling import SCALINGS
from unspool.estimators.parameter_table import documented, parameter_rows
from unspool.lstm import BACKENDS, reference
from unspool.nn import dense as dense_modules
from unspool.nn import losses as torch_losses
from unspool.runtime import dense as dense_functions
from unspool.training.optimizers import OPTIMIZERS

CLASSES = {name: entry.load() for name, entry in ESTIMATORS.items()}
EVERY_PARAMETER = [
    (estimator, name) for estimator in CLASSES for name in definition(estimator).parameters
]


def signature(estimator):
    return inspect.signature(CLASSES[estimator]).parameters


@pytest.mark.parametrize("estimator", CLASSES)
def test_docstring_signature_and_table_have_the_same_parameters(estimator):
    described = [name for name, _, _ in documented(CLASSES[estimator])]
    assert described == list(signature(estimator))
    assert set(described) == set(definition(estimator).parameters)
    assert [row.name for row in parameter_rows(CLASSES[estimator])] == described


@pytest.mark.parametrize("estimator", CLASSES)
def test_every_parameter_has_a_text(estimator):
    for row in parameter_rows(CLASSES[estimator]):
        assert row.text[0].isupper() or row.text.startswith(('"', "0 ")), row.name
        assert row.text.endswith("."), row.name
        assert row.allowed, row.name
        assert row.type, row.name


@pytest.mark.parametrize("estimator", CLASSES)
def test_the_default_in_a_docstring_is_that_of_the_signature(estimator):
    for row in parameter_rows(CLASSES[estimator]):
        if row.type.endswith(", optional"):
            assert row.default is None, row.name
        else:
            _, _, default = row.type.rpartition(", default ")
            assert default.replace('"', "'") == repr(row.default), row.name


@pytest.mark.parametrize(("estimator", "name"), EVERY_PARAMETER)
def test_the_names_in_a_docstring_are_those_that_the_table_accepts(estimator, name):
    rules = definition(estimator).parameters
    if not rules[name].names or name == "metrics":
        return
    row = next(row for row in parameter_rows(CLASSES[estimator]) if row.name == name)
    same = re.search(r"accepts the same names as `(\w+)`", row.text)
    if same:
        assert rules[name].names == rules[same.group(1)].names
        return
    table = re.findall(r'^"(\w+)"  ', row.text, re.MULTILINE)
    given = re.search(r"{(.*)}", row.type)
    listed = given.group(1) if given else row.text[: row.text.index(".")]
    assert table or re.findall(r'"(\w+)"', listed) == list(rules[name].names)
    assert not table or table == list(rules[name].names)


@pytest.mark.parametrize("estimator", CLASSES)
def test_the_table_accepts_the_defaults(estimator):
    given = CLASSES[estimator]().get_params(deep=False)
    assert not any(definition(estimator).complaints(given))


def literals(hint):
    """The names in a type, wherever in it."""
    if get_origin(hint) is Literal:
        return set(get_args(hint))
    if get_origin(hint) in (types.UnionType, Sequence) or get_args(hint):
        return set().union(*map(literals, get_args(hint)))
    return set()


@pytest.mark.parametrize(("estimator", "name"), EVERY_PARAMETER)
def test_the_type_of_a_parameter_has_the_names_that_the_table_accepts(estimator, name):
    rule = definition(estimator).parameters[name]
    accepted = literals(get_type_hints(CLASSES[estimator].__init__)[name])
    assert accepted >= set(rule.names)
    for one in accepted:
        assert not any(rule.check(name, [one] if name == "metrics" else one)), one
    refused = rule.check(name, ["nonsense"] if name == "metrics" else "nonsense")
    assert any(refused) == (name not in ("device", "model", "autoencoder"))


IMPLEMENTED = {
    "DecoderName": (*DECODERS, "dense"),
    "PoolingName": POOLINGS,
    "ActivationName": dense_modules.ACTIVATIONS,
    "CellActivationName": reference.ACTIVATIONS,
    "GateActivationName": reference.RECURRENT_ACTIVATIONS,
    "LossName": _losses.LOSSES,
    "LossAlias": _loss_parameter.ALIASES,
    "OptimizerName": OPTIMIZERS,
    "ScalingName": SCALINGS,
    "BackendName": BACKENDS,
    "ScoreKind": scores.SCORE_KINDS,
    "ThresholdKind": threshold_kinds.THRESHOLD_KINDS,
}


@pytest.mark.parametrize("literal", IMPLEMENTED)
def test_the_names_in_a_type_are_those_that_are_implemented(literal):
    assert set(names(getattr(_types, literal))) == set(IMPLEMENTED[literal])


def test_numpy_and_torch_implement_the_same_names():
    assert set(torch_losses.LOSSES) == set(_losses.LOSSES)
    assert set(dense_functions.ACTIVATIONS) == set(dense_modules.ACTIVATIONS)
