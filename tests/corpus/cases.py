"""The files of this folder, and what a person reads in each.

Every data file has a `.toml` file of the same name beside it, written by hand:

form
    Which public file has this form.
options
    Arguments of `read_file` (and options of the commands) that are needed. A window of two steps
    is always given, except with `rows`.
refused
    Parts of the error without these options. Without `options` there is no way to read the file.
warned
    Parts of the notes without these options.
said
    Parts of the notes with these options, as regular expressions.
table
    The rows of the file. `@time` is the time in ISO 8601, or a number; `@written` the time as the
    file writes it, if that differs; `@text` a time that is kept as text; `@raw` a time of which
    only the text is compared; `@id` and `@label` are the series and the label, and `@part.NAME` is
    a column that is joined to the id. All other columns are the features.
rows
    The same for a file in which each row is a sequence.
steps
    The times of the steps of such sequences, in ISO 8601.
reversed
    Whether the file runs from the newest to the oldest.
anynames
    Whether the names of features are free.
"""

import re
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

FOLDER = Path(__file__).parent
_TIME = re.compile(r"\d{4}-\d\d")
_OFFSET = re.compile(r" ?(?:Z|UTC|([+-])(\d\d):?(\d\d))$")


@dataclass(frozen=True)
class Case:
    """One file and what is expected of it."""

    path: Path
    about: dict[str, Any]

    @property
    def name(self) -> str:
        """The name of the file, with that of its folder."""
        return str(self.path.relative_to(FOLDER))

    @property
    def options(self) -> dict[str, Any]:
        """The arguments of `read_file`."""
        return self.shape | self.about.get("options", {})

    @property
    def shape(self) -> dict[str, Any]:
        """The arguments that cut the file into windows."""
        whole = self.about.get("options", {}).get("rows") or self.about.get("whole")
        return {} if whole else {"window": 2}

    @property
    def arguments(self) -> list[str]:
        """The options of the commands."""
        return [word for name, value in self.options.items() for word in _option(name, value)]

    @property
    def has_table(self) -> bool:
        """Whether the file can be read."""
        return "table" in self.about or "rows" in self.about

    @property
    def is_text(self) -> bool:
        """Whether the file can be read as UTF-8."""
        try:
            self.path.read_text()
        except UnicodeDecodeError:
            return False
        return self.path.suffix not in (".npy", ".npz")

    def columns(self, *, as_in_file: bool = False) -> dict[str, list[str]]:
        """Return the table's columns by name, in the order of time or of the file."""
        text = self.about.get("table", self.about.get("rows"))
        rows = [[field.strip() for field in line.split("|")] for line in text.split("\n") if line]
        names, *rows = rows
        assert all(len(row) == len(names) for row in rows), self.name
        if self.about.get("reversed") and not as_in_file:
            rows = rows[::-1]
        return {name: list(column) for name, *column in zip(names, *rows, strict=True)}

    def features(self) -> tuple[list[str], np.ndarray]:
        """Return the names of the features, and their values of shape (rows, F)."""
        columns = {k: v for k, v in self.columns().items() if not k.startswith("@")}
        return list(columns), np.array(list(columns.values()), float).T

    def written(self) -> list[str] | None:
        """Return the times as the file writes them, in its order."""
        columns = self.columns(as_in_file=True)
        found = [
            columns[name] for name in ("@written", "@text", "@raw", "@time") if name in columns
        ]
        return found[0] if found else None


def instant(text: str) -> Any:
    """Return a time as an instant in UTC, or else as a number."""
    if not _TIME.match(text):
        return float(text)
    offset = _OFFSET.search(text)
    value = np.datetime64(_OFFSET.sub("", text).replace(" ", "T"), "ns")
    if offset and offset[1]:
        minutes = int(offset[2]) * 60 + int(offset[3])
        value -= np.timedelta64(minutes if offset[1] == "+" else -minutes, "m")
    return value


def _option(name: str, value: Any) -> list[str]:
    """Return an argument of `read_file` as words of the command line."""
    flag = {"missing": "--on-missing", "missing_values": "--missing"}.get(
        name, "--" + name.replace("_", "-")
    )
    if name == "day_first":
        return ["--day-first" if value else "--month-first"]
    if name == "drop":
        return [word for column in value for word in (flag, column)]
    if value is True:
        return [flag]
    if name == "id" and isinstance(value, list):
        return [flag, ",".join(value)]
    if isinstance(value, list):
        return [f"{flag}={','.join(map(str, value))}"]
    return [flag, str(value)]


def all_cases() -> list[Case]:
    """Return all cases, in the order of their names."""
    found = []
    for about in sorted(FOLDER.glob("*/*.toml")):
        (path,) = (one for one in about.parent.glob(f"{about.stem}.*") if one != about)
        found.append(Case(path, tomllib.loads(about.read_text())))
    return found
