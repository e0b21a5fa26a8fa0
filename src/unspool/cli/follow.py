"""`unspool detect --follow`: read CSV lines, and print the score of each at once."""

import contextlib
import csv
import io
import math
import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from unspool import _checks
from unspool._files import check_output_path
from unspool.cli.data_options import Columns
from unspool.cli.followed_file import FollowedFile, InterruptBetweenLines
from unspool.cli.options import say
from unspool.cli.reading import as_flags
from unspool.cli.stream_state import read_state, write_state
from unspool.data.messages import listed
from unspool.data.missing_values import numbers_in
from unspool.errors import InputError
from unspool.io.cells import is_data, is_date, is_number
from unspool.io.delimiters import BLANK, split_at_blanks
from unspool.io.missing import null_values
from unspool.io.options import TextOptions
from unspool.io.role_names import TIME_NAMES
from unspool.runtime.detector import Detector

if TYPE_CHECKING:
    from unspool.model_file import Contents
    from unspool.runtime.detector_stream import DetectorStream

DELIMITERS = (";", "\t")  # tried before the comma, which may then be a decimal comma


def refuse_other_options(given: list[str], columns: Columns) -> None:
    """Refuse the options in `given` and in `columns` that do not go with --follow."""
    others = {
        "--id": columns.id,
        "--label": columns.label,
        "--rows": columns.rows or None,
        "--skip": columns.skip,
        "--thousands": columns.thousands,
        "--encoding": columns.encoding,
    }
    if columns.header not in (None, 0, 1):
        others["--header"] = columns.header
    complaint = TextOptions(
        delimiter=columns.keywords()["delimiter"], decimal=columns.decimal
    ).complaint()
    if complaint:
        raise InputError(complaint)
    given = given + [name for name, value in others.items() if value is not None]
    if given:
        raise typer.BadParameter(
            f"it reads one series and prints its scores to stdout; leave out {', '.join(given)}",
            param_hint="--follow",
        )


def open_followed(data: Path, state: Path | None) -> FollowedFile:
    """Open the file to follow (`-` for stdin), and check --state, before any training."""
    if state is not None:
        check_output_path(state)
    return FollowedFile(data)


def follow_lines(
    followed: FollowedFile, contents: "Contents", columns: Columns, state: Path | None
) -> None:
    """Score each line of a growing file or of stdin, until its end or Ctrl-C.

    Parameters
    ----------
    followed : FollowedFile
        The file, or stdin.
    contents : Contents
        Contents of a detector's file.
    columns : Columns
        The options `columns` and `time`.
    state : Path, optional
        State file. If it exists, the run continues from it; it is written at the end.
    """
    if contents.detector is not None and contents.detector["max_gap"] is not None:
        raise InputError(
            "--follow does not compare times, but this detector scores series between gaps in "
            "time; fit it with --max-gap none, or score whole files without --follow."
        )
    stream = Detector(contents).stream()
    lines = LineScorer(stream, contents, columns, followed.name)
    if state is not None:
        lines.rows, line = read_state(state, contents, stream, followed)
        if followed.position:
            lines.skip(followed.first_line(), line)
            say(f"{followed.name}: continues after line {line:,}")
    try:
        with InterruptBetweenLines() as interrupts, contextlib.suppress(KeyboardInterrupt):
            for text in followed:
                with interrupts.deferred():
                    lines.read(text)
                    followed.mark_processed(text)
    except BrokenPipeError:  # the reader of stdout, such as `head`, has ended
        _discard_stdout()
    finally:
        if state is not None:
            write_state(state, contents, stream, followed, lines.rows, lines.line)


