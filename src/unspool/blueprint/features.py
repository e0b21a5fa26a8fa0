"""The features of a sequence beside its code: what they are made of, and their names."""

from typing import Any

import numpy as np
import numpy.typing as npt

from unspool import _checks

# Statistics of the states over the steps of each part of a sequence.
STATISTICS = ("mean", "max", "min", "std")
MOST_PARTS = 1024  # that a sequence is cut into: memory is at stake


def check_scales(scales: Any) -> tuple[int, ...]:
    """`scales` as a tuple of Python's whole numbers.

    Raises
    ------
    InputError
        Where they are not distinct whole numbers from 1 to `MOST_PARTS`, at least one of them.
    """
    if not isinstance(scales, (list, tuple)) or not scales:
        _checks.raise_all(
            "`scales` must be a list of whole numbers, such as (1, 2, 4), got "
            f"{_checks.shown(scales)}."
        )
    _checks.raise_all(*(_checks.whole("scales", one, 1, most=MOST_PARTS) for one in scales))
    if len(set(scales)) < len(scales):
        _checks.raise_all(f"`scales` must be distinct, got {_checks.shown(scales)}.")
    return tuple(map(int, scales))


def feature_names(width: int, n_kernels: int, scales: tuple[int, ...]) -> npt.NDArray[np.object_]:
    """Names of the features (D,), in their order.

    Parameters
    ----------
    width : int
        Of the encoder's last-layer states.
    n_kernels : int
        Random kernels of the encoder, 0 for none.
    scales : tuple of int
        From `check_scales`.

    Examples
    --------
    >>> feature_names(1, 1, (1, 2))[[0, 3, 4, 11, 12]].tolist()
    ['state0_mean', 'state0_std', 'state0_mean_1of2', 'state0_std_2of2', 'kernel0']
    """
    parts = [f"_{part}of{k}" if k > 1 else "" for k in scales for part in range(1, k + 1)]
    names = [
        f"state{state}_{statistic}{part}"
        for part in parts
        for statistic in STATISTICS
        for state in range(width)
    ]
    return np.array([*names, *(f"kernel{i}" for i in range(n_kernels))], object)
