"""Folders and patterns of files that each hold sequences, arrays or images."""

import gzip
import re
import struct

import numpy as np
import pytest

from unspool.errors import InputError
from unspool.io.files import read_file
from unspool.io.loading import table_of

ROWS = np.arange(40.0).reshape(2, 20)


def refused(path, text, **arguments):
    with pytest.raises(InputError, match=f"^{re.escape(f'{path}: {text}')}"):
        read_file(path, **arguments)


def ts(values, labels="ab"):
    lines = [
        f"{','.join(map(str, row))}:{label}" for row, label in zip(values, labels, strict=False)
    ]
    return "\n".join(["@univariate true", "@classLabel true a b", "@data", *lines, ""])


def ucr(values):
    return "".join(f"{i}\t" + "\t".join(map(str, row)) + "\n" for i, row in enumerate(values, 1))


def idx(values):
    values = np.asarray(values, np.uint8)
    sizes = struct.pack(f">{values.ndim}I", *values.shape)
    return b"\0\0\x08" + bytes([values.ndim]) + sizes + values.tobytes()


@pytest.mark.parametrize("pack", [False, True])
def test_sequences_of_ts_files_are_joined(tmp_path, pack):
    for name, values in (("b", ROWS[:1, :12] + 100), ("a", ROWS)):
        text = ts(values).encode()
        path = tmp_path / f"{name}.ts{'.gz' * pack}"
        path.write_bytes(gzip.compress(text) if pack else text)
    loaded = read_file(tmp_path)
    assert loaded.index["id"].tolist() == ["a/0", "a/1", "b"]
    assert loaded.index["label"].tolist() == ["a", "b", "a"]
    assert loaded.source.lengths.tolist() == [20, 20, 12]
    np.testing.assert_array_equal(loaded.source[1][:, 0], ROWS[1])
    np.testing.assert_array_equal(loaded.source[2][:, 0], 100 + np.arange(12))
    loaded = read_file(tmp_path, window=10)
    assert loaded.series_ids == ["a/0", "a/1", "b"]
    assert len(loaded.source) == 11 + 11 + 3


def test_sequences_of_tsv_files_are_joined_and_those_of_tables_are_series(tmp_path):
    for name in "ab":
        (tmp_path / f"{name}.tsv").write_text(ucr(ROWS))
    loaded = read_file(tmp_path / "*.tsv")
    assert loaded.source.shape == (4, 20, 1)
    assert loaded.index["label"].tolist() == [1, 2, 1, 2]
    (tmp_path / "c.tsv").write_text("flow\theat\n1\t2\n3\t4\n")
    refused(tmp_path, "c.tsv holds a table, but a.tsv sequences, one in each line; select files of")
    for name in "ab":
        (tmp_path / f"{name}.tsv").write_text("flow\theat\n1\t2\n3\t4\n")
    assert read_file(tmp_path, window=2).series_ids == ["a", "b", "c"]


def test_images_of_idx_files_are_joined_with_the_labels_of_other_files(tmp_path):
    images = np.arange(5 * 3 * 4).reshape(5, 3, 4)
    (tmp_path / "t10k-images-idx3-ubyte").write_bytes(idx(images[:2]))
    (tmp_path / "t10k-labels-idx1-ubyte").write_bytes(idx([7, 8]))
    (tmp_path / "train-images-idx3-ubyte.gz").write_bytes(gzip.compress(idx(images[2:])))
    (tmp_path / "train-labels-idx1-ubyte.gz").write_bytes(gzip.compress(idx([1, 2, 3])))
    for path in tmp_path.iterdir():
        if path.suffix != ".gz":
            path.with_name(f"{path.name}.gz").write_bytes(gzip.compress(path.read_bytes()))
            path.unlink()
    loaded = read_file(tmp_path, images=True)
    assert (loaded.X.shape, loaded.image_shape) == ((5, 3, 4, 1), (3, 4, 1))
    np.testing.assert_array_equal(loaded.X[..., 0], images)
    assert loaded.index["label"].tolist() == [7, 8, 1, 2, 3]
    assert read_file(tmp_path).source.shape == (5, 3, 4)
    (tmp_path / "train-labels-idx1-ubyte.gz").write_bytes(gzip.compress(idx([1, 2])))
    refused(
        tmp_path,
        "train-labels-idx1-ubyte.gz has labels of shape (2,), but train-images-idx3-ubyte.gz has 3 "
        "images; give both files of one data set.",
    )
    (tmp_path / "train-labels-idx1-ubyte.gz").unlink()
    refused(
        tmp_path, "t10k-images-idx3-ubyte.gz has labels, but train-images-idx3-ubyte.gz has none"
    )
    (tmp_path / "t10k-labels-idx1-ubyte.gz").unlink()
    (tmp_path / "train-images-idx3-ubyte.gz").write_bytes(gzip.compress(idx(images[:, :2])))
    refused(
        tmp_path,
        "train-images-idx3-ubyte.gz has images of (2, 4, 1), but t10k-images-idx3-ubyte.gz of",
        images=True,
    )


