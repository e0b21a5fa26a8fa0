"""What surrounds every call of `fit`: an error or a signal inside it leaves a usable estimator."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from sklearn.base import BaseEstimator

from unspool._logging import logger
from unspool.errors import InterruptedWarning
from unspool.estimators.saving import python_numbers
from unspool.training.interruption import Interruption, interruptible

LOGGER = logger("unspool.training")


@contextmanager
def fitting(estimator: BaseEstimator, how_to_go_on: str) -> Iterator[Interruption]:
    """Fit an estimator inside: note whether a signal ended it, and undo everything after an error.

    Parameters
    ----------
    estimator : estimator
        Receives the attribute ``interrupted_``.
    how_to_go_on : str
        End of the warning after an interruption.
    """
    with interruptible() as interruption:
        with as_before_if_it_fails(estimator), python_numbers(estimator):
            yield interruption
            estimator.interrupted_ = interruption.answer() is not None
        if estimator.interrupted_ and interruption.outermost:
            message = f"Training was interrupted {interruption.progress}; {how_to_go_on}"
            LOGGER.warning("%s", message)
            warnings.warn(message, InterruptedWarning, stacklevel=4)


@contextmanager
def as_before_if_it_fails(estimator: BaseEstimator) -> Iterator[None]:
    """Restore all attributes of an estimator if an error is raised inside."""
    before = dict(vars(estimator))
    try:
        yield
    except BaseException:  # including KeyboardInterrupt
        estimator.__dict__ = before  # in one operation, which no signal can interrupt
        raise
