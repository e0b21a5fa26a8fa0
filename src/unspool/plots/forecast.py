"""Forecasts over the windows of a series: `ForecastDisplay`, and `ForecastByStepDisplay`."""

from collections.abc import Mapping
from typing import Any

import matplotlib
import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure

from unspool import _checks
from unspool.data.convert import as_sequences
from unspool.data.sequences import FloatArray, Sequences, as_floats
from unspool.errors import InputError
from unspool.plots._style import (
    BLUE,
    GREEN,
    PALETTE,
    RED,
    beside,
    check_finite,
    check_fitted_with,
    number_bar,
    one_axes,
    tidy,
    whole_ticks,
)

LOOKS: tuple[dict[str, Any], ...] = (
    {"color": RED, "linewidth": 1.6},
    {"color": GREEN, "linewidth": 1.6, "linestyle": (0, (4, 4))},
    *({"color": color, "linewidth": 1.2, "linestyle": "dotted"} for color in PALETTE),
)
MOST_NAMED = 10  # steps that a legend has room for


class ForecastDisplay:
    """The truth (blue), and one or more predictions of it over it (red, dashed green, ...).

    Parameters
    ----------
    truth : array of shape (N,)
        What came after each of N windows.
    predictions : dict of name to array of shape (N,)
        What was forecast, by the names in the legend.

    Attributes
    ----------
    errors : dict of name to float
        Mean squared error of every prediction.
    ax_, figure_
        Where `plot` drew.

    Examples
    --------
    >>> display = ForecastDisplay([0.0, 1.0], {"unspool": [0.0, 1.5], "NumPy": [0.0, 1.5]})
    >>> display.errors
    {'unspool': 0.125, 'NumPy': 0.125}
    """

    ax_: Axes
    figure_: Figure | SubFigure

    def __init__(self, truth: npt.ArrayLike, predictions: Mapping[str, npt.ArrayLike]) -> None:
        self.truth = check_finite(truth, "the truth", "(N,)")
        if not predictions:
            raise InputError("Expected at least one prediction by its name, got none.")
        self.predictions: dict[str, FloatArray] = {}
        for name, values in predictions.items():
            array = check_finite(values, f"the prediction {name!r}", "(N,)")
            if array.shape != self.truth.shape:
                raise InputError(
                    f"Expected {len(self.truth)} values in the prediction {name!r} as in the "
                    f"truth, got {len(array)}."
                )
            self.predictions[name] = array
        self.errors = {
            name: float(np.mean(np.square(self.truth - values, dtype=np.float64)))
            for name, values in self.predictions.items()
        }

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        y: npt.ArrayLike,
        *,
        ahead: int = 1,
        feature: int = 0,
        name: str | None = None,
        ax: Axes | None = None,
        **kwargs: Any,
    ) -> "ForecastDisplay":
        """Forecast from every window of `X` and draw one step of the forecast over the truth.

        Parameters
        ----------
        estimator : fitted estimator with `forecast`
        X : whatever `as_sequences` reads, in the order of time
        y : array of shape (N, K, F), or (N, K), (N, F) or (N,) where K or F is 1
            What came after each window.
        ahead : int, default 1
            Which of the K steps after a window to show, counted from 1.
        feature : int, default 0
            Which of the F features to show.
        name : str, optional
            The forecast's name in the legend; that of the estimator's class by default.
        ax : Axes, optional
            Where to draw; a new figure by default.
        **kwargs
            Passed to `plot`.
        """
        check_fitted_with(estimator, "forecast")
        features = as_sequences(X).n_features
        truth = as_continuations(y, "y", features)
        forecast = as_continuations(estimator.forecast(X), "the forecast", features)
        _checks.raise_all(
            _checks.whole("ahead", ahead, 1),
            _checks.whole("feature", feature, 0),
            _same_shape(truth, forecast),
        )
        steps = truth.shape[1]
        if ahead > steps or feature >= features:
            raise InputError(
                f"Expected `ahead` up to {steps} and `feature` below {features}, as in `y`, got "
                f"{ahead} and {feature}."
            )
        shown = np.s_[:, ahead - 1, feature]
        name = type(estimator).__name__ if name is None else name
        return cls(truth[shown], {name: forecast[shown]}).plot(ax, **kwargs)

    def plot(
        self, ax: Axes | None = None, *, truth_kw: dict[str, Any] | None = None
    ) -> "ForecastDisplay":
        """Draw the lines; the legend tells the mean squared error of every prediction.

        Parameters
        ----------
        ax : Axes, optional
            Where to draw; a new figure by default.
        truth_kw : dict, optional
            Passed to `Axes.plot` for the truth.
        """
        self.figure_, self.ax_ = _, ax = one_axes(ax, height=4.2)
        marker = "o" if len(self.truth) == 1 else None
        style = {"color": BLUE, "linewidth": 2.8, "alpha": 0.55, "label": "truth", "marker": marker}
        ax.plot(self.truth, **{**style, **(truth_kw or {})})
        for i, (name, values) in enumerate(self.predictions.items()):
            look = LOOKS[i % len(LOOKS)]
            ax.plot(values, marker=marker, label=f"{name} · MSE {self.errors[name]:.3g}", **look)
        ax.legend(ncols=min(1 + len(self.predictions), 4), loc="lower right", bbox_to_anchor=(1, 1),
                  frameon=False, borderaxespad=0.2)  # fmt: skip
        ax.margins(x=0.01)
        ax.xaxis.set_major_locator(whole_ticks())
        ax.set(xlabel="window", ylabel="value")
        ax.set_title("Forecast", loc="left")
        tidy(ax)
        return self


