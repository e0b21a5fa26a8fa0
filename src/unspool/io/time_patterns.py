"""Regular expressions of times in texts, such as "1/3/21 0:00" or "March 2021".

A pattern describes the date of a text; the clock and the zone after it are optional. Intervals and
times without a year are tried only if no other pattern fits.
"""

import re
from collections.abc import Iterator

from unspool.io.time_zones import ZONES

MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_MONTH = rf"(?P<b>(?:{'|'.join(MONTHS)})[a-z]*)\.?"
_DAY_NAME = r"(?:(?:mon|tue|wed|thu|fri|sat|sun)[a-z]*,?\s+)?"
_YEAR = r"(?P<Y>\d{4})"
_SHORT_YEAR = r"(?P<Y>\d{2})"
_ANY_YEAR = r"(?P<Y>\d{4}|\d{2})"
_CLOCK = (
    r"(?:(?P<H>\d{1,2})(?:[:.h](?P<M>\d{2})(?:[:.](?P<S>\d{2})(?:[.,:](?P<f>\d{1,9}))?)?)?"
    r"(?:\s*(?P<p>[ap])(?:\.?m\.?)?)?)"
)
_COMPACT_CLOCK = r"(?:(?P<H>\d{2})(?:(?P<M>\d{2})(?:(?P<S>\d{2})(?:[.,](?P<f>\d{1,9}))?)?)?)"
_ZONE = (
    r"(?P<z>z|[-+]\d{1,2}(?::?\d{2})?|(?:utc|gmt)(?:[-+]\d{1,2}(?::?\d{2})?)?|"
    rf"{'|'.join(name.lower() for name in ZONES)})"
)

# Patterns of dates, with the directives of `strptime` for notes; "x" and "w" are two numbers of
# which one is the day and one the month.
_NUMBERS = (
    (rf"{_YEAR}[-/.](?P<m>\d{{1,2}})[-/.](?P<d>\d{{1,2}})", "%Y-%m-%d"),
    (rf"(?P<x>\d{{1,2}})[-/.](?P<w>\d{{1,2}})[-/.]{_YEAR}", "x/w/%Y"),
    (rf"(?P<x>\d{{1,2}})[-/.](?P<w>\d{{1,2}})[-/.]{_SHORT_YEAR}", "x/w/%y"),
    (rf"{_SHORT_YEAR}[-/.](?P<m>\d{{1,2}})[-/.](?P<d>\d{{1,2}})", "%y-%m-%d"),
)
_COMPACT = (rf"{_YEAR}(?P<m>\d{{2}})(?P<d>\d{{2}})", "%Y%m%d")
_DATES = (
    *_NUMBERS,
    *((date.replace("[-/.]", " "), form) for date, form in _NUMBERS),
    (rf"(?P<d>\d{{1,2}})(?:st|nd|rd|th|\.)?[-/ .]*{_MONTH}[-/ ,.]*{_YEAR}", "%d-%b-%Y"),
    (rf"(?P<d>\d{{1,2}})(?:st|nd|rd|th|\.)?[-/ .]*{_MONTH}[-/ ,.]*{_SHORT_YEAR}", "%d-%b-%y"),
    (rf"{_MONTH}[-/ .]*(?P<d>\d{{1,2}})(?:st|nd|rd|th)?(?:,\s*|[-/ ]){_YEAR}", "%b %d, %Y"),
    (rf"{_YEAR}[-/ .]?{_MONTH}[-/ .]?(?P<d>\d{{1,2}})", "%Y-%b-%d"),
    _COMPACT,
    (rf"{_YEAR}-(?P<j>\d{{3}})", "%Y-%j"),
)
_MONTHS_ONLY = (
    (rf"{_YEAR}[-/. ](?P<m>\d{{1,2}})", "%Y-%m"),
    (rf"{_YEAR}\s?m(?P<m>\d{{1,2}})", "%YM%m"),
    (rf"{_YEAR}(?P<m>\d{{2}})", "%Y%m"),
    (rf"(?P<m>\d{{1,2}})[-/.]{_YEAR}", "%m/%Y"),
    (rf"{_MONTH}[-/ ,.]*{_ANY_YEAR}", "%b %Y"),
    (rf"{_YEAR}[-/ .]?{_MONTH}", "%Y-%b"),
    (rf"{_YEAR}[-/ :.]?q(?P<q>[1-4])", "YYYYQn"),
    (rf"q(?P<q>[1-4])[-/ :.]?{_ANY_YEAR}", "Qn YYYY"),
    (rf"{_YEAR}[-/ ]?w(?P<W>\d{{1,2}})(?:-?(?P<u>[1-7]))?", "%G-W%V"),
)
_BETWEEN = r"(?:[t:_]|,?\s+|-|\s+@\s+)"
_CTIME = (
    rf"{_DAY_NAME}{_MONTH}\s+(?P<d>\d{{1,2}})\s+{_CLOCK}(?:\s+{_ZONE})?\s+{_YEAR}",
    "%a %b %d %H:%M:%S %Y",
)
# What may follow an offset: the name of its zone, and the monotonic clock of Go.
_ZONE_NAME = r"(?:\s+(?:[a-z]{3,5}|[-+]\d{2,4})|\s*\([a-z .'-]+\))?(?:\s+m=[-+]\d+\.\d+)?"
_LOCAL = r"\([a-z]+(?:/[a-z]+)+\)"  # such as (CET/CEST), which names no offset
_AFTER_CLOCK = rf"(?:\s*\(?{_ZONE}\)?{_ZONE_NAME}|\s*{_LOCAL})?"
_FULL_CLOCK = (
    r"(?P<H>\d{1,2}):(?P<M>\d{2})(?::(?P<S>\d{2})(?:[.,](?P<f>\d{1,9}))?)?"
    r"(?:\s*(?P<p>[ap])\.?m\.?)?"
)
TO = r"\s*(?:[-–—/]|\bto\b|\bbis\b)\s*"
_END = (
    r"(?P<e>\d{1,4}[-/.:]\d[-/.:\d]*(?:[t ]\s*\d[:.\d]*)?"
    r"(?:\s*[ap]\.?m\.?)?(?:\s*(?:z|utc|gmt|[-+]\d{2}:?\d{2}))?)"
)
_WITHOUT_YEAR = (
    (r"(?P<x>\d{1,2})[-/.](?P<w>\d{1,2})\.?", "x/w"),
    (rf"{_MONTH}\s+(?P<d>\d{{1,2}})", "%b %d"),
    (rf"(?P<d>\d{{1,2}})[-/ ]{_MONTH}", "%d-%b"),
)


