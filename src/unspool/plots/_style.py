"""The style that all displays share, and the checks of their arguments."""

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

# Ten colours that colour-blind people can distinguish: Petroff, "Accessible color sequences for
# data visualization", arXiv 2107.02270 (`petroff10` in matplotlib from 3.10 on).
PALETTE = (
    "#3f90da", "#ffa90e", "#bd1f01", "#94a4a2", "#832db6",
    "#a96b59", "#e76300", "#b9ac70", "#717581", "#92dadd",
)  # fmt: skip

MAX_LABEL = 15  # characters of a feature name that fit next to a panel
WIDTH = 9.0  # inches; 900 pixels at matplotlib's 100 dots per inch


def one_axes(ax: Axes | None, height: float) -> tuple[Figure | SubFigure, Axes]:
    """Return the figure and the axes to draw on: the given axes, or new ones."""
    if ax is not None:
        return ax.figure, ax
    figure, ax = plt.subplots(figsize=(WIDTH, height), layout="constrained")
    return figure, ax


def panels(
    ax: Any, rows: int, columns: int, *, errors: bool = False
) -> tuple[Figure | SubFigure, npt.NDArray[Any]]:
    """Return figure and axes, one row per sequence and one column per feature.

    With `errors`, another column follows, which shares its x axis with no other column.
    """
    if ax is None:
        figure, new = plt.subplots(
            rows,
            columns + errors,
            sharex="col" if errors else True,
            sharey=False if errors else "col",
            squeeze=False,
            figsize=(WIDTH, 1.2 + 1.4 * rows),
            layout="constrained",
        )
        if errors:
            for panel in new[1:, :columns].flat:
                panel.sharey(new[0, panel.get_subplotspec().colspan.start])
        return figure, new
    given = np.asarray(ax, dtype=object)
    if given.size != rows * (columns + errors):
        also = ", and one for the errors" if errors else ""
        raise InputError(
            f"Expected {rows} × {columns + errors} axes (one row per sequence, one column per "
            f"feature{also}), got {given.size}."
        )
    return given.flat[0].figure, given.reshape(rows, columns + errors)


def tidy(ax: Axes) -> None:
    """Style axes: thin spines on two sides, small ticks, a light grid behind the data."""
    ax.spines[["top", "right"]].set_visible(False)
    ax.spines[["left", "bottom"]].set_linewidth(0.6)
    ax.tick_params(width=0.6, labelsize=9)
    ax.grid(color="0.92", linewidth=0.6)
    ax.set_axisbelow(True)


def integer_ticks(max_count: int = 10) -> MaxNLocator:
    """Return ticks at integers, 1, 2 or 5 (times a power of ten) apart."""
    return MaxNLocator(max_count, integer=True, steps=[1, 2, 5, 10], min_n_ticks=1)


def legend_place(ax: Axes) -> dict[str, Any]:
    """Return where to put a legend: right of the axes if the layout makes room, else inside."""
    if ax.figure.get_layout_engine() is None:
        return {"loc": "upper right"}
    return {"loc": "center left", "bbox_to_anchor": (1.0, 0.5), "frameon": False}


def text_width(text: str, points: float, *, bold: bool = False) -> float:
    """Return the width of a line of text in inches."""
    if not text:
        return 0.0
    font = FontProperties(weight="bold" if bold else "normal")
    return float(TextPath((0, 0), text, size=points, prop=font).get_extents().width) / 72


def feature_label(names: tuple[str, ...] | None, features: int, column: int) -> str:
    """Return the axis label of a feature."""
    if names is None:
        return f"feature {column}" if features > 1 else "value"
    name = names[column]
    return name if len(name) <= MAX_LABEL else name[: MAX_LABEL - 1] + "…"


def number_bar(ax: Axes, scale: Colormap, first: int, label: str) -> None:
    """Draw a colour bar for lines numbered from `first` on, each with one colour of `scale`."""
    edges = np.arange(scale.N + 1) + first - 0.5
    bar = ax.figure.colorbar(
        ScalarMappable(BoundaryNorm(edges, scale.N), scale), ax=ax, label=label, pad=0.02
    )
    bar.outline.set_visible(False)
    bar.set_ticks(integer_ticks(8))
    bar.minorticks_off()


def check_fitted_with(estimator: Any, method: str, attribute: str | None = None) -> None:
    """Raise if an estimator has no such method or is not fitted."""
    if not hasattr(estimator, method):
        raise InputError(
            f"Expected an estimator with the method `{method}`, but {type(estimator).__name__} has "
            "none."
        )
    check_is_fitted(estimator, attribute)


def check_codes(codes: npt.ArrayLike) -> FloatArray:
    """Return codes as finite numbers of shape (N, L), where N and L are not 0."""
    array = as_floats(codes, "codes")
    if array.ndim != 2 or 0 in array.shape:
        raise InputError(f"Expected codes of shape (N, L), got shape {array.shape}.")
    if not np.isfinite(array).all():
        row, column = np.argwhere(~np.isfinite(array))[0]
        raise InputError(
            f"Expected finite codes, got {array[row, column]} in dimension {column} of code {row}."
        )
    return array


def targets_of(estimator: Any, source: Any) -> Any:
    """Return sequences of the features that an estimator writes, or all features."""
    places = getattr(estimator, "targets_", ())
    if not places or tuple(places) == tuple(range(source.n_features)):
        return source
    chosen = source.select(places)
    if chosen.feature_names is None:  # labels have the places in X, not among the targets
        chosen.feature_names = tuple(f"feature {place}" for place in places)
    return chosen


def n_outputs(estimator: Any, source: Any) -> int:
    """Return the number of features, or of other quantities, that an estimator forecasts."""
    form = getattr(estimator, "_form", None)
    return int(source.n_features if form is None else form.n_outputs)


def chosen_rows(total: int, indices: npt.ArrayLike | slice | None, count: int) -> IntArray:
    """Return the indices of the sequences to show; by default `count` evenly spaced ones."""
    if indices is None:
        chosen = np.linspace(0, total - 1, min(count, total)).round().astype(int)
    else:
        chosen = np.atleast_1d(np.arange(total)[row_key(indices)])
    if len(chosen) == 0:
        raise InputError("Expected at least one sequence to show, got none.")
    return chosen


def check_finite(
    values: npt.ArrayLike, what: str, shape: str, *, missing: bool = False
) -> FloatArray:
    """Return `values` as finite numbers with the axes of `shape`, such as "(N, K)", none empty.

    With `missing`, some of them may be NaN.
    """
    array = as_floats(values, what)
    if array.ndim != shape.count(",") + (not shape.endswith(",)")) or 0 in array.shape:
        raise InputError(f"Expected {what} of shape {shape}, got shape {array.shape}.")
    bad = np.isinf(array) if missing else ~np.isfinite(array)
    if bad.any():
        index = tuple(np.argwhere(bad)[0].tolist())
        raise InputError(f"Expected finite numbers in {what}, got {array[index]} at {index}.")
    return array
