"""How every estimator trains: it holds out data for validation and runs the training loop."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from torch import nn

from unspool.data.convert import Source
from unspool.data.sequences import IntArray
from unspool.data.windows import Windows
from unspool.errors import InputError
from unspool.training.batches import Batches
from unspool.training.callbacks import Callback, KeepBest, ProgressBar
from unspool.training.loop import train
from unspool.training.objective import Objective
from unspool.training.optimizers import make_optimizer
from unspool.training.schedule import WarmupCosine, count_epochs, count_patience

# `validation_split` "auto" holds out AUTO_SHARE of the sequences and at least MIN_HELD_OUT; none if
# these are more than MAX_SHARE of all.
AUTO_SHARE, MIN_HELD_OUT, MAX_SHARE = 0.1, 5, 0.25


def learn(
    estimator: Any,
    model: nn.Module,
    objective: Objective,
    batches: Batches,
    validation: Batches | None,
    *,
    epochs: int | str,
    callbacks: Sequence[Callback] = (),
) -> dict[str, Any]:
    """Train `model` by the parameters of `estimator`, and return the history."""
    count = count_epochs(epochs, len(batches))
    optimizer = make_optimizer(estimator.optimizer, model.parameters(), estimator.learning_rate)
    also: list[Callback] = [KeepBest(count_patience(estimator.patience, count))]
    if estimator.learning_rate_schedule == "cosine":
        also.append(WarmupCosine(optimizer))
    if estimator.verbose:
        also.append(ProgressBar())
    history = train(
        model,
        objective,
        batches,
        optimizer=optimizer,
        epochs=count,
        validation=validation,
        global_clipnorm=estimator.global_clipnorm,
        callbacks=[*callbacks, *also],
    )
    return history.as_dict()


def split(
    source: Source, share: float | str, rng: np.random.Generator
) -> tuple[IntArray, IntArray]:
    """Split indices into training and validation, at random, or by time for windows."""
    everything = np.arange(len(source))
    auto = isinstance(share, str)
    share = share_for(source) if isinstance(share, str) else share
    if not share:
        return everything, everything[:0]
    if isinstance(source, Windows):
        training, held_out = source.split(share)
    else:
        order = rng.permutation(everything)
        count = max(1, round(len(order) * share))
        training, held_out = np.sort(order[count:]), np.sort(order[:count])
    if not len(training) or not len(held_out):
        if auto:  # no window fits on both sides of the split
            return everything, everything[:0]
        raise InputError(
            f"`validation_split` {share:g} leaves {len(training)} sequences to train on and "
            f"{len(held_out)} to validate on, got n_samples={len(source)}; set "
            "validation_split=0 to train on all of them."
        )
    return training, held_out


def share_for(source: Source) -> float:
    """Return the share that "auto" holds out, or 0.

    Overlapping windows count in part: as if they were next to each other without overlap.
    """
    distinct = min(1.0, source.stride / source.size) if isinstance(source, Windows) else 1.0
    least = MIN_HELD_OUT / max(1.0, len(source) * distinct)
    return 0.0 if least > MAX_SHARE else max(AUTO_SHARE, least)
