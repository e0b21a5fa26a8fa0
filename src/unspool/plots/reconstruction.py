"""`ReconstructionDisplay`: sequences and their reconstructions."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure

from unspool import _checks
from unspool.data.convert import as_sequences
from unspool.data.sequences import FloatArray, check_feature_names
from unspool.errors import InputError
from unspool.plots._style import (
    BLUE,
    RED,
    check_fitted_with,
    chosen_rows,
    feature_label,
    integer_ticks,
    panels,
    targets_of,
    tidy,
)

MAX_BARS = 8  # features whose errors are drawn


class ReconstructionDisplay:
    """Plot sequences (blue) and their reconstructions (red).

    The panels have one row per sequence and one column per feature.

    Parameters
    ----------
    inputs : list of N arrays of shape (T_i, F)
        The sequences.
    reconstructions : list of N arrays of shape (T_i, F), or array of shape (N, T, F)
        Their reconstructions. Steps after the end of a sequence are ignored.
    names : sequence of N str or int, optional
        Names of the sequences for the titles; 0, 1, … by default.
    feature_names : sequence of F strings, optional
        Axis labels of the features.
    feature_errors : array of shape (N, F), optional
        Error of every feature of every sequence; by default its mean squared error over the steps,
        in the units of the data. `from_estimator` computes it by the loss of the model, in scaled
        units, if it is drawn.

    Attributes
    ----------
    errors : array of shape (N,)
        Mean squared error of every sequence over its steps and features; NaN without steps.
    feature_errors : array of shape (N, F)
        The errors of the features; NaN without steps.
    ax_ : array of Axes of shape (N, min(F, max_features))
        The axes drawn into; with `errors`, one more column.
    figure_ : Figure
        The figure that contains the axes.

    See Also
    --------
    LSTMAutoencoder.reconstruct : Computes reconstructions.
    ImagesDisplay : Plots images and their reconstructions.

    Examples
    --------
    >>> from unspool.plots import ReconstructionDisplay
    >>> display = ReconstructionDisplay([np.zeros((4, 1))], [np.ones((4, 1))])
    >>> display.errors
    array([1.])
    >>> display.plot().ax_.shape
    (1, 1)
    """

    ax_: npt.NDArray[Any]
    figure_: Figure | SubFigure

    def __init__(
        self,
        inputs: Sequence[npt.ArrayLike],
        reconstructions: Sequence[npt.ArrayLike] | FloatArray,
        names: Sequence[Any] | None = None,
        feature_names: Sequence[str] | None = None,
        feature_errors: npt.ArrayLike | None = None,
    ) -> None:
        self.inputs = [np.asarray(one) for one in inputs]
        _check_pairs(self.inputs, reconstructions)
        self.reconstructions = [
            np.asarray(other)[: len(one)]
            for one, other in zip(self.inputs, reconstructions, strict=True)
        ]
        self.names = list(range(len(self.inputs))) if names is None else list(names)
        if len(self.names) != len(self.inputs):
            raise InputError(f"Expected {len(self.inputs)} names, got {len(self.names)}.")
        self.feature_names = check_feature_names(feature_names, self.inputs[0].shape[1])
        squares = [
            np.square(one - other, dtype=np.float64)
            for one, other in zip(self.inputs, self.reconstructions, strict=True)
        ]
        self.errors = np.array([np.mean(one) if len(one) else np.nan for one in squares])
        if feature_errors is None:
            nan = np.full(self.inputs[0].shape[1], np.nan)
            feature_errors = [one.mean(axis=0) if len(one) else nan for one in squares]
        self.feature_errors = np.asarray(feature_errors, np.float64)
        shape = (len(self.inputs), self.inputs[0].shape[1])
        if self.feature_errors.shape != shape:
            raise InputError(
                f"Expected `feature_errors` of shape {shape}, one for each feature of each "
                f"sequence, got {self.feature_errors.shape}."
            )

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        indices: npt.ArrayLike | slice | None = None,
        *,
        n_sequences: int = 5,
        errors: bool = False,
        ax: Any = None,
        **kwargs: Any,
    ) -> "ReconstructionDisplay":
        """Reconstruct the sequences that are shown, and draw them.

        Parameters
        ----------
        estimator : estimator
            A fitted estimator with the method `reconstruct`.
        X : array of shape (N, T, F), or other input of `as_sequences`
            The sequences to choose from.
        indices : array of int, slice or mask, optional
            Indices of the sequences to show; by default `n_sequences` evenly spaced ones.
        n_sequences : int, default 5
            Number of sequences to show if `indices` is not given.
        errors : bool, default False
            Add a column of panels with the error of each feature, as `reconstruction_error` with
            ``per="feature"`` computes it.
        ax : array of N × min(F, max_features) Axes, optional
            Axes to draw into, with `errors` one more in each row; a new figure by default.
        **kwargs
            Passed to `plot`.

        Returns
        -------
        ReconstructionDisplay
            The display, already drawn.

        Raises
        ------
        InputError
            If the estimator has no `reconstruct`, or no sequence is chosen; with ``errors=True``,
            if the loss of the model has no errors by feature.
        sklearn.exceptions.NotFittedError
            If the estimator is not fitted.

        Examples
        --------
        >>> from unspool import DenseAutoencoder
        >>> from unspool.plots import ReconstructionDisplay
        >>> X = np.sin(np.arange(30)[:, None, None] + np.arange(8)[:, None] / 3)
        >>> model = DenseAutoencoder(2, epochs=1, verbose=0, random_state=0).fit(X)
        >>> display = ReconstructionDisplay.from_estimator(model, X, n_sequences=3)
        >>> display.names, display.errors.shape
        ([0, 14, 29], (3,))
        """
        check_fitted_with(estimator, "reconstruct")
        _checks.raise_all(
            _checks.whole("n_sequences", n_sequences, 1), _checks.truth("errors", errors)
        )
        source = as_sequences(X, "mask")  # the estimator refuses missing values, if it must
        chosen = chosen_rows(len(source), indices, n_sequences)
        few = source[chosen]
        feature_errors = None
        if errors:
            check_fitted_with(estimator, "reconstruction_error")
            feature_errors = estimator.reconstruction_error(few, per="feature")
        if hasattr(estimator, "_without_future"):
            few = estimator._without_future(few)
        reconstructed = [np.asarray(one) for one in estimator.reconstruct(few)]
        reconstructed = [one[:, None] if one.ndim == 1 else one for one in reconstructed]
        shown = targets_of(estimator, few)
        names = chosen.tolist()
        display = cls(list(shown), reconstructed, names, shown.feature_names, feature_errors)
        return display.plot(ax, errors=errors, **kwargs)

    def plot(
        self,
        ax: Any = None,
        *,
        max_features: int = 3,
        errors: bool = False,
        input_kw: dict[str, Any] | None = None,
        reconstruction_kw: dict[str, Any] | None = None,
    ) -> "ReconstructionDisplay":
        """Draw one row of panels per sequence and one column per feature.

        Parameters
        ----------
        ax : array of N × min(F, max_features) Axes, optional
            Axes to draw into, with `errors` one more in each row; a new figure by default.
        max_features : int, default 3
            Maximum number of features to show, the first ones.
        errors : bool, default False
            Add a column of panels with a bar for the error of each feature (`feature_errors`), the
            first feature on top; if there are more than 8 features, of the 8 with the largest
            errors.
        input_kw : dict, optional
            Passed to `Axes.plot` for the input.
        reconstruction_kw : dict, optional
            Passed to `Axes.plot` for the reconstruction.

        Returns
        -------
        ReconstructionDisplay
            The same display, with `ax_` and `figure_` set.

        Raises
        ------
        InputError
            If `max_features` is below 1, or the number of axes is wrong.
        """
        _checks.raise_all(
            _checks.whole("max_features", max_features, 1), _checks.truth("errors", errors)
        )
        features = self.inputs[0].shape[1]
        rows, columns = len(self.inputs), min(features, max_features)
        self.figure_, self.ax_ = panels(ax, rows, columns, errors=errors)
        styles = (
            {"color": BLUE, "linewidth": 2.6, "alpha": 0.55, "label": "input", **(input_kw or {})},
            {
                "color": RED,
                "linewidth": 1.1,
                "label": "reconstruction",
                **(reconstruction_kw or {}),
            },
        )
        for row in range(rows):
            for column in range(columns):
                panel = self.ax_[row, column]
                for values, style in zip(self._pair(row), styles, strict=True):
                    marker = "o" if len(values) == 1 else None
                    panel.plot(values[:, column], **{"marker": marker, **style})
                panel.xaxis.set_major_locator(integer_ticks(6 if columns > 1 else 10))
                panel.set_ylabel(feature_label(self.feature_names, features, column), fontsize=9)
                panel.margins(x=0.01)
                tidy(panel)
            self.ax_[row, 0].set_title(self._title(row), loc="left", fontsize=10)
            if errors:
                self._draw_errors(self.ax_[row, columns], row)
        for panel in self.ax_[-1, :columns]:
            panel.set_xlabel("time step", fontsize=9)
        if errors:
            self.ax_[-1, columns].set_xlabel("error", fontsize=9)
        handles = self.ax_[0, 0].get_lines()
        if ax is not None:
            self.ax_[0, columns - 1].legend(handles=handles, frameon=False, fontsize=9)
            return self
        left_out = f" (first {columns} of {features} features)" if columns < features else ""
        self.figure_.suptitle(f"Input and reconstruction{left_out}")
        self.figure_.legend(handles=handles, loc="outside lower center", ncols=2, frameon=False)
        return self

    def _draw_errors(self, panel: Axes, row: int) -> None:
        """Draw the errors of the features of a sequence as bars, the first feature on top."""
        values, features = self.feature_errors[row], self.feature_errors.shape[1]
        shown = np.sort(np.argsort(-values, kind="stable")[:MAX_BARS])
        panel.barh(np.arange(len(shown)), np.nan_to_num(values[shown]), color=RED)
        labels = [feature_label(self.feature_names, features, feature) for feature in shown]
        panel.set_yticks(np.arange(len(shown)), labels)
        panel.invert_yaxis()
        tidy(panel)
        panel.tick_params(axis="y", labelsize=8)

    def _pair(self, row: int) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
        return self.inputs[row], self.reconstructions[row]

    def _title(self, row: int) -> str:
        error = f"MSE {self.errors[row]:.3g}" if len(self.inputs[row]) else "no steps"
        return f"sequence {self.names[row]} · {error}"


def _check_pairs(inputs: list[npt.NDArray[Any]], reconstructions: Any) -> None:
    if not inputs or len(inputs) != len(reconstructions):
        raise InputError(
            "Expected one reconstruction for each input, and at least one input, got "
            f"{len(reconstructions)} reconstructions for {len(inputs)} inputs."
        )
    for i, (one, other) in enumerate(zip(inputs, reconstructions, strict=True)):
        if one.ndim != 2 or one.shape[1:] != inputs[0].shape[1:]:
            raise InputError(
                "Expected every input of shape (steps, features) with the features of the first, "
                f"got shape {one.shape} for sequence {i}."
            )
        shape = np.shape(other)
        if len(shape) != 2 or shape[0] < len(one) or shape[1] != one.shape[1]:
            raise InputError(
                f"Expected a reconstruction of shape {one.shape}, as its input, got {shape} for "
                f"sequence {i}."
            )
