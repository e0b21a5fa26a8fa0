"""Collect the outputs of a model, batch by batch, into arrays and errors.

The estimators and `unspool.runtime` both use it, and it needs NumPy alone. `pieces` are iterators
over batches, whose first entry is the indices (B,) of the sequences of the batch.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from unspool import _checks
from unspool._loss_parameter import Loss, LossFunction, is_by_step
from unspool._losses import feature_errors, step_errors
from unspool._types import Per, PerNewestStep, PerStepAndFeature
from unspool.data.convert import Source
from unspool.data.forms import InputForm
from unspool.data.merging import steps_of
from unspool.data.scaling import Scaler
from unspool.data.sequences import FloatArray, IntArray, as_floats
from unspool.data.values import as_array
from unspool.data.windows import Windows
from unspool.errors import InputError

STEP_AND_FEATURE: PerStepAndFeature = ("step", "feature")
PER: tuple[Per, ...] = ("sequence", "step", "feature", STEP_AND_FEATURE)
PER_NEWEST_STEP: tuple[PerNewestStep, ...] = ("step", STEP_AND_FEATURE)
IMPUTED = 1024  # sequences whose missing values are replaced at once


def sequences(
    source: Source, pieces: Iterable[tuple[IntArray, FloatArray]], scaler: Scaler
) -> FloatArray:
    """Return sequences (N, T, F) in the units of the data, NaN past their ends."""
    values = np.full((len(source), source.max_length, len(scaler.scale)), np.nan)
    for indices, outputs in pieces:
        values[indices, : outputs.shape[1]] = scaler.undo(outputs)
    values[past_the_end(source)] = np.nan
    return values


def imputed(
    source: Source,
    pieces: Iterable[tuple[IntArray, FloatArray]],
    scaler: Scaler,
    targets: Sequence[int] | None = None,
) -> FloatArray:
    """Return sequences (N, T, F) whose missing values are those of reconstructions (B, T, F_out).

    Missing values of features that are not among the `targets` stay NaN.
    """
    values = sequences(source, pieces, scaler)
    if targets is not None:
        values = _among_all(values, targets, source.n_features)
    for start in range(0, len(source), IMPUTED):
        indices = np.arange(start, min(start + IMPUTED, len(source)))
        given, lengths = source.take(indices)
        known = (np.arange(given.shape[1]) < lengths[:, None])[:, :, None] & ~np.isnan(given)
        np.copyto(values[indices[0] : indices[-1] + 1, : given.shape[1]], given, where=known)
    return values


def imputed_steps(
    source: Windows, start: int, means: FloatArray, targets: Sequence[int] | None
) -> FloatArray:
    """Return steps of the series of windows, with `means` (steps, F_out) as missing values.

    `start` is the number of the first step; the steps of all series are counted together.
    """
    if targets is not None:
        means = _among_all(means, targets, source.n_features)
    steps = steps_of(source.series, start, start + len(means))
    return np.where(np.isnan(steps), means, steps)


def _among_all(values: FloatArray, places: Sequence[int], n_features: int) -> FloatArray:
    """Return values (…, F_out) at their places among all features (…, F), NaN elsewhere."""
    of_all = np.full((*values.shape[:-1], n_features), np.nan)
    of_all[..., list(places)] = values
    return of_all


def errors(
    source: Source,
    reconstructions: Iterable[tuple[IntArray, FloatArray, FloatArray]],
    loss: Loss,
    form: InputForm,
    per: Per,
    *,
    missing: bool,
) -> FloatArray:
    """Return errors of reconstructions.

    Parameters
    ----------
    source : Sequences or Windows
        The N sequences.
    reconstructions : iterable of arrays
        Batches of indices (B,), inputs and reconstructions (B, T, F), scaled.
    loss : str, LossByFeature or LossFunction
        Loss that is the error.
    form : InputForm
        Form of the data; steps of images are their pixels (H, W).
    per : "sequence", "step", "feature" or ("step", "feature")
        Whether the result has the shape (N,), (N, T), (N, F) or (N, T, F).
    missing : bool
        Whether values may be missing. Sums of values have another order then, so that all parts of
        the data need the same.
    """
    has_steps = per in ("step", STEP_AND_FEATURE)
    measure = error_function(per, loss)
    if isinstance(loss, LossFunction):
        reconstructions = _alike_in_the_padding(source, reconstructions)
    pieces = ((indices, measure(output, x)) for indices, x, output in reconstructions)
    features = (source.n_features,) if has_features(per) else ()
    if not has_steps:
        means = np.full((len(source), *features), np.nan)
        if missing:
            by_value = isinstance(loss, str) and not is_by_step(loss)
            if per == "sequence" and by_value:  # a mean over values, not over steps
                measure = error_function(STEP_AND_FEATURE, loss)
            for indices, values in ((i, measure(output, x)) for i, x, output in reconstructions):
                means[indices] = _mean_of_present(values, source.lengths_of(indices), len(features))
            return means
        for indices, by_step in pieces:
            # (B,) and (T,), with another axis if there are features
            lengths = source.lengths_of(indices).reshape(-1, *[1] * len(features))
            places = np.arange(by_step.shape[1]).reshape(-1, *[1] * len(features))
            total = by_step.sum(axis=1, where=places < lengths[:, None])
            means[indices] = np.where(lengths > 0, total / np.maximum(lengths, 1), np.nan)
        return means
    table = np.full((len(source), source.max_length, *features), np.nan)
    for indices, by_step in pieces:
        table[indices, : by_step.shape[1]] = by_step
    table[past_the_end(source)] = np.nan
    return form.restore_steps(table)


def check_errors(per: Per, loss: Loss, *, merge: bool) -> None:
    """Raise an `InputError` if there are no such errors, or none that can be merged."""
    if merge and per not in PER_NEWEST_STEP:
        raise InputError(
            "`merge` averages errors of steps; set per='step' or per=('step', 'feature')."
        )
    error_function(per, loss)


def _mean_of_present(values: FloatArray, lengths: IntArray, n_axes: int) -> FloatArray:
    """Return means over the real steps of errors (B, T, …) that are not NaN.

    The last `n_axes` axes are kept. The mean of nothing is NaN.
    """
    real = (np.arange(values.shape[1]) < lengths[:, None]).reshape(
        *values.shape[:2], *[1] * (values.ndim - 2)
    )
    present = real & ~np.isnan(values)
    axes = tuple(range(1, values.ndim - n_axes))
    count = present.sum(axis=axes)
    total = values.sum(axis=axes, where=present)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def _alike_in_the_padding(
    source: Source, reconstructions: Iterable[tuple[IntArray, FloatArray, FloatArray]]
) -> Iterator[tuple[IntArray, FloatArray, FloatArray]]:
    """Yield batches whose reconstructions equal the inputs in the padding, as in training."""
    for indices, x, output in reconstructions:
        real = np.arange(x.shape[1]) < source.lengths_of(indices)[:, None]
        yield indices, x, np.where(real[:, :, None], output, x)


def check_decodes_codes_alone(scaler: Scaler) -> None:
    """Raise if codes do not say at which level a sequence was."""
    if scaler.normalization != "none":
        raise InputError(
            "This model normalises each sequence (`normalization`), so its codes contain the shape "
            "of a sequence and not its level, and codes alone cannot be decoded; use "
            "`reconstruct`, or fit with normalization='none'."
        )


def codes_and_lengths(
    X: Any, lengths: npt.ArrayLike | None, latent_dim: int, default: int, most: int | None
) -> tuple[npt.NDArray[np.float32], IntArray]:
    """Check codes (N, L) and the number of steps (N,) to decode for each.

    Parameters
    ----------
    X : array of shape (N, L)
        Codes.
    lengths : int or array of shape (N,), optional
        Number of steps to decode.
    latent_dim : int
        Length of a code, L.
    default : int
        Number of steps if `lengths` is None.
    most : int, optional
        Largest number of steps that the decoder can output.

    Raises
    ------
    InputError
        If codes or lengths are not of this form.
    """
    with np.errstate(over="ignore"):  # numbers that are too large for float32 are refused below
        codes = as_floats(X, "codes").astype(np.float32)
    if codes.ndim != 2 or codes.shape[1] != latent_dim:
        raise InputError(f"Expected codes of shape (N, {latent_dim}), got {codes.shape}.")
    finite = np.isfinite(codes).all(axis=1)
    if not finite.all():
        raise InputError(
            f"Codes contain NaN or infinity (first in row {int(np.argmin(finite))}); leave such "
            "rows out."
        )
    steps = as_array(default if lengths is None else lengths, "`lengths`")
    fits = steps.shape in ((), (len(codes),)) and steps.dtype.kind in "iu"
    if not fits or steps.min(initial=0) < 0:
        raise InputError(
            f"Expected `lengths` as one whole number of steps or {len(codes)} of them, "
            f"got {lengths!r}."
        )
    longest = int(steps.max(initial=0))
    if most is not None and longest > most:
        raise InputError(
            f"Expected `lengths` of at most {most}, as in `fit`, got {longest}; this decoder has "
            "layers of a fixed number of steps."
        )
    return codes, np.broadcast_to(steps, len(codes)).astype(np.int64)


def check_per(per: object, known: Sequence[Per] = PER) -> None:
    """Raise an `InputError` if `per` is not one of the `known`."""
    if not isinstance(per, (str, tuple)) or per not in known:
        *others, last = map(repr, known)
        raise InputError(f"`per` must be {', '.join(others)} or {last}, got {_checks.shown(per)}.")


def merges(merge: object) -> bool:
    """Return `merge`; raise an `InputError` if it is neither True nor False."""
    if not isinstance(merge, (bool, np.bool_)):
        raise InputError(f"`merge` must be True or False, got {_checks.shown(merge)}.")
    return bool(merge)


def error_function(per: Per, loss: Loss) -> Callable[[FloatArray, FloatArray], FloatArray]:
    """Return the function that computes errors (B, T) or (B, T, F) of reconstructions of inputs."""
    if not has_features(per):
        return partial(step_errors, loss=loss)
    check_has_feature_errors(loss, "use per='step'")
    return partial(feature_errors, loss=loss)


def check_has_feature_errors(loss: Loss, advice: str) -> None:
    """Raise an `InputError` with advice if the loss has one value for all features of a step."""
    if is_by_step(loss):
        raise InputError(
            f"The loss {loss!r} has one value for all features of a step, so there are no errors "
            f"by feature; {advice}."
        )


def has_features(per: Per) -> bool:
    """Return whether errors have an axis of features."""
    return per in ("feature", STEP_AND_FEATURE)


def futures_shaped(values: FloatArray, y_ndim: int | None, *, table: bool) -> FloatArray:
    """Return futures (N, K, F) with the number of axes that `fit` was given."""
    axes = y_ndim or (2 if table else 3)
    if axes == 1:
        return values[:, 0, 0]
    if axes == 2:
        return values[:, 0] if values.shape[2] > 1 else values[:, :, 0]
    return values


def past_the_end(source: Source) -> npt.NDArray[np.bool_]:
    """Mask (N, T) of the steps that are padding."""
    lengths = source.lengths_of(np.arange(len(source)))
    return np.arange(source.max_length) >= lengths[:, None]
