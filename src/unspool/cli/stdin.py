"""DATA that is `-` or a pipe: written to a temporary file once."""

import atexit
import functools
import shutil
import sys
import tempfile
from pathlib import Path

STDIN = Path("-")


def data_path(path: Path) -> Path:
    """Return the path, or for `-` or a pipe the path of a file with what it contains."""
    is_stream = path.exists() and not path.is_file() and not path.is_dir()
    return _copied(path) if path == STDIN or is_stream else path


@functools.cache
def _copied(source: Path) -> Path:
    from unspool.errors import InputError
    from unspool.io.endings import ending_by_content

    folder = tempfile.mkdtemp(prefix="unspool-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    path = Path(folder, "stdin" if source == STDIN else "pipe")
    with path.open("wb") as file:
        if source == STDIN:
            shutil.copyfileobj(sys.stdin.buffer, file)
        else:
            with source.open("rb") as pipe:
                shutil.copyfileobj(pipe, file)
    with path.open("rb") as file:
        start = file.read(8192)
    if not start:
        what = "-, but nothing came from standard input" if source == STDIN else "an empty pipe"
        raise InputError(f"DATA is {what}; pipe a file into it.")
    return path.rename(path.with_suffix(ending_by_content(start)))
