import numpy as np
import pytest

from unspool.anomaly.alarm_clusters import count_clusters_by_level, find_clusters


def flagged(text):
    return np.array([one == "x" for one in text])


@pytest.mark.parametrize(
    ("flags", "gap", "expected"),
    [
        ("", 5, []),
        ("....", 5, []),
        ("xxxx", 0, [[0, 4]]),
        ("xx..x", 0, [[0, 2], [4, 5]]),
        ("x.x", 2, [[0, 1], [2, 3]]),
        ("x.x", 3, [[0, 3]]),
        (".x...x.x.", 4, [[1, 2], [5, 8]]),
        (".x...x.x.", 5, [[1, 8]]),
    ],
)
def test_flagged_steps_less_than_a_gap_apart_are_one_cluster(flags, gap, expected):
    assert find_clusters(flagged(flags), gap).tolist() == expected


@pytest.mark.parametrize("gap", [0, 1, 3, 16])
def test_cluster_counts_equal_those_found_level_by_level(gap):
    rng = np.random.default_rng(gap)
    scores = [rng.integers(0, 40, size).astype(float) for size in (60, 0, 1, 90)]
    levels, counts = count_clusters_by_level(scores, gap)
    pooled = np.concatenate(scores)
    assert levels.tolist() == sorted(set(pooled), reverse=True)
    for level, count in zip(levels, counts, strict=True):
        assert count == sum(len(find_clusters(one > level, gap)) for one in scores)
