"""IDX files of every dtype and shape; wrong headers are refused."""

import gzip
import re
import struct
import tracemalloc

import numpy as np
import pytest

from tests.io.idx_files import TYPES, idx_bytes
from unspool.errors import InputError
from unspool.io.files import read_file
from unspool.io.idx import read_idx


def written(tmp_path, content, name="a.idx"):
    path = tmp_path / name
    path.write_bytes(content)
    return path


def refused(path, told, read=read_idx):
    with pytest.raises(InputError, match=f"^{re.escape(f'{path}: {told}')}$"):
        read(path)


def header(*shape, code=8):
    return bytes([0, 0, code, len(shape)]) + struct.pack(f">{len(shape)}I", *shape)


@pytest.mark.parametrize("gzipped", [False, True])
@pytest.mark.parametrize("dtype", TYPES)
def test_every_dtype_is_read_in_native_byte_order(tmp_path, dtype, gzipped):
    kind = np.dtype(dtype)
    extremes = np.finfo(kind) if kind.kind == "f" else np.iinfo(kind)
    values = np.array([[0, 1, 2], [extremes.min, extremes.max, 100]], kind)
    got = read_idx(written(tmp_path, idx_bytes(values, gzipped=gzipped)))
    assert got.dtype == kind
    assert got.dtype.isnative
    np.testing.assert_array_equal(got, values)
    got[0, 0] = 7  # writable


@pytest.mark.parametrize(
    "shape", [(), (5,), (2, 3), (2, 1, 4), (2, 3, 1, 2, 2), (3, 0, 4), (1,) * 32]
)
def test_every_number_of_dimensions(tmp_path, shape):
    values = np.arange(np.prod(shape, dtype=int), dtype=np.int16).reshape(shape)
    got = read_idx(written(tmp_path, idx_bytes(values)))
    assert got.shape == shape
    np.testing.assert_array_equal(got, values)


def test_gzip_is_recognised_by_content_not_by_name(tmp_path):
    values = np.arange(6, dtype=np.uint8)
    for name, gzipped in [("a", True), ("a.idx.gz", False)]:
        path = written(tmp_path, idx_bytes(values, gzipped=gzipped), name)
        np.testing.assert_array_equal(read_idx(str(path)), values)


def test_a_file_larger_than_a_chunk_is_read(tmp_path):
    values = np.random.default_rng(0).integers(0, 256, (1500, 1000), np.uint8)
    content = header(1500, 1000) + values.tobytes()
    for packed in (content, gzip.compress(content, 1)):
        np.testing.assert_array_equal(read_idx(written(tmp_path, packed)), values)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "this is not an IDX file: it begins with nothing, not with 00 00; check the "
              "ending of its name."),
        (b"PK\3\4", "this is not an IDX file: it begins with 50 4b, not with 00 00; check the "
                    "ending of its name."),
        (b"\0\0\x0a\1", "this is not an IDX file: its third byte is 0a, not one of the types 08 "
                        "09 0b 0c 0d 0e; check the ending of its name."),
        (b"\0\0\x08\x21" + bytes(132), "expected at most 32 dimensions, got 33; reshape the "
                                       "array and write it again."),
        (b"\0\0\x08", "the file ends within its header; download the file again."),
        (header(2, 3)[:-1], "the file ends within its header; download the file again."),
        (header(0, *[2**32 - 1] * 3), "its header says 0x4294967295x4294967295x4294967295 "
                                      "values of 1 byte, 20 bytes in all, a shape that no array "
                                      "can have; download the file again."),
    ],
)  # fmt: skip
@pytest.mark.parametrize("gzipped", [False, True])
def test_unusable_idx_headers_are_refused(tmp_path, content, told, gzipped):
    refused(written(tmp_path, gzip.compress(content) if gzipped else content), told)


def test_files_with_fewer_or_more_bytes_than_declared_are_refused(tmp_path):
    content = idx_bytes(np.ones((2, 3), np.int32))
    declared = "its header says 2x3 values of 4 bytes, 36 bytes in all, but"
    again = "download the file again."
    for other, length in [(content[:-1], 35), (content[:12], 12), (content + b"\0", 37)]:
        refused(written(tmp_path, other), f"{declared} the file has {length}; {again}")
        found = "more" if length > 36 else f"only {length}"
        refused(written(tmp_path, gzip.compress(other)), f"{declared} there are {found}; {again}")


def test_cut_or_damaged_gzip_is_refused(tmp_path):
    values = np.random.default_rng(0).integers(0, 256, 5000, np.uint8)
    packed = idx_bytes(values, gzipped=True)
    wrong_sum = packed[:-8] + bytes([packed[-8] ^ 1]) + packed[-7:]
    nonsense = packed[:10] + b"\xff" * 50
    for content in (
        packed[:-9],
        packed[:1000],
        packed[:8],
        packed + b"behind",
        wrong_sum,
        nonsense,
    ):
        path = written(tmp_path, content)
        told = re.escape(f"{path}: its gzip data are damaged or cut off (")
        with pytest.raises(InputError, match=rf"^{told}.+\); download the file again\.$"):
            read_idx(path)


