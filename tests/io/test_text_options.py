"""The options that say how a text is written, and messages about texts that cannot be read."""

import re

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.io.text_forms import FORMS
from unspool.errors import InputError
from unspool.io.delimited import read_delimited
from unspool.io.files import read_file
from unspool.io.options import TextOptions

SAME_ROWS = "write the same number of fields in every row, empty ones included"


def written(tmp_path, text, name="a.csv"):
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def read(tmp_path, text, **options):
    table, notes = read_delimited(written(tmp_path, text), TextOptions(**options))
    return table.to_pydict(), notes


@pytest.mark.parametrize(
    ("text", "options", "table"),
    [
        ("title\na,b\n1,2\n", {"skip": 1}, {"a": [1], "b": [2]}),
        ("a,b\n1,2\n3,4\n", {"skip": 1, "header": 0}, {"0": [1, 3], "1": [2, 4]}),
        ("x,y\nz,w\n", {"header": 0}, {"0": ["x", "z"], "1": ["y", "w"]}),
        ("5,6\n7,8\n", {"header": 1}, {"5": [7], "6": [8]}),
        ("a,a\nx,y\n1,2\n", {"header": 2}, {"a x": [1], "a y": [2]}),
        ("a:b\n1:2\n", {"delimiter": ":"}, {"a": [1], "b": [2]}),
        ("a,b c\n1,2 3\n", {"delimiter": " "}, {"a,b": [1.2], "c": [3]}),
        ("t\tv\n1\t1,234\n", {"decimal": ","}, {"t": [1], "v": [1.234]}),
        ("t\tv\n1\t1,234\n", {"thousands": ","}, {"t": [1], "v": [1234]}),
        ("t;v\n1;1,234\n", {"decimal": "."}, {"t": [1], "v": [1234]}),
        ("t;v\n1;1_234\n2;5\n", {"thousands": "_"}, {"t": [1, 2], "v": [1234, 5]}),
        ("µ\n1\n".encode("cp1252"), {"encoding": "latin-1"}, {"µ": [1]}),
        ("ж\n1\n".encode("cp1251"), {"encoding": "cp1251"}, {"ж": [1]}),
    ],
)
def test_an_option_overrides_what_is_found(tmp_path, text, options, table):
    if options == {"delimiter": " "}:
        options = {**options, "decimal": ","}
    assert read(tmp_path, text, **options)[0] == table


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"delimiter": ";;"}, "`delimiter` must be one character, got ';;'."),
        ({"decimal": "x"}, "`decimal` must be '.' or ',', got 'x'."),
        ({"thousands": "7"}, "`thousands` must not be a letter or digit, got '7'."),
        ({"skip": -1}, "`skip` must be a whole number of at least 0 or None, got -1."),
        ({"header": 1.5}, "`header` must be a whole number of at least 0 or None, got 1.5."),
        (
            {"decimal": ",", "delimiter": ","},
            "`decimal` and `delimiter` are both ','; no number could be read. Change one of them.",
        ),
        (
            {"decimal": ".", "thousands": "."},
            "`decimal` and `thousands` are both '.'; no number could be read. Change one of them.",
        ),
        (
            {"encoding": "utf-9"},
            "`encoding`: unknown encoding 'utf-9'; common ones are 'utf-8', 'latin-1', 'cp1252' "
            "and 'utf-16'.",
        ),
    ],
)
def test_an_option_that_cannot_be_is_refused(tmp_path, options, message):
    with pytest.raises(InputError, match=f"^{re.escape(message)}$"):
        read_file(written(tmp_path, "a,b\n1,2\n"), window=1, **options)


def test_options_of_texts_are_refused_for_a_file_that_is_not_text(tmp_path):
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"a": [1.0, 2.0]}), path)
    message = "`skip`, `decimal` cannot be used with a .parquet file, which is not text; leave them"
    with pytest.raises(InputError, match=re.escape(message)):
        read_file(path, window=1, skip=1, decimal=",")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "a,b\n1,2\n3,4\n5,6\nend of file\n",
            f"line 5 has 1 field instead of 2: 'end of file'; {SAME_ROWS}; if the table ends above "
            "this line, keep `head -n 4` of the file.",
        ),
        (
            "a,b,c\n1,2\n3,4\n",
            "line 1 has 3 fields, 'a, b, c', but the rows below have 2; correct it, or, if the "
            "table begins below it, leave it out with `skip` (--skip 1).",
        ),
        (
            "a;b\n1,5;2\n3,5;4;5\n6,5;7\n",
            f"line 3 has 3 fields instead of 2: '3,5;4;5'; {SAME_ROWS}.",
        ),
    ],
)
def test_rows_of_other_widths_are_refused_with_their_line_and_text(tmp_path, text, message):
    with pytest.raises(InputError, match=f"^{re.escape(message)}$"):
        read(tmp_path, text)


def test_a_line_of_another_width_that_sums_up_the_others_is_left_out(tmp_path):
    table, notes = read(tmp_path, "a,b\n1,2\n3,4\n5,6\nTotal\n")
    assert table == {"a": [1, 3, 5], "b": [2, 4, 6]}
    assert notes == ("line left out that sums up others: 'Total'",)


def test_a_word_among_numbers_is_refused_with_its_row(tmp_path):
    path = written(tmp_path, "t;v\n" + "1;2,5\n" * 20 + "1;broken\n")
    with pytest.raises(InputError, match="mixes numbers and text, 'broken' in data row 21"):
        read_file(path, window=1)


@pytest.mark.parametrize("cell", ["5 %", "$5.25", "EUR 7"])
def test_numbers_with_a_sign_of_percent_or_currency_are_refused(tmp_path, cell):
    message = f"contains {cell!r} in data row 1, which is not a number because of its sign"
    with pytest.raises(InputError, match=re.escape(message)):
        read_file(written(tmp_path, f"a,b\n1,{cell}\n2,{cell}\n"), window=1)


def test_comment_lines_within_the_table_are_left_out(tmp_path):
    table, notes = read(tmp_path, "a,b\n1,2\n# restarted\n\n3,4\n")
    assert table == {"a": [1, 3], "b": [2, 4]}
    assert notes == ("1 comment lines within the table are left out",)


def test_ids_with_leading_zeros_and_times_with_an_offset_remain_text(tmp_path):
    rows = [("007", "2024-01-01 00:00:00-05:00"), ("007", "2024-01-02 00:00:00-05:00")]
    table, _ = read(tmp_path, "id,at\n" + "".join(f"{a},{b}\n" for a, b in rows))
    assert list(zip(table["id"], table["at"], strict=True)) == rows


@pytest.mark.parametrize("form", FORMS[:6], ids=lambda form: form.name)
@pytest.mark.parametrize("rows", [1, 10_000])
def test_a_form_is_read_with_one_row_and_with_many(tmp_path, form, rows):
    lines = form.text.splitlines(keepends=True)
    head, body = lines[: form.data], lines[form.data :]
    text = "".join(head + (body * (rows // len(body) + 1))[:rows])
    table, _ = read_delimited(written(tmp_path, text))
    assert (table.column_names, table.num_rows) == (form.names, rows)


def test_a_row_without_a_header_and_without_numbers_is_taken_as_names_and_said(tmp_path):
    table, notes = read(tmp_path, "x,y\nz,w\n")
    assert table == {"x": ["z"], "y": ["w"]}
    assert notes == (
        "first row, 'x' to 'y', taken as column names; say `header` (--header 0 if it is data)",
    )
