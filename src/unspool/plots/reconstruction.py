"""`ReconstructionDisplay`: sequences and what a model makes of them, over each other."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
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
    panels,
    tidy,
    whole_ticks,
)


class ReconstructionDisplay:
    """Input (blue) and reconstruction (red): a row of panels a sequence, a column a feature.

    Parameters
    ----------
    inputs : list of N arrays of shape (T_i, F)
    reconstructions : list of N arrays of shape (T_i, F), or array of shape (N, T, F)
        Steps past the end of the input are left out.
    names : sequence of N names or numbers, optional
        What the titles call the sequences; 0, 1, ... by default.
    feature_names : sequence of F strings, optional

    Attributes
    ----------
    errors : array of shape (N,)
        Mean squared error of every sequence over its steps and features; NaN where it has no step.
    ax_ : array of Axes of shape (N, shown features)
    figure_
        Where `plot` drew.

    Examples
    --------
    >>> display = ReconstructionDisplay([np.zeros((4, 1))], [np.ones((4, 1))])
    >>> display.errors
    array([1.])
    """

    ax_: npt.NDArray[Any]
    figure_: Figure | SubFigure

    def __init__(
        self,
        inputs: Sequence[npt.ArrayLike],
        reconstructions: Sequence[npt.ArrayLike] | FloatArray,
        names: Sequence[Any] | None = None,
        feature_names: Sequence[str] | None = None,
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
        self.errors = np.array([
            np.mean(np.square(one - other, dtype=np.float64)) if len(one) else np.nan
            for one, other in zip(self.inputs, self.reconstructions, strict=True)
        ])  # fmt: skip

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        indices: npt.ArrayLike | slice | None = None,
        *,
        n_sequences: int = 5,
        ax: Any = None,
        **kwargs: Any,
    ) -> "ReconstructionDisplay":
        """Reconstruct a few sequences of `X`, and only those, and draw them.

        Parameters
        ----------
        estimator : fitted estimator with `reconstruct`
        X : whatever `as_sequences` reads
        indices : indices, a slice or a mask, optional
            Which sequences to show; `n_sequences`, evenly spread over `X`, by default.
        n_sequences : int, default 5
        ax : array of Axes, optional
            See `plot`.
        **kwargs
            Passed to `plot`.
        """
        check_fitted_with(estimator, "reconstruct")
        _checks.raise_all(_checks.whole("n_sequences", n_sequences, 1))
        source = as_sequences(X)
        chosen = chosen_rows(len(source), indices, n_sequences)
        few = source[chosen]
        if hasattr(estimator, "_without_future"):
            few = estimator._without_future(few)
        reconstructed = [np.asarray(one) for one in estimator.reconstruct(few)]
        reconstructed = [one[:, None] if one.ndim == 1 else one for one in reconstructed]
        display = cls(list(few), reconstructed, chosen.tolist(), source.feature_names)
        return display.plot(ax, **kwargs)

    def plot(
        self,
        ax: Any = None,
        *,
        max_features: int = 3,
        input_kw: dict[str, Any] | None = None,
        reconstruction_kw: dict[str, Any] | None = None,
    ) -> "ReconstructionDisplay":
        """Draw a row of panels for every sequence, a column for every feature.

        Parameters
        ----------
        ax : array of N × min(F, max_features) Axes, optional
            Where to draw; a new figure by default.
        max_features : int, default 3
            Features shown, the first ones.
        input_kw, reconstruction_kw : dict, optional
            Passed to `Axes.plot` for the input and for the reconstruction.
        """
        _checks.raise_all(_checks.whole("max_features", max_features, 1))
        features = self.inputs[0].shape[1]
        rows, columns = len(self.inputs), min(features, max_features)
        self.figure_, self.ax_ = panels(ax, rows, columns)
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
                panel.xaxis.set_major_locator(whole_ticks(6 if columns > 1 else 10))
                panel.set_ylabel(feature_label(self.feature_names, features, column), fontsize=9)
                panel.margins(x=0.01)
                tidy(panel)
            self.ax_[row, 0].set_title(self._title(row), loc="left", fontsize=10)
        for panel in self.ax_[-1]:
            panel.set_xlabel("step", fontsize=9)
        handles = self.ax_[0, 0].get_lines()
        if ax is not None:
            self.ax_[0, -1].legend(handles=handles, frameon=False, fontsize=9)
            return self
        left_out = f" (first {columns} of {features} features)" if columns < features else ""
        self.figure_.suptitle(f"Input and reconstruction{left_out}")
        self.figure_.legend(handles=handles, loc="outside lower center", ncols=2, frameon=False)
        return self

    def _pair(self, row: int) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
        return self.inputs[row], self.reconstructions[row]

    def _title(self, row: int) -> str:
        told = f"MSE {self.errors[row]:.3g}" if len(self.inputs[row]) else "no steps"
        return f"sequence {self.names[row]} · {told}"


def _check_pairs(inputs: list[npt.NDArray[Any]], reconstructions: Any) -> None:
    if not inputs or len(inputs) != len(reconstructions):
        raise InputError(
            "Expected as many reconstructions as inputs, at least one, got "
            f"{len(reconstructions)} for {len(inputs)}."
        )
    for i, (one, other) in enumerate(zip(inputs, reconstructions, strict=True)):
        if one.ndim != 2 or one.shape[1:] != inputs[0].shape[1:]:
            raise InputError(
                "Expected every input as (steps, features), of as many features as the first, "
                f"got shape {one.shape} for sequence {i}."
            )
        shape = np.shape(other)
        if len(shape) != 2 or shape[0] < len(one) or shape[1] != one.shape[1]:
            raise InputError(
                f"Expected a reconstruction of shape {one.shape} like its input, got {shape} for "
                f"sequence {i}."
            )
