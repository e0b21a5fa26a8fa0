"""Two text formats of time series archives: `.tsv` of UCR, and `.ts` of aeon and sktime.

Both contain one labelled sequence per line. Messages of `load_tsv` and `load_ts` name the line,
counted from 1.
"""

import contextlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice, pairwise
from pathlib import Path

import numpy as np

from unspool import _checks
from unspool._types import Missing
from unspool.data.messages import listed
from unspool.data.sequences import MASK_HINT, FloatArray, Sequences
from unspool.errors import InputError
from unspool.io.cells import is_date, is_number
from unspool.io.cutting import of_sequences
from unspool.io.file_data import Column, FileData
from unspool.io.options import ReadOptions

UCR_SAMPLE = 20  # lines that show whether a .tsv file is of the UCR archive
SHORTEST_UCR = 15  # steps of the shortest sequences of the archive
DIRECTIVES = (
    *("problemName", "timeStamps", "missing", "univariate", "dimensions", "equalLength"),
    *("seriesLength", "classLabel", "targetlabel", "data"),
)
_PAIR = re.compile(r"\([^()]*,([^(),]*)\)")
SPELLED = {name.lower(): name for name in DIRECTIVES}


@dataclass
class Header:
    """What the lines above `@data` declare; `labels` is None if sequences have no labels."""

    dimensions: int | None = None
    length: int | None = None
    equal: bool = False
    labels: tuple[str, ...] | None = None
    target: bool = False
    stamps: bool = False
    unknown: list[str] = field(default_factory=list)


def is_ucr(path: Path) -> bool:
    """Return whether the first lines of a `.tsv` file have a label and numbers, and no header."""
    with contextlib.suppress(InputError):
        lines = [line.split("\t") for _, line in islice(_lines(path), UCR_SAMPLE)]
        first = [[text.strip() for text in row] for row in lines[:1]]
        steps = [text.strip() for row in lines for text in row[1:]]
        numeric = sum(text in ("?", "") or is_number(text) for text in steps)
        if any(is_date(row[0]) for row in lines):
            return False
        if _counts_or_times([row[0] for row in lines]) and len(lines[0]) <= SHORTEST_UCR:
            return False
        has_header = any(
            not (one in ("?", "") or is_number(one)) for row in first for one in row[1:]
        )
        return not has_header and numeric > 0.5 * len(steps)
    return False


def _counts_or_times(cells: Sequence[str]) -> bool:
    """Return whether each number is above the one before: a counter or times, and no labels."""
    if len(cells) < 5 or not all(is_number(cell.strip()) for cell in cells):
        return False
    numbers = [float(cell) for cell in cells]
    return all(one > before for before, one in pairwise(numbers))


def load_tsv(path: Path, options: ReadOptions) -> FileData:
    """Read a UCR file: each line is a label and the steps of a sequence; NaN at the end is padding.

    Labels are whole numbers if all of them can be, else strings.
    """
    labels: list[str] = []
    sequences: list[FloatArray] = []
    for number, line in _lines(path):
        label, *steps = line.split("\t")
        if not steps:
            raise InputError(
                f"line {number}: expected a label and steps, separated by tabs, got {line[:40]!r}; "
                "if the table has other separators, rename it to end in .csv or .txt."
            )
        if sequences and len(steps) != len(sequences[0]):
            raise InputError(
                f"line {number}: expected {len(sequences[0])} steps as in the first line, got "
                f"{len(steps)}; pad shorter sequences with NaN."
            )
        labels.append(label.strip())
        sequences.append(_numbers(steps, number))
        _real_steps(sequences[-1][None], number, options.windows.accepted)
    notes = (
        "each row is a label and a sequence, as in the UCR archive; if it is a table, say `header` "
        "(--header)",
    )
    source = Sequences(np.stack(sequences)[:, :, None], missing=options.windows.accepted)
    return of_sequences(source, options.windows, index={"label": _labels(labels)}, notes=notes)