def test_arrays_of_sequences_are_joined_and_matrices_are_series(tmp_path):
    np.savez(tmp_path / "a.npz", X=np.zeros((3, 5, 2)), y=[0, 1, 0])
    np.savez(tmp_path / "b.npz", X=np.ones((2, 7, 2)), y=["u", "v"])
    loaded = read_file(tmp_path)
    assert loaded.index["label"].tolist() == ["0", "1", "0", "u", "v"]
    assert loaded.index["id"].tolist() == ["a/0", "a/1", "a/2", "b/0", "b/1"]
    assert loaded.source.lengths.tolist() == [5, 5, 5, 7, 7]
    assert len(read_file(tmp_path, window=5).source) == 3 + 2 * 3
    np.savez(tmp_path / "c.npz", X=np.ones((2, 7, 3)), y=[1, 2])
    refused(tmp_path, "c.npz has 3 features, but a.npz has 2; select files of one form")
    for name in "abc":
        np.savez(tmp_path / f"{name}.npz", X=np.ones((8, 3)), y=np.arange(8) % 2)
    loaded = read_file(tmp_path, window=4)
    assert (loaded.series_ids, len(loaded.source)) == (["a", "b", "c"], 15)
    assert [one.tolist() for one in loaded.steps["label"]] == [[0, 1] * 4] * 3
    assert read_file(tmp_path).source.shape == (24, 3, 1)
    np.savez(tmp_path / "b.npz", X=np.ones((8, 3)))
    refused(tmp_path, "b.npz has no labels, but others have; select files", window=4)
    np.savez(tmp_path / "b.npz", X=np.ones((8, 3)), y=[1])
    refused(tmp_path, "b.npz has labels of shape (1,), but 8 steps; write one label", window=4)


def test_a_file_of_sequences_has_no_columns(tmp_path):
    (tmp_path / "a.ts").write_text(ts(ROWS))
    with pytest.raises(InputError, match=r"^a .ts file contains sequences; give one file[.]$"):
        table_of(tmp_path / "a.ts")


def test_relational_arff_files_are_joined(tmp_path):
    for name, label in (("a", "up"), ("b", "down")):
        (tmp_path / f"{name}.arff").write_text(
            "@relation r\n@attribute bag relational\n@attribute t0 numeric\n"
            "@attribute t1 numeric\n@attribute t2 numeric\n@end bag\n"
            f"@attribute class {{up,down}}\n@data\n'1,2,3\\n4,5,6',{label}\n"
        )
    loaded = read_file(tmp_path)
    assert loaded.source.shape == (2, 3, 2)
    assert loaded.index["label"].tolist() == ["up", "down"]


def test_files_of_several_formats_are_refused_by_name(tmp_path):
    for name in ("a.csv", "b.json"):
        (tmp_path / f"{name}.gz").write_bytes(gzip.compress(b"a,b\n1,2\n2,3\n"))
    refused(tmp_path, "there are files that end in .csv.gz, .json.gz; select those of one format")
    (tmp_path / "m").mkdir()
    np.savez(tmp_path / "m" / "a.npz", X=np.ones((8, 3)))
    fields = np.array([(1.0, 2.0), (2.0, 3.0)], dtype=[("u", float), ("v", float)])
    np.savez(tmp_path / "m" / "b.npz", X=fields)
    refused(tmp_path / "m", "b.npz holds a table, but a.npz an array; select files", window=2)
