"""`unspool detect --follow`: read lines of a table, and print the score of each at once."""

import contextlib
import csv
import io
import math
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import typer

from unspool._files import check_output_path
from unspool.cli import discard_stdout
from unspool.cli.data_options import Columns
from unspool.cli.followed_file import FollowedFile, InterruptBetweenLines
from unspool.cli.followed_lines import FollowedLines, MissingValueError
from unspool.cli.followed_options import LineOptions
from unspool.cli.followed_times import Gaps
from unspool.cli.options import say
from unspool.cli.stream_state import read_state, write_state
from unspool.errors import InputError
from unspool.io.endings import ending_by_content
from unspool.io.options import TimeOptions
from unspool.runtime.detector import Detector

if TYPE_CHECKING:
    from unspool.model_file import Contents
    from unspool.runtime.detector_stream import DetectorStream, Scored

ONE = ""  # the id of the only series
BETWEEN_IDS = "\x1f"  # in the name of a stream, between the ids of several columns
BINARY = (".parquet", ".feather", ".npy", ".h5", ".mat", ".gz", ".bz2", ".xz", ".zst", ".lz4")


def refuse_other_options(given: list[str], columns: Columns) -> None:
    """Refuse the options in `given` and in `columns` that do not go with --follow."""
    others = {
        "--rows": columns.rows or None,
        "--key": columns.key,
        "--files": columns.files,
        "--interpolate-limit": columns.interpolate_limit,
        "--on-missing interpolate": columns.on_missing == "interpolate" or None,
    }
    given = given + [name for name, value in others.items() if value is not None]
    if given:
        raise typer.BadParameter(
            f"it reads lines one by one and prints their scores to stdout; leave out "
            f"{', '.join(given)}",
            param_hint="--follow",
        )
    LineOptions(columns.names(), columns.kept()).check()


