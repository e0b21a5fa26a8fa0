"""The lines above the data of a text: titles, comments, names of columns, and units.

`find_header` compares the first rows with the rows below: a row that fits the kinds of values below
it is data.
"""

import re
from collections import Counter
from dataclasses import dataclass

from unspool.errors import InputError
from unspool.io.cells import DATE, EMPTY, MISSING, NUMBER, TEXT, TRUTH, kind_of
from unspool.io.delimiters import COMMENTS, Row, body_of, thinned

SHARE = 0.6  # of the cells of a column that have its kind
HEADER_OPTION = "`header` (--header 0 if it is data)"
_YEARS = range(1800, 2200)
_TIME_NAMES = ("time", "timestamp", "date", "datetime", "zeit", "datum", "index")
_UNITS = """
    s ms us ns µs sec second seconds min minute minutes h hr hour hours d day days m mm cm km um µm
    ft in mi g kg mg ug µg t lb n kn nm pa hpa kpa mpa mbar bar psi atm v mv kv a ma ka w kw mw gw
    wh kwh mwh gwh kvar var va kva hz khz mhz ghz ohm k c f degc degf deg rad °c °f ° % pct percent
    rpm l ml j kj mj cal kcal ppm ppb lx lux lm cd db dba mol mmol eur usd gbp knots bpm count
    counts unitless none n/a na utc gmt string float int integer double long text boolean bool
    datetime datetime64 timestamp date time local rh mgd mph kmh celsius
"""
_UNIT_WORDS = frozenset(_UNITS.split())
_IN_BRACKETS = re.compile(r"\[.*\]|\(.*\)|\{.*\}|<.*>")
_UNIT_PARTS = re.compile(r"[\s/*·^.:_²³⁻¹\d()-]+")


@dataclass(frozen=True)
class Header:
    """The names of the columns, and where the data begin.

    Attributes
    ----------
    names : list of str
        Names of the columns, "" for a column without a name.
    data : int
        Index of the first line of the data.
    found : bool
        Whether the text has a header.
    notes : tuple of str
        What was found, one line each.
    """

    names: list[str]
    data: int
    found: bool
    notes: tuple[str, ...]


def find_header(
    rows: list[Row], width: int, lines: int | None, *, delimiter: str, skipped: bool
) -> Header:  # fmt: skip
    """Find the header among the first rows.

    Parameters
    ----------
    rows : list of Row
        The first rows of the text.
    width : int
        Number of columns.
    lines : int or None
        Number of rows of the header, if the user gave it.
    delimiter : str
        Separator of the fields.
    skipped : bool
        Whether the user said where the table begins, so that there are no titles.
    """
    signs = COMMENTS if delimiter == ";" else (*COMMENTS, ";")
    comments: list[Row] = []
    while rows and not skipped:
        text = rows[0].fields[0].lstrip() if rows[0].fields else ""
        if text.startswith(signs):
            comments.append(rows[0])
        elif not rows[0].is_blank:
            break
        rows = rows[1:]
    if not rows:
        raise InputError("the file contains only comments; write the data below them.")
    body = [row for row in body_of(rows) if len(row.fields) == width]
    kinds = [_kind_below([row.fields[i] for row in thinned(body)]) for i in range(width)]
    if lines is not None:
        return _given(rows, width, lines, kinds, comments)
    first, above = _first_data(rows, width, kinds)
    header = _directly_above(rows[:first], width, kinds)
    if not header and first > 1:
        header = _above_units(rows[:first], width, kinds)
    titles = rows[: first - len(header)] if not header else _before(rows, header[0])
    titles = [row for row in titles if not row.is_blank]
    if not header:
        header, comments = _commented(comments, signs, width)
    if not header and titles:
        _refuse_other_width(titles[-1], width, rows[first] if first < len(rows) else None)
    if first == len(rows):
        raise InputError("the file has a header but no rows; write the data below the header.")
    notes = list(above)
    names = [str(i) for i in range(width)]
    if header:
        names, above_names, more = _names(header, width, _last_is_empty(body))
        notes += more
        titles += above_names
    left_out = [*comments, *titles]
    if left_out:
        notes.insert(0, _left_out(left_out))
    return Header(names, rows[first].start, bool(header), tuple(notes))


