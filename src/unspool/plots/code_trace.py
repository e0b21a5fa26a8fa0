"""`CodeTraceDisplay`: the codes of consecutive windows over time."""

from typing import Any

import matplotlib
import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure

from unspool.errors import InputError
from unspool.plots._style import (
    PALETTE,
    check_codes,
    check_fitted_with,
    integer_ticks,
    legend_place,
    number_bar,
    one_axes,
    tidy,
)


class CodeTraceDisplay:
    """Plot each dimension of the code as a line over consecutive windows.

    For a periodic signal the codes repeat after one cycle, so the windows of one cycle show the
    whole trajectory.

    Parameters
    ----------
    codes : array of shape (N, L)
        The codes (latent vectors) of N consecutive windows, with L dimensions.
    start : array of shape (N,), optional
        First time step of every window, as in ``windows.place(range(len(windows)))[1]``. The
        index of the window by default.

    Attributes
    ----------
    codes : array of shape (N, L)
        The codes.
    start : array of shape (N,), or None
        First time step of every window.
    ax_ : Axes
        The axes drawn into.
    figure_ : Figure
        The figure that contains the axes.

    See Also
    --------
    CodeScatterDisplay : Plots codes as points in two dimensions.

    Examples
    --------
    >>> from unspool.plots import CodeTraceDisplay
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
        estimator : estimator
            A fitted estimator with the method `transform`.
        X : Windows, array of shape (N, T, F), or other input of `transform`
            The windows to encode, in the order of time.
        start : array of shape (N,), optional
            First time step of every window; the index of the window by default.
        ax : Axes, optional
            Axes to draw into; a new figure by default.
        **kwargs
            Passed to `plot`.

        Returns
        -------
        CodeTraceDisplay
            The display, already drawn.

        Raises
        ------
        InputError
            If the estimator has no `transform`, or `start` has a wrong shape.
        sklearn.exceptions.NotFittedError
            If the estimator is not fitted.

        Examples
        --------
        >>> from sklearn.decomposition import PCA
        >>> from unspool.plots import CodeTraceDisplay
        >>> windows = np.sin(np.arange(50)[:, None] + np.arange(6))
        >>> display = CodeTraceDisplay.from_estimator(PCA(2).fit(windows), windows)
        >>> display.codes.shape
        (50, 2)
        """
        check_fitted_with(estimator, "transform")
        return cls(estimator.transform(X), start).plot(ax, **kwargs)

    def plot(self, ax: Axes | None = None, **kwargs: Any) -> "CodeTraceDisplay":
        """Draw a line for each dimension, with a legend for up to ten and a colour bar for more.

        Parameters
        ----------
        ax : Axes, optional
            Axes to draw into; a new figure by default.
        **kwargs
            Passed to `Axes.plot` for every line.

        Returns
        -------
        CodeTraceDisplay
            The same display, with `ax_` and `figure_` set.
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
            ax.legend(title="dimension", **legend_place(ax))
        else:
            number_bar(ax, scale, 0, "dimension")
        ax.xaxis.set_major_locator(integer_ticks())
        ax.set(
            xlabel="window index" if self.start is None else "first time step of the window",
            ylabel="code",
            title=f"Code with {dimensions} dimension{'s' * (dimensions > 1)} over {n} windows",
        )
        tidy(ax)
        return self
