"""Simple methods that a network has to beat: estimators over windows (N, w, F).

All of them read values that the caller has scaled per feature, and are as large where something is
unusual: `reconstruct` gives windows whose errors say so, `window_scores` a number for each window,
`step_errors` a number for each value of a series.

Those that keep, group or decompose windows are fitted on at most `MOST_WINDOWS` windows
(`NearestWindow`: `max_windows`) of at most `blocks.MOST_VALUES` values together, spread evenly over
those given; all windows are reconstructed and scored, in blocks. So memory stays below 1 GiB beside
input and output.
"""

import hashlib
import warnings
from typing import Any, Self

import numpy as np
from sklearn.cluster import KMeans
from sklearn.ensemble import IsolationForest
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.validation import check_is_fitted

from unspool import _checks
from unspool.anomaly.blocks import (
    BLOCK,
    Array,
    OnWindows,
    Reconstructing,
    blocks,
    moments,
    nearest,
    one_series,
    principal,
    spread,
)

MOST_WINDOWS = 10_000
LEAST_DEVIATION = 0.1  # of a moving standard deviation, as a share of that in training


class SubPCA(Reconstructing):
    """Principal components of windows: what few of them cannot explain is unusual.

    Good for shapes that break a strong, regular pattern (a daily or weekly cycle, several sensors
    that move together) and for windows of unusual size. It is blind to what the components can
    make as well, such as a mean that shifts slowly, and one linear space has to serve all kinds of
    normal operation.

    Parameters
    ----------
    variance : float, default 0.8
        Share of the variance of the training windows that the components explain, above 0 and
        below 1: as many as that takes.

    Attributes
    ----------
    mean_ : array of shape (w · F,)
    components_ : array of shape (K, w · F)
        Orthonormal; K is 0 where all training windows are equal.
    window_shape_, n_features_in_ : (w, F), F

    Notes
    -----
    Fitted on at most 10,000 windows, fewer where they hold more than 2²⁵ values, spread evenly.

    Sub-PCA of TSB-UAD takes distances along the components, divided by their variance; here it is
    the reconstruction error, which shows the features at fault.

    References
    ----------
    Paparrizos et al., "TSB-UAD: An End-to-End Benchmark Suite for Univariate Time-Series Anomaly
    Detection", PVLDB 15 (8), 2022.
    """

    def __init__(self, variance: float = 0.8) -> None:
        self.variance = variance

    def fit(self, windows: Any, y: None = None) -> Self:
        """Find the components of windows (N, w, F)."""
        _checks.raise_all(_checks.number("variance", self.variance, 0, 1, open_left=True))
        rows = spread(self._started(windows), MOST_WINDOWS)
        self.mean_ = rows[0].copy() if (rows == rows[0]).all() else rows.mean(axis=0)
        rows -= self.mean_
        self.components_ = principal(rows, float(self.variance))
        return self

    def _beside(self) -> int:
        return len(self.components_)

    def _of_rows(self, rows: Array) -> Array:
        codes = (rows - self.mean_) @ self.components_.T
        return np.asarray(codes @ self.components_ + self.mean_)


class KMeansAD(Reconstructing):
    """The nearest of a few typical windows, found by k-means.

    Good for shapes and levels unlike each of the kinds of normal operation, where these are few.
    The finer structure of a kind is not in its centre: normal variation hides small changes.

    Parameters
    ----------
    n_clusters : int, default 20
        Typical windows; of fewer training windows each is one.
    random_state : int, RandomState or None, default None
        Seed of the first centres (k-means++).

    Attributes
    ----------
    cluster_centers_ : array of shape (K, w · F)
    window_shape_, n_features_in_ : (w, F), F

    Notes
    -----
    Fitted on at most 10,000 windows, fewer where they hold more than 2²⁵ values, spread evenly.

    References
    ----------
    Yairi, Kato and Hori, "Fault Detection by Mining Association Rules from House-keeping Data",
    i-SAIRAS, 2001.
    """

    def __init__(self, n_clusters: int = 20, random_state: Any = None) -> None:
        self.n_clusters = n_clusters
        self.random_state = random_state

    def fit(self, windows: Any, y: None = None) -> Self:
        """Find the typical ones of windows (N, w, F)."""
        _checks.raise_all(
            _checks.whole("n_clusters", self.n_clusters, 1),
            _checks.seed("random_state", self.random_state),
        )
        rows = spread(self._started(windows), MOST_WINDOWS)
        kmeans = KMeans(min(self.n_clusters, len(rows)), random_state=self.random_state)
        with warnings.catch_warnings():  # of windows that repeat, fewer centres differ: no harm
            warnings.simplefilter("ignore", ConvergenceWarning)
            self.cluster_centers_ = kmeans.fit(rows).cluster_centers_
        return self

    def _beside(self) -> int:
        return len(self.cluster_centers_)

    def _of_rows(self, rows: Array) -> Array:
        return np.asarray(self.cluster_centers_[nearest(rows, self.cluster_centers_)])


