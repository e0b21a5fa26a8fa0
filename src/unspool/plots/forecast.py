"""Forecasts over all windows of a series: `ForecastDisplay` and `ForecastByStepDisplay`."""

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
    check_finite,
    check_fitted_with,
    integer_ticks,
    legend_place,
    n_outputs,
    number_bar,
    one_axes,
    tidy,
)

PREDICTION_STYLES: tuple[dict[str, Any], ...] = (
    {"color": RED, "linewidth": 1.6},
    {"color": GREEN, "linewidth": 1.6, "linestyle": (0, (4, 4))},
    *({"color": color, "linewidth": 1.2, "linestyle": "dotted"} for color in PALETTE),
)
MAX_LEGEND = 10  # lines that fit in a legend


class ForecastDisplay:
    """Plot one or more forecasts (red, dashed green, …) over the true values (blue).

    Parameters
    ----------
    truth : array of shape (N,)
        True value after each of N windows.
    predictions : dict of str to array of shape (N,)
        Forecasts of these values, by their names for the legend.

    Attributes
    ----------
    truth : array of shape (N,)
        The true values.
    predictions : dict of str to array of shape (N,)
        The forecasts.
    errors : dict of str to float
        Mean squared error of every forecast.
    ax_ : Axes
        The axes drawn into.
    figure_ : Figure
        The figure that contains the axes.

    See Also
    --------
    ForecastByStepDisplay : Plots the forecast after each step of the windows.
    ContinuationDisplay : Plots forecasts of several steps after a few sequences.

    Examples
    --------
    >>> from unspool.plots import ForecastDisplay
    >>> display = ForecastDisplay([0.0, 1.0], {"unspool": [0.0, 1.5], "NumPy": [0.0, 1.5]})
    >>> display.errors
    {'unspool': 0.125, 'NumPy': 0.125}
    >>> display.plot().ax_.get_xlabel()
    'window index'
    """

    ax_: Axes
    figure_: Figure | SubFigure

    def __init__(self, truth: npt.ArrayLike, predictions: Mapping[str, npt.ArrayLike]) -> None:
        self.truth = check_finite(truth, "the truth", "(N,)")
        if not predictions:
            raise InputError("Expected at least one forecast in `predictions`, got none.")
        self.predictions: dict[str, FloatArray] = {}
        for name, values in predictions.items():
            array = check_finite(values, f"the prediction {name!r}", "(N,)")
            if array.shape != self.truth.shape:
                raise InputError(
                    f"Expected {len(self.truth)} values in the prediction {name!r}, as in the "
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
        future: npt.ArrayLike | None = None,
        ax: Axes | None = None,
        **kwargs: Any,
    ) -> "ForecastDisplay":
        """Forecast from every window of `X`, and draw one step of the forecasts.

        Parameters
        ----------
        estimator : estimator
            A fitted estimator with the method `forecast`.
        X : Windows, array of shape (N, T, F), or other input of `as_sequences`
            The windows, in the order of time.
        y : array of shape (N, K, F)
            True values of the K steps after each window. The shapes (N, K), (N, F) and (N,) are
            accepted if K or F is 1.
        ahead : int, default 1
            Step of the forecast to show, from 1 to K.
        feature : int, default 0
            Index of the feature to show, below F.
        name : str, optional
            Name of the forecast in the legend; by default the name of the estimator's class.
        future : array of shape (N, K, n_known), optional
            The features that are known ahead, for an estimator that was fitted with such features.
        ax : Axes, optional
            Axes to draw into; a new figure by default.
        **kwargs
            Passed to `plot`.

        Returns
        -------
        ForecastDisplay
            The display, already drawn.

        Raises
        ------
        InputError
            If the estimator has no `forecast`, or the arguments do not match.
        sklearn.exceptions.NotFittedError
            If the estimator is not fitted.

        Examples
        --------
        >>> from unspool import LSTMForecaster
        >>> from unspool.plots import ForecastDisplay
        >>> X = np.sin(np.arange(30)[:, None, None] + np.arange(8)[:, None] / 3)
        >>> model = LSTMForecaster(units=4, epochs=1, verbose=0, random_state=0).fit(X)
        >>> display = ForecastDisplay.from_estimator(model, X[:, :-1], X[:, -1])
        >>> display.truth.shape, list(display.predictions)
        ((30,), ['LSTMForecaster'])
        """
        check_fitted_with(estimator, "forecast")
        features = n_outputs(estimator, as_sequences(X, "mask"))
        truth = as_continuations(y, "y", features)
        ahead_of = () if future is None else (future,)
        forecast = as_continuations(estimator.forecast(X, *ahead_of), "the forecast", features)
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
        """Draw the lines; the legend shows the mean squared error of every forecast.

        Parameters
        ----------
        ax : Axes, optional
            Axes to draw into; a new figure by default.
        truth_kw : dict, optional
            Passed to `Axes.plot` for the true values.

        Returns
        -------
        ForecastDisplay
            The same display, with `ax_` and `figure_` set.
        """
        self.figure_, self.ax_ = _, ax = one_axes(ax, height=4.2)
        marker = "o" if len(self.truth) == 1 else None
        style = {"color": BLUE, "linewidth": 2.8, "alpha": 0.55, "label": "truth", "marker": marker}
        ax.plot(self.truth, **{**style, **(truth_kw or {})})
        for i, (name, values) in enumerate(self.predictions.items()):
            line = PREDICTION_STYLES[i % len(PREDICTION_STYLES)]
            ax.plot(values, marker=marker, label=f"{name} · MSE {self.errors[name]:.3g}", **line)
        ax.legend(ncols=min(1 + len(self.predictions), 4), loc="lower right", bbox_to_anchor=(1, 1),
                  frameon=False, borderaxespad=0.2)  # fmt: skip
        ax.margins(x=0.01)
        ax.xaxis.set_major_locator(integer_ticks())
        ax.set(xlabel="window index", ylabel="value")
        ax.set_title("Forecast", loc="left")
        tidy(ax)
        return self