def _as_trained(columns: Columns, contents: "Contents", name: str) -> Columns:
    """Return the options with the time column and the missing values of training, if not given."""
    reading = contents.fitted["reading"] or {}
    kept: dict[str, Any] = {}
    changes: dict[str, Any] = {}
    if (
        "time" in reading
        and columns.time is None
        and reading["time"] not in (columns.names() or ())
    ):
        kept["time"] = changes["time"] = reading["time"]
    if "missing_values" in reading and columns.missing is None:
        kept["missing_values"] = reading["missing_values"]
        changes["missing"] = [str(one) for one in reading["missing_values"]]
    if not kept:
        return columns
    say(f"{name}: as in training: {as_flags(kept)}")
    return replace(columns, **changes)


def _discard_stdout() -> None:
    """Discard what is still buffered, which would be written to a closed pipe at exit."""
    with contextlib.suppress(OSError, ValueError):  # stdout may have no file descriptor
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


class LineScorer:
    """Read lines of CSV, and print a line with the score for each.

    Parameters
    ----------
    stream : DetectorStream
        Computes the scores.
    contents : Contents
        Contents of the detector's file.
    columns : Columns
        The options `columns` and `time`.
    name : str
        Name of the file, for messages.

    Attributes
    ----------
    line : int
        Number of the latest line in the file.
    rows : int
        Number of lines of data, over all runs, by which steps are numbered.
    """

    def __init__(
        self, stream: "DetectorStream", contents: "Contents", columns: Columns, name: str
    ) -> None:
        given_time = columns.time is not None
        columns = _as_trained(columns, contents, name)
        self._stream, self._columns, self._name = stream, columns, name
        self._time_was_given = given_time
        self._n_features = contents.facts.n_features
        self._masks = contents.form.missing == "mask"
        marks = columns.missing_values()
        self._missing_words, self._missing_numbers = {*null_values(marks)}, numbers_in(marks)
        trained = None if contents.detector is None else contents.detector["feature_names_in"]
        given = columns.names()
        if given and trained and given != list(trained) and set(given) == set(trained):
            raise InputError(
                f"--columns: expected the detector's features {listed(trained)}, in this order, "
                f"got {listed(given)}; reorder them, or leave --columns out."
            )
        self._feature_names: list[str] | None = given or trained
        self.rows = self.line = 0
        self._delimiter = ","
        self._names: list[str] | None = None  # names of all columns, once the first line is read
        self._feature_columns: list[int] = []
        self._time: int | None = None  # index of the time column
        self._header_written = False

    def skip(self, first: bytes, line: int) -> None:
        """Continue after a number of lines; `first` is the first line that is not empty."""
        self._begin(_text(first))
        self.line = line

    def read(self, line: bytes) -> None:
        """Read a line, and print one for it unless it is a header or empty."""
        text = _text(line)
        self.line += 1
        if not text.strip() or (self._names is None and self._begin(text)):
            return
        fields = self._split(text)
        if not self._header_written:
            self._write_header(fields)
        try:
            scored = self._stream.update(self._step(fields))
            row: list[Any] = [scored.score, scored.threshold, int(scored.alarm)]
            if math.isnan(scored.score):
                say(
                    f"{self._name}, line {self.line}: all values are missing. Its score is left "
                    "empty."
                )
                row[0] = ""
        except InputError as error:
            say(f"{self._name}, line {self.line}: {error} Its score is left empty.")
            row = ["", "", ""]
        time: Any = self.rows
        if self._time is not None:
            time = fields[self._time] if self._time < len(fields) else ""
        self._write([time, *row])
        self.rows += 1

    def _split(self, text: str) -> list[str]:
        if self._delimiter == BLANK:
            return split_at_blanks(text)
        fields = next(csv.reader([text], delimiter=self._delimiter), [])
        return [one.strip() for one in fields]

    def _begin(self, text: str) -> bool:
        """Find the columns in the first line, and return whether it is a header."""
        given = self._columns.keywords()["delimiter"]
        self._delimiter = given or next((one for one in DELIMITERS if one in text), ",")
        fields = self._split(text)
        header = not is_data(fields, self._decimal)
        if self._columns.header is not None:
            header = self._columns.header == 1
        self._names = fields if header else [str(i) for i in range(len(fields))]
        time = self._columns.time
        if time is not None and time not in self._names and not self._time_was_given:
            time = None
        if time is not None:
            if time not in self._names:
                unknown = _checks.unknown_name("column", time, self._names)
                raise InputError(f"{self._name}: --time: {unknown}")
            self._time = self._names.index(time)
        self._feature_columns = self._find_features(self._names, header=header)
        if self._time is None:
            usual = [i for i in self._other_columns() if self._names[i].lower() in TIME_NAMES]
            self._time = next(iter(usual), None)
        return header

    @property
    def _decimal(self) -> str:
        return self._columns.decimal or ("," if self._delimiter == ";" else ".")

    def _find_features(self, names: list[str], *, header: bool) -> list[int]:
        """Return the indices of the feature columns."""
        count, known = self._n_features, self._feature_names
        if known is not None and len(known) != count:
            raise InputError(f"--columns: the detector has {count} features, got {len(known)}.")
        if known is not None and (header or set(known) <= set(names) or self._columns.columns):
            missing = [name for name in known if name not in names]
            if missing:
                raise InputError(
                    f"{self._name}: there is no column {listed(missing)}, which the detector "
                    f"reads; the columns are {listed(names)}. Name other columns with --columns, "
                    "in the detector's order."
                )
            repeated = next((name for name in known if names.count(name) > 1), None)
            if repeated is not None:
                raise InputError(
                    f"{self._name}: {names.count(repeated)} columns have the name {repeated!r}, "
                    "which the detector reads; rename the others."
                )
            return [names.index(name) for name in known]
        rest = [i for i in range(len(names)) if i != self._time]
        if len(rest) == count + 1 and self._time is None:
            times = [i for i in rest if names[i].lower() in TIME_NAMES] if header else rest
            self._time = next(iter(times), None)
            rest = [i for i in rest if i != self._time]
        if len(rest) != count:
            raise InputError(
                f"{self._name}: the detector reads {count} features, but the first line has "
                f"{len(names)} fields ({listed(names)}); name the features with --columns, in the "
                "detector's order."
            )
        return rest

    def _other_columns(self) -> list[int]:
        assert self._names is not None
        return [i for i in range(len(self._names)) if i not in self._feature_columns]

    def _write_header(self, fields: list[str]) -> None:
        """Print the header; if there is no time column yet, a column of dates becomes it."""
        if self._time is None:
            dates = [i for i in self._other_columns() if i < len(fields) and is_date(fields[i])]
            self._time = next(iter(dates), None)
        self._write(["step" if self._time is None else "time", "score", "threshold", "alarm"])
        self._header_written = True

    def _step(self, fields: list[str]) -> list[float]:
        """Return the features of a line of data."""
        assert self._names is not None
        if len(fields) != len(self._names):
            raise InputError(f"Expected {len(self._names)} fields, got {len(fields)}.")
        values = []
        for column in self._feature_columns:
            text, name = fields[column], self._names[column]
            if text in self._missing_words:
                if not self._masks:
                    what = f"holds {text}, which means missing" if text else "is empty"
                    raise InputError(f"Column {name!r} {what}.")
                values.append(math.nan)
                continue
            text = text.replace(self._decimal, ".")
            if not is_number(text):
                raise InputError(
                    f"Expected a number in column {name!r}, got {_checks.shown(text)}."
                )
            value = float(text)
            if value in self._missing_numbers:
                if not self._masks:
                    raise InputError(f"Column {name!r} is missing (--missing {value:g}).")
                value = math.nan
            values.append(value)
        return values

    def _write(self, row: list[Any]) -> None:
        buffer = io.StringIO()
        csv.writer(buffer, lineterminator="\n").writerow(row)
        sys.stdout.write(buffer.getvalue())
        sys.stdout.flush()


def _text(line: bytes) -> str:
    return line.decode("utf-8-sig", errors="replace").rstrip("\r\n")
