"""Several files read as one: those of a folder, or those whose names match a pattern."""

import glob
import os
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from unspool.data.messages import errors_naming, listed
from unspool.errors import InputError
from unspool.io import endings
from unspool.io.contents import ArrayContent, Content, TableContent
from unspool.io.cutting import of_series
from unspool.io.file_data import FileData
from unspool.io.joined_sequences import is_of_sequences, join_sequences
from unspool.io.options import ReadOptions

FILE = "file"  # column of the names of files
EACH_A_SERIES = "each file is a series with its name as id; --files rows joins them"
ROWS_JOINED = "the rows of all files are joined in the order of the names"
_ABOUT = re.compile(r"(read_?me|licen[cs]e|changelog|citation|copying)", re.IGNORECASE)


def is_several(path: Path) -> bool:
    """Return whether a path is a folder, or a pattern and no file of that name."""
    return path.is_dir() or (bool(re.search(r"[*?[]", str(path))) and not path.exists())


def files_of(path: Path) -> list[Path]:
    """Return the files of data in a folder or of a pattern, in the natural order of their names.

    Raises
    ------
    InputError
        If there are none, or they have several formats.
    """
    if path.is_dir():
        inner = [path, *path.rglob("*")]
        closed = next((one for one in inner if one.is_dir() and not _is_readable(one)), None)
        if closed is not None:
            raise InputError(f"the folder {closed} cannot be read; change its permissions.")
        found = [one for one in inner if one.is_file()]
        inside = [one.relative_to(path) for one in found]
    else:
        found = [Path(one) for one in glob.glob(str(path), recursive=True) if Path(one).is_file()]
        inside = [Path(one.name) for one in found]
    files = [
        one
        for one, name in zip(found, inside, strict=True)
        if not any(part[0] in "._" for part in name.parts)
        and endings.is_known(one)
        and not _ABOUT.match(one.name)
    ]
    if not files:
        what = "the folder contains no file" if path.is_dir() else "no file matches the pattern"
        held = f" of data, but {listed([one.name for one in found])}" if found else ""
        raise InputError(f"{what}{held}; check the path.")
    kinds = sorted({_kind(one) for one in files})
    if len(kinds) > 1:
        raise InputError(
            f"there are files that end in {', '.join(kinds)}; select those of one format, for "
            f"example with '{path / ('*' + kinds[0]) if path.is_dir() else '*' + kinds[0]}'."
        )
    return sorted(files, key=_natural)


def _kind(file: Path) -> str:
    """Return the ending of a file, for a packed one with the ending inside, such as .csv.gz."""
    ending, inner = endings.ending_of(file), endings.unpacked_ending_of(file)
    return ending if inner == ending else f"{inner}{ending}"


def _is_readable(folder: Path) -> bool:
    return os.access(folder, os.R_OK | os.X_OK)


