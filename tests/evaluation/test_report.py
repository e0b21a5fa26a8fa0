"""`evaluate` against counts made step by step."""

import dataclasses
import math
import subprocess
import sys

import numpy as np
import pytest

from unspool import evaluation
from unspool.errors import InputError
from unspool.evaluation import auc_pr, auc_roc, evaluate, vus_pr


def by_loops(labels, alarms, gap, steps_per_day):
    """Compute every number that needs alarms, step by step."""
    found, delays, clusters, false, normal, flagged = 0, [], 0, 0, 0, 0
    n_events = 0
    for events, flags in zip(labels, alarms, strict=True):
        steps = len(events)
        groups = []
        for t in range(steps):
            if flags[t]:
                if groups and t - groups[-1][-1] in range(1, max(gap, 2)):
                    groups[-1].append(t)
                else:
                    groups.append([t])
        clusters += len(groups)
        false += sum(not any(events[t] for t in group) for group in groups)
        normal += sum(not label for label in events)
        flagged += sum(bool(flags[t] and not events[t]) for t in range(steps))
        for start in range(steps):
            if not events[start] or (start > 0 and events[start - 1]):
                continue
            n_events += 1
            t = start
            while t < steps and events[t] and not flags[t]:
                t += 1
            if t < steps and events[t]:
                found += 1
                [group] = [group for group in groups if t in group]
                delays.append(0 if group[0] < start else t - start)
    nan = math.nan
    recall = found / n_events if n_events else nan
    precision = 1 - false / clusters if clusters else nan
    return {
        "n_events": n_events,
        "n_found": found,
        "recall": recall,
        "n_alarms": clusters,
        "n_false": false,
        "precision": precision,
        "f1": 2 / (1 / recall + 1 / precision) if found else (0.0 if n_events else nan),
        "flagged_normal": flagged / normal if normal else nan,
        "false_alarms_per_day": false / (normal / steps_per_day) if normal else nan,
        "delay_mean": sum(delays) / len(delays) if delays else nan,
        "delay_median": float(np.median(delays)) if delays else nan,
    }


def random_flags(rng, steps, n, longest):
    flags = np.zeros(steps, bool)
    for start in rng.integers(0, max(steps, 1), n):
        flags[start : start + rng.integers(1, longest + 1)] = True
    return flags


@pytest.mark.parametrize("gap", [1, 2, 3, 8, 16, 1000])
def test_counts_equal_those_of_loops_over_steps(gap):
    for seed in range(60):
        rng = np.random.default_rng(seed)
        steps = [0, 1, 2, 30, 120][seed % 5 :]
        labels = [random_flags(rng, n, rng.integers(0, 5), 12) for n in steps]
        alarms = [random_flags(rng, n, rng.integers(0, 9), 4) for n in steps]
        found = evaluate(labels, alarms=alarms, steps_per_day=7, gap=gap)
        for name, expected in by_loops(labels, alarms, gap, 7).items():
            assert getattr(found, name) == pytest.approx(expected, abs=1e-12, nan_ok=True), name


def test_alarms_less_than_gap_steps_apart_are_one():
    labels, alarms = np.zeros(50), np.zeros(50)
    alarms[[10, 25]] = 1
    assert evaluate(labels, alarms=alarms).n_alarms == 1
    assert evaluate(labels, alarms=alarms, gap=15).n_alarms == 2
    alarms[[25, 26]] = [0, 1]
    assert evaluate(labels, alarms=alarms).n_alarms == 2


def test_joining_alarms_around_an_event_does_not_find_it():
    labels, alarms = np.zeros(30), np.zeros(30)
    labels[12:15] = 1
    alarms[[10, 16]] = 1
    found = evaluate(labels, alarms=alarms)
    assert (found.n_alarms, found.n_found, found.n_false) == (1, 0, 1)


def test_the_delay_runs_from_the_start_of_an_event_to_its_first_alarm():
    labels, alarms = np.zeros(200), np.zeros(200)
    labels[100:120] = 1
    alarms[[107, 110]] = 1
    assert evaluate(labels, alarms=alarms).delay_mean == 7
    alarms[95] = 1  # the cluster began before the event
    assert evaluate(labels, alarms=alarms).delay_mean == 0
    alarms[[95, 60]] = [0, 1]  # another cluster
    assert evaluate(labels, alarms=alarms).delay_mean == 7


def test_one_alarm_in_a_long_event_does_not_flag_the_rest_of_it():
    """With point adjustment, one alarm would flag the whole event."""
    labels = np.repeat([0, 1], [100, 900])
    alarms = np.zeros(1000)
    alarms[[50, 500]] = 1
    found = evaluate(labels, alarms, alarms)
    assert (found.n_found, found.n_false, found.flagged_normal) == (1, 1, 0.01)
    assert found.auc_pr == pytest.approx(0.5 / 900 + 0.9 * 899 / 900)


def test_an_alarm_that_never_ends_increases_the_share_of_normal_steps():
    labels = np.repeat([0, 1, 0], [50, 10, 40])
    found = evaluate(labels, alarms=np.ones(100), steps_per_day=30)
    assert (found.f1, found.flagged_normal, found.n_false) == (1, 1, 0)


def test_false_alarms_are_counted_per_day_of_normal_steps():
    labels = np.repeat([0, 1], [60, 940])
    alarms = np.zeros(1000)
    alarms[[5, 45]] = 1
    assert evaluate(labels, alarms=alarms, steps_per_day=30).false_alarms_per_day == 1


