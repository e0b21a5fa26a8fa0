"""HDF5 files, and MAT-files of version 7.3, which are HDF5.

Values that take much of the free memory are read in pieces, when they are needed; not those of
MATLAB, whose axes are stored in reverse order, so that the first steps are not together.
"""

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from unspool._optional import import_optional
from unspool.data.stored import IndexedArray
from unspool.data.values import Array
from unspool.errors import InputError
from unspool.io.contents import ArrayContent, Content, TableContent
from unspool.io.named_arrays import NamedArray, choose
from unspool.io.options import ReadOptions
from unspool.io.streaming import refuse_policy, streaming_note, streams

# Largest ratio of the size of an array to that of the file, and a size that is always accepted.
MAX_COMPRESSION = 200
HARMLESS = 1 << 28
_BY_PANDAS = ("axis0", "block0_values", "_i_table")


def read_hdf5(path: Path, options: ReadOptions, *, matlab: bool = False) -> Content:
    """Read an array, or arrays of equal length as columns, of an HDF5 file.

    With `matlab`, the axes of arrays are reversed, since MATLAB stores them in that order.
    """
    h5py = import_optional("h5py", "hdf5")
    try:
        with h5py.File(path, "r") as file:
            names = _data_sets(file, h5py)
            if any(name.rpartition("/")[2] in _BY_PANDAS for name in names):
                raise InputError(
                    "this is a table that pandas' HDFStore wrote, which only pandas reads; write "
                    "it as Parquet: pandas.read_hdf(path).to_parquet('data.parquet')."
                )
            arrays = {
                name: NamedArray(
                    *_shape(one, matlab),
                    partial(_read, one, path, matlab),
                    partial(_opened, None if matlab else one, path, options),
                )
                for name, one in names.items()
                if one.dtype is not None and one.shape is not None
            }
            return _shaped(choose(arrays, options.key, "the file"))
    except (OSError, RuntimeError, KeyError, ValueError, TypeError) as error:
        if isinstance(error, InputError):
            raise
        raise _unreadable(error) from None


class DataSet(IndexedArray):
    """A data set of a file, which stays open as long as the data set is used."""

    def __init__(self, array: Any, path: Path) -> None:
        super().__init__(array)
        self.path = path

    def read(self, start: int, stop: int) -> Array:
        """Return a copy of rows."""
        try:
            return super().read(start, stop)
        except (OSError, RuntimeError) as error:  # damaged, or written with a missing filter
            raise InputError(f"{self.path.name}: {_unreadable(error)}") from None


def _unreadable(error: Exception) -> InputError:
    return InputError(
        f"the file cannot be read as HDF5 ({' '.join(str(error).split())[:200]}); download or "
        "write it again."
    )


def _opened(one: Any, path: Path, options: ReadOptions) -> ArrayContent | None:
    """Return a data set as values that are read in pieces; None if it is read as a whole."""
    if one is None or not one.ndim or one.shape[0] == 1 or one.dtype.kind not in "fiub":
        return None
    size = one.size * one.dtype.itemsize
    if not streams(size, options.stream):
        return None
    _check(one, path)
    refuse_policy(options.windows.missing)
    # The other file is closed when its arrays are chosen.
    file = import_optional("h5py", "hdf5").File(path, "r")
    return ArrayContent(
        DataSet(file[one.name], path), notes=(streaming_note(size, options.stream),)
    )


def _shaped(content: Content) -> Content:
    if isinstance(content, TableContent):
        return content
    values = content.values
    if values.ndim == 2 and 1 in values.shape:
        values = values.reshape(values.size)
    return ArrayContent(values, content.lengths, content.labels, content.notes)


def _data_sets(file: Any, h5py: Any) -> dict[str, Any]:
    """Return the data sets by their paths, without those that MATLAB uses for references."""
    found: dict[str, Any] = {}

    def visit(name: str, one: Any) -> None:
        if isinstance(one, h5py.Dataset) and not name.startswith("#"):
            found[name] = one

    file.visititems(visit)
    return found


def _shape(one: Any, matlab: bool) -> tuple[tuple[int, ...], np.dtype[Any]]:
    shape = tuple(one.shape[::-1] if matlab else one.shape)
    is_text = (matlab and one.attrs.get("MATLAB_class") == b"char") or _is_text(one.dtype)
    return shape, np.dtype("S1") if is_text else np.dtype(one.dtype)


def _is_text(dtype: np.dtype[Any]) -> bool:
    """Return whether h5py reads values of this type as Python's texts or bytes."""
    return dtype.metadata is not None and dtype.metadata.get("vlen") in (str, bytes)


def _check(one: Any, path: Path) -> None:
    """Refuse a data set that is far larger than the file, or is in other files."""
    size, total = one.size * one.dtype.itemsize, path.stat().st_size
    if size > max(HARMLESS, MAX_COMPRESSION * total):
        raise InputError(
            f"{one.name.strip('/')!r} has {size:,} bytes in memory, more than "
            f"{MAX_COMPRESSION} times the {total:,} of the file; if that is intended, write it "
            "as .npy."
        )
    if one.external:
        raise InputError("the values are in other files, which are not read; write one file.")


def _read(one: Any, path: Path, matlab: bool) -> Any:
    """Read all values of a data set."""
    _check(one, path)
    values = one[()]
    if values.dtype == object:  # texts
        values = np.array(
            [str(v, "utf-8", "replace") if isinstance(v, bytes) else str(v) for v in values.flat]
        ).reshape(values.shape)
    return values.T if matlab else values
