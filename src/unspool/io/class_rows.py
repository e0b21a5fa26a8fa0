"""Tables without names whose rows are sequences with a class, as in the UCR archive."""

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from unspool.errors import InputError
from unspool.io import column_shapes as shapes
from unspool.io.options import ReadOptions
from unspool.io.role_names import quoted

HEAD = 200  # rows that are compared
MIN_STEPS = 8  # of a sequence beside its class
MIN_STEPS_UNASKED = 15  # steps of sequences that are found without `rows`
MAX_CLASSES = 60
FRACTIONS = 0.9  # share of the columns of steps that have fractions
SMOOTH = 0.25  # neighbours in a row differ by less than this share of neighbours in a column
NEAR = 0.05  # of a mean of 0 and a standard deviation of 1
NORMALISED = "each row has mean 0 and standard deviation 1, as in the UCR archive"


def with_class_rows(table: Any, options: ReadOptions) -> tuple[ReadOptions, tuple[str, ...]]:
    """Return the options with `rows` and `label` if rows are sequences, and notes.

    Parameters
    ----------
    table : pyarrow.Table
        The table; it is examined if its columns have no names.
    options : ReadOptions
        With ``rows=True`` only the class is searched for.

    Raises
    ------
    InputError
        If rows may be sequences or time steps.
    """
    given = (options.columns, options.time, options.id)
    if options.rows is False or (options.rows is None and any(one is not None for one in given)):
        return options, ()
    names = table.column_names
    least = MIN_STEPS if options.rows else MIN_STEPS_UNASKED
    if len(names) <= least or names != [str(i) for i in range(len(names))]:
        return options, ()
    if options.columns is not None or not all(map(_is_number, table.schema)):
        return options, ()
    label = options.label or _class_column(table)
    steps = [name for name in names if name not in (label, *options.drop)]
    head = [table[name].slice(0, HEAD).cast(pa.float64()).to_numpy() for name in steps]
    values = np.stack(head, axis=1)
    notes: tuple[str, ...] = ()
    if label is not None and options.label is None:
        notes = (
            f"column {label!r} taken as label: it has few whole numbers and the others have "
            "fractions; change with `label` or `drop`",
        )
    if options.rows:
        return replace(options, label=label), notes
    if _are_normalised(values):
        note = f"each row is read as a sequence, since {NORMALISED}; otherwise say `rows=False`"
        return replace(options, rows=True, label=label), (note, *notes)
    if label is not None and _are_smooth(values):
        raise InputError(
            f"each row may be a sequence, with its class in column {label!r}, since values change "
            f"less along the rows than from row to row; give `rows=True` and "
            f"{quoted('label', label)} if it is, or `rows=False` if each row is a time step."
        )
    return options, ()


def _is_number(field: Any) -> bool:
    return shapes.is_numeric(field.type) or pa.types.is_null(field.type)


def _class_column(table: Any) -> str | None:
    """Return the first or the last column if it has few whole numbers, and the others fractions."""
    names = table.column_names
    for name in (names[0], names[-1]):
        column = table[name]
        if not shapes.is_numeric(column.type) or column.null_count:
            continue
        values = shapes.few_values(column, MAX_CLASSES)
        if values is None or not shapes.are_whole(values):
            continue
        if len(values) > max(2, len(column) // 2):
            continue
        others = [table[other].slice(0, HEAD) for other in names if other != name]
        fractions = sum(_has_fractions(other) for other in others)
        if fractions >= FRACTIONS * len(others):
            return str(name)
    return None


def _has_fractions(column: Any) -> bool:
    values = column.drop_null().to_numpy()
    return bool(values.dtype.kind == "f" and (values != np.floor(values)).any())


def _are_normalised(values: npt.NDArray[Any]) -> bool:
    """Return whether each row has mean 0 and standard deviation 1; NaN at its end is padding."""
    if np.isnan(values).all(axis=1).any():
        return False
    means, spreads = np.nanmean(values, axis=1), np.nanstd(values, axis=1)
    return bool((abs(means) < NEAR).all() and (abs(spreads - 1) < NEAR).all())


def _are_smooth(values: npt.NDArray[Any]) -> bool:
    """Return whether neighbours in a row differ much less than neighbours in a column."""
    if len(values) < 3:
        return False
    along, across = (
        np.nanmean(abs(np.diff(values, axis=1))),
        np.nanmean(abs(np.diff(values, axis=0))),
    )
    return bool(along < SMOOTH * across)
