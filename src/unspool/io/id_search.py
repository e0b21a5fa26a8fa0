"""Columns that separate the series of a table: within their values, times rise.

An id may be one column (`single_ids`) or several together (`find_joint_ids`). Where no column is
known as the time, `counted_steps` and `rising_steps` find it together with the id.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from unspool.data.sequences import IntArray
from unspool.io import column_shapes as shapes
from unspool.io.role_names import is_name_of_ids
from unspool.io.time_order import in_order

MAX_CANDIDATES = 8  # columns that are tried as ids
HEAD = 100_000  # rows that are compared before all
MAX_JOINED = 3  # columns of one id that is searched for
MAX_REPEATED = 0.25  # largest share of rows whose time is repeated in a file of one series
FULL = 0.8  # share of the times of all series at which a series has a row
MIN_RISING = 0.6  # share of the steps of a column of times that rise, if series follow each other


@dataclass(frozen=True)
class FoundSteps:
    """A column of times, and the columns that are the id of its series, with the reasons."""

    time: str
    ids: tuple[str, ...]
    why_time: str
    why_id: str


def of_several_series(times: npt.NDArray[Any], guess: str | None) -> bool:
    """Return whether times go back or repeat as in a file of several series."""
    if len(times) < 2 or (times[1:] > times[:-1]).all() or (times[1:] < times[:-1]).all():
        return False
    if not shapes.never_falls(times) and not shapes.never_falls(times[::-1]):
        _, notes, back = in_order(times, [slice(0, len(times))], "", named=guess is None)
        return back is not None or any("reversed" in note for note in notes)
    return 1 - len(np.unique(times)) / len(times) > MAX_REPEATED


def single_ids(table: Any, times: npt.NDArray[Any], names: Sequence[str]) -> dict[str, IntArray]:
    """Return the columns within each of whose values times rise, with the codes of their rows."""
    found: dict[str, IntArray] = {}
    for name in names:
        column = table[name]
        text, whole = shapes.is_text(column.type), pa.types.is_integer(column.type)
        if not (text or whole) or column.null_count:
            continue
        head = column.slice(0, shapes.FIRST_ROWS)
        if shapes.few_values(head, shapes.FIRST_ROWS // 2) is None:
            continue
        codes = shapes.codes_of(column)
        if shapes.orders(codes, times):
            found[name] = codes
    return found


def find_joint_ids(
    table: Any,
    times: npt.NDArray[Any],
    candidates: Sequence[str],
    within: str | None = None,
) -> tuple[str, ...]:
    """Return the fewest columns within whose values, taken together, times rise.

    Parameters
    ----------
    table : pyarrow.Table
        The table.
    times : array of shape (rows,)
        The times of all rows.
    candidates : sequence of str
        Columns that may be a part of the id.
    within : str, optional
        A column that is one of them.
    """
    codes: dict[str, IntArray] = {}
    first = [name for name in candidates if _is_likely(table[name], name)]
    for name in [*([within] if within else []), *first, *candidates]:
        if len(codes) >= MAX_CANDIDATES or name in codes:
            continue
        if name == within or may_be_part(table[name]):
            codes[name] = shapes.codes_of(table[name])
    for count in range(2, MAX_JOINED + 1):
        for names in combinations(codes, count):
            if within is not None and within not in names:
                continue
            head = _together([codes[name][:HEAD] for name in names])
            if not shapes.rises_or_falls(head, times[:HEAD]):
                continue
            together = _together([codes[name] for name in names])
            series = int(together.max(initial=0)) + 1
            if len(times) >= shapes.SHORTEST_RUN * series and shapes.orders(together, times):
                places = {name: table.column_names.index(name) for name in names}
                return tuple(sorted(names, key=places.__getitem__))
    return ()


def _together(codes: Sequence[IntArray]) -> IntArray:
    """Return whole numbers (rows,), equal where all codes are equal."""
    together = np.zeros(len(codes[0]), np.int64)
    for one in codes:
        together = together * (int(one.max(initial=0)) + 1) + one
        together = np.unique(together, return_inverse=True)[1]
    return together


def may_be_part(column: Any) -> bool:
    """Return whether a column has few texts or whole numbers, and no empty cell."""
    kind = column.type
    if column.null_count or not (shapes.is_text(kind) or shapes.is_numeric(kind)):
        return False
    head = column.slice(0, shapes.FIRST_ROWS)
    found = shapes.few_values(head, shapes.FIRST_ROWS // 2)
    if found is None or len(found) > max(2, len(head) // 2):
        return False
    if pa.types.is_floating(kind):
        whole = pc.all(pc.equal(pc.floor(column), column)).as_py()
        return bool(whole)
    return True


def counted_steps(table: Any, names: Sequence[str], ids: Sequence[str]) -> FoundSteps | None:
    """Find a column that counts the steps of each series, and the id that changes with it."""
    for name in names:
        column = table[name]
        if not pa.types.is_integer(column.type) or column.null_count:
            continue
        runs = shapes.runs_of_counter(column.to_numpy())
        if runs is None:
            continue
        for id in ids:
            if id != name and shapes.names_runs(shapes.codes_of(table[id]), runs):
                why = f"each of its {runs[-1] + 1:,} values is one run of {name!r}"
                return FoundSteps(name, (id,), "counts the steps of each series", why)
    return None


def rising_steps(
    table: Any, names: Sequence[str], ids: Sequence[str], within: str | None = None
) -> FoundSteps | None:
    """Find a column that rises within each series, but not in the whole table, and the id.

    Columns of fractions count only in tables without names, since they are often measured.

    Parameters
    ----------
    table : pyarrow.Table
        The table.
    names : sequence of str
        Columns that may be the time.
    ids : sequence of str
        Columns that may be the id, or a part of it.
    within : str, optional
        The id, if it is known.
    """
    unnamed = table.column_names == [str(i) for i in range(table.num_columns)]
    for name in names:
        column = table[name]
        whole = pa.types.is_integer(column.type)
        if not (whole or (unnamed and pa.types.is_floating(column.type))) or column.null_count:
            continue
        if not _may_be_steps(column.slice(0, shapes.FIRST_ROWS).to_numpy(), head=True):
            continue
        times = column.to_numpy()
        if not _may_be_steps(times, head=False):
            continue
        others = [one for one in ids if one != name]
        single = others if within is None else [within]
        for id, codes in single_ids(table, times, single).items():
            count = int(codes.max()) + 1
            if len(times) >= shapes.SHORTEST_RUN * count and _are_series(codes, times):
                why = f"{name!r} rises within each of its {count:,} values"
                return FoundSteps(name, (id,), f"rises within each value of {id!r}", why)
        joint = find_joint_ids(table, times, others, within)
        if joint and _are_series(_together([shapes.codes_of(table[one]) for one in joint]), times):
            return FoundSteps(name, joint, "rises within each series", "")
    return None


def _are_series(codes: IntArray, times: npt.NDArray[Any]) -> bool:
    """Return whether rows of a series follow each other, or nearly all series have each time.

    A meter that counts up and a column that repeats 0, 1, 2 are no series, although the meter rises
    from one 0 to the next.
    """
    runs = 1 + int((np.diff(codes) != 0).sum())
    if len(codes) >= shapes.SHORTEST_RUN * runs:
        return True
    series = int(codes.max(initial=0)) + 1
    return len(codes) >= FULL * series * len(np.unique(times))


def _is_likely(column: Any, name: str) -> bool:
    """Return whether a column is tried as an id before others."""
    return shapes.is_text(column.type) or is_name_of_ids(name)


def _may_be_steps(values: npt.NDArray[Any], *, head: bool) -> bool:
    """Return whether values rise and start again, or repeat while other series have rows.

    The `head` of a table may be of one series.
    """
    if len(values) < shapes.SHORTEST_RUN:
        return False
    change = np.diff(values)
    if not (change < 0).any():
        repeated = bool((change == 0).mean() > MAX_REPEATED and (change > 0).any())
        return repeated or (head and bool((change > 0).any()))
    return bool((change > 0).mean() >= MIN_RISING)
