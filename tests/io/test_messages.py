"""Messages about files that no other test compares; the path comes before each of them."""

import struct
import zipfile

import numpy as np
import pyarrow as pa
import pyarrow.dataset
import pyarrow.parquet as pq
import pytest

from unspool import read_file, sequences_from_table
from unspool.errors import InputError
from unspool.io import pictures


def text(content):
    return lambda path: path.write_bytes(
        content if isinstance(content, bytes) else content.encode()
    )


def parquet(**columns):
    return lambda path: pq.write_table(pa.table(columns), path)


def npy(values):
    return lambda path: np.save(path, values)


def matlab(**values):
    def write(path):
        from scipy.io import savemat

        savemat(path, values)

    return write


def cells(*values):
    found = np.empty((1, len(values)), object)
    found[0, :] = values
    return found


def zipped(*names):
    def write(path):
        with zipfile.ZipFile(path, "w") as archive:
            for name in names:
                archive.writestr(name, "a\n1\n")

    return write


def picture(width, height):
    def write(path):
        image = pytest.importorskip("PIL.Image")
        image.new("L", (width, height)).save(path)

    return write


def folder(**writers):
    """Write a folder; `x_csv` is the file x.csv."""

    def write(path):
        path.mkdir()
        for name, writer in writers.items():
            writer(path / name.replace("_", "."))

    return write