def load_ts(path: Path, options: ReadOptions) -> FileData:
    """Read a `.ts` file: channels are separated by ':', lengths may differ, labels are strings.

    Time stamps are left out: "(0,1.5),(1,2.5)" is read as 1.5, 2.5.
    """
    lines = _lines(path, comment="#")
    header = _header(lines)
    sequences, labels = [], []
    for number, line in lines:
        if header.stamps:
            line = _without_stamps(line, number)
        *channels, last = line.split(":")
        if header.labels is None and not header.target:
            channels.append(last)
        else:
            labels.append(_label(last.strip(), header, number))
        sequences.append(_sequence(channels, header, number, options.windows.accepted))
    if not sequences:
        raise InputError("there is no sequence below `@data`; write one per line.")
    source = Sequences.from_list(sequences, missing=options.windows.accepted)
    index: dict[str, Column] = {}
    notes = [f"{len(source):,} sequences of {source.n_features} channels"]
    if header.stamps:
        notes.append("time stamps are left out: steps are read as if equally spaced in time")
    if header.unknown:
        notes.append(f"unknown directives are left out: {listed(header.unknown)}")
    if labels:
        index["label"] = np.array(labels, np.float64 if header.target else np.str_)
        kind = "target, a number," if header.target else "label"
        notes.append(f"last field of each line taken as {kind} in column 'label'")
    return of_sequences(source, options.windows, index=index, notes=notes)


def _lines(path: Path, comment: str | None = None) -> Iterator[tuple[int, str]]:
    """Yield the numbers and text of lines that are not empty; comments may contain any bytes."""
    with path.open("rb") as file:
        for number, raw in enumerate(file, 1):
            raw = raw.removeprefix(b"\xef\xbb\xbf") if number == 1 else raw
            if not raw.strip() or (comment and raw.lstrip().startswith(comment.encode())):
                continue
            try:
                yield number, raw.decode().strip("\r\n ")
            except UnicodeDecodeError as error:
                raise InputError(
                    f"line {number}: byte 0x{raw[error.start]:02x} is not UTF-8 text; "
                    "save the file as UTF-8."
                ) from None


def _header(lines: Iterator[tuple[int, str]]) -> Header:
    """Read up to and including `@data`."""
    header = Header()
    for number, line in lines:
        if not line.startswith("@"):
            raise InputError(
                f"line {number}: expected a directive such as `@data` before the sequences, got "
                f"{line[:40]!r}; write the header above them."
            )
        name, *words = line[1:].split() or [""]
        key = name.lower()
        if key not in SPELLED:
            options = [f"@{spelled}" for spelled in DIRECTIVES]
            message = _checks.unknown_name("directive", f"@{name}", options)
            if "did you mean" in message:  # labels would be lost without a word
                raise InputError(f"line {number}: {message}")
            header.unknown.append(f"@{name}")
            continue
        if key == "data":
            return header
        _directive(header, key, words, number)
    raise InputError("there is no line `@data`; write it between the header and the sequences.")


def _directive(header: Header, key: str, words: list[str], number: int) -> None:
    """Store one line of the header in `header`."""
    name = f"@{SPELLED[key]}"
    if key == "problemname":
        return
    if key in ("dimensions", "serieslength"):
        if len(words) != 1 or not words[0].isdecimal() or int(words[0]) == 0:
            raise InputError(
                f"line {number}: expected a whole number of at least 1 after `{name}`, got "
                f"{' '.join(words)!r}."
            )
        if key == "dimensions":
            header.dimensions = int(words[0])
        else:
            header.length = int(words[0])
        return
    if not words or words[0].lower() not in ("true", "false"):
        raise InputError(
            f"line {number}: expected true or false after `{name}`, got {' '.join(words)!r}."
        )
    truth = words[0].lower() == "true"
    if key == "timestamps":
        header.stamps = truth
    elif key == "univariate" and truth:
        header.dimensions = 1
    elif key == "equallength":
        header.equal = truth
    elif key == "classlabel" and truth:
        if not words[1:]:
            raise InputError(
                f"line {number}: expected labels after `@classLabel true`, got none; list them."
            )
        header.labels = tuple(words[1:])
    elif key == "targetlabel":
        header.target = truth


