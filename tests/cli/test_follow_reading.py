"""`unspool detect --follow` reads lines as the options say, else as in training."""

import csv
import io

import numpy as np
import pytest

from tests.cli.tables import read_csv, write_csv

N = 160
T = np.arange(N)
VALUES = np.column_stack([np.sin(T / 4), 50 + 10 * np.cos(T / 5)])
HOURS = [f"2024-03-{1 + i // 24:02} {i % 24:02}:00" for i in range(N)]


def table_of(rows, delimiter=","):
    buffer = io.StringIO()
    csv.writer(buffer, delimiter=delimiter, lineterminator="\n").writerows(rows)
    return buffer.getvalue()


@pytest.fixture
def saved(run, tiny, tmp_path):
    """Save a detector of a text; return its path and the scores of `detect --model` on the text."""

    def call(text, *options, encoding="utf-8"):
        data, path = tmp_path / "data.csv", tmp_path / "d.unspool"
        data.write_bytes(text.encode(encoding))
        done = run(
            *("detect", data, "--normal", data, "--save", path, *options, *tiny),
            *("--kind", "trailing"),
        )
        assert done.code == 0, done.err
        scores = tmp_path / "scores.csv"
        assert run("detect", data, "--model", path, "--scores", scores).code == 0
        return path, read_csv(scores.read_text())

    return call


def compare(done, expected):
    assert done.code == 0, done.err
    for name in ("score", "threshold"):
        found, known = (np.array([*map(float, one[name])]) for one in (done.table, expected))
        np.testing.assert_allclose(found, known, rtol=1e-4)
    for name in ("id", "time"):
        assert done.table.get(name) == expected.get(name)


def test_separator_decimal_point_and_lines_above_are_those_of_training(follow, saved):
    rows = [["time", "flow", "heat"]]
    rows += [
        [time, f"{a:.4f}".replace(".", ","), f"{1000 * b:,.2f}".replace(",", "'").replace(".", ",")]
        for time, (a, b) in zip(HOURS, VALUES, strict=True)
    ]
    text = "Pump 7; north\nlog of March\n" + table_of(rows, "|")
    options = ["--skip", 2, "--header", 1, "--delimiter", "|", "--decimal", ",", "--thousands", "'"]
    path, expected = saved(text, *options)
    done = follow(text, model=path)
    compare(done, expected)
    assert "stdin: as in training: --skip 2, --header 1, --delimiter '|', --decimal ," in done.err
    assert follow(text, "--skip", 1, model=path).code == 1  # an option that is given counts


def test_the_encoding_is_that_of_training(follow, saved):
    rows = [["Zeit", "Größe", "heat"], *([t, *v] for t, v in zip(HOURS, VALUES, strict=True))]
    text = table_of(rows)
    path, expected = saved(text, "--encoding", "latin-1", encoding="latin-1")
    compare(follow(text.encode("latin-1"), model=path), expected)
    done = follow(text.encode(), "--encoding", "utf-16", model=path)
    assert "--follow finds the ends of lines by one byte, which utf-16 does not have" in done.err


def test_each_id_is_a_series(run, follow, saved, tmp_path):
    rows = [["site", "time", "flow", "heat"]]
    both = [
        [site, time, *(values * factor)]
        for time, values in zip(HOURS, VALUES, strict=True)
        for site, factor in (("b", 1), ("a", 2))
    ]
    text = table_of([*rows, *both])
    path, expected = saved(text, "--id", "site")
    done = follow(text, model=path)
    compare(done, expected)
    assert done.out.startswith("id,time,score,threshold,alarm\nb,2024-03-01 00:00,")
    state = tmp_path / "state.npz"
    one = follow(table_of([*rows, *both[:101]]), "--state", state, model=path)
    two = follow(table_of([*rows, *both[101:]]), "--state", state, model=path)
    assert one.table["score"] + two.table["score"] == done.table["score"]
    text = table_of([["time", "flow", "heat"], [HOURS[0], 1, 2]])
    said = "stdin: there is no column 'site', the id in training: all lines are one series\n"
    assert said in follow(text, model=path).err
    done = follow(text, "--id", "place", model=path)
    assert (done.code, "stdin: --id: unknown column 'place'" in done.err) == (1, True)
    assert "--id names 'flow', which is a feature" in follow(text, "--id", "flow", model=path).err


