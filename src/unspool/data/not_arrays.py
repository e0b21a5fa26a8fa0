"""Objects that NumPy cannot convert to an array, and how to get an array of them."""

import array
import os
from collections import deque
from collections.abc import Iterator, Mapping, Set
from typing import Any

# Advice by an attribute of such objects, the most specific attribute first.
_BY_ATTRIBUTE = {
    "batch_sizes": "unpack it with torch.nn.utils.rnn.pad_packed_sequence, and give the lengths "
    "with Sequences(values, lengths)",
    "toarray": "sparse data must be dense; give X.toarray()",
    "toPandas": "give X.toPandas()",
    "collect": "it is not computed yet; give X.collect()",
    "to_pandas": "give X.to_pandas()",
    "as_numpy_iterator": "give numpy.stack(list(X.as_numpy_iterator()))",
    "tensors": "give its tensor, X.tensors[0]",
    "batch_sampler": "join its batches in one array, numpy.concatenate([x for x, *_ in X])",
}


def is_array_like(X: Any) -> bool:
    """Return whether NumPy converts `X` to an array of values, not of objects."""
    if hasattr(X, "batch_sizes") or isinstance(X, (str, bytes, bytearray, Mapping)):
        return False
    if isinstance(X, (list, tuple, range, deque)):
        return True
    if any(hasattr(X, f"__array{kind}__") for kind in ("", "_interface", "_struct")):
        return True
    return isinstance(X, (memoryview, array.array, int, float, complex))


def must_be_converted(X: Any) -> bool:
    """Return whether `X` has a method that returns an array or a frame, or joins its batches."""
    return any(hasattr(X, one) for one in _BY_ATTRIBUTE if one != "tensors")


def way_out(X: Any) -> str:
    """Say how to get an array from `X`, which is not array-like."""
    if isinstance(X, (str, os.PathLike)):
        return "read_file(path) reads a file"
    if isinstance(X, (bytes, bytearray)):
        return "convert it with numpy.frombuffer"
    for attribute, cure in _BY_ATTRIBUTE.items():
        if hasattr(X, attribute):
            return cure
    if isinstance(X, Mapping):
        return (
            "give list(X.values()) where each of its values is a sequence, or "
            "numpy.stack(list(X.values()), axis=-1) where each is a feature"
        )
    if isinstance(X, Set):
        return "a set has no order; give a list"
    if isinstance(X, Iterator):
        return "give list(X)"
    if hasattr(X, "compute"):
        return "it is not computed yet; give X.compute()"
    if hasattr(X, "__iter__") or hasattr(X, "__getitem__"):
        return "copy its entries to a list of arrays"
    return "convert it to an array (N, T, F)"
