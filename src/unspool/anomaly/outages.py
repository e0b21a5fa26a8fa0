"""Outages: runs of steps without any value, which windows do not cross when steps are scored.

A window that lies half in an outage is reconstructed badly, since few windows of training do. Steps
after an outage are therefore scored like the first ones of a series, which have normal errors of
their own, and no window of the steps before it reaches into it.
"""

import math

import numpy as np

from unspool.data.sequences import FloatArray, IntArray

SHARE = 0.125  # share of a window from which a run of steps without a value is an outage
LEAST_STEPS = 4  # a shorter run is none, however short the windows are


def outage_length(window: int, dilation: int) -> int:
    """Return the number of steps without a value from which they are an outage."""
    return max(LEAST_STEPS, math.ceil(SHARE * window)) * dilation


def outage_breaks(series: FloatArray, length: int) -> IntArray:
    """Return the first step of each outage of a series (T, F), and the step after its last."""
    if series.dtype.kind != "f":
        return np.empty(0, np.int64)
    empty = np.isnan(series).all(axis=1)
    edges = np.flatnonzero(np.diff(np.r_[False, empty, False].astype(np.int8)))
    starts, ends = edges[::2], edges[1::2]
    long = ends - starts >= length
    found: IntArray = np.sort(np.r_[starts[long], ends[long]])
    return found[(found > 0) & (found < len(series))]