def open_followed(data: Path, state: Path | None) -> FollowedFile:
    """Open the file to follow (`-` for stdin), and check --state, before any training.

    Raises
    ------
    InputError
        If the file cannot be read, or is not text.
    """
    if state is not None:
        check_output_path(state)
    followed = FollowedFile(data)
    if followed.grows:
        kind = ending_by_content(followed.start())
        if kind in BINARY:
            followed.close()
            raise InputError(
                f"{followed.name}: this is a {kind} file; --follow reads lines of text such as "
                "CSV, so score the file without --follow."
            )
    return followed


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
        The options for reading; those of training are used for options that are not given.
    state : Path, optional
        State file. If it exists, the run continues from it; it is written at the end.
    """
    lines = LineScorer(Detector(contents), contents, columns, followed.name)
    if state is not None:
        lines.rows, line = read_state(state, contents, lines.restore, followed)
        if followed.position:
            lines.skip(followed.lines(), line)
            say(f"{followed.name}: continues after line {line:,}")
    try:
        with InterruptBetweenLines() as interrupts, contextlib.suppress(KeyboardInterrupt):
            for text in followed:
                with interrupts.deferred():
                    lines.read(text)
                    followed.mark_processed(text)
    except BrokenPipeError:  # the reader of stdout, such as `head`, has ended
        discard_stdout()
    finally:
        if state is not None:
            write_state(state, contents, lines.state(), followed, lines.rows, lines.line)


class LineScorer:
    """Read lines of a table, and print a line with the score for each.

    Parameters
    ----------
    detector : Detector
        Computes the scores, with one stream for each id.
    contents : Contents
        Contents of the detector's file.
    columns : Columns
        The options for reading.
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
        self, detector: Detector, contents: "Contents", columns: Columns, name: str
    ) -> None:
        detector.stream()  # raises if the detector cannot score step by step
        options = LineOptions.of(columns, contents, name)
        self._lines = FollowedLines(options, contents, name)
        self._detector, self._name = detector, name
        self._streams: dict[str, DetectorStream] = {}
        reading, learned = options.reading, contents.detector
        self._restarts = reading.get("missing") == "drop"  # a dropped step ends a series
        self._gaps: Gaps | None = None
        if learned is not None and learned["max_gap"] is not None:
            times = TimeOptions(reading["date_format"], reading["day_first"])
            self._gaps = Gaps(learned["max_gap"], times)
        self.rows = self.line = 0
        self._header_written = False

    def skip(self, lines: Iterator[bytes], count: int) -> None:
        """Continue after a number of lines; `lines` are those of the file from its beginning."""
        for line in lines:
            if self._lines.is_data(self._lines.text_of(line)):
                break
        self.line = count

    def read(self, line: bytes) -> None:
        """Read a line, and print one for it unless it is above the data or empty."""
        text = self._lines.text_of(line)
        self.line += 1
        if not self._lines.is_data(text):
            return
        fields: list[str] = []
        id, time = ONE, str(self.rows)
        try:
            fields = self._lines.split(text)
            if not self._header_written:
                self._write_header(fields)
            id = self._joined(fields, self._lines.ids, BETWEEN_IDS) or ONE
            if self._lines.times:
                time = self._joined(fields, self._lines.times, " ")
            scored = self._scored(fields, id, time)
            row: list[Any] = [scored.score, scored.threshold, int(scored.alarm)]
            if math.isnan(scored.score):
                say(
                    f"{self._name}, line {self.line}: all values are missing. Its score is left "
                    "empty."
                )
                row[0] = ""
        except InputError as error:
            if self._restarts and isinstance(error, MissingValueError):
                self._stream(id).restart()
            say(f"{self._name}, line {self.line}: {error} Its score is left empty.")
            row = ["", "", ""]
        if not self._header_written:  # the line has no fields
            self._write_header([])
        ids = [id.replace(BETWEEN_IDS, "/")] if self._lines.ids else []
        self._write([*ids, time, *row])
        self.rows += 1

    def state(self) -> dict[str, npt.NDArray[Any]]:
        """Return the state of all streams, for `restore`."""
        arrays: dict[str, npt.NDArray[Any]] = {"ids": np.array([*self._streams], np.str_)}
        for number, stream in enumerate(self._streams.values()):
            arrays |= {f"{number}.{name}": one for name, one in stream.state().items()}
        if self._gaps is not None:
            arrays |= {f"gaps.{name}": one for name, one in self._gaps.state().items()}
        return arrays

    def restore(self, state: Mapping[str, npt.NDArray[Any]]) -> None:
        """Continue from the state of an earlier run."""

        def part(prefix: str) -> dict[str, npt.NDArray[Any]]:
            return {k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)}

        for number, id in enumerate(state["ids"].tolist()):
            self._stream(id).restore(part(f"{number}."))
        if self._gaps is not None:
            self._gaps.restore(part("gaps."))

    def _scored(self, fields: list[str], id: str, time: str) -> "Scored":
        step, stream = self._lines.step(fields), self._stream(id)
        if self._gaps is not None:
            if not self._lines.times:
                raise InputError(
                    "The detector scores the steps after a gap in time like a new series, but the "
                    "lines have no time; name its column with --time."
                )
            if self._gaps.follows_gap(id, time, self._lines.time_name):
                stream.restart()
        return stream.update(step)

    def _stream(self, id: str) -> "DetectorStream":
        if id not in self._streams:
            self._streams[id] = self._detector.stream()
        return self._streams[id]

    @staticmethod
    def _joined(fields: list[str], columns: list[int], sign: str) -> str:
        return sign.join(fields[i] for i in columns if i < len(fields))

    def _write_header(self, fields: list[str]) -> None:
        """Print the header; if there is no time column yet, a column of dates becomes it."""
        self._lines.find_time(fields)
        names = ["id"] if self._lines.ids else []
        names.append("time" if self._lines.times else "step")
        self._write([*names, "score", "threshold", "alarm"])
        self._header_written = True

    def _write(self, row: list[Any]) -> None:
        buffer = io.StringIO()
        csv.writer(buffer, lineterminator="\n").writerow(row)
        sys.stdout.write(buffer.getvalue())
        sys.stdout.flush()