ARFF = "@relation r\n"
CHANNELS = f"{ARFF}@attribute x relational\n@attribute a numeric\n@end x\n"
MATRIX = np.ones((3, 2))
IN_PICTURES = "bring all to one size."
# The name of the file, what writes it, options, and the message.
CASES = [
    ("a.arff", text(f"{ARFF}@attribute a numeric\n@data\n"), {},
     "there are no rows below `@data`; write the file again."),
    ("a.arff", text(f"{ARFF}@attribute a numeric\n@data\n{{0 1}}\n"), {},
     "sparse rows, {0 1, …}, are not read; write every value."),
    ("a.arff", text(f"{ARFF}@data\n1\n"), {},
     "there is no `@attribute` before `@data`; write the file again."),
    ("a.arff", text(f"{CHANNELS}@attribute y relational\n@end y\n@data\n"), {},
     "line 5: only one relational attribute is read."),
    ("a.arff", text(f"{ARFF}@attribute x colour\n@data\n1\n"), {},
     "line 2: unknown type 'colour': known are numeric, real, integer, string, date, relational "
     "and {a, b, …}."),
    ("a.arff", text(f"{ARFF}@attribute x numeric\n"), {},
     "there is no line `@data`; write it between the attributes and the rows."),
    ("a.arff", text(f"{CHANNELS}@data\n'1,x\\n2,3'\n"), {},
     "row 1: the channels cannot be read: could not convert string to float: 'x'."),
    ("a.arff", text(f"{CHANNELS}@data\n'1,2\\n3,4'\n'1,2'\n"), {},
     "rows have 1 to 2 channels; write equally many."),
    ("a.arrow", text(b"ARROW1\0\0 and nothing"), {}, "the file cannot be read as Arrow: Not an"),
    ("a.parquet", text(b"PAR1 and nothing PAR1"), {}, "the file cannot be read as Parquet: "),
    ("a.zip", zipped("[Content_Types].xml"), {},
     "this is a spreadsheet; rename it to end in .xlsx."),
    ("a.npy", npy(np.zeros(3, [("a", "f8"), ("b", "c16")])), {},
     "field 'b' cannot be read as a column: Unsupported numpy type"),
    ("a.csv", text("a,b\n1,2\n"), {"skip": 2},
     "there is no text below the 2 lines that are skipped; check `skip` (--skip)."),
    ("a.csv", text("# a\n# b\n"), {},
     "the file contains only comments; write the data below them."),
    ("a.json", text(b'[{"a": "\xff"}]'), {},
     "the text is not UTF-8 (invalid start byte); save it as UTF-8."),
    ("a.json", text("[{}]"), {}, "the file contains no records; write it again."),
    ("a.json", text('{"a": [1, [2]], "b": [1, 2]}'), {},
     "column 'a' mixes values and lists or objects; correct the file."),
    ("a.parquet", parquet(a=[[1.0, 2.0], [3.0, 4.0]], b=[1.0, 2.0]), {"columns": ["a", "b"]},
     "`columns`: 'b' is no column of lists, as the others are; the columns of lists are a."),
    ("a.parquet", parquet(a=[[1.0, 2.0], [3.0, 4.0]]), {"drop": ["a"]},
     "no column holds lists of numbers; name the features with `columns`."),
    ("a.parquet", parquet(a=[[[1.0, 2.0]]], b=[[[1.0, 2.0]]]), {},
     "several columns hold lists of lists, (T, F) in each cell; name one of them with `columns`."),
    ("a.parquet", parquet(a=[[[1.0, 2.0]]], b=[[1.0, 2.0]]), {},
     "cells must hold lists of T values, or lists of T lists of F values; name columns of one kind "
     "with `columns`."),
    ("a.parquet", parquet(a=[[1.0, 2.0], None]), {},
     "column 'a' is empty in data row 2; drop such rows."),
    ("a.parquet", parquet(a=[[1.0, 2.0], []]), {},
     "the list of data row 2 has no values; drop such rows."),
    ("a.mat", matlab(a=cells(MATRIX, "x")), {},
     "cell 2 of 'a' is no matrix of numbers; name another `key`."),
    ("a.mat", matlab(a=cells(MATRIX, np.ones((3, 4)))), {},
     "the cells of 'a' have 2 to 4 columns; give all cells the shape (T, F)."),
    ("a.mat", matlab(a=cells(MATRIX, "x"), b=cells(MATRIX, "x")), {},
     "the file contains no array of numbers, but 'a', 'b'; name a cell array with `key` (--key "
     "NAME)."),
    ("a.mat", matlab(a="text"), {}, "the file contains no array of numbers, but 'a' (<U4)."),
    ("a.mat", text(struct.pack("<5i", 0, 20_000, 20_000, 0, 2) + b"x\0"), {},
     "the file has 22 bytes, but its variables have 400,000,000 values; if that is intended, write "
     "it as .npy."),
    ("a.jsonl", text(b'{"a": ["\xff"]}\n{"a": ["b"]}\n'), {},
     "the text is not UTF-8 (invalid start byte); save it as UTF-8."),
    ("a.json", text('[{"a": "x\\ud800"}]'), {},
     "a text contains '\\ud800', which is half of a character; write the file again."),
    ("a.parquet", parquet(a=[[1.0, 2.0], [3.0, 4.0]]), {"stream": True},
     "cells hold lists, which are not read in pieces; give stream=False (--no-stream) to read the "
     "whole file."),
    ("a.parquet", parquet(a=[1.0, 2.0], b=["x", "y"]), {"stream": True, "columns": ["a", "b"]},
     "column 'b' contains string, which is not read in pieces; leave it out with drop=['b'] "
     "(--drop b), or give stream=False (--no-stream) to read the whole file."),
    ("a.npy", npy(np.ones((4, 3, 2))), {"stream": True, "window": 2},
     "windows of sequences are not read in pieces; give stream=False (--no-stream) to read the "
     "whole file, or leave `window` out."),
    ("a.csv", text("a,b\n1,\n,2\n3,\n"), {"window": 1, "missing": "drop"},
     "every step has a missing value (1 in a, 2 in b), so missing='drop' (--on-missing drop) "
     "leaves none; leave out columns that are mostly missing."),
    ("a.csv", text("a,b\n1,\n2,1\n3,4\n"),
     {"window": 1, "missing": "interpolate", "interpolate_limit": 1},
     "1 missing value cannot be interpolated, since it is at the start or the end of a series, or "
     "in runs of more than 1; the first is column 'b' at step 0. Give missing='drop' (--on-missing "
     "drop) or missing='mask' (--on-missing mask), or a larger `interpolate_limit`."),
    ("a.csv", text("a,b\n1,2\n"), {"time": ["a", "c"], "window": 1},
     "`time`: there is no column 'c'; the file has a, b."),
    ("a.csv", text("a,b,c\nx,y,1\nz,y,2\n"), {"time": ["a", "b"], "window": 1},
     "the columns a, b cannot be joined as times (the first row has 'x y'); name a date and a "
     "clock, or year, month, day and hour."),
    ("a.tsv", text("1\t2\n1\n"), {},
     "line 2: expected a label and steps, separated by tabs, got '1'; if the table has other "
     "separators, rename it to end in .csv or .txt."),
    ("a", folder(x_png=picture(3, 2), y_png=picture(2, 2)), {"images": True},
     f"y.png: the picture has 2x2 pixels, but x.png has 2x3; {IN_PICTURES}"),
    ("a", folder(x_npy=npy(MATRIX), y_npy=npy(MATRIX)), {"files": "rows"},
     "`files`: only tables are joined to rows; leave it out."),
    ("a", folder(x_npy=npy(np.ones((3, 2, 2))), y_npy=npy(MATRIX)), {"window": 1},
     "y.npy holds one matrix, but x.npy sequences; select files of one form with a pattern."),
    ("a", folder(x_npy=npy(MATRIX), y_npy=npy(np.ones((3, 4)))), {"window": 1},
     "y.npy has 4 features, but x.npy has 2; select files of one form with a pattern."),
    ("a", folder(x_zip=zipped("a.csv", "b.csv"), y_zip=zipped("a.csv", "b.csv")), {"window": 1},
     "x.zip: the archive has several files; unpack it."),
    ("a", folder(x_parquet=parquet(a=[1.0]), y_parquet=parquet(a=["x"])), {"window": 1},
     "the files have columns of different types: Unable to merge: Field a has incompatible"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "write", "options", "message"), CASES, ids=[case[-1] for case in CASES]
)
def test_what_is_wrong_with_a_file_is_said_in_full(tmp_path, name, write, options, message):
    path = tmp_path / name
    write(path)
    with pytest.raises(InputError) as caught:
        read_file(path, **options)
    found = str(caught.value)
    assert found.startswith(f"{path}: {message}")
    assert found.endswith(".")


