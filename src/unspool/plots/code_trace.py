"""`CodeTraceDisplay`: how the code moves from window to window."""

from typing import Any

import matplotlib
import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure

from unspool.errors import InputError
from unspool.plots._style import (
    PALETTE,
    beside,
    check_codes,
    check_fitted_with,
    number_bar,
    one_axes,
    tidy,
    whole_ticks,
)


class CodeTraceDisplay:
    """The dimensions of the code, a line each, over consecutive windows.

    Windows of a periodic signal come back to where they were after one cycle, so one cycle of
    windows shows all of the movement.

    Parameters
    ----------
    codes : array of shape (N, L)
    start : array of shape (N,), optional
        First step of every window, as in ``windows.place(range(len(windows)))[1]``; the number
        of the window by default.

    Attributes
    ----------
    ax_, figure_
        Where `plot` drew.

    Examples
    --------
    >>> display = CodeTraceDisplay(np.zeros((80, 10))).plot()
    >>> len(display.ax_.get_lines())
    10
    """

    ax_: Axes
    figure_: Figure | SubFigure

    def __init__(self, codes: npt.ArrayLike, start: npt.ArrayLike | None = None) -> None:
        self.codes = check_codes(codes)
        self.start = None if start is None else np.asarray(start)
        if self.start is not None and self.start.shape != (len(self.codes),):
            raise InputError(
                f"Expected `start` of shape ({len(self.codes)},), one for every code, "
                f"got {self.start.shape}."
            )

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        *,
        start: npt.ArrayLike | None = None,
        ax: Axes | None = None,
        **kwargs: Any,
    ) -> "CodeTraceDisplay":
        """Encode the windows of `X` and draw their codes.

        Parameters
        ----------
        estimator : fitted estimator with `transform`
        X : whatever its `transform` reads, in the order of time
        start : array of shape (N,), optional
            First step of every window.
        ax : Axes, optional
            Where to draw; a new figure by default.
        **kwargs
            Passed to `plot`.
        """
        check_fitted_with(estimator, "transform")
        return cls(estimator.transform(X), start).plot(ax, **kwargs)

    def plot(self, ax: Axes | None = None, **kwargs: Any) -> "CodeTraceDisplay":
        """Draw the lines; up to ten get a legend, more a colour bar.

        Parameters
        ----------
        ax : Axes, optional
            Where to draw; a new figure by default.
        **kwargs
            Passed to `Axes.plot` for every line.
        """
        self.figure_, self.ax_ = _, ax = one_axes(ax, height=4.2)
        n, dimensions = self.codes.shape
        few = dimensions <= len(PALETTE)
        scale = matplotlib.colormaps["viridis"].resampled(dimensions)
        x = np.arange(n) if self.start is None else self.start
        style = {"linewidth": 1.5 if few else 1.0, "marker": "o" if n == 1 else None}
        for i in range(dimensions):
            color = PALETTE[i] if few else scale(i)
            ax.plot(x, self.codes[:, i], **{"color": color, "label": str(i), **style, **kwargs})
        ax.margins(x=0.01)
        if few:
            ax.legend(title="dimension", **beside(ax))
        else:
            number_bar(ax, scale, 0, "dimension")
        ax.xaxis.set_major_locator(whole_ticks())
        ax.set(
            xlabel="window" if self.start is None else "first step of the window",
            ylabel="code",
            title=f"Code of {dimensions} dimension{'s' * (dimensions > 1)} over {n} windows",
        )
        tidy(ax)
        return self
