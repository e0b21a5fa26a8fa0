"""`FileData`: what `read_file` returns."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from unspool.data.convert import Source
from unspool.data.windows import Windows

if TYPE_CHECKING:
    from unspool.io.time_columns import TimeFormat

Column = npt.NDArray[Any]

LISTED_IN_FULL = 100  # names of columns; of more, the first and the last ones are listed
NOT_IN_COLUMNS = "not in `columns`"  # a reason to leave a column out


@dataclass(frozen=True)
class ColumnRole:
    """What one or several columns of a table were taken as, and why.

    `reason` and `change` name parameters of `read_file` in backticks, with a value where it is
    known: ```id='station'```. The command line writes them as flags.

    Attributes
    ----------
    columns : tuple of str
        Names of the columns.
    role : str
        "time", "id", "label", "weight", "row number", "feature", "step" (a feature of a table
        whose rows are sequences) or "left out".
    reason : str
        Why.
    change : str
        Parameters of `read_file` that change it.
    unusual : bool
        Whether the note about it says reason and change.
    """

    columns: tuple[str, ...]
    role: str
    reason: str
    change: str
    unusual: bool = True

    @property
    def note(self) -> str:
        """The role in one line."""
        count = len(self.columns)
        if self.role in ("feature", "step") and not self.unusual:
            plural = "s" if count > 1 else ""
            return f"{count:,} column{plural} as {self.role}{plural}: {in_full(self.columns)}"
        names = [repr(name) if name else "without a name" for name in self.columns]
        which = f"column{'s' if count > 1 else ''} {in_full(names)}"
        if not any(self.columns):
            which = "the column without a name"
        if self.role == "left out" and not self.unusual:
            return f"columns that are {self.reason} are left out: {in_full(self.columns)}"
        if self.role == "left out":
            return f"{which} left out: {self.reason}; change with {self.change}"
        aside = "" if self.role in ("feature", "step") else ", set aside"
        why = f": {self.reason}; change with {self.change}" if self.unusual else ""
        return f"{which} taken as {self.role}{aside}{why}"


def in_full(names: Sequence[str]) -> str:
    """Return all names in one line; of very many, the first and the last ones."""
    if len(names) <= LISTED_IN_FULL:
        return ", ".join(names)
    few = LISTED_IN_FULL // 5
    rest = len(names) - 2 * few
    return f"{', '.join(names[:few])}, … ({rest:,} more) …, {', '.join(names[-few:])}"


class OnDemand(Mapping[str, Column]):
    """Columns that are made when they are first used."""

    def __init__(self, makers: Mapping[str, Callable[[], Column]]) -> None:
        self._makers, self._made = dict(makers), dict[str, Column]()

    def __getitem__(self, name: str) -> Column:
        if name not in self._made:
            self._made[name] = self._makers[name]()
        return self._made[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._makers)

    def __len__(self) -> int:
        return len(self._makers)


@dataclass(frozen=True, eq=False)
class FileData:
    """The content of a file: sequences or windows, and columns that describe them.

    `read_file` returns it; there is no need to make one.

    Attributes
    ----------
    source : Sequences or Windows
        N sequences or windows. Every estimator accepts it as ``X``.
    index : mapping of str to array of shape (N,)
        Columns that describe each sequence or window, to be put in front of outputs: "id" if
        there are several series; "start" for windows, the time of the first step or its number,
        counted from 0; "time" if each row of a table is a sequence and has a time; "label" if the
        file has labels; "weight" if each row is a sequence and has a weight.
    steps : dict of str to list of arrays of shape (T_i,)
        "time", "label" and "weight" of every step, one array for each series. It is empty for
        files of sequences.
    series_ids : list or None
        Name of every series, if there are several or a column names them.
    notes : tuple of str
        How the file was read, for example which column was taken as the time; one line each.
    time_format : TimeFormat or None
        Writes the times of "time" as the file wrote them; None for plain numbers and without times.
        If the column could not be read as times, "time" is not in `steps`.
    rows : list of arrays of shape (T_i,) of int, or None
        Row of the file, counted from 0, of every step of each series; None for sequences.
    image_shape : tuple of int or None
        Shape (H, W, C) of images, whose pixels are the steps of `source`; None for sequences.
    roles : tuple of ColumnRole
        What the columns of a table were taken as, with `columns`, `role`, `reason` and `change`;
        `notes` contain a line for each. It is empty for files whose columns have no roles.
    id_parts : mapping of str to array of shape (number of series,)
        If several columns are joined to the id: the values of each, by its name, for every series.
        They are in `index`, too.
    times_in_header : bool
        Whether each row of a table is a series, and the names of its columns are the times; `rows`
        are then the numbers of these columns.

    See Also
    --------
    read_file : Read a file of sequences or of long series.
    """

    source: Source
    index: Mapping[str, Column]
    steps: dict[str, list[Column]]
    series_ids: list[Any] | None
    notes: tuple[str, ...]
    time_format: "TimeFormat | None" = None
    rows: list[npt.NDArray[np.int64]] | None = None
    image_shape: tuple[int, ...] | None = None
    roles: tuple[ColumnRole, ...] = ()
    id_parts: Mapping[str, Column] = field(default_factory=dict)
    times_in_header: bool = False

    @property
    def rows_are_sequences(self) -> bool:
        """Whether each row of a table is a sequence."""
        return self.times_in_header or any(one.role == "step" for one in self.roles)

    @property
    def rows_to_sort(self) -> list[npt.NDArray[np.int64]] | None:
        """Rows of the file by which outputs are sorted; None if they are in the order of series."""
        return None if self.times_in_header else self.rows

    @property
    def X(self) -> Source | npt.NDArray[Any]:
        """What estimators read: `source`, or images (N, H, W, C)."""
        if self.image_shape is None or isinstance(self.source, Windows):
            return self.source
        images: npt.NDArray[Any] = self.source.values.reshape(len(self.source), *self.image_shape)
        return images
