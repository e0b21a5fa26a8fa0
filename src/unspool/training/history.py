"""The losses and metrics of a training run."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass
class History:
    """Losses and metrics of every epoch: means over real steps and features, in scaled units.

    Parameters
    ----------
    series : dict of str to list of float
        Values by name, one for each epoch. "loss" is the training loss, accumulated while the
        weights change; names with "val_" are measured on validation data after each epoch.
    best_epoch : int
        Index of the epoch whose weights were kept.
    """

    series: dict[str, list[float]] = field(default_factory=dict)
    best_epoch: int = 0

    def add(self, means: Mapping[str, float]) -> None:
        """Append the values of an epoch, by name."""
        for name, mean in means.items():
            self.series.setdefault(name, []).append(mean)

    def drop_last(self) -> None:
        """Remove the values of the last epoch, which need not have all of them."""
        before = self.epochs - 1
        for values in self.series.values():
            del values[before:]

    @property
    def loss(self) -> list[float]:
        """Training loss of every epoch."""
        return self.series.get("loss", [])

    @property
    def val_loss(self) -> list[float]:
        """Validation loss of every epoch; empty without validation data."""
        return self.series.get("val_loss", [])

    @property
    def epochs(self) -> int:
        """Number of finished epochs."""
        return len(self.loss)

    @property
    def monitored(self) -> list[float]:
        """Losses that determine the best epoch: validation losses if there are any."""
        return self.val_loss or self.loss

    def as_dict(self) -> dict[str, Any]:
        """Return copies of the lists by name, and "best_epoch"."""
        return {
            **{name: list(series) for name, series in self.series.items()},
            "best_epoch": self.best_epoch,
        }
