"""The command line: thin over the library, one file for every command.

Data goes to stdout or to the file of `-o`, everything said about it to stderr. Exit codes: 0; 1 for
input that cannot be used, told in a line with the next step; 2 for a call that is put wrongly.
"""

import sys
from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line, and turn errors into exit codes."""
    from unspool.errors import UnspoolError

    try:
        from unspool.cli.app import app
    except ModuleNotFoundError as error:
        if error.name is None or error.name.startswith("unspool"):
            raise
        print(
            f"unspool: the command line needs {error.name}, which is not installed: "
            'pip install "unspool[train]".',
            file=sys.stderr,
        )
        sys.exit(1)
    try:
        app(args=list(arguments) if arguments is not None else None)
    except UnspoolError as error:
        print(f"unspool: {error}", *getattr(error, "__notes__", ()), file=sys.stderr)
        sys.exit(1)
    except BrokenPipeError:  # the reader of our stdout, such as `head`, has gone
        sys.stderr.close()
        sys.exit(1)
    except OSError as error:  # a full disk, say
        print(f"unspool: {error}", file=sys.stderr)
        sys.exit(1)
