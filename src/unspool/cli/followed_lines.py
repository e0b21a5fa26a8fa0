"""Lines of a followed text: which fields of a line are which column, and the values of a line."""

import csv
import math
from typing import TYPE_CHECKING

from unspool import _checks
from unspool.cli.followed_options import LineOptions
from unspool.cli.options import say
from unspool.data.messages import listed
from unspool.data.missing_values import numbers_in
from unspool.errors import InputError
from unspool.io.cells import TEXT, decimal_of, is_data, is_date, is_number, kind_of, number_pattern
from unspool.io.delimiters import BLANK, COMMENTS, DELIMITERS, Row, split_at_blanks
from unspool.io.header import find_header
from unspool.io.missing import null_values
from unspool.io.role_names import TIME_NAMES

if TYPE_CHECKING:
    import re

    from unspool.model_file import Contents

USUAL_DELIMITERS = (";", "\t")  # tried before the comma, which may then be a decimal comma


class FollowedLines:
    """The columns of a followed text, found in its first lines, and the values of a line.

    Parameters
    ----------
    options : LineOptions
        How lines are read.
    contents : Contents
        Contents of the detector's file.
    name : str
        Name of the file, for messages.

    Attributes
    ----------
    ids : list of int
        Indices of the columns of ids.
    times : list of int
        Indices of the columns of the time.
    """

    def __init__(self, options: LineOptions, contents: "Contents", name: str) -> None:
        reading = options.reading
        self._options, self._name = options, name
        self._n_features = contents.facts.n_features
        self._masks = contents.form.missing == "mask"
        marks = reading["missing_values"]
        self._missing_words, self._missing_numbers = {*null_values(marks)}, numbers_in(marks)
        trained = None if contents.detector is None else contents.detector["feature_names_in"]
        given = options.columns
        if given and trained and given != list(trained) and set(given) == set(trained):
            raise InputError(
                f"--columns: expected the detector's features {listed(trained)}, in this order, "
                f"got {listed(given)}; reorder them, or leave --columns out."
            )
        self._feature_names: list[str] | None = given or trained
        self._delimiter: str = reading["delimiter"] or ","
        self._skip, self._above = reading["skip"] or 0, reading["skip"] is None
        self._header: list[str] = []  # lines of a header of several lines
        self._names: list[str] | None = None  # names of all columns, once they are known
        self._features: list[int] = []
        self._numbers: re.Pattern[str] | None = None
        self._below_header = False  # the last line was a header that was found
        self.ids: list[int] = []
        self.times: list[int] = []

    @property
    def time_name(self) -> str:
        """The names of the columns of the time, joined by blanks."""
        assert self._names is not None
        return " ".join(self._names[i] for i in self.times)

    def text_of(self, line: bytes) -> str:
        """Return the text of a line without its end."""
        encoding = self._options.reading["encoding"] or "utf-8"
        return line.decode(encoding, errors="replace").removeprefix("\ufeff").rstrip("\r\n")

    def is_data(self, text: str) -> bool:
        """Return whether a line is data, and find the columns in the lines above the data."""
        if self._skip:
            self._skip -= 1
            return False
        if not text.strip():
            return False
        if self._names is None:
            return not self._begin(text)
        if self._below_header:
            self._below_header = False
            if self._are_units(text):
                say(f"{self._name}: units below the names of the columns are left out")
                return False
        return True

    def split(self, text: str) -> list[str]:
        """Return the fields of a line."""
        if self._delimiter == BLANK:
            return split_at_blanks(text)
        try:
            fields = next(csv.reader([text], delimiter=self._delimiter), [])
        except csv.Error as error:
            raise InputError(f"The line cannot be split into fields: {error}.") from None
        return [one.strip() for one in fields]

    def find_time(self, fields: list[str]) -> None:
        """If there is no time column yet, make the first column of dates the time."""
        if not self.times:
            others = self._other_columns()
            self.times = [i for i in others if i < len(fields) and is_date(fields[i])][:1]

    def step(self, fields: list[str]) -> list[float]:
        """Return the features of a line of data.

        Raises
        ------
        MissingValueError
            If a value is missing, and the detector does not accept that.
        InputError
            If a value is not a number, or fields are missing.
        """
        assert self._names is not None
        if len(fields) != len(self._names):
            raise InputError(f"Expected {len(self._names)} fields, got {len(fields)}.")
        return [self._value(fields[column], self._names[column]) for column in self._features]

    def _value(self, text: str, name: str) -> float:
        if text in self._missing_words:
            if not self._masks:
                what = f"holds {text}, which means missing" if text else "is empty"
                raise MissingValueError(f"Column {name!r} {what}.")
            return math.nan
        value = self._number(text)
        if value is None:
            raise InputError(f"Expected a number in column {name!r}, got {_checks.shown(text)}.")
        if value in self._missing_numbers:
            if not self._masks:
                raise MissingValueError(f"Column {name!r} is missing (--missing {value:g}).")
            return math.nan
        return value

    def _number(self, text: str) -> float | None:
        reading = self._options.reading
        thousands = reading["thousands"]
        if thousands is not None:
            if self._numbers is None:
                import re

                self._numbers = re.compile(number_pattern(self._decimal, thousands))
            if self._numbers.fullmatch(text):
                signs = {" ": " \u00a0\u202f\u2009", "'": "'’"}.get(thousands, thousands)
                text = text.translate({ord(sign): None for sign in signs})
        point = self._decimal
        if "," in text and self._delimiter != "," and reading["decimal"] is None:
            point = decimal_of([text], self._delimiter) or point
        text = text.replace(point, ".")
        if is_number(text):
            return float(text)
        return {"true": 1.0, "false": 0.0}.get(text.lower())

    @property
    def _decimal(self) -> str:
        given: str | None = self._options.reading["decimal"]
        if given is None and self._options.reading["thousands"] in (",", "."):
            given = "," if self._options.reading["thousands"] == "." else "."
        return given or ("," if self._delimiter == ";" else ".")

    def _begin(self, text: str) -> bool:
        """Find the columns in the first lines, and return whether this one is above the data."""
        header, signs = self._options.reading["header"], (*COMMENTS, ";")
        if not self._header:
            if self._above and text.lstrip().startswith(signs):
                return True
            self._check_is_table(text)
            self._delimiter = self._find_delimiter(text)
        if header is not None and header > 1:
            self._header.append(text)
            if len(self._header) < header:
                return True
            names = self._names_in(self._header)
        else:
            names = self.split(text)
        is_header = not is_data(names, self._decimal) if header is None else header > 0
        if not is_header:
            names = [str(i) for i in range(len(names))]
        self._find_columns(names, is_header=is_header)
        self._below_header = is_header and header is None
        return is_header

    def _names_in(self, lines: list[str]) -> list[str]:
        """Return the names of the columns in several lines of a header."""
        rows = [Row(self.split(one), i, i + 1) for i, one in enumerate(lines)]
        width = max(len(row.fields) for row in rows)
        below = Row(["0"] * width, len(rows), len(rows) + 1)
        found = find_header(
            [*rows, below], width, len(rows), delimiter=self._delimiter, skipped=True
        )
        return [name or str(i) for i, name in enumerate(found.names)]

    def _check_is_table(self, text: str) -> None:
        """Raise if the first line is not one of a table in text."""
        if "\0" in text:
            raise InputError(
                f"{self._name}: the first line contains zero bytes; --follow reads lines of text "
                "such as CSV, in UTF-8."
            )
        if text.lstrip().startswith("{"):
            raise InputError(
                f"{self._name}: the first line begins with a brace, as in JSON; --follow reads "
                "lines of CSV, so write the values separated by commas."
            )

    def _find_delimiter(self, text: str) -> str:
        """Return the separator: the given one, or one by which the line has the features."""
        given: str | None = self._options.reading["delimiter"]
        if given:
            return given
        known = {*(self._feature_names or ())}
        for one in DELIMITERS if known else ():
            self._delimiter = one
            if known <= {*self.split(text)}:
                return one
        return next((one for one in USUAL_DELIMITERS if one in text), ",")

    def _find_columns(self, names: list[str], *, is_header: bool) -> None:
        """Find the columns of ids, of the time and of the features by their names."""
        self._names = names
        self.ids = self._role("id", names)
        self.times = self._role("time", names)
        self._features = self._find_features(names, is_header=is_header)
        both = next((names[i] for i in self.ids if i in self._features), None)
        if both is not None:
            raise InputError(
                f"{self._name}: --id names {both!r}, which is a feature of the detector; name "
                "another column, or leave --id out."
            )
        if not self.times:
            usual = [i for i in self._other_columns() if names[i].lower() in TIME_NAMES]
            self.times = usual[:1]

    def _role(self, role: str, names: list[str]) -> list[int]:
        """Return the indices of the columns of a role that is given or as in training."""
        columns = self._options.parts(role, names)
        lacking = next((one for one in columns if one not in names), None)
        if lacking is None:
            return [names.index(one) for one in columns]
        if role not in self._options.trained:
            unknown = _checks.unknown_name("column", lacking, names)
            raise InputError(f"{self._name}: --{role}: {unknown}")
        then = "all lines are one series" if role == "id" else "it is searched for"
        say(f"{self._name}: there is no column {lacking!r}, the {role} in training: {then}")
        return []

    def _find_features(self, names: list[str], *, is_header: bool) -> list[int]:
        """Return the indices of the feature columns."""
        count, known = self._n_features, self._feature_names
        if known is not None and len(known) != count:
            raise InputError(f"--columns: the detector has {count} features, got {len(known)}.")
        if known is not None and (is_header or set(known) <= set(names) or self._options.columns):
            missing = [name for name in known if name not in names]
            if missing:
                raise InputError(
                    f"{self._name}: there is no column {listed(missing)}, which the detector "
                    f"reads; the columns are {listed(names)}. Name other columns with --columns, "
                    "in the detector's order, or, if these are not the names, give --skip or "
                    "--header 0."
                )
            repeated = next((name for name in known if names.count(name) > 1), None)
            if repeated is not None:
                raise InputError(
                    f"{self._name}: {names.count(repeated)} columns have the name {repeated!r}, "
                    "which the detector reads; rename the others."
                )
            return [names.index(name) for name in known]
        reading = self._options.reading
        other = {*self.times, *self.ids}
        other |= {i for i, one in enumerate(names) if one in (*reading["drop"], reading["label"])}
        rest = [i for i in range(len(names)) if i not in other]
        if len(rest) == count + 1 and not self.times:
            times = [i for i in rest if names[i].lower() in TIME_NAMES] if is_header else rest
            self.times = times[:1]
            rest = [i for i in rest if i not in self.times]
        if len(rest) != count:
            raise InputError(
                f"{self._name}: the detector reads {count} features, but the first line has "
                f"{len(names)} fields ({listed(names)}); name the features with --columns, in the "
                "detector's order."
            )
        return rest

    def _other_columns(self) -> list[int]:
        assert self._names is not None
        taken = {*self._features, *self.ids}
        return [i for i in range(len(self._names)) if i not in taken]

    def _are_units(self, text: str) -> bool:
        """Return whether no feature of the line below the header is a value."""
        assert self._names is not None
        try:
            fields = self.split(text)
        except InputError:
            return False
        if len(fields) != len(self._names):
            return False
        values = [fields[i] for i in self._features]
        return all(kind_of(one) == TEXT and one not in self._missing_words for one in values)


class MissingValueError(InputError):
    """A line lacks a value that the detector needs."""
