"""The look that all pictures share, and the checks at their doors."""

from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.ticker import MaxNLocator
from sklearn.utils.validation import check_is_fitted

from unspool.data.sequences import FloatArray, as_floats
from unspool.errors import InputError

BLUE, RED, GREY = "#3f78b5", "#c8321f", "#6b6b6b"

# Ten colours that stay apart for colour-blind eyes: Petroff, "Accessible color sequences for data
# visualization", arXiv 2107.02270 (`petroff10` in matplotlib from 3.10 on).
PALETTE = (
    "#3f90da", "#ffa90e", "#bd1f01", "#94a4a2", "#832db6",
    "#a96b59", "#e76300", "#b9ac70", "#717581", "#92dadd",
)  # fmt: skip

WIDTH = 9.0  # inches; 900 pixels at matplotlib's 100 dots per inch


def one_axes(ax: Axes | None, height: float) -> tuple[Figure | SubFigure, Axes]:
    """The axes to draw on and their figure: those given, or new ones."""
    if ax is not None:
        return ax.figure, ax
    figure, ax = plt.subplots(figsize=(WIDTH, height), layout="constrained")
    return figure, ax


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


def check_estimator(estimator: Any, method: str, attribute: str | None = None) -> None:
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
