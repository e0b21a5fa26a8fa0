"""One sequence that rises by a constant step."""

import numpy as np
import numpy.typing as npt

from unspool import _checks


def make_ramp(n_steps: int = 9) -> npt.NDArray[np.float64]:
    """Generate one sequence that rises from 0.1 in steps of 0.1.

    Parameters
    ----------
    n_steps : int, default 9
        Number of time steps, T, at least 1. A sequence of more than 10 steps rises above 1.

    Returns
    -------
    array of shape (1, n_steps, 1)
        float64: 0.1, 0.2, …, n_steps / 10.

    Raises
    ------
    InputError
        If `n_steps` is not a whole number of at least 1.

    Notes
    -----
    The composite model of [1]_ reconstructs ``make_ramp()`` and predicts ``make_ramp()[:, 1:]``.

    References
    ----------
    .. [1] B. R. Roy, "LSTM-AutoEncoders", DataDrivenInvestor, 2020,
       https://medium.com/datadriveninvestor/lstm-autoencoders-f4fdd00cb32c

    Examples
    --------
    >>> from unspool.datasets import make_ramp
    >>> make_ramp(3)[0, :, 0]
    array([0.1, 0.2, 0.3])
    """
    _checks.raise_all(_checks.whole("n_steps", n_steps, 1))
    return np.arange(1, n_steps + 1).reshape(1, n_steps, 1) / 10
