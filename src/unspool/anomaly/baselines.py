"""Simple baselines for anomaly detection that compare windows (N, w, F).

All of them expect values that the caller has scaled per feature (`AnomalyDetector` does so).
`reconstruct` returns windows, whose reconstruction error is the score; `window_scores` returns one
score per window. The z-scores of single values are in `z_scores`.

The baselines are fitted on at most `MAX_WINDOWS` windows (`NearestWindow`: `max_windows`) with at
most `baseline_base.MAX_VALUES` values in total, evenly spaced over the windows passed to `fit`. All
windows are reconstructed and scored, in blocks. So memory stays below 1 GiB in addition to input
and output.
"""

import hashlib
import warnings
from typing import Any, Self

import numpy as np
from sklearn.cluster import KMeans
from sklearn.ensemble import IsolationForest
from sklearn.exceptions import ConvergenceWarning

from unspool import _checks
from unspool.anomaly.baseline_base import (
    Array,
    ReconstructingBaseline,
    WindowBaseline,
    nearest_index,
    principal_components,
    row_blocks,
    sample_rows,
)

MAX_WINDOWS = 10_000


class SubPCA(ReconstructingBaseline):
    """Reconstruct windows from their first principal components.

    Finds shapes that break a strong, regular pattern (a daily or weekly cycle, several sensors
    that move together) and windows of unusual size. Misses whatever the components can also
    reconstruct, such as a mean that shifts slowly. One linear space has to describe all kinds of
    normal operation.

    Parameters
    ----------
    variance : float, default 0.8
        Share of the variance of the training windows that the components have to explain, above
        0 and below 1. The smallest sufficient number of components, K, is kept.

    Attributes
    ----------
    mean_ : array of shape (w · F,)
        Mean of the training windows.
    components_ : array of shape (K, w · F)
        Orthonormal principal components; K is 0 if all training windows are equal.
    window_shape_ : tuple of two int
        Shape (w, F) of a window: steps and features.
    n_features_in_ : int
        Number of features, F.

    See Also
    --------
    NearestWindow : Compares with training windows instead of a linear space.
    AnomalyDetector : Scores, thresholds and events over this baseline.

    Notes
    -----
    `fit` uses at most 10,000 evenly spaced windows, fewer if they hold more than 2²⁵ values.

    Sub-PCA in TSB-UAD computes distances along the components, divided by their variance. Here
    the score is the reconstruction error, which shows the features at fault.

    References
    ----------
    .. [1] J. Paparrizos et al. (2022). "TSB-UAD: An End-to-End Benchmark Suite for Univariate
       Time-Series Anomaly Detection". PVLDB 15 (8).

    Examples
    --------
    >>> from unspool.anomaly import SubPCA
    >>> t = np.arange(200)[:, None, None] + np.arange(8)[:, None]
    >>> windows = np.sin(t / 5)
    >>> model = SubPCA(variance=0.99).fit(windows)
    >>> model.components_.shape, model.reconstruct(windows).shape
    ((2, 8), (200, 8, 1))
    """

    def __init__(self, variance: float = 0.8) -> None:
        self.variance = variance

    def fit(self, windows: Any, y: None = None) -> Self:
        """Find the principal components of normal windows.

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
            If a parameter is out of range, or the windows have another shape or hold NaN.
        """
        _checks.raise_all(_checks.number("variance", self.variance, 0, 1, open_left=True))
        rows = sample_rows(self._check_fit_windows(windows), MAX_WINDOWS)
        self.mean_ = rows[0].copy() if (rows == rows[0]).all() else rows.mean(axis=0)
        rows -= self.mean_
        self.components_ = principal_components(rows, float(self.variance))
        return self

    def _extra_values_per_row(self) -> int:
        return len(self.components_)

    def _reconstruct_rows(self, rows: Array) -> Array:
        codes = (rows - self.mean_) @ self.components_.T
        return np.asarray(codes @ self.components_ + self.mean_)


