"""The look that all pictures share, and the checks at their doors."""

from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import BoundaryNorm, Colormap
from matplotlib.figure import Figure, SubFigure
from matplotlib.font_manager import FontProperties
from matplotlib.textpath import TextPath
from matplotlib.ticker import MaxNLocator
from sklearn.utils.validation import check_is_fitted

from unspool.data.sequences import FloatArray, IntArray, as_floats, row_key
from unspool.errors import InputError

BLUE, RED, GREEN, GREY = "#3f78b5", "#c8321f", "#2d7f3f", "#6b6b6b"

# Ten colours that stay apart for colour-blind eyes: Petroff, "Accessible color sequences for data
# visualization", arXiv 2107.02270 (`petroff10` in matplotlib from 3.10 on).
PALETTE = (
    "#3f90da", "#ffa90e", "#bd1f01", "#94a4a2", "#832db6",
    "#a96b59", "#e76300", "#b9ac70", "#717581", "#92dadd",
)  # fmt: skip

LONGEST_NAME = 15  # characters of a feature's name that fit beside a panel
WIDTH = 9.0  # inches; 900 pixels at matplotlib's 100 dots per inch


def one_axes(ax: Axes | None, height: float) -> tuple[Figure | SubFigure, Axes]:
    """The axes to draw on and their figure: those given, or new ones."""
    if ax is not None:
        return ax.figure, ax
    figure, ax = plt.subplots(figsize=(WIDTH, height), layout="constrained")
    return figure, ax


def panels(ax: Any, rows: int, columns: int) -> tuple[Figure | SubFigure, npt.NDArray[Any]]:
    """A row of axes a sequence and a column a feature, and their figure: those given, or new."""
    if ax is None:
        figure, new = plt.subplots(
            rows,
            columns,
            sharex=True,
            sharey="col",
            squeeze=False,
            figsize=(WIDTH, 1.2 + 1.4 * rows),
            layout="constrained",
        )
        return figure, new
    given = np.asarray(ax, dtype=object)
    if given.size != rows * columns:
        raise InputError(
            f"Expected {rows} × {columns} axes (a row a sequence, a column a feature), "
            f"got {given.size}."
        )
    return given.flat[0].figure, given.reshape(rows, columns)


def tidy(ax: Axes) -> None:
    """Thin spines on two sides only, small ticks, a faint grid behind the data."""
    ax.spines[["top", "right"]].set_visible(False)
    ax.spines[["left", "bottom"]].set_linewidth(0.6)
    ax.tick_params(width=0.6, labelsize=9)
    ax.grid(color="0.92", linewidth=0.6)
    ax.set_axisbelow(True)


def whole_ticks(most: int = 10) -> MaxNLocator:
    """Ticks at whole numbers, 1, 2 or 5 (times ten) apart."""
    return MaxNLocator(most, integer=True, steps=[1, 2, 5, 10])


def beside(ax: Axes) -> dict[str, Any]:
    """Where a legend goes: right of the axes if the layout makes room for it, or inside."""
    if ax.figure.get_layout_engine() is None:
        return {"loc": "upper right"}
    return {"loc": "center left", "bbox_to_anchor": (1.0, 0.5), "frameon": False}


def text_width(text: str, points: float, *, bold: bool = False) -> float:
    """Inches that a line of text takes."""
    if not text:
        return 0.0
    font = FontProperties(weight="bold" if bold else "normal")
    return float(TextPath((0, 0), text, size=points, prop=font).get_extents().width) / 72


def feature_label(names: tuple[str, ...] | None, features: int, column: int) -> str:
    """What the axis of a feature is called."""
    if names is None:
        return f"feature {column}" if features > 1 else "value"
    name = names[column]
    return name if len(name) <= LONGEST_NAME else name[: LONGEST_NAME - 1] + "…"


def number_bar(ax: Axes, scale: Colormap, first: int, label: str) -> None:
    """A colour bar for lines that are numbered from `first` on, a colour of `scale` each."""
    edges = np.arange(scale.N + 1) + first - 0.5
    bar = ax.figure.colorbar(
        ScalarMappable(BoundaryNorm(edges, scale.N), scale), ax=ax, label=label, pad=0.02
    )
    bar.outline.set_visible(False)
    bar.set_ticks(whole_ticks(8))
    bar.minorticks_off()


def check_fitted_with(estimator: Any, method: str, attribute: str | None = None) -> None:
    """Refuse an estimator that is not fitted, or that has no such method."""
    if not hasattr(estimator, method):
        raise InputError(
            f"Expected an estimator with `{method}`, got {type(estimator).__name__} without it."
        )
    check_is_fitted(estimator, attribute)


def check_codes(codes: npt.ArrayLike) -> FloatArray:
    """Codes as finite numbers of shape (N, L), neither of them 0."""
    array = as_floats(codes, "codes")
    if array.ndim != 2 or 0 in array.shape:
        raise InputError(f"Expected codes of shape (N, L), got shape {array.shape}.")
    if not np.isfinite(array).all():
        row, column = np.argwhere(~np.isfinite(array))[0]
        raise InputError(f"Code {row} holds {array[row, column]} in dimension {column}.")
    return array


def chosen_rows(total: int, indices: npt.ArrayLike | slice | None, count: int) -> IntArray:
    """Which of `total` sequences to show: those asked for, or `count` evenly spread over them."""
    if indices is None:
        chosen = np.linspace(0, total - 1, min(count, total)).round().astype(int)
    else:
        chosen = np.atleast_1d(np.arange(total)[row_key(indices)])
    if len(chosen) == 0:
        raise InputError("Expected at least one sequence to show, got none.")
    return chosen


def check_finite(values: npt.ArrayLike, what: str, shape: str) -> FloatArray:
    """`values` as finite numbers of as many axes as `shape`, such as "(N, K)", none of them 0."""
    array = as_floats(values, what)
    if array.ndim != shape.count(",") + (not shape.endswith(",)")) or 0 in array.shape:
        raise InputError(f"Expected {what} of shape {shape}, got shape {array.shape}.")
    if not np.isfinite(array).all():
        place = tuple(np.argwhere(~np.isfinite(array))[0].tolist())
        raise InputError(f"Expected finite numbers in {what}, got {array[place]} at {place}.")
    return array
