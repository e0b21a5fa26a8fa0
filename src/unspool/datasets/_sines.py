"""Sine waves whose phase jitters, cut into windows to classify or to forecast.

They are drawn from NumPy's older `RandomState`, as in the articles that used them first, so that
the numbers are the same as in the articles.
"""

import numpy as np
import numpy.typing as npt

from unspool import _checks
from unspool.data.series import chronological_split
from unspool.data.windows import Windows
from unspool.datasets._seeds import LegacySeed, as_legacy_state
from unspool.datasets._train_test import TrainTest
from unspool.errors import InputError


def make_noisy_sine(
    samples_per_cycle: int,
    n_cycles: int,
    phase_noise: float = 0.05,
    random_state: LegacySeed = 0,
) -> npt.NDArray[np.float64]:
    """Generate a sine wave whose phase jitters.

    The value at time step t is ``sin(2π t / samples_per_cycle + phase_noise · U(−1, 1))``; the
    noise of each step is drawn independently.

    Parameters
    ----------
    samples_per_cycle : int
        Number of time steps in a cycle, at least 1.
    n_cycles : int
        Number of cycles, at least 1.
    phase_noise : float, default 0.05
        Largest change of the phase, in radians; at least 0.
    random_state : int, numpy.random.RandomState or None, default 0
        Seed or generator of the noise. None draws different noise in each call.

    Returns
    -------
    array of shape (samples_per_cycle * n_cycles + 1,)
        float64, from −1 to 1.

    Raises
    ------
    InputError
        If an argument is out of its range.

    See Also
    --------
    make_sine_classes : Windows of several such sines, with the sine as the class.
    make_sine_forecasts : Windows of one such sine, with the next value as the target.

    Examples
    --------
    >>> from unspool.datasets import make_noisy_sine
    >>> make_noisy_sine(samples_per_cycle=20, n_cycles=200).shape
    (4001,)
    >>> make_noisy_sine(4, 1, phase_noise=0).round(3) + 0.0
    array([ 0.,  1.,  0., -1.,  0.])
    """
    _checks.raise_all(
        _checks.whole("samples_per_cycle", samples_per_cycle, 1),
        _checks.whole("n_cycles", n_cycles, 1),
        _checks.number("phase_noise", phase_noise, 0),
    )
    random = as_legacy_state(random_state)
    t = np.arange(samples_per_cycle * n_cycles + 1)
    noise = random.uniform(-1, 1, size=len(t)) * phase_noise
    return np.asarray(np.sin(t * (2 * np.pi / samples_per_cycle) + noise))


def make_sine_classes(
    samples_per_cycle: tuple[int, ...] = (20, 80),
    n_cycles: int = 200,
    window: int = 100,
    phase_noise: float = 0.05,
    test_size: float = 0.1,
    random_state: LegacySeed = 0,
) -> TrainTest[Windows]:
    """Generate windows of noisy sines of several frequencies; the frequency is the class.

    Each class is one long series. Its last part is the test part, and no window crosses the split.
    As in [1]_, the last window of each part is left out.

    Parameters
    ----------
    samples_per_cycle : tuple of int, default (20, 80)
        Number of time steps in a cycle, one for each class.
    n_cycles : int, default 200
        Number of cycles of each series.
    window : int, default 100
        Number of time steps in a window, T. The stride is 1.
    phase_noise : float, default 0.05
        Largest change of the phase, in radians; see `make_noisy_sine`.
    test_size : float, default 0.1
        Share of each series that is the test part, between 0 and 1.
    random_state : int, numpy.random.RandomState or None, default 0
        Seed or generator of the noise. None draws different noise in each call.

    Returns
    -------
    TrainTest
        ``X_train`` and ``X_test`` are `Windows` of shape (N, T, 1); ``y_train`` and ``y_test`` are
        int64 arrays of shape (N,) with the classes 0, 1, … in the order of `samples_per_cycle`.
        With the defaults there are 17802 training and 1800 test windows.

    Raises
    ------
    InputError
        If an argument is out of its range, or a part is shorter than a window.

    See Also
    --------
    make_sine_forecasts : The same kind of series, with the next value as the target.

    References
    ----------
    .. [1] "Implement LSTM AutoEncoder in Keras", function ``make_data``. The default arguments
       return its data, number for number.

    Examples
    --------
    >>> from unspool.datasets import make_sine_classes
    >>> data = make_sine_classes()
    >>> data.X_train.shape, data.X_test.shape
    ((17802, 100, 1), (1800, 100, 1))
    >>> data.y_test[0], data.y_test[-1]
    (np.int64(0), np.int64(1))
    """
    random = as_legacy_state(random_state)
    series = [
        make_noisy_sine(samples, n_cycles, phase_noise, random) for samples in samples_per_cycle
    ]
    earlier, later = chronological_split(series, test_size)
    train = Windows([part[:-1] for part in earlier], window)
    test = Windows([part[:-1] for part in later], window)
    return TrainTest(train, _series_numbers(train), test, _series_numbers(test))


