import re

import numpy as np
import pytest

from unspool.errors import InputError
from unspool.io.files import read_file


def written(tmp_path, text, name="a.csv"):
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def refused(path, text, **arguments):
    with pytest.raises(InputError, match=f"^{re.escape(f'{path}: {text}')}$"):
        read_file(path, **arguments)


def values_of(path):
    return read_file(path, window=1).source.series[0]


@pytest.mark.parametrize("ending", [".csv", ".txt"])
@pytest.mark.parametrize(
    ("text", "notes"),
    [
        ("a,b\n1,2.5\n-3,4e1\n", ()),
        ("a, b\n1, 2.5\n-3, 4e1\n", ()),
        ("a;b\n1;2.5\n-3;4e1\n", ("columns are separated by semicolons",)),
        ("a\tb\n1\t2.5\n-3\t4e1\n", ("columns are separated by tabs",)),
        ("a b\n1   2.5 \n -3 4e1\n", ("columns are separated by blanks",)),
        ("# a b\n1 2.5\n-3 4e1\n", ("columns are separated by blanks",)),
        ("\n\na,b\n1,2.5\n\n-3,4e1\n", ()),
        ("\ufeffa,b\r\n1,2.5\r\n-3,4e1\r\n", ()),
        ('"a","b"\n"1","2.5"\n"-3","4e1"\n', ()),
        (
            "a;b\n1;2,5\n-3;4e1\n",
            (
                "columns are separated by semicolons",
                "commas within numbers taken as decimal points; otherwise say `decimal='.'`",
            ),
        ),
    ],
)
def test_separators_blanks_quotes_and_line_ends(tmp_path, ending, text, notes):
    loaded = read_file(written(tmp_path, text, f"a{ending}"), window=1)
    np.testing.assert_array_equal(loaded.source.series[0], [[1, 2.5], [-3, 40]])
    assert loaded.source.feature_names == ("a", "b")
    assert loaded.notes == (*notes, "2 columns as features: a, b")


def test_two_columns_with_decimal_commas_are_not_a_header_one_short(tmp_path):
    path = written(tmp_path, "t;v\n1;2,5\n2;3,5\n")
    np.testing.assert_array_equal(read_file(path, window=1).source.series[0], [[2.5], [3.5]])


@pytest.mark.parametrize("name", ["my value", "heat (low, high)", "a;b", "a\tb"])
def test_a_single_column_whose_name_holds_separators(tmp_path, name):
    loaded = read_file(written(tmp_path, f"{name}\n1\n2\n"), window=1)
    assert loaded.source.feature_names == (name,)
    assert loaded.notes == (f"1 column as feature: {name}",)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("1,2\n3,4\n", ["0", "1"]),
        ("1.5,-2e3\n3,4\n", ["0", "1"]),
        ("5\n6\n", ["0"]),
        ("3 4 \n5 6 \n", ["0", "1"]),
        ("2024-01-01 10:00,7\n2024-01-02 10:00,8\n", ["1"]),
    ],
)
def test_a_first_row_of_numbers_or_dates_is_data(tmp_path, text, names):
    loaded = read_file(written(tmp_path, text), window=1)
    assert list(loaded.source.feature_names) == names
    assert len(loaded.source) == 2
    told = [note for note in loaded.notes if note.startswith("no header")]
    last = text.splitlines()[0].count(",") or text.splitlines()[0].strip().count(" ")
    span = f"'0' to '{last}'" if last else "'0'"
    way_out = "otherwise say `header` (--header 1)"
    assert told == [f"no header: columns are named by their numbers, {span}; {way_out}"]


def test_a_first_row_of_numbers_with_empty_ends_is_data(tmp_path):
    loaded = read_file(written(tmp_path, "1,2,,\n3,4,5,6\n"), rows=True)
    assert loaded.source.lengths.tolist() == [2, 4]


@pytest.mark.parametrize(
    ("first", "is_header"),
    [("1,2,3", True), ("1,2", False), ("2,3,4", False), ("1,2,4", False), ("0,1,2", True)],
)
def test_numbers_from_1_are_names_above_fractions_if_there_are_three(tmp_path, first, is_header):
    count = len(first.split(","))
    path = tmp_path / "a.csv"
    path.write_text("\n".join([first, *(",".join([f"{i}.5"] * count) for i in range(3))]))
    source = read_file(path, window=1).source
    assert len(source) == 3 + (not is_header)
    assert source.feature_names == tuple(first.split(",") if is_header else map(str, range(count)))


@pytest.mark.parametrize("text", ["0,1,2\n5,6,7\n", ",0,1,2\n0,5,6,7\n"])
def test_the_numbers_that_pandas_writes_above_columns_are_names(tmp_path, text):
    loaded = read_file(written(tmp_path, text), rows=True)
    np.testing.assert_array_equal(loaded.source.values[:, :, 0], [[5, 6, 7]])
    told = "first row, '0' to '2', taken as column names"
    assert told in loaded.notes


def test_a_header_one_name_short_leaves_out_the_row_number(tmp_path):
    loaded = read_file(written(tmp_path, '"a","b"\n"7",1,2\n"8",3,4\n', "a.txt"), window=1)
    np.testing.assert_array_equal(loaded.source.series[0], [[1, 2], [3, 4]])
    assert loaded.notes == (
        "the header has one name too few: the first column has no name",
        "the column without a name taken as row number, set aside",
        "2 columns as features: a, b",
    )


@pytest.mark.parametrize("header", ["a,b", "a,b,"])
def test_a_separator_at_the_end_of_every_row_makes_no_column(tmp_path, header):
    loaded = read_file(written(tmp_path, f"{header}\n1,2,\n3,4,\n"), window=1)
    np.testing.assert_array_equal(loaded.source.series[0], [[1, 2], [3, 4]])
    assert loaded.notes == ("2 columns as features: a, b",)


