"""Roles that are found by the values of columns: ids, labels, counters, clocks and texts."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.io.test_roles import NOTHING, error_of, roles_of, table
from unspool import read_file
from unspool.errors import InputError
from unspool.io.roles import find_roles

N = 40
X = np.sin(np.arange(N)).tolist()
DAYS = [str(day) for day in np.datetime64("2024-01-01") + np.arange(N)]
HALVES = DAYS[: N // 2] * 2  # two series of the same days, one after the other
BLOCKS = [1] * (N // 2) + [2] * (N // 2)


def notes_of(frame, columns=None, **named):
    return find_roles(frame, NOTHING | named, columns).notes


def written(tmp_path, **columns):
    path = tmp_path / "a.parquet"
    pq.write_table(table(**columns), path)
    return path


@pytest.mark.parametrize("station", [BLOCKS, ["x"] * 20 + ["y"] * 20])
def test_the_only_column_that_orders_repeated_times_is_the_id(station):
    frame = table(place=station, when=HALVES, v=X)
    assert roles_of(frame) == ("when", "place", None, ["v"])
    assert notes_of(frame)[1] == (
        "column 'place' taken as id, set aside: time rises within each of its 2 values; change "
        "with `id` or `columns`"
    )
    turns = np.argsort(np.tile(np.arange(20), 2), kind="stable")
    by_turns = {name: column.take(turns) for name, column in zip("pwv", frame, strict=True)}
    assert roles_of(pa.table(by_turns)) == ("w", "p", None, ["v"])
    assert roles_of(pa.table({name: one[::-1] for name, one in by_turns.items()})) == (
        *("w", "p", None),
        ["v"],
    )


@pytest.mark.parametrize("name", ["anomaly", "changepoint"])
def test_a_label_within_whose_values_time_rises_is_no_id(name):
    roles = find_roles(table(when=HALVES, v=X, **{name: BLOCKS}), NOTHING, None)
    assert roles.id is None
    assert name not in roles.features


def test_columns_of_the_same_groups_are_one_candidate_and_other_columns_are_named(tmp_path):
    frame = table(place=BLOCKS, city=[f"c{i}" for i in BLOCKS], when=HALVES, v=X)
    assert roles_of(frame) == ("when", "place", None, ["v"])
    other = [*BLOCKS[:-1], 3]  # splits the second series
    other[-2] = 3
    path = written(tmp_path, place=BLOCKS, group=other, when=HALVES, v=X)
    with pytest.raises(InputError, match="give `id='place'` or `id='group'`, or leave"):
        read_file(path, window=4)
    turns = np.argsort(np.tile(np.arange(20), 2), kind="stable")
    frame = pq.read_table(path).take(turns)
    pq.write_table(frame, path)
    assert any(
        "give `id='place'` or `id='group'`" in note for note in read_file(path, window=4).notes
    )


def test_short_series_one_below_the_other_are_not_taken_for_reversed_rows():
    when = DAYS[:4] * 2
    frame = table(pump=[1, 1, 1, 1, 2, 2, 2, 2], when=when, v=X[:8])
    assert roles_of(frame) == ("when", "pump", None, ["v"])


def test_few_repeated_times_are_no_second_series():
    when = [*DAYS[:20], *DAYS[19:-1]]  # one day is there twice
    flag = [0] * 20 + [1] * 20
    assert roles_of(table(flag=flag, when=when, v=X))[1] is None
    hours = np.datetime64("2024-10-27T00") + np.r_[0:4, 3:7] * np.timedelta64(1, "h")
    hours = hours.astype("datetime64[s]")
    summer = [1, 1, 1, 1, 0, 0, 0, 0]
    assert roles_of(table(summer=summer, when=hours, v=X[:8])) == (
        *("when", None, None),
        ["summer", "v"],
    )


def test_numbers_called_time_that_fall_are_a_feature_and_the_note_says_so():
    frame = table(CO=X, T=[20 + x for x in X])
    assert roles_of(frame) == (None, None, None, ["CO", "T"])
    assert notes_of(frame)[0].startswith(
        "column 'T' taken as feature: its values fall, first in data row "
    )
    assert "`time='T'` or `drop=['T']`" in notes_of(frame)[0]


def test_numbers_called_time_may_start_anew_with_each_series():
    frame = table(t=[*range(20)] * 2, place=BLOCKS, v=X)
    assert roles_of(frame) == ("t", "place", None, ["v"])
    assert roles_of(frame, id="place") == ("t", "place", None, ["v"])


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("target", [0, 1]),
        ("is_outlier", [0.0, 1.0]),
        ("attack", [False, True]),
        ("activity", ["walk", "run"]),
        ("ActivityID", [3, 17]),
        ("status", ["ok", "bad"]),
        ("machine_status", ["NORMAL", "BROKEN"]),
        ("Normal/Attack", ["Normal", "Attack"]),
        ("y", [0, 1]),
    ],
)
def test_names_and_few_values_together_make_a_label(name, values):
    frame = table(**{"a": X, name: values * 20, "b": X})
    assert roles_of(frame) == (None, None, name, ["a", "b"])


@pytest.mark.parametrize(
    ("name", "values"),
    [("status", [0, 1] * 20), ("state", [1.5, 2] * 20), ("y", X), ("target", list(range(5, 45)))],
)
def test_measured_numbers_are_features_whatever_their_name(name, values):
    assert roles_of(table(**{"a": X, name: values, "b": X})) == (None, None, None, ["a", name, "b"])


def test_other_labels_are_set_aside_with_the_first():
    flags = [0.0, 1.0] * 20
    frame = table(a=X, anomaly=flags, changepoint=flags)
    assert roles_of(frame) == (None, None, "anomaly", ["a"])
    assert roles_of(frame, label="changepoint") == (None, None, "changepoint", ["a"])
    assert notes_of(frame)[1] == (
        "column 'changepoint' left out: marks changes, as labels do; change with `label` or "
        "`columns`"
    )


def test_a_last_column_of_two_numbers_is_a_feature_with_a_warning():
    for flags in ([0, 1] * 20, [True, False] * 20):
        frame = table(a=X, c=flags)
        assert roles_of(frame) == (None, None, None, ["a", "c"])
        assert notes_of(frame)[0] == (
            "column 'c' taken as feature: has only two values; change with `label='c'` if it is a "
            "label"
        )
    assert len(notes_of(table(c=[0, 1] * 20, a=X))) == 1
    assert len(notes_of(table(a=X, c=[0, 1] * 20, label=[0, 1] * 20))) == 2


def test_a_last_column_of_label_words_is_the_label_and_other_words_are_left_out():
    assert roles_of(table(a=X, z=["normal", "fault"] * 20)) == (None, None, "z", ["a"])
    assert roles_of(table(a=X, z=["left", "right"] * 20)) == (None, None, None, ["a"])


def runs(*lengths, first=1):
    return [first + step for length in lengths for step in range(length)]


def test_a_count_that_starts_again_is_the_time_and_what_changes_with_it_the_id():
    unit = [1] * 5 + [2] * 9 + [3] * 26
    frame = table(**{"0": unit, "1": runs(5, 9, 26), "2": X})
    assert roles_of(frame) == ("1", "0", None, ["2"])
    named = table(unit_nr=unit, cycles=runs(5, 9, 26, first=0), heat=X)
    assert roles_of(named) == ("cycles", "unit_nr", None, ["heat"])


def test_a_count_that_starts_again_is_a_feature_without_an_id_that_changes_with_it():
    days = table(hour=runs(24, 16), level=[1] * 20 + [2] * 20, v=X)
    assert roles_of(days) == (None, None, None, ["hour", "level", "v"])
    twice = table(block=[1] * 10 + [2] * 10 + [1] * 20, cycle_=runs(10, 10, 20), v=X)
    assert roles_of(twice) == (None, None, None, ["block", "cycle_", "v"])
    flags = table(a=[0, 1] * 20, b=[0] * 20 + [1] * 20, v=X)
    assert roles_of(flags) == (None, None, None, ["a", "b", "v"])


@pytest.mark.parametrize("start", [0, 1])
def test_a_counter_is_a_row_number(start):
    count = list(range(start, start + N))
    assert roles_of(table(No=count, a=X)) == (None, None, None, ["a"])
    assert roles_of(table(a=X, instant=count)) == (None, None, None, ["a"])
    assert "counts the rows" in notes_of(table(No=count, a=X))[0]
    assert roles_of(table(No=[25 + one for one in count], a=X))[3] == ["a"]
    assert roles_of(table(a=X, No=[25 + one for one in count]))[3] == ["a", "No"]
    assert roles_of(table(No=[2 * one for one in count], a=X))[3] == ["No", "a"]
    assert roles_of(table(a=count)) == (None, None, None, ["a"])  # there is no other feature


def test_times_of_a_day_and_further_dates_are_left_out():
    clock = ["10:15"] * N
    frame = table(date=DAYS, clock=clock, opened=DAYS, v=X)
    assert roles_of(frame) == ("date", None, None, ["v"])
    assert roles_of(frame, time="opened") == ("opened", None, None, ["v"])
    times = pa.array([60 * i for i in range(N)], pa.int32()).cast(pa.time32("s"))
    assert roles_of(frame.append_column("of_day", times)) == ("date", None, None, ["v"])


def test_texts_are_left_out_with_an_example_unless_most_are_numbers(tmp_path):
    frame = table(country=["Denmark"] * N, v=X)
    assert roles_of(frame) == (None, None, None, ["v"])
    assert notes_of(frame)[0] == (
        "column 'country' left out: contains text such as 'Denmark'; change with `id` or `label`"
    )
    with pytest.raises(InputError, match="mixes numbers and text, 'x' in data row 40"):
        read_file(written(tmp_path, v=X, w=[*map(str, range(N - 1)), "x"]), window=4)
    assert "contains text such as 'Denmark'" in error_of(frame.select(["country"]))


def test_empty_columns_are_left_out_and_categories_are_read(tmp_path):
    frame = table(device=[None] * N, time=list(range(N)), v=X)
    assert roles_of(frame) == ("time", None, None, ["v"])
    path = tmp_path / "a.parquet"
    ids = pa.array([f"u{i}" for i in BLOCKS]).dictionary_encode()
    pq.write_table(pa.table({"unit": ids, "v": X, "kind": ids}), path)
    loaded = read_file(path)
    assert loaded.series_ids == ["u1", "u2"]
    assert loaded.source.feature_names == ("v",)


def test_drop_leaves_columns_out_and_refuses_unknown_names():
    frame = table(time=list(range(N)), zone=["a"] * N, v=X, w=X)
    assert roles_of(frame, drop=["zone", "w"]) == ("time", None, None, ["v"])
    assert roles_of(frame, drop=["time", "zone"]) == (None, None, None, ["v", "w"])
    with pytest.raises(InputError, match=r"`drop`: unknown column 'zon': did you mean 'zone'\?"):
        roles_of(frame, drop=["zon"])
    with pytest.raises(InputError, match="'zone' is given as `id` and as `drop`; leave one out"):
        roles_of(frame, id="zone", drop=["zone"])


def test_every_name_is_listed_and_roles_say_why(tmp_path):
    features = {f"x{i}": X for i in range(60)}
    loaded = read_file(written(tmp_path, time=list(range(N)), **features), window=4)
    assert loaded.notes[-1] == f"60 columns as features: {', '.join(features)}"
    time, rest = loaded.roles
    assert (time.columns, time.role, time.change) == (("time",), "time", "`time` or `columns`")
    assert time.reason == "has a usual name, and never decreases"
    assert (rest.columns, rest.role) == (tuple(features), "feature")


def two_columns_of_times(tmp_path):
    rows = [f"{1 + i // 24:02}/03/2021;{i % 24:02}.00.00;{i % 5}.5" for i in range(48)]
    path = tmp_path / "two.csv"
    path.write_text("\n".join(["Date;Time;v", *rows]))
    return path


def test_a_joined_time_is_said_to_be_found_and_not_named_by_the_user(tmp_path):
    data = read_file(two_columns_of_times(tmp_path), window=8)
    (time,) = [role for role in data.roles if role.role == "time"]
    assert (time.columns, time.reason) == (("Date Time",), "a time in several columns")


def test_a_joined_time_is_dropped_by_its_name(tmp_path):
    data = read_file(two_columns_of_times(tmp_path), window=8, drop=["Date Time"])
    assert "time" not in {role.role for role in data.roles}
    assert {"Date", "Time"} == {
        name for role in data.roles if role.role == "left out" for name in role.columns
    }


def test_a_label_that_is_a_cell_of_the_first_row_names_the_number_of_its_column(tmp_path):
    path = tmp_path / "bare.csv"
    path.write_text("\n".join(f"{20 + i % 5}.5,{i},normal" for i in range(24)))
    with pytest.raises(InputError) as caught:
        read_file(path, window=8, label="normal")
    assert str(caught.value).endswith(
        "`label`: 'normal' is a value in the first row of column '2', as the file has no header; "
        "give `label='2'`, or `header=1` if the first row has the names."
    )


def test_ids_of_eight_digits_that_are_no_dates_stay_features(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("part,heat\n20231301,1.5\n20231307,1.6\n20231315,1.7\n20231399,1.9\n")
    data = read_file(path, window=2)
    assert list(data.source.feature_names) == ["part", "heat"]


def test_seconds_since_1970_are_not_taken_for_hours(tmp_path):
    path = tmp_path / "a.csv"
    rows = "".join(f"{2023010100 + 37 * i},{i / 7:.3f}\n" for i in range(6))
    path.write_text(f"timestamp,heat\n{rows}")
    data = read_file(path, window=2)
    assert str(data.steps["time"][0][0]) == "2034-02-08T11:15:00"
