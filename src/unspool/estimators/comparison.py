"""The comparison that ends a fit: with the mean sequence, and what helps where that is no worse."""

import warnings
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import torch

from unspool._losses import loss_name
from unspool.data.convert import Source
from unspool.data.futures import Futures
from unspool.data.scaling import moments
from unspool.errors import NoBetterThanMeanWarning
from unspool.nn.losses import LOSSES, count_values, masked_sum
from unspool.training.batches import Batches
from unspool.training.schedule import MIN_UPDATES

EQUAL = 0.001  # share of a constant's loss that the mean sequence has where sequences hardly differ
TRUSTED = 10  # sequences held out, whose loss says something about others
JUMP = 1.5  # a loss so many times that of the epoch before has jumped
STILL = 0.03  # share of the first loss that training has to take off, or it has hardly moved
STEADY = 0.2  # share of the epochs in which a loss may rise that falls steadily, but too slowly


def warn_if_no_better_than_mean(
    estimator: Any, source: Source | Futures, batches: Batches, validation: Batches | None
) -> None:
    """Warn where repeating the mean would have done as well as the model, and say what helps."""
    history, best = estimator.history_, estimator.history_["best_epoch"]
    prefix = "" if validation is None else "val_"
    scaler, loss = estimator.scaler_, loss_name(estimator.loss)
    mean = moments(source.chunks(), source.n_features).mean
    means = {
        "reconstruction": torch.from_numpy(scaler.apply(source.mean_sequence())),
        "forecast": torch.from_numpy(scaler.apply(mean[None])),
    }
    trained = history.get("layers", [history])[0]  # of a stack the outermost, on the data itself
    for name in [one for one in estimator.module_.decoders if one in means]:

        def of_mean(some: Batches, name: str = name) -> float:
            return _loss_of(means[name], name, some, loss)

        reached = history.get(f"{prefix}{name}_loss", history[f"{prefix}loss"])[best]
        guessed = of_mean(validation or batches)
        if 0 < guessed <= reached:
            losses = trained.get(f"{name}_loss", trained["loss"])
            helps = advice(
                losses,
                of_mean(batches),
                trained["learning_rate"],
                of_constant=_loss_of(
                    torch.from_numpy(scaler.apply(mean[None])), name, batches, loss
                ),
                updates=len(losses) * len(batches),
                held_out=None if validation is None else len(validation.indices),
            )
            warnings.warn(
                f"The {name} is no better than the mean sequence (loss {reached:.4g} "
                f"against {guessed:.4g}); {helps}",
                NoBetterThanMeanWarning,
                stacklevel=5,
            )


def _loss_of(mean: torch.Tensor, name: str, batches: Batches, loss: str) -> float:
    """The loss of guessing `mean` (T, F) for what a decoder is to give; 0 where that is nothing."""
    total, count = 0.0, 0
    for x, lengths, y in batches:
        target, own = (x, lengths) if name == "reconstruction" else (y, None)
        assert target is not None
        guess = mean[: target.shape[1]].to(x.device).expand_as(target)
        total += float(masked_sum(LOSSES[loss](guess, target), own))
        count += count_values(target, own, loss)
    return total / max(1, count)


def advice(
    losses: Sequence[float],
    of_mean: float,
    rates: Sequence[float],
    *,
    of_constant: float,
    updates: int,
    held_out: int | None,
) -> str:
    """What helps a model that is no better than the mean sequence.

    Parameters
    ----------
    losses : sequence of float
        The training loss by epoch.
    of_mean : float
        The loss of the mean sequence on the training data.
    rates : sequence of float
        The learning rate by epoch.
    of_constant : float
        The same of the mean of every feature, over all steps.
    updates : int
        Of the weights, in all epochs.
    held_out : int or None
        Sequences that were validated on.

    Returns
    -------
    str
        The end of a sentence, and maybe another one.
    """
    rate, lowest = max(rates), min(losses)
    if of_mean < EQUAL * of_constant:
        return (
            f"the sequences hardly differ, their mean takes off {1 - of_mean / of_constant:.2%} of "
            "the loss of a constant: subtract it (X - X.mean(axis=0)), and fit what is left."
        )
    if held_out is not None and lowest < 0.9 * of_mean:
        if held_out < TRUSTED:
            return (
                f"the training loss is {lowest:.4g}, so {held_out} sequences may be too few to "
                "validate on: set validation_split=0, or hold out more."
            )
        return (
            f"the training loss is {lowest:.4g}, so it does not carry over to sequences held "
            "out: give `fit` more sequences, or lower `latent_dim` and `units`."
        )
    if any(after > JUMP * before for before, after in pairwise(losses)):
        return f"the training loss jumped: lower `learning_rate`, to {rate / 3:.1g} say."
    if updates < MIN_UPDATES:
        return f"train for more `epochs`: {updates} updates of the weights were few."
    half = losses[: len(losses) // 2]  # later the learning rate may have fallen
    rises = sum(after > before for before, after in pairwise(half))
    if lowest > (1 - STILL) * losses[0] or rises < STEADY * len(half):
        return (
            f"the training loss fell slowly: raise `learning_rate`, to {10 * rate:.1g} say, or "
            "train for more `epochs`; or look at the scale of the data."
        )
    return (
        f"the training loss stalled at {lowest:.4g}: lower `learning_rate`, to {rate / 3:.1g} "
        "say, or raise `latent_dim`."
    )
