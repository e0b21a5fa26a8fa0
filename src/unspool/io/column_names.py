"""Names of columns that say which step of a row a column holds: dates, years, or counts.

`dated_names` finds columns such as "2015-07-01", "1/22/20", "1960" and "Y1961"; `counted_names`
finds columns such as "d_1", "d_2", ….
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import pyarrow as pa

from unspool.io.options import TimeOptions
from unspool.io.time_columns import TimeColumn, parse_times

MIN_DATES = 3
MIN_COUNTED = 8
FIRST_YEAR, LAST_YEAR = 1500, 2199
YEAR_WORDS = ("y", "yr", "year", "fy", "cy", "x", "f", "v")  # R writes X before numbers
TRIED = 3  # forms of names that are read as dates
_NUMBERED = re.compile(r"(?P<before>\D*)(?P<number>\d{1,9})(?P<after>\D*)")
_YEAR_TWICE = re.compile(r"(?P<number>\d{4})(?P<after>\D*(?P=number)\D*)")
_CLOCK = re.compile(r"\d{1,2}:\d{2}(:\d{2})?", re.ASCII)
_FISCAL = re.compile(r"(?P<first>\d{4})[-/](?P<second>\d{2}|\d{4})")  # 2015-16
_BEFORE, _AFTER = re.compile(r"\D*(?=\d)"), re.compile(r"(?<=\d)\D*$")


@dataclass(frozen=True)
class StepNames:
    """Columns that are the steps of their rows.

    Attributes
    ----------
    names : list of str
        The columns, in the order of the steps.
    times : TimeColumn or None
        Their times, in this order; None if the names only count.
    """

    names: list[str]
    times: TimeColumn | None = None


def dated_names(names: Sequence[str], options: TimeOptions) -> StepNames | None:
    """Return the columns whose names are dates in order; None if there are fewer than three."""
    found = [*_fiscal_years(names), *_texts_of_dates(names, options), *_years(names)]
    return max(found, key=lambda one: len(one.names), default=None)


def counted_names(names: Sequence[str], least: int = MIN_COUNTED) -> StepNames | None:
    """Return the longest run of columns whose names count up in steps of one.

    Names that are numbers alone do not count: tables without a header have them.
    """
    groups = [
        [name for name, _ in members]
        for (before, after), members in _numbered(names).items()
        if (before or after) and _counts([number for _, number in members])
    ]
    longest = max(groups, key=len, default=[])
    return StepNames(longest) if len(longest) >= least else None


def clock_names(names: Sequence[str]) -> StepNames | None:
    """Return the columns whose names are times of a day, such as 0:30, if there are several."""
    found = [name for name in names if _CLOCK.fullmatch(name.strip())]
    return StepNames(found) if len(found) >= MIN_COUNTED else None


def _numbered(names: Iterable[str]) -> dict[tuple[str, str], list[tuple[str, int]]]:
    """Return names that have one number, with the number, by the texts around it."""
    groups: dict[tuple[str, str], list[tuple[str, int]]] = {}
    for name in names:
        text = name.strip()
        found = _NUMBERED.fullmatch(text)
        if found is not None:
            key = found["before"], found["after"]
        else:
            found = _YEAR_TWICE.fullmatch(text)  # 2000 [YR2000]
            if found is None:
                continue
            key = "", found["after"].replace(found["number"], "#")
        groups.setdefault(key, []).append((name, int(found["number"])))
    return groups


def _counts(numbers: Sequence[int]) -> bool:
    return numbers[0] in (0, 1) and all(b - a == 1 for a, b in pairwise(numbers))


def _years(names: Sequence[str]) -> Iterable[StepNames]:
    """Yield columns whose names are years, with the same text around them."""
    for (before, after), members in _numbered(names).items():
        years = [number for _, number in members]
        if len(years) < MIN_DATES or not all(FIRST_YEAR <= one <= LAST_YEAR for one in years):
            continue
        distances = {b - a for a, b in pairwise(years)}
        falling = max(distances) < 0
        if not falling and min(distances) <= 0:
            continue
        if (before or after) and len(distances) > 1:
            continue  # numbers of other things are seldom at equal distances
        word = re.split(r"[\W_]", before)[-1]
        if word and word.lower() not in YEAR_WORDS:
            continue  # tags such as PT2001
        found = _of_years([name for name, _ in members], years)
        if found is not None:
            yield found


def _of_years(names: list[str], years: list[int]) -> StepNames | None:
    """Return columns with years that rise or fall, in the order of the years."""
    if years[0] > years[-1]:
        names, years = names[::-1], years[::-1]
    cells = pa.chunked_array([pa.array(list(map(str, years)))])
    times = parse_times(cells, TimeOptions(date_format="%Y"))
    return None if times is None else StepNames(names, replace(times, notes=()))


def _fiscal_years(names: Sequence[str]) -> Iterable[StepNames]:
    """Yield columns whose names are two successive years, such as 2015-16."""
    found = [(name, match) for name in names if (match := _FISCAL.fullmatch(name.strip()))]
    years = [int(match["first"]) for _, match in found]
    successive = all(
        (year + 1) % 10 ** len(match["second"]) == int(match["second"])
        for year, (_, match) in zip(years, found, strict=True)
    )
    steps = {b - a for a, b in pairwise(years)}
    if len(found) >= MIN_DATES and successive and steps in ({1}, {-1}):
        of_years = _of_years([name for name, _ in found], years)
        if of_years is not None:
            yield of_years


def _texts_of_dates(names: Sequence[str], options: TimeOptions) -> Iterable[StepNames]:
    """Yield columns whose names are dates, of one form."""
    shapes: dict[str, list[str]] = {}
    for name in names:
        if sum(map(str.isdigit, name)) >= 2:
            short = re.sub(r"\d+", "9", name.strip())
            shapes.setdefault(re.sub(r"[^\W\d_]+", "a", short), []).append(name)
    largest = sorted(shapes.items(), key=lambda one: -len(one[1]))[:TRIED]
    for shape, members in largest:
        if len(members) < MIN_DATES:
            continue
        texts = [name.strip().replace("_", "-") for name in members]
        found = _in_order(members, texts, options, alone=shape == "9")
        rest = _without_common_ends(texts)
        if found is None and rest != texts and not any(one.isdigit() for one in rest):
            found = _in_order(members, rest, options, alone=False)
        elif found is None and rest != texts and {*map(len, rest)} in ({6}, {8}):
            found = _in_order(members, rest, options, alone=True)
        if found is not None:
            yield found


def _without_common_ends(texts: list[str]) -> list[str]:
    """Return texts without what all of them have before the first digit and after the last one."""
    for expression in (_BEFORE, _AFTER):
        ends = {match[0] for one in texts if (match := expression.search(one))}
        if len(ends) == 1:
            (end,) = ends
            start = len(end) if expression is _BEFORE else 0
            stop = len(end) if expression is _AFTER else 0
            texts = [one[start : len(one) - stop] for one in texts]
    return texts


def _in_order(
    names: list[str], texts: list[str], options: TimeOptions, *, alone: bool
) -> StepNames | None:
    """Return columns whose texts are dates that rise or fall; None if they are others.

    Numbers `alone`, such as 201501, must be dates at nearly equal distances.
    """
    times = parse_times(pa.chunked_array([pa.array(texts)]), options)
    if times is None or times.values is None:
        return None
    values = times.values.astype("datetime64[s]")
    distances = np.diff(values).astype(np.int64)
    years = values.astype("datetime64[Y]").astype(np.int64) + 1970
    if years.min() < FIRST_YEAR or years.max() > LAST_YEAR:
        return None
    if (distances < 0).all():
        return _in_order(names[::-1], texts[::-1], options, alone=alone)
    if not (distances > 0).all():
        return None
    if alone and distances.max() > 1.2 * np.median(distances):
        return None
    return StepNames(names, times)
