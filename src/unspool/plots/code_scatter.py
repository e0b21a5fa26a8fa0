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
    beside,
    check_codes,
    check_fitted_with,
    one_axes,
    tidy,
)

MARKERS = "os^Dv"  # a further shape for every ten classes
MOST_NAMED = 40  # classes that a legend has room for


class CodeScatterDisplay:
    """Codes as points, coloured by class where labels are given.

    Codes of more than two dimensions are shown in the plane of their first two principal
    components; codes of one dimension over the number of their sequence.

    Parameters
    ----------
    codes : array of shape (N, L)
    y : N labels of any type, optional

    Attributes
    ----------
    points : array of shape (N, 2)
        What is drawn.
    axis_names : tuple of two strings
    classes : list of strings
        The different labels, sorted; empty without labels.
    ax_, figure_
        Where `plot` drew.

    Examples
    --------
    >>> display = CodeScatterDisplay(np.eye(4), y=["a", "b", "a", "b"])
    >>> display.points.shape, display.classes
    ((4, 2), ['a', 'b'])
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
        estimator : fitted estimator with `transform`
        X : whatever its `transform` reads
        y : N labels of any type, optional
        ax : Axes, optional
            Where to draw; a new figure by default.
        **kwargs
            Passed to `plot`.
        """
        check_fitted_with(estimator, "transform")
        return cls(estimator.transform(X), y).plot(ax, **kwargs)

    def plot(self, ax: Axes | None = None, **kwargs: Any) -> "CodeScatterDisplay":
        """Draw the points, a colour a class (and from the eleventh class on, another shape).

        Parameters
        ----------
        ax : Axes, optional
            Where to draw; a new figure by default.
        **kwargs
            Passed to `Axes.scatter`.
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
        if 0 < len(self.classes) <= MOST_NAMED:
            legend = ax.legend(
                ax.collections[-len(self.classes) :],
                map(str, range(len(self.classes))),
                **beside(ax),
                ncols=1 + (len(self.classes) - 1) // 20,
                markerscale=np.sqrt(36 / style["s"]),  # as readable for a million points as for ten
            )
            for text, name in zip(legend.get_texts(), self.classes, strict=True):
                text.set_text(name)  # given as a label, a name like "_other" would be left out
        ax.set(xlabel=self.axis_names[0], ylabel=self.axis_names[1], title=title)
        tidy(ax)
        return self


def _in_two_dimensions(codes: FloatArray) -> tuple[FloatArray, tuple[str, str]]:
    n, dimensions = codes.shape
    if dimensions == 1:
        return np.column_stack([np.arange(n), codes]), ("sequence", "code")
    if dimensions == 2:
        return codes, ("code, dimension 0", "code, dimension 1")
    if n < 2:
        raise InputError(
            f"Expected at least 2 codes to find the plane in which {dimensions} dimensions vary "
            "most, got 1."
        )
    with np.errstate(invalid="ignore"):  # codes that are all the same have no variance to share
        pca = PCA(2, random_state=0).fit(codes)
    first, second = (
        f"principal component {i} ({share:.0%} of the variance)"
        for i, share in enumerate(np.nan_to_num(pca.explained_variance_ratio_), start=1)
    )
    return pca.transform(codes), (first, second)


def _sorted_names(labels: list[Any]) -> list[str]:
    """The different labels as strings, in the order of the labels where they have one."""
    named = {str(label): label for label in labels}
    try:
        return sorted(named, key=named.__getitem__)
    except TypeError:  # of several types
        return sorted(named)
