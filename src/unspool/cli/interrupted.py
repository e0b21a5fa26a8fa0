"""How commands that train end at Ctrl-C and SIGTERM."""

from collections.abc import Callable, Mapping
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from unspool.cli import options

if TYPE_CHECKING:
    from unspool.estimators.anomaly_detector import AnomalyDetector


def reports_interruption(command: Callable[..., None]) -> Callable[..., None]:
    """Print a line if Ctrl-C ends a command; its exit code is 130."""

    @wraps(command)
    def reporting(*given: Any, **options_given: Any) -> None:
        try:
            command(*given, **options_given)
        except KeyboardInterrupt:
            options.say("unspool: interrupted")
            raise

    return reporting


def fit_detector(
    detector: "AnomalyDetector",
    X: Any,
    reading: dict[str, Any] | None,
    save: Path | None,
    training: Mapping[str, Any],
) -> None:
    """Fit a detector. An interruption writes it to `save`, if that is given, and ends the command.

    Parameters
    ----------
    detector : AnomalyDetector
    X : Sequences or list of arrays
        Normal data.
    reading : dict or None
        How the data were read, which the file contains.
    save : Path or None
        The file of --save.
    training : mapping
        Other arguments of `fit`.
    """
    from unspool.cli.checkpoints import said_where_it_continues
    from unspool.training.interruption import exit_code, interruptible, not_interruptible

    with not_interruptible() if save is None else interruptible() as interruption:
        with said_where_it_continues(training.get("checkpoint")):
            detector.fit(X, **training)
        detector.model_._reading = reading
        if interruption.requested is not None and save is not None:
            detector.save(save)
        received = interruption.answer()
    if received is not None:
        options.say(
            f"training was interrupted {interruption.progress}; {save} holds a detector with the "
            "best weights so far, and no data were scored"
        )
        raise typer.Exit(exit_code(received))
