"""The comparison of a fitted model with the mean sequence, and advice if that is no worse."""

from collections.abc import Callable, Sequence
from functools import partial
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import torch

from unspool._loss_parameter import Loss
from unspool.data.convert import Source
from unspool.data.futures import Futures
from unspool.data.scaling import moments
from unspool.data.spread import spread_sample
from unspool.estimators.sample_causes import Seen, seen_in_sample
from unspool.nn.losses import count_values, loss_values, masked_sum, present_in
from unspool.training.batches import Batches
from unspool.training.schedule import MIN_UPDATES

ALIKE = 0.001  # the mean sequence has less than this share of a constant's loss: all are alike
TRUSTED = 10  # held-out sequences whose mean loss is meaningful
JUMP = 1.5  # ratio of the losses of two epochs from which the loss has jumped
MIN_DECREASE = 0.03  # smaller shares of the first loss mean that training has hardly moved
UNEXPLAINED = 0.2  # share of the variance that a code of this length must be able to explain
MAX_RISES = 0.2  # share of epochs with a higher loss up to which the loss falls steadily


class Comparison(NamedTuple):
    """The loss of a decoder, and that of the mean sequence in its place.

    Parameters
    ----------
    decoder : str
        "reconstruction" or "forecast".
    loss : float
        Loss of the weights that are kept: of the validation data, if there are any.
    of_mean : float
        Loss of the mean sequence, on the same data.
    loss_of_mean : callable
        Computes the loss of the mean sequence on other `Batches`.
    warning : str or None
        What helps, if the decoder is no better than the mean sequence.
    """

    decoder: str
    loss: float
    of_mean: float
    loss_of_mean: Callable[[Batches], float]
    warning: str | None


def compare_with_mean(
    estimator: Any, source: Source | Futures, batches: Batches, validation: Batches | None
) -> list[Comparison]:
    """Compare each decoder with the mean sequence, and say what helps one that is no better."""
    history, best = estimator.history_, estimator.history_["best_epoch"]
    prefix = "" if validation is None else "val_"
    scaler, loss, form = estimator.target_scaler_, estimator._loss, estimator._form
    select = estimator.module_.of_targets
    whole = source.source if isinstance(source, Futures) else source
    some = spread_sample(whole)
    mean = moments(some.chunks(), source.n_features).mean
    mean_sequence = some.mean_sequence()[: source.max_length]
    if form.targets is not None:
        places = list(form.targets)
        mean, mean_sequence = mean[places], mean_sequence[:, places]
    if form.n_responses:
        assert isinstance(source, Futures)
        assert source.future is not None
        mean = np.nanmean(source.future, axis=(0, 1))
        mean_sequence = mean[None]
    if validation is not None:  # may have longer sequences; the mean of all steps continues it
        longer = validation.source.max_length - len(mean_sequence)
        mean_sequence = np.concatenate([mean_sequence, np.tile(mean, (max(0, longer), 1))])
    means = {
        "reconstruction": torch.from_numpy(scaler.apply(mean_sequence)),
        "forecast": torch.from_numpy(scaler.apply(mean[None])),
    }
    if scaler.normalization != "none":  # the mean of a normalised sequence is about 0
        means["reconstruction"] = torch.zeros_like(means["reconstruction"])
    trained = history.get("layers", [history])[
        0
    ]  # a stack has several histories; the first is of the outermost pair
    found = []
    for name in [one for one in estimator.module_.decoders if one in means]:
        decoded = partial(_loss_of, means[name], name, loss=loss, select=select)
        reached = history.get(f"{prefix}{name}_loss", history[f"{prefix}loss"])[best]
        guessed = decoded(batches if validation is None else validation)
        warning = None
        if 0 < guessed <= reached and "learning_rate" in trained:  # else its layers are frozen
            losses = trained.get(f"{name}_loss", trained["loss"])
            constant = torch.from_numpy(scaler.apply(mean[None]))
            helps = advice(
                losses,
                decoded(batches),
                trained["learning_rate"],
                of_constant=_loss_of(constant, name, batches, loss=loss, select=select),
                updates=len(losses) * len(batches),
                held_out=None if validation is None else len(validation.indices),
                given=validation is not None and validation.source is not source,
                seen=seen_in_sample(estimator, batches, name),
            )
            warning = (
                f"The {name} is no better than the mean sequence (loss {reached:.4g}, of the mean "
                f"{guessed:.4g}); {helps}"
            )
        found.append(Comparison(name, reached, guessed, decoded, warning))
    return found


