"""Features that are known for the steps of a forecast: reading the argument `future`."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from unspool.data.convert import as_sequences, plain
from unspool.data.frames import is_frame, labels_of, names_of
from unspool.data.sequences import FloatArray, Sequences, as_floats
from unspool.data.steps_in_time import times_in_index
from unspool.data.stored import Stored
from unspool.data.windows import Windows
from unspool.errors import InputError


def following(X: Any, future: Any) -> Any:
    """Return `future`, a frame, in the order of the instances of `X`, checked against its times.

    Anything but pandas frames is returned unchanged.

    Raises
    ------
    InputError
        If an instance of `X` is missing in `future`, or if both have dates and those of `future`
        are not later than those of `X`.
    """
    if _levels(future) == 2 and _levels(X) == 2:
        wanted = X.index.get_level_values(0).unique()
        of, given = future.index.get_level_values(0).factorize()
        places = given.get_indexer(wanted)
        if (places < 0).any():
            missing = wanted[int((places < 0).argmax())]
            raise InputError(
                f"`future` has no rows of the instance {missing!r}, which is in `X`; give the "
                "known features of each instance."
            )
        counts = np.bincount(of)
        parts = np.split(np.argsort(of, kind="stable"), np.cumsum(counts)[:-1])
        future = future.iloc[np.concatenate([parts[place] for place in places])]
    past, ahead = times_in_index(X), times_in_index(future)
    if past is None or ahead is None or len(past) != len(ahead):
        return future
    for i, (before, after) in enumerate(zip(past, ahead, strict=True)):
        comparable = len(before) and len(after) and before.dtype.kind == after.dtype.kind
        if comparable and after.min() <= before.max():
            raise InputError(
                f"Expected rows of `future` that are later than sequence {i} of `X`, which ends at "
                f"{before.max()}, got {after.min()}; give the steps after its end."
            )
    return future


def _levels(frame: Any) -> int:
    return getattr(getattr(frame, "index", None), "nlevels", 0) if is_frame(frame) else 0


def read_known(
    future: Any, n: int, horizon: int, n_known: int, names: Sequence[str] | None
) -> FloatArray:
    """Read the known features of the steps after N sequences, (N, K, n_known).

    Parameters
    ----------
    future : array of shape (N, K, n_known), frame, list of frames, or Sequences
        The features that are known ahead. A frame has the K steps after the only sequence as rows,
        or the index (instance, time); of a frame with names, the columns of the known features are
        read, and further columns are ignored. (K, n_known) is accepted for a single sequence, and
        (N, K) for a single feature.
    n : int
        Number of sequences, N.
    horizon : int
        Number of steps of the forecast, K.
    n_known : int
        Number of features that are known ahead.
    names : sequence of str, optional
        Their names.

    Raises
    ------
    InputError
        If there are other steps or columns, a known feature is missing, or it contains NaN.
    """
    if isinstance(future, (list, tuple)) and any(map(is_frame, future)):
        chosen: Any = [_chosen(one, names) for one in future]
    else:
        chosen = _chosen(future, names)
    if is_frame(chosen) and getattr(getattr(chosen, "index", None), "nlevels", 1) == 1:
        chosen = [chosen]
    values: Any = as_floats(chosen, "`future`") if isinstance(chosen, np.ndarray) else plain(chosen)
    if isinstance(values, Stored):
        values = np.asarray(values)
    if isinstance(values, (Sequences, Windows)):
        source = as_sequences(values)
        values, lengths = source.take(np.arange(len(source)))
        if (lengths != horizon).any():
            least, most = int(lengths.min()), int(lengths.max())
            steps = f"{least} steps" if least == most else f"{least} to {most} steps"
            raise _of_other_shape(steps, n, horizon, n_known, names)
    given = values.shape
    if n == 1 and given in ((horizon, n_known), (horizon,)):
        values = values.reshape(1, horizon, -1)
    elif n_known == 1 and given == (n, horizon):
        values = values[:, :, None]
    if values.shape != (n, horizon, n_known):
        raise _of_other_shape(f"shape {given}", n, horizon, n_known, names)
    if not np.isfinite(values).all():
        i, step, feature = np.argwhere(~np.isfinite(values))[0]
        name = names[feature] if names else int(feature)
        raise InputError(
            f"`future` holds {values[i, step, feature]} for sequence {i} at step {step}, feature "
            f"{name!r}; fill it, since the forecast reads every step."
        )
    return np.asarray(values)


def _chosen(future: Any, names: Sequence[str] | None) -> Any:
    """Return the columns of the known features, if columns have names."""
    if isinstance(future, (Sequences, Windows)):
        given = future.feature_names
        if names is None or given is None:
            return future
        _check_there(given, names)
        return future.select([given.index(name) for name in names])
    if names is None or not is_frame(future):
        return future
    given = names_of(labels_of(future))
    if given is None:
        return future
    _check_there(given, names)
    return future[list(names)] if not hasattr(future, "select") else future.select(list(names))


def _check_there(given: Sequence[str], names: Sequence[str]) -> None:
    missing = [name for name in names if name not in given]
    if missing:
        raise InputError(
            f"`future` has no column {missing[0]!r}; it needs the known features "
            f"{', '.join(names)}, got {', '.join(given)}."
        )


def _of_other_shape(
    got: str, n: int, horizon: int, n_known: int, names: Sequence[str] | None = None
) -> InputError:
    which = f" ({', '.join(names)})" if names else ""
    return InputError(
        f"Expected `future` of shape ({n}, {horizon}, {n_known}), the known features{which} of the "
        f"{horizon} steps after each sequence, got {got}."
    )
