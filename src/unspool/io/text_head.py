"""The first lines of a text, and its encoding."""

import codecs
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from unspool.errors import InputError

# The format is found from the first lines: at most SAMPLE_LINES, and no more after SAMPLE_BYTES,
# but at least three.
SAMPLE_LINES = 400
SAMPLE_BYTES = 1 << 20
_READ = 1 << 16
UTF8 = "utf8"
FALLBACK = "cp1252"
ENCODING_NOTE = (
    "the text is not UTF-8 and is read as Windows-1252 or Latin-1; if letters are wrong, name its "
    "encoding with `encoding` (--encoding)"
)
_MARKS = (
    (codecs.BOM_UTF8, UTF8),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_CONTROLS = bytes({*range(9), *range(14, 27)})  # bytes that no text contains

Source = Path | Any  # a file, or its content as a pyarrow.Buffer


@dataclass(frozen=True)
class Head:
    """The first lines of a text.

    Attributes
    ----------
    lines : list of str
        The lines, without their ends.
    encoding : str
        Name of the encoding.
    longest : int
        Length of the longest line, in bytes.
    whole : bool
        Whether the text has no other lines.
    notes : tuple of str
        How the encoding was found, if it is not UTF-8.
    """

    lines: list[str]
    encoding: str
    longest: int
    whole: bool
    notes: tuple[str, ...]


def opened(source: Source) -> Any:
    """Open a file, or the content of one, for reading."""
    return pa.OSFile(os.fsencode(source)) if isinstance(source, Path) else pa.BufferReader(source)


def read_head(source: Source, encoding: str | None) -> Head:
    """Read the first lines; `encoding` is the name of the encoding, if the user gave one.

    Raises
    ------
    InputError
        If the file is not text.
    """
    data = bytearray()
    with opened(source) as file:
        while True:
            block = file.read(_READ)
            data += block
            n_lines = max(data.count(b"\n"), data.count(b"\r"))
            if not block or n_lines > SAMPLE_LINES:
                break
            if len(data) >= SAMPLE_BYTES and n_lines >= 3:
                break
    whole = not block
    text, name, notes = _decoded(bytes(data), encoding, whole=whole)
    if "\0" in text:
        raise InputError(not_text("the file contains zero bytes"))
    lines = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n").split("\n")
    if not whole:
        lines.pop()  # its end was not read
    lines = lines[:SAMPLE_LINES]
    if not any(map(str.strip, lines)):
        raise InputError("the file contains only blank lines; write it again.")
    longest = max(len(line.encode()) for line in lines) + 2
    return Head(lines, name, longest, whole, notes)


def _decoded(data: bytes, given: str | None, *, whole: bool) -> tuple[str, str, tuple[str, ...]]:
    """Return the text, the name of its encoding and notes."""
    name = given or _marked(data)
    if codecs.lookup(name).name in ("utf-8", "utf-8-sig", "ascii"):
        name = UTF8
    try:
        return codecs.getincrementaldecoder(name)().decode(data, final=whole), name, ()
    except UnicodeError as error:
        if given is not None:
            raise InputError(
                f"the text cannot be read as {given} ({getattr(error, 'reason', error)}); name "
                "another encoding with `encoding` (--encoding)."
            ) from None
        where = getattr(error, "start", 0)
    if b"\0" in data:
        raise InputError(not_text("the file contains zero bytes"))
    if name != UTF8 or len(data.translate(None, _CONTROLS)) < len(data):
        raise InputError(not_text(f"byte 0x{data[where]:02x} is not UTF-8"))
    try:
        return data.decode(FALLBACK), FALLBACK, (ENCODING_NOTE,)
    except UnicodeDecodeError:  # Windows-1252 lacks five bytes, which Latin-1 has
        return data.decode("latin-1"), "latin-1", (ENCODING_NOTE,)


def _marked(data: bytes) -> str:
    """Return the encoding by its byte order mark, or by the places of zero bytes."""
    for mark, name in _MARKS:
        if data.startswith(mark):
            return name
    half = len(data) // 2
    if data[1::2].count(0) > 0.7 * half and not data[::2].count(0):
        return "utf-16-le"
    if data[::2].count(0) > 0.7 * half and not data[1::2].count(0):
        return "utf-16-be"
    return UTF8


def not_text(what: str) -> str:
    """Write a message about a file that is not text in a known encoding."""
    return (
        f"{what}, so it is not a text table; save it as UTF-8, name its encoding with `encoding` "
        "(--encoding), or correct the ending of its name."
    )