class KMeansAD(ReconstructingBaseline):
    """Reconstruct each window as the nearest k-means centre.

    Finds shapes and levels that differ from every kind of normal operation, if there are few
    kinds. A centre lacks the finer structure of its cluster, so normal variation hides small
    changes.

    Parameters
    ----------
    n_clusters : int, default 20
        Number of centres, at least 1. With fewer training windows, each window is a centre.
    random_state : int, RandomState or None, default None
        Seed of the initial centres (k-means++).

    Attributes
    ----------
    cluster_centers_ : array of shape (K, w · F)
        The K centres, as rows.
    window_shape_ : tuple of two int
        Shape (w, F) of a window: steps and features.
    n_features_in_ : int
        Number of features, F.

    See Also
    --------
    NearestWindow : Compares with training windows instead of centres.
    AnomalyDetector : Scores, thresholds and events over this baseline.

    Notes
    -----
    `fit` uses at most 10,000 evenly spaced windows, fewer if they hold more than 2²⁵ values.

    References
    ----------
    .. [1] T. Yairi, Y. Kato and K. Hori (2001). "Fault Detection by Mining Association Rules from
       House-keeping Data". i-SAIRAS.

    Examples
    --------
    >>> from unspool.anomaly import KMeansAD
    >>> windows = np.repeat([0.0, 5.0], 10)[:, None, None] * np.ones((4, 1))
    >>> model = KMeansAD(n_clusters=2, random_state=0).fit(windows)
    >>> model.reconstruct(np.full((1, 4, 1), 4.0)).ravel()
    array([5., 5., 5., 5.])
    """

    def __init__(self, n_clusters: int = 20, random_state: Any = None) -> None:
        self.n_clusters = n_clusters
        self.random_state = random_state

    def fit(self, windows: Any, y: None = None) -> Self:
        """Cluster normal windows.

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
            If a parameter is out of range, or the windows have another shape or hold NaN.
        """
        _checks.raise_all(
            _checks.whole("n_clusters", self.n_clusters, 1),
            _checks.seed("random_state", self.random_state),
        )
        rows = sample_rows(self._check_fit_windows(windows), MAX_WINDOWS)
        kmeans = KMeans(min(self.n_clusters, len(rows)), random_state=self.random_state)
        with warnings.catch_warnings():  # repeated windows yield fewer distinct centres: harmless
            warnings.simplefilter("ignore", ConvergenceWarning)
            self.cluster_centers_ = kmeans.fit(rows).cluster_centers_
        return self

    def _extra_values_per_row(self) -> int:
        return len(self.cluster_centers_)

    def _reconstruct_rows(self, rows: Array) -> Array:
        return np.asarray(self.cluster_centers_[nearest_index(rows, self.cluster_centers_)])


class NearestWindow(ReconstructingBaseline):
    """Reconstruct each window as the nearest training window, by Euclidean distance.

    Finds shapes and levels of any kind that training did not contain, even if the training part
    is short. It is hard to beat where normal operation repeats itself. One odd training window
    hides all windows like it, and where normal windows vary in many directions, all are far from
    each other.

    Parameters
    ----------
    max_windows : int, default 10000
        Maximum number of training windows to keep, at least 1. Time and memory are proportional
        to it.

    Attributes
    ----------
    training_windows_ : array of shape (K, w · F)
        The training windows kept, without duplicates.
    window_shape_ : tuple of two int
        Shape (w, F) of a window: steps and features.
    n_features_in_ : int
        Number of features, F.

    See Also
    --------
    KMeansAD : Compares with a few centres.
    AnomalyDetector : Scores, thresholds and events over this baseline.

    Notes
    -----
    The windows kept are evenly spaced. There are fewer than `max_windows` if they hold more than
    2²⁵ values.

    The search is exact: matrix products find the candidates, and where rounding could confuse
    several, their distances are computed from differences. A window that was kept is
    reconstructed to the last bit.

    The distance is that of discords [1]_ without z-normalisation, because levels matter.

    References
    ----------
    .. [1] C.-C. M. Yeh et al. (2016). "Matrix Profile I: All Pairs Similarity Joins for Time
       Series". ICDM.

    Examples
    --------
    >>> from unspool.anomaly import NearestWindow
    >>> windows = np.arange(10.0)[:, None, None] * np.ones((4, 1))
    >>> model = NearestWindow().fit(windows)
    >>> model.reconstruct(np.full((1, 4, 1), 6.3)).ravel()
    array([6., 6., 6., 6.])
    """

    def __init__(self, max_windows: int = MAX_WINDOWS) -> None:
        self.max_windows = max_windows

    def fit(self, windows: Any, y: None = None) -> Self:
        """Keep normal windows.

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
            If a parameter is out of range, or the windows have another shape or hold NaN.
        """
        _checks.raise_all(_checks.whole("max_windows", self.max_windows, 1))
        rows = sample_rows(self._check_fit_windows(windows), self.max_windows)
        # Duplicates would all be candidates at the same distance.
        _, first = np.unique([hashlib.sha256(row).digest() for row in rows], return_index=True)
        self.training_windows_ = rows if len(first) == len(rows) else rows[np.sort(first)]
        return self

    def _extra_values_per_row(self) -> int:
        return len(self.training_windows_)

    def _reconstruct_rows(self, rows: Array) -> Array:
        return np.asarray(self.training_windows_[nearest_index(rows, self.training_windows_)])


