"""Makes IDX files for tests."""

import gzip
import struct

import numpy as np

TYPES = {"uint8": (8, "B"), "int8": (9, "b"), "int16": (11, "h"), "int32": (12, "i")}
TYPES |= {"float32": (13, "f"), "float64": (14, "d")}


def idx_bytes(array, *, gzipped=False):
    array = np.asarray(array)
    code, letter = TYPES[array.dtype.name]
    whole = bytes([0, 0, code, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
    whole += b"".join(struct.pack(f">{letter}", value) for value in array.ravel().tolist())
    return gzip.compress(whole) if gzipped else whole
