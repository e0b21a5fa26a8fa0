import re
import zipfile

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.io.idx_files import idx_bytes
from unspool.data.messages import listed
from unspool.data.sequences import Sequences
from unspool.data.windows import Windows
from unspool.errors import InputError
from unspool.io.endings import KNOWN
from unspool.io.file_data import FileData
from unspool.io.files import read_file

ENDINGS = [".csv", ".txt", ".parquet", ".pq", ".npy", ".npz", ".ts", ".tsv", ".idx"]
IDX_NAMES = [".idx.gz", "-idx2-double", "-idx2-double.gz", ".idx2-double", ".IDX2-Double.GZ"]
TS = "@univariate true\n@classLabel true a b\n@data\n1,2,3:a\n4,5,6:b\n"


def refused(path, text, **arguments):
    with pytest.raises(InputError, match=f"^{re.escape(f'{path}: {text}')}$"):
        read_file(path, **arguments)


def two_sequences(path):
    """Write [1, 2, 3] and [4, 5, 6] in the format of the ending."""
    values = np.array([[1.0, 2, 3], [4, 5, 6]])
    ending = path.suffix.lower()
    if ending in (".parquet", ".pq"):
        pq.write_table(pa.table({f"s{i}": values[:, i] for i in range(3)}), path)
    elif ending == ".npy":
        np.save(path, values)
    elif ending == ".npz":
        np.savez(path, X=values)
    elif "idx" in path.name.lower():
        path.write_bytes(idx_bytes(values, gzipped=ending == ".gz"))
    else:
        text = {".ts": TS, ".tsv": "1\t1\t2\t3\n2\t4\t5\t6\n"}.get(ending, "1,2,3\n4,5,6\n")
        path.write_text(text)
    return path


@pytest.mark.parametrize("ending", [*ENDINGS, *IDX_NAMES, ".CSV", ".Parquet", ".TSV", ".Ts"])
def test_every_ending_in_any_case_leads_to_its_reader(tmp_path, ending):
    loaded = read_file(two_sequences(tmp_path / f"two{ending}"), rows=True)
    np.testing.assert_array_equal(loaded.source.values[:, :, 0], [[1, 2, 3], [4, 5, 6]])
    assert loaded.steps == {}
    assert loaded.series_ids is None


def test_a_path_may_be_a_string(tmp_path):
    path = two_sequences(tmp_path / "two.tsv")
    assert len(read_file(str(path)).source) == 2


@pytest.mark.parametrize(
    "name",
    ["a.cvs", "a.doc", "a", "a-idx", "a.yaml"],
)
def test_an_unknown_ending_is_refused_with_the_known_ones(tmp_path, name):
    path = tmp_path / name
    path.write_text("1,2\n")
    hint = "did you mean '.csv'? Known are" if name == "a.cvs" else "known are"
    listed = ", ".join(map(repr, sorted(KNOWN)[:30]))
    with pytest.raises(InputError) as caught:
        read_file(path)
    told = str(caught.value)
    assert told.startswith(f"{path}: unknown ending {path.suffix!r}: {hint} {listed}")


@pytest.mark.parametrize("name", ["a.tgz", "a.tar", "a.7z", "a.rar"])
def test_other_archives_are_refused_with_what_to_do(tmp_path, name):
    (tmp_path / name).write_text("1,2\n")
    ending = (tmp_path / name).suffix
    refused(
        tmp_path / name,
        f"archives that end in {ending} are not read; unpack it, and give the folder or a file in "
        "it.",
    )


def test_a_missing_file_and_a_folder_are_refused(tmp_path):
    refused(tmp_path / "no.csv", "there is no such file; check the path.")
    (tmp_path / "folder.csv").mkdir()
    refused(tmp_path / "folder.csv", "the folder contains no file; check the path.")


@pytest.mark.parametrize("ending", ENDINGS)
def test_an_empty_file_is_refused(tmp_path, ending):
    path = tmp_path / f"empty{ending}"
    path.touch()
    refused(path, "the file is empty (0 bytes); write it again.", window=2)