def load_several(path: Path, options: ReadOptions) -> FileData:
    """Read files as series with their names as ids, or as rows of one table.

    Raises
    ------
    InputError
        If a file cannot be read, or has other columns than the first one.
    """
    from unspool.io.loading import load, read_content, refuse_key

    files = files_of(path)
    ending = endings.ending_of(files[0])
    if ending not in endings.PACKED:
        refuse_key(ending, options.key)
    if ending in endings.PICTURES:
        return _pictures(path, files, options)
    names = _names(path, files, ending)
    if len(files) == 1:
        with errors_naming(Path(files[0].name)):
            return load(files[0], options)
    notes: tuple[str, ...] = (f"{len(files):,} files, {files[0].name} to {files[-1].name}",)
    if ending in endings.PARQUET:
        from unspool.io.streamed_tables import of_parquet, streams_parquet

        if streams_parquet(files, options):
            if options.files == "rows":
                return of_parquet(files, options, None, (*notes, ROWS_JOINED))
            return of_parquet(files, options, _names(path, files, ending), (*notes, EACH_A_SERIES))
    of_sequences = [is_of_sequences(file, options) for file in files]
    if any(of_sequences):
        if not all(of_sequences):
            one, another = files[of_sequences.index(False)], files[of_sequences.index(True)]
            raise InputError(
                f"{one.name} holds a table, but {another.name} sequences, one in each line; select "
                "files of one form with a pattern."
            )
        return join_sequences(files, names, options, notes)
    contents: list[Content] = []
    for file in files:
        with errors_naming(Path(file.name)):
            endings.checked_ending(file)
            if ending in endings.PACKED:
                contents.append(_packed(file, options))
            else:
                contents.append(read_content(file, options))
    if path.is_dir():
        others = [one for one in path.rglob("*") if one.is_file() and one not in files]
        if others:
            notes += (f"files that are left out: {listed([one.name for one in others])}",)
    if all(isinstance(one, TableContent) for one in contents):
        return _tables(path, files, names, contents, options, notes)
    table = next((i for i, one in enumerate(contents) if isinstance(one, TableContent)), None)
    if table is not None:
        other = next(i for i, one in enumerate(contents) if isinstance(one, ArrayContent))
        raise InputError(
            f"{files[table].name} holds a table, but {files[other].name} an array; select files of "
            "one form with a pattern."
        )
    if options.files == "rows":
        raise InputError("`files`: only tables are joined to rows; leave it out.")
    arrays = [one for one in contents if isinstance(one, ArrayContent)]
    whole = [_has_sequences(one, options) for one in arrays]
    if any(whole) and not all(whole):
        matrix, another = files[whole.index(False)], files[whole.index(True)]
        raise InputError(
            f"{matrix.name} holds one matrix, but {another.name} sequences; select files of "
            "one form with a pattern."
        )
    if options.rows or options.images or any(whole):
        return join_sequences(files, names, options, notes)
    return _series(files, names, arrays, options, notes)


def _has_sequences(content: ArrayContent, options: ReadOptions) -> bool:
    """Return whether an array is not one series: it has three axes, or a label for each row."""
    of_rows = content.labels is not None or content.lengths is not None
    return content.values.ndim > 2 or (of_rows and options.windows.size is None)


def _series(
    files: list[Path],
    names: list[str],
    arrays: list[ArrayContent],
    options: ReadOptions,
    notes: tuple[str, ...],
) -> FileData:
    """Read the array of each file as a series."""
    series = [one.values.reshape(len(one.values), -1) for one in arrays]
    widths = [one.shape[1] for one in series]
    other = next((i for i, width in enumerate(widths) if width != widths[0]), None)
    if other is not None:
        raise InputError(
            f"{files[other].name} has {widths[other]} features, but {files[0].name} has "
            f"{widths[0]}; select files of one form with a pattern."
        )
    steps: dict[str, list[Any]] = {}
    labels = [one.labels for one in arrays if one.labels is not None]
    if labels:
        lacking = next((i for i, one in enumerate(arrays) if one.labels is None), None)
        if lacking is not None:
            raise InputError(
                f"{files[lacking].name} has no labels, but others have; select files of one form "
                "with a pattern."
            )
        wrong = next((i for i, one in enumerate(labels) if one.shape != series[i].shape[:1]), None)
        if wrong is not None:
            raise InputError(
                f"{files[wrong].name} has labels of shape {labels[wrong].shape}, but "
                f"{len(series[wrong]):,} steps; write one label for each step."
            )
        steps["label"] = labels
    notes += ("each file is read as a series (T, F), with its name as id",)
    return of_series(series, options.windows, ids=names, steps=steps, notes=notes)


def _names(path: Path, files: list[Path], ending: str) -> list[str]:
    """Return a name for each file, its path if names occur twice."""
    names = [one.stem.partition(".")[0] if ending in endings.PACKED else one.stem for one in files]
    if len(set(names)) < len(names):
        root = path if path.is_dir() else Path()
        names = [
            str((one.relative_to(root) if path.is_dir() else one).with_suffix("")) for one in files
        ]
    return names


