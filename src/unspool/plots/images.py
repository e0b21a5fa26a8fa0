"""`ImagesDisplay`: images in rows and columns, such as digits, weights or video frames."""

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

GAP = 0.07  # gap between images, relative to their width
MAX_IMAGE_WIDTH = 1.1  # inches
EDGE = 0.1  # inches around the images
POINTS = 9  # font size of the names


class ImagesDisplay:
    """Plot grey or colour images in rows and columns, in one axes.

    Parameters
    ----------
    images : array of shape (R, C, H, W) or (R, C, H, W, 3)
        R rows and C columns of grey images of height H and width W, or of colour images (red,
        green, blue). The values are any real numbers. An image that is all NaN leaves its place
        empty.
    row_names : sequence of R strings, optional
        Names to the left of the rows.
    column_names : sequence of C strings, optional
        Names above the columns.
    shared_scale : bool, default True
        If True, black is the smallest value of all images and white the largest. If False, this
        holds for each image separately.

    Attributes
    ----------
    images : array of shape (R, C, H, W) or (R, C, H, W, 3)
        The images.
    row_names : list of R str
        Names of the rows; empty if not given.
    column_names : list of C str
        Names of the columns; empty if not given.
    shared_scale : bool
        Whether all images share one scale.
    ax_ : Axes
        The axes drawn into.
    figure_ : Figure
        The figure that contains the axes.

    See Also
    --------
    ReconstructionDisplay : Plots sequences and their reconstructions.

    Examples
    --------
    >>> from unspool.plots import ImagesDisplay
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
            raise InputError("Expected images of finite numbers, got infinity, or only NaN.")
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
        n_images: int = 5,
        ax: Axes | None = None,
        **kwargs: Any,
    ) -> "ImagesDisplay":
        """Reconstruct the images that are shown, and draw them below the input.

        Parameters
        ----------
        estimator : estimator
            A fitted estimator with the method `reconstruct`.
        X : array of shape (N, H, W), (N, H, W, C) or (N, H·W), Sequences, or frame
            The images to choose from; C is 1 or 3.
        indices : array of int, slice or mask, optional
            Indices of the images to show; by default `n_images` evenly spaced ones.
        image_shape : tuple of int, optional
            Shape (H, W) or (H, W, 3) of images that are rows (N, H·W) of `X`; square and grey by
            default.
        n_images : int, default 5
            Number of images to show if `indices` is not given.
        ax : Axes, optional
            Axes to draw into; a new figure by default.
        **kwargs
            Passed to `plot`.

        Returns
        -------
        ImagesDisplay
            The display, already drawn.

        Raises
        ------
        InputError
            If the estimator has no `reconstruct`, or `X` cannot be read as images.
        sklearn.exceptions.NotFittedError
            If the estimator is not fitted.

        Examples
        --------
        >>> from unspool import DenseAutoencoder
        >>> from unspool.plots import ImagesDisplay
        >>> X = np.random.default_rng(0).random((20, 4, 4))
        >>> model = DenseAutoencoder(2, epochs=1, verbose=0, random_state=0).fit(X)
        >>> display = ImagesDisplay.from_estimator(model, X, n_images=3)
        >>> display.images.shape
        (2, 3, 4, 4)
        """
        check_fitted_with(estimator, "reconstruct")
        _checks.raise_all(_checks.whole("n_images", n_images, 1))
        source = as_floats(X, "X") if isinstance(X, (list, tuple)) else X
        chosen = chosen_rows(len(source), indices, n_images)
        few = _safe_indexing(source, chosen)
        values = few.take(range(len(few)))[0] if isinstance(few, Sequences) else few
        inputs = _as_images(values, image_shape, "X")
        outputs = _as_images(estimator.reconstruct(few), inputs.shape[1:], "the reconstruction")
        display = cls(np.stack([inputs, outputs]), ["input", "reconstruction"])
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
        """Draw the weights of each unit of a dense layer as an image with a separate scale.

        Parameters
        ----------
        weights : array of shape (units, H·W), or estimator
            The weights, or a fitted estimator whose encoder begins with a dense layer.
        image_shape : tuple of two int, optional
            Shape (H, W) of the images; square by default.
        columns : int, default 8
            Maximum number of images per row.
        ax : Axes, optional
            Axes to draw into; a new figure by default.
        **kwargs
            Passed to `plot`.

        Returns
        -------
        ImagesDisplay
            The display, already drawn.

        Raises
        ------
        InputError
            If the encoder does not begin with a dense layer, or `image_shape` does not fit.
        sklearn.exceptions.NotFittedError
            If the estimator is not fitted.

        Examples
        --------
        >>> from unspool.plots import ImagesDisplay
        >>> display = ImagesDisplay.from_weights(np.random.default_rng(0).normal(size=(12, 16)))
        >>> display.images.shape  # two rows of eight places
        (2, 8, 4, 4)
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
        """Draw the feature maps of a convolution for one input, each with a separate scale.

        Parameters
        ----------
        maps : array of shape (channels, H, W)
            The output of the convolution.
        columns : int, default 8
            Maximum number of images per row.
        ax : Axes, optional
            Axes to draw into; a new figure by default.
        **kwargs
            Passed to `plot`.

        Returns
        -------
        ImagesDisplay
            The display, already drawn.

        Raises
        ------
        InputError
            If `maps` does not have three axes.

        Examples
        --------
        >>> from unspool.plots import ImagesDisplay
        >>> ImagesDisplay.from_maps(np.zeros((6, 14, 14)), columns=3).images.shape
        (2, 3, 14, 14)
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
        """Draw videos as rows of frames, with a column for every time step.

        Parameters
        ----------
        videos : dict of str to array of shape (T_i, H, W)
            The videos by name, from top to bottom, such as "input" and "reconstruction".
        ax : Axes, optional
            Axes to draw into; a new figure by default.
        **kwargs
            Passed to `plot`.

        Returns
        -------
        ImagesDisplay
            The display, already drawn.

        Raises
        ------
        InputError
            If there is no video, or the frames have different shapes.

        Examples
        --------
        >>> from unspool.plots import ImagesDisplay
        >>> videos = {"input": np.zeros((10, 8, 8)), "forecast": np.ones((4, 8, 8))}
        >>> ImagesDisplay.from_frames(videos).images.shape
        (2, 10, 8, 8)
        """
        if not videos:
            raise InputError("Expected at least one video in `videos`, got none.")
        arrays = [as_floats(frames, f"the video {name!r}") for name, frames in videos.items()]
        for name, array in zip(videos, arrays, strict=True):
            if array.ndim != 3 or array.shape[1:] != arrays[0].shape[1:]:
                raise InputError(
                    "Expected every video of shape (steps, H, W), with the frame size of the "
                    f"first, got shape {array.shape} for {name!r}."
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
            Axes to draw into; a new figure by default.
        **kwargs
            Passed to `Axes.imshow`; ``cmap="gray_r"`` draws dark on white.

        Returns
        -------
        ImagesDisplay
            The same display, with `ax_` and `figure_` set.
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
            sheet = np.nan_to_num(sheet, nan=1.0)  # white, as missing grey images are
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
        """Return figure and axes; a new figure has the size that the images need."""
        if ax is not None:
            return ax.figure, ax
        left = max((EDGE + text_width(name, POINTS) for name in self.row_names), default=0.0) + EDGE
        top = 3 * EDGE if self.column_names else EDGE
        width = min(WIDTH - left - EDGE, MAX_IMAGE_WIDTH * self.images.shape[1])
        height = width * size[0] / size[1]
        total = left + width + EDGE, EDGE + height + top
        figure = plt.figure(figsize=total)
        place = left / total[0], EDGE / total[1], width / total[0], height / total[1]
        return figure, figure.add_axes(place)

    def _scaled(self) -> FloatArray:
        """Return the images, scaled to 0 to 1 if scales are separate or there are colours."""
        if self.shared_scale and self.images.ndim == 4:
            return self.images
        axes = None if self.shared_scale else tuple(range(2, self.images.ndim))
        known = ~np.isnan(self.images)
        low = self.images.min(axis=axes, initial=np.inf, where=known, keepdims=True)
        high = self.images.max(axis=axes, initial=-np.inf, where=known, keepdims=True)
        scaled: FloatArray = (self.images - low) / np.where(high > low, high - low, 1)
        return scaled


def _names(names: Sequence[str] | None, what: str, count: int) -> list[str]:
    if names is None:
        return []
    if len(names) != count:
        raise InputError(f"Expected {count} {what} names, got {len(names)}.")
    return list(map(str, names))


def _as_images(values: Any, image_shape: tuple[int, ...] | None, what: str) -> FloatArray:
    """Return images (N, H, W) or (N, H, W, 3) from images or from rows (N, H·W)."""
    array = as_floats(values, what)
    if array.ndim in (3, 4) and array.shape[-1] == 1:
        array = array[..., 0]
    if array.ndim == 2:
        if image_shape is None:
            side = math.isqrt(array.shape[1])
            image_shape = (side, side)
        if math.prod(image_shape) != array.shape[1]:
            raise InputError(
                f"Expected {what} of {' × '.join(map(str, image_shape))} numbers per image, "
                f"got {array.shape[1]}; set `image_shape`."
            )
        array = array.reshape(len(array), *image_shape)
    fits = image_shape is None or array.shape[1:] == tuple(image_shape)
    if array.shape[3:] not in ((), (3,)) or array.ndim < 3 or not fits:
        sizes = ("H", "W") if image_shape is None else image_shape
        shape = f"(N, {', '.join(map(str, sizes))})"
        raise InputError(f"Expected {what} as images of shape {shape}, got {np.shape(values)}.")
    return array


def _in_rows(images: FloatArray, columns: int) -> FloatArray:
    """Arrange N images as (R, C, H, W); the rest of the last row is NaN."""
    _checks.raise_all(_checks.whole("columns", columns, 1))
    columns = min(columns, len(images))
    rows = -(-len(images) // max(1, columns))
    places = np.full((rows * columns, *images.shape[1:]), np.nan)
    places[: len(images)] = images
    return places.reshape(rows, columns, *images.shape[1:])


def _first_weights(estimator: Any) -> FloatArray:
    """Return the weights of an encoder's first layer, (units, inputs)."""
    from torch import nn  # only needed for estimators

    encoder = estimator.module_.encoder
    first = next((m for m in encoder.modules() if any(True for _ in m.parameters(False))), None)
    if not isinstance(first, nn.Linear):
        raise InputError(
            "Expected an estimator whose encoder begins with a dense layer, got "
            f"{type(first).__name__} in {type(estimator).__name__}."
        )
    weights: FloatArray = first.weight.detach().cpu().numpy()
    return weights
