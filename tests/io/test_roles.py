import numpy as np
import pyarrow as pa
import pytest

from unspool.errors import InputError
from unspool.io.files import read_file
from unspool.io.roles import find_roles
from unspool.io.time_columns import as_times

TIMES = [
    "time",
    "timestamp",
    "date",
    "datetime",
    "ds",
    "t",
    "step",
    "cycle",
    "index",
    "Time",
    "DATE",
]
IDS = [
    "id",
    "unit",
    "engine",
    "series",
    "series_id",
    "item_id",
    "sequence",
    "sequence_id",
    "machine_id",
    "unique_id",
    "Unit",
]
LABELS = ["label", "labels", "class", "anomaly", "is_anomaly", "target_class", "Label"]
NOTHING = {"time": None, "id": None, "label": None}


def table(**columns):
    return pa.table({name: pa.array(values) for name, values in columns.items()})


def roles_of(frame, columns=None, rows=False, drop=(), **named):
    roles = find_roles(frame, NOTHING | named, columns, rows=rows, drop=drop)
    return roles.time, roles.id, roles.label, roles.features


def error_of(frame, columns=None, **named):
    with pytest.raises(InputError) as caught:
        find_roles(frame, NOTHING | named, columns)
    return str(caught.value)


@pytest.mark.parametrize("name", TIMES)
def test_a_numeric_column_is_time_by_its_usual_name(name):
    assert roles_of(table(**{"a": [1.0, 2.0], name: [0, 1]})) == (name, None, None, ["a"])


@pytest.mark.parametrize("name", IDS)
def test_an_id_is_known_by_its_usual_name(name):
    assert roles_of(table(**{"a": [1.0, 2.0], name: ["x", "x"]})) == (None, name, None, ["a"])


@pytest.mark.parametrize("name", LABELS)
def test_a_label_is_known_by_its_usual_name(name):
    assert roles_of(table(**{"a": [1.0, 2.0], name: [0, 1]})) == (None, None, name, ["a"])


@pytest.mark.parametrize("name", ["y", "target", "times", "unit_price", "identity", "timestep2"])
def test_other_names_are_features(name):
    assert roles_of(table(**{"a": [1.0, 2.0], name: [0, 0]})) == (None, None, None, ["a", name])


@pytest.mark.parametrize(
    ("texts", "first"),
    [
        (["2024-01-31 10:00:00", "2024-02-01 10:00:00"], "2024-01-31T10:00:00"),
        (["2024-01-31T10:00Z", "2024-02-01T10:00Z"], "2024-01-31T10:00:00"),
        (["2024-01-31T10:00+01:00", "2024-02-01T10:00+01:00"], "2024-01-31T09:00:00"),
        (["2024-01-31", "2024-02-01"], "2024-01-31T00:00:00"),
        ([" 2024-01-31", " 2024-02-01"], "2024-01-31T00:00:00"),
        (["2024/01/31 10:00", "2024/02/01 10:00"], "2024-01-31T10:00:00"),
        (["31.01.2024", "01.02.2024"], "2024-01-31T00:00:00"),
        (["01/31/2024 10:00:05", "02/01/2024 10:00:05"], "2024-01-31T10:00:05"),
        (["01/02/2024", "31/01/2024"], "2024-02-01T00:00:00"),
        (["01/02/2024", "02/03/2024"], "2024-02-01T00:00:00"),
    ],
)
def test_text_that_reads_as_dates_is_time_by_any_name(texts, first):
    frame = table(a=[1.0, 2.0], when=texts)
    assert roles_of(frame) == ("when", None, None, ["a"])
    assert as_times(frame["when"])[0] == np.datetime64(first)


@pytest.mark.parametrize(
    "values",
    [
        ["2024-01-31", "soon"],
        ["31.01.2024", "soon"],
        ["31/31/2024", "01/01/2024"],
        ["5", "6"],
        ["x", "y"],
        [1, 2],
    ],
)
def test_what_does_not_read_as_dates_is_no_time(values):
    assert as_times(table(when=values)["when"]) is None


