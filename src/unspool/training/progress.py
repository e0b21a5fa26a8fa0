"""What a fit shows of its progress: a bar in terminals and notebooks, or a line for each epoch."""

import sys
import time
from collections.abc import Mapping, Sequence
from typing import TextIO

from torch import nn

from unspool.training.callbacks import Callback, Step
from unspool.training.history import History
from unspool.training.pace import Pace

NOTEBOOK_SHELL = "ZMQInteractiveShell"  # IPython's class in Jupyter, JupyterLab, VS Code and Colab
BAR_WIDTH = 30
MIN_SECONDS = 0.1  # time between two updates of a bar
LONG_EPOCH = 5.0  # seconds of an epoch after which bars also show its batches
MAX_SILENCE = 60.0  # seconds of an epoch after which it has a line, and after each such line


def progress(verbose: int, passes: int | None = None) -> list[Callback]:
    """Return the callbacks that show the progress of a fit.

    Parameters
    ----------
    verbose : int
        0 shows nothing, 1 a progress bar, 2 or more a line for each epoch.
    passes : int, optional
        For `partial_fit`, which trains for one epoch and has no bar: number of epochs before.
    """
    if verbose >= 2:
        return [EpochLines(passes)]
    if verbose <= 0 or passes is not None:
        return []
    return [NotebookBar() if in_notebook() else ProgressBar()]


def in_notebook() -> bool:
    """Return whether this process is the kernel of a notebook."""
    ipython = sys.modules.get("IPython")  # loaded in every notebook
    shell = None if ipython is None else ipython.get_ipython()
    return type(shell).__name__ == NOTEBOOK_SHELL


class ProgressBar(Callback):
    """A progress bar of epochs and losses on stderr; disabled if stderr is not a terminal.

    It shows the throughput and the time that is left, and within long epochs the batches.
    """

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

        self.progress = Progress(
            TextColumn("epoch"),
            MofNCompleteColumn(),
            BarColumn(),
            TextColumn("{task.fields[pace]}"),
            TextColumn("{task.fields[losses]}"),
            console=Console(file=sys.stderr),
            disable=not sys.stderr.isatty(),
        )

    def on_train_begin(self, model: nn.Module, epochs: int, batches: int) -> None:
        """Show the bar."""
        self.pace, self.shown = Pace(epochs, batches), 0.0
        self.task = self.progress.add_task("fit", total=epochs, losses="", pace="")
        self.progress.start()

    def on_epoch_begin(self, model: nn.Module) -> None:
        """Start to count the batches of the epoch."""
        self.pace.begin_epoch()

    def on_batch_end(self, step: Step) -> None:
        """Advance the bar by one batch."""
        self.pace.step(step)
        if time.monotonic() - self.shown >= MIN_SECONDS:
            done = self.pace.epochs_done + min(1.0, self.pace.batch / self.pace.batches)
            self.progress.update(self.task, completed=done, pace=pace_of(self.pace))
            self.shown = time.monotonic()

    def on_epoch_end(self, model: nn.Module, history: History) -> bool:
        """Show the losses of the epoch."""
        self.pace.end_epoch(history.epochs)
        self.progress.update(
            self.task,
            completed=history.epochs,
            losses=losses_of(history),
            pace=pace_of(self.pace),
        )
        return False

    def on_resume(self, history: History, batch: int) -> None:
        """Show the epochs and batches that are done."""
        self.pace.resume(history.epochs, batch)
        losses = losses_of(history) if history.epochs else ""
        done = history.epochs + batch / self.pace.batches
        self.progress.update(self.task, completed=done, losses=losses)

    def on_train_end(self, model: nn.Module, history: History) -> None:
        """Stop updating the bar."""
        self.progress.stop()