def test_ids_of_two_columns_are_not_mixed_up_by_a_slash_in_them(follow, saved):
    def text_of(first, second):
        rows = [
            [*ids, time, *(values * factor)]
            for time, values in zip(HOURS, VALUES, strict=True)
            for ids, factor in ((first, 1), (second, 2))
        ]
        return table_of([["site", "unit", "time", "flow", "heat"], *rows])

    path, _ = saved(text_of(("a", "1"), ("b", "2")), "--id", "site,unit")
    plain = follow(text_of(("a", "1"), ("b", "2")), model=path)
    done = follow(text_of(("a/b", "c"), ("a", "b/c")), model=path)
    assert done.table["score"] == plain.table["score"]
    assert {*plain.table["id"]} == {"a/1", "b/2"}
    assert {*done.table["id"]} == {"a/b/c"}


@pytest.mark.parametrize("form", ["dates", "slashes", "numbers"])
def test_steps_after_a_gap_are_scored_like_a_new_series(follow, saved, tmp_path, form):
    days = T + np.where(T > 130, 40, 0)
    moments = np.datetime64("2024-01-01") + days.astype("timedelta64[D]")
    times, options = [f"{one:%d %b %Y %H:%M}" for one in moments.tolist()], ["--max-gap", "2d"]
    if form == "slashes":
        times = [f"{one:%d/%m/%Y}" for one in moments.tolist()]
        options += ["--day-first"]
    if form == "numbers":
        times, options = days.tolist(), ["--max-gap", 2, "--time", "t"]
    rows = [["t", "flow", "heat"], *([t, *v] for t, v in zip(times, VALUES, strict=True))]
    text = table_of(rows)
    path, expected = saved(text, *options)
    done = follow(text, model=path)
    compare(done, expected)
    state, lines = tmp_path / "state.npz", text.splitlines(keepends=True)
    one = follow("".join(lines[:132]), "--state", state, model=path)
    two = follow("".join(lines[:1] + lines[132:]), "--state", state, model=path)
    assert one.table["score"] + two.table["score"] == done.table["score"]
    broken = follow("".join([*lines[:9], "soon,1,2\n"]), model=path)
    assert "line 10: Expected a time in column 't', since the detector scores" in broken.err
    absent = follow("flow,heat\n1,2\n", model=path)
    assert "line 2: The detector scores the steps after a gap in time like a new" in absent.err


def test_a_day_that_may_be_a_month_needs_an_option(follow, saved):
    times = [f"{1 + i % 28:02}/{1 + i // 28:02}/2024" for i in range(N)]
    text = table_of([["t", "a", "b"], *([t, *v] for t, v in zip(times, VALUES, strict=True))])
    path, expected = saved(text, "--max-gap", "3d")
    done = follow("t,a,b\n05/02/2024,1,2\n", model=path)
    assert "line 2: The day or the month may come first in '05/02/2024' in column 't'" in done.err
    compare(follow(text, "--day-first", model=path), expected)


def test_a_line_without_a_value_ends_a_series_if_training_dropped_such_lines(follow, saved):
    rows = [[t, *v] for t, v in zip(HOURS, VALUES, strict=True)]
    rows[70][1] = rows[130][1] = ""
    text = table_of([["time", "flow", "heat"], *rows])
    path, expected = saved(text, "--on-missing", "drop")
    done = follow(text, model=path)
    assert "line 72: Column 'flow' is empty. Its score is left empty." in done.err
    kept = [i for i, score in enumerate(done.table["score"]) if score]
    assert [*{*range(N)} - {*kept}] == [130, 70]
    done.table = {name: [one[i] for i in kept] for name, one in done.table.items()}
    compare(done, expected)
    path, _ = saved(text, "--on-missing", "interpolate")
    assert (
        "stdin: training interpolated missing values; --follow cannot"
        in follow(text, model=path).err
    )