def test_text_is_no_time_for_its_name_and_dates_are_no_label_for_theirs():
    assert roles_of(table(a=[1.0, 2.0], t=["x", "y"])) == (None, None, None, ["a"])
    days = ["2024-01-01", "2024-01-02"]
    assert roles_of(table(a=[1.0, 2.0], label=days)) == ("label", None, None, ["a"])


def test_dates_of_every_arrow_kind_are_time():
    days = np.array(["2024-01-31", "2024-02-01"], "datetime64[D]")
    for kind in (pa.date32(), pa.timestamp("ns"), pa.timestamp("ms", "Europe/Paris")):
        assert as_times(pa.chunked_array([pa.array(days).cast(kind)]))[0] == days[0]
    texts = pa.chunked_array([pa.array(days.astype(str)).dictionary_encode()])
    assert as_times(texts)[0] == days[0]


def test_only_one_column_is_the_time_and_dates_precede_usual_names():
    frame = table(t=[0, 1], when=["2024-01-01", "2024-01-02"], step=[0, 1], a=[1.0, 2.0])
    assert roles_of(frame) == ("when", None, None, ["t", "step", "a"])
    assert roles_of(frame.drop(["when"])) == ("t", None, None, ["step", "a"])
    frame = table(a=[1.0, 2.0], start=["2024-01-01"] * 2, end=["2024-01-02"] * 2)
    assert roles_of(frame) == ("start", None, None, ["a"])


def test_an_id_that_differs_in_every_row_is_a_row_number_unless_rows_are_sequences():
    frame = table(id=[1, 2, 3], a=[1.0, 2.0, 3.0])
    assert roles_of(frame) == (None, None, None, ["a"])
    assert roles_of(frame, rows=True) == (None, "id", None, ["a"])
    assert roles_of(frame, id="id") == (None, "id", None, ["a"])
    assert roles_of(frame.slice(0, 1)) == (None, "id", None, ["a"])


@pytest.mark.parametrize("name", ["", "Unnamed: 0", "__index_level_0__"])
def test_the_index_of_a_frame_is_a_row_number_or_the_time(name):
    assert roles_of(table(**{name: [0, 1], "a": [1.0, 2.0]})) == (None, None, None, ["a"])
    days = ["2024-01-01", "2024-01-02"]
    dated = table(**{name: days, "a": [1.0, 2.0]})
    assert roles_of(dated) == (name, None, None, ["a"])
    assert len(find_roles(dated, NOTHING, None).notes) == 2  # it is told once, as the time
    assert roles_of(table(**{name: [0, 1], "a": [1.0, 2.0]}), time=name)[0] == name


def test_names_of_the_user_precede_guesses():
    frame = table(time=[0, 1], id=[1, 1], label=[0, 1], a=[1.0, 2.0], b=[3, 4], c=[5, 5])
    assert roles_of(frame) == ("time", "id", "label", ["a", "b", "c"])
    named = {"time": "b", "id": "c", "label": "id"}
    assert roles_of(frame, **named) == ("b", "c", "id", ["time", "a"])
    assert roles_of(frame, columns=["time", "label"]) == (None, "id", None, ["time", "label"])
    assert roles_of(frame, columns=["b", "a"]) == ("time", "id", "label", ["b", "a"])


def test_every_guess_is_in_the_notes():
    frame = table(**{"": [0, 1]}, time=[0, 1], id=[1, 1], label=[0, 1], a=[1.0, 2.0], b=[3, 4])
    assert find_roles(frame, NOTHING, None).notes == (
        "column 'time' taken as time, set aside",
        "column 'id' taken as id, set aside",
        "column 'label' taken as label, set aside",
        "the column without a name taken as row number, set aside",
        "2 columns as features: a, b",
    )
    assert find_roles(frame, NOTHING, ["b"]).notes[-2:] == (
        "columns that are not in `columns` are left out: a",
        "1 column as feature: b",
    )
    assert find_roles(frame, NOTHING, None, rows=True).notes[-1] == "2 columns as steps: a, b"


