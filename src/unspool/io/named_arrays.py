"""The choice of an array in a file of several named arrays: `.npz`, HDF5 and MAT-files."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from unspool import _checks
from unspool.data.messages import listed
from unspool.errors import InputError
from unspool.io.contents import ArrayContent, Content, TableContent, table_of_fields
from unspool.io.file_data import Column

VALUES = ("X", "values")
LABELS = ("y", "labels", "label")
LENGTHS = "lengths"
_NUMBERS = "fiub"
# The labels of an array have its name with one of these exchanged: x_train and y_train.
_OF_LABELS = (("X", "y"), ("x", "y"), ("X", "Y"), ("data", "labels"), ("data", "label"))


@dataclass(frozen=True)
class NamedArray:
    """An array in a file, which `read` reads, and `in_pieces` opens if it is read in pieces."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    read: Callable[[], Column]
    in_pieces: Callable[[], ArrayContent | None] = lambda: None

    def values(self) -> ArrayContent:
        """Return the array, which may be read in pieces, and notes about that."""
        return self.in_pieces() or ArrayContent(self.read())

    @property
    def is_vector(self) -> bool:
        """Whether at most one axis has more than one entry."""
        return sum(size != 1 for size in self.shape) <= 1

    @property
    def size(self) -> int:
        """Number of values."""
        return int(np.prod(self.shape, dtype=object))

    def __str__(self) -> str:
        return "x".join(map(str, self.shape)) or "one value"


def choose(arrays: Mapping[str, NamedArray], key: str | None, what: str) -> Content:
    """Return the array or the table that a file contains.

    Parameters
    ----------
    arrays : mapping of str to NamedArray
        The arrays of the file. Names may be paths with "/".
    key : str, optional
        Name of an array, its end, or a path that several names begin with.
    what : str
        What holds the arrays, for messages.

    Raises
    ------
    InputError
        If there is no array of numbers, or several and no `key`.
    """
    if key is not None:
        arrays = _with_key(arrays, key)
    others = dict(arrays)
    arrays = {
        name: one
        for name, one in arrays.items()
        if one.size > 1 and (one.dtype.names or one.dtype.kind in f"{_NUMBERS}MSU")
    }
    tables = [name for name, one in arrays.items() if one.dtype.names]
    numbers = {name: one for name, one in arrays.items() if one.dtype.kind in _NUMBERS}
    matrices = [name for name, one in numbers.items() if not one.is_vector]
    vectors = [name for name in arrays if name not in (*matrices, *tables)]
    if len(tables) == 1 and not matrices:
        return TableContent(table_of_fields(arrays[tables[0]].read()), (f"read {tables[0]!r}",))
    values = [name for name in VALUES if name in numbers] or matrices
    if len(values) == 1 and not tables:
        return _with_companions(arrays, values[0], vectors)
    numeric = [name for name in vectors if name in numbers]
    if not matrices and not tables and numeric:
        if len(vectors) == 1:
            found = numbers[numeric[0]].values()
            flat = found.values.reshape(found.values.size)
            return ArrayContent(flat, notes=(*found.notes, _read(numeric[0])))
        if len({arrays[name].size for name in vectors}) == 1:
            return _columns(arrays, vectors)
    if not arrays:
        held = ", ".join(f"{name!r} ({one.dtype})" for name, one in list(others.items())[:8])
        raise InputError(f"{what} contains no array of numbers, but {held or 'nothing'}.")
    held = ", ".join(f"{name!r} ({one})" for name, one in list(arrays.items())[:20])
    raise InputError(
        f"{what} contains several arrays: {held}; name one of them with `key` (--key NAME)."
    )


def _with_key(arrays: Mapping[str, NamedArray], key: str) -> dict[str, NamedArray]:
    """Return the array, or the arrays of the group, that `key` names."""
    key = key.strip("/")
    exact = [name for name in arrays if name == key]
    found = exact or [name for name in arrays if name.endswith(f"/{key}")]
    if len(found) == 1:
        return {found[0]: arrays[found[0]], **_labels_of(arrays, found[0])}
    inside = {
        name.removeprefix(f"{key}/"): one
        for name, one in arrays.items()
        if name.startswith(f"{key}/")
    }
    if len(inside) > 1 or (inside and not found):
        return inside
    if len(found) > 1:
        raise InputError(f"`key`: several arrays end with {key!r}: {listed(found)}.")
    raise InputError(f"`key`: {_checks.unknown_name('array', key, arrays)}")


def _labels_of(arrays: Mapping[str, NamedArray], name: str) -> dict[str, NamedArray]:
    """Return the array of labels, and that of lengths, that belong to an array."""
    one = arrays[name]
    names = [name.replace(*pair) for pair in _OF_LABELS if pair[0] in name]
    for other in (*names, *(LABELS if name in VALUES else ())):
        found = arrays.get(other)
        if other != name and found is not None and found.is_vector and found.size in one.shape[:1]:
            return {other: found}
    return {}


def _with_companions(
    arrays: Mapping[str, NamedArray], name: str, vectors: list[str]
) -> ArrayContent:
    """Return an array with the labels and lengths beside it."""
    values = arrays[name]
    lengths = arrays.get(LENGTHS)
    usual = {one: arrays[one] for one in LABELS if one in arrays and one in vectors}
    labels = _labels_of(arrays, name) or {
        one: array for one, array in usual.items() if array.size == values.shape[0]
    }
    label = next(iter(labels), None)
    found = values.values()
    notes = [*found.notes, _read(name)]
    if label is not None:
        notes.append(f"{label!r} taken as labels")
    rest = [one for one in vectors if one not in (name, label, LENGTHS)]
    if rest:
        notes.append(f"arrays that are left out: {listed(rest)}")
    return ArrayContent(
        found.values,
        None if lengths is None else lengths.read().reshape(-1),
        None if label is None else _plain(arrays[label].read()),
        tuple(notes),
    )


def _columns(arrays: Mapping[str, NamedArray], names: list[str]) -> TableContent:
    import pyarrow as pa

    columns = {name: pa.array(_plain(arrays[name].read())) for name in names}
    return TableContent(pa.table(columns), (f"{len(names)} arrays of one length read as columns",))


def _plain(values: Column) -> Column:
    """Return values of one axis, with texts instead of bytes."""
    values = values.reshape(-1)
    if values.dtype.kind == "S":
        return np.char.decode(values, "utf-8", "replace")
    return values


def _read(name: str) -> str:
    return f"array {name!r} is read"
