"""Sequences and windows that count how they are read in blocks, as if they were in a file."""

import numpy as np

from unspool import Sequences, Windows


class InBlocks:
    """A source in memory with the `blocks` of one in a file.

    Parameters
    ----------
    source : Sequences, Windows or Futures
    edges : sequence of int
        First sequence of each block, and the number of all sequences.
    """

    def __init__(self, source, edges):
        self.source, self.edges = source, np.asarray(edges)
        self.loaded = []  # edges of the blocks that were read
        self.taken = []  # numbers of the sequences that were read one by one

    @property
    def blocks(self):
        return self.edges

    def __getattr__(self, name):
        return getattr(self.source, name)

    def __len__(self):
        return len(self.source)

    def load(self, start, stop):
        self.loaded.append((start, stop))
        return self.source[np.arange(len(self.source))[start:stop]]

    def take(self, indices):
        self.taken += np.asarray(indices).tolist()
        return self.source.take(indices)


class SequencesInBlocks(InBlocks, Sequences):
    """`Sequences` in blocks."""

    n_features = property(lambda self: self.source.n_features)
    max_length = property(lambda self: self.source.max_length)
    min_length = property(lambda self: self.source.min_length)
    lengths_of = property(lambda self: self.source.lengths_of)


class WindowsInBlocks(InBlocks, Windows):
    """`Windows` in blocks."""

    n_features = property(lambda self: self.source.n_features)
    max_length = property(lambda self: self.source.max_length)
    min_length = property(lambda self: self.source.min_length)
    lengths_of = property(lambda self: self.source.lengths_of)
    place = property(lambda self: self.source.place)
    ends_of = property(lambda self: self.source.ends_of)
