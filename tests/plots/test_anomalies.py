import re
from dataclasses import replace
from types import SimpleNamespace

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgb
from matplotlib.dates import date2num

from unspool.anomaly.events import Event, find_events
from unspool.errors import InputError
from unspool.plots import AnomalyDisplay
from unspool.plots._time_axis import times_as_numbers

T = 200
RNG = np.random.default_rng(0)
SERIES = RNG.normal(size=(T, 5))
SCORES = RNG.uniform(size=T)
SCORES[[50, 51, 120]] = 3
LEVELS = np.linspace(2, 2.5, T)
PARTS = np.tile([1.0, 0, 5, 0, 2], (T, 1))
NAMES = ["a", "b", "c", "d", "e"]
EVENTS = find_events([SCORES], [LEVELS], [PARTS], gap=3, names=NAMES)
TIMES = np.datetime64("2014-02-10T00:00") + np.arange(T) * np.timedelta64(1, "h")


def display(**named):
    return AnomalyDisplay(SERIES, SCORES, LEVELS, EVENTS, feature_names=NAMES, **named)


def boxes(ax, color):
    """Return left and right ends of the areas filled with a colour."""
    found = []
    for one in ax.collections:
        if to_rgb(one.get_facecolor()[0]) == to_rgb(color):
            found += [(p.vertices[:, 0].min(), p.vertices[:, 0].max()) for p in one.get_paths()]
    return found


RED, GREEN = "#c8321f", "#2d7f3f"


def test_features_are_sorted_by_contribution_with_the_score_last():
    shown = display().plot()
    assert shown.order.tolist() == [2, 4, 0, 1, 3]
    assert [ax.get_ylabel() for ax in shown.ax_] == ["c", "e", "a", "anomaly score"]
    for ax, feature in zip(shown.ax_, (2, 4, 0), strict=False):
        np.testing.assert_array_equal(ax.get_lines()[0].get_ydata(), SERIES[:, feature])
    score, level, peaks = shown.ax_[-1].get_lines()
    np.testing.assert_array_equal(score.get_ydata(), SCORES)
    np.testing.assert_array_equal(level.get_ydata(), LEVELS)
    assert level.is_dashed()
    np.testing.assert_array_equal(peaks.get_xdata(), [50, 120])
    assert shown.figure_.get_suptitle() == (
        "Anomalies: 2 events (3 of 5 features: largest contributions)"
    )


def test_without_contributions_features_are_shown_in_their_order():
    events = [replace(one, features=()) for one in EVENTS[:1]]
    shown = AnomalyDisplay(SERIES, SCORES, 2.0, events, name="pump 3").plot(max_features=2)
    assert [ax.get_ylabel() for ax in shown.ax_] == ["feature 0", "feature 1", "anomaly score"]
    assert (
        shown.figure_.get_suptitle()
        == "Anomalies in pump 3: 1 event (2 of 5 features: the first ones)"
    )
    none = AnomalyDisplay(SERIES[:, 0], SCORES, 2.0).plot()
    assert none.figure_.get_suptitle() == "Anomalies: no events"
    assert [ax.get_ylabel() for ax in none.ax_] == ["value", "anomaly score"]


def test_events_are_shaded_and_labelled_anomalies_marked():
    labels = np.zeros(T, bool)
    labels[[49, 50, 199]] = True
    shown = display(labels=labels).plot()
    for ax in shown.ax_:
        assert boxes(ax, RED) == [(49.5, 51.5), (119.5, 120.5)]
    assert boxes(shown.ax_[-1], GREEN) == [(48.5, 50.5), (198.5, 199.5)]
    assert boxes(shown.ax_[0], GREEN) == []
    (legend,) = shown.figure_.legends
    names = [text.get_text() for text in legend.get_texts()]
    assert names == ["score", "threshold", "event", "peak", "labelled anomaly"]
    bars = shown.ax_[-1].collections[-1].get_paths()[0].vertices
    top = shown.ax_[-1].get_xaxis_transform().transform(bars)[:, 1].max()
    lowest = shown.ax_[-1].transData.transform([0, SCORES.min()])[1]
    assert top < lowest  # the bars are below the score