# Text cut in the middle of a row may still be whole, so only noise is tried there.
@pytest.mark.parametrize(
    ("ending", "cut"),
    [(ending, False) for ending in ENDINGS]
    + [(ending, True) for ending in (".parquet", ".pq", ".npy", ".npz", ".ts", ".idx", ".idx.gz")],
)
def test_garbled_bytes_raise_an_input_error_that_begins_with_the_file(tmp_path, ending, cut):
    path = two_sequences(tmp_path / f"garbled{ending}")
    whole = path.read_bytes()
    noise = np.random.default_rng(0).integers(128, 256, 500, np.uint8).tobytes()
    # The signature stays, so that a reader goes past it.
    path.write_bytes(whole[: len(whole) // 2] if cut else whole[:8] + noise)
    with pytest.raises(InputError, match=f"^{re.escape(str(path))}: "):
        read_file(path, rows=True)


@pytest.mark.parametrize("ending", [".npy", ".npz", ".ts", ".idx"])
def test_columns_are_refused_where_a_file_has_none(tmp_path, ending):
    path = two_sequences(tmp_path / f"two{ending}")
    refused(
        path,
        (
            f"`columns`, `label` cannot be used with a {ending} file, whose columns have no names; "
            "leave them out."
        ),
        columns=["a"],
        label="b",
    )


def test_all_wrong_arguments_are_reported_together(tmp_path):
    text = (
        "`window` must be a whole number of at least 1 or None, got 0.\n"
        "`stride` must be a whole number of at least 1, got 0.5.\n"
        "`tail` must be True or False, got 1.\n"
        "unknown `short` 'pad': known are 'error', 'keep'."
    )
    with pytest.raises(InputError, match=f"^{re.escape(text)}$"):
        read_file(tmp_path / "a.csv", window=0, stride=0.5, tail=1, short="pad")
    with pytest.raises(InputError, match=r"^`rows` must be True or False, got 'yes'\.$"):
        read_file(tmp_path / "a.csv", rows="yes")
    text = "`columns` must be a list of names, got the string 'a,b'."
    with pytest.raises(InputError, match=f"^{re.escape(text)}$"):
        read_file(tmp_path / "a.csv", columns="a,b")


@pytest.mark.parametrize(
    "argument",
    [{"stride": 2}, {"tail": True}, {"short": "keep"}, {"dilation": 2}, {"max_gap": "2h"}],
)
def test_how_to_cut_is_refused_where_nothing_is_cut(tmp_path, argument):
    text = (
        "`stride`, `tail`, `short`, `dilation` and `max_gap` say how to cut windows, but `window` "
        "is not given; set it to the number of steps of a window, or leave the others out."
    )
    with pytest.raises(InputError, match=f"^{re.escape(text)}$"):
        read_file(two_sequences(tmp_path / "two.tsv"), **argument)


def test_what_windows_complain_of_gets_the_name_of_the_file(tmp_path):
    refused(
        two_sequences(tmp_path / "two.npy"),
        "Expected a series of at least 9 steps (the window), got 2 in series 0; choose a "
        "smaller window, or keep short series as one window with short='keep'.",
        window=9,
    )


@pytest.mark.parametrize("ending", [".csv", ".npy", ".npz", ".ts", ".tsv", ".idx"])
def test_sequences_are_cut_one_by_one_and_keep_their_labels(tmp_path, ending):
    path = two_sequences(tmp_path / f"two{ending}")
    loaded = read_file(path, rows=True, window=2)
    assert isinstance(loaded.source, Windows)
    values, _ = loaded.source.take(np.arange(4))
    np.testing.assert_array_equal(values[:, :, 0], [[1, 2], [2, 3], [4, 5], [5, 6]])
    assert loaded.index["id"].tolist() == [0, 0, 1, 1]
    assert loaded.index["start"].tolist() == [0, 1, 0, 1]
    if ending in (".ts", ".tsv"):
        names = {".ts": list("aabb"), ".tsv": [1, 1, 2, 2]}[ending]
        assert loaded.index["label"].tolist() == names
    assert loaded.series_ids == [0, 1]
    assert loaded.steps == {}
    assert loaded.notes[-1] == "windows are cut from each of the 2 sequences, none across two"


def test_tail_stride_and_short_reach_the_windows(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("a\n" + "".join(f"{i}\n" for i in range(10)))
    loaded = read_file(path, window=4, stride=4, tail=True)
    assert loaded.index["start"].tolist() == [0, 4, 6]
    padded = read_file(path, window=99, short="keep")
    assert padded.source.lengths_of([0]).tolist() == [10]


def test_loaded_is_frozen_and_names_are_listed_up_to_eight():
    loaded = FileData(Sequences(np.zeros((1, 1, 1))), {}, {}, None, ())
    with pytest.raises(AttributeError, match="cannot assign to field 'notes'"):
        loaded.notes = ("other",)
    assert listed(["a", "b"]) == "a, b"
    assert listed([str(i) for i in range(10)]) == "0, 1, 2, 3, 4, 5, 6, 7 and 2 more"


def test_a_key_for_a_file_without_parts_is_refused(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("a,b\n1,2\n3,4\n")
    said = "`key`: 'x' names a part of a file of several, but a .csv file has one; leave it out."
    for data in (path, tmp_path):
        with pytest.raises(InputError) as caught:
            read_file(data, window=2, key="x")
        assert str(caught.value).endswith(said)
        (tmp_path / "b.csv").write_text("a,b\n1,2\n3,4\n")
    with zipfile.ZipFile(tmp_path / "c.zip", "w") as archive:
        archive.write(path, "a.csv")
    with pytest.raises(InputError, match=r"`key`: unknown file 'x': known are 'a[.]csv'"):
        read_file(tmp_path / "c.zip", window=2, key="x")
