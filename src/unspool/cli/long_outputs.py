"""How commands write outputs whose rows are computed piece by piece."""

import hashlib
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np

import unspool
from unspool.cli.data_options import Columns
from unspool.cli.options import say, stderr
from unspool.cli.stdin import STDIN, data_path
from unspool.data.convert import Source
from unspool.data.sequences import FloatArray, IntArray
from unspool.data.windows import Windows
from unspool.io.long_output import Make, write_long
from unspool.io.several import files_of, is_several

SHOWN_AFTER = 2.0  # seconds without a progress bar


def write_output(
    output: Path | None,
    make: Make,
    *,
    command: str,
    model: Path,
    data: Path,
    options: Mapping[str, Any],
    total: int,
    unit: str,
    order: IntArray | None = None,
    order_array: bool = True,
    rows_each: int = 1,
) -> None:
    """Write the rows of a command, with a progress bar in terminals; see `write_long`.

    Parameters
    ----------
    output : Path or None
        The file; None or "-" writes CSV to standard output.
    make : callable
        Returns the rows from a position on.
    command : str
        Name of the command.
    model, data : Path
        The model file, and the data that is read.
    options : mapping
        All other options that the rows depend on.
    total : int
        Position after the last rows.
    unit : str
        What positions count, such as "windows".
    order : array of int, optional
        Order of the rows.
    order_array : bool, default True
        Whether the content of a `.npy` file has this order, too.
    rows_each : int, default 1
        Number of rows for each entry of `order`, which stay together.
    """

    # Parts are made of the data as they are now, also if the file changes before the first part.
    state = None if data == STDIN else state_of(data)

    def identity() -> dict[str, Any]:
        plain = {
            name: asdict(one) if isinstance(one, Columns) else one for name, one in options.items()
        }
        return {
            "command": command,
            "version": unspool.__version__,
            "model": _digest(model),
            "data": state_of(data) if state is None else state,
            "options": {name: str(one) for name, one in sorted(_flat(plain).items())},
        }

    with _Progress(total, unit) as progress:
        write_long(
            output,
            make,
            identity=identity,
            say=say,
            order=order,
            order_array=order_array,
            rows_each=rows_each,
            done=progress.update,
        )


def unit_of(source: Source) -> str:
    """Return the word for what sequences are."""
    return "windows" if isinstance(source, Windows) else "sequences"


def padded(values: FloatArray, steps: int) -> FloatArray:
    """Return values (n, T, …) of sequences with `steps` steps, NaN after the end."""
    if values.ndim != 3 or values.shape[1] == steps:  # images have one size
        return values
    pad = [(0, 0), (0, steps - values.shape[1]), (0, 0)]
    return np.pad(values, pad, constant_values=np.nan)


def _flat(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return options without groups, and without those that are not given."""
    found: dict[str, Any] = {}
    for name, one in options.items():
        found |= _flat(one) if isinstance(one, Mapping) else {name: one}
    return {name: one for name, one in found.items() if one is not None}


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def state_of(path: Path) -> list[list[Any]]:
    """Return what tells the files of DATA from others; of standard input, its digest.

    For each file: the name, the size, the time at which it was written, and the time of the last
    change of any kind, which no program can set back.
    """
    if path == STDIN:
        return [["-", _digest(data_path(path))]]
    files = files_of(path) if is_several(path) else [path]
    states = [(one.resolve(), one.stat()) for one in files]
    return [
        [str(name), state.st_size, state.st_mtime_ns, state.st_ctime_ns] for name, state in states
    ]


class _Progress:
    """A progress bar with rate and time left, for what takes more than a moment."""

    def __init__(self, total: int, unit: str) -> None:
        self._total, self._unit = total, unit
        self._bar: Any = None
        self._began, self._first = time.monotonic(), 0
        self.update: Callable[[int], None] = self._update

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def _update(self, position: int) -> None:
        if not stderr.is_terminal or time.monotonic() - self._began < SHOWN_AFTER:
            self._first = position
            return
        if self._bar is None:
            self._bar = self._new_bar()
        self._bar.update(self._task, completed=position)

    def _new_bar(self) -> Any:
        from rich.progress import (
            BarColumn,
            Progress,
            ProgressColumn,
            TextColumn,
            TimeRemainingColumn,
        )
        from rich.text import Text

        unit = self._unit

        class Rate(ProgressColumn):
            """How many rows are computed in a second."""

            def render(self, task: Any) -> Text:
                speed = task.finished_speed or task.speed
                return Text("" if speed is None else f"{speed:,.0f} {unit}/s")

        bar = Progress(
            TextColumn("{task.completed:,} of {task.total:,} " + unit),
            BarColumn(),
            Rate(),
            TimeRemainingColumn(),
            TextColumn("left"),
            console=stderr,
            transient=True,
        )
        self._task = bar.add_task("", total=self._total, completed=self._first)
        bar.start()
        return bar
