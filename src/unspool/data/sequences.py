"""`Sequences`: padded values and lengths, what every model eats.

Main path: `as_sequences` (in `convert`) turns a user's data into a `Sequences` or a `Windows`;
models then only call `len`, `n_features`, `lengths_of`, `take` and `chunks` on it.

Dims, for the whole package: N sequences, B batch, T steps, F features, H hidden units,
L latent size, K forecast horizon.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from unspool.data.frames import names_of
from unspool.data.series import read_one, same_columns
from unspool.data.values import FloatArray as FloatArray
from unspool.data.values import IntArray as IntArray
from unspool.data.values import as_array
from unspool.data.values import as_floats as as_floats
from unspool.data.values import as_reals as as_reals
from unspool.errors import InputError

CHUNK_VALUES = 1 << 20  # values looked at in one go where a whole array need not be


class Sequences:
    """N sequences of up to T steps of F features, padded at their ends.

    Parameters
    ----------
    values : array of shape (N, T, F)
        Real numbers; kept as float32 or float64, other kinds become float64. Not copied unless
        they are converted, or padding holds something other than zeros.
    lengths : array of shape (N,), optional
        Real steps of every sequence, 0 to T. Steps from there on are padding: their values are
        never looked at. By default all T, less those at the end that are NaN in every feature.
    feature_names : sequence of F strings, optional

    Raises
    ------
    InputError
        Where shapes do not fit, or a real step holds NaN or infinity (the message says which).

    Examples
    --------
    >>> ragged = Sequences(np.ones((2, 5, 3)), lengths=[5, 2])
    >>> ragged
    Sequences(2 sequences of 2 to 5 steps, 3 features)
    >>> values, lengths = ragged.take([1])
    >>> values.shape
    (1, 2, 3)
    """

    def __init__(
        self,
        values: npt.ArrayLike,
        lengths: npt.ArrayLike | None = None,
        feature_names: Sequence[str] | None = None,
    ) -> None:
        self.values = as_floats(values, "sequences")
        if self.values.ndim != 3:
            raise InputError(
                "Expected sequences of shape (N, T, F), got an array of shape "
                f"{self.values.shape}; a single sequence goes in as (1, T, F)."
            )
        n, steps, features = self.values.shape
        if features == 0:
            raise InputError(f"Expected at least one feature, got shape {self.values.shape}.")
        if lengths is None:
            self.lengths = real_steps(self.values)
        else:
            self.lengths = _check_lengths(lengths, n, steps)
        self.feature_names = check_feature_names(feature_names, features)
        if (self.lengths < steps).any():
            self.values = _zero_padding(self.values, self.lengths)
        for i, row in _bad_rows(self.values):
            step, feature = np.argwhere(~np.isfinite(row))[0]
            raise InputError(
                f"Sequence {i} holds {row[step, feature]} at step {step}, feature {feature}; "
                "fill or drop such steps (steps that are NaN in every feature up to the end of "
                "a sequence count as padding)."
            )

    @classmethod
    def from_list(
        cls, sequences: Sequence[Any], feature_names: Sequence[str] | None = None
    ) -> "Sequences":
        """Pad N arrays or frames of shape (T_i, F), or (T_i,) for one feature, to the longest.

        Columns of frames come in the order of the first frame, and name the features.
        """
        if len(sequences) == 0:
            raise InputError("Expected at least one sequence, got an empty list.")
        read = [read_one(one, f"sequence {i}") for i, one in enumerate(sequences)]
        reals, labels = same_columns(read, "sequence")
        arrays = [as_floats(array, f"sequence {i}") for i, array in enumerate(reals)]
        filled = [array for array in arrays if array.shape != (0,)]  # [] has no features to count
        features = filled[0].shape[1] if filled and filled[0].ndim == 2 else 1
        for i, array in enumerate(arrays):
            if array.ndim not in (1, 2) or 0 in array.shape[1:]:
                raise InputError(
                    "Expected every sequence as (steps, features) or (steps,), "
                    f"got shape {array.shape} for sequence {i}."
                )
            if array.shape != (0,) and array.size != len(array) * features:
                raise InputError(
                    f"Expected sequences of {features} features like the first, got shape "
                    f"{array.shape} for sequence {i}{_features_first(filled)}."
                )
        arrays = [array.reshape(len(array), features) for array in arrays]
        lengths = np.array([int(real_steps(array)) for array in arrays])
        dtype = np.result_type(*{array.dtype for array in filled or arrays})
        values = np.zeros((len(arrays), lengths.max(), features), dtype)
        for row, array, length in zip(values, arrays, lengths, strict=True):
            row[:length] = array[:length]
        return cls(values, lengths, names_of(labels) if feature_names is None else feature_names)

    @property
    def n_features(self) -> int:
        """Features of a step, F."""
        return int(self.values.shape[2])

    @property
    def max_length(self) -> int:
        """Steps of the longest sequence."""
        return int(self.lengths.max(initial=0))

    @property
    def min_length(self) -> int:
        """Steps of the shortest sequence."""
        return int(self.lengths.min(initial=self.max_length))

    @property
    def shape(self) -> tuple[int, int, int]:
        """(N, T, F), T with the padding."""
        n, steps, features = self.values.shape
        return n, steps, features

    def __len__(self) -> int:
        return len(self.lengths)

    def __repr__(self) -> str:
        shortest, longest = self.min_length, self.max_length
        steps = counted(longest, "step")
        if shortest != longest:
            steps = f"{shortest} to {steps}"
        features = counted(self.n_features, "feature")
        return f"Sequences({counted(len(self), 'sequence')} of {steps}, {features})"

    def __getitem__(self, key: Any) -> Any:
        """Sequence `i` as (T_i, F); or a `Sequences` of a slice, of indices or of a mask."""
        key = row_key(key)
        if isinstance(key, (int, np.integer)):
            return self.values[key, : self.lengths[key]]
        return Sequences(self.values[key], self.lengths[key], self.feature_names)

    def lengths_of(self, indices: npt.ArrayLike) -> IntArray:
        """Lengths of the sequences at `indices`."""
        lengths: IntArray = self.lengths[np.asarray(indices)]
        return lengths

    def take(self, indices: npt.ArrayLike) -> tuple[FloatArray, IntArray]:
        """Gather a batch: values (B, T, F), cut to the longest of the batch, and lengths (B,)."""
        lengths = self.lengths_of(indices)
        values = self.values[np.asarray(indices), : lengths.max(initial=0)]
        check_still_finite(values, self)
        return values, lengths

    def chunks(self) -> Iterator[FloatArray]:
        """Every real step once, as arrays of shape (steps, F)."""
        size = max(1, CHUNK_VALUES // max(1, self.values[0].size)) if len(self) else 1
        steps = np.arange(self.values.shape[1])
        for start in range(0, len(self), size):
            rows = slice(start, start + size)
            values = self.values[rows][steps < self.lengths[rows, None]]
            check_still_finite(values, self)
            yield values

    def without_end(self, steps: int) -> "Sequences":
        """The same sequences, each without its last `steps`."""
        lengths = self.lengths - steps
        return Sequences(self.values[:, : lengths.max(initial=0)], lengths, self.feature_names)

    def mean_sequence(self) -> FloatArray:
        """The mean of each step over the sequences that reach it, shape (T, F), float64."""
        total = self.values.sum(axis=0, dtype=np.float64)  # padding is zero
        reach = (np.arange(self.values.shape[1])[:, None] < self.lengths).sum(axis=1)
        mean: FloatArray = total / np.maximum(reach, 1)[:, None]
        return mean


def check_still_finite(values: npt.NDArray[Any], source: Any) -> None:
    """Refuse values of `source` that were finite when it was made, and are not any more.

    Arrays are referred to, not copied, so that their owner can change them later. Their sum tells
    in a fraction of the time that a look at every value takes. (A product would wake threads of
    BLAS, which take the cores that training runs on.)
    """
    if values.dtype.kind != "f":
        return
    with np.errstate(all="ignore"):
        total = values.sum()
    if not np.isfinite(total) and not np.isfinite(values).all():
        raise InputError(
            f"Expected finite values, but the array below {source!r} was changed and holds NaN or "
            f"infinity now; make a new {type(source).__name__} of it."
        )


def counted(number: int, noun: str) -> str:
    """A number with its noun: "1 step", "2 steps"."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def real_steps(values: FloatArray) -> IntArray:
    """Steps of (..., T, F) up to the last that is not NaN in every feature, shape (...)."""
    steps = values.shape[-2]
    if not np.isnan(values[..., -1:, :]).all(axis=-1).any():
        return np.full(values.shape[:-2], steps, np.int64)
    real = np.asarray(~np.isnan(values).all(axis=-1))
    return np.where(real.any(axis=-1), steps - real[..., ::-1].argmax(axis=-1), 0)


