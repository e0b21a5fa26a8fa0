"""The features of a sequence in addition to its code: statistics, and names of columns."""

from typing import Any

import numpy as np
import numpy.typing as npt

from unspool import _checks

# Statistics of the states over the steps of each part of a sequence, in order.
STATISTICS = ("mean", "max", "min", "std")
MAX_PARTS = 1024  # parts of a sequence; more would need too much memory


def check_scales(scales: Any) -> tuple[int, ...]:
    """Return `scales` as a tuple of Python integers.

    Raises
    ------
    InputError
        If they are not distinct whole numbers from 1 to `MAX_PARTS`, or if there are none.
    """
    if not isinstance(scales, (list, tuple)) or not scales:
        _checks.raise_all(
            "`scales` must be a list of whole numbers, such as (1, 2, 4), got "
            f"{_checks.shown(scales)}."
        )
    _checks.raise_all(*(_checks.whole("scales", one, 1, most=MAX_PARTS) for one in scales))
    if len(set(scales)) < len(scales):
        _checks.raise_all(f"`scales` must be distinct, got {_checks.shown(scales)}.")
    return tuple(map(int, scales))


def feature_names(width: int, n_kernels: int, scales: tuple[int, ...]) -> npt.NDArray[np.object_]:
    """Return the names of the features (D,), in their order.

    Parameters
    ----------
    width : int
        Width of the states of the last encoder layer.
    n_kernels : int
        Number of random kernels of the encoder.
    scales : tuple of int
        The result of `check_scales`.

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