class NotebookBar(Callback):
    """The progress bar in the output of a notebook cell: one line, which is written over itself."""

    def on_train_begin(self, model: nn.Module, epochs: int, batches: int) -> None:
        """Show the bar."""
        self.stream: TextIO = sys.stdout  # notebooks show stderr on a red background
        self.pace, self.losses = Pace(epochs, batches), ""
        self.width, self.shown = 0, 0.0
        self._show()

    def on_epoch_begin(self, model: nn.Module) -> None:
        """Start to count the batches of the epoch."""
        self.pace.begin_epoch()

    def on_batch_end(self, step: Step) -> None:
        """Advance the bar by one batch."""
        self.pace.step(step)
        if time.monotonic() - self.shown >= MIN_SECONDS:
            self._show()

    def on_epoch_end(self, model: nn.Module, history: History) -> bool:
        """Show the losses of the epoch."""
        self.pace.end_epoch(history.epochs)
        self.losses = losses_of(history)
        if time.monotonic() - self.shown >= MIN_SECONDS:
            self._show()
        return False

    def on_resume(self, history: History, batch: int) -> None:
        """Show the epochs and batches that are done."""
        self.pace.resume(history.epochs, batch)
        self.losses = losses_of(history) if history.epochs else ""
        self._show()

    def on_train_end(self, model: nn.Module, history: History) -> None:
        """Show the last state, and end the line."""
        self._show()
        self.stream.write("\n")
        self.stream.flush()

    def _show(self) -> None:
        pace = self.pace
        share = (pace.epochs_done + min(1.0, pace.batch / pace.batches)) / pace.epochs
        bar = "━" * round(BAR_WIDTH * share)
        parts = [f"epoch {pace.epochs_done}/{pace.epochs} {bar:{BAR_WIDTH}}", pace_of(pace)]
        text = "  ".join(part for part in [*parts, self.losses] if part).rstrip()
        self.stream.write(f"\r{text:{self.width}}")  # spaces cover the end of a longer text
        self.stream.flush()
        self.width, self.shown = max(self.width, len(text)), time.monotonic()


def pace_of(pace: Pace) -> str:
    """Return the batch of a long epoch, the throughput, and the time that is left."""
    batch = f"batch {pace.batch}/{pace.batches}" if pace.seconds >= LONG_EPOCH else ""
    return "  ".join(
        part for part in (batch if pace.batch else "", pace.throughput, pace.left) if part
    )


class EpochLines(Callback):
    """A line on stderr for each epoch, in the form of Keras, for log files.

    An epoch that takes long has a line with the batch after each minute.

    Parameters
    ----------
    passes : int, optional
        For `partial_fit`: number of epochs before. The number of all epochs is then unknown.
    """

    def __init__(self, passes: int | None = None) -> None:
        self.passes = passes

    def on_train_begin(self, model: nn.Module, epochs: int, batches: int) -> None:
        """Start to count epochs and batches."""
        self.pace, self.shown = Pace(epochs, batches), 0.0

    def on_epoch_begin(self, model: nn.Module) -> None:
        """Start to count the batches of the epoch."""
        self.pace.begin_epoch()
        self.shown = 0.0

    def on_batch_end(self, step: Step) -> None:
        """Print a line within an epoch that takes long."""
        self.pace.step(step)
        if self.pace.seconds - self.shown >= MAX_SILENCE:
            self.shown = self.pace.seconds
            batch = f"batch {self.pace.batch}/{self.pace.batches}"
            self._print(self.pace.epochs_done + 1, self.shown, {}, batch)

    def on_resume(self, history: History, batch: int) -> None:
        """Count on from the epochs and batches that are done."""
        self.pace.resume(history.epochs, batch)

    def on_epoch_end(self, model: nn.Module, history: History) -> bool:
        """Print the losses and metrics of the epoch."""
        seconds = self.pace.seconds
        self.pace.end_epoch(history.epochs)
        values = {name: series[-1] for name, series in history.series.items()}
        self._print(history.epochs, seconds, values)
        return False

    def _print(self, epoch: int, seconds: float, values: Mapping[str, float], *before: str) -> None:
        pace = [*before, self.pace.throughput]
        if self.passes is None:
            number = f"{epoch}/{self.pace.epochs}"
            pace.append(self.pace.left)
        else:
            number = str(self.passes + epoch)
        line = epoch_line(number, seconds, values, [part for part in pace if part])
        print(line, file=sys.stderr, flush=True)


def epoch_line(
    epoch: str, seconds: float, values: Mapping[str, float], pace: Sequence[str] = ()
) -> str:
    """Return the line of an epoch.

    Examples
    --------
    >>> values = {"loss": 0.1234, "val_loss": 0.00012345, "learning_rate": 0.001}
    >>> epoch_line("3/20", 1.234, values, ["9 sequences/s"])
    'Epoch 3/20 - 1.2s - 9 sequences/s - loss: 0.1234 - val_loss: 1.2345e-4 - learning_rate: 1.0e-3'
    """
    parts = [f"Epoch {epoch}", f"{seconds:.1f}s", *pace]
    for name, value in values.items():
        digits = ".1e" if name == "learning_rate" else ".4f" if abs(value) > 1e-3 else ".4e"
        text = f"{value:{digits}}".replace("e-0", "e-").replace("e+0", "e+")
        parts.append(f"{name}: {text}")
    return " - ".join(parts)


def losses_of(history: History) -> str:
    """Return the losses of the last epoch in short."""
    losses = f"loss {history.loss[-1]:.4g}"
    if history.val_loss:
        losses += f"  val_loss {history.val_loss[-1]:.4g}"
    return losses