def make_sine_forecasts(
    samples_per_cycle: int = 80,
    n_cycles: int = 50,
    window: int = 5,
    phase_noise: float = 0.05,
    test_size: float = 0.1,
    random_state: LegacySeed = 0,
) -> TrainTest[npt.NDArray[np.float64]]:
    """Generate windows of one noisy sine; the value after each window is its target.

    The last part of the series is the test part. Neither a window nor its target crosses the
    split.

    Parameters
    ----------
    samples_per_cycle : int, default 80
        Number of time steps in a cycle.
    n_cycles : int, default 50
        Number of cycles of the series.
    window : int, default 5
        Number of time steps in a window, T. The stride is 1.
    phase_noise : float, default 0.05
        Largest change of the phase, in radians; see `make_noisy_sine`.
    test_size : float, default 0.1
        Share of the series that is the test part, between 0 and 1.
    random_state : int, numpy.random.RandomState or None, default 0
        Seed or generator of the noise. None draws different noise in each call.

    Returns
    -------
    TrainTest
        Float64 arrays: ``X_train`` and ``X_test`` of shape (N, T, 1), ``y_train`` and ``y_test`` of
        shape (N, 1). With the defaults N is 3596 for training and 395 for testing.

    Raises
    ------
    InputError
        If an argument is out of its range, or a part has no step after its first window.

    See Also
    --------
    make_sine_classes : The same kind of series, with the frequency as the class.

    References
    ----------
    .. [1] "Implement Keras LSTM feedforward with numpy", section "Data creation",
       https://linuxtut.com/en/8e93c35a26ac46b56a6c. The default arguments return its data, number
       for number but for the last bit of a sine.

    Examples
    --------
    >>> from unspool.datasets import make_sine_forecasts
    >>> data = make_sine_forecasts()
    >>> data.X_train.shape, data.y_test.shape
    ((3596, 5, 1), (395, 1))
    """
    _checks.raise_all(
        _checks.whole("samples_per_cycle", samples_per_cycle, 1),
        _checks.whole("n_cycles", n_cycles, 1),
        _checks.whole("window", window, 1),
        _checks.number("phase_noise", phase_noise, 0),
    )
    series = make_noisy_sine(samples_per_cycle, n_cycles, phase_noise, random_state)
    earlier, later = chronological_split(series, test_size)
    return TrainTest(*_windows_and_next(earlier, window), *_windows_and_next(later, window))


def _windows_and_next(
    series: npt.NDArray[np.float64], window: int
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return windows (N, window, 1) of a series (T,), and the value after each, (N, 1)."""
    if len(series) <= window:
        raise InputError(
            f"Both parts need more than {window} steps (`window`), but one has {len(series)}; use "
            "more cycles, a shorter window or another `test_size`."
        )
    windows = np.lib.stride_tricks.sliding_window_view(series[:-1], window)
    return windows[:, :, None].copy(), series[window:, None]


def _series_numbers(windows: Windows) -> npt.NDArray[np.int64]:
    """Return the number of the series that each window is from."""
    number, _ = windows.place(np.arange(len(windows)))
    return number.astype(np.int64)
