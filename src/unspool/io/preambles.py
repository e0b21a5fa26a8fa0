"""Files of instruments whose first lines say how the table is written and when it was recorded.

`find_preamble` knows the files of Empatica wristbands, of LabVIEW, of oscilloscopes of Rigol, and
tables of astronomers with names between bars, by their structure and not by their names.
"""

import math
import re
from dataclasses import dataclass, field, replace

import numpy as np

from unspool.errors import InputError
from unspool.io.cells import NUMBER, is_number, kind_of
from unspool.io.number_times import FIRST, LAST
from unspool.io.options import TextOptions
from unspool.io.sampling import TIME, Sampling

SMALLEST_RATE, LARGEST_RATE = 1e-6, 1e6  # values per second
MAX_STEP = 1 / SMALLEST_RATE  # seconds
_END_OF_HEADER = "***End_of_Header***"
_BARS = re.compile(r"\|[^|]+(?:\|[^|]*)+\|")  # at least two cells between bars
_DATE = re.compile(r"(\d{4})[-/.](\d{1,2})[-/.](\d{1,2})")
_CLOCK = re.compile(r"(\d{1,2}):(\d{2}):(\d{2})(?:[.,](\d{1,9}))?")


@dataclass(frozen=True)
class Preamble:
    """What the first lines of a text say.

    Attributes
    ----------
    lines : list of str
        The first lines, with a header that Arrow's columns fit.
    text : TextOptions
        How the text is written.
    sampling : Sampling, optional
        When the rows were recorded.
    notes : tuple of str
        What was found.
    """

    lines: list[str]
    text: TextOptions = field(default_factory=TextOptions)
    sampling: Sampling | None = None
    notes: tuple[str, ...] = ()


def find_preamble(lines: list[str], options: TextOptions) -> Preamble | None:
    """Return what the first lines of a text say; None if they are no known preamble.

    What the user said about the lines above the table counts more.
    """
    if options.skip is not None or options.header is not None or len(lines) < 4:
        return None
    for one in (_bars, _labview, _two_rows, _start_in_header, _start_and_increment):
        found = one(lines)
        if found is not None:
            given = {name: getattr(options, name) for name in options.given()}
            return replace(found, text=replace(found.text, **given))
    return None


def _two_rows(lines: list[str]) -> Preamble | None:
    """Read a row of the start in seconds since 1970, and one of the values per second."""
    starts, rates, first = ([one.strip() for one in line.split(",")] for line in lines[:3])
    if not all(map(is_number, (*starts, *rates))) or not len(starts) == len(rates) == len(first):
        return None
    start, rate = float(starts[0]), float(rates[0])
    if len({*starts}) > 1 or len({*rates}) > 1 or not FIRST <= start < LAST:
        return None
    values = [float(one) for line in lines[2:] for one in line.split(",") if is_number(one)]
    if not SMALLEST_RATE <= rate <= LARGEST_RATE or not values or max(values) >= FIRST:
        return None
    time = _instant(start)
    note = (
        f"lines 1 and 2 taken as the start, {_shown(time)}, and as {rate:g} values per second; "
        "otherwise say `skip` (--skip 0)"
    )
    return Preamble(lines, TextOptions(skip=2, header=0), Sampling(time, 1 / rate), (note,))


def _bars(lines: list[str]) -> Preamble | None:
    r"""Read names between bars above columns separated by blanks, as astronomers' tables have.

    Lines above them begin with a backslash; the lines of bars below the names have their types,
    their units and what means missing.
    """
    first = next((i for i, line in enumerate(lines) if not line.startswith("\\")), len(lines))
    last = first
    while last < len(lines) and _BARS.fullmatch(lines[last].strip()):
        last += 1
    rows = [line for line in lines[last:] if line.strip()]
    if last == first or not rows or any("|" in row for row in rows):
        return None
    names = ["_".join(name.split()) for name in lines[first].strip().strip("|").split("|")]
    if not all(names) or any(len(row.split()) != len(names) for row in rows[:-1]):
        return None
    kept = [*lines[: last - 1], " ".join(names), *lines[last:]]
    note = f"names between bars in line {first + 1}; {last} lines above the table are left out"
    return Preamble(kept, TextOptions(last - 1, 1, " "), notes=(note,))


