"""`read_file`: a file in, a `Sequences` or a `Windows` out, with what identifies each of its items.

Main path: `read_file` checks its arguments and the file, then the ending picks a reader (`tables`,
`ucr`, `arrays` or `idx`); what a reader complains of gets the file's name in front.
"""

import re
from collections.abc import Sequence
from pathlib import Path

from unspool import _checks
from unspool.data.loaded import Cut as Cut
from unspool.data.loaded import Loaded as Loaded
from unspool.data.loaded import naming
from unspool.errors import InputError

TABLES = (".csv", ".parquet", ".pq", ".txt")
ARRAYS = (".npy", ".npz")
ROWS = (".ts", ".tsv")
IDX = ".idx"
# What MNIST's files are called, and other spellings of it: a-idx3-ubyte, a.idx1-ubyte, a.idx.gz
_IDX_NAME = re.compile(r"(\.idx|[-.]idx\d+-[a-z]+)(\.gz)?$", re.IGNORECASE)


def read_file(
    path: str | Path,
    *,
    window: int | None = None,
    stride: int = 1,
    columns: Sequence[str] | None = None,
    time: str | None = None,
    id: str | None = None,
    label: str | None = None,
    rows: bool = False,
    tail: bool = False,
    short: str = "error",
) -> Loaded:
    """Read a file of sequences or of long series.

    Parameters
    ----------
    path : str or Path
        `.csv`, `.txt`, `.parquet`, `.pq`: a table, rows are steps and columns are features;
        `.npy`, `.npz`: (N, T, F), (N, T), or with `window` one long series (T, F) or (T,);
        `.tsv`: the UCR archive, a label and a sequence in each row; `.ts`: aeon and sktime;
        `.idx`, or `-idx3-ubyte` and the like, also with `.gz`: arrays as in MNIST, where an image
        (H, W) is a sequence of H steps, its rows, of W features.
    window : int, optional
        Cut series into windows of so many steps; `stride`, `tail` and `short` as in `Windows`.
    columns : sequence of strings, optional
        The features of a table; by default every column that is nothing else.
    time, id, label : str, optional
        Columns of a table that are no features: the time of a step, the series it belongs to, its
        label. By default those with a usual name or, for the time, a date as content.
        Rows keep the order of the file where the time goes back now and then, as at a clock
        change; dates from newest to oldest are reversed. `notes` say so.
    rows : bool, default False
        Read each row of a table or a 2-D array as one sequence of one feature.

    Returns
    -------
    Loaded
        Its `notes` say which columns were taken for what.

    Raises
    ------
    InputError
        For a file that cannot be read or does not hold what its ending says; the message begins
        with the path.

    Examples
    --------
    >>> loaded = read_file("ETTh1.csv", window=96)  # doctest: +SKIP
    >>> loaded.source  # doctest: +SKIP
    Windows(17325 windows of 96 steps, stride 1, over 1 series, 7 features)
    >>> loaded.notes[0]  # doctest: +SKIP
    "column 'date' taken as time, set aside"
    """
    path = Path(path)
    cut = _checked_cut(window, stride, tail, short)
    _checks.raise_all(_checks.truth("rows", rows))
    if isinstance(columns, str):
        raise InputError(f"`columns` must be a list of names, got the string {columns!r}.")
    roles = {"columns": columns, "time": time, "id": id, "label": label}
    given = [f"`{name}`" for name, value in roles.items() if value is not None]

    with naming(path):
        ending = _checked_ending(path)
        if given and ending not in TABLES:
            raise InputError(
                f"{', '.join(given)} cannot be used: a {ending} file has no named columns; "
                "leave it out."
            )
        # Readers are imported at use: pyarrow only where a table is read.
        if ending in TABLES:
            from unspool.data.tables import load_table

            named = {"time": time, "id": id, "label": label}
            return load_table(path, cut, columns=columns, named=named, rows=rows)
        if ending in ARRAYS:
            from unspool.data.arrays import load_array

            return load_array(path, cut, rows=rows)
        if ending == IDX:
            from unspool.data.idx import load_idx

            return load_idx(path, cut, rows=rows)
        from unspool.data.ucr import load_ts, load_tsv

        return load_tsv(path, cut) if ending == ".tsv" else load_ts(path, cut)


def _checked_cut(window: int | None, stride: int, tail: bool, short: str) -> Cut:
    _checks.raise_all(
        _checks.whole("window", window, 1, none=True),
        _checks.whole("stride", stride, 1),
        _checks.truth("tail", tail),
        _checks.choice("short", short, ("error", "keep")),
    )
    if window is None and (stride != 1 or tail or short != "error"):
        raise InputError(
            "`stride`, `tail` and `short` say how to cut windows, and no `window` was given; "
            "give its number of steps, or leave them out."
        )
    return Cut(window, stride, tail, short)


def _checked_ending(path: Path) -> str:
    """The ending in lower case, `.idx` for all of its names, of a file there and not empty."""
    if path.is_dir():
        raise InputError("this is a folder; name one file in it.")
    if not path.exists():
        raise InputError("there is no such file; check the path.")
    ending = IDX if _IDX_NAME.search(path.name) else path.suffix.lower()
    known = (*TABLES, *ARRAYS, *ROWS, IDX)
    if ending not in known:
        raise InputError(_checks.unknown_name("ending", path.suffix, known))
    if path.stat().st_size == 0:
        raise InputError("the file is empty (0 bytes); nothing was written to it.")
    return ending
