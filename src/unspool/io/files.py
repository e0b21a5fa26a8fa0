"""`read_file`: a file as `FileData`.

`read_file` checks its arguments; `loading` picks a reader by the ending of the path (`endings` has
all of them). Messages begin with the path.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from unspool import _checks
from unspool._durations import Duration, gap_complaint, size_complaint
from unspool._types import MissingPolicy, Short, names
from unspool.data.messages import errors_naming
from unspool.data.missing_values import codes_complaint, numbers_in
from unspool.errors import InputError
from unspool.io.cutting import WindowOptions
from unspool.io.file_data import FileData
from unspool.io.loading import load
from unspool.io.options import (
    FileMode,
    ReadOptions,
    TextOptions,
    TimeOptions,
)


def read_file(
    path: str | Path,
    *,
    window: int | Duration | None = None,
    stride: int | Duration = 1,
    columns: Sequence[str] | None = None,
    drop: Sequence[str] = (),
    time: str | Sequence[str] | None = None,
    id: str | Sequence[str] | None = None,
    label: str | None = None,
    weight: str | None = None,
    rows: bool | None = None,
    key: str | None = None,
    files: FileMode = "series",
    images: bool = False,
    skip: int | None = None,
    header: int | None = None,
    delimiter: str | None = None,
    decimal: str | None = None,
    thousands: str | None = None,
    encoding: str | None = None,
    date_format: str | None = None,
    day_first: bool | None = None,
    tail: bool = False,
    short: Short = "error",
    dilation: int = 1,
    max_gap: float | Duration | None = "auto",
    missing: MissingPolicy = "raise",
    missing_values: Sequence[float | str] = (),
    interpolate_limit: int | None = None,
    stream: bool | None = None,
) -> FileData:
    r"""Read a file of sequences or of long series.

    The ending of the path selects the format:

    - `.csv`, `.txt`, `.tsv`, `.tab`, `.dat`, `.data`, `.asc`, `.log`, `.lvm`, `.lst`, `.prn`,
      `.psv`, `.rdb`, `.mpt`, `.tbl`;
      `.parquet`, `.pq`; `.feather`, `.arrow`, `.ipc`; `.json`, `.jsonl`, `.ndjson`; `.xlsx`,
      `.xls`, `.ods`; `.arff`: a table. Rows are time steps, columns are features. How a text is
      written (separator, header, decimal point, encoding) is found. If cells hold lists, each row
      is a sequence, and each column of lists a feature.
    - `.npy`, `.npz`, `.h5`, `.hdf5`, `.mat`: an array (N, T, F), or (N, T) for one feature; with
      `window`, one long series (T, F) or (T,). Structured arrays, and several vectors of one
      length, are a table.
    - `.tsv` with numbers alone: a file of the UCR archive, with a label and a sequence in each
      row. With any option for texts or columns, such as ``header=0``, it is a table.
    - `.ts`: the format of aeon and sktime.
    - `.idx`, or names such as `train-images-idx3-ubyte`, also with `.gz`: the format of MNIST. An
      image (H, W) is a sequence of H steps (its rows) of W features.
    - `.gz`, `.bz2`, `.xz`, `.zst`, `.lz4` after another ending: the same, compressed. `.zip`: the
      file in the archive, or if it has several, as for a folder.
    - A folder of `.png`, `.jpg`, `.bmp` or `.tif` pictures of one size: see `images`.
    - A folder, or a pattern such as `logs/*.csv`: all files of one format; see `files`.

    Parameters
    ----------
    path : str or Path
        Path of a file or a folder, or a pattern.
    window : int, str or timedelta, optional
        Number of steps of a window, or a duration such as "6h" if the file has times; `Windows`
        says how it becomes a number of steps. Without it, sequences stay whole, and a table needs
        `id` or `rows`.
    stride : int, str or timedelta, default 1
        Number of steps from the start of one window to the start of the next, or a duration.
    columns : sequence of str, optional
        Columns of a table to read as features. By default all columns that have no other role;
        row numbers, counters, further dates, texts and empty columns are left out.
    drop : sequence of str, default ()
        Columns of a table to ignore.
    time : str or sequence of str, optional
        Column of a table that holds the time of every step, or columns that are one together, such
        as a date and a clock. By default the first column of dates, or else of numbers with a usual
        name such as "time" or "timestamp"; a date and a clock, or year, month and day, are joined.
        Numbers since 1970 are times if all of them are between 1990 and 2060. If dates run from the
        newest to the oldest, rows are reversed; if time goes back rarely, as at a change of
        clocks, rows keep their order. Texts that cannot be read as times are only copied to
        outputs. `notes` say so.
    id : str or sequence of str, optional
        Column of a table that says which series a row belongs to, or columns that do so together,
        such as ``["country", "store"]`` or "country,store": their values are joined to one id, such
        as "DE/7", and outputs have these columns, too. By default the first one with a usual name
        such as "id" or "series"; or, if times repeat or go back, the only one within each of whose
        values they rise.
    label : str, optional
        Column of a table that holds the label of every step. By default the first one with a
        usual name such as "label" or "anomaly", or with a name such as "target" or "status" if
        its values are few or texts.
    weight : str, optional
        Column of a table that holds the weight of every step, or with `rows` of every sequence,
        for the `sample_weight` of `fit`. By default no column has weights.
    rows : bool, optional
        Whether each row of a table or a 2-D array is one sequence of one feature. In a table, the
        steps are then the columns whose names are dates or count, such as "d_1" to "d_28", if there
        are such columns, and otherwise all numbers. Dates are the times of the steps, and the
        columns of texts that tell the rows apart are the ids. By default False, except for a table
        whose columns have dates as names, in which each row is a series; a table that can be read
        in both ways is refused.
    key : str, optional
        What to read in a file that contains several things: the name of an array (NumPy, MATLAB),
        the path of a data set or group (HDF5), the name of a sheet (Excel), the path of the
        records (JSON, such as "data.result"), or the name of a file in a zip archive.
    files : {"series", "rows"}, default "series"
        If `path` is a folder or a pattern: each file is a series, whose id is the name of the file;
        or the rows of all files, in the order of their names, are one table. Files of sequences or
        images are joined, with ids such as "file/0". If a folder has
        several folders with files, the name of the folder is the label.
    images : bool, default False
        Read an array (N, H, W) or (N, H, W, C) as N images, for `ConvAutoencoder`: the property `X`
        of the result has the shape (N, H, W, C).
    skip : int, optional
        Number of lines of a text before its header, or before its data if it has no header. By
        default titles, comments and empty lines are found.
    header : int, optional
        Number of lines of the header of a text, 0 if it has none. By default it is found.
    delimiter : str, optional
        Separator of the fields of a text, such as ";" or "\t"; " " for runs of blanks. By default
        it is found.
    decimal : {".", ","}, optional
        Decimal point of numbers in a text. By default it is found.
    thousands : str, optional
        Character between groups of three digits in a text, such as ",". By default it is found.
    encoding : str, optional
        Encoding of a text, such as "latin-1". By default it is found.
    date_format : str, optional
        Format of the times in a text as for `datetime.strptime`, such as "%d.%m.%Y %H:%M". By
        default it is found.
    day_first : bool, optional
        Whether the day comes before the month in dates such as "01/02/2024". By default it is
        decided from all dates of the column: by a number above 12, or else by the order that makes
        the times more regular. If both are equally regular, the day is first, except with AM
        and PM.
    tail : bool, default False
        Add a window at the end of every series whose last steps are in no other window.
    short : {"error", "keep"}, default "error"
        If a series has fewer than `window` steps: raise an error, or keep it as one shorter window.
    dilation : int, default 1
        Number of steps of the series from one step of a window to the next.
    max_gap : duration, float, "auto" or None, default "auto"
        Largest distance between the times of two neighbouring steps in a window; windows that cross
        a larger one are left out. A number is in seconds if the times are dates, otherwise in
        their unit. "auto" is 2.5 times the median distance if `window` or `stride` is a duration,
        or if the times are dates, 90 % of whose distances equal the median; gaps that recur
        regularly, such as weekends, then cut nothing. Otherwise it is None, no limit.
    missing : {"raise", "mask", "drop", "interpolate"}, default "raise"
        What to do with missing values of features (empty cells, NaN): raise an error; keep them as
        NaN for models with ``missing="mask"``; drop the steps that have one, which end a window; or
        interpolate linearly in time, or without times in steps, between the values before and
        after. Values without one of these are then an error.
    missing_values : sequence of float or str, default ()
        Numbers and texts that mean that a value of a feature is missing, such as ``[-200, "?"]``;
        they become NaN. Empty cells and usual words such as "NA", "?" and "-" in a column of
        numbers are always missing. At the end of a sequence too these are missing values and no
        padding.
    interpolate_limit : int, optional
        Largest number of successive missing values that are interpolated; longer runs are an
        error. By default there is no limit.
    stream : bool, optional
        Whether to read the values of Parquet, `.npy` and HDF5 files in pieces, when they are
        needed, so that files may be larger than the memory. The rows of an id must then be
        together, roles of columns are found in the first 10,000 rows, and missing values can be
        masked, but not dropped or interpolated; they are found when they are read. By default files
        are read in pieces if their values take more than an eighth of the free memory.

    Returns
    -------
    FileData
        Its `source` is a `Sequences` or a `Windows`; its `notes` say how the file was read.

    Raises
    ------
    InputError
        If the file cannot be read, or does not contain what its ending says. The message begins
        with the path.

    See Also
    --------
    sequences_from_table : Read a table that is in memory.
    as_sequences : Read arrays, lists and frames.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from unspool import read_file
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "machine.csv")
    ...     lines = ["time,heat,speed", *(f"{t},{20 + t},{t % 3}" for t in range(100))]
    ...     _ = path.write_text("\n".join(lines))
    ...     data = read_file(path, window=24)
    >>> data.source
    Windows(77 windows of 24 steps, stride 1, over 1 series, 2 features)
    >>> data.notes[0]
    "column 'time' taken as time, set aside"
    """
    path = Path(path)
    _checks.raise_all(
        _checks.choice("missing", missing, names(MissingPolicy)),
        codes_complaint(missing_values),
        _checks.whole("interpolate_limit", interpolate_limit, 1, none=True),
    )
    if interpolate_limit is not None and missing != "interpolate":
        raise InputError(
            "`interpolate_limit` needs missing='interpolate' (--on-missing interpolate); give it, "
            "or leave `interpolate_limit` out."
        )
    codes = numbers_in(missing_values)
    windows = WindowOptions(
        window,
        stride,
        tail,
        short,
        dilation,
        max_gap,
        missing,
        codes,
        interpolate_limit,
    )
    options = ReadOptions(
        columns,
        drop,
        time,
        id,
        label,
        weight,
        rows,
        key,
        files,
        images,
        TextOptions(skip, header, delimiter, decimal, thousands, encoding),
        TimeOptions(date_format, day_first),
        tuple(missing_values),
        stream,
        windows,
    )
    options = replace(options, windows=_window_options(windows))
    _check_options(options)
    with errors_naming(path):
        return load(path, options)


def _check_options(options: ReadOptions) -> None:
    """Check the arguments of `read_file` that do not depend on the file."""
    _checks.raise_all(
        None if options.rows is None else _checks.truth("rows", options.rows),
        _checks.truth("images", options.images),
        None if options.stream is None else _checks.truth("stream", options.stream),
        _checks.choice("files", options.files, names(FileMode)),
        options.text.complaint(),
    )
    if options.times.date_format is not None:
        from unspool.io.time_columns import check_date_format

        check_date_format(options.times.date_format)
    for name in ("columns", "drop"):
        value = getattr(options, name)
        if isinstance(value, str):
            raise InputError(f"`{name}` must be a list of names, got the string {value!r}.")


def _window_options(options: WindowOptions) -> WindowOptions:
    """Return the options, checked, with whole numbers of Python."""
    _checks.raise_all(
        size_complaint("window", options.size, none=True),
        size_complaint("stride", options.stride),
        _checks.truth("tail", options.tail),
        _checks.choice("short", options.short, names(Short)),
        _checks.whole("dilation", options.dilation, 1),
        gap_complaint(options.max_gap),
    )
    if options.size is None and options != WindowOptions(
        missing=options.missing,
        missing_values=options.missing_values,
        interpolate_limit=options.interpolate_limit,
    ):
        raise InputError(
            "`stride`, `tail`, `short`, `dilation` and `max_gap` say how to cut windows, but "
            "`window` is not given; set it to the number of steps of a window, or leave the others "
            "out."
        )
    return options
