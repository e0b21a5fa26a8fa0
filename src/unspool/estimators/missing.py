"""What replaces missing values: the mean of each feature in training."""

import numpy as np
import numpy.typing as npt
import torch

from unspool.data.convert import Source
from unspool.data.futures import Futures
from unspool.data.scaling import Scaler, moments
from unspool.data.sequences import FloatArray
from unspool.errors import InputError
from unspool.nn import Autoencoder


def set_fill(
    module: Autoencoder,
    source: Source | Futures,
    scaler: Scaler,
    weights: FloatArray | None = None,
) -> None:
    """Set what replaces missing values: the mean of each feature, in scaled units.

    In a model that normalises each sequence it is 0, the level of the sequence.

    Parameters
    ----------
    module : Autoencoder
        The model.
    source : Sequences, Windows or Futures
        The training data.
    scaler : Scaler
        The scaling of the features.
    weights : array of shape (S,), optional
        Weights of all steps of the data.

    Raises
    ------
    InputError
        If a feature has no value at all.
    """
    found = moments(source.chunks(), source.n_features, weights)
    _check_all(found.count > 0, "feature {}")
    fill = torch.from_numpy(scaler.apply(found.mean))
    if scaler.normalization != "none":
        fill = torch.zeros_like(fill)
    if module.encoder.fill is not None:
        module.encoder.fill.copy_(fill)
    if module.skip is not None and module.skip.fill is not None:
        module.skip.fill.copy_(module.of_targets(fill))


def check_present(values: FloatArray, what: str) -> None:
    """Refuse columns of `values` (steps, F) without any value; `what` names column {}."""
    _check_all(np.asarray(~np.isnan(values).all(axis=0)), what)


def _check_all(has_values: npt.NDArray[np.bool_], what: str) -> None:
    if not has_values.all():
        name = what.format(int(np.argmin(has_values)))
        raise InputError(
            f"{name[:1].upper()}{name[1:]} is missing in every step, so nothing can be learned "
            "about it; leave it out."
        )