def test_whole_numbers_that_turn_into_fractions_far_down(tmp_path):
    path = written(tmp_path, "a\n" + "1\n" * 700_000 + "2.5\n")  # beyond Arrow's first block
    values = values_of(path)
    assert values.dtype == np.float64
    assert values[-1] == 2.5


def test_a_row_may_be_longer_than_the_limit_of_the_csv_module(tmp_path):
    path = written(tmp_path, ",".join(["0.125" + "0" * 60] * 2500) + "\n")
    assert read_file(path, rows=True).source.shape == (1, 2500, 1)


@pytest.mark.parametrize("separator", [",", " "])
def test_rows_with_different_numbers_of_fields_are_refused(tmp_path, separator):
    rows = [["a", "b"], ["1", "2"], ["3", "4"], ["5", "6", "7"], ["8"]]
    path = written(tmp_path, "\n".join(separator.join(row) for row in rows) + "\n", "a.txt")
    row = "5 6 7".replace(" ", separator)
    refused(
        path,
        f"line 4 has 3 fields instead of 2: {row!r}; write the same number of fields in every row, "
        "empty ones included.",
        window=1,
    )


def test_bytes_that_are_not_text_are_refused(tmp_path):
    end = (
        "so it is not a text table; save it as UTF-8, name its encoding with `encoding` "
        "(--encoding), or correct the ending of its name."
    )
    refused(written(tmp_path, b"\x01\xb0,1\n"), f"byte 0xb0 is not UTF-8, {end}", window=1)
    refused(written(tmp_path, b"PK\0\0,1\n"), f"the file contains zero bytes, {end}", window=1)


@pytest.mark.parametrize("rows", [600, 60_000])
def test_bytes_that_the_given_encoding_does_not_have_are_refused(tmp_path, rows):
    path = written(tmp_path, b"a,b\n" + b"1,2\n" * rows + b"\xb0,2\n")
    with pytest.raises(InputError, match=r"not utf8|cannot be read as utf-8"):
        read_file(path, window=1, encoding="utf-8")


def test_a_file_of_a_header_only_or_of_blank_lines_is_refused(tmp_path):
    refused(
        written(tmp_path, "a,b\n"),
        ("the file has a header but no rows; write the data below the header."),
        window=1,
    )
    refused(
        written(tmp_path, "\n  \n"), "the file contains only blank lines; write it again.", window=1
    )


@pytest.mark.parametrize("delimiter", [",", "\t", " "])
def test_lines_may_be_longer_than_arrow_reads_at_a_time(tmp_path, delimiter):
    names = [f"{'sensor' * 5000}{i}" for i in range(40)]  # a header of 1.2 MB
    rows = [[str(float(10 * i + j)) for j in range(40)] for i in range(6)]
    text = "\n".join(delimiter.join(row) for row in [names, *rows])
    loaded = read_file(written(tmp_path, text), window=6)
    assert list(loaded.source.feature_names) == names
    np.testing.assert_array_equal(loaded.source.series[0], np.array(rows, float))


def test_so_may_lines_far_down_and_all_lines(tmp_path):
    number = "1." + "0" * 3_000_000
    late = "a,b\n" + "1,2\n" * 300_000 + f"3,{number}\n1,2\n"
    (series,) = read_file(written(tmp_path, late), window=6).source.series
    assert (series.shape, series[-2].tolist()) == ((300_002, 2), [3, 1])
    loaded = read_file(written(tmp_path, f"{number},2\n3,{number}\n1,2\n4,5\n"), rows=True)
    assert loaded.source.values[:, :, 0].tolist() == [[1, 2], [3, 1], [1, 2], [4, 5]]


def test_text_that_arrow_cannot_read_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("unspool.io.delimited.LARGEST_BLOCK", 2_000_000)
    path = written(tmp_path, "a\n1\n" + "x" * 6_000_000 + "\n1\n")
    told = "the text cannot be read as a table: a line has more than 2 GiB; write the data as .npy."
    refused(path, told, window=1)


def test_long_cells_are_cut_short_in_messages(tmp_path):
    for cells in (["x" * 1000], ["1", "x" * 1000]):
        with pytest.raises(InputError, match=r"'x{60}…'"):
            read_file(written(tmp_path, "\n".join(["a", *cells, ""])), window=1)


@pytest.mark.parametrize(
    "text",
    [
        "Date;Time;a\n10/03/2004;00.00.00;1\n10/03/2004;;2\n11/03/2004;03.00.00;3\n",
        "date,hour,a\n2004-03-10,0,1\n2004-03-10,,2\n2004-03-10,3,3\n",
    ],
)
def test_an_empty_clock_is_refused_with_its_row(tmp_path, text):
    with pytest.raises(InputError, match=r"is empty in data row 2, and it is a part of the time"):
        read_file(written(tmp_path, text), window=1)


def test_points_before_three_digits_in_a_file_with_semicolons_are_reported(tmp_path):
    rows = "".join(f"{i};{1 + i}.{200 + i};0.{500 + i}\n" for i in range(6))
    path = written(tmp_path, "step;volume;share\n" + rows)
    loaded = read_file(path, window=1)
    assert loaded.source.series[0][0].tolist() == [1.2, 0.5]
    note = (
        "column 'volume' (1.200): points taken as decimal points; if they separate thousands: "
        "`thousands='.'`"
    )
    assert note in loaded.notes
    told = read_file(path, window=1, thousands=".", columns=["volume"])
    assert told.source.series[0][0, 0] == 1200
    assert note not in told.notes
    assert note not in read_file(path, window=1, decimal=".").notes