class ForecastByStepDisplay:
    """What a model forecasts after each step that it reads, coloured by step, over the truth.

    Parameters
    ----------
    truth : array of shape (N,)
        What came after each of N windows.
    by_step : array of shape (T, N)
        What was forecast for it after 1, 2, ... T steps of the window.

    Attributes
    ----------
    errors : array of shape (T,)
        Mean squared error after each step.
    ax_, figure_
        Where `plot` drew.

    Source: the second picture of the article "Implement Keras LSTM feedforward with numpy".

    Examples
    --------
    >>> display = ForecastByStepDisplay([1.0, 1.0], [[0.0, 0.0], [1.0, 0.5]])
    >>> display.errors
    array([1.   , 0.125])
    """

    ax_: Axes
    figure_: Figure | SubFigure

    def __init__(self, truth: npt.ArrayLike, by_step: npt.ArrayLike) -> None:
        self.truth = check_finite(truth, "the truth", "(N,)")
        self.by_step = check_finite(by_step, "`by_step`", "(T, N)")
        if self.by_step.shape[1:] != self.truth.shape:
            raise InputError(
                f"Expected {len(self.truth)} values in each row of `by_step` as in the truth, "
                f"got {self.by_step.shape[1]}."
            )
        self.errors = np.mean(np.square(self.by_step - self.truth, dtype=np.float64), axis=1)

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        y: npt.ArrayLike,
        *,
        feature: int = 0,
        ax: Axes | None = None,
        **kwargs: Any,
    ) -> "ForecastByStepDisplay":
        """Forecast from the first step of every window, from the first two, and so on.

        Parameters
        ----------
        estimator : fitted estimator with `forecast`
        X : whatever `as_sequences` reads, in the order of time
        y : array of shape (N, K, F), or (N, K), (N, F) or (N,) where K or F is 1
            What came after each window; its first step is shown.
        feature : int, default 0
            Which of the F features to show.
        ax : Axes, optional
            Where to draw; a new figure by default.
        **kwargs
            Passed to `plot`.
        """
        check_fitted_with(estimator, "forecast")
        _checks.raise_all(_checks.whole("feature", feature, 0))
        source = as_sequences(X)
        truth = as_continuations(y, "y", source.n_features)
        if feature >= source.n_features:
            raise InputError(f"Expected `feature` below {source.n_features}, got {feature}.")
        values, lengths = source.take(np.arange(len(source)))
        rows = []
        for steps in range(1, values.shape[1] + 1):
            cut = Sequences(values[:, :steps], np.minimum(lengths, steps), source.feature_names)
            forecast = as_continuations(estimator.forecast(cut), "the forecast", source.n_features)
            _checks.raise_all(_same_shape(truth, forecast))
            rows.append(forecast[:, 0, feature])
        return cls(truth[:, 0, feature], rows).plot(ax, **kwargs)

    def plot(self, ax: Axes | None = None, **kwargs: Any) -> "ForecastByStepDisplay":
        """Draw the truth in red and a line for each step; many steps get a colour bar.

        Parameters
        ----------
        ax : Axes, optional
            Where to draw; a new figure by default.
        **kwargs
            Passed to `Axes.plot` for the line of every step.
        """
        self.figure_, self.ax_ = _, ax = one_axes(ax, height=4.2)
        steps = len(self.by_step)
        few = steps <= MOST_NAMED
        scale = matplotlib.colormaps["cool"].resampled(steps)
        marker = "o" if len(self.truth) == 1 else None
        ax.plot(self.truth, color=RED, linewidth=3.6, alpha=0.6, label="truth", marker=marker)
        for i, values in enumerate(self.by_step):
            style = {"color": scale(i), "linewidth": 1.2, "marker": marker}
            ax.plot(values, **{**style, "label": f"t = {i + 1}", **kwargs})
        named = ax.get_lines()[-steps - 1 :][: None if few else 1]
        ax.legend(
            handles=named, **(beside(ax) if few else {"frameon": False, "loc": "upper right"})
        )
        if not few:
            number_bar(ax, scale, 1, "t, steps read")
        ax.margins(x=0.01)
        ax.xaxis.set_major_locator(whole_ticks())
        ax.set(xlabel="window", ylabel="value", title="Forecast after t steps of the window")
        tidy(ax)
        return self


def as_continuations(values: npt.ArrayLike, what: str, features: int = 1) -> FloatArray:
    """What comes after N sequences, as (N, K, F).

    From that; from (N, K) where there is one feature; from (N, F), a single step; or from (N,).
    """
    array = as_floats(values, what)
    if array.ndim == 1:
        array = array[:, None]
    if array.ndim == 2:
        array = array[:, :, None] if features == 1 else array[:, None]
    if array.ndim != 3 or 0 in array.shape or array.shape[2] != features:
        raise InputError(
            f"Expected {what} of shape (N, K, F) with F = {features}, of fewer axes where K or F "
            f"is 1, got shape {np.shape(values)}."
        )
    return array


def _same_shape(truth: FloatArray, forecast: FloatArray) -> _checks.Complaint:
    if truth.shape == forecast.shape:
        return None
    return (
        "Expected `y` and the forecast of the same shape (N, K, F), got "
        f"{truth.shape} and {forecast.shape}."
    )
