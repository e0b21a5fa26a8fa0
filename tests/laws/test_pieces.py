"""Encoding in pieces equals encoding the whole, to the bit."""

import itertools

import numpy as np
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
from unspool import runtime


def joined(pieces):
    """Rows of all pieces; steps that a piece does not have are NaN."""
    widest = max(one.shape[1] if one.ndim > 1 else 0 for one in pieces)
    rows = [
        np.pad(
            one.astype(np.float64),
            [(0, 0), (0, widest - one.shape[1]), *[(0, 0)] * (one.ndim - 2)],
            constant_values=np.nan,
        ).astype(one.dtype)
        if one.ndim > 1
        else one
        for one in pieces
    ]
    return np.concatenate(rows)


def edges_of(n, seed):
    """Return the edges of up to four pieces of `n` sequences."""
    return sorted({0, n, *np.random.default_rng(seed).integers(0, n + 1, 3)})


def of_pieces(compute, X, future, edges):
    pieces = []
    for start, stop in itertools.pairwise(edges):
        part = None if future is None else future[start:stop]
        pieces.append(compute(X[start:stop], part))
    return {name: joined([one[name] for one in pieces]) for name in pieces[0]}


@given(configurations(classifiers=True), st.data())
def test_sequences_in_pieces_have_the_outputs_of_all_together(configuration, data):
    model, X = fitted(configuration), data.draw(examples(configuration))
    future = futures_of(configuration, len(X))
    edges = edges_of(len(X), data.draw(seeds))
    expected = outputs(model, X, future)
    got = of_pieces(lambda *part: outputs(model, *part), X, future, edges)
    exact = configuration.exact and "Conv" not in configuration.estimator
    assert_same(expected, got, exact=exact)


@given(configurations(excluded=("horizon", "known"), classifiers=True), st.data())
def test_the_runtime_encodes_in_pieces_what_it_encodes_together(configuration, data):
    model = runtime.Model(fitted(configuration).contents())
    X = data.draw(examples(configuration))
    edges = edges_of(len(X), data.draw(seeds))
    expected = {"codes": model.encode(X)}
    got = of_pieces(lambda part, _: {"codes": model.encode(part)}, X, None, edges)
    assert_same(expected, got, exact=False)
