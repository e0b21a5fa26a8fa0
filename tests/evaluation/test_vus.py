"""`vus_pr` against values from its authors' package."""

import tracemalloc

import numpy as np
import pytest

from unspool.errors import InputError
from unspool.evaluation import auc_pr, vus_pr

# Seed, steps, events, levels of the scores (None: no ties), buffer, thresholds, expected.
# The expected values are the last output of `metricor().RangeAUC_volume_opt(labels, scores, buffer,
# thresholds)` in vus/utils/metrics.py of the wheel of vus 0.0.6 (PyPI), run once on
# `case(seed, steps, events, levels)` with NumPy 2.4.6.
FROZEN = [
    (0, 400, [(100, 120)], None, 0, 250, 0.5762118007411003),
    (1, 400, [(100, 120)], None, 1, 250, 0.5133355255852979),
    (2, 400, [(100, 120)], None, 40, 250, 0.46663358926734955),
    (3, 400, [(0, 15), (385, 400)], None, 20, 250, 0.3973032456081241),
    (4, 400, [(0, 1), (399, 400)], 9, 33, 250, 0.3167714597918452),
    (5, 300, [(40, 60), (66, 70), (72, 73), (200, 230)], None, 30, 250, 0.5852014173802133),
    (6, 300, [(40, 60), (66, 70), (72, 73), (200, 230)], 5, 31, 250, 0.544629227184427),
    (7, 2000, [(300, 330), (700, 701), (1200, 1400), (1990, 1995)], 20, 64, 250, 0.43179056044628),
    (8, 90, [(20, 30), (50, 60)], None, 100, 250, 0.8510203139654277),
    (9, 60, [(5, 8), (9, 12), (13, 14), (30, 31)], 8, 7, 100, 0.3481569659821663),
    (10, 500, [(250, 500)], None, 16, 50, 0.7730517963573319),
    (12, 40, [(0, 40)], None, 5, 250, 0.9999999999999999),
    (13, 50, [(10, 12)], 4, 300, 250, 0.8545537071396301),
    (14, 200, [(50, 60), (120, 121)], 1, 10, 250, 0.17491951343893017),
]


def case(seed, steps, events, levels):
    """Labels and scores; the streams of RandomState never change."""
    labels = np.zeros(steps, np.int64)
    for start, end in events:
        labels[start:end] = 1
    draws = np.random.RandomState(seed).random_sample((2, steps))
    scores = draws[0] + 0.5 * labels * draws[1]
    return labels, scores if levels is None else np.floor(scores * levels)


@pytest.mark.parametrize(
    ("seed", "steps", "events", "levels", "buffer", "n_thresholds", "expected"), FROZEN
)
def test_volumes_equal_those_of_the_published_implementation(
    seed, steps, events, levels, buffer, n_thresholds, expected
):
    labels, scores = case(seed, steps, events, levels)
    assert vus_pr(labels, scores, buffer, n_thresholds) == pytest.approx(expected, abs=1e-10)


def test_a_buffer_rewards_scores_that_rise_a_little_early():
    labels = np.zeros(200)
    labels[100:110] = 1
    early, far = np.zeros(200), np.zeros(200)
    early[95:105], far[25:35] = 1, 1
    assert vus_pr(labels, early, 40) > auc_pr(labels, early)
    assert vus_pr(labels, early, 40) > 5 * vus_pr(labels, far, 40)


def test_the_defaults_are_64_steps_and_250_thresholds():
    labels, scores = case(7, 2000, [(300, 330), (700, 701), (1200, 1400), (1990, 1995)], 20)
    assert vus_pr(labels, scores) == vus_pr(labels, scores, 64, 250)
    assert vus_pr(labels, scores) != vus_pr(labels, scores, 63, 250)
    labels, scores = case(2, 400, [(100, 120)], None)
    assert vus_pr(labels, scores) == vus_pr(labels, scores, 64, 250)
    assert vus_pr(labels, scores) != vus_pr(labels, scores, 64, 249)


def test_memory_is_not_steps_times_thresholds_or_buffers():
    labels, scores = case(0, 50_000, [(start, start + 100) for start in range(0, 50_000, 5_000)], 9)
    tracemalloc.start()
    try:
        vus_pr(labels, scores, 100)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 80 * len(labels)  # 250 thresholds of one byte would be three times that


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"buffer": -1}, "`buffer` must be a whole number of at least 0, got -1"),
        ({"buffer": 2.0}, "`buffer` must be a whole number of at least 0, got 2.0"),
        ({"n_thresholds": 1}, "`n_thresholds` must be a whole number of at least 2, got 1"),
    ],
)
def test_parameters_are_checked(parameters, message):
    with pytest.raises(InputError, match=message):
        vus_pr([0, 1], [0, 1], **parameters)
