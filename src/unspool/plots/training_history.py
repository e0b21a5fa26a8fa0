"""`TrainingHistoryDisplay`: the losses of a fit, epoch by epoch."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure

from unspool.data.sequences import FloatArray
from unspool.errors import InputError
from unspool.plots._style import BLUE, GREY, RED, check_fitted_with, one_axes, tidy, whole_ticks

CURVES = {"loss": ("training", BLUE), "val_loss": ("validation", RED)}


class TrainingHistoryDisplay:
    """Training loss, and validation loss where there is one, over the epochs.

    Parameters
    ----------
    history : dict
        "loss", and optionally "val_loss": a list of one number an epoch each.
    best_epoch : int, optional
        The epoch whose weights were kept, counted from 0; it is marked.

    Attributes
    ----------
    ax_, figure_
        Where `plot` drew.

    Examples
    --------
    >>> display = TrainingHistoryDisplay({"loss": [0.9, 0.3, 0.2]}, best_epoch=2)
    >>> display.plot().ax_.get_xlabel()
    'epoch'
    """

    ax_: Axes
    figure_: Figure | SubFigure

    def __init__(self, history: Mapping[str, Any], best_epoch: int | None = None) -> None:
        if "loss" not in history or len(history["loss"]) == 0:
            raise InputError(
                "Expected a history with the loss of at least one epoch under 'loss', got "
                f"{dict(history)!r}."
            )
        epochs = len(history["loss"])
        if "val_loss" in history and len(history["val_loss"]) != epochs:
            raise InputError(
                f"Expected 'val_loss' of {epochs} epochs like 'loss', "
                f"got {len(history['val_loss'])}."
            )
        if best_epoch is not None and not 0 <= best_epoch < epochs:
            raise InputError(
                f"Expected `best_epoch` from 0 to {epochs - 1} (epochs count from 0), "
                f"got {best_epoch}."
            )
        self.history = history
        self.best_epoch = best_epoch

    @classmethod
    def from_estimator(
        cls, estimator: Any, *, ax: Axes | None = None, **kwargs: Any
    ) -> "TrainingHistoryDisplay":
        """Draw the `history_` of a fitted estimator.

        Parameters
        ----------
        estimator : fitted estimator
            Its `history_` holds "loss", and maybe "val_loss" and "best_epoch".
        ax : Axes, optional
            Where to draw; a new figure by default.
        **kwargs
            Passed to `plot`.
        """
        check_fitted_with(estimator, "fit", "history_")
        history = estimator.history_
        return cls(history, history.get("best_epoch")).plot(ax, **kwargs)

    def plot(self, ax: Axes | None = None, **kwargs: Any) -> "TrainingHistoryDisplay":
        """Draw the curves; the y axis is logarithmic where they span more than a decade.

        Parameters
        ----------
        ax : Axes, optional
            Where to draw; a new figure by default.
        **kwargs
            Passed to `Axes.plot` for every curve.
        """
        self.figure_, self.ax_ = _, ax = one_axes(ax, height=4.0)
        curves = {
            name: np.asarray(self.history[name], float) for name in CURVES if name in self.history
        }
        epochs = np.arange(1, len(self.history["loss"]) + 1)
        for name, curve in curves.items():
            label, color = CURVES[name]
            style = {"color": color, "linewidth": 1.6, "label": label}
            if len(epochs) == 1:
                style["marker"] = "o"
            ax.plot(epochs, curve, **{**style, **kwargs})
        if self.best_epoch is not None:
            self._mark(ax, curves)
        drawn = np.concatenate(list(curves.values()))
        drawn = drawn[np.isfinite(drawn)]
        if drawn.size and drawn.min() > 0 and drawn.max() > 10 * drawn.min():
            ax.set_yscale("log")
        ax.xaxis.set_major_locator(whole_ticks())
        ax.set(xlabel="epoch", ylabel="loss", title="Training history")
        tidy(ax)
        ax.legend(frameon=False)
        return self

    def _mark(self, ax: Axes, curves: dict[str, FloatArray]) -> None:
        """Mark the kept epoch on the curve that chose it: validation where there is one."""
        name = "val_loss" if "val_loss" in curves else "loss"
        epoch = int(self.best_epoch or 0)
        ax.axvline(epoch + 1, color=GREY, linewidth=0.8, linestyle=(0, (4, 3)))
        ax.plot(
            epoch + 1,
            curves[name][epoch],
            "o",
            color=CURVES[name][1],
            markeredgecolor="white",
            markersize=7,
            label=f"weights kept: epoch {epoch + 1}, {curves[name][epoch]:.3g}",
        )
