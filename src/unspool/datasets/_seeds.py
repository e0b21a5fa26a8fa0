"""Random number generators from the argument `random_state`."""

import numpy as np

from unspool import _checks
from unspool.errors import InputError

Seed = int | np.random.Generator | None
LegacySeed = int | np.random.RandomState | None

LARGEST_LEGACY_SEED = 2**32 - 1


def as_generator(random_state: Seed) -> np.random.Generator:
    """Return a `Generator` unchanged; make one from a seed or, for None, from fresh entropy."""
    if isinstance(random_state, np.random.Generator):
        return random_state
    if _checks.whole("random_state", random_state, 0, none=True):
        raise InputError(
            "`random_state` must be a whole number of at least 0, None or a numpy Generator, got "
            f"{random_state!r}."
        )
    return np.random.default_rng(random_state)


def as_legacy_state(random_state: LegacySeed) -> np.random.RandomState:
    """Return a `RandomState` unchanged; make one from a seed or, for None, from fresh entropy.

    `RandomState` is NumPy's older generator. The data of published experiments was drawn from it,
    and only it reproduces their numbers.
    """
    if isinstance(random_state, np.random.RandomState):
        return random_state
    complaint = _checks.whole("random_state", random_state, 0, none=True)
    if complaint or (random_state is not None and random_state > LARGEST_LEGACY_SEED):
        raise InputError(
            f"`random_state` must be a whole number from 0 to {LARGEST_LEGACY_SEED}, None or a "
            f"numpy RandomState, got {random_state!r}."
        )
    return np.random.RandomState(random_state)
