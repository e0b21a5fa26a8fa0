"""The roles of the columns of a table: time, id, label, feature, row number, or left out.

`find_roles` starts from the columns that the user named. It finds a column of dates by its
content, an id by its usual name or because time rises within each of its values, and labels by
their names and values. Times of a day, counters, texts and empty columns are no features; all other
columns are. Every decision becomes a `ColumnRole`.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from unspool.errors import InputError
from unspool.io import column_shapes as shapes
from unspool.io.column_shapes import is_numeric
from unspool.io.date_numbers import dates_rise
from unspool.io.file_data import NOT_IN_COLUMNS, ColumnRole
from unspool.io.id_search import (
    counted_steps,
    ends_in_id,
    find_joint_ids,
    may_be_id,
    of_several_series,
    rising_steps,
    single_ids,
)
from unspool.io.labels import is_label, siblings, varies
from unspool.io.no_features import example, is_counter, is_no_number
from unspool.io.number_times import FIRST, is_named, repeated_times
from unspool.io.options import TimeOptions
from unspool.io.role_names import (
    CHANGEPOINT_NAMES,
    ID_NAMES,
    LABEL_NAMES,
    LABEL_WORDS,
    TIME_NAMES,
    UNNAMED,
    check_names,
    is_name_of_ids,
    plain,
    quoted,
)
from unspool.io.time_columns import (
    INSTANT_NAMES,
    JOINED,
    looks_like_times,
    names_instants,
    parse_times,
)

NAMED = "named by the user"
DROPPED = "in `drop`"


@dataclass(frozen=True)
class Roles:
    """Names of the columns by their role, and how they were found.

    `id_candidates` are columns of which each could be the id, if more than one orders the times.
    `joint_ids` are columns that are the id together, if times rise within no single one.
    """

    time: str | None
    id: str | None
    label: str | None
    features: list[str]
    columns: tuple[ColumnRole, ...]
    weight: str | None = None
    id_candidates: tuple[str, ...] = ()
    joint_ids: tuple[str, ...] = ()

    @property
    def notes(self) -> tuple[str, ...]:
        """One line for each role."""
        return tuple(one.note for one in self.columns)


def find_roles(
    table: Any,
    named: dict[str, str | None],
    columns: Sequence[str] | None,
    *,
    rows: bool = False,
    drop: Sequence[str] = (),
    times: TimeOptions | None = None,
) -> Roles:
    """Find the role of each column of a `pyarrow.Table`.

    Parameters
    ----------
    table : pyarrow.Table
        The table.
    named : dict with the keys "time", "id" and "label", and possibly "weight"
        Columns that the user named; for None, the column is searched for, except the weights.
    columns : sequence of str, optional
        The features, if the user named them.
    rows : bool, default False
        Whether each row is one sequence, so that an id may differ in every row.
    drop : sequence of str, default ()
        Columns to ignore.
    times : TimeOptions, optional
        How texts are read as times.
    """
    check_names(table.column_names, named, columns, drop)
    search = _Search(
        shapes.decoded(table), dict(named), columns, rows, tuple(drop), times or TimeOptions()
    )
    search.find_time()
    search.find_id()
    search.find_label()
    search.leave_out()
    return search.roles()


@dataclass
class _Search:
    """The columns of a table, and the roles that have been found so far."""

    table: Any
    found: dict[str, str | None]
    columns: Sequence[str] | None
    rows: bool
    drop: tuple[str, ...]
    times: TimeOptions
    reasons: dict[str, tuple[str, bool]] = field(default_factory=dict)  # by role; if unusual
    set_aside: list[ColumnRole] = field(default_factory=list)
    hints: list[ColumnRole] = field(default_factory=list)
    candidates: tuple[str, ...] = ()
    joint_ids: tuple[str, ...] = ()
    guessed_label: bool = False

    def __post_init__(self) -> None:
        self.reasons = {
            role: (NAMED, False) for role, name in self.found.items() if name is not None
        }
        time = self.found["time"]
        if time is not None and JOINED in (self.table.schema.field(time).metadata or {}):
            self.reasons["time"] = ("a time in several columns", False)
        present = [name for name in dict.fromkeys(self.drop) if name in self.table.column_names]
        self.put_aside("left out", present, DROPPED, "`drop`", unusual=False)

    @property
    def free(self) -> list[str]:
        """Columns without a role: not named by the user, and not found yet."""
        names = self.table.column_names
        counts = Counter(names)
        taken = {*(self.columns or ()), *self.drop, *self.found.values()}
        taken |= {name for role in self.set_aside for name in role.columns}
        return [name for name in names if name not in taken and counts[name] == 1]

    def take(self, role: str, name: str | None, reason: str, *, unusual: bool = False) -> None:
        """Give a column a role."""
        if name is not None:
            self.found[role] = name
            self.reasons[role] = (reason, unusual)

    def put_aside(
        self, role: str, names: Sequence[str], reason: str, change: str, *, unusual: bool = True
    ) -> None:
        """Note that columns are no features."""
        if names:
            self.set_aside.append(ColumnRole(tuple(names), role, reason, change, unusual))

    def values_of(self, name: str) -> npt.NDArray[Any] | None:
        """Return the instants or numbers of a column of times; None if it has none."""
        column = self.table[name]
        if is_numeric(column.type):
            return np.asarray(column.to_numpy())
        found = parse_times(column, self.times, name)
        return None if found is None else found.values

    def find_time(self) -> None:
        """Take the first column of dates that differ, or of numbers of a usual name that rise."""
        empty = [name for name in self.free if shapes.is_empty(self.table[name])]
        self.put_aside("left out", empty, "no row has a value", "`columns`")
        dates = [name for name in self.free if looks_like_times(self.table[name], self.times)]
        if self.found["time"] is None and dates:
            name = dates[0]
            if len(dates) > 1:
                known = ((one, self.values_of(one)) for one in dates)
                varied = {a: b for a, b in known if b is not None and len(np.unique(b)) > 1}
                rising = (one for one in varied if shapes.never_falls(varied[one]))
                name = next(rising, next(iter(varied), name))
            self.take("time", name, "contains dates")
        others = [name for name in dates if name != self.found["time"]]
        self.put_aside("left out", others, "another column is the time", "`time`")
        if self.found["time"] is not None:
            epochs = [
                name
                for name in self.free
                if names_instants(name) and self._epochs(name) is not None
            ]
            self.put_aside("left out", epochs, "another column is the time", "`time`")
        clocks = [name for name in self.free if shapes.is_time_of_day(self.table[name])]
        self.put_aside("left out", clocks, "contains times of a day", "`time`")

    def find_id(self) -> None:
        """Take an id by its name, or the only column within whose values time rises."""
        numbers = [name for name in self.free if name in UNNAMED]
        change = "`time` or `columns`"
        self.put_aside("row number", numbers, "index of a data frame", change, unusual=False)
        if self.found["id"] is None:
            ids = [name for name in self.free if may_be_id(self.table, name)]
            known = [name for name in ids if plain(name) in ID_NAMES]
            counters = [
                name for name in known if not self.rows and shapes.all_differ(self.table[name])
            ]
            for one in counters:
                self.put_aside("row number", [one], "differs in every row", "`id`", unusual=False)
            known = [one for one in known if one not in counters]
            # A column "series" or "unit" may be a feature where another one is called "id".
            known.sort(key=is_name_of_ids, reverse=True)
            reason = "has a usual name"
            if not known and not counters:
                known = [one for one in ids if ends_in_id(self.table, one)]
                reason = "its name ends in id"
            self.take("id", next(iter(known), None), reason)
        if self.found["time"] is None:
            self._find_numeric_time()
            self._set_other_instants_aside()
            if self.found["time"] is None and not self.rows:
                self._find_steps_of_series()
            return
        self._set_other_instants_aside()
        if self.found["id"] is None and not self.rows:
            times = self.values_of(self.found["time"])
            if times is not None:
                self._find_id_by_time(times)

    def _find_steps_of_series(self) -> None:
        """Take a column that rises within each series, and the id of the series."""
        ids = [name for name in self.free if name != "" and may_be_id(self.table, name)]
        known = self.found["id"]
        found = counted_steps(self.table, self.free, ids if known is None else [known])
        if found is None:
            more = [] if self.columns is not None or self._is_named("id") else ids
            others = [name for name in more if not self._marks(name)]
            found = rising_steps(self.table, self.free, others, known)
        if found is None:
            return
        if len(found.ids) > 1:
            self.joint_ids = found.ids
        elif known is None:
            self.take("id", found.ids[0], found.why_id, unusual=True)
        self.take("time", found.time, found.why_time, unusual=True)

    def _is_named(self, role: str) -> bool:
        return self.reasons.get(role, ("",))[0] == NAMED

    def _find_numeric_time(self) -> None:
        names = [name for name in self.free if is_numeric(self.table[name].type)]
        usual_names = [one for one in names if plain(one) in TIME_NAMES]
        usual_names += [
            one
            for one in names
            if names_instants(one) and parse_times(self.table[one], self.times, one) is not None
        ]
        for name in usual_names:
            times = self.table[name].to_numpy()
            known = ~np.isnan(times)  # of an empty cell, a message says that it needs a time
            id = self.found["id"]
            codes = None if id is None else shapes.codes_of(self.table[id])[known]
            if shapes.never_falls(times[known], codes):
                self.take("time", name, "has a usual name, and never decreases")
                return
            if id is None and not self.rows and self._find_id_by_time(times, guess=name):
                self.take("time", name, "has a usual name, and rises within each series")
                return
            if known.all() and not self.rows and self._find_joint_ids(times, name):
                self.take("time", name, "has a usual name, and rises within each series")
                return
            row = int((times[1:] < times[:-1]).argmax()) + 2
            change = f"{quoted('time', name)} or {quoted('drop', name)}"
            if not self.rows:
                change = f"{change}; if the file contains several series, give `id` too"
            reason = f"its values fall, first in data row {row}, so that they are no times"
            if self.columns is None:
                self.hints.append(ColumnRole((name,), "feature", reason, change))
        for name in filter(names_instants, names):
            found = parse_times(self.table[name], self.times, name)
            if found is not None and found.values is not None:
                self.take("time", name, "has a usual name, and contains dates as numbers")
                return
        id = self.found["id"]
        codes = None if id is None else shapes.codes_of(self.table[id])
        dates = (one for one in names if dates_rise(self.table[one], self.times, codes))
        if (date := next(dates, None)) is not None:
            self.take("time", date, "contains dates as numbers", unusual=True)
            return
        first = self.table.column_names[0]
        if first in self.free and self.table.column_names == [
            str(i) for i in range(self.table.num_columns)
        ]:
            epochs = self._epochs(first)
            if epochs is not None and shapes.never_falls(epochs):
                self.take("time", first, "contains rising times since 1970", unusual=True)

    def _epochs(self, name: str) -> npt.NDArray[Any] | None:
        """Return the instants of a column of large numbers that rise or fall; None if it has none.

        Numbers such as 2024 and 20240131 are too small.
        """
        column = self.table[name]
        if not is_numeric(column.type) or column.null_count or len(column) < 3:
            return None
        if column[0].as_py() == column[len(column) - 1].as_py():
            return None
        if column[0].as_py() < FIRST and not is_named(name):
            return None
        found = parse_times(column, self.times, name)
        if found is None or found.values is None or found.values.dtype.kind != "M":
            return None
        values = found.values
        rises_or_falls = shapes.never_falls(values) or shapes.never_falls(values[::-1])
        return values if rises_or_falls else None

    def _set_other_instants_aside(self) -> None:
        """Set aside numbers that are instants by name and value, if another column is the time."""
        if self.found["time"] is None:
            return
        numbers = [name for name in self.free if is_numeric(self.table[name].type)]
        others = [
            name
            for name in numbers
            if plain(name) in INSTANT_NAMES
            and parse_times(self.table[name], self.times, name) is not None
        ]
        if self.table.column_names == [str(i) for i in range(self.table.num_columns)]:
            rest = [name for name in numbers if name not in others]
            others += [name for name in rest if self._epochs(name) is not None]
        rest = [name for name in numbers if name not in others]
        others += repeated_times(self.table, rest, self.found["time"], self.values_of)
        self.put_aside("left out", others, "another column is the time", "`time`")

    def _find_id_by_time(self, times: npt.NDArray[Any], guess: str | None = None) -> bool:
        """Take the only column within whose values times rise; return whether there is one.

        `guess` is the column of the times, if they may be another quantity.
        """
        if not of_several_series(times, guess):
            return False
        names = [name for name in self.free if name != guess and not self._marks(name)]
        found = single_ids(self.table, times, names)
        first = next(iter(found.values()), None)
        if first is None:
            return guess is None and self._find_joint_ids(times)
        if any((codes != first).any() for codes in found.values()):
            self.candidates = tuple(found)
            return False
        name, count = next(iter(found)), int(first.max()) + 1
        self.take("id", name, f"time rises within each of its {count:,} values", unusual=True)
        return True

    def _find_joint_ids(self, times: npt.NDArray[Any], guess: str | None = None) -> bool:
        """Find columns within whose values, taken together, times rise."""
        if self.columns is not None or self._is_named("id"):
            return False
        free = [name for name in self.free if name != guess and not self._marks(name)]
        self.joint_ids = find_joint_ids(self.table, times, free, self.found["id"])
        return bool(self.joint_ids)

    def find_label(self) -> None:
        """Take a label by its name and its values; set other labels aside."""
        known = [name for name in self.free if self._is_label(name)]
        strong = [name for name in known if plain(name) in LABEL_NAMES]
        if self.found["label"] is None and known:
            some = strong or known
            name = next((one for one in some if varies(self.table[one])), some[0])
            reason = "has a usual name" if strong else "has a usual name and few values"
            self.take("label", name, reason)
            self.guessed_label = not strong
        labels = [*known, *filter(None, [self.found["label"]])]
        known += [name for name in siblings(self.table, self.free, labels) if name not in known]
        others = [name for name in known if name != self.found["label"]]
        self.put_aside("left out", others, "another column is the label", "`label` or `columns`")
        marks = [name for name in self.free if plain(name) in CHANGEPOINT_NAMES]
        self.put_aside("left out", marks, "marks changes, as labels do", "`label` or `columns`")
        if self.found["label"] is None:
            self._last_column()

    def _marks(self, name: str) -> bool:
        """Return whether a column is a label, of steps or of changes."""
        return self._is_label(name) or plain(name) in CHANGEPOINT_NAMES

    def _is_label(self, name: str) -> bool:
        return is_label(name, self.table[name])

    def _last_column(self) -> None:
        """If the last column has two values, take words for labels, and hint at numbers."""
        names = self.table.column_names
        if not names or names[-1] not in self.free or len(names) < 2:
            return
        name, column = names[-1], self.table[names[-1]]
        values = shapes.few_values(column, 2)
        if values is None or len(values) != 2 or len(column) < 4:
            return
        if shapes.is_text(column.type):
            if {value.strip().lower() for value in values} <= {*LABEL_WORDS}:
                which = f"its values are {values[0]!r} and {values[1]!r}"
                self.take("label", name, which, unusual=True)
        elif shapes.are_whole(values) and self.columns is None:
            change = f"{quoted('label', name)} if it is a label"
            self.hints.append(ColumnRole((name,), "feature", "has only two values", change))

    def leave_out(self) -> None:
        """Set aside counters, texts, and columns that are not in `columns`."""
        if self.columns is not None:
            taken = {name for role in self.set_aside for name in role.columns}
            taken |= {*self.columns, *filter(None, self.found.values())}
            rest = [name for name in dict.fromkeys(self.table.column_names) if name not in taken]
            self.put_aside("left out", rest, NOT_IN_COLUMNS, "`columns`", unusual=False)
            return
        texts = [name for name in self.free if is_no_number(self.table[name])]
        for name in texts:
            self.put_aside("left out", [name], example(self.table[name]), "`id` or `label`")
        free = self.free
        counters = [name for name in free if is_counter(self.table, name)]
        if len(counters) < len(free):
            self.put_aside("row number", counters, "counts the rows", "`columns` or `time`")

    def roles(self) -> Roles:
        """Return the roles of all columns."""
        features = list(self.columns or self.free)
        if not features and self.guessed_label:
            features, self.found["label"] = [str(self.found["label"])], None
        changes = {role: f"`{role}` or `columns`" for role in self.found} | {"weight": "`weight`"}
        taken = [
            ColumnRole((name,), role, self.reasons[role][0], changes[role], self.reasons[role][1])
            for role, name in self.found.items()
            if name is not None
        ]
        hints = [one for one in self.hints if one.columns[0] in features]
        every = [*taken, *self.set_aside, *hints]
        if not features:
            raise InputError(
                f"no column is left as a feature: {'; '.join(one.note for one in every)}. Name the "
                "features with `columns`."
            )
        reason = NAMED if self.columns else "contains numbers"
        kind = "step" if self.rows else "feature"
        every.append(ColumnRole(tuple(features), kind, reason, "`columns` or `drop`", False))
        found = self.found
        return Roles(
            found["time"],
            found["id"],
            found["label"],
            features,
            tuple(every),
            found.get("weight"),
            self.candidates,
            self.joint_ids,
        )
