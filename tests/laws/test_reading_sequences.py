"""Sequences and series in the formats of archives and arrays are read as they were written."""

import gzip
import lzma
from dataclasses import dataclass

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet
from hypothesis import given
from hypothesis import strategies as st
from scipy.io import savemat

from tests.io.idx_files import TYPES, idx_bytes
from unspool import read_file

finite = st.floats(-1e6, 1e6, allow_subnormal=False).map(lambda x: float(f"{x:.6g}"))


@dataclass
class Archive:
    """Sequences of one length or several, with a label each."""

    sequences: list[np.ndarray]
    labels: list[str]

    @property
    def lengths(self):
        return [len(one) for one in self.sequences]

    @property
    def padded(self):
        whole = np.full((len(self.sequences), max(self.lengths), self.sequences[0].shape[1]), 7.0)
        for row, one in zip(whole, self.sequences, strict=True):
            row[: len(one)] = one
        return whole


@st.composite
def archives(draw, least=1, features=(1, 2, 3), equal=None):
    count, width = draw(st.integers(2, 5)), draw(st.sampled_from(features))
    longest = draw(st.integers(max(least, 3), max(least, 3) + 4))
    equal = draw(st.booleans()) if equal is None else equal
    lengths = [longest if equal else draw(st.integers(least, longest)) for _ in range(count)]
    values = draw(st.lists(finite, min_size=sum(lengths) * width, max_size=sum(lengths) * width))
    cut = np.split(np.reshape(values, (-1, width)), np.cumsum(lengths)[:-1])
    labels = draw(st.lists(st.sampled_from(("up", "down", "b1")), min_size=count, max_size=count))
    return Archive([np.array(one, np.float64) for one in cut], labels)


def assert_sequences(data, archive, *, labels=True):
    source = data.source
    assert source.lengths.tolist() == archive.lengths
    for i, one in enumerate(archive.sequences):
        np.testing.assert_array_equal(source.values[i, : len(one)], one)
    if labels:
        assert [str(one) for one in data.index["label"]] == archive.labels


def as_ts(archive):
    """Lines of the format of aeon: values by commas, features by colons."""
    width = archive.sequences[0].shape[1]
    head = f"@univariate {'true' if width == 1 else 'false'}\n"
    head += f"@dimensions {width}\n" * (width > 1)
    head += f"@classLabel true {' '.join(sorted(set(archive.labels)))}\n@data\n"
    rows = [
        ":".join([*(",".join(map(repr, column.tolist())) for column in one.T), label])
        for one, label in zip(archive.sequences, archive.labels, strict=True)
    ]
    return head + "\n".join(rows) + "\n"


def as_relational(archive):
    """A relational attribute of ARFF: each row holds the lines of its features."""
    steps = "".join(f"@attribute t{i} numeric\n" for i in range(max(archive.lengths)))
    head = f"@relation a\n@attribute values relational\n{steps}@end values\n"
    head += "@attribute target {up,down,b1}\n@data\n"
    rows = []
    for one, label in zip(archive.padded, archive.labels, strict=True):
        lines = "\\n".join(",".join(map(repr, column.tolist())) for column in one.T)
        rows.append(f"'{lines}',{label}\n")
    return head + "".join(rows)


@given(archives())
def test_a_ts_file_has_the_sequences_and_labels_that_were_written(folder, archive):
    path = folder / "a.ts"
    path.write_text(as_ts(archive))
    assert_sequences(read_file(path), archive)


@given(archives(equal=True))
def test_a_relational_arff_file_has_the_sequences_and_labels_that_were_written(folder, archive):
    path = folder / "a.arff"
    path.write_text(as_relational(archive))
    assert_sequences(read_file(path), archive)


@given(archives(least=16, features=(1,), equal=True))
def test_a_file_of_the_ucr_archive_has_the_sequences_and_labels_that_were_written(folder, archive):
    path = folder / "a_TRAIN.tsv"
    numbers = {"up": "1", "down": "2", "b1": "-1"}
    archive.labels = [numbers[one] for one in archive.labels]
    rows = [
        "\t".join([label, *map(repr, one[:, 0].tolist())])
        for one, label in zip(archive.sequences, archive.labels, strict=True)
    ]
    path.write_text("\n".join(rows) + "\n")
    assert_sequences(read_file(path), archive)


