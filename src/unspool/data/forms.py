"""`InputForm`: what a trained model accepts as `X`, and the form in which it returns sequences.

Estimators and `unspool.runtime` both read `X` here, so that they accept the same forms and raise
the same messages. The fields of an `InputForm` are those that a model file stores.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import Any, TypeGuard

import numpy as np
import numpy.typing as npt

from unspool._types import Missing, Reads
from unspool.data.convert import (
    Source,
    check_has_columns,
    check_more_than_a_step,
    plain,
    to_sequences,
)
from unspool.data.frames import check_rows_are_sequences, is_frame, labels_of, names_of
from unspool.data.futures import Futures, without_future
from unspool.data.known import read_known
from unspool.data.scaling import Scaler
from unspool.data.sequences import MASK_HINT, FloatArray, Sequences, counted
from unspool.data.stored import Stored, Values
from unspool.data.targets import check_apart, places_of
from unspool.errors import InputError

Shape = tuple[int, ...]
CheckColumns = Callable[[Values], None]
ARRAYS = (np.ndarray, Stored)


@dataclass(frozen=True)
class InputForm:
    """The form of the data that a model was fitted on.

    Parameters
    ----------
    model : str
        Class of the estimator, for messages.
    reads : {"sequences", "rows", "images"}
        How the model reads a row of a table.
    table : bool
        Whether `fit` read a table (N, T).
    n_features : int
        Number of features of a step, F.
    max_length : int
        Number of steps of the longest sequence.
    names : tuple of str, optional
        Names of the F features; if `fit` read a table, of its columns.
    image_shape : (H, W, C), optional
        None for a model of sequences.
    axes : tuple of int, optional
        Shape in which `fit` read an image: (H, W, C), (H, W) or (H · W · C,).
    cut_off : int, default 0
        Number of steps that `fit` cut off the end of every sequence, to forecast them.
    missing : {"raise", "mask"}, default "raise"
        Whether values may be missing.
    targets : tuple of int, optional
        Places of the features that are reconstructed and forecast; None means all.
    known : tuple of int, default ()
        Places of the features that are known for the steps of a forecast.
    n_responses : int, default 0
        Number of quantities of `y` that are no features of `X`; 0 if the model writes features.
    typical_length : int, optional
        Number of steps of a typical sequence; None means `max_length`.
    """

    model: str
    reads: Reads
    table: bool
    n_features: int
    max_length: int
    names: tuple[str, ...] | None = None
    image_shape: Shape | None = None
    axes: Shape | None = None
    cut_off: int = 0
    missing: Missing = "raise"
    targets: tuple[int, ...] | None = None
    known: tuple[int, ...] = ()
    n_responses: int = 0
    typical_length: int | None = None

    @property
    def feature_names(self) -> tuple[str, ...] | None:
        """Names of the F features, or None if they are unknown."""
        return self.names if self.names and len(self.names) == self.n_features else None

    @property
    def n_outputs(self) -> int:
        """Number of features, or of quantities of `y`, that the model writes, F_out."""
        if self.n_responses:
            return self.n_responses
        return self.n_features if self.targets is None else len(self.targets)

    @property
    def target_names(self) -> tuple[str, ...] | None:
        """Names of what the model writes, or None if they are unknown."""
        names = self.feature_names
        if self.n_responses or names is None or self.targets is None:
            return None if self.n_responses else names
        return tuple(names[place] for place in self.targets)

    def with_roles(
        self, targets: Sequence[str | int] | None, known: Sequence[str | int]
    ) -> "InputForm":
        """Return this form with the features that are targets, and those that are known ahead.

        Raises
        ------
        InputError
            If a feature does not exist, is chosen twice, or has both roles.
        """
        names, count = self.feature_names, self.n_features
        places = None if targets is None else places_of("targets", targets, names, count)
        ahead = places_of("known", known, names, count)
        check_apart(places, ahead, names, count)
        if places == tuple(range(count)):
            places = None
        return replace(self, targets=places, known=ahead)

    def with_known(self, source: Source, future: Any, horizon: int) -> Source | Futures:
        """Return sequences with the features of the next steps that are known, from `future`.

        Raises
        ------
        InputError
            If the model needs a `future` and it is missing or has another form, or the model needs
            none.
        """
        names, count = self.feature_names, len(self.known)
        if not count:
            if future is None:
                return source
            raise InputError(
                "`future` has features that are known ahead, but this model was fitted without "
                "such features; leave it out, or fit with `known`."
            )
        ahead = None if names is None else [names[place] for place in self.known]
        if future is None:
            which = counted(count, "feature") if ahead is None else ", ".join(ahead)
            raise InputError(
                f"This model was fitted with features that are known ahead ({which}); give them "
                f"for the {horizon} steps after each sequence as `future`."
            )
        values = read_known(future, len(source), horizon, count, ahead)
        return Futures(source, horizon, values, holds="known", known=self.known)

    def of_targets(self, source: Source) -> Source:
        """Return sequences of the targets only."""
        return source if self.targets is None else source.select(self.targets)

    def places(self, outputs: Sequence[int]) -> list[int]:
        """Return the features of `X` that outputs of the model, given by place, are written of."""
        return [one if self.targets is None else self.targets[one] for one in outputs]

    def scaler_of_targets(self, scaler: Scaler) -> Scaler:
        """Return the scaling of the targets, from the scaling of all features."""
        return scaler if self.targets is None else scaler.select(self.targets)

    @classmethod
    def of(
        cls,
        X: Any,
        model: str,
        reads: Reads,
        *,
        image_shape: Sequence[int] | None = None,
        with_future: bool = False,
        missing: Missing = "raise",
        check_columns: CheckColumns | None = None,
    ) -> tuple["InputForm", Source]:
        """Read `X` for `fit`: return its form and its sequences.

        Parameters
        ----------
        X : as for `as_sequences`, or images (N, H, W, C)
        model, reads
            See the class.
        image_shape : (H, W) or (H, W, C), optional
            The parameter of a model that reads images.
        with_future : bool, default False
            Whether `fit` was also given the future of every row, so that rows are sequences.
        missing : {"raise", "mask"}, default "raise"
            Whether values may be missing.
        check_columns : callable, optional
            Called with the values (N, T) of a table.

        Raises
        ------
        InputError
            If `X` is not in one of the forms, or has no step.
        """
        values = plain(X)
        axes = _axes(values)
        shape = image_shape_of(image_shape, axes) if reads == "images" else None
        if table := _is_table(values):
            check_has_columns(values)
            if check_columns is not None:
                check_columns(values)
            if shape is None and reads != "rows":
                check_rows_are_sequences(X)
                if not with_future:
                    check_more_than_a_step(values)
        source = _to_sequences(values, shape, rows=table and reads == "rows", missing=missing)
        if source.max_length == 0:
            raise InputError(
                f"Expected a sequence with at least one step to learn from, got {source!r}; all "
                "their values are missing."
            )
        names = _column_names(X, values) if _is_table(values) else source.feature_names
        axes_of_images = None if shape is None else axes
        sizes = source.n_features, source.max_length
        form = cls(model, reads, table, *sizes, names, shape, axes_of_images, missing=missing)
        return form, source

    def read(
        self,
        X: Any,
        lengths: npt.ArrayLike | None = None,
        *,
        one_step: bool = False,
        check_columns: CheckColumns | None = None,
    ) -> Source:
        """Read `X` as sequences of the features that the model was fitted on.

        Parameters
        ----------
        X : as for `of`
        lengths : array of shape (N,), optional
            Number of real steps of every sequence, if `X` is an array (N, T, F).
        one_step : bool, default False
            Accept a table (N, 1) although `fit` saw longer sequences.
        check_columns : callable, optional
            Called with the values of a table, if `fit` read one too and cut nothing off it. By
            default the names of its columns are compared with those of `fit`, and a table of
            sequences may have any number of columns.

        Raises
        ------
        InputError
            If `X` is not in one of the forms, or has other features.
        """
        self.check_lengths(lengths)
        values = plain(X)
        axes = _axes(values)
        if lengths is not None:
            if not isinstance(values, ARRAYS):
                raise InputError(
                    f"`lengths` needs an array (N, T, F), got {values!r}; leave `lengths` out."
                )
            return self._check_features(Sequences(values, lengths, missing=self.missing))
        if table := _is_table(values):
            whole = self.image_shape is not None or (self.reads == "rows" and self.table)
            check_has_columns(values)
            if not whole:
                check_rows_are_sequences(X)
            if self.table and not self.cut_off:
                if check_columns is not None:
                    check_columns(values)
                else:
                    self._check_names(_column_names(X, values))
            if not whole and self.max_length > 1 and not one_step:
                check_more_than_a_step(values)
        rows = table and self.table and self.reads == "rows"
        source = _to_sequences(values, self.image_shape, rows=rows, missing=self.missing)
        return self._check_features(source, axes)

    def restore(
        self, values: FloatArray, given: Shape | None = None, *, whole: bool = False
    ) -> FloatArray:
        """Return sequences (N, T, F) in the form of the data of `fit`, or of an X.

        Parameters
        ----------
        values : array of shape (N, T, F)
        given : tuple of int, optional
            `axes_given` by the X.
        whole : bool, default False
            Whether `values` have all features, instead of the targets.
        """
        if self.image_shape is not None:
            axes = self.axes if given is None else given
            assert axes is not None
            if self.targets is not None and not whole:  # other channels than those of X
                axes = (*self.image_shape[:2], self.n_outputs)
            return values.reshape(len(values), *axes)
        if not self.table or (given is not None and len(given) != 1):
            return values
        return values[:, 0] if self.reads == "rows" else values[:, :, 0]

    def axes_given(self, X: Any) -> Shape:
        """Return the axes of an `X` without N, as far as `restore` needs them."""
        if self.image_shape is None and not self.table:
            return ()
        is_numeric = isinstance(X, np.ndarray) and X.dtype != object
        return _axes(X if is_numeric else plain(X))

    def restore_steps(self, values: FloatArray) -> FloatArray:
        """Return values for every step (N, T, …); for images, for every pixel (N, H, W, …)."""
        if self.image_shape is None:
            return values
        return values.reshape(len(values), *self.image_shape[:2], *values.shape[2:])

    def without_future(self, source: Source) -> Source:
        """Return sequences without the last steps, if `fit` cut off such steps to forecast them."""
        return without_future(source, self.cut_off, self.max_length) if self.cut_off else source

    def check_lengths(self, lengths: npt.ArrayLike | None) -> None:
        """Refuse `lengths` for images."""
        if self.image_shape is not None and lengths is not None:
            raise InputError("All images have the same size; leave `lengths` out.")

    def check_longest(self, source: Source | Futures, limits: Iterable[int | None]) -> None:
        """Refuse sequences with more steps than one of the `limits`; None is no limit."""
        most = min((limit for limit in limits if limit is not None), default=source.max_length)
        if source.max_length > most:
            raise InputError(
                f"Expected sequences of at most {most} steps, as in `fit`, got "
                f"{source.max_length}; this {self.model} has layers of a fixed number of steps."
            )

    def _check_features(self, source: Source, axes: Shape = ()) -> Source:
        """`source`, read from an array of shape (N, *axes), if it has the features of `fit`."""
        if source.n_features != self.n_features:
            raise InputError(
                f"X has {source.n_features} features, but {self.model} is expecting "
                f"{self.n_features} features as input{_hint(axes, self.n_features)}."
            )
        if not self.table:
            self._check_names(source.feature_names)
        return source

    def _check_names(self, names: tuple[str, ...] | None) -> None:
        if names and self.names and names != self.names:
            raise InputError(
                f"Expected the features {', '.join(self.names)}, in this order, got "
                f"{', '.join(names)}; choose and order them as in `fit`."
            )


def image_shape_of(given: Sequence[int] | None, axes: Sequence[int] | None) -> Shape | None:
    """Return the shape (H, W, C) of images, or None for sequences.

    Parameters
    ----------
    given : (H, W) or (H, W, C), optional
        The parameter `image_shape`.
    axes : sequence of int, optional
        Shape of what `fit` was given, without N.
    """
    if given is not None:
        return (*given, 1)[:3]
    return tuple(axes) if axes is not None and len(axes) == 3 else None


def forms_of_image(image: Shape) -> tuple[Shape, ...]:
    """Return the shapes in which an image (H, W, C) may be given."""
    height, width, channels = image
    return (image, *([(height, width)] if channels == 1 else []), (prod(image),))


def _is_table(values: Source | Values) -> TypeGuard[Values]:
    return isinstance(values, ARRAYS) and values.ndim == 2


def _axes(values: Source | Values) -> Shape:
    """Return the shape of an array without N; () for `Sequences` and `Windows`."""
    return tuple(values.shape[1:]) if isinstance(values, ARRAYS) else ()


def _column_names(X: Any, values: Values) -> tuple[str, ...] | None:
    if isinstance(values, Stored):
        return values.names
    return names_of(labels_of(X)) if is_frame(X) else None


def _to_sequences(
    values: Source | Values, image: Shape | None, *, rows: bool, missing: Missing
) -> Source:
    """Return `values` as sequences; an image has H · W steps, and with `rows` a row is one step."""
    if image is not None:
        return _pixels(values, image, missing)
    if not rows:
        return to_sequences(values, missing)
    assert isinstance(values, ARRAYS)
    n, columns = values.shape
    if missing == "raise" and not isinstance(values, Stored):
        _check_ends(Sequences(values[:, :, None]), "Row")
    return _without_padding(values.reshape(n, 1, columns), missing)


def _pixels(values: Source | Values, image: Shape, missing: Missing) -> Sequences:
    height, width, channels = image
    forms = forms_of_image(image)
    if not isinstance(values, ARRAYS) or values.shape[1:] not in forms:
        listed = [f"(N, {', '.join(map(str, form))})" for form in forms]
        got = f"shape {values.shape}" if isinstance(values, ARRAYS) else repr(values)
        raise InputError(
            f"Expected images of shape {' or '.join(listed[:-1])}, or a table {listed[-1]}, got "
            f"{got}; fit another model to images of another shape."
        )
    pixels = values.reshape(len(values), height * width, channels)
    if missing == "raise" and not isinstance(pixels, Stored):
        _check_ends(Sequences(pixels), "Image")
    return _without_padding(pixels, missing)


def _without_padding(values: Values, missing: Missing) -> Sequences:
    """Return rows or images (N, T, F) as sequences of T steps: NaN at their ends is missing."""
    lengths = np.full(len(values), values.shape[1])
    return Sequences(values, lengths, missing=missing)


def _check_ends(source: Sequences, noun: str) -> None:
    """Refuse rows or images that end in NaN, which is no padding."""
    incomplete = np.flatnonzero(source.lengths < source.shape[1])
    if len(incomplete):
        raise InputError(
            f"{noun} {incomplete[0]} ends in NaN, but this model needs every value of it; fill or "
            f"drop it{MASK_HINT}."
        )


def _hint(axes: Shape, features: int) -> str:
    """Return advice if an array (N, *axes) may have its axes in an unexpected order."""
    if axes == (features,):
        return (
            ". A table (N, T) is N sequences of one feature; give one series (T, F) as [X] "
            "(X[None] for an array), or cut it with Windows(X, size)"
        )
    if len(axes) == 2 and axes[0] == features:
        return ". If features are before steps, (N, F, T), give X.transpose(0, 2, 1)"
    return ""
