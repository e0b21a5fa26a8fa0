"""Series that several columns name together: --id A,B, and what is said without it."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.cli.tables import read_csv
from unspool import read_file
from unspool.errors import InputError

FIT = ["--epochs", 1, "--latent-dim", 2, "--set", "units=2", "--seed", 0, "--quiet"]
RUNS = [(fault, run) for fault in (0, 1) for run in (1, 2)]
STEPS = 8


def columns_of_runs():
    """Runs of faults: the samples start again in every run, the runs in every fault."""
    each = [(fault, run, sample) for fault, run in RUNS for sample in range(1, STEPS + 1)]
    fault, run, sample = map(list, zip(*each, strict=True))
    heat = np.sin(np.arange(len(each)) * 0.7).round(3).tolist()
    return {"fault_no": fault, "run": run, "sample": sample, "heat": heat}


def as_csv(path, columns):
    rows = zip(*columns.values(), strict=True)
    path.write_text("\n".join([",".join(columns), *(",".join(map(str, row)) for row in rows)]))
    return path


@pytest.fixture
def runs(tmp_path):
    return as_csv(tmp_path / "runs.csv", columns_of_runs())


@pytest.mark.parametrize("given", ["fault_no,run", "fault_no, run", ["fault_no", "run"]])
def test_several_columns_are_joined_to_one_id(runs, given):
    data = read_file(runs, id=given, window=3)
    assert data.series_ids == ["0/1", "0/2", "1/1", "1/2"]
    assert {name: one.tolist() for name, one in data.id_parts.items()} == {
        "fault_no": [0, 0, 1, 1],
        "run": [1, 2, 1, 2],
    }
    assert data.index["run"].tolist() == [run for _, run in RUNS for _ in range(STEPS - 2)]
    assert data.source.feature_names == ("heat",)


def test_whole_series_have_the_columns_of_their_id(runs):
    data = read_file(runs, id="fault_no,run")
    assert list(data.index) == ["id", "fault_no", "run"]
    assert data.index["fault_no"].tolist() == [0, 0, 1, 1]


def test_the_parts_of_an_id_stay_apart_if_their_texts_have_the_separator(tmp_path):
    columns = {"a": ["x/y", "x/y", "x", "x"], "b": ["z", "z", "y/z", "y/z"], "v": [1, 2, 3, 4]}
    data = read_file(as_csv(tmp_path / "a.csv", columns), id="a,b")
    assert data.series_ids == ["x/y|z", "x|y/z"]


@pytest.mark.parametrize("stream", [True, False])
def test_files_that_are_read_in_pieces_join_ids_as_others(tmp_path, stream):
    path = tmp_path / "runs.parquet"
    pq.write_table(pa.table(columns_of_runs()), path, row_group_size=5)
    data = read_file(path, id="fault_no,run", window=3, stream=stream)
    assert data.series_ids == ["0/1", "0/2", "1/1", "1/2"]
    assert data.id_parts["run"].tolist() == [1, 2, 1, 2]
    assert data.index["fault_no"].tolist() == [0] * 12 + [1] * 12
    with pytest.raises(InputError, match="give `id='fault_no,run'`"):
        read_file(path, window=3, stream=stream)


def test_rows_that_are_sequences_have_the_parts_of_their_id(tmp_path):
    columns = {"a": ["x", "x", "y"], "b": [1, 2, 1], "s": [0.5, 1.5, 2.5], "t2": [1.5, 2.5, 3.5]}
    path = as_csv(tmp_path / "a.csv", columns)
    data = read_file(path, id="a,b", rows=True)
    assert data.index["id"].tolist() == ["x/1", "x/2", "y/1"]
    assert data.index["b"].tolist() == [1, 2, 1]
    pq.write_table(pa.table(columns), tmp_path / "a.parquet")
    streamed = read_file(tmp_path / "a.parquet", id="a,b", rows=True, stream=True)
    assert streamed.index["id"].tolist() == ["x/1", "x/2", "y/1"]
    assert streamed.index["a"].tolist() == ["x", "x", "y"]


def test_a_part_with_the_name_of_another_column_of_outputs_is_renamed(tmp_path):
    columns = columns_of_runs()
    columns["score"] = columns.pop("run")
    data = read_file(as_csv(tmp_path / "a.csv", columns), id="fault_no,score", window=3)
    assert list(data.index) == ["id", "fault_no", "id_score", "start"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"id": "fault_no,rnu"}, "`id`: unknown column 'rnu': did you mean 'run'?"),
        ({"id": ["run", "run"]}, "`id`: column 'run' is named twice; name it once."),
        ({"id": []}, "`id` names no column; give the name of one, or leave `id` out."),
        (
            {"id": "fault_no,run", "columns": ["run", "heat"]},
            "column 'run' is given as `id` and as `columns`; leave one out.",
        ),
        (
            {"id": "fault_no,run", "label": "run"},
            "column 'run' is given as `id` and as `label`; leave one out.",
        ),
    ],
)
def test_a_wrong_list_of_ids_is_refused(runs, options, message):
    with pytest.raises(InputError) as caught:
        read_file(runs, window=3, **options)
    assert message in str(caught.value)


def test_a_part_of_an_id_must_be_filled_and_have_a_name_of_its_own(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("a,b,v\nx,1,1\nx,,2\ny,1,3\n")
    with pytest.raises(InputError, match="id column 'b' is empty in data row 2; fill it"):
        read_file(path, id="a,b", window=1)
    pq.write_table(pa.table([["x"], [1], [2], [3.0]], names=["a", "b", "b", "v"]), path)
    path.rename(tmp_path / "a.parquet")
    with pytest.raises(InputError, match="`id`: two columns are called 'b'; rename one"):
        read_file(tmp_path / "a.parquet", id="a,b", window=1)


def test_a_file_whose_times_rise_in_no_single_column_names_those_that_separate_it(runs, run):
    with pytest.raises(InputError) as caught:
        read_file(runs, window=3)
    assert str(caught.value) == (
        f"{runs}: the file contains several series, since 'sample' does not rise in its rows; it "
        "rises within each combination of 'fault_no', 'run'; give `id='fault_no,run'`, or leave "
        "the column out with `drop=['sample']`."
    )
    done = run("fit", runs, "--window", 3, *FIT, "-o", runs.with_name("m.unspool"))
    assert "give --id fault_no,run, or leave the column out with --drop sample." in done.err


@pytest.mark.parametrize("alternating", [False, True])
def test_times_that_repeat_within_an_id_of_a_usual_name_need_another_part(tmp_path, alternating):
    days = [str(np.datetime64("2024-01-01") + i) for i in range(6)]
    each = [(day, file, unit) for file in "ab" for unit in (1, 2) for day in days]
    each = sorted(each) if alternating else each
    day, file, unit = map(list, zip(*each, strict=True))
    columns = {"date": day, "file": file, "unit": unit, "v": np.sin(np.arange(24.0)).tolist()}
    path = as_csv(tmp_path / "a.csv", columns)
    with pytest.raises(InputError) as caught:
        read_file(path, window=3)
    reason = "times in column 'date' repeat within 'unit'" if alternating else "time goes back"
    assert reason in str(caught.value)
    assert "combination of 'file', 'unit'; give `id='file,unit'`." in str(caught.value)
    assert len(read_file(path, window=3, id="file,unit").source.series) == 4
    if alternating:  # the user said that the unit is the id
        notes = read_file(path, window=3, id="unit").notes
        assert any("repeat within 'unit'; it rises within each combination" in one for one in notes)


def test_times_of_one_id_that_repeat_without_another_column_are_read(tmp_path):
    columns = {"id": [1] * 6 + [2] * 6, "t": [1, 1, 2, 2, 3, 3] * 2, "v": [0.5, 1.5] * 6}
    data = read_file(as_csv(tmp_path / "a.csv", columns), window=2)
    assert data.series_ids == [1, 2]


def test_all_commands_write_the_columns_of_the_id_and_remember_them(runs, run, tmp_path):
    model = tmp_path / "m.unspool"
    options = ["--id", "fault_no,run", "--window", 3, "--horizon", 2]
    done = run("fit", runs, *options, *FIT, "-o", model)
    assert done.code == 0, done.err
    for command in ("score", "encode", "reconstruct", "forecast"):
        done = run(command, model, runs)
        assert done.code == 0, done.err
        table = read_csv(done.out)
        assert list(table)[:3] == ["id", "fault_no", "run"], command
        joined = [f"{a}/{b}" for a, b in zip(table["fault_no"], table["run"], strict=True)]
        assert table["id"] == joined
    scores = tmp_path / "scores.csv"
    done = run("detect", runs, "--model", model, "--normal", runs, "--scores", scores)
    assert done.code == 0, done.err
    table = read_csv(scores.read_text())
    assert table["run"] == [str(one) for one in columns_of_runs()["run"]]


def test_a_joined_id_that_a_new_file_lacks_is_forgiven(runs, run, tmp_path):
    model = tmp_path / "m.unspool"
    assert run("fit", runs, "--id", "fault_no,run", "--window", 3, *FIT, "-o", model).code == 0
    one = {name: values[:STEPS] for name, values in columns_of_runs().items() if name != "run"}
    done = run("score", model, as_csv(tmp_path / "new.csv", one))
    assert done.code == 0, done.err
    assert "there is no column 'fault_no,run', the id in training" in done.err


def test_files_of_a_folder_join_their_name_and_several_columns(tmp_path):
    folder = tmp_path / "logs"
    folder.mkdir()
    for name in "ab":
        as_csv(folder / f"{name}.csv", columns_of_runs())
    data = read_file(folder, id="fault_no,run", window=3)
    assert data.series_ids == [f"{name}/{fault}/{run}" for name in "ab" for fault, run in RUNS]


def rows_of_meters(rows):
    return "\n".join(" ".join(map(str, row)) for row in rows) + "\n"


@pytest.mark.parametrize("alternating", [False, True])
def test_a_table_without_names_shows_its_ids_and_times_by_their_order(tmp_path, alternating):
    codes = [day * 100 + half for day in (195, 196) for half in (1, 2, 47, 48)]
    rows = [(meter, code, code / 7) for meter in (1392, 1203) for code in codes]
    rows = sorted(rows, key=lambda one: one[1]) if alternating else rows
    path = tmp_path / "File1.txt"
    path.write_text(rows_of_meters(rows))
    data = read_file(path, window=2)
    assert data.series_ids == [1392, 1203]
    assert [one.tolist() for one in data.steps["time"]] == [codes, codes]
    assert data.source.n_features == 1


def test_a_column_without_a_name_that_only_rises_often_is_a_feature(tmp_path):
    path = tmp_path / "a.txt"
    values = [1, 2, 3, 5, 4, 6, 7, 8, 9, 8, 10, 11]
    path.write_text(rows_of_meters((i // 6, one, one / 7) for i, one in enumerate(values)))
    data = read_file(path, window=2)
    assert data.series_ids is None
    assert data.source.n_features == 3


def test_a_column_that_rises_in_the_whole_table_shows_no_id(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text(rows_of_meters((i // 4 % 2, 3 * i + i % 2, i / 7) for i in range(16)))
    assert read_file(path, window=2).series_ids is None


def test_a_time_that_was_found_with_its_id_is_found_in_a_file_of_one_series(run, tmp_path):
    rows = [(meter, 100 * meter % 7 + 3 * i, i / 7) for meter in (5, 9) for i in range(8)]
    path, model = tmp_path / "a.txt", tmp_path / "m.unspool"
    path.write_text(rows_of_meters(rows))
    assert run("fit", path, "--window", 3, *FIT, "-o", model).code == 0
    path.write_text(rows_of_meters(rows[:8]))
    done = run("score", model, path)
    assert done.code == 0, done.err
    table = read_csv(done.out)
    assert table["id"] == ["5"] * 8
    assert table["time"] == [str(time) for _, time, _ in rows[:8]]


@pytest.mark.parametrize("kind", [int, float])
def test_a_feature_that_is_called_series_is_no_id_beside_an_id(tmp_path, kind):
    series = [kind(one) for one in (4, 2, 7, 2, 2, 4)]
    columns = {"series": series, "id": [1, 1, 1, 2, 2, 2], "t": [0, 1, 2] * 2, "v": [0.5] * 6}
    data = read_file(as_csv(tmp_path / "a.csv", columns), window=2)
    assert data.series_ids == [1, 2]
    assert data.source.feature_names == ("series", "v")


def test_fractions_are_no_id_of_a_usual_name(tmp_path):
    columns = {"time": range(4), "unit": [0.5, 1.5, 0.5, 1.5], "v": [1, 2, 3, 4]}
    data = read_file(as_csv(tmp_path / "a.csv", columns), window=2)
    assert data.series_ids is None


def test_an_id_that_counts_the_rows_leaves_the_next_one_as_the_id(tmp_path):
    columns = {"id": range(1, 7), "unit": [3, 3, 3, 4, 4, 4], "v": [0.5, 1.5] * 3}
    data = read_file(as_csv(tmp_path / "a.csv", columns), window=2)
    assert data.series_ids == [3, 4]


def test_the_roles_of_columns_beside_lists_are_reported(tmp_path):
    table = pa.table(
        {
            "id": ["a", "b", "c", "d"],
            "note": ["x", "y", "z", "x"],
            "label": [0, 1, 0, 1],
            "beat": [[0.5, 1.5], [1.0, 2.0], [0.0, 1.0], [2.0, 0.5]],
        }
    )
    pq.write_table(table, tmp_path / "a.parquet")
    roles = read_file(tmp_path / "a.parquet").roles
    assert [(one.columns, one.role) for one in roles] == [
        (("id",), "id"),
        (("label",), "label"),
        (("note",), "left out"),
        (("beat",), "feature"),
    ]


@pytest.mark.parametrize(
    ("pairs", "ids"),
    [
        ([("A", ""), ("", "A")], ["A/", "/A"]),
        ([(1234567.5, 1), (1234568.5, 1)], ["1234567.5/1", "1234568.5/1"]),
    ],
    ids=["empty parts", "long numbers"],
)
def test_series_with_different_parts_have_different_ids(tmp_path, pairs, ids):
    path = tmp_path / "a.csv"
    rows = [f"{a},{b},2020-01-0{day},{day}" for a, b in pairs for day in range(1, 6)]
    path.write_text("\n".join(["a,b,date,x", *rows]) + "\n")
    found = read_file(path, window=5, id=["a", "b"])
    assert found.index["id"].tolist() == ids
