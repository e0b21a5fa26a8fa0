import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.colors import to_rgb
from sklearn.base import BaseEstimator
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError

from unspool.data.convert import as_sequences
from unspool.data.sequences import Sequences
from unspool.errors import InputError
from unspool.plots import ContinuationDisplay

LENGTHS = [4, 9, 1, 6, 0, 7, 3]


class Repeats(BaseEstimator):
    """Forecasts the sum of a sequence, K times, and stores its inputs."""

    def __init__(self, horizon=3):
        self.horizon = horizon

    def fit(self, X=None):
        self.inputs_ = []
        return self

    def forecast(self, X):
        self.inputs_.append(X)
        source = as_sequences(X)
        values, _ = source.take(range(len(source)))
        return np.repeat(values.sum(axis=1)[:, None], self.horizon, axis=1)


def ragged(features=2):
    rng = np.random.default_rng(0)
    return [rng.normal(size=(length, features)) for length in LENGTHS]


def future(features=2):
    return np.random.default_rng(1).normal(size=(7, 3, features))


def error_of(call, *args, **kwargs):
    with pytest.raises(InputError) as caught:
        call(*args, **kwargs)
    assert plt.get_fignums() == []
    return str(caught.value)


def curves(panel):
    """Return the lines by label, without the vertical line at step 0."""
    return {
        line.get_label(): (list(line.get_xdata()), list(line.get_ydata()))
        for line in panel.get_lines()
        if not line.get_label().startswith("_")
    }


def test_truth_and_forecast_begin_where_the_past_ends():
    past, truth, forecast = np.array([[5.0], [6.0]]), [[[7.0], [8.0]]], [[[6.5], [9.0]]]
    display = ContinuationDisplay([past], forecast, truth).plot()
    assert curves(display.ax_[0, 0]) == {
        "past": ([-1, 0], [5, 6]),
        "truth": ([0, 1, 2], [6, 7, 8]),
        "forecast": ([0, 1, 2], [6, 6.5, 9]),
    }
    assert display.errors == pytest.approx([(0.25 + 1) / 2])
    assert display.ax_[0, 0].get_title(loc="left") == "sequence 0 · MSE 0.625"
    colors = [to_rgb(line.get_color()) for line in display.ax_[0, 0].get_lines()[:3]]
    assert np.ptp(colors[0]) == 0
    assert [np.argmax(color) for color in colors[1:]] == [2, 0]


def test_there_is_a_row_of_panels_per_sequence_and_a_column_per_feature():
    model = Repeats().fit()
    display = ContinuationDisplay.from_estimator(model, ragged(), future(), slice(None))
    assert display.ax_.shape == (7, 2)
    for panels, one, truth in zip(display.ax_, ragged(), future(), strict=True):
        for feature, panel in enumerate(panels):
            drawn = curves(panel)
            last = list(one[-1:, feature])
            assert drawn["truth"][1] == [*last, *truth[:, feature]]
            np.testing.assert_allclose(drawn["forecast"][1], [*last, *[one[:, feature].sum()] * 3])
            assert drawn["forecast"][0] == ([0] if len(one) else []) + [1, 2, 3]
            assert drawn.get("past", ([], []))[1] == list(one[:, feature])


def test_without_the_truth_there_are_two_lines_and_no_error():
    display = ContinuationDisplay.from_estimator(Repeats().fit(), ragged(1), indices=[1])
    assert list(curves(display.ax_[0, 0])) == ["past", "forecast"]
    assert display.errors is None
    assert display.ax_[0, 0].get_title(loc="left") == "sequence 1"
    (legend,) = display.figure_.legends
    assert [text.get_text() for text in legend.get_texts()] == ["past", "forecast"]


def test_the_legend_names_all_lines_even_where_a_sequence_has_no_past():
    display = ContinuationDisplay.from_estimator(Repeats().fit(), ragged(1), future(1), [4, 0])
    assert list(curves(display.ax_[0, 0])) == ["truth", "forecast"]
    (legend,) = display.figure_.legends
    assert [text.get_text() for text in legend.get_texts()] == ["past", "truth", "forecast"]


def test_five_evenly_spaced_sequences_are_forecast_and_shown():
    X = np.arange(400.0).reshape(100, 4)
    model = Repeats(1).fit()
    display = ContinuationDisplay.from_estimator(model, X, X[:, 0])
    assert display.names == [0, 25, 50, 74, 99]
    assert [one[0, 0] for one in model.inputs_[0]] == [0, 100, 200, 296, 396]
    np.testing.assert_array_equal(display.truths[:, 0, 0], X[display.names, 0])
    display = ContinuationDisplay.from_estimator(model, X, n_sequences=2)
    assert display.names == [0, 99]