def test_times_make_an_axis_of_dates():
    shown = display(times=TIMES).plot()
    np.testing.assert_array_equal(shown.ax_[0].get_lines()[0].get_xdata(), date2num(TIMES))
    half = 0.5 / 24
    np.testing.assert_allclose(
        boxes(shown.ax_[0], RED)[0],
        [date2num(TIMES[50]) - half, date2num(TIMES[51]) + half],
        rtol=0,
        atol=1e-6,
    )
    shown.figure_.canvas.draw()
    ticks = [text.get_text() for text in shown.ax_[-1].get_xticklabels()]
    assert "Feb 11" in ticks
    assert shown.ax_[-1].xaxis.get_offset_text().get_text() == "2014"
    assert shown.ax_[-1].get_xlabel() == "time"


@pytest.mark.parametrize(
    "times",
    [
        TIMES.astype(object),
        TIMES.astype(str),
        TIMES.astype("M8[ns]"),
        pd.DatetimeIndex(TIMES),
        pd.DatetimeIndex(TIMES, tz="UTC").tz_convert("Europe/Berlin"),
    ],
)
def test_dates_may_be_strings_datetimes_timestamps_and_datetime64(times):
    shown = display(times=times).plot()
    np.testing.assert_array_equal(shown.ax_[0].get_lines()[0].get_xdata(), date2num(TIMES))


def test_times_may_be_numbers_and_unevenly_spread():
    times = np.arange(T) ** 2 / 10
    shown = display(times=times).plot()
    np.testing.assert_allclose(
        boxes(shown.ax_[0], RED)[1],
        [(times[119] + times[120]) / 2, (times[120] + times[121]) / 2],
    )


def test_a_long_series_keeps_every_spike():
    steps = 30_001
    series, scores = np.zeros(steps), np.ones(steps)
    series[[7, 20_000]], scores[[11_111, 30_000]] = (-5, 8), (40, 50)
    series[9000:9100] = np.nan
    shown = AnomalyDisplay(series, scores, 30.0, find_events([scores], [30.0])).plot()
    line = shown.ax_[0].get_lines()[0]
    assert len(line.get_xdata()) <= 3000
    drawn = dict(zip(line.get_xdata(), line.get_ydata(), strict=True))
    assert (drawn[7], drawn[20_000]) == (-5, 8)
    assert np.isnan([y for x, y in drawn.items() if 9020 < x < 9080]).all()
    score = shown.ax_[1].get_lines()[0]
    drawn = dict(zip(score.get_xdata(), score.get_ydata(), strict=True))
    assert (drawn[11_111], drawn[30_000]) == (40, 50)
    assert boxes(shown.ax_[0], RED) == [(11_110.5, 11_111.5), (29_999.5, 30_000.5)]
    assert shown.ax_[0].collections[0].get_linewidth()[0] > 0  # visible, however short


def test_the_axis_of_the_score_is_logarithmic_where_scores_differ_much():
    wide = SCORES + 0.01
    wide[50] = 400
    shown = AnomalyDisplay(SERIES, wide, 2.0)
    assert display().plot().ax_[-1].get_yscale() == "linear"
    assert shown.plot().ax_[-1].get_yscale() == "log"
    assert shown.plot(score_scale="linear").ax_[-1].get_yscale() == "linear"
    assert display().plot(score_scale="log").ax_[-1].get_yscale() == "log"
    zero = AnomalyDisplay(SERIES, np.where(wide < 1, 0, wide), 2.0)
    assert zero.plot().ax_[-1].get_yscale() == "linear"
    plt.close("all")
    with pytest.raises(
        InputError, match="needs scores and thresholds above 0; use `score_scale='linear'`"
    ):
        zero.plot(score_scale="log")
    assert plt.get_fignums() == []


@pytest.mark.parametrize("bad", [-1, np.nan])
def test_labels_other_than_0_and_1_are_refused(bad):
    with pytest.raises(InputError, match=f"`labels` must be 0 or 1, .* got {bad} at step 3"):
        display(labels=np.where(np.arange(T) == 3, bad, 1))


def test_labels_are_drawn_below_a_logarithmic_score():
    labels = np.zeros(T, bool)
    labels[5] = True
    ax = display(labels=labels).plot(score_scale="log").ax_[-1]
    assert 0 < ax.get_ylim()[0] < SCORES.min()


