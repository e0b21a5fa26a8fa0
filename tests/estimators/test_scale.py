"""The size of features, and what they do after training, in what models score and give."""

import numpy as np
import pytest

from tests.estimators.quick import quick, sines
from unspool import DenseAutoencoder, LSTMForecaster, Windows, load, runtime
from unspool.errors import InputError

pytestmark = pytest.mark.filterwarnings("ignore::unspool.errors.NoBetterThanMeanWarning")


def dense(**parameters):
    given = {"learning_rate": 0.01, "batch_size": 10, "random_state": 0, "verbose": 0}
    return DenseAutoencoder(6, code_activation="linear", **given, **parameters)


@pytest.mark.parametrize("scaling", ["standard", "minmax"])
@pytest.mark.parametrize(("offset", "amplitude"), [(1e9, 1e-3), (0, 1e300), (0, 1e-300)])
def test_the_score_does_not_depend_on_the_size_of_the_values(offset, amplitude, scaling):
    X = sines()
    scaled = offset + amplitude * X
    model = dense(epochs=20, scaling=scaling)
    plain = dense(epochs=20, scaling=scaling).fit(X)
    model.fit(scaled)
    assert plain.score(X) > 0.5
    assert model.score(scaled) == pytest.approx(plain.score(X), abs=0.01)
    errors = model.reconstruction_error(scaled)
    np.testing.assert_allclose(errors, plain.reconstruction_error(X), rtol=0.1, atol=1e-3)
    again = (model.reconstruct(scaled) - offset) / amplitude
    np.testing.assert_allclose(again, plain.reconstruct(X), atol=0.1)


def test_the_same_score_for_a_forecast_and_in_windows():
    series = np.sin(np.arange(400) / 5)
    model = LSTMForecaster(8, epochs=15, learning_rate=0.01, random_state=0, verbose=0)
    scores = [
        model.fit(Windows(x, 20, 3)).score(Windows(x, 20, 3)) for x in (series, 1e9 + 1e-3 * series)
    ]
    assert scores[0] > 0.9
    assert scores[1] == pytest.approx(scores[0], abs=0.01)


NEARLY = {
    "constant": lambda rng, x: x,
    "rounded in float64": lambda rng, x: x * (1 + 4e-16 * rng.integers(-2, 3, x.shape)),
    "rounded in float32": lambda rng, x: (
        x.astype(np.float32)
        + np.spacing(x.astype(np.float32)) * rng.integers(0, 2, x.shape).astype(np.float32)
    ),
}


@pytest.mark.parametrize("nearly", NEARLY)
@pytest.mark.parametrize("size", [5.0, 1e9, -1e-6])
@pytest.mark.parametrize("scaling", ["standard", "minmax"])
def test_a_constant_sensor_that_moves_is_seen_and_no_more(scaling, size, nearly, tmp_path):
    X = sines(features=2)
    sensor = NEARLY[nearly](np.random.default_rng(0), np.full((*X.shape[:2], 1), size))
    X = np.concatenate([X.astype(sensor.dtype), sensor], 2)
    model = quick(epochs=3, scaling=scaling).fit(X)
    assert -1 < model.score(X) < 1
    moved = X.copy()
    moved[:, :, 2] *= 1.5
    before, after = model.reconstruction_error(X), model.reconstruction_error(moved)
    assert (after > 5 * before).all()
    assert (after < 30).all()  # 5² over 3 features
    model.save(tmp_path / "model")
    for one in (load(tmp_path / "model"), runtime.load(tmp_path / "model")):
        np.testing.assert_allclose(one.reconstruction_error(moved), after, rtol=1e-4)


@pytest.mark.parametrize("dtype", [np.bool_, np.uint8, np.int16, np.int64, np.float16, np.float32])
@pytest.mark.parametrize("scaling", ["standard", "minmax", "none"])
def test_windows_of_every_dtype(dtype, scaling):
    series = (np.sin(np.arange(300) / 5) * 1.4 + 1.5).astype(dtype)
    windows = [Windows(one, 12, 2) for one in (series, series.astype(np.float64))]
    codes = [quick(epochs=2, scaling=scaling).fit(one).transform(one) for one in windows]
    np.testing.assert_allclose(*codes, atol=1e-5)


def test_float32_cannot_be_encoded_where_float64_was_needed():
    X = 1e9 + 1e-3 * sines()
    model = dense(epochs=2).fit(X)
    with pytest.raises(InputError, match=r"^Expected float64, got float32, whose resolution near"):
        model.transform(X.astype(np.float32))
