"""Files that each hold sequences or images, read as one: the sequences of all of them in order."""

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from unspool.data.messages import errors_naming
from unspool.data.sequences import Sequences
from unspool.errors import InputError
from unspool.io import endings
from unspool.io.cutting import WindowOptions, of_sequences
from unspool.io.file_data import Column, FileData
from unspool.io.options import ReadOptions

NOTE = "the sequences of all files are joined in the order of the names"


def is_of_sequences(file: Path, options: ReadOptions) -> bool:
    """Return whether each line or entry of a file is a sequence, by its format."""
    ending = endings.ending_of(file)
    inner = endings.unpacked_ending_of(file)
    if inner in (*endings.ROWS, endings.IDX):
        return True
    if inner != ".tsv" or options.given():
        return False
    from unspool.io.ucr import is_ucr

    if ending not in endings.PACKED:
        return is_ucr(file)
    from unspool.io.compressed import unpacked

    with unpacked(file, None) as (path, _, _):
        return is_ucr(path)


def join_sequences(
    files: Sequence[Path], names: Sequence[str], options: ReadOptions, notes: tuple[str, ...]
) -> FileData:
    """Read files of sequences, and join them.

    Parameters
    ----------
    files : sequence of Path
        The files. A file of labels, as MNIST has one for its images, gives those of its sequences.
    names : sequence of str
        Names of the files, which become parts of the ids.
    options : ReadOptions
        How they are read; windows are cut from the joined sequences.
    notes : tuple of str
        What is known about the files.

    Raises
    ------
    InputError
        If a file cannot be read, or has other features than the first one, or only some of the
        files have labels.
    """
    from unspool.io.loading import load

    windows = options.windows
    whole = WindowOptions(
        missing=windows.missing,
        missing_values=windows.missing_values,
        interpolate_limit=windows.interpolate_limit,
    )
    labels = _label_files(files)
    found: list[FileData] = []
    kept = [i for i, file in enumerate(files) if file not in labels.values()]
    for i in kept:
        with errors_naming(Path(files[i].name)):
            loaded = load(files[i], replace(options, windows=whole))
        if files[i] in labels:
            loaded = _with_labels(loaded, files[i], labels[files[i]])
        _check_like(found[0] if found else loaded, loaded, files[kept[0]], files[i])
        found.append(loaded)
    index: dict[str, Column] = {"id": _ids(found, [names[i] for i in kept])}
    for name in found[0].index:
        if name not in ("id", "time"):
            index[name] = _column([one.index[name] for one in found])
    joined = of_sequences(
        _all_of([one.source for one in found]),
        windows,
        index=index,
        notes=(*notes, NOTE, *found[0].notes[1:]),
    )
    return replace(joined, image_shape=found[0].image_shape)


def _all_of(parts: Sequence[object]) -> Sequences:
    each = [one for one in parts if isinstance(one, Sequences)]
    length, count = max(one.max_length for one in each), sum(map(len, each))
    values = np.zeros(
        (count, length, each[0].n_features), np.result_type(*(o.values for o in each))
    )
    row = 0
    for one in each:
        values[row : row + len(one), : one.values.shape[1]] = one.values
        row += len(one)
    lengths = np.concatenate([one.lengths for one in each])
    return Sequences(values, lengths, each[0].feature_names, each[0].missing)


def _ids(found: Sequence[FileData], names: Sequence[str]) -> Column:
    """Return an id for each sequence: the name of its file, and its id or number in it."""
    ids: list[str] = []
    for one, name in zip(found, names, strict=True):
        known = one.index.get("id")
        numbers = range(len(one.source)) if known is None else known.tolist()
        alone = known is None and len(one.source) == 1
        ids += [name] if alone else [f"{name}/{number}" for number in numbers]
    return np.array(ids)


def _column(parts: list[Column]) -> Column:
    """Return a column of all files; numbers and texts together are texts."""
    numeric = [one.dtype.kind in "biuf" for one in parts]
    if any(numeric) and not all(numeric):
        parts = [one.astype(np.str_) for one in parts]
    return np.concatenate(parts)


def _check_like(first: FileData, other: FileData, first_file: Path, file: Path) -> None:
    """Raise if a file cannot be joined to the first one."""
    one, two = first.source.n_features, other.source.n_features
    if one != two:
        raise InputError(
            f"{file.name} has {two} features, but {first_file.name} has {one}; select files of one "
            "form with a pattern."
        )
    if first.image_shape != other.image_shape:
        raise InputError(
            f"{file.name} has images of {other.image_shape}, but {first_file.name} of "
            f"{first.image_shape}; select files of one form with a pattern."
        )
    if ("label" in first.index) != ("label" in other.index):
        some, none = (file, first_file) if "label" in other.index else (first_file, file)
        raise InputError(
            f"{some.name} has labels, but {none.name} has none; select files of one form with a "
            "pattern."
        )


def _label_files(files: Sequence[Path]) -> dict[Path, Path]:
    """Return the file of labels of each IDX file that has one, by the names of MNIST."""
    found = {}
    for file in files:
        if endings.ending_of(file) == endings.IDX and "image" in file.name.lower():
            name = re.sub("(?i)image", lambda match: _like(match[0], "label"), file.name)
            name = re.sub("(?i)idx[234]", lambda match: f"{match[0][:3]}1", name)
            if (labels := file.with_name(name)) in files:
                found[file] = labels
    return found


def _like(text: str, word: str) -> str:
    return word.upper() if text.isupper() else word.title() if text.istitle() else word


def _with_labels(loaded: FileData, file: Path, labels: Path) -> FileData:
    from unspool.io.idx import read_idx

    column = read_idx(labels)
    if column.shape != (len(loaded.source),):
        raise InputError(
            f"{labels.name} has labels of shape {column.shape}, but {file.name} has "
            f"{len(loaded.source):,} images; give both files of one data set."
        )
    return replace(loaded, index={**loaded.index, "label": column})
