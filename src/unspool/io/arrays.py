"""NumPy files: `.npy`, memory-mapped if windows are cut from it, and `.npz` with lengths.

`read_array` finds the values (and lengths and labels). An array (N, T, F) or (N, T) is N
sequences; with a window, an array of two axes is one series (T, F).
"""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from unspool.data.sequences import Sequences
from unspool.data.stored import MappedArray, Stored, Values
from unspool.errors import InputError
from unspool.io.contents import ArrayContent, Content, TableContent, table_of_fields
from unspool.io.cutting import WindowOptions, of_sequences, of_series
from unspool.io.file_data import Column, FileData
from unspool.io.named_arrays import LENGTHS, VALUES, NamedArray, choose
from unspool.io.npy import Npz, read_npy
from unspool.io.options import ReadOptions
from unspool.io.streaming import refuse_policy, streaming_note, streams

LABELS = ("y", "labels")
_SIGNATURES = {".npy": b"\x93NUMPY", ".npz": b"PK"}


def read_array(path: Path, options: ReadOptions) -> Content:
    """Read a `.npy` or `.npz` file.

    Raises
    ------
    InputError
        If the file contains pickled objects, or arrays of other dtypes, shapes or names.
    """
    ending = path.suffix.lower()
    with path.open("rb") as file:
        if not file.read(6).startswith(_SIGNATURES[ending]):
            raise InputError(
                f"this is not a {ending} file (its first bytes differ); write it with "
                f"numpy.{'save' if ending == '.npy' else 'savez'}."
            )
    try:
        if ending == ".npz":
            return _entries(Npz(path), options.key)
        size = path.stat().st_size
        in_pieces = streams(size, options.stream)
        values = read_npy(path, mapped=in_pieces or options.windows.size is not None)
    except (ValueError, EOFError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"the array cannot be read: {error}; write it again.") from None
    if values.dtype.names:
        return TableContent(table_of_fields(values))
    if in_pieces and values.ndim and values.dtype.kind in "fiub":
        refuse_policy(options.windows.missing)
        return ArrayContent(MappedArray(values), notes=(streaming_note(size, options.stream),))
    return ArrayContent(values)


def _entries(file: Npz, key: str | None) -> Content:
    """Return values, lengths and labels of a `.npz` file; refuse other arrays unread."""
    found: dict[str, list[str]] = {
        "labels": [name for name in LABELS if name in file.names],
        "values": [name for name in VALUES if name in file.names],
    }
    others = [name for name in file.names if name not in (*LABELS, *VALUES, LENGTHS)]
    if key is not None or (not found["values"] and len(others) != 1):
        arrays = {
            name: NamedArray(*file.header(name), partial(file.read, name)) for name in file.names
        }
        return choose(arrays, key, "the file")
    if not found["values"]:
        found["values"] = others
    for kind, names in found.items():
        if len(names) > 1:
            raise InputError(f"both {names[0]!r} and {names[1]!r} may be the {kind}; keep one.")
    if others != found["values"] and others:
        held = ", ".join(map(repr, sorted(others)))
        raise InputError(
            "expected the values as 'X' or 'values' (or as the only array), and optionally "
            f"'lengths' and 'y' or 'labels', got {held}; name the array with `key` (--key NAME)."
        )
    values = file.read(found["values"][0])
    if values.dtype.names:
        return TableContent(table_of_fields(values))
    lengths = file.read(LENGTHS) if LENGTHS in file.names else None
    labels = file.read(found["labels"][0]) if found["labels"] else None
    return ArrayContent(values, lengths, labels)


def of_array(
    values: Values,
    lengths: Column | None,
    labels: Column | None,
    options: ReadOptions,
    notes: Sequence[str] = (),
) -> FileData:
    """Read an array as sequences or as one series, by its shape and the options."""
    rows, windows = options.rows, options.windows
    if values.dtype.kind not in "fiub":
        raise InputError(
            f"expected an array of real numbers, got dtype {values.dtype}; convert it to numbers."
        )
    if values.size == 0:
        raise InputError(f"the array of shape {values.shape} is empty; write it again.")
    shape = "x".join(f"{size:,}" for size in values.shape)
    if options.images:
        return _images(
            values,
            labels,
            options,
            (*notes, f"array of {shape} read as images (--no-images: as sequences of rows)"),
        )
    if rows and values.ndim != 2:
        raise InputError(
            f"`rows` reads the rows of a 2-D array, got an array of {shape}; leave `rows` out."
        )
    one_series = values.ndim == 1 or (values.ndim == 2 and windows.size is not None and not rows)
    if one_series:
        return _one_series(values, lengths, labels, windows, notes)
    if values.ndim not in (2, 3):
        raise InputError(
            f"expected an array of 1 to 3 dimensions, got {values.ndim} ({shape}); reshape it to "
            "(N, T, F)."
        )
    notes = [*notes, f"array of {shape} read as {_sequences_note(values)}"]
    if values.ndim == 2 and not rows:
        notes[-1] += f"; with a window: one series of {values.shape[1]:,} features"
    if labels is not None:
        notes.append("the file has labels")
    index = {} if labels is None else {"label": labels}
    values = values.reshape(*values.shape, 1) if values.ndim == 2 else values
    source = Sequences(values, lengths, missing=windows.accepted)
    return of_sequences(source, windows, index=index, notes=notes)


def _images(
    values: Values, labels: Column | None, options: ReadOptions, notes: Sequence[str]
) -> FileData:
    """Read an array (N, H, W) or (N, H, W, C) as images."""
    if values.ndim not in (3, 4) or options.windows.size is not None or options.rows:
        raise InputError(
            f"images have the shape (N, H, W) or (N, H, W, C), and no window or rows, got an array "
            f"of {values.ndim} dimensions; read sequences with images=False (--no-images)."
        )
    if (
        not isinstance(values, Stored) and values.itemsize < 4
    ):  # float32 is exact here, and half as large as float64
        values = values.astype(np.float32)
    image = (*values.shape[1:], 1)[:3]
    pixels = values.reshape(len(values), image[0] * image[1], image[2])
    source = Sequences(pixels, missing=options.windows.accepted)
    index = {} if labels is None else {"label": labels}
    found = of_sequences(source, options.windows, index=index, notes=notes)
    return replace(found, image_shape=image)


def _one_series(
    values: Values,
    lengths: Column | None,
    labels: Column | None,
    options: WindowOptions,
    before: Sequence[str] = (),
) -> FileData:
    """Read one long series of shape (T,) or (T, F), without copying it."""
    if options.size is None:
        raise InputError(
            f"the array is one series of {len(values):,} steps; cut it into windows, for example "
            "with `window=96`."
        )
    if lengths is not None:
        raise InputError(
            "the file has 'lengths' of sequences, but with a window the array is read as one "
            "series; leave 'lengths' out, or read rows as sequences with `rows=True`."
        )
    series = values.reshape(len(values), 1) if values.ndim == 1 else values
    steps: dict[str, list[Any]] = {}
    if labels is not None:
        if labels.shape != (len(series),):
            raise InputError(
                f"expected labels as {len(series):,} values, one for each step, got shape "
                f"{labels.shape}."
            )
        steps["label"] = [labels]
    plural = "s" if series.shape[1] > 1 else ""
    notes = [f"read as one series of {len(series):,} steps, {series.shape[1]:,} feature{plural}"]
    return of_series([series], options, steps=steps, notes=[*before, *notes])


def _sequences_note(values: Values) -> str:
    features = f"{values.shape[2]:,} features" if values.ndim == 3 else "one feature"
    return f"{len(values):,} sequences of {values.shape[1]:,} steps, {features}"