def _features_first(arrays: Sequence[FloatArray]) -> str:
    """A hint, where arrays look like (features, steps)."""
    first, others = {len(array) for array in arrays}, {array.shape[1:] for array in arrays}
    if len(first) == 1 and len(others) > 1 and all(array.ndim == 2 for array in arrays):
        return "; where features come first, as (F, T), give [x.T for x in X]"
    return ""


def check_feature_names(names: Sequence[str] | None, features: int) -> tuple[str, ...] | None:
    """The names as a tuple, after a look at their number."""
    if names is None:
        return None
    if len(names) != features:
        raise InputError(f"Expected {features} feature names, got {len(names)}: {list(names)}.")
    return tuple(map(str, names))


def row_key(key: Any) -> Any:
    """The part of an index that picks rows; scikit-learn indexes with `(rows, ...)`."""
    if isinstance(key, tuple) and len(key) == 2 and key[1] is Ellipsis:
        key = key[0]
    if isinstance(key, (int, np.integer, slice)):
        return key
    array = np.asarray(key)
    if array.shape == (0,):
        return array.astype(np.int64)
    if array.ndim != 1 or array.dtype.kind not in "iub":
        raise InputError(f"Expected an index, a slice, indices or a mask, got {key!r}.")
    return array


def _check_lengths(lengths: npt.ArrayLike, n: int, steps: int) -> IntArray:
    array = as_array(lengths, "`lengths`")
    if array.shape != (n,) or array.dtype.kind not in "iu":
        raise InputError(
            f"Expected `lengths` as {n} whole numbers, got shape {array.shape} of {array.dtype}."
        )
    if n and (array.min() < 0 or array.max() > steps):
        raise InputError(
            f"Expected `lengths` from 0 to {steps} (the steps of `values`), "
            f"got {array.min()} to {array.max()}."
        )
    return array.astype(np.int64)


def _zero_padding(values: FloatArray, lengths: IntArray) -> FloatArray:
    padding = np.arange(values.shape[1]) >= lengths[:, None]
    if np.any(values[padding] != 0):  # NaN is unequal to zero too
        values = values.copy()
        values[padding] = 0
    return values


def _bad_rows(values: FloatArray) -> Iterator[tuple[int, FloatArray]]:
    """Sequences that hold a value which is not finite."""
    size = max(1, CHUNK_VALUES // max(1, values[0].size)) if len(values) else 1
    for start in range(0, len(values), size):
        finite = np.isfinite(values[start : start + size]).all(axis=(1, 2))
        for i in np.flatnonzero(~finite):
            yield start + int(i), values[start + int(i)]