def _pictures(path: Path, files: list[Path], options: ReadOptions) -> FileData:
    """Read pictures as images, or as sequences of their rows, with the names of their folders."""
    from unspool.io.arrays import of_array
    from unspool.io.pictures import read_pictures

    values = read_pictures(files)
    notes: tuple[str, ...] = (f"{len(files):,} pictures, {files[0].name} to {files[-1].name}",)
    if values.ndim == 4 and not options.images:
        raise InputError(
            "pictures with colours are read for --kind conv only, with images=True (--images)."
        )
    folders = [one.parent for one in files]
    labels = None
    if len(set(folders)) > 1 and path not in folders:
        labels = np.array([one.name for one in folders])
        notes += ("the name of the folder of each picture is its label",)
    return of_array(values, None, labels, options, notes)


def _packed(file: Path, options: ReadOptions) -> Any:
    from unspool.io.compressed import unpacked
    from unspool.io.loading import read_content

    with unpacked(file, options.key) as (inner, key, _):
        if inner.is_dir():
            raise InputError("the archive has several files; unpack it.")
        return read_content(inner, replace(options, key=key))


def _tables(
    path: Path,
    files: list[Path],
    names: list[str],
    contents: list[Any],
    options: ReadOptions,
    notes: tuple[str, ...],
) -> FileData:
    """Join tables; their rows have the name of their file as id, and of its folder as label."""
    import pyarrow as pa

    from unspool.io.id_parts import join_id_columns
    from unspool.io.role_names import LABEL_NAMES
    from unspool.io.roles import find_roles
    from unspool.io.table_values import plain_column
    from unspool.io.tables import of_table
    from unspool.io.wide_tables import wide_columns

    tables = [one.table for one in contents]
    first = tables[0].column_names
    for file, table in zip(files, tables, strict=True):
        if sorted(table.column_names) != sorted(first):
            differing = sorted(set(table.column_names) ^ set(first)) or ["repeated names"]
            raise InputError(
                f"{file.name} and {files[0].name} have different columns ({listed(differing)} only "
                "in one of them); select files of one form with a pattern."
            )
    tables = [table.select(first) if len(set(first)) == len(first) else table for table in tables]
    notes = (*notes, *contents[0].notes)
    if options.files == "series":
        joined_ids = [join_id_columns(table, options) for table in tables]
        tables = [table for table, _, _ in joined_ids]
        options = joined_ids[0][1]
        by_id = options.named["id"]
        wide = wide_columns(tables[0], options)
        more_ids = () if wide is None else wide.ids
        if by_id is None and not more_ids:
            by_id = find_roles(
                tables[0], options.named, options.columns, rows=bool(options.rows)
            ).id
        column = FILE
        while column in first:
            column += "_"
        joined = []
        for name, table in zip(names, tables, strict=True):
            ids = [name] * table.num_rows
            if by_id is not None:
                ids = [f"{name}/{one}" for one in plain_column(table[by_id]).tolist()]
                table = table.drop_columns([by_id])
            joined.append(table.append_column(column, pa.array(ids, pa.string())))
        tables = joined
        options = replace(options, id=column)
        if more_ids:
            options = replace(options, id=(column, *more_ids))
        folders = [one.parent for one in files]
        usual = any(name.strip().lower() in LABEL_NAMES for name in first)
        if len(set(folders)) > 1 and path not in folders and options.label is None and not usual:
            tables = [
                table.append_column("label", pa.array([folder.name] * table.num_rows, pa.string()))
                for table, folder in zip(tables, folders, strict=True)
            ]
            options = replace(options, label="label")
            notes += ("the name of the folder of each file is its label",)
        notes += (EACH_A_SERIES,)
    else:
        notes += (ROWS_JOINED,)
    try:
        table = pa.concat_tables(tables, promote_options="permissive")
    except pa.ArrowException as error:
        raise InputError(f"the files have columns of different types: {error}.") from None
    return of_table(table, options, notes)


def _natural(path: Path) -> list[tuple[int, Any]]:
    """Return a key that sorts a2 before a10."""
    parts = re.split(r"(\d+)", str(path))
    return [(int(part), "") if part.isdecimal() else (-1, part.lower()) for part in parts]
