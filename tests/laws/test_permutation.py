"""A permutation of the sequences permutes every output, and does not change a gradient."""

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.laws.strategies import (
    assert_same,
    configurations,
    examples,
    fitted,
    futures_of,
    outputs,
    seeds,
)
from unspool.training.batches import Batches

AUTOENCODERS = ("LSTMAutoencoder", "DenseAutoencoder", "StackedAutoencoder", "ConvAutoencoder")


@given(configurations(classifiers=True), st.data())
def test_outputs_are_permuted_like_the_sequences(configuration, data):
    model, X = fitted(configuration), data.draw(examples(configuration))
    future = futures_of(configuration, len(X))
    order = np.random.default_rng(data.draw(seeds)).permutation(len(X))
    expected = {name: one[order] for name, one in outputs(model, X, future).items()}
    got = outputs(model, X[order], None if future is None else future[order])
    assert_same(expected, got, exact=configuration.exact)


@given(configurations(AUTOENCODERS, excluded=("horizon", "known", "code_dropout")), st.data())
def test_the_gradient_of_the_loss_does_not_depend_on_the_order(configuration, data):
    model, X = fitted(configuration), data.draw(examples(configuration))
    order = np.random.default_rng(data.draw(seeds)).permutation(len(X))
    source = model._read(X)
    gradients = []
    for indices in (np.arange(len(X)), order):
        (batch,) = Batches(source, model.scaler_, indices, len(X), torch.device("cpu"))
        terms = model._objective(torch.Generator())(batch)
        loss = sum(one.weight * one.total / max(one.size, 1) for one in terms.values())
        weights = [one for one in model.module_.parameters() if one.requires_grad]
        if not loss.requires_grad:
            return
        found = torch.autograd.grad(loss, weights, allow_unused=True)
        gradients.append([np.zeros(1) if one is None else one.numpy() for one in found])
    largest = max((float(np.abs(one).max(initial=0)) for one in gradients[0]), default=0)
    for first, second in zip(*gradients, strict=True):
        np.testing.assert_allclose(second, first, rtol=1e-4, atol=1e-5 * max(largest, 1e-3))
