"""MAT-files of MATLAB: versions 4 to 7 through SciPy, and version 7.3 as HDF5."""

import warnings
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from unspool import _checks
from unspool.errors import InputError
from unspool.io.contents import ArrayContent, Content, TableContent
from unspool.io.hdf5 import read_hdf5
from unspool.io.matlab_elements import check_elements
from unspool.io.named_arrays import NamedArray, choose
from unspool.io.options import ReadOptions

MAX_DEPTH = 4  # of structs in structs


def read_matlab(path: Path, options: ReadOptions) -> Content:
    """Read a variable, a field of a struct, or variables of equal length as columns.

    A cell array of matrices (T_i, F) holds sequences.
    """
    with path.open("rb") as file:
        start = file.read(1024)
    if b"MATLAB 7.3" in start or b"\x89HDF" in start:
        return read_hdf5(path, options, matlab=True)
    from scipy.io import loadmat

    key = options.key
    check_elements(path)
    _check_sizes(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            content = loadmat(path, struct_as_record=True, mat_dtype=False)
    except MemoryError:
        raise
    except Exception as error:  # a damaged file fails in many ways
        raise InputError(
            f"the file cannot be read as a MAT-file ({' '.join(str(error).split())[:200]}); "
            "download or write it again."
        ) from None
    variables: dict[str, Any] = {}
    for name, value in content.items():
        if not name.startswith("__"):
            _collect(name, value, variables, MAX_DEPTH)
    cells = {name: one for name, one in variables.items() if one.dtype == object}
    arrays = {
        name: NamedArray(one.shape, one.dtype, partial(_plain, one))
        for name, one in variables.items()
        if name not in cells
    }
    if key in cells or (key is None and len(cells) == 1 and not _has_matrix(arrays)):
        return _sequences(*((key, cells[key]) if key in cells else next(iter(cells.items()))))
    if key is not None and key not in arrays and cells and not any(key in one for one in arrays):
        raise InputError(f"`key`: {_checks.unknown_name('variable', key, variables)}")
    if not arrays:
        held = ", ".join(map(repr, variables)) or "nothing"
        raise InputError(
            f"the file contains no array of numbers, but {held}; name a cell array with `key` "
            "(--key NAME)."
        )
    found = choose(arrays, key, "the file")
    if isinstance(found, TableContent):
        return found
    values = found.values
    if values.ndim == 2 and 1 in values.shape:
        values = values.reshape(-1)
    return ArrayContent(values, found.lengths, found.labels, found.notes)


def _plain(value: Any) -> Any:
    """Return an array; texts without the blanks that fill the rows of a matrix of characters."""
    return np.char.rstrip(value) if value.dtype.kind == "U" else value


def _has_matrix(arrays: dict[str, NamedArray]) -> bool:
    return any(not one.is_vector and one.dtype.kind in "fiub" for one in arrays.values())


def _check_sizes(path: Path) -> None:
    """Refuse a file whose variables would be far larger in memory than the file is."""
    from scipy.io import whosmat

    try:
        found = whosmat(path)
    except Exception:  # loadmat names the fault
        return
    size = path.stat().st_size
    total = sum(int(np.prod(shape, dtype=object)) for _, shape, _ in found)
    if total > max(1 << 28, 400 * size):
        raise InputError(
            f"the file has {size:,} bytes, but its variables have {total:,} values; if that is "
            "intended, write it as .npy."
        )


def _collect(name: str, value: Any, found: dict[str, Any], depth: int) -> None:
    """Collect arrays by name; fields of a struct have its name before them."""
    if not isinstance(value, np.ndarray):
        return
    if value.dtype.names:
        if value.size == 1 and depth:
            for field in value.dtype.names:
                _collect(f"{name}/{field}", value[field].flat[0], found, depth - 1)
        return
    if value.dtype == object and value.size == 1 and depth:
        _collect(name, value.flat[0], found, depth - 1)
        return
    if value.size:
        found[name] = value


def _sequences(name: str, cells: Any) -> Content:
    """Return the matrices in a cell array as sequences, padded with NaN."""
    series = []
    for i, cell in enumerate(cells.flat, 1):
        if not isinstance(cell, np.ndarray) or cell.dtype.kind not in "fiub" or cell.ndim > 2:
            raise InputError(f"cell {i} of {name!r} is no matrix of numbers; name another `key`.")
        series.append(cell.reshape(-1, 1) if 1 in cell.shape else cell)
    widths = sorted({one.shape[1] for one in series})
    if len(widths) > 1:
        raise InputError(
            f"the cells of {name!r} have {widths[0]} to {widths[-1]} columns; give all cells the "
            "shape (T, F)."
        )
    lengths = np.array([len(one) for one in series])
    if lengths.max() * len(series) > 400 * sum(lengths) + (1 << 24):
        raise InputError(f"the cells of {name!r} differ too much in length to be padded.")
    values = np.full((len(series), lengths.max(), widths[0]), np.nan)
    for i, one in enumerate(series):
        values[i, : len(one)] = one
    return ArrayContent(values, lengths, notes=(f"cells of {name!r} are read as sequences",))
