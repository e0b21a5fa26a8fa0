"""From what a model gave, batch by batch, to arrays over all sequences, errors and scores.

NumPy alone: the estimators and `unspool.runtime` both end here. `pieces` are iterators over
batches, each with the indices (B,) of its sequences.
"""

import math
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from unspool import _checks
from unspool.data.convert import Source
from unspool.data.scaling import Scaler, moments
from unspool.data.sequences import FloatArray, IntArray, as_floats
from unspool.data.values import as_array
from unspool.data.windows import Windows, overlap_mean
from unspool.errors import InputError

SAME = 1e-12  # share of squares by which sequences differ through rounding alone


def sequences(
    source: Source, pieces: Iterable[tuple[IntArray, FloatArray]], scaler: Scaler
) -> FloatArray:
    """Sequences (N, T, F) in the units of the data, NaN past their ends."""
    values = np.full((len(source), source.max_length, source.n_features), np.nan)
    for indices, again in pieces:
        values[indices, : again.shape[1]] = scaler.undo(again)
    values[past_the_end(source)] = np.nan
    return values


def merged(source: Source, pieces: Iterator[tuple[IntArray, FloatArray]]) -> list[FloatArray]:
    """Averages of overlapping windows, one array for every series below them."""
    if not isinstance(source, Windows):
        raise InputError(f"`merge` needs Windows(series, size), got {source!r}.")
    return overlap_mean(source, pieces)


def errors(
    source: Source, pieces: Iterator[tuple[IntArray, FloatArray]], per: str, *, merge: bool
) -> Any:
    """Errors of sequences (N,) or of their steps (N, T), from pieces with errors of steps (B, T).

    With `merge`, a list of arrays (T_i,) as from `merged`.
    """
    if merge and per != "step":
        raise InputError("`merge` averages errors of steps; it needs per='step'.")
    if merge:
        return merged(source, pieces)
    if per == "sequence":
        found = np.full(len(source), np.nan)
        for indices, by_step in pieces:
            lengths = source.lengths_of(indices)
            real = np.arange(by_step.shape[1]) < lengths[:, None]
            total = by_step.sum(axis=1, where=real)
            found[indices] = np.where(lengths > 0, total / np.maximum(lengths, 1), np.nan)
        return found
    table = np.full((len(source), source.max_length), np.nan)
    for indices, by_step in pieces:
        table[indices, : by_step.shape[1]] = by_step
    table[past_the_end(source)] = np.nan
    return table


class Scores(NamedTuple):
    """How good reconstructions are: 1 is perfect, 0 no better than a guess.

    Both are 1 - (sum of squared errors) / (that of the guess), over the real steps and features
    of all sequences together, in scaled units.

    Parameters
    ----------
    explained : float
        R²: the guess is the mean of every feature, over all steps of all sequences.
    skill : float
        The guess is the mean sequence: of every step and feature, over all sequences. NaN where
        fewer than two of them have a step.
    """

    explained: float
    skill: float


def scores(
    source: Source, pieces: Iterable[tuple[IntArray, FloatArray, FloatArray]], scaler: Scaler
) -> Scores:
    """Scores of reconstructions, from pieces with input and reconstruction (B, T, F), scaled."""
    mean = scaler.apply(source.mean_sequence()).astype(np.float64)
    missed = apart = size = 0.0
    steps = real_sequences = 0
    for indices, x, again in pieces:
        real = np.arange(x.shape[1]) < source.lengths_of(indices)[:, None]
        missed += float(((again - x)[real].astype(np.float64) ** 2).sum())
        apart += float(((x - mean[: x.shape[1]])[real] ** 2).sum())
        size += float((x[real].astype(np.float64) ** 2).sum())
        steps += int(real.sum())
        real_sequences += int(real.any(axis=1).sum())
    if not steps:
        raise InputError(f"Expected at least one step to compare with, got none in {source!r}.")
    spread = moments(source.chunks(), source.n_features).spread / scaler.scale
    explained = _share(missed, steps * float((spread**2).sum()))
    if real_sequences < 2:
        return Scores(explained, math.nan)
    return Scores(explained, _share(missed, apart if apart > SAME * size else 0.0))


def _share(missed: float, total: float) -> float:
    """What is not missed of `total`, as a share; of nothing, all or none."""
    if total == 0:
        return 1.0 if missed == 0 else 0.0
    return 1 - missed / total


def codes_and_lengths(
    X: Any, lengths: npt.ArrayLike | None, latent_dim: int, default: int, most: int | None
) -> tuple[npt.NDArray[np.float32], IntArray]:
    """Codes (N, L) to unwind, and the steps (N,) that each is to become.

    Parameters
    ----------
    X : array of shape (N, L)
    lengths : int or array of shape (N,), optional
    latent_dim : int
    default : int
        Steps where `lengths` is None.
    most : int, optional
        Steps that the decoder can give.

    Raises
    ------
    InputError
        Where they are not such codes or lengths.
    """
    with np.errstate(over="ignore"):  # what is too large for float32 is told below
        codes = as_floats(X, "codes").astype(np.float32)
    if codes.ndim != 2 or codes.shape[1] != latent_dim:
        raise InputError(f"Expected codes of shape (N, {latent_dim}), got {codes.shape}.")
    finite = np.isfinite(codes).all(axis=1)
    if not finite.all():
        raise InputError(f"Expected finite codes, got others in row {int(np.argmin(finite))}.")
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
            f"Expected `lengths` of at most {most}, as in `fit`, got {longest}; "
            "this decoder is made for sequences of bounded length."
        )
    return codes, np.broadcast_to(steps, len(codes)).astype(np.int64)


def check_per(per: object) -> None:
    """Raise an `InputError` where errors are not `per` sequence or step."""
    _checks.raise_all(_checks.choice("per", per, ("sequence", "step")))


def futures_shaped(values: FloatArray, y_ndim: int | None, *, table: bool) -> FloatArray:
    """Futures (N, K, F) with as many axes as `fit` was given them."""
    axes = y_ndim or (2 if table else 3)
    if axes == 1:
        return values[:, 0, 0]
    if axes == 2:
        return values[:, 0] if values.shape[2] > 1 else values[:, :, 0]
    return values


def past_the_end(source: Source) -> npt.NDArray[np.bool_]:
    """Which steps (N, T) are padding."""
    lengths = source.lengths_of(np.arange(len(source)))
    return np.arange(source.max_length) >= lengths[:, None]