def _before(rows: list[Row], row: Row) -> list[Row]:
    return rows[: rows.index(row)]


def _kind_below(cells: list[str]) -> str:
    """Return the kind that most cells of a column have.

    It is NUMBER, DATE, TRUTH, TEXT, or the shape of texts that have digits, such as "a-9".
    """
    kinds = Counter(
        kind if kind != TEXT else _shape(cell.strip())
        for cell in cells
        if (kind := kind_of(cell)) not in (EMPTY, MISSING)
    )
    if not kinds:
        return EMPTY
    kind, count = kinds.most_common(1)[0]
    return kind if count >= SHARE * kinds.total() else TEXT


def _shape(text: str) -> str:
    shape = re.sub(r"\d+", "9", text)
    return re.sub(r"[^\W\d]+", "a", shape) if "9" in shape else TEXT


def _compare(row: list[str], kinds: list[str]) -> tuple[int, int, int]:
    """Return how many cells fit the kind of their column, how many do not, and the weak sum.

    A column of texts with digits, such as "m-017", counts for the weak sum only.
    """
    fits = misfits = weak = 0
    for cell, below in zip(row, kinds, strict=True):
        kind = kind_of(cell)
        if kind in (EMPTY, MISSING) or below in (EMPTY, TEXT):
            continue
        if below in (NUMBER, DATE, TRUTH):
            fits, misfits = fits + (kind == below), misfits + (kind != below)
        elif kind == TEXT:
            shape = _shape(cell.strip())
            weak += 1 if shape == below else -1 if shape == TEXT else 0
    return fits, misfits, weak


def _first_data(rows: list[Row], width: int, kinds: list[str]) -> tuple[int, list[str]]:
    """Return the index of the first row of data, and notes on how it was found."""
    first_row = True
    for i, row in enumerate(rows):
        if row.is_blank or len(row.fields) != width:
            continue
        fits, misfits, weak = _compare(row.fields, kinds)
        if not fits and not misfits and not weak and first_row:
            nothing = all(kind in (EMPTY, TEXT) for kind in kinds)
            note = f"first row, {_span(row.fields)}, taken as column names; say {HEADER_OPTION}"
            return _next_filled(rows, i), [note] if nothing else []
        if first_row and _numbers_as_names(row, rows[i + 1 : i + 2], kinds):
            span = _span([one for one in row.fields if one.strip()])
            return _next_filled(rows, i), [f"first row, {span}, taken as column names"]
        if first_row and misfits and (misfits >= fits or _could_be_names(row.fields)):
            first_row = False
            continue
        if fits >= max(misfits, 1) or (not misfits and weak >= 0):
            return i, []
        first_row = False
    return len(rows), []


def _are_dates(cells: list[str]) -> bool:
    """Return whether at least three numbers are years, months or days in their order."""
    if len(cells) < 3 or not all(cell.isdigit() for cell in cells):
        return False
    if {*map(len, cells)} not in ({4}, {6}, {8}):
        return False
    ends = all(
        int(cell[:4]) in _YEARS
        and (len(cell) < 6 or 1 <= int(cell[4:6]) <= 12)
        and (len(cell) < 8 or 1 <= int(cell[6:8]) <= 31)
        for cell in cells
    )
    numbers = [int(cell) for cell in cells]
    return ends and numbers in (sorted({*numbers}), sorted({*numbers}, reverse=True))


def _n_words(cells: list[str], kinds: list[str]) -> int:
    """Return how many of the first cells are empty or names of columns of texts, at least one.

    It is 0 if the first cell is a number.
    """
    if cells[0] != "" and kind_of(cells[0]) != TEXT:
        return 0
    count = 1
    while count < len(cells) and kind_of(cells[count]) == TEXT and kinds[count] != NUMBER:
        count += 1
    return count


