"""`ContinuationDisplay`: sequences, what came after them, and what a model forecast."""

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
    panels,
    tidy,
    whole_ticks,
)
from unspool.plots.forecast import as_continuations


class ContinuationDisplay:
    """Past (grey), truth (blue) and forecast (red): a row of panels a sequence, a column a feature.

    Parameters
    ----------
    pasts : list of N arrays of shape (T_i, F)
        What the model read.
    forecasts : array of shape (N, K, F)
    truths : array of shape (N, K, F), optional
        What came after.
    names : sequence of N names or numbers, optional
        What the titles call the sequences; 0, 1, ... by default.
    feature_names : sequence of F strings, optional

    Attributes
    ----------
    errors : array of shape (N,)
        Mean squared error of every forecast over its steps and features; None without the truth.
    ax_ : array of Axes of shape (N, shown features)
    figure_
        Where `plot` drew.

    Examples
    --------
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
        self.truths = None if truths is None else check_finite(truths, "the truths", "(N, K, F)")
        n, _, features = self.forecasts.shape
        if len(self.pasts) != n:
            raise InputError(f"Expected a past for each of {n} forecasts, got {len(self.pasts)}.")
        for i, past in enumerate(self.pasts):
            if past.ndim != 2 or past.shape[1] != features:
                raise InputError(
                    f"Expected every past as (steps, {features}), of as many features as the "
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
            apart = np.square(self.truths - self.forecasts, dtype=np.float64)
            self.errors = np.mean(apart, axis=(1, 2))

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        y: npt.ArrayLike | None = None,
        indices: npt.ArrayLike | slice | None = None,
        *,
        n_sequences: int = 5,
        ax: Any = None,
        **kwargs: Any,
    ) -> "ContinuationDisplay":
        """Forecast a few sequences of `X`, and only those, and draw them.

        Parameters
        ----------
        estimator : fitted estimator with `forecast`
        X : whatever `as_sequences` reads
        y : array of shape (N, K, F), or (N, K), (N, F) or (N,) where K or F is 1; optional
            What came after each sequence.
        indices : indices, a slice or a mask, optional
            Which sequences to show; `n_sequences`, evenly spread over `X`, by default.
        n_sequences : int, default 5
        ax : array of Axes, optional
            See `plot`.
        **kwargs
            Passed to `plot`.
        """
        check_fitted_with(estimator, "forecast")
        _checks.raise_all(_checks.whole("n_sequences", n_sequences, 1))
        source = as_sequences(X)
        features = source.n_features
        truths = None if y is None else as_continuations(y, "y", features)
        if truths is not None and len(truths) != len(source):
            raise InputError(f"Expected {len(source)} continuations in `y`, got {len(truths)}.")
        chosen = chosen_rows(len(source), indices, n_sequences)
        few = source[chosen]
        display = cls(
            list(few),
            as_continuations(estimator.forecast(few), "the forecast", features),
            None if truths is None else truths[chosen],
            chosen.tolist(),
            source.feature_names,
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
        """Draw a row of panels for every sequence, a column for every feature.

        The past ends at step 0, the last one that the model read; the forecast begins at 1.

        Parameters
        ----------
        ax : array of N × min(F, max_features) Axes, optional
            Where to draw; a new figure by default.
        max_features : int, default 3
            Features shown, the first ones.
        past_kw, truth_kw, forecast_kw : dict, optional
            Passed to `Axes.plot` for each of the three.
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
                panel.xaxis.set_major_locator(whole_ticks(6 if columns > 1 else 10))
                panel.set_ylabel(feature_label(self.feature_names, features, column), fontsize=9)
                panel.margins(x=0.01)
                tidy(panel)
            told = "" if self.errors is None else f" · MSE {self.errors[row]:.3g}"
            self.ax_[row, 0].set_title(f"sequence {self.names[row]}{told}", loc="left", fontsize=10)
        for panel in self.ax_[-1]:
            panel.set_xlabel("step after the last one read", fontsize=9)
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
        """Steps and values of past, truth and forecast; these two go on from the past's end."""
        past = self.pasts[row][:, column]
        lines = [(np.arange(1 - len(past), 1), past)]
        for values in (self.truths, self.forecasts):
            after = past[:0] if values is None else values[row, :, column]
            joined = np.concatenate([past[-1:], after]) if len(after) else after
            lines.append((np.arange(len(joined)) + 1 - len(past[-1:]), joined))
        return lines