def _sequence(channels: Sequence[str], header: Header, number: int, missing: Missing) -> FloatArray:
    """Return the channels of one line as an array of shape (T_i, F)."""
    if header.dimensions is None:
        header.dimensions = len(channels)  # if not declared, the number in the first line
    if len(channels) != header.dimensions:
        raise InputError(
            f"line {number}: expected {header.dimensions} channels, got {len(channels)}; separate "
            "the channels and the label by ':'."
        )
    arrays = [_numbers(channel.split(","), number, i) for i, channel in enumerate(channels)]
    for i, array in enumerate(arrays):
        if len(array) != len(arrays[0]):
            raise InputError(
                f"line {number}: expected {len(arrays[0])} steps in channel {i}, as in channel 0, "
                f"got {len(array)}; write the same number of values."
            )
    if header.equal:
        header.length = header.length or len(arrays[0])
        if len(arrays[0]) != header.length:
            raise InputError(
                f"line {number}: expected {header.length} steps, since the header has "
                f"`@equalLength true`, got {len(arrays[0])}; correct the header or the line."
            )
    values = np.stack(arrays)
    return values[:, : _real_steps(values, number, missing)].T


def _without_stamps(line: str, number: int) -> str:
    """Return a line with the values only, of pairs such as `(2024-01-01 00:00:00,1.5)`."""
    found, end = [], 0
    for match in _PAIR.finditer(line):
        found.append(line[end : match.start()])
        found.append(match[1])
        end = match.end()
    if not end:
        raise InputError(
            f"line {number}: expected pairs of a time and a value, such as (0,1.5), since the "
            f"header has `@timeStamps true`, got {line[:40]!r}."
        )
    return "".join([*found, line[end:]])


def _label(text: str, header: Header, number: int) -> str:
    if header.target and not is_number(text):
        raise InputError(f"line {number}: expected a number as target, got {text!r}; correct it.")
    if header.labels is not None and text not in header.labels:
        raise InputError(f"line {number}: {_checks.unknown_name('label', text, header.labels)}")
    return text


def _numbers(fields: Sequence[str], number: int, channel: int | None = None) -> FloatArray:
    """Return the fields as numbers; '?' and an empty field are NaN."""
    texts = ["nan" if text.strip() in ("?", "") else text for text in fields]
    try:
        return np.array(texts, np.float64)
    except ValueError:
        step = next((i for i, text in enumerate(texts) if not is_number(text)), 0)
        where, way_out = f"channel {channel}, step {step}", "correct it"
        if channel is None:
            where = f"step {step}"
            way_out = (
                "correct it; if the file is a table with a header, rename it to end in .csv or .txt"
            )
        raise InputError(
            f"line {number}: expected a number at {where}, got {fields[step].strip()!r}; {way_out}."
        ) from None


def _real_steps(values: FloatArray, number: int, missing: Missing) -> int:
    """Return the number of steps of (F, T_i) without padding; refuse values that are not finite."""
    real = np.asarray(~np.isnan(values).all(axis=0))
    if not real.any():
        raise InputError(f"line {number}: the sequence has no value; drop the line.")
    steps = len(real) - int(real[::-1].argmax())
    kept = values[:, :steps]
    bad = np.argwhere(np.isinf(kept) if missing == "mask" else ~np.isfinite(kept))
    if len(bad):
        channel, step = bad[0]
        hint = "" if np.isinf(values[channel, step]) else MASK_HINT
        raise InputError(
            f"line {number}: step {step} of channel {channel} is {values[channel, step]}; fill or "
            f"drop it{hint} (only NaN in every channel at the end of a sequence is padding)."
        )
    return steps


def _labels(texts: Sequence[str]) -> Column:
    """Return the labels as whole numbers if all of them can be, else as strings."""
    if all(is_number(text) and float(text).is_integer() for text in texts):
        return np.array([int(float(text)) for text in texts], np.int64)
    return np.array(texts, np.str_)
