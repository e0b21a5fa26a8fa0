"""Times of an output, as the file wrote them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from unspool.data.sequences import IntArray
from unspool.io.time_columns import TimeFormat

Array = npt.NDArray[Any]


@dataclass(frozen=True, eq=False)
class OutputTimes:
    """A column of times for `write_table`.

    Parameters
    ----------
    format : TimeFormat
        Writes the times as the file does.
    values : array of shape (N,) of datetime64, or None
        The instants; None if the file has texts that cannot be read as times.
    rows : array of shape (N,) of int
        Row of the file that has each time; -1 for a new time.
    like : array of shape (N,) of int, optional
        Row whose form and offset each new time has; needed if there are new times.
    """

    format: TimeFormat
    values: Array | None
    rows: IntArray
    like: IntArray | None = None

    def __len__(self) -> int:
        return len(self.rows)

    def plain(self) -> Any:
        """Return an Arrow array of texts or numbers, for CSV."""
        return self.format.written(self.values, self.rows, self.like)

    def typed(self) -> Any:
        """Return an Arrow array of times with the type of the file, for Parquet."""
        return self.format.typed(self.values, self.rows, self.like)

    def take(self, order: Array) -> "OutputTimes":
        """Return the times at the places in `order`."""
        return replace(
            self,
            values=None if self.values is None else self.values[order],
            rows=self.rows[order],
            like=None if self.like is None else self.like[order],
        )

    @staticmethod
    def joined(parts: Sequence["OutputTimes"]) -> "OutputTimes":
        """Return the times of several columns of one file, one after another."""
        like = [one.like for one in parts if one.like is not None]
        values = [one.values for one in parts if one.values is not None]
        return replace(
            parts[0],
            values=np.concatenate(values) if values else None,
            rows=np.concatenate([one.rows for one in parts]),
            like=np.concatenate(like) if like else None,
        )


Columns = Mapping[str, "Array | OutputTimes"]


def in_order(columns: Columns, order: IntArray | None) -> dict[str, Any]:
    """Return columns with their values in another order; None leaves them as they are."""
    if order is None:
        return dict(columns)
    return {
        name: one.take(order) if isinstance(one, OutputTimes) else np.asarray(one)[order]
        for name, one in columns.items()
    }


def order_of(rows: IntArray) -> IntArray | None:
    """Return the order that sorts rows of the file; None if they are sorted."""
    if (rows[1:] >= rows[:-1]).all():
        return None
    return np.argsort(rows, kind="stable")


def with_features(columns: Columns, features: Columns, suffix: str) -> dict[str, Any]:
    """Add columns of features; one with the name of another column gets the suffix."""
    taken, found = {*columns, *features}, dict(columns)
    for name, values in features.items():
        new = name
        while new in columns or (new != name and new in taken):
            new += suffix
        taken.add(new)
        found[new] = values
    return found
