"""Small files whose header declares large contents are refused before memory is allocated."""

import io
import re
import struct
import tracemalloc
import zipfile

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.io.idx_files import idx_bytes
from unspool.errors import InputError
from unspool.io import archives, npy, table_files
from unspool.io.files import read_file


def refused(path, told, **arguments):
    """Assert that a file is refused with a message that matches `told`, without using memory."""
    tracemalloc.start()
    try:
        with pytest.raises(InputError, match=f"^{re.escape(str(path))}: {told}"):
            read_file(path, **arguments)
        assert tracemalloc.get_traced_memory()[1] < 20_000_000
    finally:
        tracemalloc.stop()


def header(shape, dtype="'<f8'", version=1):
    """The header of an array with any shape and dtype."""
    text = f"{{'descr': {dtype}, 'fortran_order': False, 'shape': {shape}, }}\n".encode()
    form = "<H" if version == 1 else "<I"
    return b"\x93NUMPY" + bytes([version, 0]) + struct.pack(form, len(text)) + text


def members(path, **content):
    """A compressed zip archive of these members."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, blob in content.items():
            file.writestr(f"{name}.npy", blob)
    return path


FORGED = {
    "more": ("(1000000000000, 3)", "'<f8'"),
    "a little more": ("(4, 3)", "'<f8'"),
    "less": ("(2, 3)", "'<f8'"),
    "a product of 2**64, which is 0 in 64 bits": ("(4294967296, 4294967296)", "'<f8'"),
    "a product of 2**64 + 9": ("(3, 6148914691236517208)", "'<f8'"),
    "beyond 64 bits": (f"({10**40}, 3)", "'<f8'"),
    "below zero": ("(-3, -3)", "'<f8'"),
    "wide values": ("(3, 3)", "'V1000000000'"),
    "values of nothing": ("(1000000000000000,)", "'S0'"),
    "a block in each value": ("(3, 3)", "('<f8', (1000, 1000))"),
}


@pytest.mark.parametrize("window", [None, 2])
@pytest.mark.parametrize("case", FORGED)
def test_npy_headers_that_do_not_match_the_file_are_refused(tmp_path, case, window):
    blob = header(*FORGED[case]) + np.ones((3, 3)).tobytes()
    path = tmp_path / "a.npy"
    path.write_bytes(blob)
    told = r"the array cannot be read: its header says .* bytes, but the file has 72"
    refused(path, told, window=window)
    path.write_bytes(header(*FORGED[case], version=2) + np.ones((3, 3)).tobytes())
    refused(path, told, window=window)
    refused(members(tmp_path / "a.npz", X=blob), told, window=window)
    whole = io.BytesIO()
    np.save(whole, np.ones((3, 3)))
    path = members(tmp_path / "b.npz", X=whole.getvalue(), y=blob)
    refused(path, told, window=window)


@pytest.mark.parametrize(
    "blob",
    [
        b"\x93NUMPY",
        b"\x93NUMPY\x09\x00",
        b"\x93NUMPY\x01\x00\xff\xff{",
        header("3"),
        header("(True, 'a')"),
        header("(True,)") + bytes(8),
        header("(3,)", "'nothing'"),
        header("(3,)", "()"),
        header("(" * 4000),
        header("-" * 9000 + "1"),
        header("(3,)")[:20] + b"'''" + header("(3,)")[20:],
        b"\x93NUMPY\x01\x00\x12\x00{1: 2, 'a': 3, (): 4}",
        b"\x93NUMPY\x02\x00\xff\xff\xff\x7f" + b" " * 2000,
    ],
    ids=lambda blob: ascii(blob[:20]),
)
def test_damaged_npy_headers_are_refused(tmp_path, blob):
    (tmp_path / "a.npy").write_bytes(blob)
    refused(tmp_path / "a.npy", "the array cannot be read: its header is damaged")
    path = members(tmp_path / "a.npz", X=blob)
    refused(path, "the array cannot be read: its header is damaged")


def test_arrays_as_numpy_writes_them_are_read(tmp_path):
    values = np.random.default_rng(0).normal(size=(4, 5, 3))
    for array in (values, np.asfortranarray(values), values.astype(">f4"), values > 0):
        for save in (np.save, np.savez, np.savez_compressed):
            path = tmp_path / ("a.npy" if save is np.save else "a.npz")
            save(path, array)
            np.testing.assert_array_equal(read_file(path).source.values, array)
    for version in (2, 3):
        (tmp_path / "b.npy").write_bytes(header("(4, 5, 3)", version=version) + values.tobytes())
        np.testing.assert_array_equal(read_file(tmp_path / "b.npy").source.values, values)


def test_two_arrays_in_one_npy_file_are_not_read_as_the_first(tmp_path):
    with (tmp_path / "a.npy").open("wb") as file:
        np.save(file, np.ones((3, 3)))
        np.save(file, np.ones((3, 3)))
    refused(tmp_path / "a.npy", "the array cannot be read: its header says 3x3 values of type")


def test_npz_files_that_unpack_to_far_too_much(tmp_path, monkeypatch):
    zeros = header("(40000, 125)") + bytes(40_000_000)
    path = members(tmp_path / "a.npz", X=zeros)
    size = path.stat().st_size
    assert len(read_file(path).source) == 40000  # zeros may be meant
    monkeypatch.setattr(npy, "HARMLESS", 1 << 25)
    refused(
        path,
        f"the archive has {size:,} bytes and would unpack to {len(zeros):,}, more than "
        "200 times its size; if that is intended, save it with numpy.savez, which does not "
        "compress.$",
    )
    np.savez(tmp_path / "b.npz", X=np.zeros((40000, 125)))
    assert len(read_file(tmp_path / "b.npz").source) == 40000


def forged_size(path, size):
    """Write `size` into the directory of a zip archive as the size of its only member."""
    blob = bytearray(path.read_bytes())
    entry = blob.rindex(b"PK\1\2")
    blob[entry + 24 : entry + 28] = struct.pack("<I", size)
    path.write_bytes(blob)
    return path


def test_a_directory_that_lies_about_sizes(tmp_path):
    blob = header("(3, 3)") + np.ones((3, 3)).tobytes()
    path = forged_size(members(tmp_path / "a.npz", X=blob), 4_000_000_000)
    refused(path, r"the archive has \d+ bytes and would unpack to 4,000,000,000, more than 200")
    large = header("(10000000,)") + bytes(80_000_000)
    path = forged_size(members(tmp_path / "a.npz", X=large), 200)
    refused(path, r"the archive is damaged \(Bad CRC-32 for file 'X.npy'\); download or write")


def test_many_members_count_together(tmp_path, monkeypatch):
    monkeypatch.setattr(npy, "HARMLESS", 1 << 20)
    blob = header("(1000, 125)") + bytes(1_000_000)
    path = members(tmp_path / "a.npz", X=blob, y=blob, lengths=blob)
    refused(path, "the archive has")


def test_nothing_is_unpacked_where_the_names_do_not_say_what_is_what(tmp_path):
    blob = header("(40000, 125)") + bytes(40_000_000)
    path = members(tmp_path / "a.npz", X=blob, other=blob)
    refused(path, "expected the values as 'X'")


def test_odd_archives_are_refused(tmp_path):
    blob = header("(3, 3)") + np.ones((3, 3)).tobytes()
    path = tmp_path / "a.npz"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("X.npy", blob)
        with pytest.warns(UserWarning, match="Duplicate name"):
            file.writestr("X.npy", blob)
    refused(path, r"the archive contains 'X.npy' twice; write it again\.$")
    for method in (zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):
        with zipfile.ZipFile(path, "w", method) as file:
            file.writestr("X.npy", blob)
        refused(path, "'X.npy' is compressed by an unusual method; save it with numpy.savez")
    np.savez(path, X=np.ones((3, 3)))
    whole = path.read_bytes()
    entry = whole.rindex(b"PK\1\2")
    path.write_bytes(whole[: entry + 8] + b"\1" + whole[entry + 9 :])
    refused(path, "'X.npy' is encrypted; write it without a password")
    place = whole.index(np.ones(9).tobytes())
    path.write_bytes(whole[:place] + b"x" + whole[place + 1 :])
    refused(path, r"the archive is damaged \(Bad CRC-32 for file 'X.npy'\); download or write")
    path.write_bytes(whole[: len(whole) // 2])
    refused(path, r"the archive is damaged \(File is not a zip file\); download or write")


def test_a_file_damaged_at_any_byte_is_read_or_refused_with_a_message(tmp_path):
    values = np.arange(12.0).reshape(4, 3)
    np.save(tmp_path / "a.npy", values)
    np.savez_compressed(tmp_path / "a.npz", X=values)
    (tmp_path / "a.idx.gz").write_bytes(idx_bytes(values, gzipped=True))
    pq.write_table(pa.table({"a": values[:, 0], "b": values[:, 1]}), tmp_path / "a.parquet")
    rng = np.random.default_rng(0)
    for whole in list(tmp_path.iterdir()):
        blob, path = whole.read_bytes(), tmp_path / f"b{''.join(whole.suffixes)}"
        for _ in range(150):
            damaged = bytearray(blob)
            for place in rng.integers(0, len(blob), rng.integers(1, 4)):
                damaged[place] = rng.integers(0, 256)
            path.write_bytes(damaged)
            told = f"{path}: "
            try:
                read_file(path, rows=True)
            except InputError as error:
                told = str(error)
            assert told.startswith(f"{path}: ")


def test_parquet_that_unpacks_to_far_too_much(tmp_path, monkeypatch):
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"a": np.zeros(3_000_000), "b": np.zeros(3_000_000)}), path)
    size = path.stat().st_size
    assert size * 1000 < 48_000_000
    assert len(read_file(path, window=3_000_000).source) == 1
    monkeypatch.setattr(table_files, "HARMLESS", 1 << 24)
    refused(
        path,
        f"the file has {size:,} bytes and contains 3,000,000 rows of 2 columns, about 48,000,000 "
        "bytes in memory, more than 200 times its size; if that is intended, write it as .npy.$",
        window=8,
    )
    assert archives.MAX_COMPRESSION == 200


def test_parquet_columns_with_one_name_are_refused(tmp_path):
    table = pa.Table.from_arrays([pa.array([1.0, 2]), pa.array([3.0, 4])], names=["a", "a"])
    pq.write_table(table, tmp_path / "a.parquet")
    refused(tmp_path / "a.parquet", "column name 'a' appears twice; rename all but", window=2)


def test_a_file_that_does_not_fit_into_memory_is_refused(tmp_path, monkeypatch):
    def full(*_, **__):
        raise MemoryError

    np.save(tmp_path / "a.npy", np.ones((3, 3)))
    monkeypatch.setattr(np, "load", full)
    refused(tmp_path / "a.npy", "there is not enough memory to read it; split it")


def test_two_arrays_of_one_name_are_refused(tmp_path):
    blob = header("(2, 3)") + bytes(48)
    path = tmp_path / "a.npz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("X", blob)
        archive.writestr("X.npy", blob)
    refused(path, "the file has two arrays named 'X.npy'; save it again.")