def test_an_unknown_directive_of_a_format_of_times_is_named(tmp_path):
    with pytest.raises(InputError) as caught:
        read_file(tmp_path / "a.csv", date_format="%Q")
    assert str(caught.value) == (
        "`date_format` (--date-format): the directive %Q is unknown; use %Y %y %m %b %d %j %H %I "
        "%M %S %f %p %a %z."
    )


def test_a_picture_that_is_too_large_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(pictures, "MAX_PIXELS", 4)
    folder(x_png=picture(3, 2))(tmp_path / "a")
    refused(tmp_path / "a", "x.png: the picture has 2x3 pixels; make it smaller.", images=True)


def test_a_key_that_several_arrays_end_with_is_refused(tmp_path):
    h5py = pytest.importorskip("h5py")
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file["x/v"], file["y/v"] = MATRIX, MATRIX
    refused(path, "`key`: several arrays end with 'v': x/v, y/v.", key="v")


def test_values_in_other_files_are_not_read(tmp_path):
    h5py = pytest.importorskip("h5py")
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("v", (3, 2), "f4", external=[(str(tmp_path / "raw"), 0, 24)])
    refused(path, "the values are in other files, which are not read; write one file.")


def test_cells_of_very_different_lengths_are_not_padded(tmp_path):
    path = tmp_path / "a.mat"
    matlab(a=cells(*[np.ones((2, 1))] * 4000, np.ones((1 << 14, 1))))(path)
    refused(path, "the cells of 'a' differ too much in length to be padded.")


def test_a_word_in_a_file_of_the_ucr_archive_is_named(tmp_path):
    path = tmp_path / "a_TRAIN.tsv"
    path.write_text("1\t2\t3\n" * 9 + "1\t2\tx\n")
    refused(
        path,
        "line 10: expected a number at step 1, got 'x'; correct it; if the file is a table with a "
        "header, rename it to end in .csv or .txt.",
    )


def test_bytes_of_another_encoding_far_below_the_header_are_refused(tmp_path):
    path = tmp_path / "a.csv"
    path.write_bytes(b"a,b\n" + b"1,2\n" * 100_000 + b"1,\xe9\n")
    refused(path, "a column contains bytes that are not utf8, so it is", window=1, encoding="utf-8")


def refused(path, message, **options):
    with pytest.raises(InputError) as caught:
        read_file(path, **options)
    assert str(caught.value).startswith(f"{path}: {message}")


def test_a_data_set_of_many_sequences_needs_an_id(tmp_path):
    parquet(a=[1.0, 2.0])(tmp_path / "a.parquet")
    with pytest.raises(InputError) as caught:
        sequences_from_table(pyarrow.dataset.dataset(tmp_path))
    assert str(caught.value) == (
        "Expected `id`, the column that says which sequence a row belongs to; cut a data set that "
        "is one series with Windows(dataset, size)."
    )


def test_times_of_a_table_that_are_words_are_refused():
    table = pa.table({"id": [*"aabb"], "time": ["noon", "night"] * 2, "v": [1.0, 2, 3, 4]})
    with pytest.raises(InputError) as caught:
        sequences_from_table(table, id="id", time="time")
    assert str(caught.value) == (
        "column 'time' cannot be read as numbers or as dates and times (its first value is "
        "'noon'); write times like 2024-01-31 13:00:00."
    )


@pytest.mark.parametrize(
    "times",
    [
        np.array(["2024-01-01", "NaT", "2024-01-01", "2024-01-02"], "M8[s]"),
        [1.0, None, 1.0, 2.0],
        ["2024-01-01", None, "2024-01-01", "2024-01-02"],
    ],
    ids=["dates", "numbers", "texts"],
)
def test_a_time_of_a_table_that_is_missing_is_refused(times):
    table = pa.table({"id": [*"aabb"], "time": times, "v": [1.0, 2, 3, 4]})
    with pytest.raises(InputError) as caught:
        sequences_from_table(table, id="id", time="time")
    assert str(caught.value) == (
        "time column 'time' is empty in data row 2; fill it, since every row needs a time."
    )
