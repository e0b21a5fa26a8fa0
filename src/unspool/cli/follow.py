"""`unspool detect --follow`: CSV lines in, a line with the score out for each, at once."""

import contextlib
import csv
import io
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from unspool import _checks
from unspool._files import check_output_path
from unspool.cli.growing import Growing, Interruptible
from unspool.cli.options import Columns, say
from unspool.cli.stream_state import read_state, write_state
from unspool.data.delimited import DATE, is_data, is_number
from unspool.data.messages import listed
from unspool.data.roles import TIME_NAMES
from unspool.errors import InputError
from unspool.runtime.detector import Detector

if TYPE_CHECKING:
    from unspool.model_file import Contents
    from unspool.runtime.detector_stream import DetectorStream

DELIMITERS = (";", "\t")  # before commas, which may be in numbers then


def check_alone(given: list[str], columns: Columns) -> None:
    """Refuse options that --follow has no use for; `given` are those that were given."""
    asked = {"--id": columns.id, "--label": columns.label, "--rows": columns.rows or None}
    given = given + [name for name, value in asked.items() if value is not None]
    if given:
        raise typer.BadParameter(
            f"it reads one series and writes scores to stdout; leave out {', '.join(given)}",
            param_hint="--follow",
        )


def open_lines(data: Path, state: Path | None) -> Growing:
    """Open what is to be followed, `-` for stdin, and look at --state; before long work."""
    if state is not None:
        check_output_path(state)
    return Growing(data)


def follow_lines(
    growing: Growing, contents: "Contents", columns: Columns, state: Path | None
) -> None:
    """Score each line of a file that grows, or of stdin, until they end or Ctrl-C comes.

    Parameters
    ----------
    growing : Growing
    contents : Contents
        Of a detector.
    columns : Columns
        The options; `columns` and `time` count.
    state : Path, optional
        File that says where an earlier run stopped, if it is there; it is written at the end.
    """
    stream = Detector(contents).stream()
    lines = Lines(stream, contents, columns, growing.name)
    if state is not None:
        lines.rows, read = read_state(state, contents, stream, growing)
        if growing.position:
            lines.skip(growing.first_line(), read)
            say(f"{growing.name}: goes on after line {read:,}")
    try:
        with Interruptible() as interruptible, contextlib.suppress(KeyboardInterrupt):
            for line in growing:
                with interruptible.held_off():
                    lines.read(line)
                    growing.done(line)
    except BrokenPipeError:  # the reader of our output, such as `head`, has gone
        _let_stdout_go()
    finally:
        if state is not None:
            write_state(state, contents, stream, growing, lines.rows, lines.line)


def _let_stdout_go() -> None:
    """What is still in its buffer shall not be written to a pipe that is gone."""
    with contextlib.suppress(OSError, ValueError):  # it need not be a file of the system
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


