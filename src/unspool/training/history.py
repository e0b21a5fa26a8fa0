"""What training leaves behind."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass
class History:
    """Losses and metrics by epoch, means over real steps and features, in scaled units.

    Parameters
    ----------
    series : dict of lists of float
        By name, a number for every epoch. "loss" is the training loss, gathered while the weights
        were changing; what begins with "val_" was measured on held-out sequences after each epoch.
    best_epoch : int
        Index of the epoch whose weights were kept.
    """

    series: dict[str, list[float]] = field(default_factory=dict)
    best_epoch: int = 0

    def add(self, means: Mapping[str, float]) -> None:
        """Add the numbers of an epoch, by name."""
        for name, mean in means.items():
            self.series.setdefault(name, []).append(mean)

    @property
    def loss(self) -> list[float]:
        """The training loss."""
        return self.series.get("loss", [])

    @property
    def val_loss(self) -> list[float]:
        """The loss on held-out sequences; empty where there are none."""
        return self.series.get("val_loss", [])

    @property
    def epochs(self) -> int:
        """Epochs done."""
        return len(self.loss)

    @property
    def watched(self) -> list[float]:
        """The losses that say which epoch is best."""
        return self.val_loss or self.loss

    def as_dict(self) -> dict[str, Any]:
        """The history as plain lists by name, and "best_epoch"."""
        return {**self.series, "best_epoch": self.best_epoch}