@pytest.mark.parametrize("shape", [(2**32 - 1,) * 4, (2**30,), (70_000_000,)])
def test_a_header_of_absurd_size_allocates_no_memory(tmp_path, shape):
    path = written(tmp_path, header(*shape) + b"few")
    values = "x".join(map(str, shape))
    size = np.prod(np.array(shape, object)) + 4 + 4 * len(shape)
    declared = f"its header says {values} values of 1 byte, {size:,} bytes in all"
    tracemalloc.start()
    try:
        refused(
            path, (f"{declared}, but the file has {path.stat().st_size}; download the file again.")
        )
        length = path.write_bytes(gzip.compress(path.read_bytes()))
        refused(
            path,
            f"{declared}, more than 200 times the {length} of the file; if that is intended, "
            "unpack it (gunzip) and read the result.",
        )
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


def test_memory_grows_with_the_bytes_of_a_gzip_file_not_with_its_header(tmp_path):
    path = written(tmp_path, gzip.compress(header(60_000_000) + b"few"))
    declared = "its header says 60000000 values of 1 byte, 60,000,008 bytes in all"
    tracemalloc.start()
    try:
        refused(path, f"{declared}, but there are only 11; download the file again.")
        assert tracemalloc.get_traced_memory()[1] < 4 << 20
    finally:
        tracemalloc.stop()


def test_a_gzip_bomb_is_not_unpacked(tmp_path):
    bomb = gzip.compress(header(10) + bytes(50_000_000))
    path = written(tmp_path, bomb)
    tracemalloc.start()
    try:
        refused(
            path,
            "its header says 10 values of 1 byte, 18 bytes in all, but there are more; download "
            "the file again.",
        )
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


def test_zeros_packed_tightly_are_read_while_they_are_few(tmp_path):
    path = written(tmp_path, gzip.compress(header(3_000_000) + bytes(3_000_000)))
    assert path.stat().st_size * 200 < 3_000_000
    assert read_idx(path).shape == (3_000_000,)


def test_a_missing_file_or_a_folder_is_refused(tmp_path):
    refused(tmp_path / "a", "cannot be read: No such file or directory.")
    refused(tmp_path, "cannot be read: Is a directory.")


def test_images_become_sequences_of_their_rows(tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (3, 4, 5), np.uint8)
    loaded = read_file(written(tmp_path, idx_bytes(images), "train-images-idx3-ubyte"))
    assert loaded.source.values.dtype == np.float32
    np.testing.assert_array_equal(loaded.source.values, images)
    assert loaded.source.lengths.tolist() == [4, 4, 4]
    assert loaded.index == {}
    assert loaded.notes == (
        "array of 3x4x5 read as 3 sequences of 4 steps, 5 features",
        "the rows of an image are read as steps, its columns as features",
    )


def test_other_shapes_are_read_like_npy_files(tmp_path):
    path = written(tmp_path, idx_bytes(np.arange(8, dtype=np.int32).reshape(4, 2)))
    loaded = read_file(path, window=3)
    np.testing.assert_array_equal(loaded.source[1], [[2, 3], [4, 5], [6, 7]])
    assert loaded.notes == ("read as one series of 4 steps, 2 features",)
    loaded = read_file(path)
    assert loaded.source.shape == (4, 2, 1)
    assert loaded.source.values.dtype == np.float64  # 32 bits do not fit into float32
    assert len(loaded.notes) == 1
    refused(
        written(tmp_path, idx_bytes(np.arange(9, dtype=np.uint8))),
        ("the array is one series of 9 steps; cut it into windows, for example with `window=96`."),
        read_file,
    )
    refused(
        written(tmp_path, idx_bytes(np.ones((0, 4, 4), np.uint8))),
        "the array of shape (0, 4, 4) is empty; write it again.",
        read_file,
    )


def test_images_are_read_as_images_if_wanted(tmp_path):
    pixels = np.arange(2 * 3 * 4, dtype=np.uint8).reshape(2, 3, 4)
    path = tmp_path / "a-images-idx3-ubyte.gz"
    path.write_bytes(idx_bytes(pixels, gzipped=True))
    loaded = read_file(path, images=True)
    assert loaded.image_shape == (3, 4, 1)
    np.testing.assert_array_equal(loaded.X[..., 0], pixels)
    np.save(tmp_path / "b.npy", np.stack([pixels, pixels + 1], axis=-1))
    assert read_file(tmp_path / "b.npy", images=True).X.shape == (2, 3, 4, 2)
    np.save(tmp_path / "c.npy", np.ones((2, 3)))
    with pytest.raises(InputError, match="images have the shape"):
        read_file(tmp_path / "c.npy", images=True)
