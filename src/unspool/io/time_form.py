"""New times in the form of a text of the file, for forecasts."""

import datetime
import re
from typing import Any

import numpy as np
import pyarrow as pa

from unspool.io.options import TimeOptions
from unspool.io.time_patterns import CLOCK, TO
from unspool.io.time_text import Reading, read_texts

_PADDED = {"m": 2, "d": 2, "x": 2, "w": 2, "H": 2, "M": 2, "S": 2, "W": 2, "j": 3}


class TextForm:
    """Write instants like the texts of a column.

    Parameters
    ----------
    expression : str
        The regular expression that reads the texts.
    sample : list of str
        Texts of the column; they say whether numbers have leading zeros.
    day_first : bool, optional
        Whether the day is before the month.
    """

    def __init__(self, expression: str, sample: list[str], day_first: bool | None = None) -> None:
        self.pattern, self.day_first = re.compile(expression), day_first
        self.widths = dict(_PADDED)
        for text in sample:
            match = self.pattern.match(text)
            if match is None:
                continue
            for name in self.widths:
                if len(match.groupdict().get(name) or "00") == 1:
                    self.widths[name] = 1

    def write(self, value: Any, like: str) -> str:
        """Return the text of an instant (in the zone of `like`), with the parts of `like`."""
        match = self.pattern.match(like)
        if match is None:
            return str(value)
        if match.groupdict().get("e"):
            return self._interval(value, like, match)
        parts = self._parts(value, match)
        spans = sorted((match.span(name), text) for name, text in parts.items())
        written, last = [], 0
        for (start, end), text in spans:
            written += [like[last:start], text]
            last = end
        text = "".join([*written, like[last:]])
        return _with_day_name(text, value)

    def _interval(self, value: Any, like: str, match: re.Match[str]) -> str:
        """Return an interval of the length of `like` that starts at an instant."""
        first, last = match.span("e")
        between = re.search(rf"{TO}$", like[:first])
        assert between is not None
        start, end = like[: between.start()], like[first:last]
        if CLOCK.match(end):
            end = f"{start.split()[0]} {end}"
        one, other = (_reading_of(text, self.day_first) for text in (start, end))
        length = other.values[0] - one.values[0]
        written = TextForm(one.expression, [start], self.day_first).write(value, start)
        until = TextForm(other.expression, [end], self.day_first).write(value + length, end)
        if CLOCK.match(like[first:last]):
            until = until.split(maxsplit=1)[1]
        return f"{written}{between[0]}{until}{like[last:]}"

    def _parts(self, value: Any, match: re.Match[str]) -> dict[str, str]:
        """Return the new texts of the groups that matched."""
        moment = value.astype("datetime64[us]").item()
        hour = moment.hour
        if match.groupdict().get("p"):
            hour = hour % 12 or 12
        week = moment.isocalendar()
        first, second = moment.day, moment.month
        if not self.day_first:
            first, second = second, first
        year = week.year if match.groupdict().get("W") else moment.year
        nano = int(value.astype("datetime64[ns]").astype(np.int64) % 1_000_000_000)
        numbers = {
            "m": moment.month,
            "d": moment.day,
            "x": first,
            "w": second,
            "H": hour,
            "M": moment.minute,
            "S": moment.second,
            "W": week.week,
            "j": moment.timetuple().tm_yday,
        }
        texts = {name: f"{number:0{self.widths[name]}d}" for name, number in numbers.items()}
        texts |= {
            "Y": f"{year:04d}",
            "q": str((moment.month + 2) // 3),
            "u": str(week.weekday),
            "f": f"{nano:09d}",
            "p": "p" if moment.hour >= 12 else "a",
            "b": f"{moment:%B}",
        }
        found = {name: old for name, old in match.groupdict().items() if old and name in texts}
        for name, old in found.items():
            text = texts[name]
            if name == "Y":
                text = text[-len(old) :]
            elif name == "f":
                text = text[: len(old)]
            elif name == "b":
                text = text if len(old) > 3 else text[:3]
            if name in ("b", "p"):
                text = text.upper() if old.isupper() else text.lower() if old.islower() else text
            found[name] = text
        return found


def _reading_of(text: str, day_first: bool | None) -> Reading:
    """Return how one of the two times of an interval is read."""
    return read_texts(pa.array([text]), TimeOptions(day_first=day_first))[0]


def _with_day_name(text: str, value: Any) -> str:
    """Replace the name of a day at the start of a text."""
    moment: datetime.datetime = value.astype("datetime64[us]").item()

    def renamed(match: re.Match[str]) -> str:
        name = f"{moment:%A}" if len(match[0]) > 3 else f"{moment:%a}"
        return name.upper() if match[0].isupper() else name

    return re.sub(r"(?i)^(mon|tue|wed|thu|fri|sat|sun)[a-z]*", renamed, text)
