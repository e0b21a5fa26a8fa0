"""`auc_pr` and `auc_roc` against scikit-learn, and where they are undefined."""

import math

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from unspool.errors import InputError
from unspool.evaluation import auc_pr, auc_roc, vus_pr

PAIRS = [(auc_pr, average_precision_score), (auc_roc, roc_auc_score)]
ALL = [auc_pr, auc_roc, vus_pr]


def random_case(seed, steps, levels):
    rng = np.random.default_rng(seed)
    labels = rng.random(steps) < 0.3
    labels[:2] = [True, False]
    scores = rng.normal(size=steps) + labels
    return labels, np.round(scores * levels) / levels if levels else scores


@pytest.mark.parametrize(("ours", "theirs"), PAIRS)
@pytest.mark.parametrize("levels", [None, 1, 4])
@pytest.mark.parametrize("steps", [2, 3, 10, 101, 1000])
def test_areas_equal_those_of_scikit_learn(ours, theirs, levels, steps):
    for seed in range(5):
        labels, scores = random_case(seed, steps, levels)
        assert ours(labels, scores) == pytest.approx(theirs(labels, scores), abs=1e-12)


@pytest.mark.parametrize(("ours", "theirs"), PAIRS)
def test_equal_scores_are_flagged_together(ours, theirs):
    labels = [1, 0, 0, 1]
    expected = {auc_pr: 0.5, auc_roc: 0.5}[ours]
    assert ours(labels, np.ones(4)) == expected == theirs(labels, np.ones(4))


@pytest.mark.parametrize("area", ALL)
def test_only_the_order_of_scores_counts(area):
    labels, scores = random_case(3, 300, 8)
    assert area(labels, np.exp(scores)) == area(labels, scores)
    infinite = np.where(scores == scores.max(), np.inf, scores)
    infinite[scores == scores.min()] = -np.inf
    assert area(labels, infinite) == area(labels, scores)


@pytest.mark.parametrize("area", ALL)
def test_the_area_of_several_series_is_the_mean_of_those_where_it_is_defined(area):
    cases = [random_case(seed, 50 + seed, None) for seed in range(3)]
    normal = (np.zeros(40, bool), np.arange(40.0))
    labels, scores = zip(*cases, normal, strict=True)
    expected = np.mean([area(*case) for case in cases])
    assert area(list(labels), list(scores)) == pytest.approx(expected, abs=1e-15)


@pytest.mark.parametrize("area", ALL)
def test_without_events_there_is_no_area(area):
    assert math.isnan(area(np.zeros(5), np.arange(5)))
    assert math.isnan(area(np.zeros(0), np.zeros(0)))
    assert math.isnan(area([[0, 0], [0]], [[1, 2], [3]]))


def test_without_normal_steps_precision_is_1_and_roc_is_undefined():
    assert auc_pr([1, 1, 1], [1, 2, 3]) == 1
    assert vus_pr([1, 1, 1], [1, 2, 3]) == pytest.approx(1, abs=1e-12)
    assert math.isnan(auc_roc([1, 1, 1], [1, 2, 3]))


@pytest.mark.parametrize("area", ALL)
def test_labels_and_scores_may_be_lists_arrays_and_frames(area):
    labels, scores = random_case(1, 60, None)
    expected = area(labels, scores)
    index = pd.date_range("2024-01-01", periods=60, freq="h")
    for as_labels, as_scores in [
        (labels.astype(float), scores.tolist()),
        (pd.Series(labels, index), pd.DataFrame({"score": scores}, index)),
        ([labels], scores[:, None]),
    ]:
        assert area(as_labels, as_scores) == expected


@pytest.mark.parametrize("area", ALL)
@pytest.mark.parametrize(
    ("labels", "scores", "message"),
    [
        ([0, 2], [1, 2], "`labels` must be 0 or 1, or False or True, at every step, got 2 at step"),
        ([0, np.nan], [1, 2], "`labels` must be 0 or 1.* got nan at step 1"),
        ([0, -1], [1, 2], r"got -1 at step 1 \(for a detector use `predict\(X\) == -1`"),
        ([0, 1], [1, np.nan], "`scores` must be a number at every step, got NaN at step 1;"),
        ([0, 1], np.ma.array([1, 2], mask=[1, 0]), "`scores` .* got NaN at step 0;"),
        ([0, 1], [1, 2, 3], "must have the same number of steps, got 2 and 3[.]"),
        ([[0, 1], [0]], [[1, 2], [3, 4]], "got 1 and 2 of series 1[.]"),
        ([[0, 1], [0]], [[1, 2]], "must be of the same series, got 2 and 1 series"),
        ([0, 1], [[1, 2], [3, np.nan]], "`scores` .* got NaN at step 1 of series 1;"),
        ([0, 1], np.ones((2, 2)), r"`scores` must be one number .* got shape \(2, 2\)"),
        ([0, 1], [], "`scores`: Expected at least one series, got an empty list"),
        ([0, 1], ["a", "b"], "`scores`: "),
    ],
)
def test_labels_and_scores_that_do_not_match_are_refused(area, labels, scores, message):
    with pytest.raises(InputError, match=message):
        area(labels, scores)
