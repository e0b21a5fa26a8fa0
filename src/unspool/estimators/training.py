"""How every estimator trains: its parameters looked at, data to validate on, and the loop run."""

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

SHARE = 0.1  # of the sequences, that `validation_split="auto"` holds out
LEAST = 5  # sequences that "auto" holds out, or none where these are more than MOST of all
MOST = 0.25


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
    """Train `model` as the parameters of `estimator` say; the history of it."""
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
    """Indices to train on and to validate on: at random, or by time for windows."""
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
        if auto:  # series without room for a window on either side
            return everything, everything[:0]
        raise InputError(
            f"`validation_split` {share:g} leaves {len(training)} sequences "
            f"to train on and {len(held_out)} to validate on, got n_samples={len(source)}; "
            "set it to 0 to train on all of them."
        )
    return training, held_out


def share_for(source: Source) -> float:
    """The share that "auto" holds out: a tenth, or what `LEAST` sequences are; or 0.

    Windows that overlap count as those that fit side by side.
    """
    apart = min(1.0, source.stride / source.size) if isinstance(source, Windows) else 1.0
    least = LEAST / max(1.0, len(source) * apart)
    return 0.0 if least > MOST else max(SHARE, least)
