"""`AnomalyDisplay`: a series, its anomaly score with the threshold, and the events."""

from collections.abc import Sequence
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.pyplot import subplots

from unspool import _checks
from unspool.anomaly.alarm_clusters import find_clusters
from unspool.anomaly.events import Event
from unspool.data.sequences import FloatArray, as_floats, check_feature_names
from unspool.errors import InputError
from unspool.evaluation.inputs import read_flags
from unspool.plots._style import (
    BLUE,
    GREEN,
    GREY,
    RED,
    WIDTH,
    check_finite,
    feature_label,
    integer_ticks,
    tidy,
)
from unspool.plots._time_axis import date_axis, steps_to_draw, times_as_numbers

ScoreScale = Literal["auto", "linear", "log"]
LOG_RATIO = (
    100  # the axis is logarithmic if the largest score is more than this many times the median
)


class AnomalyDisplay:
    """Plot a series with its anomaly score, the threshold and the events.

    The features with the largest contributions are drawn in blue, one panel each. The last panel
    shows the score in grey and the threshold in red. Events are shaded red.

    Parameters
    ----------
    series : array of shape (T, F) or (T,)
        The series: T steps of F features; NaN where values are missing.
    scores : array of shape (T,)
        Anomaly score of each step.
    thresholds : array of shape (T,), or float
        Threshold in force at each step.
    events : sequence of Event, default ()
        Events of this series, as `unspool.anomaly.find_events` returns them.
    labels : array of shape (T,), optional
        1 or True at every step that is labelled as an anomaly, 0 or False elsewhere.
    times : array of shape (T,), optional
        Ascending time of each step: dates (those with a time zone are shown in UTC) or numbers.
        Steps from 0 by default.
    feature_names : sequence of F strings, optional
        Axis labels of the features.
    name : str, optional
        Name of the series for the title.

    Attributes
    ----------
    order : array of shape (F,)
        Indices of the features, sorted by their share in all events, largest first. Without
        events they are in the order of `series`.
    ax_ : array of Axes of shape (n + 1,)
        The axes of the n features shown, followed by the axes of the score.
    figure_ : Figure
        The figure that contains the axes.

    See Also
    --------
    AnomalyDetector.detect : Computes scores, thresholds and events.
    unspool.evaluation.evaluate : Compares scores and alarms with labels.

    Examples
    --------
    >>> from unspool.anomaly import find_events
    >>> from unspool.plots import AnomalyDisplay
    >>> scores = [0.0, 3.0, 0.0]
    >>> events = find_events([scores], [2.0], [[[0, 0], [1, 2], [0, 0]]])
    >>> display = AnomalyDisplay(np.zeros((3, 2)), scores, 2.0, events)
    >>> display.order
    array([1, 0])
    >>> display.plot().ax_.shape
    (3,)
    """

    ax_: npt.NDArray[Any]
    figure_: Figure | SubFigure

    def __init__(
        self,
        series: npt.ArrayLike,
        scores: npt.ArrayLike,
        thresholds: npt.ArrayLike,
        events: Sequence[Event] = (),
        labels: npt.ArrayLike | None = None,
        times: npt.ArrayLike | None = None,
        feature_names: Sequence[str] | None = None,
        name: str | None = None,
    ) -> None:
        values = as_floats(series, "the series")
        self.series = values[:, None] if values.ndim == 1 else values
        if self.series.ndim != 2 or 0 in self.series.shape:
            raise InputError(f"Expected a series of shape (T, F), got shape {values.shape}.")
        self.scores = check_finite(scores, "the scores", "(T,)", missing=True)
        if np.isnan(self.scores).all():
            raise InputError("Expected a score for some step, got NaN for all of them.")
        steps, features = self.series.shape
        self.thresholds = as_floats(thresholds, "the thresholds")
        if self.thresholds.ndim == 0:
            self.thresholds = np.full(steps, self.thresholds)
        self.thresholds = check_finite(self.thresholds, "the thresholds", "(T,)")
        self.labels = None if labels is None else _as_flags(labels)
        self.times = None if times is None else times_as_numbers(times)
        for what, one in (
            ("scores", self.scores),
            ("thresholds", self.thresholds),
            ("labels", self.labels),
            ("times", None if self.times is None else self.times[0]),
        ):
            if one is not None and one.shape != (steps,):
                raise InputError(
                    f"Expected {what} of shape ({steps},), one for each step of the series, got "
                    f"{one.shape}."
                )
        self.events = list(events)
        if any(not 0 <= one.start <= one.peak < one.end <= steps for one in self.events):
            raise InputError(
                f"Expected events within the {steps} steps of the series, but one is outside; pass "
                "the events of this series only."
            )
        self.feature_names = check_feature_names(feature_names, features)
        self.name = name
        self.order = _by_contribution(self.events, self.feature_names, features)

    @classmethod
    def from_detection(
        cls,
        detection: Any,
        series: npt.ArrayLike,
        index: int = 0,
        *,
        labels: npt.ArrayLike | None = None,
        times: npt.ArrayLike | None = None,
        feature_names: Sequence[str] | None = None,
        name: str | None = None,
        ax: Any = None,
        **kwargs: Any,
    ) -> "AnomalyDisplay":
        """Draw one series of a detection.

        Parameters
        ----------
        detection : Detection
            Result of a detector's `detect` for one series or several.
        series : array of shape (T, F) or (T,)
            The series with that index in the data of `detect`.
        index : int, default 0
            Index of the series in the detection.
        labels : array of shape (T,), optional
            1 or True at every step that is labelled as an anomaly, 0 or False elsewhere.
        times : array of shape (T,), optional
            Ascending time of each step; by default the times of the detection, or steps from 0.
        feature_names : sequence of F strings, optional
            Axis labels of the features.
        name : str, optional
            Name of the series for the title.
        ax : array of min(F, max_features) + 1 Axes, optional
            Axes to draw into, the score last; a new figure by default.
        **kwargs
            Passed to `plot`.

        Returns
        -------
        AnomalyDisplay
            The display, already drawn.

        Raises
        ------
        InputError
            If `index` is out of range, or the series does not match the detection.

        Examples
        --------
        >>> from unspool.anomaly import Detection
        >>> from unspool.plots import AnomalyDisplay
        >>> found = Detection(np.array([0.2, 3.0]), np.array([2.0, 2.0]), None, [])
        >>> display = AnomalyDisplay.from_detection(found, [[1.0], [7.0]], name="pump")
        >>> display.figure_.get_suptitle()
        'Anomalies in pump: no events'
        """
        scores, thresholds = detection.scores, detection.thresholds
        if not isinstance(scores, list):
            scores, thresholds = [scores], [thresholds]
        _checks.raise_all(_checks.whole("index", index, 0, most=len(scores) - 1))
        events = [one for one in detection.events if one.series == index]
        scores, thresholds = scores[index], thresholds[index]
        if times is None:
            times = detection.times
        display = cls(series, scores, thresholds, events, labels, times, feature_names, name)
        return display.plot(ax, **kwargs)

    def plot(
        self,
        ax: Any = None,
        *,
        max_features: int = 3,
        score_scale: ScoreScale = "auto",
        series_kw: dict[str, Any] | None = None,
        score_kw: dict[str, Any] | None = None,
    ) -> "AnomalyDisplay":
        """Draw a panel for each feature shown, and one for the score.

        A series of more than 3,000 steps is cut into 1,500 pieces, of which the smallest and the
        largest value are drawn, so that every spike is visible.

        Parameters
        ----------
        ax : array of min(F, max_features) + 1 Axes, optional
            Axes to draw into, the score last; a new figure by default.
        max_features : int, default 3
            Maximum number of features to show: those with the largest contributions.
        score_scale : {"auto", "linear", "log"}, default "auto"
            Scale of the score axis. "auto" is logarithmic if all scores are above 0 and the
            largest exceeds 100 times the median.
        series_kw : dict, optional
            Passed to `Axes.plot` for the features.
        score_kw : dict, optional
            Passed to `Axes.plot` for the score.

        Returns
        -------
        AnomalyDisplay
            The same display, with `ax_` and `figure_` set.

        Raises
        ------
        InputError
            If an argument is out of range, or the number of axes is wrong.
        """
        _checks.raise_all(
            _checks.whole("max_features", max_features, 1),
            _checks.choice("score_scale", score_scale, get_args(ScoreScale)),
        )
        shown, scale = self.order[:max_features], self._scale(score_scale)
        self.figure_, self.ax_ = _column(ax, len(shown) + 1)
        *panels, score_panel = self.ax_
        features = self.series.shape[1]
        for panel, feature in zip(panels, shown, strict=True):
            style = {"color": BLUE, "linewidth": 0.9, **(series_kw or {})}
            self._line(panel, self.series[:, feature], style)
            label = feature_label(self.feature_names, features, int(feature))
            panel.set_ylabel(label, fontsize=9)
            self._shade(panel)
            tidy(panel)
        self._draw_score(score_panel, scale, {"color": GREY, "linewidth": 0.9, **(score_kw or {})})
        self._mark_labels(score_panel)
        for panel in self.ax_:
            self._draw_axis(panel)
        score_panel.set_xlabel("time" if self.times is not None else "time step", fontsize=9)
        handles = self._handles(score_panel)
        if ax is not None:
            self.ax_[0].legend(handles=handles, ncols=len(handles), frameon=False, fontsize=8,
                               loc="lower right", bbox_to_anchor=(1, 1), borderaxespad=0.2,
                               handlelength=1.5, columnspacing=1.2)  # fmt: skip
            return self
        self.figure_.align_ylabels(self.ax_)
        self.figure_.suptitle(self._title(len(shown)))
        self.figure_.legend(
            handles=handles, loc="outside lower center", ncols=len(handles), frameon=False
        )
        return self

    def _line(self, ax: Axes, values: FloatArray, style: dict[str, Any]) -> None:
        """Draw values over time, at most two for each piece of a long series."""
        steps = steps_to_draw(values)
        marker = "o" if len(values) == 1 else None
        ax.plot(self._positions()[steps], values[steps], **{"marker": marker, **style})

    def _positions(self) -> FloatArray:
        """Return the position of each step on the time axis, (T,)."""
        return np.arange(len(self.series), dtype=float) if self.times is None else self.times[0]

    def _spans(self, bounds: Sequence[tuple[int, int]]) -> list[tuple[float, float]]:
        """Return left end and width of steps (start, end), widened by half a step on both sides."""
        centres = self._positions()
        half = np.diff(centres) / 2 if len(centres) > 1 else np.array([0.5])
        edges = np.concatenate([centres - np.append(half[:1], half), [centres[-1] + half[-1]]])
        if len(centres) == 1:
            edges = np.array([centres[0] - 0.5, centres[0] + 0.5])
        return [(float(edges[a]), float(edges[b] - edges[a])) for a, b in bounds]

    def _shade(self, ax: Axes) -> None:
        """Shade the events; a thin edge keeps short ones visible."""
        spans = self._spans([(one.start, one.end) for one in self.events])
        transform = ax.get_xaxis_transform()
        ax.broken_barh(
            spans, (0, 1), transform=transform, color=RED, alpha=0.2, linewidth=0.8, zorder=0.5
        )

    def _draw_score(self, ax: Axes, scale: str, style: dict[str, Any]) -> None:
        self._line(ax, self.scores, style)
        level = {"color": RED, "linewidth": 1.2, "linestyle": (0, (4, 2)), "marker": ""}
        self._line(ax, self.thresholds, level)
        peaks = [one.peak for one in self.events]
        ax.plot(
            self._positions()[peaks], self.scores[peaks], "o", color=RED, markersize=3, zorder=3
        )
        ax.set_yscale(scale)
        self._shade(ax)
        ax.set_ylabel("anomaly score", fontsize=9)
        tidy(ax)

    def _scale(self, requested: str) -> str:
        """Return the scale of the score axis."""
        positive = np.nanmin(self.scores) > 0 and self.thresholds.min() > 0
        if requested == "auto":
            varied = positive and np.nanmax(self.scores) > LOG_RATIO * np.nanmedian(self.scores)
            return "log" if varied else "linear"
        if requested == "log" and not positive:
            raise InputError(
                "A logarithmic axis needs scores and thresholds above 0; use "
                "`score_scale='linear'`."
            )
        return requested

    def _mark_labels(self, ax: Axes) -> None:
        """Draw bars along the bottom at the steps that are labelled as anomalies."""
        if self.labels is None:
            return
        low, high = ax.transData.transform([(0, one) for one in ax.get_ylim()])[:, 1]
        bottom = (0, low - 0.1 * (high - low))
        ax.set_ylim(bottom=float(ax.transData.inverted().transform(bottom)[1]))
        spans = self._spans([(a, b) for a, b in find_clusters(self.labels, 1).tolist()])
        transform = ax.get_xaxis_transform()
        ax.broken_barh(
            spans, (0, 0.06), transform=transform, color=GREEN, linewidth=0.8, zorder=2.5
        )

    def _draw_axis(self, ax: Axes) -> None:
        ax.margins(x=0.01)
        if self.times is not None and self.times[1]:
            date_axis(ax)
        elif self.times is None:
            ax.xaxis.set_major_locator(integer_ticks())

    def _handles(self, score_panel: Axes) -> list[Any]:
        score, threshold = score_panel.get_lines()[:2]
        score.set_label("score")
        threshold.set_label("threshold")
        handles: list[Any] = [score, threshold]
        if self.events:
            handles.append(Patch(color=RED, alpha=0.2, label="event"))
            handles.append(Line2D([], [], color=RED, marker="o", markersize=3, linewidth=0,
                                  label="peak"))  # fmt: skip
        if self.labels is not None:
            handles.append(Patch(color=GREEN, label="labelled anomaly"))
        return handles

    def _title(self, shown: int) -> str:
        features = self.series.shape[1]
        count = len(self.events)
        found = f"{count:,} event{'' if count == 1 else 's'}" if count else "no events"
        where = f" in {self.name}" if self.name else ""
        ranked = any(one.features for one in self.events)
        which = "largest contributions" if ranked else "the first ones"
        left_out = f" ({shown} of {features} features: {which})" if shown < features else ""
        return f"Anomalies{where}: {found}{left_out}"


