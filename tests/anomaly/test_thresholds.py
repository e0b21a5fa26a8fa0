import json
import re
import warnings

import numpy as np
import pytest
from scipy import stats
from scipy.signal import lfilter

from unspool.anomaly.alarm_clusters import find_clusters
from unspool.anomaly.thresholds import fit_threshold, from_plain
from unspool.errors import InputError, ThresholdWarning

few = pytest.mark.filterwarnings("ignore::unspool.errors.ThresholdWarning")
TAILS = {"exponential": stats.expon(), "t(3)": stats.t(3), "uniform": stats.uniform()}


def quiet(*arguments, **named):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ThresholdWarning)
        return fit_threshold(*arguments, **named)


def true_rates(kind, distribution, n, rate, draws=30):
    return [
        distribution.sf(quiet(kind, [distribution.rvs(n, random_state=seed)], rate).level)
        for seed in range(draws)
    ]


def test_the_quantile_keeps_its_rate_on_average_over_small_calibrations():
    rates = true_rates("quantile", stats.expon(), 99, 0.05, draws=400)
    assert np.mean(rates) == pytest.approx(0.05, rel=0.06)  # numpy.quantile: 0.059


@pytest.mark.parametrize("name", TAILS)
@pytest.mark.parametrize(("n", "rate", "within"), [(5000, 1e-3, 1.7), (5000, 1e-2, 1.25)])
def test_peaks_over_threshold_on_known_tails(name, n, rate, within):
    low, middle, high = np.quantile(true_rates("pareto", TAILS[name], n, rate), [0.1, 0.5, 0.9])
    assert middle == pytest.approx(rate, rel=0.25)
    assert rate / within <= low <= high <= rate * within


def test_peaks_over_threshold_extrapolate_beyond_the_largest_score():
    """Fit a rate of 1 in 10,000 to 2,000 scores, whose largest is exceeded at 1 in 2,000."""
    pareto = np.median(true_rates("pareto", stats.expon(), 2000, 1e-4))
    assert pareto == pytest.approx(1e-4, rel=0.3)
    assert np.mean(true_rates("quantile", stats.expon(), 2000, 1e-4)) > 3e-4


def test_peaks_over_threshold_within_the_bulk_are_the_quantile():
    scores = np.random.default_rng(0).exponential(size=1000)
    for rate in (0.1, 0.4):
        pareto = fit_threshold("pareto", [scores], rate)
        assert pareto.level == fit_threshold("quantile", [scores], rate).level


@few
def test_peaks_over_threshold_of_equal_scores_are_their_level():
    assert fit_threshold("pareto", [np.full(300, 4.0)], 1e-3).level == 4
    assert fit_threshold("pareto", [[4.0]], 1e-3).level == 4


@pytest.mark.parametrize("drift", [0, 2])
def test_a_moving_threshold_keeps_the_requested_rate(drift):
    scores = np.random.default_rng(0).exponential(size=31_000)
    scores *= 1 + drift * np.arange(31_000) / 31_000
    threshold = fit_threshold("moving", [scores[:1000]], 0.01, memory=1000)
    alarms = scores[1000:] > threshold.over(scores[1000:])
    assert alarms.mean() == pytest.approx(0.01, rel=0.15)
    assert alarms[-10_000:].mean() == pytest.approx(0.01, rel=0.15)  # the threshold does not sink
    if drift:
        fixed = fit_threshold("quantile", [scores[:1000]], 0.02).level
        assert (scores[-10_000:] > fixed).mean() > 0.1


def test_a_long_anomaly_becomes_the_new_normal():
    scores = np.random.default_rng(0).exponential(size=3000)
    scores[1500:1600] += 50
    threshold = fit_threshold("moving", [scores[:1000]], 0.02, memory=1000)
    alarms = scores > threshold.over(scores)
    assert alarms[1500]
    assert not alarms[1600:2000].any()
    assert alarms[2600:].any()


@pytest.mark.parametrize("steps", [1, 16, 64])
def test_a_moving_threshold_keeps_its_rate_for_autocorrelated_scores(steps):
    scores = np.random.default_rng(0).exponential(size=30_000)
    scores = np.convolve(scores, np.ones(steps) / steps, "valid")
    threshold = quiet("moving", [scores[:2000]], 0.01)
    alarms = scores[2000:] > threshold.over(scores[2000:])
    assert alarms.mean() == pytest.approx(0.01, rel=0.25)


def test_the_memory_holds_an_independent_score_above_the_threshold():
    rng = np.random.default_rng(0)
    scores = np.convolve(rng.exponential(size=4063), np.ones(64) / 64, "valid")
    threshold = quiet("moving", [scores], 0.01)
    assert threshold.memory == int(np.ceil(4000 / threshold.n_effective / 0.01))
    assert 3000 < threshold.memory < 12_000
    assert quiet("moving", [SCORES], 0.1).memory == 500
    assert quiet("moving", [scores], 1e-4).memory == 20_000


