"""Which sequences a fit holds out for validation: at random, by time, or by group."""

import math
import warnings
from typing import Any

import numpy as np

from unspool.data.convert import Source
from unspool.data.copies import copies
from unspool.data.labels import known_labels
from unspool.data.overlap import window_shift
from unspool.data.sequences import IntArray
from unspool.data.windows import Windows
from unspool.errors import InputError, OverlapWarning
from unspool.training.batches import Batches

# `validation_split` "auto" holds out AUTO_SHARE of the sequences and at least MIN_HELD_OUT; none if
# these are more than MAX_SHARE of all.
AUTO_SHARE, MIN_HELD_OUT, MAX_SHARE = 0.1, 5, 0.25

COPIED = 0.1  # share of the held-out sequences that may have copies among the others

Parts = tuple[IntArray, IntArray]


def split(
    source: Source,
    share: float | str,
    rng: np.random.Generator,
    *,
    groups: IntArray | None = None,
    future: int = 0,
) -> Parts:
    """Split indices into those to train on and those to validate on.

    Sequences are drawn at random. Windows, and rows that are windows of one series, are split by
    time; with `groups`, whole groups are drawn.

    Parameters
    ----------
    source : Sequences or Windows
    share : float or "auto"
        Share to validate on.
    rng : numpy Generator
    groups : int array of shape (N,), optional
        Number of the group of each sequence, 0 to G - 1.
    future : int, default 0
        Number of steps after each sequence that are its target.
    """
    everything = np.arange(len(source))
    auto = isinstance(share, str)
    share = share_for(source) if isinstance(share, str) else share
    if not share:
        return everything, everything[:0]
    if groups is not None:
        training, held_out = split_by_group(source, groups, share, rng)
        if auto and len(held_out) > MAX_SHARE * len(source):
            return everything, everything[:0]
    else:
        by_time = split_by_time(source, share, auto=auto, future=future)
        training, held_out = _at_random(everything, share, rng) if by_time is None else by_time
    if not len(training) or not len(held_out):
        if auto:  # no window, or no group, fits on both sides of the split
            return everything, everything[:0]
        raise InputError(
            f"`validation_split` {share:g} leaves {len(training)} sequences to train on and "
            f"{len(held_out)} to validate on, got n_samples={len(source)}; set "
            "validation_split=0 to train on all of them."
        )
    return training, held_out


def share_for(source: Source, distinct: float = 1.0) -> float:
    """Return the share that "auto" holds out, or 0.

    Only as many windows count as fit next to each other without overlap. For rows that overlap,
    `distinct` is the share of them that do not.
    """
    if isinstance(source, Windows):
        distinct = min(1.0, source.stride / source.size)
    least = MIN_HELD_OUT / max(1.0, len(source) * distinct)
    return 0.0 if least > MAX_SHARE else max(AUTO_SHARE, least)


def validation_size(model: Any, batches: Batches, held_out: int) -> int:
    """Return the number of held-out sequences to validate on in every epoch."""
    batch_size = int(model.batch_size)
    if model.validation_steps is not None:
        return min(held_out, int(model.validation_steps) * batch_size)
    share = min(1.0, len(batches) * batch_size / len(batches.indices))
    return min(held_out, max(batch_size, math.ceil(share * held_out)))


def _at_random(everything: IntArray, share: float, rng: np.random.Generator) -> Parts:
    order = rng.permutation(everything)
    count = max(1, round(len(order) * share))
    return np.sort(order[count:]), np.sort(order[:count])