def _loss_of(
    mean: torch.Tensor,
    name: str,
    batches: Batches,
    *,
    loss: Loss,
    select: Callable[[torch.Tensor], torch.Tensor],
) -> float:
    """Return the loss of predicting `mean` (T, F) for a decoder's targets; 0 without targets.

    `select` selects the targets (B, T, F_out) of all features.
    """
    total, count = 0.0, 0
    for batch in batches:
        target, steps, weights = batch.target(name, select)
        guess = mean[: target.shape[1]].to(target.device).expand_as(target)
        present = None
        if isinstance(loss, str) and target.isnan().any():
            present = present_in(target, loss)
            weights = present.to(target) if weights is None else present * weights
            target = target.nan_to_num(0.0)
        values = loss_values(guess, target, loss, steps)
        total += float(masked_sum(values, steps, weights))
        count += count_values(values, steps, loss, present)
    return total / max(1, count)


def advice(
    losses: Sequence[float],
    of_mean: float,
    rates: Sequence[float],
    *,
    of_constant: float,
    updates: int,
    held_out: int | None,
    given: bool = False,
    seen: Seen | None = None,
) -> str:
    """Return what may help a model that is no better than the mean sequence.

    Parameters
    ----------
    losses : sequence of float
        Training loss of each epoch.
    of_mean : float
        Loss of the mean sequence on the training data.
    rates : sequence of float
        Learning rate of each epoch.
    of_constant : float
        Loss of the mean of each feature over all steps, on the training data.
    updates : int
        Number of updates of the weights in all epochs.
    held_out : int or None
        Number of sequences that were validated on.
    given : bool, default False
        Whether these are the `validation_data` of `fit`.
    seen : Seen, optional
        What a sample of the training data shows.

    Returns
    -------
    str
        The end of a sentence, and possibly another sentence.
    """
    rate, lowest = max(rates), min(losses)
    if of_mean < ALIKE * of_constant:
        return (
            f"the sequences hardly differ: their mean removes {1 - of_mean / of_constant:.2%} of "
            "the loss of a constant. Subtract it (X - X.mean(axis=0)), and fit the rest."
        )
    if held_out is not None and lowest < 0.9 * of_mean:
        if held_out < TRUSTED:
            helps = (
                "Give more of them in `validation_data`."
                if given
                else "Set validation_split=0, or hold out more."
            )
            return (
                f"the training loss is {lowest:.4g}, so {held_out} sequences may be too few to "
                f"validate on. {helps}"
            )
        return (
            f"the training loss is {lowest:.4g}, so the model does not generalise to held-out "
            "sequences. Give `fit` more sequences, or lower `latent_dim` and `units`."
        )
    if seen is not None and seen.dominated:
        return seen.dominated
    if any(after > JUMP * before for before, after in pairwise(losses)):
        return f"the training loss jumped. Lower `learning_rate`, for example to {rate / 3:.1g}."
    if updates < MIN_UPDATES:
        return f"{updates} updates of the weights were few. Train for more `epochs`."
    if seen is not None and seen.explained is not None and seen.explained < UNEXPLAINED:
        return (
            f"the code may be too short: {seen.latent_dim} principal components, the best linear "
            f"code of this length, explain only {seen.explained:.0%} of the variance around the "
            "mean. Raise `latent_dim`; if the data are mostly noise, smooth them."
        )
    also = "" if seen is None else seen.also
    half = losses[: len(losses) // 2]  # the learning rate may fall later
    rises = sum(after > before for before, after in pairwise(half))
    if lowest > (1 - MIN_DECREASE) * losses[0] or rises < MAX_RISES * len(half):
        return (
            f"the training loss fell slowly. Raise `learning_rate`, for example to "
            f"{10 * rate:.1g}, train for more `epochs`, or check the scale of the data.{also}"
        )
    return (
        f"the training loss stalled at {lowest:.4g}. Lower `learning_rate`, for example to "
        f"{rate / 3:.1g}, or raise `latent_dim`.{also}"
    )
