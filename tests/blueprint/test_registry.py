"""One list of estimators, from which all others are made."""

import inspect
import subprocess
import sys

import pytest

import unspool
from unspool._registry import CLASSIFIER, DETECTOR, ESTIMATORS, MODELS, class_of
from unspool.blueprint import definition
from unspool.cli.fit import Kind
from unspool.errors import InputError
from unspool.estimators.base import Model


@pytest.mark.parametrize("name", ESTIMATORS)
def test_an_entry_names_the_public_class_and_its_definition(name):
    entry = ESTIMATORS[name]
    assert entry.name == name == entry.load().__name__
    assert entry.load() is getattr(unspool, name)
    assert entry.load().__module__ == entry.module
    assert set(inspect.signature(entry.load()).parameters) == set(definition(name).parameters)


def test_all_estimators_of_the_package_have_an_entry():
    classes = [getattr(unspool, name) for name in unspool.__all__ if name[0].isupper()]
    assert {one.__name__ for one in classes if hasattr(one, "get_params")} == set(ESTIMATORS)


def test_models_are_the_estimators_that_train_an_encoder():
    assert {name for name, one in ESTIMATORS.items() if issubclass(one.load(), Model)} == {*MODELS}
    assert {*ESTIMATORS} - {*MODELS} == {CLASSIFIER.name, DETECTOR.name}


def test_the_command_fit_has_a_word_for_every_model():
    assert [kind.value for kind in Kind] == [model.kind for model in MODELS.values()]
    assert all(model.kind for model in MODELS.values())


def test_an_unknown_class_is_refused_with_the_known_ones():
    with pytest.raises(InputError, match="did you mean 'DenseAutoencoder'"):
        class_of("DenseAutoencodr", MODELS)


def test_the_registry_needs_neither_numpy_nor_torch():
    code = "import sys, unspool._registry; print({'numpy', 'torch'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