def _next_filled(rows: list[Row], i: int) -> int:
    return next((k for k in range(i + 1, len(rows)) if not rows[k].is_blank), len(rows))


def _could_be_names(cells: list[str]) -> bool:
    """Return whether all cells differ and none is a number with a fraction."""
    filled = [cell.strip() for cell in cells if cell.strip()]
    return len(set(filled)) == len(filled) and not any(
        kind_of(cell) == NUMBER and not cell.isdigit() for cell in filled
    )


def _numbers_as_names(row: Row, below: list[Row], kinds: list[str]) -> bool:
    """Return whether a row consists of the names 0, 1, 2, … or of successive years.

    The first cell may be empty, and the first ones words above texts. Names 1, 2, 3, … need
    fractions below them.
    Any numbers are names if the first cell is empty and dates are below it.
    """
    cells = [cell.strip() for cell in row.fields]
    while len(cells) > 2 and cells[-1] == "" and kinds[len(cells) - 1] == EMPTY:
        cells = cells[:-1]  # every row ends with a separator
    kinds = kinds[: len(cells)]
    numbers = cells if cells[0] == "0" else cells[_n_words(cells, kinds) :]
    if len(numbers) < 2 or not all(cell.isdigit() for cell in numbers):
        return False
    values = kinds[-len(numbers) :]
    if NUMBER not in values or any(kind not in (NUMBER, EMPTY) for kind in values):
        return False
    if cells[0] == "" and kinds[0] == DATE:
        return len(set(numbers)) == len(numbers)  # numbers of sensors beside an index of times
    start = int(numbers[0])
    if len(numbers) < len(cells) and _are_dates(numbers):
        following = below[0].fields[: len(cells)][-len(numbers) :] if below else []
        if not _are_dates([cell.strip() for cell in following]):
            return True
    if [int(cell) for cell in numbers] != [*range(start, start + len(numbers))]:
        return False
    next_row = [cell.strip() for cell in below[0].fields[: len(cells)]] if below else []
    next_row = next_row[-len(numbers) :]
    runs_on = all(cell.isdigit() for cell in next_row) and [int(cell) for cell in next_row] == [
        *range(int(next_row[0]), int(next_row[0]) + len(next_row))
    ] if next_row else False  # fmt: skip
    short = len(numbers) < len(cells)
    if start == 0:
        return len(numbers) > 2 or short
    fractions = any("." in cell or "," in cell for cell in next_row)
    if start in _YEARS:
        return not runs_on and (short or len(numbers) > 2 or fractions)
    return start == 1 and fractions and len(numbers) > 2


def _directly_above(rows: list[Row], width: int, kinds: list[str]) -> list[Row]:
    """Return the last rows that may be a header, up to a blank line or a row of other width."""
    while rows and rows[-1].is_blank:
        rows = rows[:-1]
    header: list[Row] = []
    for row in reversed(rows):
        if row.is_blank or not _may_be_header(row, width):
            break
        header.insert(0, row)
    return header


def _above_units(rows: list[Row], width: int, kinds: list[str]) -> list[Row]:
    """Return the header above a row that has units of some of the columns only."""
    names, units = rows[-2:]
    cells = [cell.strip() for cell in units.fields]
    if not len(names.fields) == width > len(cells) > 1 or names.end != units.start:
        return []
    below = [cell.strip() for cell in names.fields][-len(cells) :]
    return _directly_above(rows[:-1], width, kinds) if _are_units(cells, below) else []


def _may_be_header(row: Row, width: int) -> bool:
    count = len(row.fields)
    if count == width + 1:
        return row.fields[-1].strip() in ("", "|")  # a mark at the end of the line
    return count == width or (count == width - 1 and count > 0)


