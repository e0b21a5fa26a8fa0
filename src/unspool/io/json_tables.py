"""JSON: lines of records, arrays of records, or objects that contain columns."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.json as arrow_json

from unspool import _checks
from unspool.errors import InputError

BLOCK = 1 << 22  # bytes that Arrow reads at a time; no record may be longer


def read_json(path: Path, key: str | None) -> tuple[Any, tuple[str, ...]]:
    """Read a JSON file as a `pyarrow.Table`; fields of objects in records are columns "a.b".

    In a document, `key` is the path of the records, such as "data.result". By default the only
    array of records, or object of columns of one length, is read.

    Raises
    ------
    InputError
        If the text is not JSON, or contains no table or several.
    """
    try:
        return _read(path, key)
    except UnicodeDecodeError as error:
        raise InputError(f"the text is not UTF-8 ({error.reason}); save it as UTF-8.") from None
    except UnicodeEncodeError as error:  # "\\ud800" without the second half
        half = error.object[error.start]
        raise InputError(
            f"a text contains {half!r}, which is half of a character; write the file again."
        ) from None


def _read(path: Path, key: str | None) -> tuple[Any, tuple[str, ...]]:
    notes: tuple[str, ...] = ()
    if key is None and _has_lines(path):
        table = _lines(path)
    else:
        try:
            with path.open(encoding="utf-8-sig") as file:
                content = json.load(file)
        except UnicodeDecodeError:
            raise
        except (ValueError, RecursionError) as error:
            raise InputError(f"this is not valid JSON: {error}.") from None
        found, notes = _table_in(content, key)
        table = _of_records(found) if isinstance(found, list) else _of_columns(found)
    while any(pa.types.is_struct(field.type) for field in table.schema):
        table = table.flatten()
    if table.num_rows == 0 or table.num_columns == 0:
        raise InputError("the file contains no records; write it again.")
    for i, field in enumerate(table.schema):
        if pa.types.is_string(field.type):
            table = table.set_column(i, field.name, _numbers(table.column(i)))
    return table, notes


def _has_lines(path: Path) -> bool:
    """Return whether each line is one record."""
    with path.open("rb") as file:
        first = next((line for line in file if line.strip()), b"").removeprefix(b"\xef\xbb\xbf")
        if not first.lstrip().startswith(b"{") or not first.rstrip().endswith(b"}"):
            return False
        second = next((line for line in file if line.strip()), b"")
    if second:
        return second.lstrip().startswith(b"{")
    try:
        values = json.loads(first).values()
    except (ValueError, RecursionError):
        return True
    return not any(isinstance(one, (dict, list)) for one in values)


def _lines(path: Path) -> Any:
    options = arrow_json.ReadOptions(block_size=min(max(path.stat().st_size, 1), BLOCK))
    try:
        table = arrow_json.read_json(path, options)
        texts = [(one.name, pa.string()) for one in table.schema if pa.types.is_timestamp(one.type)]
        if texts:  # as texts, times keep the form and the zone that the file has
            kinds = arrow_json.ParseOptions(explicit_schema=pa.schema(texts))
            table = arrow_json.read_json(path, options, kinds)
        table.validate(full=True)
        return table
    except pa.ArrowException:  # NaN, a number and a text in one column, a longer record, no UTF-8
        pass
    records = []
    with path.open(encoding="utf-8-sig") as file:
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            try:
                record = json.loads(line)
            except (ValueError, RecursionError) as error:
                raise InputError(f"line {number} is not valid JSON: {error}.") from None
            if not isinstance(record, dict):
                raise InputError(
                    f"line {number}: expected an object, got {line[:40].strip()!r}; write one "
                    "record per line."
                )
            records.append(record)
    return _of_records(records)


def _table_in(content: Any, key: str | None) -> tuple[Any, tuple[str, ...]]:
    """Return the records or columns of a document."""
    found = {name: one for name, one in _tables(content, "") if one}
    if key is not None:
        matching = [name for name in found if name == key or name.endswith(f".{key}")]
        if len(matching) != 1:
            raise InputError(f"`key`: {_checks.unknown_name('table', key, found)}")
        return found[matching[0]], ()
    if not found:
        raise InputError(
            "the document contains no table; write an array of records, such as "
            '[{"time": 1, "heat": 20.5}, …], or one record per line.'
        )
    if len(found) > 1:
        raise InputError(
            f"the document contains several tables: {', '.join(map(repr, found))}; name one of "
            "them with `key` (--key NAME)."
        )
    ((name, table),) = found.items()
    return table, (f"table {name!r} is read",) if name else ()


def _tables(content: Any, name: str, depth: int = 6) -> Iterator[tuple[str, Any]]:
    """Yield the tables of a document with their paths; no table in a table."""
    if isinstance(content, list):
        if content and all(isinstance(one, dict) for one in content):
            inside = [list(_tables(one, name, depth - 1)) for one in content[:100] if depth]
            if inside and len(content) == 1 and inside[0]:
                yield from inside[0]
            else:
                yield name, content
        elif content and all(isinstance(one, list) and len(one) > 1 for one in content):
            widths = {len(one) for one in content}
            if len(widths) == 1 and not any(isinstance(v, (list, dict)) for v in content[0]):
                yield name, {str(i): [row[i] for row in content] for i in range(widths.pop())}
        return
    if not isinstance(content, dict) or not depth:
        return
    names, rows = content.get("columns"), content.get("data", content.get("values"))
    if (
        isinstance(names, list)
        and isinstance(rows, list)
        and all(isinstance(row, list) and len(row) == len(names) for row in rows)
    ):  # pandas writes this with orient="split"
        yield name, {str(one): [row[i] for row in rows] for i, one in enumerate(names)}
        return
    columns = {
        field: one
        for field, one in content.items()
        if isinstance(one, list) and one and not isinstance(one[0], (dict, list))
    }
    lengths = {len(one) for one in columns.values()}
    if len(lengths) == 1 and lengths.pop() > 1:
        yield name, columns
        return
    values = list(content.values())
    if values and all(isinstance(one, dict) and one for one in values):
        keys = {tuple(one) for one in values}
        scalar = not any(isinstance(v, (dict, list)) for v in values[0].values())
        if len(keys) == 1 and scalar and len(values[0]) > 1:  # pandas: {"heat": {"0": 1.0, …}, …}
            yield name, {field: list(one.values()) for field, one in content.items()}
            return
    for field, one in content.items():
        yield from _tables(one, f"{name}.{field}".lstrip("."), depth - 1)


def _of_records(records: list[dict[str, Any]]) -> Any:
    names = dict.fromkeys(name for record in records for name in record)
    return _of_columns({name: [record.get(name) for record in records] for name in names})


def _of_columns(columns: dict[str, list[Any]]) -> Any:
    made = {}
    for name, values in columns.items():
        try:
            made[str(name)] = pa.array(values)
        except (pa.ArrowException, OverflowError):
            if any(isinstance(one, (dict, list)) for one in values):
                raise InputError(
                    f"column {name!r} mixes values and lists or objects; correct the file."
                ) from None
            made[str(name)] = pa.array([None if one is None else str(one) for one in values])
    return pa.table(made)


def _numbers(column: Any) -> Any:
    """Return texts as numbers if all of them are numbers, as exchanges and meters write them."""
    first = next((one.as_py() for one in column if one.is_valid), "")
    if not re.fullmatch(r"\s*[-+]?(\d+\.\d*|\.\d+)([eE][-+]?\d+)?\s*", first):
        return column
    try:
        return pc.cast(pc.utf8_trim_whitespace(column), pa.float64())
    except pa.ArrowInvalid:
        return column