def test_continuations_may_have_fewer_axes():
    X = np.ones((3, 4, 2))
    one_step = ContinuationDisplay.from_estimator(Repeats(1).fit(), X, np.ones((3, 2)))
    assert one_step.truths.shape == (3, 1, 2)
    one_feature = ContinuationDisplay.from_estimator(Repeats().fit(), X[:, :, 0], np.ones((3, 3)))
    assert one_feature.truths.shape == (3, 3, 1)


def test_panels_are_labelled_and_only_the_first_features_shown():
    names = ["volts", "temperature_of_the_wall", "c", "d"]
    X = Sequences.from_list(ragged(4), feature_names=names)
    display = ContinuationDisplay.from_estimator(Repeats().fit(), X, future(4))
    assert [ax.get_ylabel() for ax in display.ax_[2]] == ["volts", "temperature_of…", "c"]
    assert display.figure_.get_suptitle() == "Past and forecast (first 3 of 4 features)"
    assert [ax.get_xlabel() for ax in display.ax_[:, 0]] == [
        *[""] * 4,
        "time steps after the input",
    ]
    display = ContinuationDisplay.from_estimator(Repeats().fit(), X, max_features=1)
    assert display.ax_.shape == (5, 1)


def test_a_past_of_one_step_is_a_visible_point():
    display = ContinuationDisplay([np.ones((1, 1))], np.ones((1, 1, 1))).plot()
    past, forecast, _ = display.ax_[0, 0].get_lines()
    assert past.get_marker() == "o"
    assert forecast.get_marker() == "None"
    lone = ContinuationDisplay([np.ones((0, 1))], np.ones((1, 1, 1))).plot()
    assert lone.ax_[0, 0].get_lines()[0].get_marker() == "o"


def test_styles_can_be_changed():
    display = ContinuationDisplay([np.ones((2, 1))], np.ones((1, 1, 1)), np.ones((1, 1, 1))).plot(
        past_kw={"color": "black"}, truth_kw={"linewidth": 9}, forecast_kw={"linestyle": ":"}
    )
    past, truth, forecast, _ = display.ax_[0, 0].get_lines()
    assert past.get_color() == "black"
    assert truth.get_linewidth() == 9
    assert forecast.get_linestyle() == ":"


def test_drawing_onto_given_axes_opens_no_figure():
    figure, axes = plt.subplots(2, 2)
    display = ContinuationDisplay.from_estimator(
        Repeats().fit(), ragged(), future(), [0, 1], ax=axes
    )
    assert (display.ax_ == axes).all()
    assert display.figure_ is figure
    assert plt.get_fignums() == [figure.number]
    assert len(axes[0, 1].get_legend().get_texts()) == 3


ONE = np.ones((1, 2, 1))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ([ONE[0]], ONE[0]),
            "Expected the forecasts of shape (N, K, F), got shape (2, 1).",
        ),
        (
            ([ONE[0]], ONE, ONE[0]),
            "Expected the truths of shape (N, K, F), got shape (2, 1).",
        ),
        (
            ([ONE[0]], ONE * np.nan),
            "Expected finite numbers in the forecasts, got nan at (0, 0, 0).",
        ),
        (([], ONE), "Expected 1 sequences in `pasts`, one for each forecast, got 0."),
        (
            ([np.ones((3, 2))], ONE),
            "Expected every past of shape (steps, 1), with the features of the forecasts, got "
            "shape (3, 2) for sequence 0.",
        ),
        (
            ([ONE[0]], ONE, np.ones((1, 3, 1))),
            "Expected truths of shape (1, 2, 1) like the forecasts, got (1, 3, 1).",
        ),
        (([ONE[0]], ONE, None, ["a", "b"]), "Expected 1 names, got 2."),
        (
            ([ONE[0]], ONE, None, None, ["a", "b"]),
            "Expected 1 feature names, got 2: ['a', 'b'].",
        ),
    ],
)
def test_arguments_that_do_not_match_are_refused(arguments, message):
    assert error_of(ContinuationDisplay, *arguments) == message


def test_arguments_of_from_estimator_are_checked():
    call, model = ContinuationDisplay.from_estimator, Repeats().fit()
    assert error_of(call, model, ragged(), future()[:5]) == (
        "Expected 7 continuations in `y`, got 5."
    )
    assert error_of(call, model, ragged(), n_sequences=0) == (
        "`n_sequences` must be a whole number of at least 1, got 0."
    )
    assert error_of(call, model, ragged(), max_features=0) == (
        "`max_features` must be a whole number of at least 1, got 0."
    )
    assert error_of(call, PCA(), ragged()) == (
        "Expected an estimator with the method `forecast`, but PCA has none."
    )
    with pytest.raises(NotFittedError):
        call(Repeats(), ragged())


def test_missing_values_of_the_truth_do_not_count():
    truth = np.array([[[1.0], [np.nan]], [[np.nan], [np.nan]]])
    display = ContinuationDisplay([np.zeros((3, 1))] * 2, np.zeros((2, 2, 1)), truth)
    np.testing.assert_array_equal(display.errors, [1.0, np.nan])
    display.plot()
