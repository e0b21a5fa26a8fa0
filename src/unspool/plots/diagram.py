"""`ModelDiagramDisplay`: a model as boxes and arrows, from the input to the decoders.

`plot` computes the positions of the boxes (`_stack`), then draws panels, arrows and boxes. All
lengths are in inches.
"""

from itertools import groupby, pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch
from matplotlib.path import Path

from unspool.plots._style import BLUE, GREEN, GREY, RED, text_width

if TYPE_CHECKING:  # plots load no torch before it is needed
    from unspool.nn._summary import Row, Summary

HEIGHT = 0.54  # height of a box
GAP = 0.34  # gap between a box and the next one below
PADDING = 0.13  # margin between the edge of a box and its text
PANEL = 0.15  # margin between the boxes of a part and the edge of its panel
TITLE = 0.24  # height of the part's name above its boxes
PANEL_GAP = 0.7  # gap between neighbouring panels
LANE = 0.24  # gap between a panel and an arrow that passes it
MARGIN = 0.2
POINTS, SMALL = 9.0, 8.0  # font sizes

# Fill and edge colours of boxes and panels.
PLAIN, ENCODER, CODE = ("#f6f6f6", "#8f8f8f"), ("#e3edf6", BLUE), ("#fce8c8", "#d98a1f")
DECODERS = (("#f9e4e0", RED), ("#e1f0e4", GREEN), ("#ebe2f3", "#832db6"))


class _Box(NamedTuple):
    """A box: a row of the summary, and the middle of its upper edge."""

    row: "Row"
    x: float
    top: float

    @property
    def bottom(self) -> float:
        return self.top - HEIGHT

    @property
    def middle(self) -> float:
        return self.top - HEIGHT / 2


