"""What is missing changes nothing: values under a mask, bits of NaN, sequences of weight 0."""

import numpy as np
import torch
from hypothesis import assume, given
from hypothesis import strategies as st

from tests.laws.strategies import (
    STEPS,
    assert_close,
    assert_same,
    configurations,
    data_of,
    examples,
    fit,
    fitted,
    futures_of,
    outputs,
)
from unspool import Sequences

masked = configurations(required=(("missing", "mask"),), classifiers=True)
PAYLOADS = (
    0x7FF8000000000000,
    0xFFF8000000000000,
    0x7FF8DEADBEEF0001,
    0x7FF00000000007A2,
)  # the last is R's NA


def array_of(X):
    return X.values if isinstance(X, Sequences) else X


def in_the_form_of(X, values):
    return Sequences(values, X.lengths, missing="mask") if isinstance(X, Sequences) else values


@given(masked, st.data(), st.sampled_from((0.0, -9999.0, np.inf, np.nan, 1e308)))
def test_values_under_a_mask_change_nothing(configuration, data, under):
    model, X = fitted(configuration), data.draw(examples(configuration))
    future, values = futures_of(configuration, len(X)), array_of(X)
    hidden = np.isnan(values)
    given_values = np.ma.MaskedArray(np.where(hidden, under, values), hidden)
    got = outputs(model, in_the_form_of(X, given_values), future)
    assert_same(outputs(model, X, future), got)


@given(masked, st.data(), st.sampled_from(PAYLOADS))
def test_the_bits_of_nan_change_nothing(configuration, data, bits):
    model, X = fitted(configuration), data.draw(examples(configuration))
    future, values = futures_of(configuration, len(X)), array_of(X).copy()
    values.view(np.uint64)[np.isnan(values)] = bits
    assert_same(outputs(model, X, future), outputs(model, in_the_form_of(X, values), future))


@given(masked, st.sampled_from(PAYLOADS))
def test_the_bits_of_nan_change_no_weight_of_a_fit(configuration, bits):
    X = data_of(configuration, np.random.default_rng(1), 6)
    values = array_of(X).copy()
    values.view(np.uint64)[np.isnan(values)] = bits
    models = [
        fit(configuration.make(), configuration, one) for one in (X, in_the_form_of(X, values))
    ]
    first, second = (one.module_.state_dict() for one in models)
    for name, weight in first.items():
        np.testing.assert_array_equal(second[name], weight, name)


@given(
    configurations(
        ("LSTMAutoencoder", "DenseAutoencoder", "StackedAutoencoder", "ConvAutoencoder"),
        forms=("sequences",),
        required=(("missing", "mask"),),
        excluded=("horizon", "known"),
    ),
    st.data(),
)
def test_errors_are_missing_where_values_are(configuration, data):
    model, X = fitted(configuration), data.draw(examples(configuration))
    targets = list(configuration.parameters.get("targets") or range(configuration.n_features))
    steps = X.max_length
    values = X.values[:, :steps, targets]
    known = ~np.isnan(values) & (np.arange(steps)[:, None] < X.lengths[:, None, None])
    errors = model.reconstruction_error(X, per=("step", "feature"))
    np.testing.assert_array_equal(np.isfinite(errors), known)
    by_step = model.reconstruction_error(X, per="step")
    some = known.any(axis=-1)
    means = np.nansum(errors, axis=-1)[some] / known.sum(axis=-1)[some]
    assert_close(means, by_step[some], "errors of steps")
    assert np.isnan(by_step[~some]).all()


@given(configurations(excluded=("scaling", "loss")), st.data())
def test_a_sequence_of_weight_0_is_left_out_of_a_fit(configuration, data):
    n = 7
    weights = np.array(data.draw(st.lists(st.sampled_from((0, 0.5, 1, 3)), min_size=n, max_size=n)))
    assume((weights > 0).sum() > 2)
    kept = weights > 0
    lengths = np.full(n, STEPS)
    X = data_of(configuration, np.random.default_rng(data.draw(st.integers(0, 999))), n, lengths)
    first = fit(configuration.make(), configuration, X, sample_weight=weights)
    second = fit(configuration.make(), configuration, X[kept], sample_weight=weights[kept])
    other = second.module_.state_dict()
    for name, weight in first.module_.state_dict().items():
        torch.testing.assert_close(other[name], weight, rtol=0, atol=0, equal_nan=True, msg=name)


@given(configurations(excluded=("scaling", "loss")), st.data())
def test_only_the_ratios_of_weights_matter(configuration, data):
    n, factor = 6, data.draw(st.sampled_from((0.25, 2.0, 1024.0)))
    weights = np.array(data.draw(st.lists(st.sampled_from((1, 2, 4)), min_size=n, max_size=n)))
    X = data_of(configuration, np.random.default_rng(data.draw(st.integers(0, 999))), n)
    first = fit(configuration.make(), configuration, X, sample_weight=weights)
    second = fit(configuration.make(), configuration, X, sample_weight=weights * factor)
    for name, weight in first.module_.state_dict().items():
        np.testing.assert_array_equal(second.module_.state_dict()[name], weight, name)
