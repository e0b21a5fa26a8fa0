"""Saving and loading is the identity: of files, of pickles and of copies."""

import copy
import json
import pickle

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

import unspool
from tests.laws.strategies import (
    assert_same,
    configurations,
    examples,
    fitted,
    futures_of,
    outputs,
)


def through_a_file(model, folder):
    model.save(folder / "a.unspool")
    loaded = unspool.load(folder / "a.unspool")
    loaded.save(folder / "b.unspool")
    assert (folder / "a.unspool").read_bytes() == (folder / "b.unspool").read_bytes()
    return loaded


def as_json(values):
    """Text of plain values, in which a tuple is a list."""
    return json.dumps(values, sort_keys=True)


WAYS = {
    "file": through_a_file,
    "pickle": lambda model, folder: pickle.loads(pickle.dumps(model)),
    "pickle of the file": lambda model, folder: pickle.loads(
        pickle.dumps(through_a_file(model, folder))
    ),
    "deep copy": lambda model, folder: copy.deepcopy(model),
}


@given(configurations(classifiers=True), st.data(), st.sampled_from(sorted(WAYS)))
def test_a_copy_has_the_same_parameters_weights_and_outputs(folder, configuration, data, way):
    model, X = fitted(configuration), data.draw(examples(configuration))
    future = futures_of(configuration, len(X))
    other = WAYS[way](model, folder)
    assert type(other) is type(model)
    first, second = (one.contents() for one in (model, other))
    assert as_json(first.parameters) == as_json(second.parameters)
    assert as_json(first.fitted) == as_json(second.fitted)
    assert first.tensors.keys() == second.tensors.keys()
    for name, tensor in first.tensors.items():
        np.testing.assert_array_equal(second.tensors[name], tensor, name)
        assert second.tensors[name].dtype == tensor.dtype
    assert_same(outputs(model, X, future), outputs(other, X, future))
