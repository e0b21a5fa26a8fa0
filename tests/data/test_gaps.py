"""Gaps in regular times, and the step at which windows begin anew."""

import numpy as np
import pytest

from unspool.data.gaps import gaps_in
from unspool.io.files import read_file

HOUR = np.timedelta64(1, "h")
START = np.datetime64("2021-03-01T00:00:00")


def hourly(before, gap, after):
    steps = np.r_[np.arange(before), before - 1 + gap + np.arange(after)]
    return START + steps * HOUR


def test_windows_begin_anew_at_the_first_step_after_a_gap(tmp_path):
    times = hourly(8, 10, 16)
    (first,) = gaps_in([times]).breaks
    assert first.tolist() == [8]
    rows = [f"{time},{i}.5" for i, time in enumerate(times)]
    path = tmp_path / "a.csv"
    path.write_text("\n".join(["time,a", *rows]))
    loaded = read_file(path, window=4)
    inside = {*times[:5].tolist(), *times[8:21].tolist()}
    assert {*loaded.index["start"].astype("datetime64[s]").tolist()} == inside
    assert "1 gap in time longer than 2h30min of 10h after 2021-03-01T07" in " ".join(loaded.notes)


def test_nights_without_values_are_no_gaps_but_a_longer_outage_is():
    days = [START + (24 * day + np.arange(16)) * HOUR for day in range(12)]
    assert gaps_in([np.concatenate(days)]) is None
    with_outage = np.concatenate([*days[:5], *days[8:]])
    (first,) = gaps_in([with_outage]).breaks
    assert first.tolist() == [80]


@pytest.mark.parametrize("times", [np.arange(20), hourly(1, 1, 1)[:1]])
def test_numbers_and_single_times_have_no_gaps(times):
    assert gaps_in([times]) is None