class ModelDiagramDisplay:
    """Draw a model as boxes: input, layers of the encoder, code, and a column for each decoder.

    A box shows name and kind of a layer, the shape of its output and its number of parameters. A
    dashed arrow leads from the input to each decoder that reads the input in addition to the code.
    Layers that run only in training are left out.

    Parameters
    ----------
    summary : Summary
        Result of `unspool.summary` for a model.

    Attributes
    ----------
    summary : Summary
        The summary.
    ax_ : Axes
        The axes drawn into.
    figure_ : Figure
        The figure that contains the axes.

    See Also
    --------
    unspool.summary : Prints the same layers as a table.

    Examples
    --------
    >>> from unspool.nn import LSTMEncoder
    >>> from unspool.plots import ModelDiagramDisplay
    >>> display = ModelDiagramDisplay.from_estimator(LSTMEncoder(1, 100), steps=9)
    >>> [text.get_text() for text in display.ax_.texts]
    ['LSTMEncoder · 40,800 parameters', 'input', '(N, 9, 1)', 'lstm', '(N, 100)', \
'LSTM 100 tanh', '40,800 parameters']
    """

    ax_: Axes
    figure_: Figure | SubFigure

    def __init__(self, summary: "Summary") -> None:
        self.summary = summary

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        steps: int | None = None,
        *,
        input_shape: tuple[int, ...] | None = None,
        ax: Axes | None = None,
    ) -> "ModelDiagramDisplay":
        """Draw a fitted estimator, or a torch module.

        Parameters
        ----------
        estimator : estimator or torch.nn.Module
            A fitted estimator, or a module such as those of `unspool.nn`.
        steps : int, optional
            Number of steps of the input, T, for the shapes; see `unspool.summary`.
        input_shape : tuple of int, optional
            Shape of one input, for modules that do not read sequences; see `unspool.summary`.
        ax : Axes, optional
            Axes to draw into; a new figure by default.

        Returns
        -------
        ModelDiagramDisplay
            The display, already drawn.

        Raises
        ------
        InputError
            If `unspool.summary` cannot run the model.

        Examples
        --------
        >>> from unspool.nn import LSTMEncoder
        >>> from unspool.plots import ModelDiagramDisplay
        >>> display = ModelDiagramDisplay.from_estimator(LSTMEncoder(3, 8), steps=5)
        >>> display.ax_.texts[0].get_text()
        'LSTMEncoder · 384 parameters'
        """
        from unspool.nn import summary

        return cls(summary(estimator, steps, input_shape=input_shape)).plot(ax)

    def plot(self, ax: Axes | None = None) -> "ModelDiagramDisplay":
        """Draw the diagram; it is scaled down if the axes are too small.

        Parameters
        ----------
        ax : Axes, optional
            Axes to draw into; by default a new figure of the size of the diagram.

        Returns
        -------
        ModelDiagramDisplay
            The same display, with `ax_` and `figure_` set.
        """
        rows_run = [row for row in self.summary.rows if row.output_shape]
        parts = [list(rows) for _, rows in groupby(rows_run, key=lambda row: row.part)]
        names = [rows[0].part for rows in parts]
        fork = names.index("code") + 1 if "code" in names else len(parts)
        texts = max(map(_text_width, rows_run))
        titles = 2 * max(text_width(name, POINTS, bold=True) for name in names)  # left of the arrow
        self._box = 2 * PADDING + max(texts, titles)
        column = self._box + 2 * PANEL + PANEL_GAP
        trunk, bottom = self._stack(parts[:fork], 0.0, -MARGIN - TITLE)
        columns = []
        for i, rows in enumerate(parts[fork:]):
            x = (i - (len(parts) - fork - 1) / 2) * column
            columns.append(self._stack([rows], x, bottom))
        height = MARGIN - GAP - min([bottom, *(low for _, low in columns)])
        width = max(1, len(columns)) * column - PANEL_GAP + 2 * MARGIN
        if self.summary.reads_input:
            width += 4 * LANE
        width = max(width, text_width(self._title(), POINTS, bold=True) + 2 * MARGIN)
        self.figure_, self.ax_ = _, ax = _axes(ax, width, height)
        inches = ax.get_window_extent()
        room = min(inches.width / width, inches.height / height) / ax.figure.dpi
        self._scale = min(1.0, room)
        ax.text(0, -MARGIN, self._title(), ha="center", va="center", weight="bold",
                size=POINTS * self._scale)  # fmt: skip
        for boxes in [trunk, *(boxes for boxes, _ in columns)]:
            self._draw(ax, boxes)
        for boxes, _ in columns:
            self._branch(ax, trunk, boxes)
        return self

    def _title(self) -> str:
        return f"{self.summary.model} · {self.summary.total:,} parameters"

    def _stack(self, parts: list[list["Row"]], x: float, y: float) -> tuple[list[_Box], float]:
        """Return boxes from `y` downwards, and the top of the next one."""
        boxes = []
        for rows in parts:
            inset = PANEL if rows[0].is_layer else 0.0
            y -= inset + (TITLE if inset and rows[0].part else 0.0)
            for row in rows:
                boxes.append(_Box(row, x, y))
                y -= HEIGHT + GAP
            y -= inset
        return boxes, y

    def _colors(self, row: "Row") -> tuple[str, str]:
        fixed = {"input": PLAIN, "encoder": ENCODER, "": ENCODER, "code": CODE}
        parts = dict.fromkeys(one.part for one in self.summary.rows if one.part not in fixed)
        return fixed.get(row.part) or DECODERS[list(parts).index(row.part) % len(DECODERS)]

    def _draw(self, ax: Axes, boxes: list[_Box]) -> None:
        """Draw the boxes of a column, the panels behind them, and the arrows between them."""
        for part, group in groupby(boxes, key=lambda box: box.row.part):
            of_part = list(group)
            if of_part[0].row.is_layer:
                self._panel(ax, part, of_part)
            for box in of_part:
                self._box_of(ax, box)
        for upper, lower in pairwise(boxes):
            self._arrow(ax, [(upper.x, upper.bottom), (lower.x, lower.top)])

    def _panel(self, ax: Axes, part: str, boxes: list[_Box]) -> None:
        left = boxes[0].x - self._box / 2 - PANEL
        top = boxes[0].top + PANEL + (TITLE if part else 0.0)
        fill, edge = self._colors(boxes[0].row)
        low = boxes[-1].bottom - PANEL
        ax.add_patch(_rounded(left, low, self._box + 2 * PANEL, top - low, fill, "none"))
        if part:
            # The name is left of the arrow that enters from above.
            ax.text(left + PANEL, boxes[0].top + PANEL / 2 + TITLE / 2, part, color=edge,
                    weight="bold", va="center", size=POINTS * self._scale)  # fmt: skip

    def _box_of(self, ax: Axes, box: _Box) -> None:
        row, (fill, edge) = box.row, self._colors(box.row)
        left, right = box.x - self._box / 2 + PADDING, box.x + self._box / 2 - PADDING
        fill = "white" if row.is_layer else fill
        ax.add_patch(_rounded(left - PADDING, box.bottom, self._box, HEIGHT, fill, edge))
        (name, shape), (kind, count) = _lines(row)
        upper = box.middle + (HEIGHT / 5 if row.is_layer else 0.0)
        lower = box.middle - HEIGHT / 5
        size, small = POINTS * self._scale, SMALL * self._scale
        ax.text(left, upper, name, va="center", weight="bold", size=size)
        ax.text(right, upper, shape, va="center", ha="right", size=size)
        if row.is_layer:
            ax.text(left, lower, kind, va="center", color=GREY, size=small)
            ax.text(right, lower, count, va="center", ha="right", color=GREY, size=small)

    def _branch(self, ax: Axes, trunk: list[_Box], column: list[_Box]) -> None:
        """Draw arrows to a decoder: from the code, and from the input if the decoder reads it."""
        last, first = trunk[-1], column[0]
        bend = last.bottom - GAP / 2
        self._arrow(
            ax, [(last.x, last.bottom), (last.x, bend), (first.x, bend), (first.x, first.top)]
        )
        if first.row.part in self.summary.reads_input:
            side = 1 if first.x >= 0 else -1
            edge = first.x + side * self._box / 2
            lane, source = edge + side * (PANEL + LANE), trunk[0]
            self._arrow(
                ax,
                [
                    (side * self._box / 2, source.middle),
                    (lane, source.middle),
                    (lane, first.middle),
                    (edge, first.middle),
                ],
                dashed=True,
            )

    def _arrow(self, ax: Axes, points: list[tuple[float, float]], dashed: bool = False) -> None:
        ax.add_patch(
            FancyArrowPatch(
                path=Path(points),
                arrowstyle="-|>",
                mutation_scale=9 * self._scale,
                linewidth=1.0 * self._scale,
                linestyle=(0, (3, 2)) if dashed else "solid",
                color="0.35",
                shrinkA=0,
                shrinkB=0,
                joinstyle="miter",
            )
        )


