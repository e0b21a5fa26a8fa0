import re

import numpy as np
import pytest

from unspool.data.sequences import MASK_HINT
from unspool.errors import InputError
from unspool.io.files import read_file
from unspool.io.ucr import DIRECTIVES

HEADER = "#a comment\n@problemName two\n@timeStamps false\n@missing false\n"
MULTI = HEADER + "@univariate false\n@dimensions 2\n@classLabel true up down\n@data\n"
UNI = HEADER + "@univariate true\n@classLabel true up down\n@data\n"
KNOWN = ", ".join(sorted(repr(f"@{name}") for name in DIRECTIVES))


def ts(tmp_path, text):
    path = tmp_path / "a.ts"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def tsv(tmp_path, text):
    path = tmp_path / "a.tsv"
    path.write_text(text)
    return path


def refused(path, text, **arguments):
    with pytest.raises(InputError, match=f"^{re.escape(f'{path}: {text}')}$"):
        read_file(path, **arguments)


def test_tsv_is_a_label_and_a_sequence_in_each_row(tmp_path):
    loaded = read_file(tsv(tmp_path, "1\t0.5\t-1e-3\t2\n-1\t3\t4\t5\n"))
    np.testing.assert_array_equal(loaded.source.values[:, :, 0], [[0.5, -0.001, 2], [3, 4, 5]])
    assert loaded.index["label"].dtype == np.int64
    assert loaded.index["label"].tolist() == [1, -1]
    assert loaded.notes == (
        "each row is a label and a sequence, as in the UCR archive; if it is a table, say `header` "
        "(--header)",
    )
    assert loaded.series_ids is None


@pytest.mark.parametrize(
    ("label", "kept"), [("2", [1, 2]), ("2.0", [1, 2]), ("1.5", ["1", "1.5"]), ("b", ["1", "b"])]
)
def test_tsv_labels_are_whole_numbers_where_all_are(tmp_path, label, kept):
    loaded = read_file(tsv(tmp_path, f"1\t0\n{label}\t0\n"))
    assert loaded.index["label"].tolist() == kept
    assert loaded.index["label"].dtype.kind == ("i" if kept == [1, 2] else "U")


def test_tsv_with_nan_at_the_end_is_padded(tmp_path):
    loaded = read_file(tsv(tmp_path, "1\t1\t2\t3\n2\t4\tNaN\t\n"))
    assert loaded.source.lengths.tolist() == [3, 1]
    assert loaded.source.values[1, :, 0].tolist() == [4, 0, 0]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            "1\t1\tNaN\t3\n",
            "line 1: step 1 of channel 0 is nan; fill or drop "
            f"it{MASK_HINT} (only NaN in every channel at "
            "the end of a sequence is padding).",
        ),
        (
            "1\t1\t2\n\n2\t1\tinf\n",
            "line 3: step 1 of channel 0 is inf; fill or drop it (only NaN in every channel at "
            "the end of a sequence is padding).",
        ),
        ("1\tNaN\tNaN\n", "line 1: the sequence has no value; drop the line."),
        (
            "1\t1\t2\n2\t3\n",
            (
                "line 2: expected 2 steps as in the first line, got 1; pad shorter sequences with "
                "NaN."
            ),
        ),
    ],
)
def test_errors_in_a_tsv_file_are_reported_with_their_line(tmp_path, text, told):
    refused(tsv(tmp_path, text), told)


@pytest.mark.parametrize(
    "text", ["time\tvalue\n0\t1\n1\t2\n", "2024-01-01\t1\t2\n2024-01-02\t3\t4\n", "a,b\n1,2\n"]
)
def test_tsv_with_a_header_dates_or_commas_is_a_table(tmp_path, text):
    assert len(read_file(tsv(tmp_path, text), window=1).source.series) == 1


def test_tsv_of_numbers_is_a_table_if_the_user_says_so(tmp_path):
    loaded = read_file(tsv(tmp_path, "1\t2\n3\t4\n"), window=1, header=0)
    np.testing.assert_array_equal(loaded.source.series[0], [[1, 2], [3, 4]])


