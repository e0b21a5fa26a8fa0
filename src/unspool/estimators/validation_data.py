"""The `validation_data` of `fit`: what may be given with it, how it is read, and what it shares."""

import warnings
from typing import Any

from unspool.data.convert import Source
from unspool.data.futures import Futures
from unspool.data.overlap import shared
from unspool.errors import InputError, OverlapWarning


def check_alone(validation_data: Any, share: float | str, groups: Any) -> None:
    """Refuse `validation_data` together with another choice of the validation data."""
    if validation_data is None:
        return
    if share not in ("auto", 0):
        raise InputError(
            f"`validation_split` is {share:g}, but `validation_data` is given too; leave one of "
            "them out."
        )
    if groups is not None:
        raise InputError(
            "`groups` says which sequences of `X` are held out together, but with "
            "`validation_data` none are held out; leave one of them out."
        )


def parts_of(validation_data: Any) -> tuple[Any, Any, Any]:
    """Return (X_val, y_val, sample_weight_val): a tuple of two or three, or X_val alone."""
    if isinstance(validation_data, tuple) and len(validation_data) in (2, 3):
        X, y, *sample_weight = validation_data
        return X, y, sample_weight[0] if sample_weight else None
    return validation_data, None, None


def check_has_steps(source: Source | Futures) -> None:
    """Refuse validation data without a step."""
    if source.max_length == 0:
        raise InputError(
            f"Expected a sequence with at least one step in `validation_data`, got {source!r}."
        )


def warn_if_shared(training: Source, validation: Source) -> None:
    """Warn if validation sequences occur in the training data, or overlap with them."""
    found = shared(training, validation)
    if found.equal:
        warnings.warn(
            f"{found.equal} of {found.checked} sequences of `validation_data` that were checked "
            "occur in `X` too, so the validation loss says little about other sequences; remove "
            "them from one of the two.",
            OverlapWarning,
            stacklevel=5,
        )
    if found.overlapping:
        warnings.warn(
            f"{found.overlapping} of {found.checked} sequences of `validation_data` that were "
            "checked overlap sequences of `X`, as windows of one series do, so the validation loss "
            "says little about other series; cut the series in time (`chronological_split`) before "
            "you cut windows.",
            OverlapWarning,
            stacklevel=5,
        )
