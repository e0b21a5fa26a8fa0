import json

import numpy as np
import pytest

from unspool.anomaly.running_threshold import RunningQuantile, conformal_rank
from unspool.anomaly.thresholds import fit_threshold
from unspool.errors import InputError


def moving(seed=0, memory=200, rate=0.05, n=300):
    scores = np.random.default_rng(seed).exponential(size=n)
    return fit_threshold("moving", [scores], rate, memory=memory)


@pytest.mark.parametrize(
    ("n", "rate", "expected"),
    [
        (99, 0.01, 99),
        (100, 0.01, 100),
        (98, 0.01, 98),
        (199, 0.01, 198),
        (1, 0.5, 1),
        (9, 0.3, 7),
        (9, 1 - 1e-14, 1),
    ],
)
def test_the_rank_is_that_of_conformal_prediction(n, rate, expected):
    assert conformal_rank(n, rate) == expected


@pytest.mark.filterwarnings(
    "ignore::unspool.errors.ThresholdWarning"
)  # the memory of 1 is too short
@pytest.mark.parametrize(("memory", "held_out"), [(50, 80), (50, 50), (50, 20), (1, 3)])
@pytest.mark.parametrize("values", ["continuous", "few"])
def test_the_quantile_of_the_last_scores_by_sorting_them_at_every_step(memory, held_out, values):
    rng = np.random.default_rng(0)
    scores = rng.normal(size=held_out + 300)
    if values == "few":
        scores = scores.round()
    threshold = fit_threshold("moving", [scores[:held_out]], 0.3, memory=memory)
    expected, share = [], 0.3
    for step in range(held_out, len(scores)):
        last = np.sort(scores[max(0, step - memory, held_out - memory) : step][-memory:])
        rank = int(np.ceil((len(last) + 1) * (1 - share) - 1e-9))
        expected.append(last[min(rank, len(last)) - 1])
        share = min(max(0, share + 0.5 * 0.3 * (0.3 - (scores[step] > expected[-1]))), 0.65)
    np.testing.assert_array_equal(threshold.over(scores[held_out:]), expected)
    assert threshold.start == expected[0]


@pytest.mark.parametrize("kind", ["quantile", "pareto", "moving", "alarms"])
def test_one_score_at_a_time_and_all_at_once_are_the_same_bits(kind):
    rng = np.random.default_rng(1)
    calibration, scores = rng.exponential(size=5000), rng.exponential(size=700)
    rate, period = (25, 5000) if kind == "alarms" else (0.05, None)
    threshold = fit_threshold(kind, [calibration], rate, memory=300, gap=2, steps_per_period=period)
    running = threshold.running()
    found = [running.update(one) for one in scores]
    np.testing.assert_array_equal(threshold.over(scores), found)
    assert found[0] == threshold.start


def test_the_threshold_of_a_step_does_not_depend_on_its_score():
    threshold = moving()
    one, other = np.ones(50), np.ones(50)
    other[20:] = 100
    same = threshold.over(one) == threshold.over(other)
    assert same[:21].all()
    assert not same[-1]


def test_every_series_starts_with_the_calibration_scores():
    threshold = moving()
    scores = np.random.default_rng(5).exponential(size=100)
    first = threshold.over(scores)
    threshold.over(scores + 10)
    np.testing.assert_array_equal(threshold.over(scores), first)


def test_a_restored_state_continues_with_the_same_bits():
    threshold, scores = moving(), np.random.default_rng(3).exponential(size=400)
    running = threshold.running()
    for one in scores[:150]:
        running.update(one)
    state = running.state()
    text = json.dumps({name: values.tolist() for name, values in state.items()})
    for one in scores[150:]:  # the state is a copy
        running.update(one)
    restored = threshold.running()
    restored.restore({name: np.array(values) for name, values in json.loads(text).items()})
    assert [restored.update(one) for one in scores[150:]] == threshold.over(scores)[150:].tolist()
    np.testing.assert_array_equal(restored.state()["recent"], running.state()["recent"])


@pytest.mark.parametrize("quiet", [np.full(100_000, 0.3), np.arange(100_000.0) % 5 < 3])
@pytest.mark.parametrize("rate", [0.01, 0.005])
def test_a_quiet_time_is_not_followed_by_a_burst_of_alarms(quiet, rate):
    rng = np.random.default_rng(0)
    running = RunningQuantile(rate, 1000, rng.exponential(size=1000))
    assert not any(one > running.update(one) for one in quiet[1000:])
    after = rng.exponential(size=20_000)
    alarms = sum(one > running.update(one) for one in after)
    assert 0.5 * rate < alarms / 20_000 < rate + 45 / 20_000


@pytest.mark.parametrize("rate", [0.3, 0.6, 0.9])
def test_a_rate_of_many_alarms_is_kept(rate):
    rng = np.random.default_rng(0)
    running = RunningQuantile(rate, 500, rng.exponential(size=500))
    alarms = np.mean([one > running.update(one) for one in rng.exponential(size=20_000)])
    assert abs(alarms - rate) < 0.02


def test_memory_is_constant():
    running = moving(memory=200).running()
    for one in np.random.default_rng(3).exponential(size=1000):
        running.update(one)
    assert running.state()["recent"].shape == (200,)
    assert len(running._sorted) == 200


@pytest.mark.parametrize("kind", ["quantile", "moving"])
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_score_that_is_not_finite_is_refused_and_not_read(kind, bad):
    threshold = fit_threshold(kind, [np.arange(3000.0) % 7], 0.05, memory=200)
    running = threshold.running()
    before = running.state()
    with pytest.raises(InputError, match=f"Expected a finite score, got {bad}"):
        running.update(bad)
    for name, values in running.state().items():
        np.testing.assert_array_equal(values, before[name])
    with pytest.raises(InputError, match=f"Expected finite numbers in scores, got {bad} at step 2"):
        threshold.over([1, 2, bad, 3])


@pytest.mark.parametrize(
    ("state", "message"),
    [
        ({}, r"Expected 1 to 5 scores in the state `recent`, got shape \(0,\)."),
        ({"recent": np.ones(6)}, r"Expected 1 to 5 scores in the state `recent`, got shape \(6,\)"),
        ({"recent": np.ones((2, 2))}, r"Expected 1 to 5 scores in the state `recent`, got shape"),
        ({"recent": [1.0]}, "Expected a number of at least 0 in the state `share`, got nan."),
        ({"recent": [1.0], "share": -1}, "Expected a number of at least 0 in the state `share`"),
        (
            {"recent": [1, np.nan]},
            "The state `recent` contains NaN or infinity; expected finite scores.",
        ),
    ],
)
def test_an_invalid_state_is_refused(state, message):
    running = RunningQuantile(0.5, 5, [1.0, 2.0])
    with pytest.raises(InputError, match=message):
        running.restore(state)
    np.testing.assert_array_equal(running.state()["recent"], [1, 2])


def test_a_fixed_threshold_has_no_state():
    running = fit_threshold("quantile", [np.arange(3000.0) % 7], 0.05).running()
    assert running.state() == {}
    running.restore({})
    with pytest.raises(
        InputError,
        match=r"A fixed threshold has no state, but the state has the entries \['recent'",
    ):
        running.restore({"recent": [1.0]})
