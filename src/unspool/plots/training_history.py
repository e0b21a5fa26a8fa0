"""`TrainingHistoryDisplay`: training and validation loss over the epochs."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure

from unspool.data.sequences import FloatArray
from unspool.errors import InputError
from unspool.plots._style import BLUE, GREY, RED, check_fitted_with, integer_ticks, one_axes, tidy

CURVES = {"loss": ("training", BLUE), "val_loss": ("validation", RED)}


class TrainingHistoryDisplay:
    """Plot training loss and, if there is one, validation loss over the epochs.

    Parameters
    ----------
    history : dict of str to list of float
        The losses of E epochs under "loss" and, optionally, "val_loss".
    best_epoch : int, optional
        The epoch whose weights were kept, from 0 to E - 1; it is marked.

    Attributes
    ----------
    history : dict of str to list of float
        The losses.
    best_epoch : int or None
        The epoch whose weights were kept, from 0.
    ax_ : Axes
        The axes drawn into.
    figure_ : Figure
        The figure that contains the axes.

    See Also
    --------
    LSTMAutoencoder : Its attribute `history_` holds the losses.

    Examples
    --------
    >>> from unspool.plots import TrainingHistoryDisplay
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
        estimator : estimator
            A fitted estimator with the attribute `history_`, which holds "loss" and, optionally,
            "val_loss" and "best_epoch".
        ax : Axes, optional
            Axes to draw into; a new figure by default.
        **kwargs
            Passed to `plot`.

        Returns
        -------
        TrainingHistoryDisplay
            The display, already drawn.

        Raises
        ------
        InputError
            If the estimator has no method `fit`, or the history has no loss.
        sklearn.exceptions.NotFittedError
            If the estimator is not fitted.

        Examples
        --------
        >>> from unspool import DenseAutoencoder
        >>> from unspool.plots import TrainingHistoryDisplay
        >>> X = np.sin(np.arange(30)[:, None, None] + np.arange(8)[:, None] / 3)
        >>> model = DenseAutoencoder(2, epochs=3, verbose=0, random_state=0).fit(X)
        >>> display = TrainingHistoryDisplay.from_estimator(model)
        >>> len(display.history["loss"])
        3
        """
        check_fitted_with(estimator, "fit", "history_")
        history = estimator.history_
        return cls(history, history.get("best_epoch")).plot(ax, **kwargs)

    def plot(self, ax: Axes | None = None, **kwargs: Any) -> "TrainingHistoryDisplay":
        """Draw the losses; the y axis is logarithmic if they span more than a factor of ten.

        Parameters
        ----------
        ax : Axes, optional
            Axes to draw into; a new figure by default.
        **kwargs
            Passed to `Axes.plot` for every curve.

        Returns
        -------
        TrainingHistoryDisplay
            The same display, with `ax_` and `figure_` set.
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
            self._mark_best_epoch(ax, curves)
        losses = np.concatenate(list(curves.values()))
        losses = losses[np.isfinite(losses)]
        if losses.size and losses.min() > 0 and losses.max() > 10 * losses.min():
            ax.set_yscale("log")
        ax.xaxis.set_major_locator(integer_ticks())
        ax.set(xlabel="epoch", ylabel="loss", title="Training history")
        tidy(ax)
        ax.legend(frameon=False)
        return self

    def _mark_best_epoch(self, ax: Axes, curves: dict[str, FloatArray]) -> None:
        """Mark the epoch that was kept on the validation curve, or else on the training curve."""
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
            label=f"best epoch: {epoch + 1} (loss {curves[name][epoch]:.3g})",
        )