def _commented(
    comments: list[Row], signs: tuple[str, ...], width: int
) -> tuple[list[Row], list[Row]]:
    """Return the last comment as the header if it has a name for each column; and the others."""
    if not comments:
        return [], []
    named = [_commented_names(one, signs, width) for one in comments[-2:]]
    if len(named) == 2 and None not in named and _are_units(named[1] or [], named[0] or []):
        rest = [*comments[:-2], comments[-1]]
        return [Row(named[0] or [], comments[-2].start, comments[-2].end)], rest
    if named[-1] is None:
        return [], comments
    last = comments[-1]
    return [Row(named[-1], last.start, last.end)], comments[:-1]


def _commented_names(row: Row, signs: tuple[str, ...], width: int) -> list[str] | None:
    """Return the names in a comment, if it has one for each column, else None."""
    fields = [field.strip() for field in row.fields]
    sign = next(sign for sign in signs if fields[0].startswith(sign))
    fields[0] = fields[0].removeprefix(sign).strip()
    if not fields[0]:
        fields = fields[1:]
    texts = sum(kind_of(field) == TEXT for field in fields)
    if len(fields) != width or (width == 1 and " " in fields[0]) or texts < width / 2:
        return None
    return fields


def _given(
    rows: list[Row], width: int, lines: int, kinds: list[str], comments: list[Row]
) -> Header:
    """Return the header that has the number of rows that the user gave."""
    start = 0
    while start < len(rows) and (
        rows[start].is_blank
        or not (_may_be_header(rows[start], width) if lines else len(rows[start].fields) == width)
    ):
        start += 1
    filled = [row for row in rows[start:] if not row.is_blank]
    header, below = filled[:lines], filled[lines:]
    left_out = [*comments, *(row for row in rows[:start] if not row.is_blank)]
    notes = [_left_out(left_out)] if left_out else []
    if not below:
        raise InputError(
            f"there is no row below the {lines} lines of the header; check `header` (--header)."
        )
    names = [str(i) for i in range(width)]
    if header:
        names, above_names, more = _names(header, width, _last_is_empty(below))
        left_out += above_names
        notes = [*([_left_out(left_out)] if left_out else []), *more]
    return Header(names, below[0].start, bool(header), tuple(notes))


def _last_is_empty(body: list[Row]) -> bool:
    return all(row.fields[-1].strip() == "" for row in body if row.fields)


def _names(
    header: list[Row], width: int, last_is_empty: bool
) -> tuple[list[str], list[Row], list[str]]:
    """Return the names from the rows of a header, those of its rows that are titles, and notes."""
    notes = []
    if any(len(row.fields) == width - 1 for row in header) and not last_is_empty:
        notes.append("the header has one name too few: the first column has no name")
    levels = {row.start: _in_width(row.fields, width, last_is_empty) for row in header}
    rows, titles, overlay = list(header), [], None
    if len(rows) > 1 and _names_index(levels[rows[-1].start]):
        overlay = levels[rows.pop().start]
    full = max(sum(map(bool, levels[row.start])) for row in rows)
    while len(rows) > 1 and _is_title(levels[rows[0].start], full):
        titles.append(rows.pop(0))
    if len(rows) > 1 and _are_units(levels[rows[-1].start], levels[rows[-2].start]):
        units = rows.pop()
        texts = _span(_filled(levels[units.start]))
        notes.append(f"units below the names of the columns are left out: {texts}")
    if len(rows) > 1 and overlay is None:
        kept = _without_settings(rows, levels, width)
        titles += [row for row in rows if row not in kept]
        rows = kept
    names, more = _joined([levels[row.start] for row in rows])
    notes += more
    if overlay is not None:
        names = [over or name for over, name in zip(overlay, names, strict=True)]
    return names, titles, notes


def _in_width(fields: list[str], width: int, last_is_empty: bool) -> list[str]:
    names = [field.strip() for field in fields]
    if len(names) == width - 1:
        names = [*names, ""] if last_is_empty else ["", *names]
    return names[:width]