def _as_flags(labels: npt.ArrayLike) -> npt.NDArray[np.bool_]:
    """Return labels (T,) as booleans; -1 and missing labels raise instead of counting as True."""
    (flags,) = read_flags("labels", [labels])
    return flags


def _column(ax: Any, rows: int) -> tuple[Figure | SubFigure, npt.NDArray[Any]]:
    """Return figure and axes, one above the other; the last of new ones is higher."""
    if ax is None:
        heights = [1.0] * (rows - 1) + [1.5]
        figure, new = subplots(
            rows,
            sharex=True,
            squeeze=False,
            figsize=(WIDTH, 1.3 + 1.3 * sum(heights)),
            height_ratios=heights,
            layout="constrained",
        )
        return figure, new[:, 0]
    given = np.asarray(ax, dtype=object).ravel()
    if len(given) != rows:
        raise InputError(
            f"Expected {rows} axes, {rows - 1} for features and the last for the score, got "
            f"{len(given)}."
        )
    return given[0].figure, given


def _by_contribution(
    events: Sequence[Event], names: tuple[str, ...] | None, features: int
) -> npt.NDArray[np.intp]:
    """Return the features sorted by the sum of their shares in the events, largest first."""
    known = names or tuple(f"feature {i}" for i in range(features))
    shares = dict.fromkeys(known, 0.0)
    for event in events:
        for name, share in event.features:
            if name not in shares:
                raise InputError(
                    f"`feature_names` must contain {name!r}, a feature of the events, got "
                    f"{', '.join(known[:10])}."
                )
            shares[name] += share
    return np.argsort([-shares[name] for name in known], kind="stable")
