"""A sample of the sequences of a fit, from which warnings say what is likely to be wrong."""

from typing import Any

import numpy as np
import numpy.typing as npt

from unspool.data.sequences import IntArray
from unspool.estimators.batch_runner import runner
from unspool.training.batches import Batch, Batches

SEQUENCES = 2000  # maximum number of sequences of a sample
VALUES = 1 << 23  # maximum number of values in them
RUNS = 16  # runs of neighbours in a sample of a source that is not in memory


def fit_sample(estimator: Any, batches: Batches, sequences: int = SEQUENCES) -> Batches:
    """Return batches of a sample of the sequences of `batches`, spread over them, in order."""
    source = batches.source
    width = max(1, source.max_length * source.n_features)
    count = max(1, min(sequences, VALUES // width))
    some = spread(batches.indices, count, in_runs=source.blocks is not None)
    size = runner(estimator).batch_size(source.max_length)
    return Batches(source, batches.scaler, some, size, batches.device, weights=batches.weights)


def spread(indices: IntArray, count: int, *, in_runs: bool = False) -> IntArray:
    """Return `count` of `indices` at even distances, or in a few runs of neighbours.

    Examples
    --------
    >>> spread(np.arange(100), 4), spread(np.arange(3), 4)
    (array([ 0, 33, 66, 99]), array([0, 1, 2]))
    >>> spread(np.arange(1000), 32, in_runs=True)[:4]
    array([ 0,  1, 66, 67])
    """
    n = len(indices)
    if n <= count:
        return indices
    if not in_runs:
        return indices[np.unique(np.linspace(0, n - 1, count).astype(np.int64))]
    length = max(1, count // RUNS)
    starts = np.linspace(0, n - length, min(RUNS, count)).astype(np.int64)
    return indices[np.unique(starts[:, None] + np.arange(length))]


def scaled_values(batches: Batches) -> npt.NDArray[np.float32]:
    """Return the scaled sequences of batches, (N, T, F), with NaN for padding and missing ones."""
    parts = [_values(batch) for batch in batches]
    steps = max(part.shape[1] for part in parts)
    padded = np.full((sum(map(len, parts)), steps, parts[0].shape[2]), np.nan, dtype=np.float32)
    start = 0
    for part in parts:
        padded[start : start + len(part), : part.shape[1]] = part
        start += len(part)
    return padded


def codes_of(estimator: Any, batches: Batches) -> npt.NDArray[np.float32]:
    """Return the codes of batches, (N, L); of a variational encoder their means."""
    running, encoder = runner(estimator), estimator.module_.encoder
    codes = [
        running.output(len(batch.x), lambda x, lengths: encoder(x, lengths), batch.x, batch.lengths)
        for batch in batches
    ]
    return np.concatenate(codes)


def _values(batch: Batch) -> npt.NDArray[np.float32]:
    values: npt.NDArray[np.float32] = batch.x.cpu().numpy().copy()
    if batch.lengths is not None:
        values[np.arange(values.shape[1]) >= batch.lengths.cpu().numpy()[:, None]] = np.nan
    return values


def feature_names(estimator: Any, count: int) -> list[str]:
    """Return the quoted names of the features, or their numbers."""
    names = getattr(estimator, "feature_names_in_", ())
    if len(names) != count:  # none, or those of the columns of a table, which are steps
        return list(map(str, range(count)))
    return [repr(str(name)) for name in names]
