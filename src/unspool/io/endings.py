"""The formats of data files, by the endings of their names or by their first bytes."""

import re
from pathlib import Path

from unspool import _checks
from unspool.errors import InputError

TEXT = (
    *(".csv", ".txt", ".tsv", ".tab", ".psv", ".dat", ".data", ".asc", ".log", ".lvm", ".lst"),
    *(".prn", ".rdb", ".mpt", ".tbl"),
)
PARQUET = (".parquet", ".pq")
ARROW = (".feather", ".arrow", ".ipc")
JSON = (".json", ".jsonl", ".ndjson")
EXCEL = (".xlsx", ".xlsm", ".xlsb", ".xls", ".ods")
ARFF = ".arff"
TABLES = (*TEXT, *PARQUET, *ARROW, *JSON, *EXCEL)
NUMPY = (".npy", ".npz")
HDF5 = (".h5", ".hdf5")
MATLAB = ".mat"
ARRAYS = (*NUMPY, *HDF5, MATLAB)
ROWS = (".ts",)  # .tsv too, if it is of the UCR archive
PICTURES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff")
IDX = ".idx"
# A file with one of these endings contains another file, or for .zip several.
PACKED = (".gz", ".bz2", ".xz", ".zst", ".lz4", ".zip")
# Files of several parts, of which `key` names one.
KEYED = (".npz", *HDF5, MATLAB, ".zip", *EXCEL, *JSON)
KNOWN = (*TABLES, ARFF, *ARRAYS, *ROWS, IDX, *PICTURES, *PACKED)

# Names of MNIST's files and their variants: a-idx3-ubyte, a.idx1-ubyte, a.idx.gz
_IDX_NAME = re.compile(r"(\.idx|[-.]idx\d+-[a-z]+)(\.gz)?$", re.IGNORECASE)
_WEB_PAGE = (
    "the file is a web page (HTML), as servers send it instead of a file; download the data by the "
    "link to the file itself."
)
_NO_DATA = {
    b"<!doctype html": _WEB_PAGE,
    b"<html": _WEB_PAGE,
    b"version https://git-lfs": "the file is a pointer of Git LFS to the data; fetch them with "
    "`git lfs pull`.",
}
_FIRST_BYTES = {
    b"PAR1": ".parquet",
    b"ARROW1": ".feather",
    b"\x93NUMPY": ".npy",
    b"\x89HDF": ".h5",
    b"MATLAB": ".mat",
    b"\x1f\x8b": ".gz",
    b"BZh": ".bz2",
    b"\xfd7zXZ": ".xz",
    b"\x28\xb5\x2f\xfd": ".zst",
    b"\x04\x22\x4d\x18": ".lz4",
    b"PK": ".zip",
    b"\xd0\xcf\x11\xe0": ".xls",
}


def ending_of(path: Path) -> str:
    """Return the ending in lower case; it is `.idx` for all names of IDX files, packed or not."""
    return IDX if _IDX_NAME.search(path.name) else path.suffix.lower()


def unpacked_ending_of(path: Path) -> str:
    """Return the ending of a file, or of the one file that it packs; `.zip` may pack several."""
    ending = ending_of(path)
    if ending in PACKED and ending != ".zip":
        return ending_of(path.with_suffix(""))
    return ending


def is_known(path: Path) -> bool:
    """Return whether the name of a file says that it contains data."""
    return unpacked_ending_of(path) in KNOWN


def checked_ending(path: Path) -> str:
    """Return the ending of a file; raise if it is unknown or the file is empty."""
    if not path.exists():
        raise InputError("there is no such file; check the path.")
    ending = ending_of(path)
    if ending not in KNOWN:
        if ending in (".tar", ".tgz", ".7z", ".rar"):
            raise InputError(
                f"archives that end in {ending} are not read; unpack it, and give the folder or a "
                "file in it."
            )
        raise InputError(_checks.unknown_name("ending", path.suffix, KNOWN))
    if path.stat().st_size == 0:
        raise InputError("the file is empty (0 bytes); write it again.")
    with path.open("rb") as file:
        start = file.read(256).removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    for first, message in _NO_DATA.items():
        if start.startswith(first):
            raise InputError(message)
    return ending


def ending_by_content(start: bytes) -> str:
    """Return the ending that suits a file with these first bytes; text without a format is .csv."""
    for first, ending in _FIRST_BYTES.items():
        if start.startswith(first):
            return ending
    text = start.removeprefix(b"\xef\xbb\xbf").lstrip()
    if text[:1] in (b"{", b"["):
        return ".json"
    lower = text[:4096].lower()
    if b"@relation" in lower and b"@attribute" in lower:
        return ARFF
    return ".ts" if lower.startswith(b"@") or b"\n@data" in lower else ".csv"
