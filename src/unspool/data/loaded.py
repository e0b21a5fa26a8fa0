"""What a reader hands back: a source, and columns that say what each of its items is.

Main path: a reader finds series or sequences in a file and gives them to `of_series` or
`of_sequences`; those cut windows where a `Cut` asks for it and carry names and labels along.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from unspool.data.convert import Source
from unspool.data.sequences import IntArray, Sequences
from unspool.data.windows import Windows
from unspool.errors import InputError

Column = npt.NDArray[Any]

SHOWN = 8  # names listed in a note before the rest is only counted


@dataclass(frozen=True, eq=False)
class Loaded:
    """A file as models eat it.

    Attributes
    ----------
    source : Sequences or Windows
        N sequences or windows.
    index : dict of arrays of shape (N,)
        What each of them is, to be put in front of outputs: `id` where there are several series,
        `start` for windows (the time at the first step, or its number counted from 0), `time`
        where each row of a table is a sequence with a time of its own, and `label`.
    steps : dict of lists of arrays of shape (T_i,)
        `time` and `label` of every step of every series; empty for files of sequences.
    series_ids : list or None
        What the series are called, where there are several or a column names them.
    notes : tuple of strings
        What was taken for what, a line each.
    """

    source: Source
    index: dict[str, Column]
    steps: dict[str, list[Column]]
    series_ids: list[Any] | None
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Cut:
    """How series become windows; a `size` of None leaves them whole."""

    size: int | None = None
    stride: int = 1
    tail: bool = False
    short: str = "error"

    def windows(self, series: Sequence[Column], names: Sequence[str] | None = None) -> Windows:
        """Windows over `series`, arrays of shape (T_i, F)."""
        return Windows(
            list(series),
            self.size or 0,
            self.stride,
            tail=self.tail,
            short=self.short,
            feature_names=names,
        )


def of_series(
    series: Sequence[Column],
    cut: Cut,
    *,
    ids: Sequence[Any] | None = None,
    steps: dict[str, list[Column]] | None = None,
    names: Sequence[str] | None = None,
    notes: Sequence[str] = (),
) -> Loaded:
    """Series of shape (T_i, F) with columns for their steps, cut or taken whole.

    Without a window every series becomes one sequence, and its label is the one at its last step
    (which is its only one where the label is constant).
    """
    steps = steps or {}
    notes = list(notes)
    source: Source
    index: dict[str, Column] = {}
    if cut.size is None:
        source = Sequences.from_list(series, names)
        owner, last = np.arange(len(series)), np.array([len(one) - 1 for one in series])
    else:
        source = cut.windows(series, names)
        owner, start = source.place(np.arange(len(source)))
        last = start + source.lengths_of(np.arange(len(source))) - 1
    if ids is not None:
        index["id"] = np.asarray(ids)[owner]
    if cut.size is not None:
        index["start"] = _at(steps["time"], owner, start) if "time" in steps else start
    if "label" in steps:
        index["label"] = _at(steps["label"], owner, last)
        notes.append(_label_note(cut, steps["label"]))
    return Loaded(source, index, steps, None if ids is None else list(ids), tuple(notes))


def of_sequences(
    sequences: Sequences,
    cut: Cut,
    *,
    index: dict[str, Column] | None = None,
    notes: Sequence[str] = (),
) -> Loaded:
    """N sequences with columns of shape (N,), whole or cut into windows."""
    index = index or {}
    for name, column in index.items():
        if column.shape != (len(sequences),):
            raise InputError(
                f"Expected {name} as {len(sequences)} values, one for each sequence, "
                f"got shape {column.shape}."
            )
    if cut.size is None:
        return Loaded(sequences, index, {}, None, tuple(notes))
    ids = index.get("id", np.arange(len(sequences)))
    windows = cut.windows([sequences[i] for i in range(len(sequences))])
    owner, start = windows.place(np.arange(len(windows)))
    columns = {"id": ids[owner], "start": start}
    columns |= {name: column[owner] for name, column in index.items() if name != "id"}
    told = (*notes, f"windows are cut from each of the {len(sequences):,} sequences by itself")
    return Loaded(windows, columns, {}, ids.tolist(), told)


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Put the file's name in front of whatever is wrong with it, as one `InputError`."""
    try:
        yield
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}.") from None
    except MemoryError:
        raise InputError(
            f"{path}: there is not enough memory for what it holds; split it, or write one series "
            "(T, F) as .npy, which a window reads from the disk."
        ) from None


def listed(names: Sequence[str]) -> str:
    """Names in one line, the first few of many."""
    rest = len(names) - SHOWN
    return ", ".join(names[:SHOWN]) + (f" and {rest:,} more" if rest > 0 else "")


def _at(columns: list[Column], owner: IntArray, step: IntArray) -> Column:
    """The values at one step for each of N items, from the columns of their series."""
    ends = np.cumsum([len(one) for one in columns])
    first = ends - [len(one) for one in columns]
    return np.concatenate(columns)[first[owner] + step]


def _label_note(cut: Cut, labels: list[Column]) -> str:
    if cut.size is not None:
        return "the label of a window is the one at its last step"
    constant = all((one == one[0]).all() for one in labels)
    return f"the label of a series is {'constant' if constant else 'the one at its last step'}"
