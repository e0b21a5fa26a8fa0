"""Safe output to terminals: control characters are escaped.

Names of files and columns, cell values and texts in model files come from other people. An escape
sequence in one of them could change what the terminal shows, or type into it.
"""

import unicodedata
from typing import Any

JOINERS = "\u200c\u200d"  # format characters that are part of words and emoji


def printable(text: object) -> str:
    r"""Escape the control characters of `text` as Python does, such as ``\x1b``.

    Characters that change the direction of writing, invisible characters and lone surrogates, which
    cannot be encoded, are escaped too. Line breaks are kept.
    """
    return "".join(map(_character, str(text)))


def printable_line(text: object) -> str:
    """Escape the control characters of `text` and its line breaks."""
    return printable(text).replace("\n", "\\n")


def _character(character: str) -> str:
    if character.isprintable() or character == "\n" or character in JOINERS:
        return character
    if unicodedata.category(character) in ("Cc", "Cf", "Cs", "Zl", "Zp"):
        return character.encode("unicode_escape").decode()
    return character  # spaces, and letters that are newer than this Python


def console(*, stderr: bool = False) -> Any:
    """Create a `rich.console.Console` that escapes all strings, also those in tables.

    ``[markup]`` and ``:emoji:`` are not interpreted, since names may contain brackets and colons.
    """
    from rich.console import Console
    from rich.text import Text

    class Plain(Console):
        """A console whose `render_str`, which all printed strings pass, escapes them."""

        def render_str(self, text: str, **options: Any) -> Text:
            return super().render_str(printable(text), **options)

    return Plain(stderr=stderr, markup=False, emoji=False, highlight=False, soft_wrap=True)
