"""What a trained model accepts as `X`, and the form in which it gives sequences back."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from unspool.data.convert import Source, as_source, whole_rows
from unspool.data.sequences import FloatArray, Sequences, as_floats
from unspool.data.windows import Windows
from unspool.errors import InputError
from unspool.model_file import Contents

ROWS = ("DenseAutoencoder", "StackedAutoencoder")  # a row of a table is a step of its features

Form = Callable[[FloatArray], FloatArray]


def read(contents: Contents, X: Any, lengths: npt.ArrayLike | None) -> tuple[Source, Form]:
    """Read `X`, and say how sequences (N, T, F) are given back in its form.

    Raises
    ------
    InputError
        Where `X` is nothing that the model reads, or has other features than it.
    """
    image, fitted = contents.facts.image_shape, contents.fitted
    if image is not None:
        return _images(X, lengths, image)
    if lengths is not None:
        if isinstance(X, (Sequences, Windows)):
            raise InputError("Expected `lengths` beside an array; Sequences have their own.")
        return _checked(Sequences(X, lengths), contents), lambda values: values
    source = as_source(X)
    if isinstance(X, (Sequences, Windows)) or not fitted["table"] or _axes(X) != 2:
        return _checked(source, contents), lambda values: values
    if fitted["y_ndim"] is not None or not fitted["horizon"]:  # no last columns were cut off
        _check_names(_columns(X), fitted["feature_names_in"])
    if contents.of_encoder[0] in ROWS:
        source = Sequences(whole_rows(source).transpose(0, 2, 1))
        return _checked(source, contents), lambda values: values[:, 0]
    return _checked(source, contents), lambda values: values[:, :, 0]


def form_of_fit(contents: Contents) -> Form:
    """How sequences (N, T, F) are given back in the form of what `fit` was given."""
    axes = contents.fitted["axes"]
    if axes is not None:
        return lambda values: values.reshape(len(values), *axes)
    if not contents.fitted["table"]:
        return lambda values: values
    if contents.of_encoder[0] in ROWS:
        return lambda values: values[:, 0]
    return lambda values: values[:, :, 0]


def _axes(X: Any) -> int:
    """Of an array or frame; 0 for a ragged list."""
    try:
        return X.ndim if hasattr(X, "ndim") else np.asarray(X).ndim
    except ValueError:
        return 0


def _columns(X: Any) -> list[str] | None:
    """The names of a frame's columns, where all have one."""
    for attribute in ("columns", "column_names"):  # of pandas and polars; of Arrow
        names = list(getattr(X, attribute, ()))
        if names and all(isinstance(name, str) for name in names):
            return names
    return None


def _images(X: Any, lengths: npt.ArrayLike | None, image: tuple[int, ...]) -> tuple[Source, Form]:
    if lengths is not None:
        raise InputError("Images are all of one size; leave `lengths` out.")
    height, width, channels = image
    forms = [(height, width, channels), (height * width * channels,)]
    if channels == 1:
        forms.append((height, width))
    made = isinstance(X, (Sequences, Windows))
    values = np.empty(()) if made else as_floats(X, "images")
    if values.shape[1:] not in forms:
        raise InputError(
            f"Expected images as (N, {height}, {width}, {channels}), or a table "
            f"(N, {height * width * channels}), got {X if made else f'shape {values.shape}'}."
        )
    pixels = as_source(values.reshape(len(values), height * width, channels))
    whole_rows(pixels)
    return pixels, lambda again: again.reshape(values.shape)


def _checked(source: Source, contents: Contents) -> Source:
    """`source`, if it has the features that the model was trained on."""
    features = contents.facts.n_features
    if source.n_features != features:
        raise InputError(f"Expected {features} features, as in training, got {source.n_features}.")
    if not contents.fitted["table"]:
        _check_names(source.feature_names, contents.feature_names)
    return source


def _check_names(names: Sequence[str] | None, known: Sequence[str] | None) -> None:
    """Names of features, where both are there, are those of `fit` in the same order."""
    if names and known and list(names) != list(known):
        raise InputError(
            f"Expected the features {', '.join(known)}, in this order, got {', '.join(names)}; "
            "choose and order them as in `fit`."
        )