def test_a_date_and_a_clock_are_one_time(follow, saved):
    rows = [[*time.split(), *v] for time, v in zip(HOURS, VALUES, strict=True)]
    text = table_of([["Date", "Clock", "flow", "heat"], *rows])
    path, expected = saved(text, "--time", "Date,Clock")
    compare(follow(text, model=path), expected)


def test_a_header_of_several_lines_comments_and_units_are_no_data(follow, saved):
    rows = [[t, *v] for t, v in zip(HOURS, VALUES, strict=True)]
    text = table_of([["time", "flow", "heat"], ["", "l/min", "degC"], *rows])
    path, expected = saved(text)
    compare(follow(f"# pump 7\n{text}", model=path), expected)
    said = "stdin: units below the names of the columns are left out\n"
    assert said in follow(text, model=path).err
    compare(follow(text, "--header", 2, model=path), expected)


@pytest.mark.parametrize("delimiter", ["|", "\t", ";", " "])
def test_the_separator_is_the_one_that_separates_the_features(follow, saved, delimiter):
    rows = [["flow", "heat"], *VALUES.tolist()]
    path, expected = saved(table_of(rows))
    done = follow(table_of(rows, delimiter), model=path)
    compare(done, expected)
    text = table_of(rows, "\t").replace(".", ",")
    compare(follow(text, model=path), expected)


def test_truth_values_are_0_and_1(follow, saved):
    on = ["true" if one > 0 else "False" for one in VALUES[:, 0]]
    rows = [["time", "on", "heat"], *zip(HOURS, on, VALUES[:, 1], strict=True)]
    path, expected = saved(table_of(rows))
    compare(follow(table_of(rows), model=path), expected)


def test_what_is_no_text_of_a_table_is_refused(run, follow, detector, tmp_path):
    done = follow('{"flow": 1, "heat": 2}\n', model=detector)
    assert "stdin: the first line begins with a brace, as in JSON" in done.err
    done = follow("time,flow,heat\n".encode("utf-16"), model=detector)
    assert "stdin: the first line contains zero bytes" in done.err
    path = tmp_path / "log.npy"
    np.save(path, VALUES)
    done = run("detect", path, "--follow", "--model", detector)
    assert (done.code, "log.npy: this is a .npy file; --follow reads lines" in done.err) == (
        1,
        True,
    )


def test_a_field_that_is_too_long_has_no_score(follow, detector):
    done = follow(f"time,flow,heat\n1,{'1' * 140_000},2\n2,1,1\n", model=detector)
    assert done.code == 0
    assert "stdin, line 2: The line cannot be split into fields: field larger" in done.err
    assert done.table["score"][0] == ""
    assert done.table["score"][1]


def test_an_incomplete_state_is_refused(follow, detector, tmp_path):
    state = tmp_path / "state.npz"
    assert follow("flow,heat\n1,2\n", "--state", state, model=detector).code == 0
    with np.load(state) as file:
        arrays = {name: one for name, one in file.items() if name != "stream.ids"}
    np.savez(state, **arrays)
    done = follow("flow,heat\n1,2\n", "--state", state, model=detector)
    assert (done.code, "the state lacks 'ids'; remove it, and start again." in done.err) == (
        1,
        True,
    )


def test_a_detector_of_rows_is_refused(run, tiny, follow, tmp_path):
    names = {f"v{i}": np.sin(np.arange(40) / 3 + i / 2) for i in range(12)}
    data, path = write_csv(tmp_path / "cycles.csv", names), tmp_path / "d.unspool"
    done = run("detect", data, "--rows", "--normal-until", 30, "--save", path, *tiny[2:])
    assert done.code == 0, done.err
    done = follow("1,2\n", model=path)
    assert (done.code, "was fitted on sequences and cannot score" in done.err) == (1, True)
