"""The command line: a thin layer over the library, with one module for each command.

Results are printed to stdout or written to the file of `-o`; messages are printed to stderr. Exit
codes: 0 on success, 1 for input that cannot be used (with a message that says what to do), 2 for
wrong usage, 130 after Ctrl-C and 143 after SIGTERM.
"""

import contextlib
import os
import sys
import warnings
from collections.abc import Sequence
from itertools import pairwise
from typing import Any


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line, and exit with a code that says how it ended."""
    from unspool.errors import UnspoolError

    try:
        from unspool.cli.app import Abort, UsageError, app
    except ModuleNotFoundError as error:
        if error.name is None or error.name.startswith("unspool"):
            raise
        _report(
            f"the command line needs {error.name}, which is not installed: "
            'pip install "unspool[train]".'
        )
        sys.exit(1)
    given = ["", *(sys.argv[1:] if arguments is None else arguments)]
    if any(one == "" and not before.startswith("-") for before, one in pairwise(given)):
        _report("an argument is empty; if it is a variable of the shell, give it a value.")
        sys.exit(2)
    try:
        with warnings.catch_warnings():
            warnings.showwarning = _warn
            code = app(list(arguments) if arguments is not None else None, standalone_mode=False)
        sys.stdout.flush()  # here, where a closed pipe is no error of the interpreter
    except UsageError as error:
        if message := error.format_message():
            if message.startswith("Got unexpected extra argument"):
                message = message.rstrip(".") + "; give one DATA: a folder, or a pattern in quotes"
            files = [one for one in given if one.startswith("-") and os.path.isfile(one)]
            if message.startswith("No such option") and files:
                message = f"{message.rstrip('.')}; write ./{files[0]} for the file of this name"
            context = getattr(error, "ctx", None)
            command = "unspool" if context is None else context.command_path
            _report(f"{message.rstrip('.')}; see `{command} --help`.")
        sys.exit(error.exit_code)
    except UnspoolError as error:
        from unspool.cli.flags import in_flags

        _report(in_flags(" ".join([str(error), *getattr(error, "__notes__", ())])))
        sys.exit(1)
    except Abort:  # Ctrl-C, for versions of typer that do not return 130 themselves
        sys.exit(130)
    except BrokenPipeError:  # the reader of stdout, such as `head`, has ended
        discard_stdout()
        sys.exit(1)
    except OSError as error:  # for example, stdout is a file on a full disk
        _report(error)
        sys.exit(1)
    sys.exit(code or 0)


def discard_stdout() -> None:
    """Discard what is still buffered, which would be written to a closed pipe at exit."""
    with contextlib.suppress(OSError, ValueError):  # stdout may have no file descriptor
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _report(message: object) -> None:
    """Print an error or a warning to stderr."""
    from unspool._terminal import printable

    print(f"unspool: {printable(message)}", file=sys.stderr)


def _warn(message: Warning | str, *_: Any, **__: Any) -> None:
    """Print a warning in one line, in place of `warnings.showwarning`."""
    _report(f"warning: {message}")
