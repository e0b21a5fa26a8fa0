"""Architectures as people write them are imported with equal outputs, or refused by a layer's name.

`public_architectures` has the models.
"""

import re

import numpy as np
import pytest
import torch

from tests.interop.nets import near, predicted
from tests.interop.public_architectures import ARCHITECTURES, inputs_of, with_statistics
from unspool.errors import InputError
from unspool.interop.keras import from_keras
from unspool.nn.decoder import TeacherForcing

pytestmark = [
    pytest.mark.cpu,
    pytest.mark.filterwarnings("ignore::unspool.errors.NoBetterThanMeanWarning"),
]
IMPORTED = [name for name, one in ARCHITECTURES.items() if not one.refused]


def outputs(model, compares, x):
    """Return what an imported model computes, in the shape of the Keras model's output."""
    if compares == "composite":
        return model.reconstruct(x[0]), model.forecast(x[0])
    if compares == "teacher_forcing":
        return decoded_from(model, *x)
    if compares == "prefixes":
        return np.stack([model.predict(x[0][:, : 1 + t]) for t in range(x[0].shape[1])], 1)
    if compares == "classify":
        return model.predict_proba(x[0])
    return getattr(model, compares)(x[0])


def decoded_from(model, x, previous):
    """Return a decoder's steps, if it reads the given previous steps instead of its own."""
    module = model.module_
    decoder = module.decoders["reconstruction"]
    code, target = module.encoder(torch.tensor(x)), torch.tensor(previous)[:, 1:]
    with torch.inference_mode():
        return decoder(code, x.shape[1], teacher=TeacherForcing(target))


@pytest.mark.parametrize("name", IMPORTED)
def test_a_file_of_a_public_architecture_is_imported_with_equal_outputs(name, tmp_path):
    case = ARCHITECTURES[name]
    theirs = with_statistics(case.build())
    x = inputs_of(theirs)
    if case.compares == "teacher_forcing":
        x[1][:, 0] = 0  # unspool's decoders begin with zeros
    theirs.save(tmp_path / "model.keras")
    model = from_keras(tmp_path / "model.keras", **case.options)
    ours = outputs(model, case.compares, x)
    expected = predicted(theirs, *x)
    if case.compares != "composite":
        ours, expected = [ours], [expected]
    for got, wanted in zip(ours, expected, strict=True):
        near(np.asarray(got).reshape(wanted.shape), wanted)


@pytest.mark.parametrize("name", ARCHITECTURES.keys() - IMPORTED)
def test_another_public_architecture_is_refused_with_the_name_of_a_layer(name):
    case = ARCHITECTURES[name]
    with pytest.raises(
        InputError, match=rf"^\S*{re.escape(case.refused)} '\w+' (cannot|is called)"
    ):
        from_keras(case.build(), **case.options)


def test_most_of_fifty_public_architectures_are_imported():
    assert len(ARCHITECTURES) == 50
    assert len(IMPORTED) >= 43
