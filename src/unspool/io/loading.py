"""The reader for a path: a file, packed files, a folder, or a pattern of names."""

from pathlib import Path
from typing import Any

from unspool.data.messages import errors_naming
from unspool.errors import InputError
from unspool.io import endings
from unspool.io.contents import Content, TableContent
from unspool.io.file_data import FileData
from unspool.io.options import ReadOptions

# Readers are imported when they are needed: only tables need pyarrow.


def load(path: Path, options: ReadOptions) -> FileData:
    """Read what a path names as `FileData`."""
    from unspool.io.several import is_several, load_several

    if is_several(path):
        return load_several(path, options)
    ending = endings.checked_ending(path)
    if ending in endings.PACKED:
        return _load_packed(path, options)
    refuse_key(ending, options.key)
    if ending in (*endings.ROWS, endings.IDX):
        _refuse_columns(ending, options)
        if ending == endings.IDX:
            from unspool.io.idx import load_idx

            return load_idx(path, options)
        from unspool.io.ucr import load_ts

        return load_ts(path, options)
    if ending in endings.PICTURES:
        raise InputError("this is one picture; give the folder of all pictures.")
    if ending == ".tsv" and not options.given():
        from unspool.io.ucr import is_ucr, load_tsv

        if is_ucr(path):
            return load_tsv(path, options)
    if ending in endings.PARQUET:
        from unspool.io.streamed_tables import of_parquet, streams_parquet

        if not options.text.given() and streams_parquet([path], options):
            return of_parquet([path], options)
    content = read_content(path, options)
    if isinstance(content, TableContent):
        from unspool.io.tables import of_table

        return of_table(content.table, options, content.notes)
    from unspool.io.arrays import of_array

    _refuse_columns(ending, options)
    values, lengths, labels = content.values, content.lengths, content.labels
    return of_array(values, lengths, labels, options, content.notes)


def _load_packed(path: Path, options: ReadOptions) -> FileData:
    from dataclasses import replace

    from unspool.io.compressed import unpacked

    with unpacked(path, options.key) as (inner, key, notes):
        if inner.is_dir():
            loaded = load(inner, replace(options, key=key))
        else:
            with _errors_of(inner):
                loaded = load(inner, replace(options, key=key))
        return replace(loaded, notes=(*notes, *loaded.notes))


def read_content(path: Path, options: ReadOptions) -> Content:
    """Read a file of a table or of arrays, which is not packed."""
    ending = endings.ending_of(path)
    if ending in endings.TABLES:
        from unspool.io.table_files import read_table

        return TableContent(*read_table(path, options))
    if ending == endings.ARFF:
        from unspool.io.arff import read_arff

        return read_arff(path)
    if ending in endings.HDF5:
        from unspool.io.hdf5 import read_hdf5

        return read_hdf5(path, options)
    if ending == endings.MATLAB:
        from unspool.io.matlab import read_matlab

        return read_matlab(path, options)
    if ending in endings.NUMPY:
        from unspool.io.arrays import read_array

        return read_array(path, options)
    raise InputError(f"a {ending} file contains sequences; give one file.")


def table_of(path: Path) -> Any:
    """Return the table of a file, compressed or not, as a `pyarrow.Table`.

    Raises
    ------
    InputError
        If the file cannot be read, or its columns have no names.
    """
    if endings.checked_ending(path) in endings.PACKED:
        from unspool.io.compressed import unpacked

        with unpacked(path, None) as (inner, _, _):
            if inner.is_dir():
                raise InputError("the archive has several files; unpack it, and give one of them.")
            return table_of(inner)
    content = read_content(path, ReadOptions())
    if not isinstance(content, TableContent):
        raise InputError("this is an array, whose columns have no names; give a table.")
    return content.table


def has_column_names(path: Path, key: str | None = None) -> bool:
    """Return whether what a path names is a table, whose columns have names.

    A path that cannot be read counts as no table; reading it raises the error.
    """
    from unspool.io.several import files_of, is_several

    try:
        if is_several(path):
            return has_column_names(files_of(path)[0], key)
        ending = endings.ending_of(path)
        if ending == ".tsv":
            from unspool.io.ucr import is_ucr

            return not is_ucr(path)
        if ending in endings.TABLES:
            return True
        if ending in endings.PACKED:
            inner = endings.ending_of(path.with_suffix(""))
            one_file = ending != ".zip" and inner != ".tsv"
            if one_file and inner in (*endings.TABLES, *endings.ROWS, endings.IDX):
                return inner in endings.TABLES
            from unspool.io.compressed import unpacked

            with unpacked(path, key) as (inside, key, _):
                return has_column_names(inside, key)
        if ending in (*endings.ARRAYS, endings.ARFF):
            if ending == ".npy":
                import numpy as np

                return np.load(path, mmap_mode="r", allow_pickle=False).dtype.names is not None
            return isinstance(read_content(path, ReadOptions(key=key)), TableContent)
    except (InputError, OSError, EOFError, ValueError):
        pass
    return False


def holds_sequences(path: Path) -> bool:
    """Return whether the files of a folder or a pattern surely hold whole sequences, no series."""
    from unspool.io.contents import ArrayContent
    from unspool.io.joined_sequences import is_of_sequences
    from unspool.io.several import files_of

    try:
        first = files_of(path)[0]
        if is_of_sequences(first, ReadOptions()):
            return True
        if endings.ending_of(first) in (*endings.ARRAYS, endings.ARFF):
            content = read_content(first, ReadOptions())
            return isinstance(content, ArrayContent) and content.values.ndim > 2
    except (InputError, OSError, EOFError, ValueError):
        pass
    return False


def holds_pictures(path: Path) -> bool:
    """Return whether a path names pictures such as PNG files."""
    from unspool.io.several import files_of, is_several

    try:
        files = files_of(path) if is_several(path) else [path]
    except InputError:
        return False
    return endings.unpacked_ending_of(files[0]) in endings.PICTURES


def holds_images(path: Path) -> bool:
    """Return whether a file surely holds images: IDX of three axes, or .npy of four or of bytes."""
    from unspool.io.several import files_of, is_several

    ending = endings.ending_of(path)
    try:
        if is_several(path):
            return endings.ending_of(files_of(path)[0]) in endings.PICTURES
        if ending == endings.IDX:
            from unspool.io.idx import read_shape

            return len(read_shape(path)) == 3
        if ending == ".npy":
            import numpy as np

            array = np.load(path, mmap_mode="r", allow_pickle=False)
            return bool(array.ndim == 4 or (array.ndim == 3 and array.dtype == np.uint8))
    except (InputError, OSError, EOFError, ValueError):
        pass
    return False


def refuse_key(ending: str, key: str | None) -> None:
    """Raise an `InputError` if `key` is given for a file that has no parts."""
    if key is not None and ending not in endings.KEYED:
        raise InputError(
            f"`key`: {key!r} names a part of a file of several, but a {ending} file has one; leave "
            "it out."
        )


def _refuse_columns(ending: str, options: ReadOptions) -> None:
    given = [f"`{name}`" for name in options.given()]
    if given:
        raise InputError(
            f"{', '.join(given)} cannot be used with a {ending} file, whose columns have no "
            f"names; leave {'it' if len(given) == 1 else 'them'} out."
        )


def _errors_of(inner: Path) -> Any:
    return errors_naming(Path(inner.name))
