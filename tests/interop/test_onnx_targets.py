"""Targets, features that are known ahead, and quantities of `y`, in ONNX files."""

import json

import numpy as np
import onnx
import pytest

from tests.interop.onnx_runs import assert_standard_and_all_of_it_used, session
from tests.trained import ALL, LONG, Case, forecaster
from unspool import Sequences
from unspool.interop.onnx import export_onnx

CASES = [name for name in ALL if any(word in name for word in ("targets", "known", "quantit"))]


def given(case, model):
    """Return what the estimator reads, values (N, T, F) with NaN in the padding, and lengths."""
    X = model._without_future(case.X) if model.horizon_ else case.X
    if not isinstance(X, Sequences):
        values = X.reshape(len(X), -1, model.contents().facts.n_features)
        return X, values, np.full(len(X), values.shape[1])
    values = X.values.copy()
    values[np.arange(values.shape[1]) >= X.lengths[:, None]] = np.nan
    return X, values, X.lengths


def close(expected, got, scaler):
    expected, got = (np.asarray(one).reshape(-1, len(scaler.scale)) for one in (expected, got))
    real = ~np.isnan(expected)
    scaled = [((one - scaler.shift) / scaler.scale)[real] for one in (expected, got)]
    np.testing.assert_allclose(*scaled, rtol=2e-5, atol=2e-5)
    assert scaled[0].std() > 1e-3


@pytest.mark.parametrize("name", CASES)
def test_onnx_runtime_computes_the_outputs_of_the_estimator(name, tmp_path):
    case = ALL[name]
    model, future = case.fit(), case.future
    X, values, lengths = given(case, model)
    export_onnx(model, tmp_path / "model.onnx")
    assert_standard_and_all_of_it_used(tmp_path / "model.onnx")
    runs = session(tmp_path / "model.onnx")
    feed = {"x": np.float32(values), "lengths": np.asarray(lengths, np.int64)}
    if future is not None:
        feed["future"] = np.float32(future)
    names = [one.name for one in runs.get_outputs()]
    got = dict(zip(names, runs.run(names, feed), strict=True))
    scaler = model.target_scaler_
    if "reconstruction" in got:
        close(model.reconstruct(X), got["reconstruction"], scaler)
    if "forecast" in got:
        close(model.forecast(X, future), got["forecast"], scaler)
    if "quantiles" in got:
        expected = model.predict_quantiles(X, future)
        close(expected.swapaxes(2, 3), got["quantiles"].swapaxes(2, 3), scaler)


def test_the_metadata_name_targets_and_known_features(tmp_path):
    X = Sequences(LONG.values, LONG.lengths, ("a", "b", "c"))
    model = Case(forecaster(targets=("c", "a"), known=("b",)), X).train()
    export_onnx(model, tmp_path / "model.onnx")
    entries = {one.key: one.value for one in onnx.load(tmp_path / "model.onnx").metadata_props}
    assert json.loads(entries["target_names"]) == ["c", "a"]
    assert json.loads(entries["known_names"]) == ["b"]
