"""`Parts`: a long output as files of its rows, which an interrupted command continues.

The parts of `codes.parquet` are in the folder `.codes.parquet.parts` beside it, until they are
joined. Each is a file of the same format, and is written completely or not at all; a second file
with the ending `.json`, written after it, says where the next part begins. A file that belongs to
all of them says what they are made of, so that they are only continued with the same model, data
and options.
"""

import base64
import contextlib
import json
import os
import re
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, TypedDict

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from unspool._files import atomic_write, lock_file, remove_unfinished
from unspool.errors import InputError
from unspool.io.write import header_of, npy_header, rows_of_group, write_table

FORMAT = 1  # of the folder; parts of another format are discarded
IDENTITY, LOCK = "parts.json", "lock"
OURS = re.compile(r"\.?(parts\.json|lock|\d{6}\.\w+)(\.[0-9a-f]+\.part)?")
COPIED = 1 << 22  # bytes that are copied at once

Identity = Mapping[str, Any]


class Entry(TypedDict):
    """What is known of a part: its rows and bytes, where it begins, and where the next one does."""

    rows: int
    bytes: int
    start: int
    position: int
    state: Any


class Parts:
    """The parts of an output that is being written.

    Parameters
    ----------
    path : Path
        The output: a `.csv`, `.npy`, `.parquet` or `.pq` file.
    identity : callable
        Returns what the output is made of, as data for JSON. It is called only if there are parts.
    say : callable
        Called with a message if parts of an earlier run are continued or discarded.
    """

    def __init__(
        self, path: Path, identity: Callable[[], Identity], say: Callable[[str], None]
    ) -> None:
        self.path, self._identity = path, identity
        self.folder = path.with_name(f".{path.name}.parts")
        self.entries: list[Entry] = []
        self._lock: IO[bytes] | None = None
        if self.folder.is_dir():
            self._continue(say)

    @property
    def position(self) -> int:
        """Where the next part begins: 0 if there is none."""
        return self.entries[-1]["position"] if self.entries else 0

    @property
    def state(self) -> Any:
        """What the last part was written with, or None."""
        return self.entries[-1]["state"] if self.entries else None

    def add(self, columns: Mapping[str, Any], array: Any, position: int, state: Any = None) -> None:
        """Write a part.

        Parameters
        ----------
        columns, array
            Its rows, as for `write_table`.
        position : int
            Where the next part begins.
        state : data for JSON, optional
            What the next part needs to be computed.
        """
        if not self.entries:
            self._begin()
        number = len(self.entries)
        part = self._part(number)
        with self._named_errors():
            write_table(columns, part, array=array)
            rows = len(next(iter(columns.values())))
            size, start = part.stat().st_size, self.position
            entry = Entry(rows=rows, bytes=size, start=start, position=position, state=state)
            _write_json(self._entry(number), entry)
        self.entries.append(entry)

    def join(self) -> None:
        """Write the output from the parts, and remove them."""
        parts = [self._part(number) for number in range(len(self.entries))]
        join = {".csv": _join_csv, ".npy": _join_npy}.get(self.path.suffix.lower(), _join_parquet)
        with self._named_errors():
            remove_unfinished(self.path)  # of a process that was killed here; they may be large
            with atomic_write(self.path) as file:
                join(parts, file)
        self.remove()

    def remove(self) -> None:
        """Remove all parts, and nothing else that may be in their folder."""
        self.entries = []
        self.close()

    def close(self) -> None:
        """Let other processes continue the parts, if there are any."""
        if self._lock is not None and not self.entries:
            self._remove_files()
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def _remove_files(self) -> None:
        with contextlib.suppress(OSError):  # another user's, or on a disk that is gone
            # The file that says what they are is the first to go: parts without it do not count.
            names = sorted(os.listdir(self.folder), key=lambda name: name != IDENTITY)
            for name in names:
                if OURS.fullmatch(name) and name != LOCK:
                    (self.folder / name).unlink()
            (self.folder / LOCK).unlink(missing_ok=True)
            self.folder.rmdir()

    def _continue(self, say: Callable[[str], None]) -> None:
        """Find the parts of an earlier run, and discard them if they are of something else."""
        self._take()
        found = _read_json(self.folder / IDENTITY)
        if found is None:
            self.remove()
            return
        known = {"format": FORMAT, **_plain(self._identity())}
        differing = [name for name in {**known, **found} if known.get(name) != found.get(name)]
        if differing:
            be = "is" if len(differing) == 1 else "are"
            say(
                f"{self.path}: parts of an earlier run are discarded, whose "
                f"{' and '.join(differing)} {be} other than now"
            )
            self.remove()
            return
        while True:
            number = len(self.entries)
            entry, part = _read_json(self._entry(number)), self._part(number)
            if entry is None or not part.is_file() or part.stat().st_size != entry["bytes"]:
                break
            if entry["start"] != self.position:  # left by a run whose earlier parts were damaged
                break
            self.entries.append(entry)
        if self.entries:
            rows = sum(entry["rows"] for entry in self.entries)
            say(f"{self.path}: continues after {rows:,} rows of an earlier run")

    def _begin(self) -> None:
        if self._lock is None:
            with self._named_errors():
                self.folder.mkdir(exist_ok=True)
            self._take()
        with self._named_errors():
            _write_json(self.folder / IDENTITY, {"format": FORMAT, **_plain(self._identity())})

    def _take(self) -> None:
        """Keep other processes from writing the same output."""
        with self._named_errors():
            file = (self.folder / LOCK).open("ab")
        if not lock_file(file.fileno()):
            file.close()
            raise InputError(
                f"{self.path}: another process is writing this file; wait for it, or choose "
                "another file."
            )
        self._lock = file

    def _part(self, number: int) -> Path:
        return self.folder / f"{number:06}{self.path.suffix}"

    def _entry(self, number: int) -> Path:
        return self.folder / f"{number:06}.json"

    @contextlib.contextmanager
    def _named_errors(self) -> Iterator[None]:
        """Let errors name the output instead of its part, and say that earlier parts are kept."""
        try:
            yield
        except OSError as error:
            raise InputError(
                f"{self.path}: cannot be written: {error.strerror or error}."
            ) from None
        except InputError as error:
            text, kept = str(error), ""
            if self.entries:
                kept = " The rows so far are kept; the same command continues after them."
            if text.startswith(str(self.folder)):
                text = f"{self.path}: {text[len(str(self.folder)) :].partition(': ')[2]}"
            raise InputError(text + kept) from None


