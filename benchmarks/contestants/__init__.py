"""The same work, once for each of those who are timed; see `benchmarks.worker`.

A module has `PACKAGES`, whose versions its rows record, and ``prepare(job) -> Ready``.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt


class Job(NamedTuple):
    """What a contestant is asked to do.

    Parameters
    ----------
    case : str
        "train", "encode", "train_gru", "encode_gru", "epoch" or "peak".
    how : str
        Which of the ways of this module; see `benchmarks.cases.Contestant`.
    threads : int
    inputs : dict of arrays
        See `benchmarks.inputs`.
    """

    case: str
    how: str
    threads: int
    inputs: Mapping[str, npt.NDArray[Any]]


class Ready(NamedTuple):
    """A contestant that can be timed.

    Parameters
    ----------
    call : function
        The work once.
    numbers : dict of arrays
        What came out of it; see `benchmarks.truth`.
    backend : str
        What did the work.
    flops : int, optional
        Operations of a call, where only the contestant can know.
    """

    call: Callable[[], object]
    numbers: Mapping[str, npt.NDArray[np.generic] | float]
    backend: str
    flops: int = 0