class ForecastByStepDisplay:
    """Plot the forecasts after 1, 2, …, T steps of each window over the true values (red).

    Each number of steps has one line; the lines show how the forecast improves as the model reads
    more of the window.

    Parameters
    ----------
    truth : array of shape (N,)
        True value after each of N windows.
    by_step : array of shape (T, N)
        Forecasts of these values after 1, 2, …, T steps of the window.

    Attributes
    ----------
    truth : array of shape (N,)
        The true values.
    by_step : array of shape (T, N)
        The forecasts.
    errors : array of shape (T,)
        Mean squared error after each number of steps.
    ax_ : Axes
        The axes drawn into.
    figure_ : Figure
        The figure that contains the axes.

    See Also
    --------
    ForecastDisplay : Plots the forecast after the whole window.

    References
    ----------
    .. [1] "Implement Keras LSTM feedforward with numpy", second figure.

    Examples
    --------
    >>> from unspool.plots import ForecastByStepDisplay
    >>> display = ForecastByStepDisplay([1.0, 1.0], [[0.0, 0.0], [1.0, 0.5]])
    >>> display.errors
    array([1.   , 0.125])
    >>> display.plot().ax_.get_ylabel()
    'value'
    """

    ax_: Axes
    figure_: Figure | SubFigure

    def __init__(self, truth: npt.ArrayLike, by_step: npt.ArrayLike) -> None:
        self.truth = check_finite(truth, "the truth", "(N,)")
        self.by_step = check_finite(by_step, "`by_step`", "(T, N)")
        if self.by_step.shape[1:] != self.truth.shape:
            raise InputError(
                f"Expected {len(self.truth)} values in each row of `by_step`, as in the truth, "
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
        future: npt.ArrayLike | None = None,
        ax: Axes | None = None,
        **kwargs: Any,
    ) -> "ForecastByStepDisplay":
        """Forecast from the first 1, 2, …, T steps of every window, and draw the forecasts.

        Parameters
        ----------
        estimator : estimator
            A fitted estimator with the method `forecast`.
        X : Windows, array of shape (N, T, F), or other input of `as_sequences`
            The windows, in the order of time.
        y : array of shape (N, K, F)
            True values of the K steps after each window, of which the first is shown. The shapes
            (N, K), (N, F) and (N,) are accepted if K or F is 1.
        feature : int, default 0
            Index of the feature to show, below F.
        future : array of shape (N, K, n_known), optional
            The features that are known ahead, for an estimator that was fitted with such features.
        ax : Axes, optional
            Axes to draw into; a new figure by default.
        **kwargs
            Passed to `plot`.

        Returns
        -------
        ForecastByStepDisplay
            The display, already drawn.

        Raises
        ------
        InputError
            If the estimator has no `forecast`, or the arguments do not match.
        sklearn.exceptions.NotFittedError
            If the estimator is not fitted.

        Examples
        --------
        >>> from unspool import LSTMForecaster
        >>> from unspool.plots import ForecastByStepDisplay
        >>> X = np.sin(np.arange(30)[:, None, None] + np.arange(8)[:, None] / 3)
        >>> model = LSTMForecaster(units=4, epochs=1, verbose=0, random_state=0).fit(X)
        >>> display = ForecastByStepDisplay.from_estimator(model, X[:, :-1], X[:, -1])
        >>> display.by_step.shape
        (7, 30)
        """
        check_fitted_with(estimator, "forecast")
        _checks.raise_all(_checks.whole("feature", feature, 0))
        source = as_sequences(X, "mask")  # the estimator refuses missing values, if it must
        features = n_outputs(estimator, source)
        truth = as_continuations(y, "y", features)
        if feature >= features:
            raise InputError(f"Expected `feature` below {features}, got {feature}.")
        values, lengths = source.take(np.arange(len(source)))
        ahead_of = () if future is None else (future,)
        rows = []
        for steps in range(1, values.shape[1] + 1):
            ends, names = np.minimum(lengths, steps), source.feature_names
            cut = Sequences(values[:, :steps], ends, names, source.missing)
            forecast = as_continuations(
                estimator.forecast(cut, *ahead_of), "the forecast", features
            )
            _checks.raise_all(_same_shape(truth, forecast))
            rows.append(forecast[:, 0, feature])
        return cls(truth[:, 0, feature], rows).plot(ax, **kwargs)

    def plot(self, ax: Axes | None = None, **kwargs: Any) -> "ForecastByStepDisplay":
        """Draw the true values in red, and a line for each number of steps.

        Up to ten lines have a legend, more have a colour bar.

        Parameters
        ----------
        ax : Axes, optional
            Axes to draw into; a new figure by default.
        **kwargs
            Passed to `Axes.plot` for the line of every number of steps.

        Returns
        -------
        ForecastByStepDisplay
            The same display, with `ax_` and `figure_` set.
        """
        self.figure_, self.ax_ = _, ax = one_axes(ax, height=4.2)
        steps = len(self.by_step)
        few = steps <= MAX_LEGEND
        scale = matplotlib.colormaps["cool"].resampled(steps)
        marker = "o" if len(self.truth) == 1 else None
        ax.plot(self.truth, color=RED, linewidth=3.6, alpha=0.6, label="truth", marker=marker)
        for i, values in enumerate(self.by_step):
            style = {"color": scale(i), "linewidth": 1.2, "marker": marker}
            ax.plot(values, **{**style, "label": f"t = {i + 1}", **kwargs})
        handles = ax.get_lines()[-steps - 1 :][: None if few else 1]
        above = {"loc": "lower right", "bbox_to_anchor": (1, 1), "borderaxespad": 0.2}
        place = legend_place(ax) if few else {**above, "frameon": False}
        ax.legend(handles=handles, **place)
        if not few:
            number_bar(ax, scale, 1, "t (number of steps read)")
        ax.margins(x=0.01)
        ax.xaxis.set_major_locator(integer_ticks())
        ax.set(xlabel="window index", ylabel="value")
        ax.set_title("Forecast after t steps of the window", loc="left")
        tidy(ax)
        return self


def as_continuations(values: npt.ArrayLike, what: str, features: int = 1) -> FloatArray:
    """Return the continuations of N sequences with shape (N, K, F).

    The shape may also be (N, K) with one feature, (N, F) with one step, or (N,) with both.
    """
    array = as_floats(values, what)
    if array.ndim == 1:
        array = array[:, None]
    if array.ndim == 2:
        array = array[:, :, None] if features == 1 else array[:, None]
    if array.ndim != 3 or 0 in array.shape or array.shape[2] != features:
        raise InputError(
            f"Expected {what} of shape (N, K, F) with F = {features}, or of fewer axes if K or F "
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