def test_a_single_step_is_visible():
    events = [Event(0, 0, 0, 1, 2.0, 1.0)]
    shown = AnomalyDisplay([1.0], [2.0], 1.0, events).plot()
    assert shown.ax_[0].get_lines()[0].get_marker() == "o"
    assert boxes(shown.ax_[0], RED) == [(-0.5, 0.5)]


def test_drawing_onto_given_axes_opens_no_figure():
    figure, axes = plt.subplots(2)
    shown = display().plot(
        axes, max_features=1, series_kw={"color": "k"}, score_kw={"linewidth": 7}
    )
    assert shown.figure_ is figure
    assert shown.ax_.tolist() == axes.tolist()
    assert plt.get_fignums() == [figure.number]
    assert axes[0].get_lines()[0].get_color() == "k"
    assert axes[1].get_lines()[0].get_linewidth() == 7
    with pytest.raises(InputError, match="Expected 4 axes, 3 for features and the last for the"):
        display().plot(axes)


def test_from_detection_draws_the_series_with_its_index():
    other = [replace(EVENTS[0], series=1), EVENTS[1]]
    detection = SimpleNamespace(
        scores=[SCORES + 1, SCORES], thresholds=[LEVELS + 1, LEVELS], events=other
    )
    shown = AnomalyDisplay.from_detection(
        detection, SERIES, 1, times=TIMES, feature_names=NAMES, name="x", max_features=1
    )
    assert shown.events == other[:1]
    np.testing.assert_array_equal(shown.scores, SCORES)
    np.testing.assert_array_equal(shown.thresholds, LEVELS)
    assert len(shown.ax_) == 2
    with pytest.raises(InputError, match=r"`index` must be a whole number of at most 1, got 2."):
        AnomalyDisplay.from_detection(detection, SERIES, 2)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((np.ones((2, 3, 4)), [1], 1), "Expected a series of shape (T, F), got shape (2, 3, 4)."),
        ((np.ones((0, 3)), [1], 1), "Expected a series of shape (T, F), got shape (0, 3)."),
        ((SERIES, [1.0], 1), "Expected scores of shape (200,), one for each step of the series, "),
        ((SERIES, SCORES, [1.0, 2.0]), "Expected thresholds of shape (200,), one for each step"),
        ((SERIES, SCORES * np.nan, 1), "Expected a score for some step, got NaN for all of them."),
        ((SERIES, SCORES * np.inf, 1), "Expected finite numbers in the scores, got inf at (0,)."),
        ((SERIES, SCORES, 1, [], [True]), "Expected labels of shape (200,), one for each step"),
        ((SERIES, SCORES, 1, [], None, TIMES[1:]), "Expected times of shape (200,), one for each"),
        ((SERIES, SCORES, 1, [], None, ["x"] * T), "Expected dates or numbers in `times`, got"),
        (
            (SERIES, SCORES, 1, [], None, np.array([{}] * T)),
            "Expected dates or numbers in `times`, got",
        ),
        (
            (SERIES[:100], SCORES[:100], 1, EVENTS),
            "Expected events within the 100 steps of the series, but one is outside; pass the "
            "events of this series only.",
        ),
        (
            (SERIES, SCORES, 1, EVENTS),
            "`feature_names` must contain 'c', a feature of the events, got",
        ),
    ],
)
def test_arguments_that_do_not_match_are_refused(arguments, message):
    with pytest.raises(InputError, match=f"^{re.escape(message)}"):
        AnomalyDisplay(*arguments)


def test_options_are_checked_before_a_figure_is_made():
    for options in ({"max_features": 0}, {"score_scale": "logarithmic"}):
        with pytest.raises(InputError, match=r"max_features|score_scale"):
            display().plot(**options)
    assert plt.get_fignums() == []


def test_a_clock_that_was_set_back_stays_until_its_time_comes_again():
    times = TIMES.copy()
    times[100:] -= np.timedelta64(3, "h")
    (shown, dates), (whole, _) = times_as_numbers(times), times_as_numbers(TIMES)
    assert dates
    assert (np.diff(shown) >= 0).all()
    np.testing.assert_array_equal(shown[:100], whole[:100])
    assert shown[100] == whole[99]
