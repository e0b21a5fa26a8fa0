"""`CodeScatterDisplay`: codes as points in two dimensions, coloured by class."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from sklearn.decomposition import PCA

from unspool.data.sequences import FloatArray
from unspool.errors import InputError
from unspool.plots._style import (
    BLUE,
    PALETTE,
    check_codes,
    check_fitted_with,
    legend_place,
    one_axes,
    tidy,
)

MARKERS = "os^Dv"  # another shape for every ten classes
MAX_LEGEND = 40  # classes that fit in a legend


class CodeScatterDisplay:
    """Plot codes as points in two dimensions, coloured by class.

    Codes with more than two dimensions are projected onto their first two principal components.
    Codes with one dimension are drawn over the index of their sequence.

    Parameters
    ----------
    codes : array of shape (N, L)
        The codes (latent vectors) of N sequences, with L dimensions.
    y : iterable of N labels, optional
        Class of each sequence, of any type. Without it, all points have one colour.

    Attributes
    ----------
    codes : array of shape (N, L)
        The codes.
    points : array of shape (N, 2)
        The coordinates drawn.
    axis_names : tuple of two str
        Labels of the x and y axis.
    labels : array of N str, or None
        Class of each point.
    classes : list of str
        The distinct labels, sorted; empty without labels.
    ax_ : Axes
        The axes drawn into.
    figure_ : Figure
        The figure that contains the axes.

    See Also
    --------
    CodeTraceDisplay : Plots the codes of consecutive windows over time.

    Examples
    --------
    >>> from unspool.plots import CodeScatterDisplay
    >>> display = CodeScatterDisplay(np.eye(4), y=["a", "b", "a", "b"])
    >>> display.points.shape, display.classes
    ((4, 2), ['a', 'b'])
    >>> display.plot().ax_.get_title()
    '4 codes of 2 classes'
    """

    ax_: Axes
    figure_: Figure | SubFigure

    def __init__(self, codes: npt.ArrayLike, y: Iterable[Any] | None = None) -> None:
        self.codes = check_codes(codes)
        labels = None if y is None else list(y)
        if labels is not None and len(labels) != len(self.codes):
            raise InputError(
                f"Expected one label for each of {len(self.codes)} codes, got {len(labels)}."
            )
        self.labels = None if labels is None else np.array([str(one) for one in labels])
        self.classes = _sorted_names(labels or [])
        self.points, self.axis_names = _in_two_dimensions(self.codes)

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        y: Iterable[Any] | None = None,
        *,
        ax: Axes | None = None,
        **kwargs: Any,
    ) -> "CodeScatterDisplay":
        """Encode `X` and draw the codes.

        Parameters
        ----------
        estimator : estimator
            A fitted estimator with the method `transform`.
        X : array of shape (N, T, F), or other input of `transform`
            The sequences to encode.
        y : iterable of N labels, optional
            Class of each sequence, of any type.
        ax : Axes, optional
            Axes to draw into; a new figure by default.
        **kwargs
            Passed to `plot`.

        Returns
        -------
        CodeScatterDisplay
            The display, already drawn.

        Raises
        ------
        InputError
            If the estimator has no `transform`, or the number of labels is wrong.
        sklearn.exceptions.NotFittedError
            If the estimator is not fitted.

        Examples
        --------
        >>> from sklearn.decomposition import PCA
        >>> from unspool.plots import CodeScatterDisplay
        >>> X = np.random.default_rng(0).normal(size=(20, 6))
        >>> CodeScatterDisplay.from_estimator(PCA(2).fit(X), X).points.shape
        (20, 2)
        """
        check_fitted_with(estimator, "transform")
        return cls(estimator.transform(X), y).plot(ax, **kwargs)

    def plot(self, ax: Axes | None = None, **kwargs: Any) -> "CodeScatterDisplay":
        """Draw the points; each class has a colour, and every ten classes another shape.

        Parameters
        ----------
        ax : Axes, optional
            Axes to draw into; a new figure by default.
        **kwargs
            Passed to `Axes.scatter`.

        Returns
        -------
        CodeScatterDisplay
            The same display, with `ax_` and `figure_` set.
        """
        self.figure_, self.ax_ = _, ax = one_axes(ax, height=5.2)
        n = len(self.points)
        style = {"s": float(np.clip(12000 / n, 6, 32)), "alpha": 0.75, "linewidths": 0}
        title = f"{n} code{'s' * (n > 1)}"
        if self.labels is None:
            ax.scatter(*self.points.T, **{"color": BLUE, **style, **kwargs})
        else:
            for i, name in enumerate(self.classes):
                look = {
                    "color": PALETTE[i % len(PALETTE)],
                    "marker": MARKERS[i // len(PALETTE) % len(MARKERS)],
                    "label": name,
                }
                ax.scatter(*self.points[self.labels == name].T, **{**look, **style, **kwargs})
            title += f" of {len(self.classes)} class{'es' * (len(self.classes) > 1)}"
        if 0 < len(self.classes) <= MAX_LEGEND:
            legend = ax.legend(
                ax.collections[-len(self.classes) :],
                map(str, range(len(self.classes))),
                **legend_place(ax),
                ncols=1 + (len(self.classes) - 1) // 20,
                markerscale=np.sqrt(36 / style["s"]),  # the same size for any number of points
            )
            for text, name in zip(legend.get_texts(), self.classes, strict=True):
                text.set_text(name)  # matplotlib leaves out labels such as "_other"
        ax.set(xlabel=self.axis_names[0], ylabel=self.axis_names[1], title=title)
        tidy(ax)
        return self


def _in_two_dimensions(codes: FloatArray) -> tuple[FloatArray, tuple[str, str]]:
    n, dimensions = codes.shape
    if dimensions == 1:
        return np.column_stack([np.arange(n), codes]), ("sequence index", "code")
    if dimensions == 2:
        return codes, ("code, dimension 0", "code, dimension 1")
    if n < 2:
        raise InputError(
            f"Expected at least 2 codes for a projection of {dimensions} dimensions onto principal "
            "components, got 1."
        )
    with np.errstate(invalid="ignore"):  # equal codes have no variance
        pca = PCA(2, random_state=0).fit(codes)
    first, second = (
        f"principal component {i} ({share:.0%} of the variance)"
        for i, share in enumerate(np.nan_to_num(pca.explained_variance_ratio_), start=1)
    )
    return pca.transform(codes), (first, second)


def _sorted_names(labels: list[Any]) -> list[str]:
    """Return the distinct labels as strings, in the order of the labels if they have one."""
    by_name = {str(label): label for label in labels}
    try:
        return sorted(by_name, key=by_name.__getitem__)
    except TypeError:  # labels of several types
        return sorted(by_name)
