"""Damaged MAT-files are refused before SciPy reads them, which may end the process."""

import re
import struct

import numpy as np
import pytest
import scipy.io

from unspool import read_file
from unspool.errors import InputError

X = np.arange(120.0).reshape(40, 3)


def written(folder, *, compressed=False, **variables):
    path = folder / "a.mat"
    scipy.io.savemat(path, variables or {"x": X}, do_compression=compressed)
    return path


def refused(path, at):
    message = f"the MAT-file is damaged or cut off at byte {at}; download or write it again."
    with pytest.raises(InputError, match=re.escape(message)):
        read_file(path, window=2)


@pytest.mark.parametrize("kind", [0, 8, 19, 60_000, 0x10000, 0x00050001])
def test_an_element_of_an_unknown_type_is_refused(tmp_path, kind):
    path = written(tmp_path)
    data = bytearray(path.read_bytes())
    assert data[176:184] == struct.pack("<II", 9, X.nbytes)  # the numbers of x
    data[176:180] = struct.pack("<I", kind)
    path.write_bytes(data)
    refused(path, 176)


@pytest.mark.parametrize("cut", [1, 100, 970])
def test_a_file_that_is_cut_off_is_refused(tmp_path, cut):
    path = written(tmp_path)
    path.write_bytes(path.read_bytes()[:-cut])
    refused(path, 128)


def test_an_element_that_is_longer_than_its_matrix_is_refused(tmp_path):
    path = written(tmp_path)
    data = bytearray(path.read_bytes())
    data[180:184] = struct.pack("<I", X.nbytes + 16)
    path.write_bytes(data)
    refused(path, 176)


@pytest.mark.parametrize("place", [-1, 150])
def test_compressed_bytes_with_another_sum_are_refused(tmp_path, place):
    path = written(tmp_path, compressed=True)
    data = bytearray(path.read_bytes())
    data[place] ^= 0x55
    path.write_bytes(data)
    refused(path, 136)


@pytest.mark.parametrize("compressed", [False, True])
def test_sound_files_of_structs_and_cells_are_read(tmp_path, compressed):
    cells = np.empty((1, 3), object)
    for i in range(3):
        cells[0, i] = X[i : i + 7]
    path = written(tmp_path, compressed=compressed, s={"a": X, "t": "hello", "c": cells})
    read = read_file(path, window=2, key="s/a")
    np.testing.assert_array_equal(read.source.series[0], X)


def test_a_matrix_within_fifty_others_is_refused(tmp_path):
    path = written(tmp_path)
    inner = b""
    for _ in range(60):
        inner = struct.pack("<II", 14, len(inner)) + inner
    path.write_bytes(path.read_bytes()[:128] + inner)
    refused(path, 128 + 8 * 51)


def test_what_scipy_says_of_another_file_is_in_the_error(tmp_path):
    path = tmp_path / "a.mat"
    path.write_bytes(b"hello, this is a text" * 20)
    with pytest.raises(InputError, match=r"the file cannot be read as a MAT-file \(.*\); download"):
        read_file(path, window=2)
