"""ARFF, the format of Weka: tables, and labelled sequences in a relational attribute.

SciPy's reader refuses texts and quoted values with blanks, and liac-arff has no relational
attributes, in which the UEA archive has its sequences; so the header is read here, and the data
are left to Arrow.
"""

import csv
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as arrow_csv

from unspool.errors import InputError
from unspool.io.contents import ArrayContent, Content, TableContent

_ATTRIBUTE = re.compile(
    r"""@attribute\s+('(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|[^\s{]+)\s*(.+)$""", re.IGNORECASE
)
_NUMBERS = ("numeric", "real", "integer")


@dataclass(frozen=True)
class Attribute:
    """The declaration of a column: `kind` is its type in lower case, "nominal" for `{a, b}`."""

    name: str
    kind: str


def read_arff(path: Path) -> Content:
    """Read an ARFF file as a table, or as sequences if it has a relational attribute.

    If all attributes are numbers named like steps (att0, att1, …) before a nominal class, as in the
    UCR archive, it is still a table; `rows` reads its rows as sequences.
    """
    with path.open("rb") as file:
        lines = enumerate(file, 1)
        attributes, relational = _header(lines)
        rest = [line for _, line in lines if line.strip() and not line.lstrip().startswith(b"%")]
    if not rest:
        raise InputError("there are no rows below `@data`; write the file again.")
    if rest[0].lstrip().startswith(b"{"):
        raise InputError("sparse rows, {0 1, …}, are not read; write every value.")
    if relational is not None:
        return _sequences(attributes, relational, rest)
    return TableContent(_table(attributes, rest))


def _header(lines: Iterator[tuple[int, bytes]]) -> tuple[list[Attribute], list[str] | None]:
    """Return the attributes, and the names inside the relational one, up to `@data`."""
    attributes: list[Attribute] = []
    inside: list[str] | None = None
    is_inside = False
    for number, raw in lines:
        line = raw.decode("utf-8-sig" if number == 1 else "utf-8", "replace").strip()
        lower = line.lower()
        if not line or line.startswith("%") or lower.startswith("@relation"):
            continue
        if lower.startswith("@data"):
            if not attributes:
                raise InputError("there is no `@attribute` before `@data`; write the file again.")
            return attributes, inside
        if lower.startswith("@end"):
            is_inside = False
            continue
        match = _ATTRIBUTE.match(line)
        if match is None:
            raise InputError(
                f"line {number}: expected `@attribute` with a name and a type, got {line[:60]!r}."
            )
        name = re.sub(r"\\(.)", r"\1", match[1][1:-1]) if match[1][0] in "'\"" else match[1]
        kind = "nominal" if match[2].startswith("{") else match[2].split()[0].lower()
        if is_inside:
            assert inside is not None
            inside.append(name)
        elif kind == "relational":
            if inside is not None:
                raise InputError(f"line {number}: only one relational attribute is read.")
            attributes.append(Attribute(name, kind))
            inside, is_inside = [], True
        elif kind in (*_NUMBERS, "nominal", "string", "date"):
            attributes.append(Attribute(name, kind))
        else:
            raise InputError(
                f"line {number}: unknown type {kind!r}: known are numeric, real, integer, string, "
                "date, relational and {a, b, …}."
            )
    raise InputError("there is no line `@data`; write it between the attributes and the rows.")


def _table(attributes: list[Attribute], rows: list[bytes]) -> Any:
    text = b"".join(rows)
    quote = "'" if text.count(b"'") >= text.count(b'"') else '"'
    types = {one.name: pa.float64() if one.kind in _NUMBERS else pa.string() for one in attributes}
    if len(types) < len(attributes):
        raise InputError("two attributes have the same name; rename one of them.")
    try:
        table = arrow_csv.read_csv(
            pa.BufferReader(text),
            arrow_csv.ReadOptions(
                column_names=list(types), block_size=max(1 << 20, max(map(len, rows)) + 1)
            ),
            arrow_csv.ParseOptions(
                quote_char=quote, escape_char="\\", delimiter="\t" if _has_tabs(rows) else ","
            ),
            arrow_csv.ConvertOptions(
                column_types=types, null_values=["?", ""], strings_can_be_null=True
            ),
        )
    except pa.ArrowException as error:
        raise InputError(f"the rows do not fit the attributes: {error}.") from None
    columns = []
    for one, column in zip(attributes, table.columns, strict=True):
        if one.kind not in _NUMBERS:
            column = pa.compute.utf8_trim(column, characters=" \t'\"")
            if one.kind == "nominal":
                column = _whole_numbers(column)
        elif one.kind == "integer":
            column = _whole_numbers(column)
        columns.append(column)
    return pa.table(columns, names=list(types))


def _has_tabs(rows: list[bytes]) -> bool:
    return b"\t" in rows[0] and b"," not in rows[0]


def _whole_numbers(column: Any) -> Any:
    """Return a column as whole numbers if all values are, else unchanged."""
    try:
        return column.cast(pa.int64())
    except pa.ArrowInvalid:
        return column


def _sequences(attributes: list[Attribute], inside: list[str], rows: list[bytes]) -> Content:
    """Return the channels in a relational attribute: one line per channel, divided by `\\n`."""
    place = next(i for i, one in enumerate(attributes) if one.kind == "relational")
    label = next((i for i, one in enumerate(attributes) if one.kind != "relational"), None)
    sequences, labels = [], []
    texts = (row.decode("utf-8", "replace").strip() for row in rows)
    quote = b"'" if rows[0].lstrip().startswith(b"'") or b",'" in rows[0] else b'"'
    csv.field_size_limit(1 << 30)
    for number, fields in enumerate(csv.reader(texts, quotechar=quote.decode()), 1):
        if len(fields) != len(attributes):
            raise InputError(f"row {number}: expected {len(attributes)} values, got {len(fields)}.")
        try:
            channels = [
                np.array([v.strip().replace("?", "nan") for v in line.split(",")], np.float64)
                for line in fields[place].replace("\\n", "\n").strip().split("\n")
            ]
            sequences.append(np.stack(channels, axis=1))
        except ValueError as error:
            raise InputError(f"row {number}: the channels cannot be read: {error}.") from None
        if label is not None:
            labels.append(fields[label].strip())
    widths = {one.shape[1] for one in sequences}
    if len(widths) > 1:
        raise InputError(f"rows have {min(widths)} to {max(widths)} channels; write equally many.")
    longest = max(map(len, sequences))
    values = np.full((len(sequences), longest, widths.pop()), np.nan)
    for i, one in enumerate(sequences):
        values[i, : len(one)] = one
    notes = (f"lines of {attributes[place].name!r} are read as channels",)
    return ArrayContent(values, None, np.array(labels) if labels else None, notes)