def test_a_moving_threshold_begins_with_the_last_scores_of_all_series():
    series = [np.arange(6.0), np.arange(10.0, 13.0), np.empty(0)]
    recent = quiet("moving", series, 0.2, memory=5).recent
    assert sorted(recent) == [4, 5, 10, 11, 12] or sorted(recent) == [3, 4, 5, 11, 12]
    assert recent[-2:].tolist() == [5, 12]
    assert quiet("moving", series, 0.2, memory=50).recent.tolist() == [0, 1, 2, 3, 10, 4, 11, 5, 12]


@pytest.mark.parametrize("gap", [1, 16])
def test_the_calibration_scores_have_the_requested_number_of_alarms(gap):
    scores = [np.random.default_rng(seed).exponential(size=4000) for seed in range(3)]
    threshold = fit_threshold("alarms", scores, 5, gap=gap, steps_per_period=1000)
    counted = sum(len(find_clusters(one > threshold.level, gap)) for one in scores)
    assert counted == threshold.n_clusters == 60  # 5 · 12,000 / 1,000
    lower = max(one[one < threshold.level].max() for one in scores)
    assert sum(len(find_clusters(one > lower, gap)) for one in scores) > 60
    pooled = np.concatenate(scores)
    for level in pooled[pooled > threshold.level]:  # no higher level has more clusters
        assert sum(len(find_clusters(one > level, gap)) for one in scores) <= 60


def test_new_data_has_about_the_requested_number_of_alarms():
    found = []
    for seed in range(10):
        rng = np.random.default_rng(seed)
        scores = lfilter([1], [1, -0.8], rng.normal(size=40_000))
        threshold = fit_threshold("alarms", [scores[:20_000]], 2, steps_per_period=1000)
        found.append(len(find_clusters(scores[20_000:] > threshold.level, 16)) / 20)
    assert np.mean(found) == pytest.approx(2, rel=0.15)
    assert max(found) < 4


def test_a_rate_that_cannot_be_reached_does_not_merge_all_steps_into_one_alarm():
    scores = np.random.default_rng(0).exponential(size=500)
    with pytest.warns(ThresholdWarning, match="are 5,000 over the 500 scores"):
        threshold = fit_threshold("alarms", [scores], 100, gap=16, steps_per_period=10)
    counts = [len(find_clusters(scores > level, 16)) for level in scores]
    assert threshold.n_clusters == max(counts) > 10
    with pytest.warns(ThresholdWarning, match="so that the threshold is the largest score"):
        threshold = fit_threshold("alarms", [scores], 0.1, steps_per_period=1000)
    assert threshold.level == scores.max()


SCORES = np.random.default_rng(0).exponential(size=500)
AVERAGED = np.convolve(SCORES, np.ones(64) / 64, "valid")


@pytest.mark.parametrize(
    ("kind", "scores", "options", "message"),
    [
        (
            "quantile", [SCORES], {"rate": 0.01},
            "500 scores of normal data are worth 500 independent ones, and a false alarm rate of "
            "0.01 within a factor of 2 needs 2,000: the true rate probably lies between 0.0049 and "
            "0.016. Hold out more normal data, or use a rate of at least 0.04.",
        ),
        (
            "quantile", [AVERAGED], {"rate": 0.001},
            "437 scores of normal data are worth 12 independent ones, and a false alarm rate of "
            "0.001 within a factor of 2 needs 20,000: the true rate probably lies between 0.0084 "
            "and 0.17. The threshold is the largest of them. Hold out more normal data, or use "
            "scores of the `kind` 'step', which are less autocorrelated.",
        ),
        (
            "moving", [AVERAGED], {"rate": 0.01, "memory": 437},
            "A moving threshold for a false alarm rate of 0.01 needs a memory worth 100 "
            "independent scores, but 437 scores are worth 12: there will be more alarms than "
            "requested. Use a `memory` of 3,518 scores, or use a rate of at least 0.081, or use "
            "scores of the `kind` 'step', which are less autocorrelated.",
        ),
        (
            "moving", [SCORES], {"rate": 0.01, "memory": 50},
            "A moving threshold for a false alarm rate of 0.01 needs a memory worth 100 "
            "independent scores, but 50 scores are worth 50: there will be more alarms than "
            "requested. Use a `memory` of 100 scores, or use a rate of at least 0.02.",
        ),
        (
            "alarms", [SCORES], {"rate": 2, "steps_per_period": 100},
            "2 false alarms per period are 10 over the 500 scores of normal data; 20 are needed to "
            "know their number within a factor of 2, and 10 were found. The true number per period "
            "probably lies between 1.2 and 2.8. Hold out more normal data (1,000 scores), or allow "
            "more alarms per period.",
        ),
    ],
)  # fmt: skip
def test_too_few_independent_scores_for_the_rate_warn_once(kind, scores, options, message):
    with pytest.warns(ThresholdWarning) as caught:
        fit_threshold(kind, scores, **options)
    assert [str(one.message) for one in caught] == [message]
    assert caught[0].filename == __file__