def _join_csv(parts: Sequence[Path], file: IO[bytes]) -> None:
    for number, part in enumerate(parts):
        with part.open("rb") as source:
            if number:
                source.seek(header_of(source))
            shutil.copyfileobj(source, file, COPIED)


def _join_npy(parts: Sequence[Path], file: IO[bytes]) -> None:
    arrays = [np.load(part, mmap_mode="r", allow_pickle=False) for part in parts]
    shape = (sum(map(len, arrays)), *arrays[0].shape[1:])
    npy_header(shape, arrays[0].dtype, file)
    for array in arrays:
        step = max(1, COPIED // max(1, array[:1].nbytes))
        for start in range(0, len(array), step):
            file.write(np.ascontiguousarray(array[start : start + step]).data)


def _join_parquet(parts: Sequence[Path], file: IO[bytes]) -> None:
    """Write the rows of all parts in groups of the size that `write_table` uses."""
    schema = pa.unify_schemas(list(map(_schema, parts)), promote_options="permissive")
    size = rows_of_group(len(schema))
    with pq.ParquetWriter(file, schema) as writer:
        held = schema.empty_table()
        for part in parts:
            with pq.ParquetFile(part) as source:
                for group in range(source.num_row_groups):
                    table = source.read_row_group(group).cast(schema)
                    held = pa.concat_tables([held, table])
                    while len(held) >= size:
                        writer.write_table(held.slice(0, size).combine_chunks(), size)
                        held = held.slice(size)
        if len(held):
            writer.write_table(held.combine_chunks(), size)


def _schema(part: Path) -> Any:
    """Return the columns that were written; Parquet itself has no times in seconds."""
    written = pq.read_metadata(part).metadata[b"ARROW:schema"]
    return pa.ipc.read_schema(pa.BufferReader(base64.b64decode(written)))


def _plain(identity: Identity) -> dict[str, Any]:
    """Return an identity as JSON would read it."""
    found: dict[str, Any] = json.loads(json.dumps(identity, default=str))
    return found


def _write_json(path: Path, content: Any) -> None:
    with atomic_write(path) as file:
        file.write(json.dumps(content, default=str).encode())


def _read_json(path: Path) -> Any:
    """Return the content of a file, or None if there is none or it is damaged."""
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None
