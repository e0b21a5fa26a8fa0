"""How the lines of a followed text are read: as the command says, else as in training."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any

from unspool.cli.data_options import Columns
from unspool.cli.options import say
from unspool.cli.reading import ROLES, as_flags, was_given
from unspool.errors import InputError
from unspool.io.options import TextOptions

if TYPE_CHECKING:
    from unspool.model_file import Contents

NEWLINE = "\n"
# Options of training that say which file or which part of it is read; a followed text has none.
OF_FILES = ("rows", "key", "files", "interpolate_limit", "max_gap")


@dataclass(frozen=True)
class LineOptions:
    """How lines are read: as the command says, else as in training.

    Parameters
    ----------
    columns : list of str, optional
        Names of the features that the command gave.
    reading : dict of str to Any
        Arguments of `read_file`.
    trained : frozenset of str
        The arguments that come from training: a column that the lines lack is then no error.
    """

    columns: list[str] | None = None
    reading: dict[str, Any] = field(default_factory=dict)
    trained: frozenset[str] = frozenset()

    @classmethod
    def of(cls, columns: Columns, contents: "Contents", name: str) -> "LineOptions":
        """Return the options of the command, and those of training that are not given now."""
        given, names = columns.kept(), columns.names()
        before: Mapping[str, Any] = contents.fitted["reading"] or {}
        kept = {
            one: value
            for one, value in before.items()
            if one not in OF_FILES and not (one in given and was_given(one, given[one]))
        }
        used = {*(names or ()), *given["drop"], *(given[role] for role in ROLES)}
        kept = {one: value for one, value in kept.items() if one not in ROLES or value not in used}
        if "drop" in kept:
            kept["drop"] = [one for one in kept["drop"] if one not in used]
        if kept.get("missing") == "interpolate":
            say(
                f"{name}: training interpolated missing values; --follow cannot, since later lines "
                "are unknown, so a line without a value has no score"
            )
        if as_flags(kept):
            say(f"{name}: as in training: {as_flags(kept)}")
        options = cls(names, {**given, **kept}, frozenset(kept))
        options.check()
        return options

    def check(self) -> None:
        """Raise an `InputError` if the text cannot be read with these options."""
        names = [one.name for one in fields(TextOptions)]
        text = TextOptions(**{name: self.reading[name] for name in names})
        complaint = text.complaint()
        if complaint:
            raise InputError(complaint)
        if NEWLINE.encode(text.encoding or "utf-8") != b"\n":
            raise InputError(
                f"--follow finds the ends of lines by one byte, which {text.encoding} does not "
                "have; write the lines in UTF-8, or score whole files without --follow."
            )

    def parts(self, role: str, known: list[str]) -> list[str]:
        """Return the columns of a role; several names are separated by commas."""
        given = self.reading[role]
        if given is None:
            return []
        if given in known or "," not in given:
            return [given]
        return [one.strip() for one in given.split(",")]
