"""Padded sequences of several lengths, in which a single 1 moves."""

import numpy as np

from unspool import _checks
from unspool.data.sequences import Sequences
from unspool.datasets._seeds import Seed, as_generator


def make_moving_ones(
    n_sequences: int = 5000,
    n_features: int = 8,
    max_length: int = 10,
    random_state: Seed = 0,
) -> Sequences:
    """Generate sequences of random length in which feature t is 1 at time step t.

    All other values are 0. From step `n_features` on, all features of a step are 0; such a step
    is not padding.

    Parameters
    ----------
    n_sequences : int, default 5000
        Number of sequences, N, at least 1.
    n_features : int, default 8
        Number of features, F, at least 1.
    max_length : int, default 10
        Largest length of a sequence, at least 1. Lengths are ``round(U(0, max_length))``: 0 and
        `max_length` are half as frequent as the other lengths.
    random_state : int, numpy.random.Generator or None, default 0
        Seed or generator of the lengths. None draws different lengths in each call.

    Returns
    -------
    Sequences
        Its values are a float32 array of shape (N, max_length, F), zero in the padding.

    Raises
    ------
    InputError
        If an argument is out of its range.

    References
    ----------
    .. [1] "LSTM Autoencoder", Stack Overflow, 2017, https://stackoverflow.com/questions/44647258.
       The question generates such sequences with Python's own random numbers, without a seed.

    Examples
    --------
    >>> from unspool.datasets import make_moving_ones
    >>> sequences = make_moving_ones(n_features=3)
    >>> sequences
    Sequences(5000 sequences of 0 to 10 steps, 3 features)
    >>> sequences.values[sequences.lengths.argmax(), :4]
    array([[1., 0., 0.],
           [0., 1., 0.],
           [0., 0., 1.],
           [0., 0., 0.]], dtype=float32)
    """
    _checks.raise_all(
        _checks.whole("n_sequences", n_sequences, 1),
        _checks.whole("n_features", n_features, 1),
        _checks.whole("max_length", max_length, 1),
    )
    lengths = np.rint(as_generator(random_state).uniform(0, max_length, size=n_sequences))
    full = np.eye(max_length, n_features, dtype=np.float32)
    # `Sequences` sets the steps past each length to zero.
    return Sequences(np.tile(full, (n_sequences, 1, 1)), lengths.astype(np.int64))