def _filled(names: list[str]) -> list[str]:
    return [name for name in names if name]


def _names_index(names: list[str]) -> bool:
    """Return whether only the first column, or the first few, have a name: pandas' index."""
    filled = len(_filled(names))
    return 0 < filled <= max(1, len(names) // 3) and filled < len(names) and all(names[:filled])


def _is_title(names: list[str], full: int) -> bool:
    """Return whether texts are only in the first of the columns that have names below."""
    filled = len(_filled(names))
    return filled < full and (filled <= 1 or (all(names[:filled]) and filled <= full - 1))


def _are_units(texts: list[str], names: list[str]) -> bool:
    """Return whether texts below names are units; they are not if more of them are filled."""
    filled = _filled(texts)
    units = sum(_is_unit(text) for text in filled)
    return 0 < len(filled) <= len(_filled(names)) and units > len(filled) / 2


def _is_unit(text: str) -> bool:
    if _IN_BRACKETS.fullmatch(text) or kind_of(text) == MISSING:
        return True
    words = [word for word in _UNIT_PARTS.split(text.lower()) if word]
    return text == "1" or (bool(words) and all(word in _UNIT_WORDS for word in words))


def _without_settings(rows: list[Row], levels: dict[int, list[str]], width: int) -> list[Row]:
    """Return the row of names, if the rows above or below it are pairs of names and values."""
    for row in rows:
        names = _filled(levels[row.start])
        if len(set(names)) < len(names):
            return rows
    timed = [row for row in rows if any(n.lower() in _TIME_NAMES for n in levels[row.start])]
    if timed:
        return timed[:1]
    return rows[-1:] if width == 2 and len(rows) > 2 else rows


def _joined(levels: list[list[str]]) -> tuple[list[str], list[str]]:
    """Return one name for each column from the levels of a header, and notes."""
    if len(levels) == 1:
        return levels[0], []
    first, *others = levels
    if len(_filled(first)) < max(len(_filled(one)) for one in others):
        first = _fill_forward(first)  # a merged cell of a spreadsheet
    if all(first[1:]) and len(set(first)) == len(first):
        left_out = "; ".join(_span(_filled(one)) for one in others)
        return first, [
            f"the header has {len(levels)} lines; its first has the names, left out is {left_out}"
        ]
    joined = []
    for parts in zip(first, *others, strict=True):
        joined.append(" ".join(dict.fromkeys(part for part in parts if part)))
    return joined, [f"names of columns are joined from {len(levels)} lines"]


def _fill_forward(names: list[str]) -> list[str]:
    filled, latest = [], ""
    for name in names:
        latest = name or latest
        filled.append(latest)
    return filled


def _refuse_other_width(row: Row, width: int, below: Row | None) -> None:
    """Raise if a row directly above the data has another number of fields."""
    if below is None or row.end != below.start or width == 1:
        return
    count = len(row.fields)
    text = ", ".join(row.fields)[:60]
    raise InputError(
        f"line {row.start + 1} has {count} field{'s' * (count != 1)}, {text!r}, but the rows below "
        f"have {width}; correct it, or, if the table begins below it, leave it out with `skip` "
        f"(--skip {row.end})."
    )


def _left_out(rows: list[Row]) -> str:
    rows = sorted(rows, key=lambda row: row.start)
    text = " ".join(" ".join(rows[0].fields).split())
    shown = repr(text if len(text) <= 40 else f"{text[:40]}…")
    if len(rows) == 1:
        return f"line {rows[0].start + 1} above the table is left out: {shown}"
    return f"{len(rows)} lines above the table are left out, the first is {shown}"


def _span(names: list[str]) -> str:
    names = [name.strip() for name in names]
    if len(names) <= 1:
        return repr(names[0] if names else "")
    return f"{names[0]!r} to {names[-1]!r}"
