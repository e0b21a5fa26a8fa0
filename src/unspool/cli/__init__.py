"""The command line: thin over the library, one file for every command.

Data goes to stdout or to the file of `-o`, everything said about it to stderr. Exit codes: 0; 1 for
input that cannot be used, told in a line with the next step; 2 for a call that is put wrongly.
"""

import re
import sys
import warnings
from collections.abc import Sequence
from typing import Any


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line, and turn errors into exit codes."""
    from unspool.errors import UnspoolError

    try:
        from unspool.cli.app import Abort, UsageError, app
    except ModuleNotFoundError as error:
        if error.name is None or error.name.startswith("unspool"):
            raise
        _tell(
            f"the command line needs {error.name}, which is not installed: "
            'pip install "unspool[train]".'
        )
        sys.exit(1)
    try:
        with warnings.catch_warnings():
            warnings.showwarning = _warn
            code = app(list(arguments) if arguments is not None else None, standalone_mode=False)
    except UsageError as error:
        if message := error.format_message():
            context = getattr(error, "ctx", None)
            command = "unspool" if context is None else context.command_path
            _tell(f"{message.rstrip('.')}; see `{command} --help`.")
        sys.exit(error.exit_code)
    except UnspoolError as error:
        _tell(_in_flags(" ".join([str(error), *getattr(error, "__notes__", ())])))
        sys.exit(1)
    except Abort:  # Ctrl-C, for versions of typer that do not say 130 themselves
        sys.exit(130)
    except BrokenPipeError:  # the reader of our stdout, such as `head`, has gone
        sys.stderr.close()
        sys.exit(1)
    except OSError as error:  # a full disk behind stdout, say
        _tell(error)
        sys.exit(1)
    sys.exit(code or 0)


def _in_flags(text: str) -> str:
    """A message with flags where it names parameters that have one."""
    text = re.sub(r"`(--[\w-]+)`", r"\1", text)
    return re.sub(r"`(columns|time|id|label|rows|part)`( \(--id\))?", r"--\1", text)


def _tell(message: object) -> None:
    """Say on stderr why nothing came of it."""
    from unspool._terminal import printable

    print(f"unspool: {printable(message)}", file=sys.stderr)


def _warn(message: Warning | str, *_: Any, **__: Any) -> None:
    """Say a warning as Python's `warnings.showwarning` would."""
    _tell(f"warning: {message}")
