"""What the calls of `fit` of all estimators have in common: their arguments, and how they go on."""

from typing import Any

from unspool.estimators.checkpointing import read_checkpoint_arguments
from unspool.estimators.freezing import read_freeze
from unspool.estimators.going_on import read_start
from unspool.estimators.training import Run
from unspool.estimators.user_callbacks import read_callbacks

# What the warning of an interruption says in the end.
CONTINUE_FIT = "the best weights so far are kept; continue with `fit(X, initial=model)`."
CONTINUE_CHECKPOINT = (
    "the best weights so far are kept; the same call of `fit` continues from the checkpoint."
)
CONTINUE_WARM_START = (  # `warm_start` would start from the weights so far
    "the best weights so far are kept; the same call of `fit` on an estimator that is as this one "
    "was before continues from the checkpoint."
)
CONTINUE_PARTIAL_FIT = "the weights so far are kept; continue with `partial_fit`."


def read_fit_arguments(
    estimator: Any,
    initial: Any,
    freeze: Any,
    callbacks: Any,
    checkpoint: Any,
    checkpoint_every: Any,
) -> Run:
    """Check the arguments of `fit` that do not concern the data.

    Raises
    ------
    InputError
        If an argument cannot be used.
    ModelFileError
        If the file `initial` or `checkpoint` cannot be read.
    """
    start, how = None, "initial"
    if initial is not None:
        start = read_start(initial)
    elif estimator.warm_start and estimator.__sklearn_is_fitted__():
        start, how = read_start(estimator), "warm_start"
    run = Run(start, how, read_freeze(freeze), read_callbacks(callbacks))
    run.checkpoint = read_checkpoint_arguments(estimator, checkpoint, checkpoint_every)
    return run


def how_to_go_on(estimator: Any, run: Run) -> str:
    """Return the end of the warning if a signal ends this call of `fit`."""
    if run.checkpoint is None:
        return CONTINUE_FIT
    return CONTINUE_WARM_START if estimator.warm_start else CONTINUE_CHECKPOINT
