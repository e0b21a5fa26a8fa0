"""Likely causes of a poor fit that a sample of the training data shows."""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from unspool.estimators.fit_sample import feature_names, fit_sample, scaled_values
from unspool.training.batches import Batches

DOMINANT = 0.9  # share of the variance with which one feature hides the others
OUTLIERS, OF_SEQUENCES = 0.5, 0.01  # the variance that a hundredth of the sequences has
ENOUGH = 100  # sequences of which a hundredth may be outliers
COMPONENTS = 500  # sequences whose principal components are computed
LONG = 64  # more steps are learned more reliably in patches


class Seen(NamedTuple):
    """What a sample of the training data shows.

    Parameters
    ----------
    dominated : str
        The feature, or the few sequences, that have most of the variance, and what helps; or "".
    explained : float or None
        Share of the variance around the mean that principal components explain, as many as the
        code has dimensions. None for a code that is longer than the number of sequences.
    latent_dim : int
        Length of the code.
    also : str
        A sentence about patches, after a space; or "".
    """

    dominated: str = ""
    explained: float | None = None
    latent_dim: int = 0
    also: str = ""


def seen_in_sample(estimator: Any, batches: Batches, decoder: str) -> Seen:
    """Return what a sample of the training data shows of the likely cause of a poor fit."""
    values = scaled_values(fit_sample(estimator, batches))
    around_mean = np.nan_to_num(values - _mean(values))
    squares = around_mean.astype(np.float64) ** 2
    latent_dim = estimator.module_.encoder.latent_dim
    return Seen(
        _dominated(estimator, squares),
        _explained(around_mean, latent_dim) if decoder == "reconstruction" else None,
        latent_dim,
        _patches(estimator, values.shape[1]),
    )


def _mean(values: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    """Return the mean sequence (T, F) of values (N, T, F) with NaN for missing ones."""
    known = ~np.isnan(values)
    total = np.where(known, values, 0).sum(axis=0, dtype=np.float64)
    mean: npt.NDArray[np.float64] = total / np.maximum(known.sum(axis=0), 1)
    return mean


def _dominated(estimator: Any, squares: npt.NDArray[np.float64]) -> str:
    """Name the feature, or say how few sequences, have most of the variance; "" otherwise."""
    total = squares.sum()
    if not total or estimator._loss not in ("mse", "mae", "huber"):
        return ""
    by_feature = squares.sum(axis=(0, 1)) / total
    if len(by_feature) > 1 and by_feature.max() > DOMINANT and estimator.scaling == "none":
        place = int(by_feature.argmax())
        name = feature_names(estimator, len(by_feature))[place]
        return (
            f"feature {name} has {by_feature.max():.0%} of the variance of all "
            f"{len(by_feature)} features, so the loss hardly depends on the others. Set "
            "scaling='standard'."
        )
    by_sequence = squares.sum(axis=(1, 2)) / total
    few = max(1, int(OF_SEQUENCES * len(by_sequence)))
    share = np.sort(by_sequence)[-few:].sum()
    if len(by_sequence) < ENOUGH or share <= OUTLIERS:
        return ""
    return (
        f"{few} of {len(by_sequence):,} sequences that were checked have {share:.0%} of the "
        "variance, so the loss hardly depends on the others. Remove such outliers, or set clip=5 "
        "and scaling='robust'."
    )


def _explained(around_mean: npt.NDArray[np.float64], components: int) -> float | None:
    """Return the share of the variance that principal components explain."""
    rows = around_mean[np.unique(np.linspace(0, len(around_mean) - 1, COMPONENTS).astype(int))]
    rows = rows.reshape(len(rows), -1).astype(np.float64)
    if components >= min(len(rows) - 1, rows.shape[1]):
        return None
    if rows.shape[1] < len(rows):
        rows = rows.T
    eigenvalues = np.linalg.eigvalsh(rows @ rows.T)
    total = eigenvalues.sum()
    return float(eigenvalues[-components:].sum() / total) if total > 0 else None


def _patches(estimator: Any, steps: int) -> str:
    """Return advice for long sequences that are read step by step; "" otherwise."""
    if steps <= LONG or getattr(estimator, "patch_size", None) != 1:
        return ""
    return f" Sequences of {steps} steps are learned more reliably with patch_size='auto'."
