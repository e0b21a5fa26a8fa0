"""What training leaves behind."""

from dataclasses import dataclass, field
from typing import Any


@dataclass
class History:
    """Losses by epoch, means over real steps and features, in the scaled units of the model.

    Parameters
    ----------
    loss : list of float
        Training loss, gathered while the weights were changing.
    val_loss : list of float
        Loss on held-out sequences after each epoch; empty where there are none.
    best_epoch : int
        Index of the epoch whose weights were kept.
    """

    loss: list[float] = field(default_factory=list)
    val_loss: list[float] = field(default_factory=list)
    best_epoch: int = 0

    @property
    def epochs(self) -> int:
        """Epochs done."""
        return len(self.loss)

    @property
    def watched(self) -> list[float]:
        """The losses that say which epoch is best."""
        return self.val_loss or self.loss

    def as_dict(self) -> dict[str, Any]:
        """The history as plain lists; without `val_loss` where nothing was held out."""
        known: dict[str, Any] = {"loss": self.loss, "best_epoch": self.best_epoch}
        return {**known, "val_loss": self.val_loss} if self.val_loss else known
