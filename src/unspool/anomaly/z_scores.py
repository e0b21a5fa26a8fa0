"""Simple baselines for anomaly detection that compare single values: z-scores.

`step_errors` returns one error per value of a series, which is larger where the value is more
unusual.
"""

from typing import Any, Self

import numpy as np
from sklearn.utils.validation import check_is_fitted

from unspool import _checks
from unspool.anomaly.baseline_base import (
    BLOCK,
    Array,
    WindowBaseline,
    check_series,
    mean_and_std,
)

MIN_STD_RATIO = (
    0.1  # lower limit of a moving standard deviation, relative to the one of the training data
)


class GlobalZ(WindowBaseline):
    """Squared z-score of every value with respect to the training data.

    Finds values that are extreme regardless of their neighbours. Misses whatever is unusual only
    at its place or time (a value of noon at midnight, a pattern that stops). This is the trivial
    baseline: a method that is no better learned nothing from the order of the steps.

    Attributes
    ----------
    mean_ : array of shape (F,)
        Mean of each feature over all values of the windows of `fit`.
    std_ : array of shape (F,)
        Standard deviation of each feature over the same values; 1 where it is 0.
    window_shape_ : tuple of two int
        Shape (w, F) of a window: steps and features.
    n_features_in_ : int
        Number of features, F.

    See Also
    --------
    MovingZ : Uses mean and standard deviation of the previous steps.
    AnomalyDetector : Scores, thresholds and events over this baseline.

    Examples
    --------
    >>> from unspool.anomaly import GlobalZ
    >>> model = GlobalZ().fit([[[0.0], [2.0]]])
    >>> model.step_errors([[1.0], [4.0]])
    array([[0.],
           [9.]])
    """

    def fit(self, windows: Any, y: None = None) -> Self:
        """Compute mean and standard deviation of each feature.

        Parameters
        ----------
        windows : array of shape (N, w, F)
            Normal windows.
        y : None
            Ignored.

        Returns
        -------
        self
            The fitted baseline.

        Raises
        ------
        InputError
            If the windows have another shape or hold NaN.
        """
        self.mean_, self.std_ = mean_and_std(self._check_fit_windows(windows))
        return self

    def step_errors(self, series: Any) -> Array:
        """Compute the squared z-score of every value of a series.

        Parameters
        ----------
        series : array of shape (T, F)
            A series with the F features of `fit`, of any length T.

        Returns
        -------
        array of shape (T, F), float64
            The squared z-scores.

        Raises
        ------
        InputError
            If the number of features is another than in `fit`, or a value is missing or infinite.
        sklearn.exceptions.NotFittedError
            If the estimator is not fitted.
        """
        check_is_fitted(self)
        values = check_series(series, self.n_features_in_)
        return np.asarray(((values - self.mean_) / self.std_) ** 2)


class MovingZ(WindowBaseline):
    """Squared z-score of every value with respect to the steps before it.

    Finds spikes and sudden jumps on a level that drifts. Whatever lasts longer than `window`
    becomes normal, and a slow change is never found. It is causal: later steps change nothing.

    Parameters
    ----------
    window : int, default 64
        Number of previous steps over which mean and standard deviation are computed, at least 1.

    Attributes
    ----------
    mean_ : array of shape (F,)
        Mean of each feature over all values of the windows of `fit`.
    std_ : array of shape (F,)
        Standard deviation of each feature over the same values; 1 where it is 0.
    window_shape_ : tuple of two int
        Shape (w, F) of a window: steps and features.
    n_features_in_ : int
        Number of features, F.

    See Also
    --------
    GlobalZ : Uses mean and standard deviation of the training data.
    AnomalyDetector : Scores, thresholds and events over this baseline.

    Notes
    -----
    The `window` steps before the first step of a series are assumed to alternate between one
    standard deviation above and one below the training mean. A moving standard deviation is at
    least a tenth of `std_`.

    Examples
    --------
    >>> from unspool.anomaly import MovingZ
    >>> series = np.array([0.0, 2.0] * 8 + [9.0])[:, None]
    >>> model = MovingZ(window=4).fit(series[None, :16])
    >>> model.step_errors(series)[-1]
    array([64.])
    """

    def __init__(self, window: int = 64) -> None:
        self.window = window

    def fit(self, windows: Any, y: None = None) -> Self:
        """Compute mean and standard deviation of each feature.

        Parameters
        ----------
        windows : array of shape (N, w, F)
            Normal windows; w need not equal the parameter `window`.
        y : None
            Ignored.

        Returns
        -------
        self
            The fitted baseline.

        Raises
        ------
        InputError
            If a parameter is out of range, or the windows have another shape or hold NaN.
        """
        _checks.raise_all(_checks.whole("window", self.window, 1))
        self.mean_, self.std_ = mean_and_std(self._check_fit_windows(windows))
        return self

    def step_errors(self, series: Any) -> Array:
        """Compute the squared moving z-score of every value of a series.

        Parameters
        ----------
        series : array of shape (T, F)
            A series with the F features of `fit`, of any length T.

        Returns
        -------
        array of shape (T, F), float64
            The squared z-scores.

        Raises
        ------
        InputError
            If the number of features is another than in `fit`, or a value is missing or infinite.
        sklearn.exceptions.NotFittedError
            If the estimator is not fitted.
        """
        check_is_fitted(self)
        values = check_series(series, self.n_features_in_)
        signs = np.where(np.arange(self.window) % 2, -1, 1)[:, None]
        padded = np.concatenate([self.mean_ + signs * self.std_, values])
        errors = np.empty(values.shape)
        step = max(BLOCK // (self.window * values.shape[1]), 1)
        for start in range(0, len(values), step):
            now = values[start : start + step]
            past = padded[start : start + len(now) + self.window - 1]
            past = np.lib.stride_tricks.sliding_window_view(past, self.window, axis=0)
            deviation = np.maximum(past.std(axis=-1), MIN_STD_RATIO * self.std_)
            errors[start : start + step] = ((now - past.mean(axis=-1)) / deviation) ** 2
        return errors
