"""Models with a loss by feature have the outputs of PyTorch in ONNX and in Keras."""

import numpy as np
import pytest

from tests.interop.nets import predicted
from tests.interop.onnx_runs import assert_standard_and_all_of_it_used, exported, outputs
from tests.trained import ALL, BY_FEATURE, lstm
from unspool import AnomalyDetector, Sequences
from unspool.errors import InputError
from unspool.interop.keras import export_keras, from_keras

pytestmark = [
    pytest.mark.filterwarnings(f"ignore::unspool.errors.{name}Warning")
    for name in ("NoBetterThanMean", "Threshold")
]
BY_FEATURE_NAMES = [name for name in ALL if "loss by feature" in name]
NOT_IN_KERAS = ("previous, loss by feature", "forecaster, loss by feature")


def whole(X):
    """The data as an array of sequences of one length, or as it is."""
    if not isinstance(X, Sequences):
        return X
    return X.values[X.lengths == X.lengths.max()]


def expected_of(model, x):
    """The first output of the model."""
    if "reconstruction" in model.module_.decoders:
        return model.reconstruct(x)
    return model.forecast(x)


@pytest.mark.parametrize("name", BY_FEATURE_NAMES)
def test_onnx_computes_the_outputs_of_pytorch(name, tmp_path):
    model, x = ALL[name].fit(), whole(ALL[name].X)
    features = model.contents().facts.n_features
    x = x[:, : model.max_length_] if x.ndim == 3 else x
    given = x.reshape(len(x), -1, features).astype(np.float32)
    runs = exported(model, tmp_path)
    got = outputs(runs, given, np.full(len(x), given.shape[1]))
    name = "reconstruction" if "reconstruction" in got else "forecast"
    expected = expected_of(model, x)
    np.testing.assert_allclose(got[name].reshape(expected.shape), expected, rtol=1e-4, atol=1e-4)
    assert_standard_and_all_of_it_used(next(tmp_path.glob("*.onnx")))


@pytest.mark.parametrize("name", [name for name in BY_FEATURE_NAMES if name not in NOT_IN_KERAS])
def test_keras_computes_the_outputs_of_pytorch(name, tmp_path):
    keras = pytest.importorskip("keras")
    model, x = ALL[name].fit(), whole(ALL[name].X)
    export_keras(model, tmp_path / "m.keras")
    loaded = keras.models.load_model(tmp_path / "m.keras")
    inputs = [one.name for one in loaded.inputs]
    if "mask" in inputs:
        x = x[:, : loaded.inputs[0].shape[1]]
    of = {"x": x, "mask": np.ones(x.shape[:2], bool), "reversed": x[:, ::-1]}
    got = predicted(loaded, *(of[one] for one in inputs))
    got = got[0] if isinstance(got, list) else got
    np.testing.assert_allclose(got, expected_of(model, x), rtol=1e-4, atol=1e-4)
    if name != "loss by feature, images":
        with pytest.raises(InputError, match=r"load its model file|Softmax"):
            from_keras(tmp_path / "m.keras")


def test_a_detector_scores_in_onnx_as_in_pytorch(tmp_path):
    rng = np.random.default_rng(0)
    numbers = np.cumsum(rng.normal(size=(80, 2)), 0)
    classes = np.eye(3)[rng.integers(0, 3, 80)]
    series = np.concatenate([numbers, rng.uniform(size=(80, 1)), classes], 1)[:, [0, 3, 2, 4, 1, 5]]
    model = lstm(loss=BY_FEATURE, horizon=None)()
    detector = AnomalyDetector(model, window=9, random_state=0, verbose=0).fit(series)
    windows = np.lib.stride_tricks.sliding_window_view(series, 9, axis=0).swapaxes(1, 2)
    got = outputs(exported(detector, tmp_path), windows.astype(np.float32), [9] * len(windows))
    expected = detector.anomaly_scores(series, kind="trailing")[8:]
    np.testing.assert_allclose(got["trailing_score"], expected, rtol=1e-4)
