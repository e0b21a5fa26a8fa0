"""`AnomalyDisplay`: a series, its score with the threshold, and the events found in it."""

from collections.abc import Sequence
from typing import Any

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
    tidy,
    whole_ticks,
)
from unspool.plots._time_axis import as_numbers, date_axis, extremes

SCALES = ("auto", "linear", "log")
WIDE = 100  # times the median: a largest score above it makes the axis logarithmic


class AnomalyDisplay:
    """The features most at fault (blue), the score below, its threshold, and events (red).

    Parameters
    ----------
    series : array of shape (T, F) or (T,)
        NaN where samples are missing.
    scores : array of shape (T,)
    thresholds : array of shape (T,), or a number
        In force at each step.
    events : list of Event, optional
        As `unspool.anomaly.events.find_events` gives them, of this series alone.
    labels : array of shape (T,), optional
        1 or True at every step that is known to be an anomaly, 0 or False elsewhere.
    times : array of shape (T,), optional
        When each step was: dates (UTC where they have a time zone), or numbers; ascending. Steps,
        from 0, by default.
    feature_names : sequence of F strings, optional
    name : str, optional
        What the series is called, for the title.

    Attributes
    ----------
    order : array of shape (F,)
        The features, the most at fault over all events first; as they are without events.
    ax_ : array of Axes of shape (shown features + 1,)
    figure_
        Where `plot` drew.

    Examples
    --------
    >>> from unspool.anomaly.events import find_events
    >>> scores = [0.0, 3.0, 0.0]
    >>> events = find_events([scores], [2.0], [[[0, 0], [1, 2], [0, 0]]])
    >>> AnomalyDisplay(np.zeros((3, 2)), scores, 2.0, events).order
    array([1, 0])
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
        self.scores = check_finite(scores, "the scores", "(T,)")
        steps, features = self.series.shape
        self.thresholds = as_floats(thresholds, "the thresholds")
        if self.thresholds.ndim == 0:
            self.thresholds = np.full(steps, self.thresholds)
        self.thresholds = check_finite(self.thresholds, "the thresholds", "(T,)")
        self.labels = None if labels is None else _flags(labels)
        self.times = None if times is None else as_numbers(times)
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
            raise InputError(f"Expected events within the {steps} steps of the series, got others.")
        self.feature_names = check_feature_names(feature_names, features)
        self.name = name
        self.order = _most_at_fault(self.events, self.feature_names, features)

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
        """Draw one of the series in which a detector has looked for anomalies.

        Parameters
        ----------
        detection : Detection
            What the detector's `detect` gave for one series or several.
        series : array of shape (T, F) or (T,)
            The series itself.
        index : int, default 0
            Which of the detection's series it is.
        labels, times, feature_names, name
            See `AnomalyDisplay`.
        ax : array of Axes, optional
            See `plot`.
        **kwargs
            Passed to `plot`.
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
        score_scale: str = "auto",
        series_kw: dict[str, Any] | None = None,
        score_kw: dict[str, Any] | None = None,
    ) -> "AnomalyDisplay":
        """Draw a panel for each of the features most at fault, and one for the score.

        Of more than 3,000 steps each of 1,500 pieces shows its smallest and its largest value, so
        that no spike is lost.

        Parameters
        ----------
        ax : array of min(F, max_features) + 1 Axes, optional
            Where to draw, the score last; a new figure by default.
        max_features : int, default 3
            Features shown.
        score_scale : {"auto", "linear", "log"}, default "auto"
            Axis of the score. "auto" is logarithmic for scores above 0 of which the largest is
            more than 100 times the median.
        series_kw, score_kw : dict, optional
            Passed to `Axes.plot` for the features and for the score.
        """
        _checks.raise_all(
            _checks.whole("max_features", max_features, 1),
            _checks.choice("score_scale", score_scale, SCALES),
        )
        shown, scale = self.order[:max_features], self._scale(score_scale)
        self.figure_, self.ax_ = _column(ax, len(shown) + 1)
        *panels, below = self.ax_
        features = self.series.shape[1]
        for panel, feature in zip(panels, shown, strict=True):
            style = {"color": BLUE, "linewidth": 0.9, **(series_kw or {})}
            self._line(panel, self.series[:, feature], style)
            label = feature_label(self.feature_names, features, int(feature))
            panel.set_ylabel(label, fontsize=9)
            self._shade(panel)
            tidy(panel)
        self._draw_score(below, scale, {"color": GREY, "linewidth": 0.9, **(score_kw or {})})
        self._mark_labels(below)
        for panel in self.ax_:
            self._draw_axis(panel)
        below.set_xlabel("time" if self.times is not None else "step", fontsize=9)
        handles = self._handles(below)
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
        """Values over time, those that a picture can show."""
        steps = extremes(values)
        marker = "o" if len(values) == 1 else None
        ax.plot(self._places()[steps], values[steps], **{"marker": marker, **style})

    def _places(self) -> FloatArray:
        """Where each step is on the axis (T,)."""
        return np.arange(len(self.series), dtype=float) if self.times is None else self.times[0]

    def _spans(self, bounds: Sequence[tuple[int, int]]) -> list[tuple[float, float]]:
        """Left end and width of steps (start, end), half a step wider on both sides."""
        at = self._places()
        half = np.diff(at) / 2 if len(at) > 1 else np.array([0.5])
        edges = np.concatenate([at - np.append(half[:1], half), [at[-1] + half[-1]]])
        if len(at) == 1:
            edges = np.array([at[0] - 0.5, at[0] + 0.5])
        return [(float(edges[a]), float(edges[b] - edges[a])) for a, b in bounds]

    def _shade(self, ax: Axes) -> None:
        """The events, however short: a thin edge is always visible."""
        spans = self._spans([(one.start, one.end) for one in self.events])
        across = ax.get_xaxis_transform()
        ax.broken_barh(
            spans, (0, 1), transform=across, color=RED, alpha=0.2, linewidth=0.8, zorder=0.5
        )

    def _draw_score(self, ax: Axes, scale: str, style: dict[str, Any]) -> None:
        self._line(ax, self.scores, style)
        level = {"color": RED, "linewidth": 1.2, "linestyle": (0, (4, 2)), "marker": ""}
        self._line(ax, self.thresholds, level)
        peaks = [one.peak for one in self.events]
        ax.plot(self._places()[peaks], self.scores[peaks], "o", color=RED, markersize=3, zorder=3)
        ax.set_yscale(scale)
        self._shade(ax)
        ax.set_ylabel("score", fontsize=9)
        tidy(ax)

    def _scale(self, asked: str) -> str:
        """Of the axis of the score."""
        positive = self.scores.min() > 0 and self.thresholds.min() > 0
        if asked == "auto":
            wide = positive and self.scores.max() > WIDE * np.median(self.scores)
            return "log" if wide else "linear"
        if asked == "log" and not positive:
            raise InputError("A logarithmic axis needs scores and thresholds above 0; use linear.")
        return asked

    def _mark_labels(self, ax: Axes) -> None:
        """Bars along the bottom for the steps that are known to be anomalies."""
        if self.labels is None:
            return
        low, high = ax.transData.transform([(0, one) for one in ax.get_ylim()])[:, 1]
        room = (0, low - 0.1 * (high - low))
        ax.set_ylim(bottom=float(ax.transData.inverted().transform(room)[1]))
        spans = self._spans([(a, b) for a, b in find_clusters(self.labels, 1).tolist()])
        across = ax.get_xaxis_transform()
        ax.broken_barh(spans, (0, 0.06), transform=across, color=GREEN, linewidth=0.8, zorder=2.5)

    def _draw_axis(self, ax: Axes) -> None:
        ax.margins(x=0.01)
        if self.times is not None and self.times[1]:
            date_axis(ax)
        elif self.times is None:
            ax.xaxis.set_major_locator(whole_ticks())

    def _handles(self, below: Axes) -> list[Any]:
        score, threshold = below.get_lines()[:2]
        score.set_label("score")
        threshold.set_label("threshold")
        handles: list[Any] = [score, threshold]
        if self.events:
            handles.append(Patch(color=RED, alpha=0.2, label="event"))
            handles.append(Line2D([], [], color=RED, marker="o", markersize=3, linewidth=0,
                                  label="peak"))  # fmt: skip
        if self.labels is not None:
            handles.append(Patch(color=GREEN, label="known anomaly"))
        return handles

    def _title(self, shown: int) -> str:
        features = self.series.shape[1]
        count = len(self.events)
        found = f"{count:,} event{'' if count == 1 else 's'}" if count else "no events"
        where = f" in {self.name}" if self.name else ""
        which = "those most at fault" if any(one.features for one in self.events) else "the first"
        left_out = f" ({shown} of {features} features, {which})" if shown < features else ""
        return f"Anomalies{where}: {found}{left_out}"


def _flags(labels: npt.ArrayLike) -> npt.NDArray[np.bool_]:
    """Labels (T,) as truth values; -1, and what is missing, would count as True."""
    (flags,) = read_flags("labels", [labels])
    return flags


def _column(ax: Any, rows: int) -> tuple[Figure | SubFigure, npt.NDArray[Any]]:
    """Axes above each other and their figure: those given, or new ones, the last one higher."""
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


def _most_at_fault(
    events: Sequence[Event], names: tuple[str, ...] | None, features: int
) -> npt.NDArray[np.intp]:
    """The features by the sum of their shares in the events, the largest first."""
    known = names or tuple(f"feature {i}" for i in range(features))
    shares = dict.fromkeys(known, 0.0)
    for event in events:
        for name, share in event.features:
            if name not in shares:
                raise InputError(
                    f"Expected `feature_names` that name the features of the events, {name!r} "
                    f"among them, got {', '.join(known[:10])}."
                )
            shares[name] += share
    return np.argsort([-shares[name] for name in known], kind="stable")
