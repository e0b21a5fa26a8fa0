"""What is called around training: early stopping, the best weights, the progress bar."""

import math
import sys

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from torch import nn

from unspool.training.divergence import clone_tensors
from unspool.training.history import History
from unspool.training.objective import AutoencoderLoss


class Callback:
    """Called by `train`; every method may be left as it is."""

    def on_train_begin(self, model: nn.Module, epochs: int, batches: int) -> None:
        """Before the first epoch; `batches` is how many an epoch has."""

    def on_batch_end(self) -> None:
        """After each step of the optimizer."""

    def on_epoch_end(self, model: nn.Module, history: History) -> bool:
        """After each epoch and its validation; True ends the training."""
        return False

    def on_train_end(self, model: nn.Module, history: History) -> None:
        """After the last epoch; also called when training breaks off with an error."""


class KeepBest(Callback):
    """Keep the weights of the best epoch, and stop when none has been better for a while.

    Parameters
    ----------
    patience : int or None
        Epochs without a better one after which to stop; None trains to the last epoch and keeps
        its weights.
    """

    def __init__(self, patience: int | None) -> None:
        self.patience = patience
        self.best = math.inf
        self.weights: dict[str, object] | None = None

    def on_epoch_end(self, model: nn.Module, history: History) -> bool:
        """Look at the validation loss, or the training loss where nothing is held out."""
        if self.patience is None:
            history.best_epoch = history.epochs - 1
            return False
        watched = history.watched[-1]
        if watched < self.best:
            self.best, history.best_epoch = watched, history.epochs - 1
            self.weights = clone_tensors(model.state_dict())
        return history.epochs - 1 - history.best_epoch >= self.patience

    def on_train_end(self, model: nn.Module, history: History) -> None:
        """Put the best weights back."""
        if self.weights is not None:
            model.load_state_dict(self.weights)


class ScheduledSampling(Callback):
    """Let a decoder that reads its previous step read more and more of its own output.

    The share of true steps falls linearly, from 1 in the first epoch to `last` in the last one.

    Parameters
    ----------
    objective : AutoencoderLoss
        Whose `teacher_forcing` is set.
    last : float

    Source: Bengio et al. 2015, "Scheduled Sampling", section 2.4, linear decay.
    """

    def __init__(self, objective: AutoencoderLoss, last: float) -> None:
        self.objective, self.last = objective, last

    def on_train_begin(self, model: nn.Module, epochs: int, batches: int) -> None:
        """Start with true steps only."""
        self.epochs, self.objective.teacher_forcing = epochs, 1.0

    def on_epoch_end(self, model: nn.Module, history: History) -> bool:
        """Set the share of the next epoch."""
        done = history.epochs / max(1, self.epochs - 1)
        self.objective.teacher_forcing = 1 - (1 - self.last) * min(1.0, done)
        return False


class ProgressBar(Callback):
    """A bar of epochs on stderr with the losses beside it; nothing where that is no terminal."""

    def __init__(self) -> None:
        self.progress = Progress(
            TextColumn("epoch"),
            MofNCompleteColumn(),
            BarColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[losses]}"),
            console=Console(file=sys.stderr),
            disable=not sys.stderr.isatty(),
        )

    def on_train_begin(self, model: nn.Module, epochs: int, batches: int) -> None:
        """Show the bar."""
        self.share = 1 / batches
        self.task = self.progress.add_task("fit", total=epochs, losses="")
        self.progress.start()

    def on_batch_end(self) -> None:
        """Move on by a batch's share of an epoch."""
        self.progress.advance(self.task, self.share)

    def on_epoch_end(self, model: nn.Module, history: History) -> bool:
        """Show the losses of the epoch."""
        losses = f"loss {history.loss[-1]:.4g}"
        if history.val_loss:
            losses += f"  val_loss {history.val_loss[-1]:.4g}"
        self.progress.update(self.task, completed=history.epochs, losses=losses)
        return False

    def on_train_end(self, model: nn.Module, history: History) -> None:
        """Leave the bar as it stands."""
        self.progress.stop()
