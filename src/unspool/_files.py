"""Files that are written whole or not at all."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from unspool.errors import InputError


def check_folder(path: str | Path) -> None:
    """Raise an `InputError` where no file could be written at `path`, whatever its ending."""
    path = Path(path)
    folder = path.resolve().parent
    if path.is_dir():
        raise InputError(f"{path}: this is a folder; name a file in it.")
    if not folder.is_dir():
        raise InputError(f"{path}: there is no folder {folder}; make it first.")
    if not os.access(folder, os.W_OK):
        raise InputError(f"{path}: the folder {folder} cannot be written to; choose another.")


@contextmanager
def whole_or_not(path: Path) -> Iterator[IO[bytes]]:
    """Open a file to write to that takes the place of `path` only if all went well."""
    target = path.resolve()  # a link stays a link
    part = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        with part.open("wb") as file:
            yield file
        os.replace(part, target)
    finally:
        part.unlink(missing_ok=True)