def split_by_time(
    source: Source, share: float, *, auto: bool = False, future: int = 0
) -> Parts | None:
    """Split windows by time, so that none overlaps both parts; None for other sequences.

    Rows of an array that are windows of one series are recognised, with an `OverlapWarning`.
    """
    if isinstance(source, Windows):
        return source.split(share)
    shift = window_shift(source)
    if shift is None:
        return None
    n, steps = len(source), source.max_length if source.max_length > 1 else source.n_features
    if auto:
        share = share_for(source, min(1.0, shift / steps))
    count = max(1, round(n * share)) if share else 0
    between = -(-(steps + future) // shift) - 1
    everything = np.arange(n)
    if auto and count + between >= n:
        count = 0
    size = f"{steps}, stride={shift}" if shift > 1 else f"{steps}"
    done = (
        f"the last {count} rows are held out, and the {between} rows before them, which overlap "
        "them, are not used"
        if count
        else "they are too few to hold out a part that does not overlap the rest, so the training "
        "loss selects the weights"
    )
    if count + between < n:
        warnings.warn(
            f"The rows of `X` are overlapping windows of a series: each is the row before, shifted "
            f"by {shift} {'step' if shift == 1 else 'steps'}. Rows held out at random would nearly "
            f"equal training rows; {done}. Give `Windows(series, {size})` instead, which knows "
            "which windows overlap.",
            OverlapWarning,
            stacklevel=6,
        )
    if not count:
        return everything, everything[:0]
    return everything[: max(0, n - count - between)], everything[n - count :]


def warn_if_copied(source: Source, training: IntArray, held_out: IntArray) -> None:
    """Warn if held-out sequences of `X` occur among those to train on as well."""
    found = copies(source, training, held_out)
    if found.copied <= COPIED * found.checked:
        return
    windows = isinstance(source, Windows)
    what = "windows" if windows else "sequences"
    where = "another series of `X`, at steps that are trained on" if windows else "the rest of `X`"
    warnings.warn(
        f"{found.copied} of {found.checked} held-out {what} that were checked occur in {where}, so "
        f"the validation loss says little about other {'series' if windows else 'sequences'}; "
        "remove the copies, or hold them out together with `groups`.",
        OverlapWarning,
        stacklevel=5,
    )


def read_groups(groups: Any, n: int) -> IntArray | None:
    """Return the numbers of the groups, 0 to G - 1; None if every sequence is a group.

    Raises
    ------
    InputError
        If there is not one group for each sequence, or one is missing.
    """
    if groups is None:
        return None
    try:
        given = known_labels(groups)
    except InputError:
        raise InputError(
            "Expected a group in `groups` for every sequence, but some are missing; give each "
            "sequence without a group a group that no other sequence has."
        ) from None
    if given.ndim == 2 and given.shape[1] == 1:
        given = given[:, 0]
    if given.shape != (n,):
        raise InputError(
            f"`groups` must have the shape ({n},), one group for each sequence of `X`, got "
            f"{given.shape}."
        )
    try:
        names, codes = np.unique(given, return_inverse=True)
    except TypeError:
        raise InputError(
            "Expected groups of one type in `groups`, got types that cannot be compared; convert "
            "all of them to strings."
        ) from None
    return None if len(names) == n else codes.astype(np.int64)


def split_by_group(
    source: Source,
    groups: IntArray,
    share: float,
    rng: np.random.Generator,
    classes: IntArray | None = None,
) -> Parts:
    """Hold out whole groups, drawn at random, with about `share` of the sequences of each class.

    A sequence of each class is left to train on. Of `Windows`, those that share steps with a
    window that is held out are in neither part.
    """
    if classes is None:
        classes = np.zeros(len(groups), np.int64)
    counts = np.zeros((groups.max() + 1, classes.max() + 1))
    np.add.at(counts, (groups, classes), 1)
    left = counts.sum(axis=0)
    missing = share * left
    taken: list[int] = []
    order = rng.permutation(len(counts)).tolist()
    for one in order:
        closer = ((missing - counts[one]) ** 2).sum() < (missing**2).sum()
        if closer and (left - counts[one] >= 1).all():
            taken.append(one)
            left, missing = left - counts[one], missing - counts[one]
    if not taken:  # each group is more than twice the share, so the smallest is held out
        spared = [one for one in order if (left - counts[one] >= 1).all()]
        taken = sorted(spared, key=lambda one: float(counts[one].sum()))[:1]
    is_held_out = np.isin(groups, taken)
    training, held_out = np.flatnonzero(~is_held_out), np.flatnonzero(is_held_out)
    if isinstance(source, Windows):
        training = _without_overlap(source, training, held_out)
    return training, held_out


def _without_overlap(source: Windows, training: IntArray, held_out: IntArray) -> IntArray:
    """Return the training windows that share no step with a window that is held out."""
    owner, start = source.place(np.arange(len(source)))
    end = source.ends_of(np.arange(len(source)))
    keep = np.ones(len(source), bool)
    for number in np.unique(owner[held_out]):
        some = held_out[owner[held_out] == number]
        changes = np.zeros(len(source.series[number]) + 1, np.int64)
        np.add.at(changes, start[some], 1)
        np.add.at(changes, end[some], -1)
        before = np.concatenate([[0], np.cumsum(np.cumsum(changes)[:-1] > 0)])
        of_series = owner == number
        keep[of_series] = before[end[of_series]] == before[start[of_series]]
    return training[keep[training]]
