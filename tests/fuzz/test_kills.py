"""Processes that train are killed at random moments, and their fits go on to the same bits."""

import sys

import numpy as np
import pytest

from tests.killing import KINDS, fit_with_kills, uninterrupted

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="processes are forked"),
    # Python warns of forks in processes with threads; a child here trains and is killed.
    pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning"),
]


def check(kind, folder, kills, seed, *, full=False):
    model, seconds = uninterrupted(kind, folder)
    rng = np.random.default_rng(seed)
    made = list(fit_with_kills(kind, folder, kills, rng, seconds, full=full))
    assert made
    assert [one == model for one in made] == [True] * len(made)


def test_a_process_that_is_killed_three_times_ends_in_the_same_model(tmp_path):
    check("composite", tmp_path, 3, 0)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_a_process_that_is_killed_50_times_ends_in_the_same_model(kind, tmp_path):
    check(kind, tmp_path, 50, 1)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_with_a_disk_that_is_full_now_and_then_the_model_is_the_same(kind, tmp_path):
    check(kind, tmp_path, 50, 2, full=True)