def _axes(ax: Axes | None, width: float, height: float) -> tuple[Figure | SubFigure, Axes]:
    """Return figure and axes; one data unit is one inch."""
    if ax is None:
        ax = plt.figure(figsize=(width, height)).add_axes((0, 0, 1, 1))
    ax.set(xlim=(-width / 2, width / 2), ylim=(-height, 0), aspect="equal")
    ax.set_axis_off()
    return ax.figure, ax


def _rounded(
    left: float, bottom: float, width: float, height: float, fill: str, edge: str
) -> FancyBboxPatch:
    return FancyBboxPatch(
        (left, bottom),
        width,
        height,
        boxstyle="round,pad=0,rounding_size=0.06",
        facecolor=fill,
        edgecolor=edge,
        linewidth=1.0,
    )


def _lines(row: "Row") -> tuple[tuple[str, str], tuple[str, str]]:
    """Return the two lines of a box: name and shape, kind and number of parameters."""
    from unspool.nn._summary import shape_text

    count = f"{row.parameters:,} parameter{'s' * (row.parameters != 1)}" if row.parameters else ""
    return (row.name, shape_text(row.output_shape)), (row.kind, count)


def _text_width(row: "Row") -> float:
    """Return the width of the longer line of a box in inches."""
    (name, shape), (kind, count) = _lines(row)
    upper = text_width(name, POINTS, bold=True) + text_width(shape, POINTS)
    return 0.25 + max(upper, text_width(kind, SMALL) + text_width(count, SMALL))
