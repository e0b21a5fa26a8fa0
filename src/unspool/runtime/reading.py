"""What a trained model accepts as `X`, and the form in which it gives sequences back."""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from unspool.data.convert import Source, as_source
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
    features, image = contents.facts.n_features, contents.facts.image_shape
    if lengths is not None:
        if isinstance(X, (Sequences, Windows)):
            raise InputError("Expected `lengths` beside an array; Sequences have their own.")
        return _checked(Sequences(X, lengths), contents), lambda values: values
    if isinstance(X, (Sequences, Windows)):
        return _checked(X, contents), lambda values: values
    if image is not None:
        return _images(X, image)
    axes = _axes(X)
    if contents.fitted["table"] and axes == 2 and contents.of_encoder[0] in ROWS:
        rows = as_source(X)
        assert isinstance(rows, Sequences)
        if (rows.lengths < rows.values.shape[1]).any():
            raise InputError("Expected rows without NaN; fill or drop those that have some.")
        turned = Sequences(rows.values.transpose(0, 2, 1))
        return _checked(turned, contents), lambda values: values[:, 0]
    source = _checked(as_source(X), contents)
    if axes == 2 and features == 1:
        return source, lambda values: values[:, :, 0]
    return source, lambda values: values


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


def _images(X: Any, image: tuple[int, ...]) -> tuple[Source, Form]:
    height, width, channels = image
    values = as_floats(X, "images")
    forms = [(height, width, channels), (height * width * channels,)]
    if channels == 1:
        forms.append((height, width))
    if values.shape[1:] not in forms:
        raise InputError(
            f"Expected images as (N, {height}, {width}, {channels}), or a table "
            f"(N, {height * width * channels}), got shape {values.shape}."
        )
    pixels = values.reshape(len(values), height * width, channels)
    if np.isnan(pixels).any():
        raise InputError("Expected images without NaN; fill or drop those that have some.")
    return Sequences(pixels), lambda again: again.reshape(values.shape)


def _checked(source: Source, contents: Contents) -> Source:
    """`source`, if it has the features that the model was trained on."""
    features, names = contents.facts.n_features, source.feature_names
    if source.n_features != features:
        raise InputError(f"Expected {features} features, as in training, got {source.n_features}.")
    known = contents.feature_names
    if names and known and names != known and not contents.fitted["table"]:
        raise InputError(
            f"Expected the features {', '.join(known)}, in this order, got {', '.join(names)}; "
            "choose and order them as in `fit`."
        )
    return source