class NearestWindow(Reconstructing):
    """The nearest training window, by Euclidean distance.

    Good for shapes and levels that were never seen, of any kind and however short the training
    part; hard to beat where normal operation repeats itself. One odd window in training hides all
    that are like it, and where normal windows vary in many directions all are far from each other.

    Parameters
    ----------
    max_windows : int, default 10,000
        The most training windows that are kept; time and memory grow with them.

    Attributes
    ----------
    training_windows_ : array of shape (K, w · F)
        Those kept, each once.
    window_shape_, n_features_in_ : (w, F), F

    Notes
    -----
    Keeps fewer windows than `max_windows` where they hold more than 2²⁵ values. Those kept are
    spread evenly.

    The nearest window is exact: matrix products find the candidates, and where rounding could
    confuse several their distances are computed from differences. A window that was kept is
    reconstructed to the last bit.

    References
    ----------
    The distance is that of discords, without their z-normalisation, since levels matter: Yeh et
    al., "Matrix Profile I: All Pairs Similarity Joins for Time Series", ICDM, 2016.
    """

    def __init__(self, max_windows: int = MOST_WINDOWS) -> None:
        self.max_windows = max_windows

    def fit(self, windows: Any, y: None = None) -> Self:
        """Keep windows (N, w, F)."""
        _checks.raise_all(_checks.whole("max_windows", self.max_windows, 1))
        rows = spread(self._started(windows), self.max_windows)
        # Windows that repeat would all be candidates of the same distance.
        _, first = np.unique([hashlib.sha256(row).digest() for row in rows], return_index=True)
        self.training_windows_ = rows if len(first) == len(rows) else rows[np.sort(first)]
        return self

    def _beside(self) -> int:
        return len(self.training_windows_)

    def _of_rows(self, rows: Array) -> Array:
        return np.asarray(self.training_windows_[nearest(rows, self.training_windows_)])


class IsolationForestWindows(OnWindows):
    """Isolation Forest on the values of windows.

    Good for windows of extreme values at many steps or in many features at once. A tree looks at a
    few single values, one after the other, so that short spikes and shapes of ordinary values
    escape it. It needs no scaling and is fast.

    Parameters
    ----------
    random_state : int, RandomState or None, default None

    Attributes
    ----------
    forest_ : sklearn.ensemble.IsolationForest
        Of 100 trees of 256 windows each, its defaults.
    window_shape_, n_features_in_ : (w, F), F

    Notes
    -----
    The trees draw their windows from at most 10,000, fewer where they hold more than 2²⁵ values,
    spread evenly.

    References
    ----------
    Liu, Ting and Zhou, "Isolation Forest", ICDM, 2008.
    """

    def __init__(self, random_state: Any = None) -> None:
        self.random_state = random_state

    def fit(self, windows: Any, y: None = None) -> Self:
        """Grow the trees on windows (N, w, F)."""
        _checks.raise_all(_checks.seed("random_state", self.random_state))
        rows = spread(self._started(windows), MOST_WINDOWS)
        self.forest_ = IsolationForest(random_state=self.random_state).fit(rows)
        return self

    def window_scores(self, windows: Any) -> Array:
        """Scores (N,) of windows (N, w, F), in (0, 1]: larger where few splits isolate one."""
        array = self._known(windows)
        scores = np.empty(len(array))
        for start, rows in blocks(array):
            scores[start : start + len(rows)] = -self.forest_.score_samples(rows)
        return scores


class GlobalZ(OnWindows):
    """Squared distance of every value from the mean of training, in standard deviations.

    Good for values that are extreme by themselves. Whatever is unusual at its place or time only
    (a value of noon at midnight, a pattern that stops) escapes it. The trivial answer: what is no
    better found nothing in the order of the steps.

    Attributes
    ----------
    mean_, std_ : arrays of shape (F,)
        Over all values of all windows of `fit`; a deviation of 0 counts as 1.
    window_shape_, n_features_in_ : (w, F), F
    """

    def fit(self, windows: Any, y: None = None) -> Self:
        """Mean and deviation of the features of windows (N, w, F)."""
        self.mean_, self.std_ = moments(self._started(windows))
        return self

    def step_errors(self, series: Any) -> Array:
        """Squared z (T, F) of a series (T, F)."""
        check_is_fitted(self)
        values = one_series(series, self.n_features_in_)
        return np.asarray(((values - self.mean_) / self.std_) ** 2)


class MovingZ(OnWindows):
    """Squared distance of every value from the mean of the steps before it, in their deviations.

    Good for spikes and sudden jumps on a level that drifts. What lasts becomes normal within the
    window, and a slow change is never seen. It is causal: later steps change nothing.

    Parameters
    ----------
    window : int, default 64
        Steps before a step that its mean and standard deviation are taken over, at least 1.

    Attributes
    ----------
    mean_, std_ : arrays of shape (F,)
        Over all values of all windows of `fit`; a deviation of 0 counts as 1. The steps before the
        first one of a series are taken to lie one deviation above and below the mean by turns. A
        moving deviation counts as a tenth of `std_` at least.
    window_shape_, n_features_in_ : (w, F), F
    """

    def __init__(self, window: int = 64) -> None:
        self.window = window

    def fit(self, windows: Any, y: None = None) -> Self:
        """Mean and deviation of the features of windows (N, w, F), of any w."""
        _checks.raise_all(_checks.whole("window", self.window, 1))
        self.mean_, self.std_ = moments(self._started(windows))
        return self

    def step_errors(self, series: Any) -> Array:
        """Squared z (T, F) of a series (T, F)."""
        check_is_fitted(self)
        values = one_series(series, self.n_features_in_)
        by_turns = np.where(np.arange(self.window) % 2, -1, 1)[:, None]
        before = np.concatenate([self.mean_ + by_turns * self.std_, values])
        errors = np.empty(values.shape)
        step = max(BLOCK // (self.window * values.shape[1]), 1)
        for start in range(0, len(values), step):
            now = values[start : start + step]
            past = before[start : start + len(now) + self.window - 1]
            past = np.lib.stride_tricks.sliding_window_view(past, self.window, axis=0)
            deviation = np.maximum(past.std(axis=-1), LEAST_DEVIATION * self.std_)
            errors[start : start + step] = ((now - past.mean(axis=-1)) / deviation) ** 2
        return errors
