"""`ReadOptions`: how a file is read; the arguments of `read_file` as one object."""

from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Literal

from unspool import _checks
from unspool.io.cutting import WindowOptions

FileMode = Literal["series", "rows"]
_NONE = '\r\n"'  # characters that cannot separate fields


@dataclass(frozen=True)
class TextOptions:
    """The format of a delimited text; what is None is found in the file.

    Parameters
    ----------
    skip : int, optional
        Number of lines before the header, or before the data if there is no header.
    header : int, optional
        Number of lines of the header; 0 if there is none.
    delimiter : str, optional
        Separator of the fields; " " for runs of blanks.
    decimal : {".", ","}, optional
        Decimal point of numbers.
    thousands : str, optional
        Character between groups of three digits.
    encoding : str, optional
        Name of the encoding, such as "latin-1".
    """

    skip: int | None = None
    header: int | None = None
    delimiter: str | None = None
    decimal: str | None = None
    thousands: str | None = None
    encoding: str | None = None

    def given(self) -> list[str]:
        """Return the names of the options that the user gave."""
        return [one.name for one in fields(self) if getattr(self, one.name) is not None]

    def complaint(self) -> str | None:
        """Check the options; return a message, or None if they are sound."""
        wrong = _checks.whole("skip", self.skip, 0, none=True)
        wrong = wrong or _checks.whole("header", self.header, 0, none=True)
        for name in ("delimiter", "thousands"):
            value = getattr(self, name)
            if value is None or (isinstance(value, str) and len(value) == 1 and value not in _NONE):
                continue
            return wrong or f"`{name}` must be one character, got {_checks.shown(value)}."
        if self.decimal not in (None, ".", ","):
            return wrong or f"`decimal` must be '.' or ',', got {_checks.shown(self.decimal)}."
        if self.thousands is not None and self.thousands.isalnum():
            return wrong or f"`thousands` must not be a letter or digit, got {self.thousands!r}."
        for one, other in (("decimal", "delimiter"), ("decimal", "thousands")):
            value = getattr(self, one)
            if value is not None and value == getattr(self, other):
                return wrong or (
                    f"`{one}` and `{other}` are both {value!r}; no number could be read. Change "
                    "one of them."
                )
        return wrong or self._encoding_complaint()

    def _encoding_complaint(self) -> str | None:
        if self.encoding is None:
            return None
        try:
            "".encode(self.encoding)
        except (LookupError, TypeError, ValueError):
            return (
                f"`encoding`: unknown encoding {_checks.shown(self.encoding)}; common ones are "
                "'utf-8', 'latin-1', 'cp1252' and 'utf-16'."
            )
        return None


@dataclass(frozen=True)
class TimeOptions:
    """How texts are read as times.

    Parameters
    ----------
    date_format : str, optional
        Format as for `datetime.strptime`, such as "%d.%m.%Y %H:%M".
    day_first : bool, optional
        Whether the day comes before the month; None decides it from the whole column.
    """

    date_format: str | None = None
    day_first: bool | None = None


@dataclass(frozen=True)
class ReadOptions:
    """How a file is read; `read_file` describes the fields.

    `text` and `times` are used for text only. `windows` says how series are cut, and what happens
    to missing values.
    """

    columns: Sequence[str] | None = None
    drop: Sequence[str] = ()
    time: str | Sequence[str] | None = None
    id: str | Sequence[str] | None = None
    label: str | None = None
    weight: str | None = None
    rows: bool | None = None
    key: str | None = None
    files: FileMode = "series"
    images: bool = False
    text: TextOptions = field(default_factory=TextOptions)
    times: TimeOptions = field(default_factory=TimeOptions)
    missing_values: tuple[float | str, ...] = ()
    stream: bool | None = None
    windows: WindowOptions = field(default_factory=WindowOptions)

    @property
    def named(self) -> dict[str, str | None]:
        """The columns that the user named, by their role.

        Several columns of times or of ids are joined before, so that here they are one.
        """
        time = self.time if isinstance(self.time, str) else None
        id = self.id if isinstance(self.id, str) else None
        return {"time": time, "id": id, "label": self.label, "weight": self.weight}

    def given(self) -> dict[str, Any]:
        """Return the arguments for columns and for text that the user gave, by their names."""
        roles = {"columns": self.columns, "drop": self.drop or None, **self.named}
        roles |= {"time": self.time, "id": self.id}
        groups = {
            one.name: getattr(group, one.name)
            for group in (self.text, self.times)
            for one in fields(group)
        }
        return {name: value for name, value in (roles | groups).items() if value is not None}