def test_unknown_names_are_refused_with_the_nearest_known_name():
    frame = table(date=[1, 2], OT=[1, 2])
    assert error_of(frame, columns=["ot", "OT"], time="dat", id="unit") == (
        "`time`: unknown column 'dat': did you mean 'date'? Known are 'OT', 'date'.\n"
        "`id`: unknown column 'unit': known are 'OT', 'date'.\n"
        "`columns`: unknown column 'ot': known are 'OT', 'date'."
    )


def test_contradictory_names_are_refused():
    frame = table(a=[1, 2], time=[0, 1])
    assert error_of(frame, columns=["a"], label="a") == (
        "column 'a' is given as `label` and as `columns`; leave one out."
    )
    assert error_of(frame, columns=["a", "a"]) == (
        "column 'a' is given as `columns` and as `columns`; leave one out."
    )
    assert error_of(frame, columns=[]) == (
        "`columns` is empty; name at least one feature, or leave `columns` out."
    )
    assert error_of(frame.drop(["a"])) == (
        "no column is left as a feature: column 'time' taken as time, set aside. "
        "Name the features with `columns`."
    )
    twice = pa.Table.from_arrays([pa.array([1]), pa.array([2])], names=["a", "a"])
    assert error_of(twice) == (
        "column name 'a' appears twice; rename all but one of the columns, leave them out with "
        "`drop`, or name other features with `columns`."
    )


def test_a_name_that_is_there_twice_does_no_harm_where_it_is_left_out():
    names = ["a", "b", "time", "a", "b", "a"]
    table = pa.Table.from_arrays([pa.array([i]) for i in range(6)], names=names)
    named = {"time": None, "id": None, "label": None}
    with pytest.raises(InputError, match=r"^column names 'a', 'b' appear more than once; rename"):
        find_roles(table, named, None)
    for columns, role in ([["time", "b"], None], [["time"], "a"]):
        with pytest.raises(InputError, match=r"^column name '[ab]' appears (twice|3 times); ren"):
            find_roles(table, {**named, "id": role}, columns)
    roles = find_roles(table, named, ["time"])
    assert roles.features == ["time"]
    assert roles.notes[0] == "columns that are not in `columns` are left out: a, b"


def test_a_time_found_in_several_columns_is_not_named_by_the_user(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("Date,Time,v\n" + "".join(f"2024-01-01,0{i}:00:00,{i % 3}\n" for i in range(6)))
    reasons = [one.reason for one in read_file(path, window=2).roles if one.role == "time"]
    assert reasons == ["a time in several columns"]
    given = read_file(path, window=2, time="Date,Time")
    assert next(one.reason for one in given.roles if one.role == "time") == "named by the user"


def test_times_since_1970_in_the_first_column_of_a_file_without_a_header_are_the_time(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("".join(f"{1352500095 + 7 * i},{i % 4}.5\n" for i in range(6)))
    data = read_file(path, window=2)
    assert data.source.feature_names == ("1",)
    assert str(data.steps["time"][0][0]) == "2012-11-09T22:28:15"
    path.write_text("".join(f"{1352500095 - 7 * i % 5},{i % 4}.5\n" for i in range(6)))
    assert read_file(path, window=2).source.feature_names == ("0", "1")


def test_times_since_1970_beside_dates_are_no_feature(tmp_path):
    path = tmp_path / "a.csv"
    rows = "".join(f"{1646106180 + 60 * i},2022-03-01 03:4{i}:00,{i % 3}.5\n" for i in range(6))
    path.write_text("unix,date,open\n" + rows)
    assert read_file(path, window=2).source.feature_names == ("open",)


def test_an_id_that_counts_the_rows_is_no_feature(tmp_path):
    path = tmp_path / "a.csv"
    rows = "".join(f"2021-01-01 00:0{i}:00,{i + 4},{i % 3}.5\n" for i in range(6))
    path.write_text("created_at,entry_id,v\n" + rows)
    assert read_file(path, window=2).source.feature_names == ("v",)
