"""The units of the data change nothing: codes are those of the scaled values."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tests.laws.strategies import (
    STEPS,
    assert_close,
    configurations,
    data_of,
    fit,
    futures_of,
    outputs,
)
from unspool import Sequences

NOT_IN_UNITS = ("scaling", "loss", "n_kernels", "known")
scalings = st.sampled_from(("standard", "minmax", "robust"))
SCALED = (
    "codes",
    "features",
    "errors by sequence",
    "errors by step",
    "errors by ('step', 'feature')",
)
IN_UNITS = ("reconstructions", "forecasts")


def changed(X, factor, offset=0.0):
    """The data in other units, which differ between features."""
    if isinstance(X, Sequences):
        return Sequences(X.values * factor + offset, X.lengths, missing=X.missing)
    return X * factor + offset


def per_feature(draw, configuration, elements):
    return np.array([draw(elements) for _ in range(configuration.n_features)])


def drawn(data, configuration):
    lengths = np.array([STEPS, STEPS, 4, 6, 5, 3])
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    return data_of(configuration, rng, len(lengths), lengths)


@given(configurations(excluded=NOT_IN_UNITS), scalings, st.data())
def test_powers_of_two_as_units_change_no_bit_of_a_model(configuration, scaling, data):
    X = drawn(data, configuration)
    powers = st.integers(-12, 12).map(lambda power: 2.0**power)
    factor = per_feature(data.draw, configuration, powers)
    models = [
        fit(configuration.make(scaling=scaling), configuration, one)
        for one in (X, changed(X, factor))
    ]
    first, second = (one.module_.state_dict() for one in models)
    for name, weight in first.items():
        np.testing.assert_array_equal(second[name], weight, name)
    found = [
        outputs(model, one) for model, one in zip(models, (X, changed(X, factor)), strict=True)
    ]
    for name in set(found[0]) & set(SCALED):
        np.testing.assert_array_equal(found[1][name], found[0][name], name)
    targets = list(configuration.parameters.get("targets") or range(configuration.n_features))
    for name in set(found[0]) & set(IN_UNITS):
        one, other = found[0][name], found[1][name]
        units = factor[targets]
        if configuration.form == "table" or (name == "forecasts" and one.ndim == 2):
            units = units[0]
        np.testing.assert_array_equal(other, one * units, name)


@given(configurations(excluded=NOT_IN_UNITS), scalings, st.data())
def test_other_units_change_outputs_by_rounding_only(configuration, scaling, data):
    X = drawn(data, configuration)
    factor = per_feature(data.draw, configuration, st.floats(1e-3, 1e3))
    offset = per_feature(data.draw, configuration, st.floats(-10, 10)) * factor
    model = fit(configuration.make(scaling=scaling), configuration, X)
    other = fit(configuration.make(scaling=scaling), configuration, changed(X, factor, offset))
    other.module_.load_state_dict(model.module_.state_dict())
    future = futures_of(configuration, len(X))
    first = outputs(model, X, future)
    second = outputs(other, changed(X, factor, offset), future)
    for name in set(first) & set(SCALED):
        assert_close(first[name], second[name], name, 1e-3 if "errors" in name else 1e-4)