def _patterns() -> Iterator[tuple[str, str]]:
    """Yield the regular expression of a whole text, and its directives."""
    for date, form in _DATES:
        # "30 Jan 11:20" has no year, and is not 2011-01-30 at 20:00.
        between = _BETWEEN.replace("[t:_]", "[t_]") if _SHORT_YEAR in date else _BETWEEN
        clock = rf"(?:{between}\s*{_CLOCK}{_AFTER_CLOCK})?"
        yield rf"(?i)^\s*\[?{_DAY_NAME}{date}{clock}\]?\s*$", form
    compact = _COMPACT[0]
    between = r"(?:t|[-_ ])?"
    yield rf"(?i)^\s*{compact}{between}{_COMPACT_CLOCK}(?:\s*{_ZONE})?\s*$", "%Y%m%d%H%M%S"
    dashed = _NUMBERS[0][0]
    yield rf"(?i)^\s*{dashed}[t ]{_COMPACT_CLOCK}(?:\s*{_ZONE})?\s*$", "%Y-%m-%d %H%M"
    for date, form in _MONTHS_ONLY:
        yield rf"(?i)^\s*{date}\s*$", form
    yield rf"(?i)^\s*{_CTIME[0]}\s*$", _CTIME[1]


def _intervals() -> Iterator[tuple[str, str]]:
    """Yield the regular expressions of intervals, whose start is read."""
    for date, form in _DATES:
        start = rf"{_DAY_NAME}{date}(?:(?:t|,?\s+){_FULL_CLOCK}{_AFTER_CLOCK})?"
        yield rf"(?i)^\s*{start}{TO}{_END}(?:\s*{_LOCAL})?\s*$", form


def _without_year() -> Iterator[tuple[str, str]]:
    for date, form in _WITHOUT_YEAR:
        yield rf"(?i)^\s*{date},?\s+{_FULL_CLOCK}\s*$", form


PATTERNS = tuple(_patterns())
INTERVALS = tuple(_intervals())
WITHOUT_YEAR = tuple(_without_year())
CLOCK = re.compile(rf"(?i)^\s*{_CLOCK}\s*$")
_DIRECTIVES = {
    **dict.fromkeys("YGdmHMSfpjqb", ""),
    "Y": _YEAR,
    "y": r"(?P<Y>\d{2})",
    "m": r"(?P<m>\d{1,2})",
    "d": r"\s?(?P<d>\d{1,2})",
    "H": r"\s?(?P<H>\d{1,2})",
    "I": r"\s?(?P<H>\d{1,2})",
    "M": r"(?P<M>\d{1,2})",
    "S": r"(?P<S>\d{1,2})",
    "f": r"(?P<f>\d{1,9})",
    "j": r"(?P<j>\d{1,3})",
    "p": r"(?P<p>[ap])\.?m\.?",
    "b": _MONTH,
    "B": _MONTH,
    "a": r"(?:mon|tue|wed|thu|fri|sat|sun)[a-z]*",
    "A": r"(?:mon|tue|wed|thu|fri|sat|sun)[a-z]*",
    "z": _ZONE,
    "Z": _ZONE,
    "%": "%",
}
_SHORT = {"F": "%Y-%m-%d", "T": "%H:%M:%S", "R": "%H:%M", "D": "%m/%d/%y"}


def expression_of(date_format: str) -> str:
    """Return the regular expression of a format of `strptime`.

    Raises
    ------
    ValueError
        If a directive is unknown.
    """
    for short, long in _SHORT.items():
        date_format = date_format.replace(f"%{short}", long)
    found, parts = re.compile(r"%-?(.)|\s+"), []
    last = 0
    for match in found.finditer(date_format):
        parts.append(re.escape(date_format[last : match.start()]))
        last = match.end()
        if match[1] is None:
            parts.append(r"\s+")
        elif match[1] not in _DIRECTIVES:
            raise ValueError(match[0])
        else:
            parts.append(_DIRECTIVES[match[1]])
    parts.append(re.escape(date_format[last:]))
    return rf"(?i)^\s*{''.join(parts)}\s*$"
