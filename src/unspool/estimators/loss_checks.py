"""Checks of a loss on the data that a model is trained or validated on."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import torch

from unspool._loss_parameter import (
    CROSSENTROPIES,
    Loss,
    LossByFeature,
    LossFunction,
    is_by_step,
    label,
)
from unspool.data.convert import Source
from unspool.data.forms import InputForm
from unspool.data.futures import Futures
from unspool.data.scaling import Scaler
from unspool.data.sequences import FloatArray, IntArray
from unspool.errors import InputError
from unspool.nn.device import resolve_device
from unspool.nn.losses import check_function, values_of_function

TOLERANCE = 1e-6  # distance from 0 to 1 that rounding may cause
TOLERANCE_OF_SUMS = 1e-3


def check_targets(
    loss: Loss,
    chunks: Iterable[FloatArray],
    scaling: str,
    names: Sequence[str] | None,
) -> None:
    """Raise where a cross-entropy has targets that are not between 0 and 1.

    Parameters
    ----------
    loss : str, LossByFeature or LossFunction
    chunks : iterable of arrays of shape (steps, F_out)
        The targets, scaled.
    scaling : str
        The parameter `scaling`, for the message.
    names : sequence of str, optional
        Names of the targets.

    Raises
    ------
    InputError
        If a value is not between 0 and 1, or the values of a category do not add up to 1.
    """
    by_feature = isinstance(loss, LossByFeature)
    if not by_feature and loss not in CROSSENTROPIES:
        return
    for chunk in chunks:
        if isinstance(loss, LossByFeature):
            _check_columns(loss, chunk, names)
            continue
        present = ~np.isnan(chunk)
        low, high = (f(initial=0, where=present) for f in (chunk.min, chunk.max))
        if low < -TOLERANCE or high > 1 + TOLERANCE:
            raise InputError(
                f"`loss` {loss!r} needs values between 0 and 1, got {low:g} to {high:g} "
                f"after scaling={scaling!r}; set scaling='minmax', or 'none' for data "
                "between 0 and 1."
            )
        if is_by_step(loss) and not _are_distributions(chunk[present.all(axis=1)]):
            raise InputError(
                f"`loss` {loss!r} needs each step to be a distribution, with a sum of 1 "
                "(or all zeros, which do not count); set loss='binary_crossentropy'."
            )


def _check_columns(loss: LossByFeature, chunk: FloatArray, names: Sequence[str] | None) -> None:
    """Check the columns of cross-entropies."""
    for column in loss.probabilities:
        low, high = chunk[:, column].min(initial=0), chunk[:, column].max(initial=0)
        if low < -TOLERANCE or high > 1 + TOLERANCE:
            raise InputError(
                f"`loss` has a cross-entropy for {label(column, names)}, which needs values "
                f"between 0 and 1, got {low:g} to {high:g}; it is not scaled, so divide the "
                "feature, or give it another loss."
            )
    for name, columns in loss.parts:
        if is_by_step(name) and not _are_distributions(chunk[:, list(columns)]):
            listed = ", ".join(label(column, names) for column in columns)
            raise InputError(
                f"`loss` {name!r} for {listed} needs a sum of 1 at each step (or all zeros, which "
                "do not count); give the features 'binary_crossentropy', or name all columns of "
                "the category."
            )


def _are_distributions(chunk: FloatArray) -> bool:
    sums = chunk.sum(axis=1)
    return not (np.minimum(abs(sums), abs(sums - 1)) > TOLERANCE_OF_SUMS).any()


def target_chunks(
    source: Source | Futures, form: InputForm, scaler: Scaler
) -> Iterator[FloatArray]:
    """Yield all targets, scaled by `scaler`, (steps, F_out) each: real steps, and given futures."""
    places = slice(None) if form.targets is None else list(form.targets)
    if not form.n_responses:
        for chunk in source.chunks():
            yield scaler.apply(chunk[:, places])
    if isinstance(source, Futures) and source.future is not None:
        yield scaler.apply(source.targets_of(source.future).reshape(-1, form.n_outputs))


def check_loss(model: Any, source: Source | Futures) -> None:
    """Raise where a cross-entropy of a model has targets that are not between 0 and 1."""
    form = model._form
    chunks = target_chunks(source, form, model.target_scaler_)
    check_targets(model._loss, chunks, model.scaling, form.target_names)


def check_function_on(
    model: Any, loss: LossFunction, source: Source | Futures, indices: IntArray
) -> None:
    """Check a loss function on some of the sequences to train on."""
    form, lengths = model._form, source.lengths_of(indices)
    some = indices[lengths == lengths.max()][: int(model.batch_size)]
    if form.n_responses:
        assert isinstance(source, Futures)
        values = source.take_with_future(some)[2]
    else:
        values = source.take(some)[0]
        if form.targets is not None:
            values = values[..., list(form.targets)]
    target = torch.from_numpy(model.target_scaler_.apply(values))
    target = target.to(resolve_device(model.device))
    check_function(loss, target)
    if model.feature_weight is None:
        return
    if values_of_function(target, target, loss).shape != target.shape:
        raise InputError(
            f"The loss function {loss.name!r} returns one loss for each step, so `feature_weight` "
            "cannot weigh the features; leave it out, or return a loss for each value."
        )
