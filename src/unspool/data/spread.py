"""A sample of sequences from all over data that are not in memory, for statistics after a fit."""

from itertools import pairwise

import numpy as np

from unspool.data.convert import Source
from unspool.data.sequences import Sequences

BLOCKS = 16  # blocks that are read
VALUES = 1 << 23  # most values of the sample


def spread_sample(source: Source) -> Source:
    """Return sequences in memory unchanged, of others a sample in memory.

    Up to 16 blocks from the start to the end of the data are read, and as many sequences of each,
    at equal distances.
    """
    if source.blocks is None:
        return source
    runs = list(pairwise(source.blocks.tolist()))
    chosen = np.unique(np.linspace(0, len(runs) - 1, BLOCKS).astype(np.int64)).tolist()
    count = max(1, VALUES // max(1, source.max_length * source.n_features) // len(chosen))
    shape = count * len(chosen), source.max_length, source.n_features
    values, lengths = np.zeros(shape), np.zeros(shape[0], np.int64)
    filled = 0
    for number in chosen:
        part = source.load(*runs[number])
        some = np.unique(np.linspace(0, len(part) - 1, count).astype(np.int64))
        read, steps = part.take(some)
        values[filled : filled + len(some), : read.shape[1]] = read
        lengths[filled : filled + len(some)] = steps
        filled += len(some)
    return Sequences(values[:filled], lengths[:filled], source.feature_names, source.missing)
