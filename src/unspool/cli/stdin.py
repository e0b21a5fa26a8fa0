"""DATA that is `-`: standard input, written to a temporary file once."""

import atexit
import functools
import shutil
import sys
import tempfile
from pathlib import Path

STDIN = Path("-")


def data_path(path: Path) -> Path:
    """Return the path, or for `-` the path of a file with the content of standard input."""
    return _copied() if path == STDIN else path


@functools.cache
def _copied() -> Path:
    from unspool.errors import InputError
    from unspool.io.endings import ending_by_content

    folder = tempfile.mkdtemp(prefix="unspool-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    path = Path(folder, "stdin")
    with path.open("wb") as file:
        shutil.copyfileobj(sys.stdin.buffer, file)
    with path.open("rb") as file:
        start = file.read(8192)
    if not start:
        raise InputError("DATA is -, but nothing came from standard input; pipe a file into it.")
    return path.rename(path.with_suffix(ending_by_content(start)))
