"""What a terminal is shown: text whose control characters are written out, so that none acts.

Names of files and columns, values of cells and what a model file says come from others. An escape
sequence in one of them could change what has been shown already, or what the terminal types.
"""

import unicodedata
from typing import Any

JOINERS = "\u200c\u200d"  # format characters that words and emoji are spelled with


def printable(text: object) -> str:
    """`text` with its control characters as Python's strings have them, ``\\x1b`` and the like.

    So are those that turn the direction of writing or show nothing, and lone surrogates, which no
    encoding has. Line breaks stay.
    """
    return "".join(map(_character, str(text)))


def printable_line(text: object) -> str:
    """The same of what is to stay in one line."""
    return printable(text).replace("\n", "\\n")


def _character(character: str) -> str:
    if character.isprintable() or character == "\n" or character in JOINERS:
        return character
    if unicodedata.category(character) in ("Cc", "Cf", "Cs", "Zl", "Zp"):
        return character.encode("unicode_escape").decode()
    return character  # spaces, and letters that this Python does not know


def console(*, stderr: bool = False) -> Any:
    """A `rich.console.Console` that shows every string, in tables too, as `printable` has it.

    It takes no ``[markup]`` and no ``:emoji:`` in them: brackets and colons stand in many a name.
    """
    from rich.console import Console
    from rich.text import Text

    class Plain(Console):
        """All strings that are printed, and the cells of tables, come by `render_str`."""

        def render_str(self, text: str, **options: Any) -> Text:
            return super().render_str(printable(text), **options)

    return Plain(stderr=stderr, markup=False, emoji=False, highlight=False, soft_wrap=True)
