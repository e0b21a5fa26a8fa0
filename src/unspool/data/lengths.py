"""Lengths of padded sequences: steps at the end that are NaN in every feature are padding."""

from typing import Protocol

import numpy as np
import numpy.typing as npt

from unspool.data.stored import Stored
from unspool.data.stored_items import Items
from unspool.data.values import FloatArray, IntArray, as_array
from unspool.errors import InputError

LENGTHS_AT_ONCE = 1 << 20  # sequences whose lengths are counted at once


def real_steps(values: FloatArray) -> IntArray:
    """Return the number of steps of (..., T, F) up to the last that is not all NaN, shape (...)."""
    steps = values.shape[-2]
    if not np.isnan(values[..., -1:, :]).all(axis=-1).any():
        return np.full(values.shape[:-2], steps, np.int64)
    real = np.asarray(~np.isnan(values).all(axis=-1))
    return np.where(real.any(axis=-1), steps - real[..., ::-1].argmax(axis=-1), 0)


def real_steps_of_stored(values: Stored) -> IntArray:
    """Return the same for an array (N, T, F) that is not in memory, whose last steps are read."""
    if isinstance(values, Items) and values.lengths is not None:
        return values.lengths
    lengths = np.full(len(values), values.shape[1], np.int64)
    if values.dtype.kind != "f" or not values.shape[1]:
        return lengths
    for start, last in values.last_steps():
        for row in (np.flatnonzero(np.isnan(last).all(axis=(1, 2))) + start).tolist():
            lengths[row] = real_steps(values.read(row, row + 1)[0])
    return lengths


def check_lengths(lengths: npt.ArrayLike, n: int, steps: int) -> IntArray:
    """Return the argument `lengths` as int64, checked.

    Raises
    ------
    InputError
        If there is not one for each of `n` sequences, or one is not from 0 to `steps`.
    """
    array = as_array(lengths, "`lengths`")
    if array.shape != (n,) or array.dtype.kind not in "iu":
        raise InputError(
            f"Expected `lengths` as {n} whole numbers, got shape {array.shape} of {array.dtype}."
        )
    if n and (array.min() < 0 or array.max() > steps):
        raise InputError(
            f"Expected `lengths` from 0 to {steps} (the steps of `values`), "
            f"got {array.min()} to {array.max()}."
        )
    return array.astype(np.int64)


def with_zero_padding(values: FloatArray, lengths: IntArray) -> FloatArray:
    """Return values (N, T, F) with zeros after the end of each sequence, copied if necessary."""
    padding = np.arange(values.shape[1]) >= lengths[:, None]
    if np.any(values[padding] != 0):  # also true for NaN
        values = values.copy()
        values[padding] = 0
    return values


def sum_of_present(values: FloatArray, lengths: IntArray) -> tuple[FloatArray, IntArray]:
    """Return sums (T, F) of the values that are not missing, and their numbers."""
    present = np.arange(values.shape[1])[:, None] < lengths[:, None, None]
    present = present & ~np.isnan(values)
    return values.sum(axis=0, dtype=np.float64, where=present), present.sum(axis=0)


class Lengths(Protocol):
    """Sequences that know their numbers of steps."""

    def __len__(self) -> int: ...

    def lengths_of(self, indices: IntArray) -> IntArray:
        """Return the numbers of steps of the sequences at `indices`."""


def typical_length(source: Lengths) -> int:
    """Return the median length of sequences, each with the square root of its length as weight.

    Weights of 1 would ignore a few sequences that have nearly all steps; a weight for each step
    would let a single long sequence decide for many short ones.

    Examples
    --------
    >>> from unspool.data.sequences import Sequences
    >>> typical_length(Sequences(np.zeros((4, 90, 1)), [90, 3, 5, 5]))
    90
    >>> typical_length(Sequences(np.zeros((9, 90, 1)), [90, *8 * [5]]))
    5
    """
    lengths, counts = np.zeros(0, np.int64), np.zeros(0, np.int64)
    for start in range(0, len(source), LENGTHS_AT_ONCE):
        some = source.lengths_of(np.arange(start, min(start + LENGTHS_AT_ONCE, len(source))))
        found, times = np.unique(some, return_counts=True)
        lengths, places = np.unique(np.concatenate([lengths, found]), return_inverse=True)
        counts = np.bincount(places, np.concatenate([counts, times])).astype(np.int64)
    weights = np.cumsum(counts * np.sqrt(lengths))
    return int(lengths[np.searchsorted(weights, weights[-1] / 2)]) if len(lengths) else 0