def test_following_the_advice_of_the_warning_silences_it():
    fit_threshold("quantile", [SCORES], 0.04)
    fit_threshold("pareto", [SCORES], 0.04)
    fit_threshold("moving", [SCORES], 0.01, memory=100)
    with pytest.warns(ThresholdWarning):
        fit_threshold("quantile", [SCORES], 0.039)


def test_scores_of_several_series_are_pooled():
    rng = np.random.default_rng(0)
    series = [rng.exponential(size=size) for size in (700, 0, 900)]
    threshold = fit_threshold("quantile", series, 0.1)
    assert threshold.level == fit_threshold("quantile", [np.concatenate(series)], 0.1).level
    assert threshold.n_scores == 1600


@few
@pytest.mark.parametrize("kind", ["quantile", "pareto", "moving", "alarms"])
def test_a_threshold_restored_from_plain_data_is_the_same(kind):
    threshold = fit_threshold(kind, [SCORES], 0.1, memory=np.int64(100), steps_per_period=10)
    plain = threshold.to_plain()
    arrays = {name: one for name, one in plain.items() if isinstance(one, np.ndarray)}
    text = json.dumps({name: one for name, one in plain.items() if name not in arrays})
    restored = from_plain({**json.loads(text), **arrays})
    assert type(restored) is type(threshold)
    assert json.dumps(restored.to_plain(), default=np.ndarray.tolist) == json.dumps(
        plain, default=np.ndarray.tolist
    )
    np.testing.assert_array_equal(restored.over(SCORES), threshold.over(SCORES))


@few
@pytest.mark.parametrize(
    ("kind", "changed", "message"),
    [
        ("quantile", {"kind": "quartile"}, "unknown `kind` 'quartile': did you mean 'quantile'?"),
        ("quantile", {"level": np.nan}, "`level` must be a number of at least"),
        ("quantile", {"rate": 1.5}, "`rate` must be a number above 0 and below 1, got 1.5."),
        (
            "quantile",
            {"gap": 3},
            "A threshold 'quantile' needs level, n_effective, n_scores, rate, got",
        ),
        ("pareto", {"shape": "1"}, "`shape` must be a number of at least"),
        ("pareto", {"scale": -1}, "`scale` must be a number of at least 0, got -1."),
        ("moving", {"recent": np.ones(101)}, "Expected 1 to 100 scores in `recent`, got 101."),
        ("moving", {"recent": np.ones(0)}, "Expected 1 to 100 scores in `recent`, got 0."),
        ("moving", {"recent": np.ones(9)}, "`level` must be the quantile of `recent`, 1.0, got"),
        ("moving", {"recent": [np.nan]}, "Expected finite numbers in `recent`, got nan at step 0"),
        ("moving", {"memory": 0}, "`memory` must be a whole number of at least 1, got 0."),
        ("alarms", {"steps_per_period": 0}, "`steps_per_period` must be a number above 0, got 0."),
        ("alarms", {"n_clusters": 1.5}, "`n_clusters` must be a whole number of at least 0"),
    ],
)
def test_plain_data_with_a_missing_or_wrong_part_is_refused(kind, changed, message):
    plain = fit_threshold(kind, [SCORES], 0.1, memory=100, steps_per_period=10).to_plain()
    with pytest.raises(InputError, match=f"^{re.escape(message)}"):
        from_plain({**plain, **changed})


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        (("quantil", [SCORES], 0.1), {}, "unknown `kind` 'quantil': did you mean 'quantile'?"),
        (("quantile", [SCORES], 0), {}, "`rate` must be a number above 0 and below 1, got 0."),
        (("quantile", [SCORES], 1), {}, "`rate` must be a number above 0 and below 1, got 1."),
        (("moving", [SCORES], 0.1), {"memory": 0}, "`memory` must be a whole number of at least 1"),
        (("alarms", [SCORES], 5), {}, "`steps_per_period` must be a number above 0, got None."),
        (("alarms", [SCORES], 5), {"gap": -1}, "`gap` must be a whole number of at least 0"),
        (("quantile", [], 0.1), {}, "Expected at least one score of normal data, got none"),
        (("quantile", [[]], 0.1), {}, "Expected at least one score of normal data, got none"),
        (
            ("moving", [SCORES, [1, 2, np.inf]], 0.1), {},
            "Expected finite numbers in the scores of series 1, got inf at step 2",
        ),
        (
            ("quantile", SCORES, 0.1), {},
            "Expected the scores of series 0 of shape (T,), got shape ().",
        ),
    ],
)  # fmt: skip
def test_unusable_parameters_and_scores_are_refused(arguments, options, message):
    with pytest.raises(InputError, match=re.escape(message)):
        fit_threshold(*arguments, **options)
