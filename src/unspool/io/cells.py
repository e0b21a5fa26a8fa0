"""What one cell of a text is: a number, a date, a truth value, a missing value or other text."""

import re

# Texts that are read as missing values in columns of numbers. A first row that holds one may still
# be data; a cell without any letter or digit, such as "?" or "--", is treated alike.
MISSING_WORDS = frozenset({"na", "n/a", "nan", "null", "none", "nil", "missing", "#n/a", "-nan"})
TRUTH_WORDS = frozenset({"true", "false", "yes", "no"})
NUMBER, DATE, TRUTH, MISSING, EMPTY, TEXT = "number", "date", "truth", "missing", "empty", "text"

BLANKS = " \u00a0\u202f\u2009"  # of which one may be between groups of three digits
GROUPS = (",", ".", " ", "'")  # separators of groups of three digits; " " for each of BLANKS
_EXPONENT = r"(?:[eE][-+]?\d+)?"


def number_pattern(decimal: str, thousands: str | None) -> str:
    """Return a regular expression (of Python and of RE2) for numbers in one format."""
    point = re.escape(decimal)
    whole = r"\d+"
    if thousands is not None:
        whole = rf"(?:[1-9]\d{{0,2}}(?:{_group(thousands)}\d{{3}})+|\d+)"
    return rf"[-+]?(?:{whole}(?:{point}\d*)?|{point}\d+){_EXPONENT}"


def _group(thousands: str) -> str:
    if thousands == " ":
        return f"[{BLANKS}]"
    return "['’]" if thousands == "'" else re.escape(thousands)


FORMATS = [
    (decimal, thousands)
    for decimal in ".,"
    for thousands in (None, *GROUPS)
    if thousands != decimal
]
_ANY_NUMBER = re.compile("|".join(number_pattern(*one) for one in FORMATS))

_MONTH = (
    "(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|"
    "sept?(?:ember)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)"
)
_WEEKDAY = r"(?:(?:mon|tue|wed|thu|fri|sat|sun)[a-z]*[.,]?\s+)?"
_DAY = (
    r"(?:\d{1,4}[-/.]\d{1,3}(?:[-/.]\d{1,4}\.?)?|\d{8}|"
    rf"(?:\d{{1,4}}[-/. ]*)?{_MONTH}[-/., ]*(?:\d{{1,2}}(?:,?[-/. ]+))?\d{{2,4}})"
)
_CLOCK = r"(?:\d{1,2}[:.]\d{2}(?:[:.]\d{2})?(?:\.\d+|,\d{3}|:\d{3,6})?|\d{4,6}(?:\.\d+)?)"
_ZONE = (
    r"(?:\s*[ap](?:\.?m\.?)?)?\s*(?:z|utc|gmt|[ecmp][sd]t|ces?t|[-+]\d{1,2}(?::?\d{2})?"
    r"(?:\s+(?:[a-z]{3,5}|[-+]\d{2,4}))?(?:\s+m=[-+]\d+\.\d+)?)?(?:\s*\([a-z/]+\))?"
)
_WHEN = rf"{_DAY}(?:\s*[T,_ :@-]\s*{_CLOCK}{_ZONE})?"
_DATE = re.compile(
    rf"\[?{_WEEKDAY}(?:{_WHEN}(?:\s*(?:[-–—/]|to|bis)\s*(?:{_WHEN}|{_CLOCK}{_ZONE}))?"
    rf"|\d{{1,2}}:\d{{2}}(?::\d{{2}})?(?:[.,]\d+)?{_ZONE}|{_DAY}z)\]?",
    re.IGNORECASE,
)


def is_number(text: str) -> bool:
    """Return whether the whole text is a number with a decimal point."""
    try:
        float(text)
    except ValueError:
        return False
    return "_" not in text


def is_date(text: str) -> bool:
    """Return whether the whole text has the form of a date or a time of day."""
    return _DATE.fullmatch(text) is not None and not is_number(text)


def kind_of(cell: str) -> str:
    """Return NUMBER, DATE, TRUTH, MISSING, EMPTY or TEXT; numbers may have any format."""
    text = cell.strip()
    if not text:
        return EMPTY
    if is_number(text) or _ANY_NUMBER.fullmatch(text):
        return NUMBER
    if is_date(text):
        return DATE
    lower = text.lower()
    if lower in TRUTH_WORDS:
        return TRUTH
    if lower in MISSING_WORDS or not any(map(str.isalnum, text)):
        return MISSING
    return TEXT


def decimal_of(cells: list[str], delimiter: str) -> str | None:
    """Return the decimal point of numbers in cells, or None if no cell with a comma decides it.

    "2,5" has a decimal comma, and "1,234.5" none. If all commas are followed by three digits as in
    "1,234", they are decimal commas in a text with semicolons, which programs write where the
    comma is the decimal point.
    """
    as_decimal = as_group = either = 0
    for cell in cells:
        if "," not in cell:
            continue
        text = cell.strip()
        grouped = _GROUPED.fullmatch(text) is not None
        decimal = _COMMA_DECIMAL.fullmatch(text) is not None
        either += grouped and decimal
        as_decimal += decimal and not grouped
        as_group += grouped and not decimal
    if as_decimal and as_decimal >= as_group:
        return ","
    if as_group or (either and delimiter != ";"):
        return "."
    return "," if either else None


_GROUPED = re.compile(rf"[-+]?[1-9]\d{{0,2}}(?:,\d{{3}})+(?:\.\d*)?{_EXPONENT}")
_COMMA_DECIMAL = re.compile("|".join(number_pattern(",", one) for one in (None, ".", " ", "'")))


def is_data(row: list[str], decimal: str) -> bool:
    """Return whether a row, of which no other is known, contains data instead of names."""
    fields = [field.strip() for field in row]
    if len(fields) > 2 and fields == [str(i) for i in range(len(fields))]:
        return False  # pandas writes 0, 1, 2, … above columns without names
    return fields[0] != "" and all(
        field == "" or is_number(field.replace(decimal, ".")) or is_date(field) for field in fields
    )
