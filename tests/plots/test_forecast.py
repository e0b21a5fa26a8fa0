import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.colors import to_rgb
from sklearn.base import BaseEstimator
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError

from unspool.data.convert import as_sequences
from unspool.data.windows import Windows
from unspool.errors import InputError
from unspool.plots import ForecastByStepDisplay, ForecastDisplay


class SumSoFar(BaseEstimator):
    """Forecasts the sum of a sequence plus k for step k, and stores the lengths it read."""

    def __init__(self, horizon=1, axes=3):
        self.horizon, self.axes = horizon, axes

    def fit(self, X=None):
        self.lengths_ = []
        return self

    def forecast(self, X):
        source = as_sequences(X)
        values, lengths = source.take(range(len(source)))  # padding is zero
        self.lengths_.append(lengths.tolist())
        sums = values.sum(axis=1)[:, None] + np.arange(self.horizon)[:, None]
        if self.axes == 1:
            return sums[:, 0, 0]
        if self.axes == 2:
            return sums[:, 0] if source.n_features > 1 else sums[:, :, 0]
        return sums


def error_of(call, *args, **kwargs):
    with pytest.raises(InputError) as caught:
        call(*args, **kwargs)
    assert plt.get_fignums() == []
    return str(caught.value)


def labels_of(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


TRUTH = np.sin(np.arange(30) / 4)


def test_truth_is_blue_the_first_prediction_red_the_second_dashed_green():
    ax = ForecastDisplay(TRUTH, {"unspool": TRUTH + 0.5, "NumPy": TRUTH - 1}).plot().ax_
    truth, first, second = ax.get_lines()
    for line, values in ((truth, TRUTH), (first, TRUTH + 0.5), (second, TRUTH - 1)):
        np.testing.assert_array_equal(line.get_ydata(), values)
        np.testing.assert_array_equal(line.get_xdata(), np.arange(30))
    assert [np.argmax(to_rgb(line.get_color())) for line in (truth, first, second)] == [2, 0, 1]
    assert first.get_linestyle() == "-"
    assert second.is_dashed()
    assert labels_of(ax) == ["truth", "unspool · MSE 0.25", "NumPy · MSE 1"]


def test_any_number_of_predictions_can_be_distinguished():
    display = ForecastDisplay(TRUTH, {str(i): TRUTH + i for i in range(9)}).plot()
    looks = {(line.get_color(), str(line.get_linestyle())) for line in display.ax_.get_lines()}
    assert len(looks) == 10
    assert display.errors == pytest.approx({str(i): i * i for i in range(9)})
    display.figure_.canvas.draw()
    legend = display.ax_.get_legend().get_window_extent()
    assert display.figure_.bbox.x0 <= legend.x0
    assert legend.y0 >= display.ax_.get_window_extent().y1


def test_a_single_window_is_visible_points():
    ax = ForecastDisplay([1.0], {"a": [2.0]}).plot().ax_
    assert [line.get_marker() for line in ax.get_lines()] == ["o", "o"]
    ax = ForecastByStepDisplay([1.0], [[2.0]]).plot().ax_
    assert [line.get_marker() for line in ax.get_lines()] == ["o", "o"]


@pytest.mark.parametrize("axes", [1, 2, 3])
def test_from_estimator_draws_the_forecast_of_every_window_over_its_truth(axes):
    windows = Windows(np.arange(9.0), 4)
    y = np.arange(6.0)
    display = ForecastDisplay.from_estimator(SumSoFar(axes=axes).fit(), windows, y)
    truth, forecast = display.ax_.get_lines()
    np.testing.assert_array_equal(truth.get_ydata(), y)
    np.testing.assert_array_equal(forecast.get_ydata(), np.arange(6) * 4 + 6)
    error = np.mean((np.arange(6) * 3 + 6) ** 2)
    assert labels_of(display.ax_) == ["truth", f"SumSoFar · MSE {error:.3g}"]


def test_a_step_of_the_horizon_and_a_feature_are_chosen():
    X = np.random.default_rng(0).normal(size=(5, 4, 2))
    y = np.random.default_rng(1).normal(size=(5, 3, 2))
    display = ForecastDisplay.from_estimator(
        SumSoFar(3).fit(), X, y, ahead=3, feature=1, name="sums", truth_kw={"color": "black"}
    )
    np.testing.assert_array_equal(display.truth, y[:, 2, 1])
    np.testing.assert_allclose(display.predictions["sums"], X[:, :, 1].sum(1) + 2)
    assert display.ax_.get_lines()[0].get_color() == "black"


def test_a_single_step_of_several_features_may_be_a_table():
    X, y = np.ones((5, 4, 2)), np.random.default_rng(1).normal(size=(5, 2))
    display = ForecastDisplay.from_estimator(SumSoFar(axes=2).fit(), X, y, feature=1)
    np.testing.assert_array_equal(display.truth, y[:, 1])


def test_every_step_has_a_line_from_light_blue_to_purple_over_a_red_truth():
    by_step = TRUTH * np.linspace(0.2, 1, 5)[:, None]
    display = ForecastByStepDisplay(TRUTH, by_step).plot()
    truth, *steps = display.ax_.get_lines()
    np.testing.assert_array_equal(truth.get_ydata(), TRUTH)
    assert np.argmax(to_rgb(truth.get_color())) == 0
    for line, values in zip(steps, by_step, strict=True):
        np.testing.assert_array_equal(line.get_ydata(), values)
    assert to_rgb(steps[0].get_color()) == pytest.approx((0, 1, 1))
    assert to_rgb(steps[-1].get_color()) == pytest.approx((1, 0, 1))
    red = [to_rgb(line.get_color())[0] for line in steps]
    assert red == sorted(set(red))
    assert labels_of(display.ax_) == ["truth", "t = 1", "t = 2", "t = 3", "t = 4", "t = 5"]
    assert len(display.figure_.axes) == 1
    np.testing.assert_allclose(display.errors, np.mean((by_step - TRUTH) ** 2, axis=1))


def test_many_steps_have_a_colour_bar_that_counts_from_one():
    display = ForecastByStepDisplay(TRUTH, np.tile(TRUTH, (11, 1))).plot()
    assert labels_of(display.ax_) == ["truth"]
    _, bar = display.figure_.axes
    assert bar.get_ylabel() == "t (number of steps read)"
    assert bar.get_ylim() == (0.5, 11.5)
    display.figure_.draw_without_rendering()
    legend = display.ax_.get_legend().get_window_extent()
    assert legend.y0 >= display.ax_.get_window_extent().y1  # above the data


@pytest.mark.parametrize("axes", [1, 2, 3])
def test_from_estimator_forecasts_after_every_step_read(axes):
    X = np.random.default_rng(0).normal(size=(6, 4))
    X[2, 3:] = np.nan  # a sequence of three steps
    y = np.arange(6.0)
    model = SumSoFar(axes=axes).fit()
    display = ForecastByStepDisplay.from_estimator(model, X, y, linewidth=7)
    assert model.lengths_ == [[t, t, min(t, 3), t, t, t] for t in (1, 2, 3, 4)]
    np.testing.assert_allclose(display.by_step, np.nan_to_num(X).cumsum(axis=1).T)
    np.testing.assert_array_equal(display.truth, y)
    assert [line.get_linewidth() for line in display.ax_.get_lines()[1:]] == [7] * 4


def test_the_first_step_of_a_longer_horizon_is_shown():
    X, y = np.ones((5, 4, 2)), np.random.default_rng(1).normal(size=(5, 3, 2))
    display = ForecastByStepDisplay.from_estimator(SumSoFar(3).fit(), X, y, feature=1)
    np.testing.assert_array_equal(display.truth, y[:, 0, 1])
    np.testing.assert_array_equal(display.by_step, np.tile([[1], [2], [3], [4]], 5))


@pytest.mark.parametrize(
    "display",
    [ForecastDisplay(TRUTH, {"a": TRUTH}), ForecastByStepDisplay(TRUTH, np.tile(TRUTH, (12, 1)))],
)
def test_drawing_onto_given_axes_opens_no_figure(display):
    figure, ax = plt.subplots()
    display.plot(ax)
    assert display.ax_ is ax
    assert display.figure_ is figure
    assert plt.get_fignums() == [figure.number]


@pytest.mark.parametrize(
    ("call", "arguments", "message"),
    [
        (
            ForecastDisplay, ([[1.0]], {"a": [1.0]}),
            "Expected the truth of shape (N,), got shape (1, 1).",
        ),
        (ForecastDisplay, ([], {"a": []}), "Expected the truth of shape (N,), got shape (0,)."),
        (
            ForecastDisplay, ([1.0, np.nan], {"a": [1.0, 1.0]}),
            "Expected finite numbers in the truth, got nan at (1,).",
        ),
        (
            ForecastDisplay, ([1.0], {}),
            "Expected at least one forecast in `predictions`, got none.",
        ),
        (
            ForecastDisplay, ([1.0, 2.0], {"a": [1.0]}),
            "Expected 2 values in the prediction 'a', as in the truth, got 1.",
        ),
        (
            ForecastByStepDisplay, ([1.0], [1.0]),
            "Expected `by_step` of shape (T, N), got shape (1,).",
        ),
        (
            ForecastByStepDisplay, ([1.0], [[1.0, 2.0]]),
            "Expected 1 values in each row of `by_step`, as in the truth, got 2.",
        ),
    ],
)  # fmt: skip
def test_arguments_that_do_not_match_are_refused(call, arguments, message):
    assert error_of(call, *arguments) == message


X, Y = np.ones((5, 4)), np.ones(5)


@pytest.mark.parametrize(
    ("call", "y", "options", "message"),
    [
        (
            ForecastDisplay.from_estimator, np.ones(4), {},
            "Expected `y` and the forecast of the same shape (N, K, F), got (4, 1, 1) and "
            "(5, 1, 1).",
        ),
        (
            ForecastDisplay.from_estimator, np.ones((5, 1, 2)), {},
            "Expected y of shape (N, K, F) with F = 1, or of fewer axes if K or F is 1, got shape "
            "(5, 1, 2).",
        ),
        (
            ForecastDisplay.from_estimator, Y, {"ahead": 0},
            "`ahead` must be a whole number of at least 1, got 0.",
        ),
        (
            ForecastDisplay.from_estimator, Y, {"ahead": 2},
            "Expected `ahead` up to 1 and `feature` below 1, as in `y`, got 2 and 0.",
        ),
        (
            ForecastDisplay.from_estimator, Y, {"feature": 1},
            "Expected `ahead` up to 1 and `feature` below 1, as in `y`, got 1 and 1.",
        ),
        (
            ForecastByStepDisplay.from_estimator, np.ones(4), {},
            "Expected `y` and the forecast of the same shape (N, K, F), got (4, 1, 1) and "
            "(5, 1, 1).",
        ),
        (
            ForecastByStepDisplay.from_estimator, Y, {"feature": 1},
            "Expected `feature` below 1, got 1.",
        ),
        (
            ForecastByStepDisplay.from_estimator, Y, {"feature": -1},
            "`feature` must be a whole number of at least 0, got -1.",
        ),
    ],
)  # fmt: skip
def test_arguments_of_from_estimator_are_checked(call, y, options, message):
    assert error_of(call, SumSoFar().fit(), X, y, **options) == message


@pytest.mark.parametrize("display", [ForecastDisplay, ForecastByStepDisplay])
def test_an_estimator_that_cannot_forecast_or_is_not_fitted_is_refused(display):
    assert error_of(display.from_estimator, PCA(), X, Y) == (
        "Expected an estimator with the method `forecast`, but PCA has none."
    )
    with pytest.raises(NotFittedError):
        display.from_estimator(SumSoFar(), X, Y)