def test_ts_with_channels_of_unequal_lengths(tmp_path):
    path = ts(tmp_path, MULTI + "1,2,3:4,5,6:up\n\n# between\n7.5:8e1:down\n")
    loaded = read_file(path)
    assert loaded.source.lengths.tolist() == [3, 1]
    np.testing.assert_array_equal(loaded.source[0], [[1, 4], [2, 5], [3, 6]])
    np.testing.assert_array_equal(loaded.source[1], [[7.5, 80]])
    assert loaded.index["label"].tolist() == ["up", "down"]
    assert loaded.notes == (
        "2 sequences of 2 channels",
        "last field of each line taken as label in column 'label'",
    )


def test_ts_directives_in_any_case_and_odd_bytes_in_comments(tmp_path):
    text = MULTI.replace("@dimensions", "@DIMENSIONS").replace("@classLabel", "@ClassLabel")
    path = ts(
        tmp_path, "\ufeff".encode() + "#caf\xe9\n".encode("latin-1") + text.encode() + b"1:2:up\n"
    )
    assert read_file(path).source.shape == (1, 1, 2)


def test_ts_labels_stay_strings_and_targets_are_numbers(tmp_path):
    loaded = read_file(ts(tmp_path, "@classLabel true 1 2\n@data\n1,2:2\n"))
    assert loaded.index["label"].tolist() == ["2"]
    loaded = read_file(ts(tmp_path, "@classLabel false\n@targetlabel true\n@data\n1,2:2\n"))
    assert loaded.index["label"].tolist() == [2.0]
    assert (
        loaded.notes[-1] == "last field of each line taken as target, a number, in column 'label'"
    )
    loaded = read_file(ts(tmp_path, "@univariate true\n@classLabel false\n@data\n1,2\n"))
    assert loaded.index == {}


def test_ts_padding_is_missing_in_all_channels_up_to_the_end(tmp_path):
    loaded = read_file(ts(tmp_path, MULTI + "1,2,?:3,4,NaN:up\n"))
    np.testing.assert_array_equal(loaded.source[0], [[1, 3], [2, 4]])


def test_ts_without_dimensions_uses_those_of_the_first_line(tmp_path):
    path = ts(tmp_path, MULTI.replace("@dimensions 2\n", "") + "1:2:3:up\n1:2:up\n")
    refused(
        path,
        "line 9: expected 3 channels, got 2; separate the channels and the label by ':'.",
    )


@pytest.mark.parametrize(("header", "dimensions", "line"), [(MULTI, 2, 9), (UNI, 1, 8)])
def test_ts_with_other_channels_than_declared(tmp_path, header, dimensions, line):
    told = f"expected {dimensions} channels, got 3; separate the channels and the label by ':'."
    refused(ts(tmp_path, header + "1:2:3:up\n"), f"line {line}: {told}")


@pytest.mark.parametrize(
    ("header", "told"),
    [
        (
            "@univariate true\n",
            "there is no line `@data`; write it between the header and the sequences.",
        ),
        (
            "@univariate true\n1,2:up\n",
            "line 2: expected a directive such as `@data` before the sequences, got '1,2:up'; "
            "write the header above them.",
        ),
        (
            "@dimension 2\n@data\n1:2\n",
            "line 1: unknown directive '@dimension': did you mean '@dimensions'? "
            f"Known are {KNOWN}.",
        ),
        (
            "@dimensions two\n@data\n",
            "line 1: expected a whole number of at least 1 after `@dimensions`, got 'two'.",
        ),
        (
            "@seriesLength 0\n@data\n",
            "line 1: expected a whole number of at least 1 after `@seriesLength`, got '0'.",
        ),
        (
            "@univariate yes\n@data\n",
            "line 1: expected true or false after `@univariate`, got 'yes'.",
        ),
        (
            "@missing\n@data\n",
            "line 1: expected true or false after `@missing`, got ''.",
        ),
        (
            "#\n@timestamps true\n@data\n1,2,3\n",
            "line 4: expected pairs of a time and a value, such as (0,1.5), since the header has "
            "`@timeStamps true`, got '1,2,3'.",
        ),
        (
            "@classLabel true\n@data\n",
            ("line 1: expected labels after `@classLabel true`, got none; list them."),
        ),
        ("@univariate true\n@data\n\n", "there is no sequence below `@data`; write one per line."),
    ],
)
def test_errors_in_a_ts_header_are_reported_with_their_line(tmp_path, header, told):
    refused(ts(tmp_path, header), told)


