"""Models of dilated windows and of windows between gaps: results stay at their steps."""

import numpy as np
import pytest

import unspool
from tests.estimators.quick import quick
from unspool import LSTMForecaster, Windows, runtime

pytestmark = pytest.mark.filterwarnings("ignore:The .* is no better than the mean sequence")
SERIES = np.sin(np.arange(200.0) / 9)[:, None] * [1, 2]
TIMES = np.arange(200.0)
TIMES[120:] += 50


@pytest.fixture(scope="module")
def windows():
    return Windows(SERIES, 8, 2, dilation=3, times=TIMES, max_gap=1)


def test_merged_results_are_averages_over_the_windows_that_contain_a_step(windows, tmp_path):
    model = quick(epochs=2).fit(windows)
    assert (model.window_, model.dilation_, model.max_gap_) == ((8, 2), 3, 1.0)
    each = model.reconstruct(windows)
    _, starts = windows.place(np.arange(len(windows)))
    for step in (0, 7, 90, 119, 120, 150):
        found = [
            one[(step - start) // 3]
            for one, start in zip(each, starts, strict=True)
            if step - start in range(0, 24, 3)
        ]
        (merged,) = model.reconstruct(windows, merge=True)
        expected = np.mean(found, axis=0) if found else np.full(2, np.nan)
        np.testing.assert_allclose(merged[step], expected, rtol=1e-6)
    model.save(tmp_path / "m.unspool")
    loaded = unspool.load(tmp_path / "m.unspool")
    assert (loaded.window_, loaded.dilation_, loaded.max_gap_) == ((8, 2), 3, 1.0)
    (errors,) = runtime.load(tmp_path / "m.unspool").reconstruction_error(
        windows, per="step", merge=True
    )
    (expected,) = model.reconstruction_error(windows, per="step", merge=True)
    np.testing.assert_allclose(errors, expected, rtol=1e-3, atol=1e-5)


def test_a_forecast_has_the_distance_of_the_steps_of_its_windows():
    given = {"epochs": 1, "random_state": 0, "verbose": 0, "validation_split": 0}
    model, by_hand = (LSTMForecaster(3, horizon=2, scaling="none", **given) for _ in range(2))
    model.fit(Windows(SERIES, 10, dilation=3))
    assert (model.window_, model.dilation_) == ((8, 1), 3)
    X = np.stack([SERIES[s : s + 24 : 3] for s in range(200 - 27)])
    y = np.stack([SERIES[s + 24 : s + 28 : 3] for s in range(200 - 27)])
    by_hand.fit(X, y)
    np.testing.assert_allclose(model.forecast(X[:5]), by_hand.forecast(X[:5]), rtol=1e-5)


def test_held_out_windows_share_no_step_with_training_windows(windows):
    earlier, later = windows.split(0.2)
    assert len(later)
    last = windows.ends_of(earlier).max()
    assert last <= windows.place(later)[1].min()
