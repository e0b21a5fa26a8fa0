"""Whether the values of `X` can be the targets of the loss."""

from collections.abc import Iterable
from itertools import chain
from typing import Any

import numpy as np
import torch

from unspool._loss_parameter import (
    CROSSENTROPIES,
    LossByFeature,
    LossFunction,
    is_by_step,
    label,
)
from unspool.data.convert import Source
from unspool.data.futures import Futures
from unspool.data.sequences import FloatArray, IntArray
from unspool.errors import InputError
from unspool.nn.device import resolve_device
from unspool.nn.losses import check_function, values_of_function


def check_function_on(
    model: Any, loss: LossFunction, source: Source | Futures, indices: IntArray
) -> None:
    """Check a loss function on some of the sequences to train on."""
    lengths = source.lengths_of(indices)
    some = indices[lengths == lengths.max()][: int(model.batch_size)]
    target = torch.from_numpy(model.scaler_.apply(source.take(some)[0]))
    target = target.to(resolve_device(model.device))
    check_function(loss, target)
    if model.feature_weight is not None:
        values = values_of_function(target, target, loss)
        if values.shape != target.shape:
            raise InputError(
                f"The loss function {loss.name!r} returns one loss for each step, so "
                "`feature_weight` cannot weigh the features; leave it out, or return a loss for "
                "each value."
            )


def check_range(model: Any, source: Source | Futures) -> None:
    """Raise where a cross-entropy has targets that are not between 0 and 1."""
    loss = model._loss
    if isinstance(loss, LossByFeature):
        _check_columns(model, loss, source)
        return
    if loss not in CROSSENTROPIES:
        return
    for chunk in map(model.scaler_.apply, chunks_of(source)):
        low, high = chunk.min(initial=0), chunk.max(initial=0)
        if low < -1e-6 or high > 1 + 1e-6:
            raise InputError(
                f"`loss` {model.loss!r} needs values between 0 and 1, got {low:g} to {high:g} "
                f"after scaling={model.scaling!r}; set scaling='minmax', or 'none' for data "
                "between 0 and 1."
            )
        sums = chunk.sum(axis=1)
        if is_by_step(loss) and (np.minimum(abs(sums), abs(sums - 1)) > 1e-3).any():
            raise InputError(
                f"`loss` {model.loss!r} needs each step to be a distribution, with a sum of 1 "
                "(or all zeros, which do not count); set loss='binary_crossentropy'."
            )


def _check_columns(model: Any, loss: LossByFeature, source: Source | Futures) -> None:
    """Raise where the values of a cross-entropy of a loss by feature cannot be its targets."""
    names = model._form.feature_names
    for chunk in chunks_of(source):
        for column in loss.probabilities:
            values = chunk[:, column]
            low, high = values.min(initial=0), values.max(initial=0)
            if low < -1e-6 or high > 1 + 1e-6:
                raise InputError(
                    f"`loss` has a cross-entropy for {label(column, names)}, which needs "
                    f"values between 0 and 1, got {low:g} to {high:g}; cross-entropies are not "
                    "scaled, so divide the feature, or give it another loss."
                )
        for name, columns in loss.parts:
            sums = chunk[:, list(columns)].sum(axis=1)
            if is_by_step(name) and (np.minimum(abs(sums), abs(sums - 1)) > 1e-3).any():
                listed = ", ".join(label(column, names) for column in columns)
                raise InputError(
                    f"`loss` {name!r} for {listed} needs a sum of 1 at each step (or all "
                    "zeros, which do not count); give the features 'binary_crossentropy', or "
                    "name all columns of the category."
                )


def chunks_of(source: Source | Futures) -> Iterable[FloatArray]:
    """Return all real steps, (steps, F) each, and the given futures."""
    chunks = source.chunks()
    if isinstance(source, Futures) and source.future is not None:
        return chain(chunks, [source.future.reshape(-1, source.n_features)])
    return chunks
