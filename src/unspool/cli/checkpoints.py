"""Options of the checkpoint of a fit, and messages of where it continues."""

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from unspool._terminal import printable_line
from unspool.cli.options import say

LOGGER = "unspool.training.checkpoint"

CheckpointFile = Annotated[
    Path | None,
    typer.Option(
        "--checkpoint",
        metavar="FILE",
        help="Write the state of training to this file from time to time. If the command ends "
        "early, the same command continues from it and ends in the same model.",
    ),
]
CheckpointEvery = Annotated[
    str | None,
    typer.Option(
        "--checkpoint-every",
        metavar="TIME|N",
        help="Time between two checkpoints such as 5min, or number of batches; by default 1min.",
    ),
]


def checkpoint_arguments(file: Path | None, every: str | None) -> dict[str, object]:
    """Return the arguments of `fit` for the options."""
    if file is None:
        if every is not None:
            raise typer.BadParameter(
                "it needs --checkpoint; leave it out", param_hint="--checkpoint-every"
            )
        return {}
    given: dict[str, object] = {"checkpoint": file}
    if every is not None:
        given["checkpoint_every"] = int(every) if every.isdecimal() else every
    return given


@contextmanager
def said_where_it_continues(checkpoint: Path | None) -> Iterator[None]:
    """Print to stderr from where a fit inside continues, and how, if a signal ends the command."""
    logger, handler = logging.getLogger(LOGGER), _Printer()
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield
    except (KeyboardInterrupt, SystemExit):
        if checkpoint is not None and checkpoint.exists():
            say(f"the same command continues from {checkpoint}")
        raise
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)


class _Printer(logging.Handler):
    """Prints messages to stderr, above a progress bar if there is one."""

    def emit(self, record: logging.LogRecord) -> None:
        """Print a message."""
        print(printable_line(record.getMessage()), file=sys.stderr, flush=True)
