"""The warning that dimensions of the code are the same for all sequences."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from unspool.estimators.fit_sample import codes_of, fit_sample
from unspool.training.batches import Batches

STILL = 1e-3  # of the median standard deviation of the dimensions: below, one does not move
COLLAPSED = 0.1  # standard deviation of the mean of a variational code (Burda et al. 2016)
NAMED = 10  # maximum number of dimensions that a message names
GOOD = 0.1  # of the loss of the mean: below, the reconstruction is good
# Share of the dimensions that must move. If the loss is low, those that move suffice; a
# variational encoder gives up dimensions that it does not need.
NEEDED, NEEDED_IF_GOOD, NEEDED_IF_VARIATIONAL = 0.75, 0.25, 0.5


def unused_code(estimator: Any, batches: Batches, share_of_mean: float) -> str | None:
    """Return what is wrong with the code, and what may help; None if it is well used.

    Parameters
    ----------
    estimator : estimator
        Fitted model.
    batches : Batches
        Its training data.
    share_of_mean : float
        Loss of the model, divided by that of the mean sequence.
    """
    if getattr(estimator, "latent_dim", None) is None:  # the code is an image or a sequence
        return None
    codes = codes_of(estimator, fit_sample(estimator, batches))
    variational = getattr(estimator, "kl_weight", None) is not None
    still = still_dimensions(codes, variational=variational)
    used = 1 - len(still) / codes.shape[1]
    needed = NEEDED_IF_VARIATIONAL if variational else NEEDED
    if used >= (NEEDED_IF_GOOD if share_of_mean <= GOOD else needed):
        return None
    hardly = "do not move" if len(still) > 1 else "does not move"
    return (
        f"{dimensions(still.tolist(), codes.shape[1])} {hardly}: over {len(codes):,} training "
        f"sequences the standard deviation is below {_limit(variational=variational)}, so the "
        f"decoder learns nothing from there. {remedy(estimator, variational=variational)}"
    )


def still_dimensions(codes: npt.NDArray[np.float32], *, variational: bool) -> npt.NDArray[np.int64]:
    """Return the dimensions of codes (N, L) that are the same for all sequences.

    Examples
    --------
    >>> codes = np.random.default_rng(0).normal(size=(50, 3)) * [1, 0, 1e-4]
    >>> still_dimensions(codes, variational=False)
    array([1, 2])
    """
    deviations = codes.std(axis=0)
    moving = deviations[deviations > 0]
    if variational:
        return np.flatnonzero(deviations < COLLAPSED)
    if not len(moving):
        return np.arange(codes.shape[1])
    return np.flatnonzero(deviations <= STILL * np.median(moving))


def dimensions(numbers: Sequence[int], length: int) -> str:
    """Name dimensions of a code.

    Examples
    --------
    >>> dimensions([3], 8), dimensions([0, 5], 8)
    ('Dimension 3 of the code (of 8)', 'Dimensions 0 and 5 of the code (2 of 8)')
    """
    if len(numbers) == 1:
        return f"Dimension {numbers[0]} of the code (of {length})"
    if len(numbers) > NAMED:
        names = ", ".join(map(str, numbers[:NAMED])) + ", …"
    else:
        names = ", ".join(map(str, numbers[:-1])) + f" and {numbers[-1]}"
    return f"Dimensions {names} of the code ({len(numbers)} of {length})"


def remedy(estimator: Any, *, variational: bool) -> str:
    """Return what may move a code."""
    if variational:
        return f"Lower `kl_weight`, for example to {estimator.kl_weight / 10:.1g}."
    name = "code_activation" if hasattr(estimator, "code_activation") else "activation"
    if getattr(estimator, name, None) == "relu":
        return (
            f"With {name}='relu' a unit can end at 0 for all sequences: use 'linear', or lower "
            "`latent_dim`."
        )
    if getattr(estimator, "code_l1", 0.0):
        return "Lower `code_l1`, or `latent_dim`."
    return "Lower `latent_dim`."


def _limit(*, variational: bool) -> str:
    return f"{COLLAPSED}" if variational else f"{STILL:.1%} of the median of the others"
