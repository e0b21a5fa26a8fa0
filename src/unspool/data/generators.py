"""Data that is made, not read: the experiments of the articles.

`sines` and `next_values` draw from NumPy's old `RandomState`, as the articles do, so that their
numbers are the articles'; everything else draws from a `Generator`.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from sklearn.utils import check_random_state

from unspool import _checks
from unspool.data.sequences import Sequences
from unspool.data.series import chronological_split
from unspool.data.windows import Windows
from unspool.errors import InputError

Seed = int | np.random.Generator | None


class Sines(NamedTuple):
    """Windows and their classes, for training and testing; see `sines`."""

    train: Windows
    y_train: npt.NDArray[np.int64]
    test: Windows
    y_test: npt.NDArray[np.int64]


class NextValues(NamedTuple):
    """Windows and the value after each, for training and testing; see `next_values`."""

    train: npt.NDArray[np.float64]
    y_train: npt.NDArray[np.float64]
    test: npt.NDArray[np.float64]
    y_test: npt.NDArray[np.float64]


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


def ramp(steps: int = 9) -> npt.NDArray[np.float64]:
    """Make the one sequence of the second article: 0.1, 0.2, … 0.9.

    Parameters
    ----------
    steps : int, default 9
        At least 1. Longer ones go on in steps of 0.1, past 1.

    Returns
    -------
    array of shape (1, steps, 1)
        ``[:, 1:]`` is what the article's composite model predicts.

    Source: "LSTM-AutoEncoders", the sequence of its simple and its composite model.

    Examples
    --------
    >>> ramp(3)[0, :, 0]
    array([0.1, 0.2, 0.3])
    """
    _checks.raise_all(_checks.whole("steps", steps, 1))
    return np.arange(1, steps + 1).reshape(1, steps, 1) / 10


def next_values(
    samples_per_cycle: int = 80,
    cycles: int = 50,
    timesteps: int = 5,
    phase_noise: float = 0.05,
    test_size: float = 0.1,
    random_state: int | np.random.RandomState | None = 0,
) -> NextValues:
    """Make the forecasts of the fourth article: windows of one noisy sine and the value after each.

    The last `test_size` of the series is for testing; neither a window nor its target crosses the
    cut.

    Parameters
    ----------
    samples_per_cycle : int, default 80
    cycles : int, default 50
    timesteps : int, default 5
        Steps of a window; the stride is 1.
    phase_noise : float, default 0.05
        Radians.
    test_size : float, default 0.1
    random_state : int, RandomState or None, default 0

    Returns
    -------
    NextValues
        ``train`` (3596, 5, 1), ``y_train`` (3596, 1), ``test`` (395, 5, 1), ``y_test`` (395, 1) by
        default.

    Raises
    ------
    InputError
        Where a part has no step left after its first window.

    Source: "Implement Keras LSTM feedforward with numpy", its section "Data creation", number for
    number but for the last bit of a sine.

    Examples
    --------
    >>> data = next_values()
    >>> data.train.shape, data.y_test.shape
    ((3596, 5, 1), (395, 1))
    """
    _checks.raise_all(
        _checks.whole("samples_per_cycle", samples_per_cycle, 1),
        _checks.whole("cycles", cycles, 1),
        _checks.whole("timesteps", timesteps, 1),
        _checks.number("phase_noise", phase_noise, 0),
    )
    series = noisy_sine(samples_per_cycle, cycles, phase_noise, random_state)
    earlier, later = chronological_split(series, test_size)
    return NextValues(*_windows_and_next(earlier, timesteps), *_windows_and_next(later, timesteps))


def moving_ones(n: int = 5000, rows: int = 8, longest: int = 10, seed: Seed = 0) -> Sequences:
    """Make the padded sequences of the question: step t holds a single 1, at place t.

    Parameters
    ----------
    n : int, default 5000
        Sequences.
    rows : int, default 8
        Features of a step. From step `rows` on they are all zero, and still no padding.
    longest : int, default 10
        Lengths are ``round(U(0, longest))``: 0 and `longest` are half as frequent as the others.
    seed : int, Generator or None, default 0

    Returns
    -------
    Sequences
        Values of shape (n, longest, rows), float32.

    Source: "python - LSTM Autoencoder", the edit of the question; its numbers are Python's own
    and unseeded.

    Examples
    --------
    >>> sequences = moving_ones(rows=3)
    >>> sequences
    Sequences(5000 sequences of 0 to 10 steps, 3 features)
    >>> sequences.values[sequences.lengths.argmax(), :4]
    array([[1., 0., 0.],
           [0., 1., 0.],
           [0., 0., 1.],
           [0., 0., 0.]], dtype=float32)
    """
    _checks.raise_all(
        _checks.whole("n", n, 1),
        _checks.whole("rows", rows, 1),
        _checks.whole("longest", longest, 1),
    )
    lengths = np.rint(as_generator(seed).uniform(0, longest, size=n)).astype(np.int64)
    full = np.eye(longest, rows, dtype=np.float32)
    return Sequences(np.tile(full, (n, 1, 1)), lengths)  # which zeroes what is past a length


def as_generator(seed: Seed) -> np.random.Generator:
    """A `Generator` as it is, or a new one from a whole number or, for None, from the system."""
    if not isinstance(seed, np.random.Generator) and _checks.whole("seed", seed, 0, none=True):
        raise InputError(
            f"`seed` must be a whole number of at least 0, None or a numpy Generator, got {seed!r}."
        )
    return np.random.default_rng(seed)


def _windows_and_next(
    series: npt.NDArray[np.float64], timesteps: int
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Every window of a series (T,) that has a next value, as (N, timesteps, 1), and that value."""
    if len(series) <= timesteps:
        raise InputError(
            f"Expected more than {timesteps} steps (`timesteps`) before and after the cut, got "
            f"{len(series)}; take more cycles, shorter windows or another `test_size`."
        )
    windows = np.lib.stride_tricks.sliding_window_view(series[:-1], timesteps)
    return windows[:, :, None].copy(), series[timesteps:, None]


def _owners(windows: Windows) -> npt.NDArray[np.int64]:
    owner, _ = windows.place(np.arange(len(windows)))
    return owner.astype(np.int64)
