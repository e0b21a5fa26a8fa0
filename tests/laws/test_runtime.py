"""The runtime computes with NumPy what the estimator computes, up to rounding."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tests.laws.strategies import (
    STEPS,
    assert_close,
    configurations,
    data_of,
    examples,
    fitted,
    futures_of,
    outputs,
)
from unspool import runtime


def outputs_of_runtime(model, X, future):
    if model.classes is not None:
        return {"probabilities": model.predict_proba(X)}
    found = {"codes": model.encode(X)}
    if model.contents.model != "LSTMForecaster":
        found["reconstructions"] = model.reconstruct(X)
        for per in ("sequence", "step", ("step", "feature")):
            found[f"errors by {per}"] = model.reconstruction_error(X, per=per)
    if model.horizon:
        found["forecasts"] = model.forecast(X, future=future)
        if model.contents.parameters.get("quantiles"):
            found["quantiles"] = model.predict_quantiles(X, future=future)
    if "LSTM" in model.contents.model:
        found["features"] = model.features(X, scales=(1, 2))
    return found


@given(configurations(classifiers=True), st.data())
def test_the_runtime_agrees_with_the_estimator(configuration, data):
    model, X = fitted(configuration), data.draw(examples(configuration))
    future = futures_of(configuration, len(X))
    expected = outputs(model, X, future)
    got = outputs_of_runtime(runtime.Model(model.contents()), X, future)
    for name, values in expected.items():
        assert values.shape == got[name].shape, name
        assert_close(values, got[name], name, 1e-4 if "error" in name else 2e-5)


@given(
    configurations(
        ("LSTMAutoencoder", "LSTMForecaster"),
        forms=("sequences",),
        required=(("bidirectional", False),),
        excluded=("normalization", "missing", "conv_filters"),
    ),
    st.integers(0, 2**32 - 1),
    st.integers(1, 2 * STEPS),
)
def test_a_stream_computes_at_each_step_the_code_of_the_steps_so_far(configuration, seed, steps):
    if configuration.estimator == "LSTMForecaster":
        parameters = (*configuration.given, ("normalization", "none"))
        configuration = type(configuration)(
            configuration.estimator, parameters, configuration.form, configuration.n_features
        )
    model = runtime.Model(fitted(configuration).contents())
    rng = np.random.default_rng(seed)
    pieces = [data_of(configuration, rng, 1)[0] for _ in range(2)]
    series = np.concatenate(pieces)[:steps]
    future = futures_of(configuration, 1)
    stream = model.stream()
    for count, step in enumerate(series, 1):
        code = stream.push(step)
        assert_close(model.encode(series[None, :count])[0], code, f"code after {count} steps", 1e-4)
    decoder = configuration.parameters.get("decoder", "")
    forecasts = configuration.parameters.get("forecast_decoder") or decoder
    if configuration.horizon and "reversed_input" not in forecasts:
        ahead = None if future is None else future[0]
        expected = model.forecast(series[None], future=future)[0]
        assert_close(expected, stream.forecast(ahead), "forecast", 1e-4)
