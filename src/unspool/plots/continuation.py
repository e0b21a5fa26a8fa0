"""`ContinuationDisplay`: sequences, their forecasts, and the true continuations."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure, SubFigure

from unspool import _checks
from unspool.data.convert import as_sequences
from unspool.data.sequences import as_floats, check_feature_names
from unspool.errors import InputError
from unspool.plots._style import (
    BLUE,
    GREY,
    RED,
    check_finite,
    check_fitted_with,
    chosen_rows,
    feature_label,
    integer_ticks,
    n_outputs,
    panels,
    targets_of,
    tidy,
)
from unspool.plots.forecast import as_continuations


class ContinuationDisplay:
    """Plot sequences (grey) with their forecasts (red) and true continuations (blue).

    The panels have one row per sequence and one column per feature.

    Parameters
    ----------
    pasts : list of N arrays of shape (T_i, F)
        The sequences that the model read.
    forecasts : array of shape (N, K, F)
        Forecast of the K steps after each sequence.
    truths : array of shape (N, K, F), optional
        True values of those steps.
    names : sequence of N str or int, optional
        Names of the sequences for the titles; 0, 1, … by default.
    feature_names : sequence of F strings, optional
        Axis labels of the features.

    Attributes
    ----------
    errors : array of shape (N,), or None
        Mean squared error of every forecast over its steps and features; None without `truths`.
    ax_ : array of Axes of shape (N, min(F, max_features))
        The axes drawn into.
    figure_ : Figure
        The figure that contains the axes.

    See Also
    --------
    ForecastDisplay : Plots one forecast step over all windows of a series.
    LSTMForecaster.forecast : Computes the forecasts.

    Examples
    --------
    >>> from unspool.plots import ContinuationDisplay
    >>> display = ContinuationDisplay([np.zeros((4, 1))], np.ones((1, 2, 1)), np.zeros((1, 2, 1)))
    >>> display.errors
    array([1.])
    """

    ax_: npt.NDArray[Any]
    figure_: Figure | SubFigure

    def __init__(
        self,
        pasts: Sequence[npt.ArrayLike],
        forecasts: npt.ArrayLike,
        truths: npt.ArrayLike | None = None,
        names: Sequence[Any] | None = None,
        feature_names: Sequence[str] | None = None,
    ) -> None:
        self.pasts = [as_floats(past, f"past {i}") for i, past in enumerate(pasts)]
        self.forecasts = check_finite(forecasts, "the forecasts", "(N, K, F)")
        self.truths = (
            None
            if truths is None
            else check_finite(truths, "the truths", "(N, K, F)", missing=True)
        )
        n, _, features = self.forecasts.shape
        if len(self.pasts) != n:
            raise InputError(
                f"Expected {n} sequences in `pasts`, one for each forecast, got {len(self.pasts)}."
            )
        for i, past in enumerate(self.pasts):
            if past.ndim != 2 or past.shape[1] != features:
                raise InputError(
                    f"Expected every past of shape (steps, {features}), with the features of the "
                    f"forecasts, got shape {past.shape} for sequence {i}."
                )
        if self.truths is not None and self.truths.shape != self.forecasts.shape:
            raise InputError(
                f"Expected truths of shape {self.forecasts.shape} like the forecasts, got "
                f"{self.truths.shape}."
            )
        self.names = list(range(n)) if names is None else list(names)
        if len(self.names) != n:
            raise InputError(f"Expected {n} names, got {len(self.names)}.")
        self.feature_names = check_feature_names(feature_names, features)
        self.errors = None
        if self.truths is not None:
            squares = np.square(self.truths - self.forecasts, dtype=np.float64)
            present = ~np.isnan(squares)
            total = squares.sum(axis=(1, 2), where=present)
            count = present.sum(axis=(1, 2))
            self.errors = np.where(count, total / np.maximum(count, 1), np.nan)

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        y: npt.ArrayLike | None = None,
        indices: npt.ArrayLike | slice | None = None,
        *,
        n_sequences: int = 5,
        future: npt.ArrayLike | None = None,
        ax: Any = None,
        **kwargs: Any,
    ) -> "ContinuationDisplay":
        """Forecast the sequences that are shown, and draw them.

        Parameters
        ----------
        estimator : estimator
            A fitted estimator with the method `forecast`.
        X : array of shape (N, T, F), or other input of `as_sequences`
            The sequences to choose from.
        y : array of shape (N, K, F), optional
            True values of the K steps after each sequence. The shapes (N, K), (N, F) and (N,) are
            accepted if K or F is 1.
        indices : array of int, slice or mask, optional
            Indices of the sequences to show; by default `n_sequences` evenly spaced ones.
        n_sequences : int, default 5
            Number of sequences to show if `indices` is not given.
        future : array of shape (N, K, n_known), optional
            The features that are known ahead, for an estimator that was fitted with such features.
        ax : array of N × min(F, max_features) Axes, optional
            Axes to draw into; a new figure by default.
        **kwargs
            Passed to `plot`.

        Returns
        -------
        ContinuationDisplay
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
        >>> from unspool.plots import ContinuationDisplay
        >>> X = np.sin(np.arange(30)[:, None, None] + np.arange(8)[:, None] / 3)
        >>> model = LSTMForecaster(units=4, epochs=1, verbose=0, random_state=0).fit(X)
        >>> display = ContinuationDisplay.from_estimator(model, X[:, :-1], X[:, -1])
        >>> display.errors.shape
        (5,)
        """
        check_fitted_with(estimator, "forecast")
        _checks.raise_all(_checks.whole("n_sequences", n_sequences, 1))
        source = as_sequences(X, "mask")  # the estimator refuses missing values, if it must
        features = n_outputs(estimator, source)
        truths = None if y is None else as_continuations(y, "y", features)
        if truths is not None and len(truths) != len(source):
            raise InputError(f"Expected {len(source)} continuations in `y`, got {len(truths)}.")
        chosen = chosen_rows(len(source), indices, n_sequences)
        few = source[chosen]
        shown = targets_of(estimator, few)
        if shown.n_features != features:
            raise InputError(
                "This estimator predicts a quantity that is no feature, so it does not continue "
                "the sequences; draw it with ForecastDisplay."
            )
        ahead = () if future is None else (as_floats(future, "`future`")[chosen],)
        display = cls(
            list(shown),
            as_continuations(estimator.forecast(few, *ahead), "the forecast", features),
            None if truths is None else truths[chosen],
            chosen.tolist(),
            shown.feature_names,
        )
        return display.plot(ax, **kwargs)

    def plot(
        self,
        ax: Any = None,
        *,
        max_features: int = 3,
        past_kw: dict[str, Any] | None = None,
        truth_kw: dict[str, Any] | None = None,
        forecast_kw: dict[str, Any] | None = None,
    ) -> "ContinuationDisplay":
        """Draw one row of panels per sequence and one column per feature.

        Step 0 is the last step that the model read; the forecast begins at step 1.

        Parameters
        ----------
        ax : array of N × min(F, max_features) Axes, optional
            Axes to draw into; a new figure by default.
        max_features : int, default 3
            Maximum number of features to show, the first ones.
        past_kw : dict, optional
            Passed to `Axes.plot` for the sequences.
        truth_kw : dict, optional
            Passed to `Axes.plot` for the true continuations.
        forecast_kw : dict, optional
            Passed to `Axes.plot` for the forecasts.

        Returns
        -------
        ContinuationDisplay
            The same display, with `ax_` and `figure_` set.

        Raises
        ------
        InputError
            If `max_features` is below 1, or the number of axes is wrong.
        """
        _checks.raise_all(_checks.whole("max_features", max_features, 1))
        n, _, features = self.forecasts.shape
        columns = min(features, max_features)
        self.figure_, self.ax_ = panels(ax, n, columns)
        styles: tuple[dict[str, Any], ...] = (
            {"color": GREY, "linewidth": 1.2, "label": "past", **(past_kw or {})},
            {"color": BLUE, "linewidth": 2.6, "alpha": 0.55, "label": "truth", **(truth_kw or {})},
            {"color": RED, "linewidth": 1.3, "label": "forecast", **(forecast_kw or {})},
        )
        for row in range(n):
            for column in range(columns):
                panel = self.ax_[row, column]
                for (steps, values), style in zip(self._lines(row, column), styles, strict=True):
                    if len(values):
                        marker = "o" if len(values) == 1 else None
                        panel.plot(steps, values, **{"marker": marker, **style})
                panel.axvline(0, color=GREY, linewidth=0.8, linestyle=(0, (4, 3)))
                panel.xaxis.set_major_locator(integer_ticks(6 if columns > 1 else 10))
                panel.set_ylabel(feature_label(self.feature_names, features, column), fontsize=9)
                panel.margins(x=0.01)
                tidy(panel)
            error = "" if self.errors is None else f" · MSE {self.errors[row]:.3g}"
            title = f"sequence {self.names[row]}{error}"
            self.ax_[row, 0].set_title(title, loc="left", fontsize=10)
        for panel in self.ax_[-1]:
            panel.set_xlabel("time steps after the input", fontsize=9)
        longest = int(np.argmax([len(past) for past in self.pasts]))
        handles = self.ax_[longest, 0].get_lines()[:-1]
        if ax is not None:
            self.ax_[0, -1].legend(handles=handles, frameon=False, fontsize=9)
            return self
        left_out = f" (first {columns} of {features} features)" if columns < features else ""
        self.figure_.suptitle(f"Past and forecast{left_out}")
        self.figure_.legend(handles=handles, loc="outside lower center", ncols=3, frameon=False)
        return self

    def _lines(
        self, row: int, column: int
    ) -> list[tuple[npt.NDArray[Any], npt.NDArray[np.floating[Any]]]]:
        """Return steps and values of past, truth and forecast; the latter two continue the past."""
        past = self.pasts[row][:, column]
        lines = [(np.arange(1 - len(past), 1), past)]
        for values in (self.truths, self.forecasts):
            after = past[:0] if values is None else values[row, :, column]
            joined = np.concatenate([past[-1:], after]) if len(after) else after
            lines.append((np.arange(len(joined)) + 1 - len(past[-1:]), joined))
        return lines