class Lines:
    """Reads lines, and writes a line with the score for each.

    Parameters
    ----------
    stream : DetectorStream
    contents : Contents
        Of the detector.
    columns : Columns
    name : str
        Of the file, for messages.

    Attributes
    ----------
    line : int
        Number of the latest line in the file.
    rows : int
        Lines of data, over all runs; it numbers the steps.
    """

    def __init__(
        self, stream: "DetectorStream", contents: "Contents", columns: Columns, name: str
    ) -> None:
        self._stream, self._columns, self._name = stream, columns, name
        self._features = contents.facts.n_features
        own = None if contents.detector is None else contents.detector["feature_names_in"]
        asked = columns.names()
        if asked and own and asked != list(own) and set(asked) == set(own):
            raise InputError(
                f"--columns: expected the detector's features {listed(own)}, in this order, got "
                f"{listed(asked)}; reorder them, or leave --columns out."
            )
        self._known: list[str] | None = asked or own
        self.rows = self.line = 0
        self._delimiter = ","
        self._names: list[str] | None = None  # of the columns, once the first line is read
        self._places: list[int] = []  # of the features
        self._time: int | None = None  # place of the time
        self._written = False

    def skip(self, first: bytes, line: int) -> None:
        """Go on after a number of lines of which the first that is not empty is `first`."""
        self._begin(_text(first))
        self.line = line

    def read(self, line: bytes) -> None:
        """Read a line; write one for it, but for a header and for empty lines."""
        text = _text(line)
        self.line += 1
        if not text.strip() or (self._names is None and self._begin(text)):
            return
        fields = self._split(text)
        if not self._written:
            self._write_header(fields)
        try:
            scored = self._stream.update(self._step(fields))
            row: list[Any] = [scored.score, scored.threshold, int(scored.alarm)]
        except InputError as error:
            say(f"{self._name}, line {self.line}: {error} No score is given for it.")
            row = ["", "", ""]
        when: Any = self.rows
        if self._time is not None:
            when = fields[self._time] if self._time < len(fields) else ""
        self._write([when, *row])
        self.rows += 1

    def _split(self, text: str) -> list[str]:
        fields = next(csv.reader([text], delimiter=self._delimiter), [])
        return [one.strip() for one in fields]

    def _begin(self, text: str) -> bool:
        """Find the columns in the first line, and say whether that is a header."""
        self._delimiter = next((one for one in DELIMITERS if one in text), ",")
        fields = self._split(text)
        header = not is_data(fields, self._decimal)
        self._names = fields if header else [str(i) for i in range(len(fields))]
        named = self._columns.time
        if named is not None:
            if named not in self._names:
                unknown = _checks.unknown_name("column", named, self._names)
                raise InputError(f"{self._name}: --time: {unknown}")
            self._time = self._names.index(named)
        self._places = self._found(self._names, header=header)
        if self._time is None:
            usual = [i for i in self._others() if self._names[i].lower() in TIME_NAMES]
            self._time = next(iter(usual), None)
        return header

    @property
    def _decimal(self) -> str:
        return "," if self._delimiter == ";" else "."

    def _found(self, names: list[str], *, header: bool) -> list[int]:
        """Where the features are."""
        count, known = self._features, self._known
        if known is not None and len(known) != count:
            raise InputError(f"--columns: the detector has {count} features, got {len(known)}.")
        if known is not None and (header or set(known) <= set(names) or self._columns.columns):
            lacking = [name for name in known if name not in names]
            if lacking:
                raise InputError(
                    f"{self._name}: there is no column {listed(lacking)}, which the detector "
                    f"reads; those there are: {listed(names)}. Name others with --columns, in the "
                    "detector's order."
                )
            twice = next((name for name in known if names.count(name) > 1), None)
            if twice is not None:
                raise InputError(
                    f"{self._name}: {names.count(twice)} columns are called {twice!r}, which the "
                    "detector reads; give the others another name."
                )
            return [names.index(name) for name in known]
        rest = [i for i in range(len(names)) if i != self._time]
        if len(rest) == count + 1 and self._time is None:
            times = [i for i in rest if names[i].lower() in TIME_NAMES] if header else rest
            self._time = next(iter(times), None)
            rest = [i for i in rest if i != self._time]
        if len(rest) != count:
            raise InputError(
                f"{self._name}: the detector reads {count} features, and the first line has "
                f"{len(names)} fields ({listed(names)}); name the features with --columns, in the "
                "detector's order."
            )
        return rest

    def _others(self) -> list[int]:
        assert self._names is not None
        return [i for i in range(len(self._names)) if i not in self._places]

    def _write_header(self, fields: list[str]) -> None:
        """Write the names of the columns; a column of dates is the time where none was named."""
        if self._time is None:
            dates = [i for i in self._others() if i < len(fields) and DATE.fullmatch(fields[i])]
            self._time = next(iter(dates), None)
        self._write(["step" if self._time is None else "time", "score", "threshold", "alarm"])
        self._written = True

    def _step(self, fields: list[str]) -> list[float]:
        """The features of a line of data."""
        assert self._names is not None
        if len(fields) != len(self._names):
            raise InputError(f"Expected {len(self._names)} fields, got {len(fields)}.")
        values = []
        for place in self._places:
            text, name = fields[place], self._names[place]
            if not text:
                raise InputError(f"Column {name!r} is empty.")
            text = text.replace(self._decimal, ".")
            if not is_number(text):
                raise InputError(
                    f"Column {name!r} holds {_checks.shown(text)}, and a number was expected."
                )
            values.append(float(text))
        return values

    def _write(self, row: list[Any]) -> None:
        buffer = io.StringIO()
        csv.writer(buffer, lineterminator="\n").writerow(row)
        sys.stdout.write(buffer.getvalue())
        sys.stdout.flush()


def _text(line: bytes) -> str:
    return line.decode("utf-8-sig", errors="replace").rstrip("\r\n")
