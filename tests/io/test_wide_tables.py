"""Tables whose rows are series: columns that are named by dates, or that count."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.cli.tables import read_csv
from unspool import read_file
from unspool.errors import InputError
from unspool.io.column_names import counted_names, dated_names
from unspool.io.options import TimeOptions

FIT = ["--epochs", 1, "--latent-dim", 2, "--set", "units=2", "--seed", 0, "--quiet"]
DAYS = [str(np.datetime64("2015-07-01") + i) for i in range(12)]


def write(path, header, rows):
    path.write_text("\n".join(",".join(map(str, row)) for row in [header, *rows]) + "\n")
    return path


def rows_of(names, steps):
    return [[name, *np.sin(np.arange(steps) + i).round(3)] for i, name in enumerate(names)]


@pytest.fixture
def pages(tmp_path):
    return write(tmp_path / "pages.csv", ["Page", *DAYS], rows_of(["a.org", "b.org"], len(DAYS)))


@pytest.mark.parametrize(
    ("names", "first"),
    [
        (DAYS, "2015-07-01"),
        (["1/22/20", "1/23/20", "1/24/20"], "2020-01-22"),
        (["22.01.2020", "23.01.2020", "24.01.2020"], "2020-01-22"),
        (["X1.22.20", "X1.23.20", "X1.24.20"], "2020-01-22"),
        (["1960", "1961", "1962"], "1960-01-01"),
        (["1790", "1800", "1820"], "1790-01-01"),
        (["Y1961", "Y1962", "Y1963", "Y1964"], "1961-01-01"),
        (["2000 [YR2000]", "2001 [YR2001]", "2002 [YR2002]"], "2000-01-01"),
        (["201511", "201512", "201601", "201602"], "2015-11-01"),
        (["2015Q3", "2015Q4", "2016Q1"], "2015-07-01"),
        (["Jan-15", "Feb-15", "Mar-15"], "2015-01-01"),
        (["2015-16", "2016-17", "2017-18"], "2015-01-01"),
        (["1999/2000", "2000/2001", "2001/2002"], "1999-01-01"),
        (["2015_07_01", "2015_07_02", "2015_07_03"], "2015-07-01"),
        (["cases.2020-01-22", "cases.2020-01-23", "cases.2020-01-25"], "2020-01-22"),
        (["pop201501", "pop201502", "pop201503"], "2015-01-01"),
        (["1/22/20 (new)", "1/23/20 (new)", "1/24/20 (new)"], "2020-01-22"),
        (["2015-07-01 00:00:00", "2015-07-01 06:00:00", "2015-07-01 12:00:00"], "2015-07-01"),
    ],
)
@pytest.mark.parametrize("order", [1, -1])
def test_names_that_are_dates_are_the_times_of_steps_in_their_order(names, first, order):
    found = dated_names(["id", "Lat", *names[::order], "flag"], TimeOptions())
    assert found.names == names
    assert found.times.values[0] == np.datetime64(first)
    assert (np.diff(found.times.values) > 0).all()


@pytest.mark.parametrize(
    "names",
    [
        [*map(str, range(26))],  # a table without a header
        [*map(str, range(1995, 2400))],  # sensors from 1995 to 2399
        [f"V{i}" for i in range(1, 2500)],  # some of them look like years
        ["sensor_1900", "sensor_1901", "sensor_1950"],
        ["773869", "767541", "767542", "717447"],
        ["400001", "400017", "400030", "400112"],
        ["2015-07-01", "2015-07-03", "2015-07-02"],
        ["2015", "2016"],
        ["temperature", "pressure"],
    ],
)
def test_names_that_only_look_like_dates_are_no_times(names):
    assert dated_names(names, TimeOptions()) is None


@pytest.mark.parametrize(
    "steps",
    [["1990", "1995", "2000", "2005"], ["201511", "201512", "201601"], ["2017", "2016", "2015"]],
)
def test_numbers_that_are_dates_are_names_also_above_whole_numbers(tmp_path, steps):
    rows = [["Aruba", "ABW", *range(50, 50 + len(steps))], ["Albania", "ALB", *range(len(steps))]]
    data = read_file(write(tmp_path / "a.csv", ["Country", "Code", *steps], rows))
    assert data.series_ids == ["Aruba", "Albania"]
    assert data.source.lengths.tolist() == [len(steps)] * 2


def test_the_longest_run_of_counted_names_is_taken():
    names = ["MIN", *(f"W{i}" for i in range(9)), *(f"N {i}" for i in range(8)), "x_7", "x_9"]
    assert counted_names(names).names == [f"W{i}" for i in range(9)]
    assert counted_names([f"W{i}" for i in range(3, 20)]) is None
    assert counted_names([*map(str, range(20))]) is None


def test_rows_become_series_with_the_times_in_the_header(pages):
    data = read_file(pages, window=4)
    assert data.series_ids == ["a.org", "b.org"]
    times = np.array(DAYS, "datetime64[us]").tolist()
    assert [one.tolist() for one in data.steps["time"]] == [times, times]
    assert data.index["start"][9] == np.datetime64("2015-07-01")
    assert data.notes[-2] == (
        "each row is read as a series, since the names of columns are dates; otherwise say "
        "`rows=False`"
    )
    whole = read_file(pages)
    assert whole.source.values.shape == (2, 12, 1)
    assert read_file(pages, rows=True).notes[-2] == "12 columns as steps: " + ", ".join(DAYS)
    long = read_file(pages, rows=False, window=2)
    assert long.source.n_features == 12


def test_windows_of_a_duration_are_cut_by_the_names_of_columns(pages):
    assert read_file(pages, window="4d").source.size == 4


def test_empty_cells_within_a_row_are_missing_and_those_at_its_ends_are_not(tmp_path):
    rows = [["a", 1, "", 3, 4], ["b", "", 2, 3, ""], ["c", "", "", "", ""]]
    path = write(tmp_path / "a.csv", ["id", *DAYS[:4]], rows)
    with pytest.raises(InputError, match="column '2015-07-02' has no value in data row 1"):
        read_file(path)
    data = read_file(path, missing="interpolate")
    assert [one.tolist() for one in data.steps["time"]][1] == [
        *np.array(DAYS[1:3], "datetime64[us]").tolist()
    ]
    assert data.source.values[0, :, 0].tolist() == [1, 2, 3, 4]
    assert data.series_ids == ["a", "b"]
    assert "1 rows without a value left out" in data.notes


def test_labels_and_weights_of_rows_are_those_of_all_their_steps(tmp_path):
    rows = [[*row, i % 2, i + 1] for i, row in enumerate(rows_of("abcd", 4))]
    path = write(tmp_path / "a.csv", ["id", *DAYS[:4], "label", "w"], rows)
    data = read_file(path, weight="w")
    assert data.index["label"].tolist() == [0, 1, 0, 1]
    assert [one.tolist() for one in data.steps["weight"]] == [[i] * 4 for i in (1, 2, 3, 4)]
    assert read_file(path, window=2, weight="w").index["label"].tolist() == [0] * 3 + [1] * 3 + (
        [0] * 3 + [1] * 3
    )


def test_a_table_that_may_be_read_in_two_ways_is_refused_with_both(tmp_path):
    counted = [f"d_{i}" for i in range(1, 10)]
    path = write(tmp_path / "m5.csv", ["item", *counted], rows_of("abc", 9))
    with pytest.raises(InputError) as caught:
        read_file(path, window=2)
    assert str(caught.value) == (
        f"{path}: columns 'd_1' to 'd_9' may be the steps of series, one in each row, since their "
        "names count, and 'item' differs in every row; give `rows=True` if each row is a series, "
        "or `rows=False` if each row is a time step."
    )
    assert read_file(path, rows=True).index["id"].tolist() == ["a", "b", "c"]
    assert read_file(path, rows=False, window=2).source.n_features == 9
    rows = [row[1:] for row in rows_of("abc", 9)]
    rows[1][7:] = rows[2][5:] = [""] * 2
    rows[2] += [""] * 2
    path = write(tmp_path / "ragged.csv", counted, rows)
    with pytest.raises(InputError, match="since their names count, and rows end empty; give"):
        read_file(path, window=2)
    path = write(tmp_path / "years.csv", ["2015", "2016", "2017"], [[1.5, 2, 3]] * 4)
    with pytest.raises(InputError, match=r"'2015' to '2017' .* since their names are dates; give"):
        read_file(path, window=2)


def test_the_command_line_reads_rows_as_series_or_as_steps(tmp_path, run):
    counted = [f"d_{i}" for i in range(1, 10)]
    path = write(tmp_path / "m5.csv", ["item", *counted], rows_of("abcdef", 9))
    model = tmp_path / "m.unspool"
    done = run("fit", path, *FIT, "-o", model)
    assert "give --rows if each row is a series, or --no-rows if each row is a time step." in (
        done.err
    )
    assert run("fit", path, "--rows", "--window", 4, *FIT, "-o", model).code == 0
    table = read_csv(run("score", model, path).out)
    assert table["id"] == ["a"] * 9 + ["b"] * 9 + ["c"] * 9 + ["d"] * 9 + ["e"] * 9 + ["f"] * 9
    done = run("fit", path, "--no-rows", "--window", 4, *FIT, "-o", model)
    assert done.code == 0, done.err
    done = run("score", model, path)
    assert done.code == 0, done.err
    assert len(read_csv(done.out)["error"]) == 6


@pytest.mark.parametrize("window", [[], ["--window", 4]])
def test_what_was_found_in_training_is_read_again(pages, run, tmp_path, window):
    model = tmp_path / "m.unspool"
    assert run("fit", pages, *window, *FIT, "-o", model).code == 0
    two = write(tmp_path / "two.csv", ["Page", *DAYS[-5:]], rows_of(["c.org"], 5))
    done = run("score", model, two)
    assert done.code == 0, done.err
    table = read_csv(done.out)
    assert table["id"] == ["c.org"] * len(table["id"])
    assert table.get("time") == (DAYS[-5:] if window else None)


def test_forecasts_continue_the_dates_of_the_header(tmp_path, run):
    header = ["id", *(f"1/{day}/20" for day in range(7, 19))]
    path = write(tmp_path / "a.csv", header, rows_of("ab", 12))
    model = tmp_path / "m.unspool"
    done = run("fit", path, "--window", 6, "--horizon", 2, *FIT, "-o", model)
    assert done.code == 0, done.err
    table = read_csv(run("forecast", model, path).out)
    assert table["time"] == ["1/19/20", "1/20/20"] * 2


def test_detect_scores_every_step_of_every_row(pages, run, tmp_path):
    scores, model = tmp_path / "scores.csv", tmp_path / "m.unspool"
    assert run("fit", pages, "--window", 4, *FIT, "-o", model).code == 0
    done = run("detect", pages, "--model", model, "--normal", pages, "--scores", scores)
    assert done.code == 0, done.err
    table = read_csv(scores.read_text())
    assert table["time"] == DAYS * 2
    assert table["id"] == ["a.org"] * 12 + ["b.org"] * 12


def test_files_of_a_folder_keep_the_ids_of_their_rows(tmp_path):
    for name in "xy":
        write(tmp_path / f"{name}.csv", ["Page", *DAYS], rows_of("ab", len(DAYS)))
    data = read_file(tmp_path, window=4)
    assert data.series_ids == ["x/a", "x/b", "y/a", "y/b"]


def test_wide_tables_are_not_read_in_pieces(tmp_path):
    columns = {"id": ["a", "b"], **{day: [1.5, 2.5] for day in DAYS}}
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table(columns), path)
    with pytest.raises(InputError) as caught:
        read_file(path, stream=True)
    assert str(caught.value) == (
        f"{path}: columns '2015-07-01' to '2015-07-12' are the steps of series, one in each row, "
        "and such tables are not read in pieces; give stream=False (--no-stream) to read the whole "
        "file."
    )
    assert read_file(path).series_ids == ["a", "b"]


@pytest.mark.parametrize(
    "columns",
    [
        {"date": DAYS[:4], "1958": [1.0] * 4, "1959": [2.0] * 4, "1960": [3.0] * 4},
        {"Month": ["JAN", "FEB", "MAR", "APR"], "1958": [1.0] * 4, "1959": [2.0] * 4}
        | {"1960": [3.0] * 4},
    ],
)
def test_years_beside_times_of_the_rows_are_features(tmp_path, columns):
    path = write(tmp_path / "a.csv", columns, zip(*columns.values(), strict=True))
    data = read_file(path, window=2)
    assert data.source.feature_names == ("1958", "1959", "1960")


def test_rows_of_a_class_and_a_sequence_are_found_or_asked_for(tmp_path):
    rng = np.random.default_rng(0)
    walk = np.cumsum(rng.normal(size=(12, 30)), axis=1)
    normal = (walk - walk.mean(axis=1, keepdims=True)) / walk.std(axis=1, keepdims=True)
    smooth = 20 * np.arange(12)[:, None] + np.sin(np.arange(30) / 9)
    classes = np.arange(12) % 3

    def written(values, *, last=False):
        rows = np.column_stack([values, classes] if last else [classes, values])
        path = tmp_path / "a.txt"
        path.write_text("\n".join(" ".join(f"{one:.5f}" for one in row) for row in rows))
        return path

    data = read_file(written(normal))
    assert data.source.values.shape == (12, 30, 1)
    assert data.index["label"].tolist() == classes.tolist()
    data = read_file(written(normal, last=True), rows=True)
    assert data.index["label"].tolist() == classes.tolist()
    assert read_file(written(normal), rows=False, window=2).source.n_features == 31
    path = written(smooth, last=True)
    with pytest.raises(InputError) as caught:
        read_file(path, window=2)
    assert str(caught.value) == (
        f"{path}: each row may be a sequence, with its class in column '30', since values change "
        "less along the rows than from row to row; give `rows=True` and `label='30'` if it is, or "
        "`rows=False` if each row is a time step."
    )


def test_rows_of_sensors_are_time_steps_also_if_the_first_switches(tmp_path):
    rng = np.random.default_rng(0)
    values = np.cumsum(rng.normal(size=(40, 20)), axis=0)
    rows = np.column_stack([np.arange(40) // 10 % 2, values])
    path = tmp_path / "a.txt"
    path.write_text("\n".join(" ".join(f"{one:.5f}" for one in row) for row in rows))
    assert read_file(path, window=2).source.n_features == 21


def test_detect_gives_each_row_of_a_class_and_a_sequence_one_score(tmp_path, run):
    rng = np.random.default_rng(0)
    values = rng.normal(size=(30, 20))
    values = (values - values.mean(axis=1, keepdims=True)) / values.std(axis=1, keepdims=True)
    rows = np.column_stack([np.arange(30) % 2, values])
    path, scores = tmp_path / "a.txt", tmp_path / "scores.csv"
    path.write_text("\n".join(" ".join(f"{one:.5f}" for one in row) for row in rows))
    small = ["--set", "units=2", "--set", "epochs=1", "--set", "latent_dim=2"]
    done = run("detect", path, "--normal", path, *small, "--scores", scores)
    assert done.code == 0, done.err
    assert len(read_csv(scores.read_text())["score"]) == 30
