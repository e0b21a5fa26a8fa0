"""Data that is made, not read: the experiments of the articles."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from sklearn.utils import check_random_state

from unspool.data.series import chronological_split
from unspool.data.windows import Windows


class Sines(NamedTuple):
    """Windows and their classes, for training and testing; see `sines`."""

    train: Windows
    y_train: npt.NDArray[np.int64]
    test: Windows
    y_test: npt.NDArray[np.int64]


def noisy_sine(
    samples_per_cycle: int,
    cycles: int,
    phase_noise: float = 0.05,
    random_state: int | np.random.RandomState | None = 0,
) -> npt.NDArray[np.float64]:
    """Draw a sine whose phase jitters: ``sin(2π t / samples_per_cycle + phase_noise · U(−1, 1))``.

    Returns
    -------
    array of shape (samples_per_cycle * cycles + 1,)
    """
    random = check_random_state(random_state)
    t = np.arange(samples_per_cycle * cycles + 1)
    noise = random.uniform(-1, 1, size=len(t)) * phase_noise
    return np.asarray(np.sin(t * (2 * np.pi / samples_per_cycle) + noise))


def sines(
    samples_per_cycle: tuple[int, ...] = (20, 80),
    cycles: int = 200,
    timesteps: int = 100,
    phase_noise: float = 0.05,
    test_size: float = 0.1,
    random_state: int | np.random.RandomState | None = 0,
) -> Sines:
    """Make the two classes of the first article: sines of 20 and of 80 samples a cycle.

    Each class is a series of its own; its last `test_size` is for testing, and no window crosses
    the cut. As in the article, the last window of every part is left out.

    Parameters
    ----------
    samples_per_cycle : tuple of int, default (20, 80)
        One class for each.
    cycles : int, default 200
    timesteps : int, default 100
        Steps of a window; the stride is 1.
    phase_noise : float, default 0.05
        Radians.
    test_size : float, default 0.1
    random_state : int, RandomState or None, default 0

    Returns
    -------
    Sines
        ``train``, ``y_train``, ``test``, ``y_test``; 17802 and 1800 windows by default.

    Source: "Implement LSTM AutoEncoder in Keras", its function `make_data`, number for number.

    Examples
    --------
    >>> data = sines()
    >>> data.train.shape, data.test.shape
    ((17802, 100, 1), (1800, 100, 1))
    """
    random = check_random_state(random_state)
    series = [noisy_sine(samples, cycles, phase_noise, random) for samples in samples_per_cycle]
    earlier, later = chronological_split(series, test_size)
    train = Windows([part[:-1] for part in earlier], timesteps)
    test = Windows([part[:-1] for part in later], timesteps)
    return Sines(train, _owners(train), test, _owners(test))


def _owners(windows: Windows) -> npt.NDArray[np.int64]:
    owner, _ = windows.place(np.arange(len(windows)))
    return owner.astype(np.int64)