@given(archives(), st.sampled_from((".npz", ".h5", ".mat")))
def test_arrays_of_sequences_have_the_lengths_and_labels_that_were_written(folder, archive, ending):
    path = folder / f"a{ending}"
    arrays = {"X": archive.padded, "lengths": np.array(archive.lengths)}
    if ending == ".mat":
        savemat(path, arrays | {"y": np.array(archive.labels)})
    elif ending == ".npz":
        np.savez(path, **arrays, y=np.array(archive.labels))
    else:
        with h5py.File(path, "w") as file:
            for name, one in arrays.items():
                file[name] = one
            file["y"] = archive.labels
    assert_sequences(read_file(path), archive)


@given(archives(equal=True), st.sampled_from((".npy", ".npz", ".h5", ".mat")))
def test_an_array_alone_has_the_sequences_that_were_written(folder, archive, ending):
    path = folder / f"b{ending}"
    if ending == ".npy":
        np.save(path, archive.padded)
    elif ending == ".npz":
        np.savez(path, any_name=archive.padded)
    elif ending == ".mat":
        savemat(path, {"any_name": archive.padded})
    else:
        with h5py.File(path, "w") as file:
            file["group/any_name"] = archive.padded
    assert_sequences(read_file(path), archive, labels=False)


@given(archives(), st.sampled_from((".csv", ".parquet")), st.booleans())
def test_rows_with_an_id_are_the_sequences_that_were_written(folder, archive, ending, mixed):
    """Rows of several sequences may be mixed; each sequence keeps the order of its rows."""
    path = folder / f"c{ending}"
    rows = [(i, step) for i, length in enumerate(archive.lengths) for step in range(length)]
    if mixed:
        rows.sort(key=lambda row: (row[1], row[0]))
    width = archive.sequences[0].shape[1]
    columns = {"id": [f"s{i}" for i, _ in rows], "label": [archive.labels[i] for i, _ in rows]}
    for place in range(width):
        columns[f"x{place}"] = [float(archive.sequences[i][step, place]) for i, step in rows]
    if ending == ".csv":
        rows = zip(*columns.values(), strict=True)
        path.write_text("\n".join([",".join(columns), *(",".join(map(str, row)) for row in rows)]))
    else:
        pa.parquet.write_table(pa.table(columns), path)
    data = read_file(path, id="id", label="label", columns=[f"x{i}" for i in range(width)])
    assert_sequences(data, archive)
    assert list(data.index["id"]) == [f"s{i}" for i in range(len(archive.sequences))]


@given(archives(), st.sampled_from((".csv", ".csv.gz", ".csv.xz", ".parquet", ".npy")))
def test_each_file_of_a_folder_is_the_series_that_was_written(folder, archive, ending):
    inside = folder / f"several{ending.replace('.', '_')}"
    inside.mkdir(exist_ok=True)
    for path in inside.iterdir():
        path.unlink()
    names = [f"x{i}" for i in range(archive.sequences[0].shape[1])]
    for i, one in enumerate(archive.sequences):
        path = inside / f"run{i}{ending}"
        if ending == ".npy":
            np.save(path, one)
        elif ending == ".parquet":
            pa.parquet.write_table(pa.table(dict(zip(names, one.T, strict=True))), path)
        else:
            lines = [",".join(names), *(",".join(map(repr, row)) for row in one.tolist())]
            text = ("\n".join(lines) + "\n").encode()
            packed = {".csv": bytes, ".csv.gz": gzip.compress, ".csv.xz": lzma.compress}
            path.write_bytes(packed[ending](text))
    columns = {} if ending == ".npy" else {"columns": names}
    data = read_file(inside, window=1, **columns)
    assert list(data.series_ids) == [f"run{i}" for i in range(len(archive.sequences))]
    for found, one in zip(data.source.series, archive.sequences, strict=True):
        np.testing.assert_array_equal(found, one)


@given(
    st.lists(st.integers(2, 4), min_size=2, max_size=3),
    st.sampled_from(sorted(TYPES)),
    st.booleans(),
    st.integers(0, 2**32 - 1),
)
def test_an_idx_file_has_the_values_that_were_written(folder, shape, dtype, packed, seed):
    path = folder / ("a.idx.gz" if packed else "a.idx")
    values = np.random.default_rng(seed).integers(0, 100, shape).astype(dtype)
    path.write_bytes(idx_bytes(values, gzipped=packed))
    found = read_file(path).source.values
    np.testing.assert_array_equal(found.reshape(shape), values)
