"""What a trained model accepts as `X`, and the form in which it gives sequences back."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from unspool._registry import MODELS
from unspool.data.convert import (
    Source,
    as_sequences,
    check_has_columns,
    check_more_than_a_step,
    features_hint,
    plain,
    whole_rows,
)
from unspool.data.frames import check_rows_are_sequences, is_frame, labels_of, names_of
from unspool.data.sequences import FloatArray, Sequences
from unspool.errors import InputError
from unspool.model_file import Contents

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
    values = plain(X)
    if lengths is not None:
        if not isinstance(values, np.ndarray):
            raise InputError("Expected `lengths` beside an array; Sequences have their own.")
        return _checked(Sequences(values, lengths), contents), lambda values: values
    if not isinstance(values, np.ndarray) or values.ndim != 2:
        shape = values.shape if isinstance(values, np.ndarray) else ()
        return _checked(as_sequences(values), contents, shape), lambda values: values
    check_has_columns(values)
    table = fitted["table"]
    rows = table and MODELS[contents.of_encoder[0]].reads_rows
    if not rows:
        check_rows_are_sequences(X)
        if contents.facts.max_length > 1:
            check_more_than_a_step(values)
    if table and (fitted["y_ndim"] is not None or not fitted["horizon"]):  # no columns were cut off
        _check_names(names_of(labels_of(X)) if is_frame(X) else None, fitted["feature_names_in"])
    source = as_sequences(values)
    if rows:
        source = Sequences(whole_rows(source).transpose(0, 2, 1))
        return _checked(source, contents), lambda values: values[:, 0]
    source = _checked(source, contents, values.shape)
    return source, lambda values: values[:, :, 0] if table else values


def form_of_fit(contents: Contents) -> Form:
    """How sequences (N, T, F) are given back in the form of what `fit` was given."""
    axes = contents.fitted["axes"]
    if axes is not None:
        return lambda values: values.reshape(len(values), *axes)
    if not contents.fitted["table"]:
        return lambda values: values
    if MODELS[contents.of_encoder[0]].reads_rows:
        return lambda values: values[:, 0]
    return lambda values: values[:, :, 0]


def _images(X: Any, lengths: npt.ArrayLike | None, image: tuple[int, ...]) -> tuple[Source, Form]:
    if lengths is not None:
        raise InputError("Images are all of one size; leave `lengths` out.")
    height, width, channels = image
    forms = [(height, width, channels), (height * width * channels,)]
    if channels == 1:
        forms.append((height, width))
    values = plain(X)
    if not isinstance(values, np.ndarray) or values.shape[1:] not in forms:
        got = f"shape {values.shape}" if isinstance(values, np.ndarray) else values
        raise InputError(
            f"Expected images as (N, {height}, {width}, {channels}), or a table "
            f"(N, {height * width * channels}), got {got}."
        )
    shape = values.shape
    pixels = as_sequences(values.reshape(len(values), height * width, channels))
    whole_rows(pixels)
    return pixels, lambda again: again.reshape(shape)


def _checked(source: Source, contents: Contents, shape: tuple[int, ...] = ()) -> Source:
    """`source`, made of an array of this `shape`, if it has the features of training."""
    features = contents.facts.n_features
    if source.n_features != features:
        raise InputError(
            f"Expected {features} features, as in training, got {source.n_features}"
            f"{features_hint(shape, features)}."
        )
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
