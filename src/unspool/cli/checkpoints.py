"""Options of the log and the checkpoint of a training, and messages of where it continues."""

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from unspool._terminal import printable_line
from unspool.cli.options import say

LOGGER = "unspool.training.checkpoint"

LogJson = Annotated[
    str | None,
    typer.Option(
        "--log-json",
        metavar="FILE",
        help="Append a line with a JSON object to this file at the start and the end of "
        "training and after each epoch: losses, learning rate, throughput, gradient norm. - "
        "writes them to stdout.",
    ),
]
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


def training_arguments(
    log_json: str | None, file: Path | None, every: str | None
) -> dict[str, Any]:
    """Return the arguments of `fit` for the options."""
    given = _checkpoint_arguments(file, every)
    if log_json is not None:
        from unspool.callbacks import JSONLogger

        given["callbacks"] = [JSONLogger(log_json)]
    return given


def _checkpoint_arguments(file: Path | None, every: str | None) -> dict[str, Any]:
    if file is None:
        if every is not None:
            raise typer.BadParameter(
                "it needs --checkpoint; leave it out", param_hint="--checkpoint-every"
            )
        return {}
    given: dict[str, Any] = {"checkpoint": file}
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