class IsolationForestWindows(WindowBaseline):
    """Score windows with an Isolation Forest over their values.

    Finds windows with extreme values at many steps or in many features at once. A tree inspects
    a few single values one after the other, so it misses short spikes, and shapes that consist of
    ordinary values. It needs no scaling and is fast.

    Parameters
    ----------
    random_state : int, RandomState or None, default None
        Seed of the trees.

    Attributes
    ----------
    forest_ : sklearn.ensemble.IsolationForest
        The fitted forest: 100 trees of 256 windows each, scikit-learn's defaults.
    window_shape_ : tuple of two int
        Shape (w, F) of a window: steps and features.
    n_features_in_ : int
        Number of features, F.

    See Also
    --------
    AnomalyDetector : Scores, thresholds and events over this baseline.

    Notes
    -----
    The trees sample their windows from at most 10,000 evenly spaced ones, fewer if they hold more
    than 2²⁵ values.

    References
    ----------
    .. [1] F. T. Liu, K. M. Ting and Z.-H. Zhou (2008). "Isolation Forest". ICDM.

    Examples
    --------
    >>> from unspool.anomaly import IsolationForestWindows
    >>> windows = np.random.default_rng(0).normal(size=(100, 4, 2))
    >>> model = IsolationForestWindows(random_state=0).fit(windows)
    >>> usual, unusual = model.window_scores(np.stack([windows[0], windows[0] + 9]))
    >>> bool(unusual > usual)
    True
    """

    def __init__(self, random_state: Any = None) -> None:
        self.random_state = random_state

    def fit(self, windows: Any, y: None = None) -> Self:
        """Grow the trees on normal windows.

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
            If a parameter is out of range, or the windows have another shape or hold NaN.
        """
        _checks.raise_all(_checks.seed("random_state", self.random_state))
        rows = sample_rows(self._check_fit_windows(windows), MAX_WINDOWS)
        self.forest_ = IsolationForest(random_state=self.random_state).fit(rows)
        return self

    def window_scores(self, windows: Any) -> Array:
        """Score windows.

        Parameters
        ----------
        windows : array of shape (N, w, F)
            Windows with the w steps and F features of those in `fit`; N may be 0.

        Returns
        -------
        array of shape (N,), float64
            Scores in (0, 1], larger for windows that few splits isolate.

        Raises
        ------
        InputError
            If the shape is another than in `fit`, or a value is missing or infinite.
        sklearn.exceptions.NotFittedError
            If the estimator is not fitted.
        """
        array = self._check_windows(windows)
        scores = np.empty(len(array))
        for start, rows in row_blocks(array):
            scores[start : start + len(rows)] = -self.forest_.score_samples(rows)
        return scores