def _start_in_header(lines: list[str]) -> Preamble | None:
    """Read a header whose first name is the start, above seconds since then."""
    first, *names = [one.strip() for one in lines[0].split(",")]
    rows = [[one.strip() for one in line.split(",")] for line in lines[1:] if line.strip()]
    if not names or not is_number(first) or not FIRST <= float(first) < LAST:
        return None
    if any(kind_of(name) == NUMBER or not name for name in names):
        return None
    if not rows or not all(len(row) == len(names) + 1 and is_number(row[0]) for row in rows):
        return None
    seconds = np.array([float(row[0]) for row in rows])
    if (np.diff(seconds) < 0).any() or seconds[0] < 0 or seconds[-1] >= FIRST:
        return None
    time = _instant(float(first))
    note = (
        f"the first name of the header taken as the start, {_shown(time)}, of the seconds below "
        "it; otherwise say `header` (--header 1)"
    )
    header = ",".join([TIME, *names])
    sampling = Sampling(time, column=TIME)
    return Preamble([header, *lines[1:]], TextOptions(header=1), sampling, (note,))


def _start_and_increment(lines: list[str]) -> Preamble | None:
    """Read the start and the distance of values from a second row under 'Start' and 'Increment'."""
    names, below = ([one.strip() for one in line.split(",")] for line in lines[:2])
    plain = [name.lower() for name in names]
    if "start" not in plain or "increment" not in plain or len(below) < len(plain) - 1:
        return None
    start, step = (below[plain.index(name)] for name in ("start", "increment"))
    if not is_number(start) or not is_number(step):
        return None
    if not 0 < float(step) <= MAX_STEP or not math.isfinite(float(start)):
        return None
    places = [plain.index("start"), plain.index("increment")]
    rows = [line.split(",") for line in lines[2:]]
    if any(row[place].strip() for row in rows for place in places if place < len(row)):
        return None  # all rows have values of these names
    note = f"times from the start, {start} s, and the increment, {step} s, in line 2"
    return Preamble(lines, sampling=Sampling(float(start), float(step)), notes=(note,))


def _labview(lines: list[str]) -> Preamble | None:
    """Read the blocks of a header of LabVIEW."""
    if not lines[0].startswith("LabVIEW Measurement"):
        return None
    ends = [i for i, line in enumerate(lines) if line.startswith(_END_OF_HEADER)]
    if not ends:
        return None
    if len(ends) > 2:
        raise InputError(
            f"the file has several segments, of which the second begins above line {ends[2] + 1}; "
            "write each segment to a separate file."
        )
    about = _pairs(lines[: ends[-1]])
    comma = about.get("Separator", "Tab").lower().startswith("comma")
    delimiter, decimal = "," if comma else "\t", about.get("Decimal_Separator", ".")[:1] or "."
    place = next((i for i in range(ends[-1] + 1, len(lines)) if lines[i].strip()), None)
    if place is None or place + 1 >= len(lines):
        return None
    width = lines[place + 1].count(delimiter) + 1
    names = lines[place].split(delimiter)
    header = delimiter.join([*names, *[""] * (width - len(names))][:width])
    sampling, notes = None, [f"the header of LabVIEW, {place} lines, is left out"]
    if about.get("X_Columns") == "No":
        sampling = _sampling_of(about, decimal)
        notes += [] if sampling is None else ["times from the start and 'Delta_X' in the header"]
    text = TextOptions(place, 1, delimiter, decimal)
    return Preamble([*lines[:place], header, *lines[place + 1 :]], text, sampling, tuple(notes))


def _pairs(lines: list[str]) -> dict[str, str]:
    """Return the first values of the keys of a header; later ones replace earlier ones."""
    found = {}
    for line in lines:
        key, *values = re.split(r"[\t,]", line, maxsplit=1)
        if values:
            found[key.strip()] = values[0].split("\t")[0].strip()
    return found


def _sampling_of(about: dict[str, str], decimal: str) -> Sampling | None:
    """Return the start and the distance of the values of a header of LabVIEW."""
    date, clock = (pattern.match(about.get(name, "")) for pattern, name in
                   ((_DATE, "Date"), (_CLOCK, "Time")))  # fmt: skip
    step, offset = (about.get(name, "").replace(decimal, ".") for name in ("Delta_X", "X0"))
    if date is None or clock is None or not is_number(step) or not 0 < float(step) <= MAX_STEP:
        return None
    year, month, day = map(int, date.groups())
    hour, minute, second, fraction = clock.groups()
    try:
        start = np.datetime64(f"{year:04d}-{month:02d}-{day:02d}T{int(hour):02d}:{minute}:{second}")
    except ValueError:
        return None  # no day of the calendar, or no time of a day
    micro = int((fraction or "0")[:6].ljust(6, "0"))
    if is_number(offset) and abs(float(offset)) < LAST:
        micro += round(1e6 * float(offset))
    return Sampling(start.astype("datetime64[us]") + np.timedelta64(micro, "us"), float(step))


def _instant(seconds: float) -> np.datetime64:
    return np.datetime64(round(seconds * 1e6), "us")


def _shown(time: np.datetime64) -> str:
    return str(time.astype("datetime64[s]")).replace("T", " ")
