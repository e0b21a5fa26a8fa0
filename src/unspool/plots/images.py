"""`ImagesDisplay`: rows and columns of images: digits, weights, feature maps, frames of videos."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from sklearn.utils import _safe_indexing

from unspool import _checks
from unspool.data.sequences import FloatArray, Sequences, as_floats
from unspool.errors import InputError
from unspool.plots._style import WIDTH, check_fitted_with, chosen_rows, text_width

GAP = 0.07  # between images, as a share of their width
LARGEST = 1.1  # inches that an image is wide where there is room
EDGE = 0.1  # inches around the images
POINTS = 9  # size of the names


class ImagesDisplay:
    """Images in rows and columns, in one axes; grey ones, or of three colours.

    Parameters
    ----------
    images : array of shape (R, C, H, W), or (R, C, H, W, 3) for red, green and blue
        Any real numbers. A place whose image is NaN throughout stays empty.
    row_names : sequence of R strings, optional
        Written left of the rows.
    column_names : sequence of C strings, optional
        Written above the columns.
    shared_scale : bool, default True
        Let black be the smallest value of all images and white the largest; otherwise each
        image has its own scale.

    Attributes
    ----------
    ax_, figure_
        Where `plot` drew.

    Examples
    --------
    >>> display = ImagesDisplay(np.zeros((2, 5, 28, 28)), row_names=["input", "reconstruction"])
    >>> display.plot().ax_.get_yticklabels()[1].get_text()
    'reconstruction'
    """

    ax_: Axes
    figure_: Figure | SubFigure

    def __init__(
        self,
        images: npt.ArrayLike,
        row_names: Sequence[str] | None = None,
        column_names: Sequence[str] | None = None,
        *,
        shared_scale: bool = True,
    ) -> None:
        self.images = as_floats(images, "images")
        if self.images.shape[4:] not in ((), (3,)) or self.images.ndim < 4 or not self.images.size:
            raise InputError(
                "Expected images of shape (R, C, H, W) or (R, C, H, W, 3), got shape "
                f"{self.images.shape}."
            )
        if np.isinf(self.images).any() or np.isnan(self.images).all():
            raise InputError("Expected images of finite numbers, got infinity, or nothing but NaN.")
        _checks.raise_all(_checks.truth("shared_scale", shared_scale))
        self.shared_scale = shared_scale
        self.row_names = _names(row_names, "row", self.images.shape[0])
        self.column_names = _names(column_names, "column", self.images.shape[1])

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        indices: npt.ArrayLike | slice | None = None,
        *,
        image_shape: tuple[int, ...] | None = None,
        count: int = 5,
        ax: Axes | None = None,
        **kwargs: Any,
    ) -> "ImagesDisplay":
        """Reconstruct a few images of `X`, and only those, and draw them below the input.

        Parameters
        ----------
        estimator : fitted estimator with `reconstruct`
        X : array of shape (N, H, W), (N, H·W) or (N, H, W, C), C 1 or 3; or Sequences, or a frame
        indices : indices, a slice or a mask, optional
            Which images to show; `count`, evenly spread over `X`, by default.
        image_shape : (H, W) or (H, W, 3), optional
            Of images that lie in `X` as rows of numbers; square and grey by default.
        count : int, default 5
        ax : Axes, optional
            Where to draw; a new figure by default.
        **kwargs
            Passed to `plot`.
        """
        check_fitted_with(estimator, "reconstruct")
        _checks.raise_all(_checks.whole("count", count, 1))
        source = as_floats(X, "X") if isinstance(X, (list, tuple)) else X
        chosen = chosen_rows(len(source), indices, count)
        few = _safe_indexing(source, chosen)
        values = few.take(range(len(few)))[0] if isinstance(few, Sequences) else few
        inputs = _as_images(values, image_shape, "X")
        again = _as_images(estimator.reconstruct(few), inputs.shape[1:], "the reconstruction")
        display = cls(np.stack([inputs, again]), ["input", "reconstruction"])
        return display.plot(ax, **kwargs)

    @classmethod
    def from_weights(
        cls,
        weights: Any,
        *,
        image_shape: tuple[int, int] | None = None,
        columns: int = 8,
        ax: Axes | None = None,
        **kwargs: Any,
    ) -> "ImagesDisplay":
        """Draw what each unit of a dense layer looks for, as an image with a scale of its own.

        Parameters
        ----------
        weights : array of shape (units, H·W), or fitted estimator
            Of an estimator, the weights of its encoder's first layer, which must be dense.
        image_shape : (H, W), optional
            Square by default.
        columns : int, default 8
        ax : Axes, optional
            Where to draw; a new figure by default.
        **kwargs
            Passed to `plot`.
        """
        if hasattr(weights, "fit"):
            check_fitted_with(weights, "transform")
            weights = _first_weights(weights)
        images = _as_images(weights, image_shape, "weights")
        return cls(_in_rows(images, columns), shared_scale=False).plot(ax, **kwargs)

    @classmethod
    def from_maps(
        cls,
        maps: npt.ArrayLike,
        *,
        columns: int = 8,
        ax: Axes | None = None,
        **kwargs: Any,
    ) -> "ImagesDisplay":
        """Draw the feature maps that a convolution makes of one input, each on its own scale.

        Parameters
        ----------
        maps : array of shape (channels, H, W)
        columns : int, default 8
        ax : Axes, optional
            Where to draw; a new figure by default.
        **kwargs
            Passed to `plot`.
        """
        array = as_floats(maps, "maps")
        if array.ndim != 3:
            raise InputError(f"Expected maps of shape (channels, H, W), got shape {array.shape}.")
        return cls(_in_rows(array, columns), shared_scale=False).plot(ax, **kwargs)

    @classmethod
    def from_frames(
        cls,
        videos: Mapping[str, npt.ArrayLike],
        *,
        ax: Axes | None = None,
        **kwargs: Any,
    ) -> "ImagesDisplay":
        """Draw videos as rows of frames, a column for every time step.

        Parameters
        ----------
        videos : dict of name to array of shape (T_i, H, W)
            From above, such as "input", "reconstruction", "future" and "forecast".
        ax : Axes, optional
            Where to draw; a new figure by default.
        **kwargs
            Passed to `plot`.
        """
        if not videos:
            raise InputError("Expected at least one video by its name, got none.")
        arrays = [as_floats(frames, f"the video {name!r}") for name, frames in videos.items()]
        for name, array in zip(videos, arrays, strict=True):
            if array.ndim != 3 or array.shape[1:] != arrays[0].shape[1:]:
                raise InputError(
                    "Expected every video as (steps, H, W), of frames as large as the first's, "
                    f"got shape {array.shape} for {name!r}."
                )
        steps = max(map(len, arrays))
        images = np.full((len(arrays), steps, *arrays[0].shape[1:]), np.nan)
        for row, array in zip(images, arrays, strict=True):
            row[: len(array)] = array
        columns = [str(step + 1) for step in range(steps)]
        return cls(images, list(videos), columns).plot(ax, **kwargs)

    def plot(self, ax: Axes | None = None, **kwargs: Any) -> "ImagesDisplay":
        """Draw all images.

        Parameters
        ----------
        ax : Axes, optional
            Where to draw; a new figure by default.
        **kwargs
            Passed to `Axes.imshow`; ``cmap="gray_r"`` draws ink on paper.
        """
        rows, columns, height, width, *colours = self.images.shape
        gap = max(1, round(GAP * width))
        size = (rows * (height + gap) - gap, columns * (width + gap) - gap)
        sheet = np.full((*size, *colours), np.nan)
        for (row, column), image in zip(
            np.ndindex(rows, columns),
            self._scaled().reshape(-1, *self.images.shape[2:]),
            strict=True,
        ):
            top, left = row * (height + gap), column * (width + gap)
            sheet[top : top + height, left : left + width] = image
        if colours:
            sheet = np.nan_to_num(sheet, nan=1.0)  # white, as what is missing from grey images is
        self.figure_, self.ax_ = _, ax = self._axes(ax, size)
        ax.imshow(sheet, **{"cmap": "gray", "interpolation": "nearest", **kwargs})
        ax.spines[:].set_visible(False)
        ax.tick_params(length=0, labelsize=POINTS, top=False, labeltop=True, labelbottom=False)
        ax.set_yticks(
            np.arange(rows) * (height + gap) + (height - 1) / 2 if self.row_names else [],
            self.row_names,
        )
        ax.set_xticks(
            np.arange(columns) * (width + gap) + (width - 1) / 2 if self.column_names else [],
            self.column_names,
        )
        return self

    def _axes(self, ax: Axes | None, size: tuple[int, ...]) -> tuple[Figure | SubFigure, Axes]:
        """The axes given, or new ones in a figure as large as the images need."""
        if ax is not None:
            return ax.figure, ax
        left = max((EDGE + text_width(name, POINTS) for name in self.row_names), default=0.0) + EDGE
        top = 3 * EDGE if self.column_names else EDGE
        width = min(WIDTH - left - EDGE, LARGEST * self.images.shape[1])
        height = width * size[0] / size[1]
        whole = left + width + EDGE, EDGE + height + top
        figure = plt.figure(figsize=whole)
        place = left / whole[0], EDGE / whole[1], width / whole[0], height / whole[1]
        return figure, figure.add_axes(place)

    def _scaled(self) -> FloatArray:
        """The images, brought to 0 to 1 where they have scales of their own, or colours."""
        if self.shared_scale and self.images.ndim == 4:
            return self.images
        axes = None if self.shared_scale else tuple(range(2, self.images.ndim))
        there = ~np.isnan(self.images)
        low = self.images.min(axis=axes, initial=np.inf, where=there, keepdims=True)
        high = self.images.max(axis=axes, initial=-np.inf, where=there, keepdims=True)
        scaled: FloatArray = (self.images - low) / np.where(high > low, high - low, 1)
        return scaled


def _names(names: Sequence[str] | None, what: str, count: int) -> list[str]:
    if names is None:
        return []
    if len(names) != count:
        raise InputError(f"Expected {count} {what} names, got {len(names)}.")
    return list(map(str, names))


def _as_images(values: Any, image_shape: tuple[int, ...] | None, what: str) -> FloatArray:
    """Images (N, H, W) or (N, H, W, 3), also from rows of numbers, or with one channel."""
    array = as_floats(values, what)
    if array.ndim in (3, 4) and array.shape[-1] == 1:
        array = array[..., 0]
    if array.ndim == 2:
        if image_shape is None:
            side = math.isqrt(array.shape[1])
            image_shape = (side, side)
        if math.prod(image_shape) != array.shape[1]:
            raise InputError(
                f"Expected {what} of {' × '.join(map(str, image_shape))} numbers for an image, "
                f"got {array.shape[1]}; give the `image_shape`."
            )
        array = array.reshape(len(array), *image_shape)
    fits = image_shape is None or array.shape[1:] == tuple(image_shape)
    if array.shape[3:] not in ((), (3,)) or array.ndim < 3 or not fits:
        told = "(N, H, W)" if image_shape is None else f"(N, {', '.join(map(str, image_shape))})"
        raise InputError(f"Expected {what} as images of shape {told}, got {np.shape(values)}.")
    return array


def _in_rows(images: FloatArray, columns: int) -> FloatArray:
    """N images as (R, C, H, W); what is left of the last row is NaN."""
    _checks.raise_all(_checks.whole("columns", columns, 1))
    columns = min(columns, len(images))
    rows = -(-len(images) // max(1, columns))
    places = np.full((rows * columns, *images.shape[1:]), np.nan)
    places[: len(images)] = images
    return places.reshape(rows, columns, *images.shape[1:])


def _first_weights(estimator: Any) -> FloatArray:
    """The weights of an encoder's first layer, (units, inputs)."""
    from torch import nn  # here, so that pictures of arrays need no torch

    encoder = estimator.module_.encoder
    first = next((m for m in encoder.modules() if any(True for _ in m.parameters(False))), None)
    if not isinstance(first, nn.Linear):
        raise InputError(
            "Expected an estimator whose encoder begins with a dense layer, got "
            f"{type(first).__name__} in {type(estimator).__name__}."
        )
    weights: FloatArray = first.weight.detach().cpu().numpy()
    return weights
