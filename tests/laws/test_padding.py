"""Padding changes nothing: its amount, its content, and how it is given."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tests.laws.strategies import (
    STEPS,
    Configuration,
    assert_same,
    configurations,
    data_of,
    examples,
    fit,
    fitted,
    futures_of,
    outputs,
)
from unspool import Sequences, runtime

JUNK = (np.nan, np.inf, -np.inf, 1e300, -1e-300, 0.0, 7.0)


def padded(X: Sequences, more: int, junk: float, order: str = "C") -> tuple[np.ndarray, np.ndarray]:
    """Values with `more` steps at their ends, and `junk` in all padding; lengths."""
    n, steps, features = X.shape
    values = np.full((n, steps + more, features), junk, X.values.dtype, order)
    real = np.arange(steps + more) < X.lengths[:, None]
    values[real] = X.values[real[:, :steps]]
    return values, X.lengths


sequences = configurations(forms=("sequences",), classifiers=True)
extra = st.integers(0, 5)
junk = st.sampled_from(JUNK)


@given(sequences, st.data(), extra, junk, st.sampled_from("CF"))
def test_padding_changes_no_output(configuration, data, more, junk, order):
    model, X = fitted(configuration), data.draw(examples(configuration))
    future = futures_of(configuration, len(X))
    other = Sequences(*padded(X, more, junk, order), missing=X.missing)
    assert_same(outputs(model, X, future), outputs(model, other, future))


@given(sequences, st.data(), extra, junk)
def test_lengths_given_to_the_runtime_are_the_lengths_of_sequences(configuration, data, more, junk):
    model = runtime.Model(fitted(configuration).contents())
    X = data.draw(examples(configuration))
    values, lengths = padded(X, more, junk)
    if configuration.classifier:
        np.testing.assert_array_equal(model.predict_proba(values, lengths), model.predict_proba(X))
        return
    np.testing.assert_array_equal(model.encode(values, lengths), model.encode(X))
    if configuration.horizon:
        future = futures_of(configuration, len(X))
        np.testing.assert_array_equal(
            model.forecast(values, lengths, future=future), model.forecast(X, future=future)
        )


@given(configurations(forms=("sequences",)), st.data())
def test_nan_at_the_end_is_padding_and_so_is_a_shorter_array_of_a_list(configuration, data):
    model, X = fitted(configuration), data.draw(examples(configuration))
    if configuration.masks or X.max_length == 0:  # a real step may be NaN in every feature
        X = data_of(Configuration("DenseAutoencoder", (), "sequences", X.n_features),
                    np.random.default_rng(len(X)), len(X), X.lengths)  # fmt: skip
    future = futures_of(configuration, len(X))
    expected = outputs(model, X, future)
    values, _ = padded(X, 0, np.nan)
    assert_same(expected, outputs(model, values, future))
    if X.lengths.all():
        assert_same(expected, outputs(model, [X[i] for i in range(len(X))], future))


@given(configurations(forms=("sequences",), classifiers=True), st.data(), extra, junk)
def test_padding_changes_no_weight_of_a_fit(configuration, data, more, junk):
    lengths = np.array(
        data.draw(st.lists(st.integers(1 + configuration.horizon, STEPS), min_size=6, max_size=6))
    )
    if configuration.parameters.get("normalization", "none") != "none" or "linear_steps" in dict(
        configuration.given
    ):
        lengths[:] = np.maximum(lengths, 2 + configuration.horizon)
    rng = np.random.default_rng(lengths)
    X = data_of(configuration, rng, len(lengths), lengths)
    other = Sequences(*padded(X, more, junk), missing=X.missing)
    first, second = (fit(configuration.make(), configuration, one) for one in (X, other))
    for name, weight in first.module_.state_dict().items():
        np.testing.assert_array_equal(second.module_.state_dict()[name], weight, name)
    assert repr(first.history_) == repr(second.history_)