@pytest.mark.parametrize(
    ("line", "told"),
    [
        (
            "1,2:3:up",
            (
                "expected 2 steps in channel 1, as in channel 0, got 1; write the same "
                "number of values."
            ),
        ),
        (
            "1,2:3,4:5,6:up",
            "expected 2 channels, got 3; separate the channels and the label by ':'.",
        ),
        ("1,2:up", "expected 2 channels, got 1; separate the channels and the label by ':'."),
        ("1,x:3,4:up", "expected a number at channel 0, step 1, got 'x'; correct it."),
        (
            "1,2:?,4:up",
            "step 0 of channel 1 is nan; fill or drop "
            f"it{MASK_HINT} (only NaN in every channel at the end "
            "of a sequence is padding).",
        ),
        (
            "1,2:3,?:up",
            "step 1 of channel 1 is nan; fill or drop "
            f"it{MASK_HINT} (only NaN in every channel at the end "
            "of a sequence is padding).",
        ),
        ("1,2:3,4:dwn", "unknown label 'dwn': did you mean 'down'? Known are 'down', 'up'."),
        ("?,?:?,?:up", "the sequence has no value; drop the line."),
    ],
)
def test_errors_in_a_ts_sequence_are_reported_with_their_line(tmp_path, line, told):
    told = told.replace("in channel 0 like", "in channel 1 like")
    refused(ts(tmp_path, MULTI + f"1:2:up\n{line}\n"), f"line 10: {told}")


def test_ts_that_breaks_its_promise_of_equal_lengths(tmp_path):
    header = UNI.replace("@data", "@equalLength true\n@data")
    told = "steps, since the header has `@equalLength true`, got 1; correct the header or the line."
    refused(ts(tmp_path, header + "1,2:up\n3:up\n"), f"line 10: expected 2 {told}")
    header = header.replace("@data", "@seriesLength 3\n@data")
    refused(ts(tmp_path, header + "1:up\n"), f"line 10: expected 3 {told}")


def test_unreadable_targets_and_bytes_of_a_ts_file_are_refused(tmp_path):
    path = ts(tmp_path, "@targetlabel true\n@data\n1,2:high\n")
    refused(path, "line 3: expected a number as target, got 'high'; correct it.")
    path = ts(tmp_path, UNI.encode() + b"1,2:\xb0\n")
    refused(path, "line 8: byte 0xb0 is not UTF-8 text; save the file as UTF-8.")


def test_time_stamps_and_unknown_directives_of_a_ts_file_are_left_out_with_a_note(tmp_path):
    path = tmp_path / "a.ts"
    path.write_text(
        "@problemName x\n@timeStamps true\n@classLabel true a b\n@source lab\n@data\n"
        "(0,1.5),(1,?),(2,3):(0,4),(1,5),(2,6):a\n"
        "(2024-01-01 00:00:00,1),(2024-01-01 01:00:00,2):(2024-01-01 00:00:00,3),(x,4):b\n"
    )
    loaded = read_file(path, missing="mask")
    np.testing.assert_array_equal(loaded.source[0], [[1.5, 4], [np.nan, 5], [3, 6]])
    np.testing.assert_array_equal(loaded.source[1], [[1, 3], [2, 4]])
    assert loaded.index["label"].tolist() == ["a", "b"]
    assert "time stamps are left out" in loaded.notes[1]
    assert loaded.notes[2] == "unknown directives are left out: @source"


@pytest.mark.parametrize(
    ("start", "step", "features"), [(100, 1, ("1", "2")), (0, 3, ("0", "1", "2"))]
)
def test_tsv_whose_first_column_rises_in_every_row_is_a_table(tmp_path, start, step, features):
    rows = [f"{start + step * i}\t{i % 5}.5\t{i % 7}" for i in range(40)]
    data = read_file(tsv(tmp_path, "\n".join(rows)), window=8)
    assert len(data.source) == 33
    assert data.source.n_features == len(features)