def test_numbers_without_their_input_are_none():
    labels, scores = np.repeat([0, 1, 0], 9), np.arange(27) % 5
    ranked, alarmed = evaluate(labels, scores), evaluate(labels, alarms=scores > 3)
    names = [field.name for field in dataclasses.fields(ranked)]
    from_scores = {"auc_pr", "auc_roc", "vus_pr", "n_events"}
    assert {name for name in names if getattr(ranked, name) is not None} == from_scores
    none = {name for name in names if getattr(alarmed, name) is None}
    assert none == {"auc_pr", "auc_roc", "vus_pr", "false_alarms_per_day"}
    assert ranked.n_events == alarmed.n_events == 1


def test_the_areas_equal_the_results_of_the_functions():
    rng = np.random.default_rng(0)
    labels = [random_flags(rng, 80, 3, 9) for _ in range(3)]
    scores = [rng.normal(size=80) for _ in range(3)]
    found = evaluate(labels, scores, [one > 2 for one in scores], buffer=10)
    assert found.auc_pr == auc_pr(labels, scores)
    assert found.auc_roc == auc_roc(labels, scores)
    assert found.vus_pr == vus_pr(labels, scores, 10) != vus_pr(labels, scores)
    assert evaluate(labels, scores).vus_pr == vus_pr(labels, scores)


@pytest.mark.parametrize("label", [0, 1])
@pytest.mark.parametrize("alarm", [0, 1])
def test_undefined_numbers_are_nan(label, alarm):
    """All steps are normal or one event, and all or none are alarms."""
    steps = np.ones(10)
    found = evaluate(label * steps, steps, alarm * steps, steps_per_day=5).as_dict()
    undefined = {name for name, value in found.items() if value != value}
    expected = {"auc_roc"}
    if not label:
        expected |= {"auc_pr", "vus_pr", "recall", "f1"}
    if label:
        expected |= {"flagged_normal", "false_alarms_per_day"}
    if not alarm:
        expected |= {"precision"}
    if not (label and alarm):
        expected |= {"delay_mean", "delay_median"}
    assert undefined == expected
    if label and not alarm:
        assert found["f1"] == found["recall"] == 0


def test_the_table_shows_what_was_computed():
    labels, alarms = np.repeat([0, 1, 0], [1500, 100, 400]), np.zeros(2000)
    alarms[[20, 1575]] = 1
    assert str(evaluate(labels, alarms=alarms, steps_per_day=950)).split("\n") == [
        "events found          1 of 1",
        "recall of events      1.000",
        "false alarms          1 of 2",
        "precision of alarms   0.500",
        "F1                    0.667",
        "normal steps flagged  0.05%",
        "false alarms per day  0.5",
        "mean delay            75.0 steps",
        "median delay          75.0 steps",
    ]
    assert str(evaluate(np.zeros(4), np.arange(4))).split("\n") == [
        "AUC-PR                undefined",
        "AUC-ROC               undefined",
        "VUS-PR                undefined",
        "events                0",
    ]


def test_as_dict_has_every_number_in_plain_python():
    found = evaluate([0, 1, 1, 0], [1, 2, 3, 0], np.array([0, 1, 0, 0]), steps_per_day=2)
    plain = found.as_dict()
    assert list(plain) == [field.name for field in dataclasses.fields(found)]
    assert {type(value) for value in plain.values()} == {int, float}
    assert plain["auc_pr"] == found.auc_pr


def test_a_report_is_immutable():
    with pytest.raises(dataclasses.FrozenInstanceError):
        evaluate([0, 1], [0, 1]).auc_pr = 1.0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "Expected `scores`, `alarms` or both"),
        ({"alarms": [0, 3]}, "`alarms` must be 0 or 1.* got 3 at step 1"),
        ({"alarms": [1, -1]}, r"for a detector use `predict\(X\) == -1`"),
        ({"alarms": [0]}, "`labels` and `alarms` must have the same number of steps, got 2 and 1"),
        ({"scores": [0, np.nan]}, "`scores` must be a number at every step, got NaN at step 1"),
        ({"scores": [0]}, "`labels` and `scores` must have the same number of steps, got 2 and 1"),
        ({"scores": [0, 1], "gap": 0}, "`gap` must be a whole number of at least 1, got 0"),
        ({"scores": [0, 1], "steps_per_day": 0}, "`steps_per_day` must be a number above 0"),
        ({"alarms": [0, 1], "buffer": -1}, "`buffer` must be a whole number of at least 0"),
    ],
)
def test_unusable_arguments_are_refused(arguments, message):
    with pytest.raises(InputError, match=message):
        evaluate([0, 1], **arguments)


def test_evaluation_needs_numpy_alone():
    script = (
        "import sys, numpy as np\n"
        "from unspool import evaluation\n"
        "labels = np.array([0, 1, 1, 0])\n"
        "str(evaluation.evaluate([labels], [labels * 2.0], [labels == 1]))\n"
        "evaluation.labels_from_windows(['2024-01-01'], [])\n"
        "heavy = ('torch', 'numba', 'sklearn', 'scipy', 'pandas', 'pyarrow', 'matplotlib')\n"
        "print([name for name in heavy if name in sys.modules])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_dir_is_exactly_the_public_names():
    names = ["Evaluation", "auc_pr", "auc_roc", "evaluate", "events_of", "labels_from_windows"]
    assert dir(evaluation) == [*names, "vus_pr"]
    assert evaluation.__all__ == dir(evaluation)
