"""`Sequences`: padded values and lengths, the input of every model.

`as_sequences` (in `convert`) converts a user's data to a `Sequences` or a `Windows`. Models then
call only `len`, `n_features`, `lengths_of`, `take` and `chunks`.

Dimensions in the whole package: N sequences, B batch size, T steps, F features, H hidden units,
L length of the code, K forecast horizon.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from unspool import _checks
from unspool._types import Missing, names
from unspool.data.ahead import read_ahead
from unspool.data.finite import CHUNK_VALUES as CHUNK_VALUES
from unspool.data.finite import FILL_HINT as FILL_HINT
from unspool.data.finite import MASK_HINT as MASK_HINT
from unspool.data.finite import (
    check_read,
    check_sequence,
    rows_with_bad_values,
)
from unspool.data.finite import check_still_finite as check_still_finite
from unspool.data.frames import names_of
from unspool.data.lengths import (
    check_lengths,
    real_steps,
    real_steps_of_stored,
    sum_of_present,
    with_zero_padding,
)
from unspool.data.ragged import float_arrays
from unspool.data.series import read_one, same_columns
from unspool.data.stored import Stored, Values, as_stored
from unspool.data.stored_runs import Runs, mapped_runs, pieces, runs_in_memory
from unspool.data.values import FloatArray as FloatArray
from unspool.data.values import IntArray as IntArray
from unspool.data.values import as_floats as as_floats
from unspool.data.values import as_reals as as_reals
from unspool.errors import InputError

FEW = 32  # so few lengths are compared faster in Python than in NumPy


class Sequences:
    """N sequences of up to T steps and F features, padded at their ends.

    Every estimator accepts a `Sequences` as ``X``. Padding never affects codes, losses or
    gradients.

    Parameters
    ----------
    values : array of shape (N, T, F), or object with such sequences
        Real numbers. float32 and float64 are kept, other dtypes become float64. The array is
        copied only if it must be converted, or if its padding contains anything but zeros.
        Memory-mapped arrays and data sets of h5py or zarr of at least 256 MiB, and objects with
        ``len`` and ``take(indices)`` or indices, are read in pieces, when a batch needs them; the
        guide "Data larger than memory" describes them.
    lengths : array of int, shape (N,), optional
        Number of real steps of every sequence, from 0 to T. Later steps are padding, and their
        values are ignored. By default, steps at the end that are NaN in every feature are padding.
    feature_names : sequence of F str, optional
        Names of the features.
    missing : {"raise", "mask"}, default "raise"
        Whether a real step may contain NaN, which is a missing value: raise an error, or keep it
        for models with ``missing="mask"``.

    Attributes
    ----------
    values : array of shape (N, T, F)
        The values, with zeros as padding; or an object that reads its rows when it is indexed, if
        they are not in memory.
    lengths : array of int64, shape (N,)
        Number of real steps of every sequence.
    feature_names : tuple of F str, or None
        Names of the features, if they are known.
    missing : {"raise", "mask"}
        The parameter.

    Raises
    ------
    InputError
        If shapes do not fit together, or a real step contains infinity, or NaN with
        ``missing="raise"``.

    See Also
    --------
    as_sequences : Convert arrays, lists and frames.
    Windows : Sliding windows over long series.

    Notes
    -----
    Indexing with an int returns one sequence as an array (T_i, F); a slice, indices or a boolean
    mask return a `Sequences`. scikit-learn's cross-validation can therefore split a `Sequences`.

    Examples
    --------
    >>> import numpy as np
    >>> from unspool import Sequences
    >>> ragged = Sequences(np.ones((2, 5, 3)), lengths=[5, 2])
    >>> ragged
    Sequences(2 sequences of 2 to 5 steps, 3 features)
    >>> ragged[1].shape
    (2, 3)
    >>> values, lengths = ragged.take([1])
    >>> values.shape
    (1, 2, 3)
    """

    def __init__(
        self,
        values: npt.ArrayLike,
        lengths: npt.ArrayLike | None = None,
        feature_names: Sequence[str] | None = None,
        missing: Missing = "raise",
    ) -> None:
        _checks.raise_all(_checks.choice("missing", missing, names(Missing)))
        self.missing = missing
        stored = as_stored(values)
        self.values: Any = as_floats(values, "sequences") if stored is None else stored.as_floats()
        if self.values.ndim != 3:
            raise InputError(
                "Expected sequences of shape (N, T, F), got an array of shape "
                f"{self.values.shape}; give a single sequence as (1, T, F)."
            )
        n, steps, features = self.values.shape
        if features == 0:
            raise InputError(f"Expected at least one feature, got shape {self.values.shape}.")
        if lengths is not None:
            self.lengths = check_lengths(lengths, n, steps)
        elif isinstance(self.values, Stored):
            self.lengths = real_steps_of_stored(self.values if stored is None else stored)
        else:
            self.lengths = real_steps(self.values)
        self.feature_names = check_feature_names(feature_names, features)
        # None: it is known when all steps have been read.
        self._has_missing: bool | None = None if missing == "mask" else False
        if not isinstance(self.values, Stored):
            if (self.lengths < steps).any():
                self.values = with_zero_padding(self.values, self.lengths)
            self._has_missing = self._check_values(self.values, missing)

    def _check_values(self, values: FloatArray, missing: Missing) -> bool:
        """Return whether a real step contains NaN; refuse infinity, and NaN if it must not."""
        found = False
        for i, row in rows_with_bad_values(values):
            found = True
            check_sequence(row, i, missing)
        return found

    @property
    def has_missing(self) -> bool:
        """Whether a real step contains NaN; values that are not in memory are read to learn it."""
        if self._has_missing is None:
            for _ in self.chunks():
                pass
        return bool(self._has_missing)

    @has_missing.setter
    def has_missing(self, found: bool) -> None:
        self._has_missing = found

    @property
    def blocks(self) -> IntArray | None:
        """Edges of runs of sequences that are read together; None if the values are in memory."""
        if isinstance(self.values, Runs) and self.values.in_memory:
            return None
        return self.values.edges if isinstance(self.values, Stored) else None

    @property
    def reads_ahead(self) -> bool:
        """Whether values that are not in memory may be read in another thread."""
        return self.blocks is not None and self.values.any_thread

    def load(self, start: int, stop: int) -> "Sequences":
        """Read sequences into memory.

        Parameters
        ----------
        start, stop : int
            Number of the first sequence, and of the one after the last.

        Returns
        -------
        Sequences
            The sequences, in memory.
        """
        numbers = np.arange(start, stop)
        if isinstance(self.values, Runs):
            return self._with(self.values.loaded(start, stop), self.lengths[start:stop])
        values, lengths = self.values[start:stop], self.lengths[start:stop]
        if isinstance(self.values, Stored):
            values = self._read(values, numbers, lengths)
        return self._with(values, lengths)

    def _with(self, values: Values, lengths: IntArray) -> "Sequences":
        """Return sequences with other values, which need no checks."""
        part = object.__new__(Sequences)
        part.__dict__.update(self.__dict__)
        part.values, part.lengths = values, lengths
        return part

    def _read(self, values: FloatArray, numbers: IntArray, lengths: IntArray) -> FloatArray:
        """Return sequences that were read, checked and with zeros as padding."""
        padding = np.arange(values.shape[1]) >= lengths[:, None]
        if padding.any():
            values = np.where(padding[:, :, None], values.dtype.type(0), values)
        if check_read(values, lengths, self.values.numbers_of(numbers), self.missing):
            self._has_missing = True
        return values

    def check_complete(self) -> None:
        """Refuse missing values, for a model that does not accept them.

        Raises
        ------
        InputError
            If a real step contains NaN.
        """
        if self.missing == "raise" or not self.has_missing:
            return
        if isinstance(self.values, Stored):
            complete = self._with(self.values, self.lengths)
            complete.missing = "raise"
            for _ in complete.chunks():
                pass
        else:
            self._check_values(self.values, "raise")

    @classmethod
    def from_list(
        cls,
        sequences: Sequence[Any],
        feature_names: Sequence[str] | None = None,
        missing: Missing = "raise",
    ) -> "Sequences":
        """Pad N sequences of unequal length to the longest.

        Parameters
        ----------
        sequences : list of N arrays or frames of shape (T_i, F), or (T_i,) for one feature
            If frames have their columns in different orders, they are put in the order of the
            first frame.
        feature_names : sequence of F str, optional
            Names of the features; by default the columns of the frames.
        missing : {"raise", "mask"}, default "raise"
            Whether a real step may contain NaN, which is a missing value.

        Returns
        -------
        Sequences
            The padded sequences.

        Raises
        ------
        InputError
            If the list is empty, features differ, or a real step contains infinity, or NaN with
            ``missing="raise"``.

        Examples
        --------
        >>> import numpy as np
        >>> from unspool import Sequences
        >>> Sequences.from_list([np.ones((4, 2)), np.ones((3, 2))])
        Sequences(2 sequences of 3 to 4 steps, 2 features)
        """
        if len(sequences) == 0:
            raise InputError("Expected at least one sequence, got an empty list.")
        read = [read_one(one, f"sequence {i}") for i, one in enumerate(sequences)]
        reals, labels = same_columns(read, "sequence")
        names = names_of(labels) if feature_names is None else feature_names
        if all(array.ndim == 2 and array.shape[1:] == reals[0].shape[1:] for array in reals):
            steps = np.array([int(real_steps(array)) for array in reals])
            if (runs := mapped_runs(reals, steps)) is not None:
                return cls(runs, steps, names, missing)
        arrays, dtype = float_arrays(reals)
        lengths = np.array([int(real_steps(array)) for array in arrays])
        if (runs := runs_in_memory(arrays, lengths, dtype)) is not None:
            found = cls(runs, lengths, names, missing)
            for _ in found.chunks():  # checks that they are finite
                pass
            return found
        values = np.zeros((len(arrays), lengths.max(), arrays[0].shape[1]), dtype)
        for row, array, length in zip(values, arrays, lengths, strict=True):
            row[:length] = array[:length]
        return cls(values, lengths, names, missing)

    @property
    def n_features(self) -> int:
        """Number of features of a step, F."""
        return int(self.values.shape[2])

    @property
    def max_length(self) -> int:
        """Number of steps of the longest sequence."""
        if len(self.lengths) <= FEW:
            return max(self.lengths.tolist(), default=0)
        return int(self.lengths.max())

    @property
    def min_length(self) -> int:
        """Number of steps of the shortest sequence."""
        if len(self.lengths) <= FEW:
            return min(self.lengths.tolist(), default=0)
        return int(self.lengths.min())

    @property
    def shape(self) -> tuple[int, int, int]:
        """Shape (N, T, F) of `values`; T includes padding."""
        return tuple(self.values.shape)

    def __len__(self) -> int:
        return len(self.lengths)

    def __repr__(self) -> str:
        shortest, longest = self.min_length, self.max_length
        steps = (f"{shortest} to " if shortest < longest else "") + counted(longest, "step")
        features = counted(self.n_features, "feature")
        return f"Sequences({counted(len(self), 'sequence')} of {steps}, {features})"

    def __getitem__(self, key: Any) -> Any:
        """Return sequence `i` as (T_i, F), or a `Sequences` of a slice, indices or a mask."""
        key = row_key(key)
        if isinstance(self.values, Stored):
            if isinstance(key, (int, np.integer)):
                if not -len(self) <= key < len(self):
                    raise IndexError(
                        f"Expected an index from {-len(self)} to {len(self) - 1}, got {key}."
                    )
                values, lengths = self.take(np.array([key % len(self)]))
                return values[0, : lengths[0]]
            return self._with(self.values.part(key), self.lengths[key])
        if isinstance(key, (int, np.integer)):
            return self.values[key, : self.lengths[key]]
        return Sequences(self.values[key], self.lengths[key], self.feature_names, self.missing)

    def lengths_of(self, indices: npt.ArrayLike) -> IntArray:
        """Return the number of real steps of the sequences at `indices`.

        Parameters
        ----------
        indices : array of int, shape (B,), or of bool, shape (N,)
            Which sequences.

        Returns
        -------
        array of int64, shape (B,)
            Number of real steps of each.
        """
        lengths: IntArray = self.lengths[np.asarray(indices)]
        return lengths

    def take(self, indices: npt.ArrayLike) -> tuple[FloatArray, IntArray]:
        """Copy a batch of sequences.

        Parameters
        ----------
        indices : array of int, shape (B,), or of bool, shape (N,)
            Which sequences.

        Returns
        -------
        values : array of shape (B, T, F)
            T is the length of the longest sequence of the batch; padding is zero.
        lengths : array of int64, shape (B,)
            Number of real steps of every sequence.
        """
        lengths = self.lengths_of(indices)
        steps = int(lengths.max(initial=0))
        if isinstance(self.values, Stored):
            numbers = np.arange(len(self))[np.asarray(indices)]
            return self._read(self.values.take_steps(numbers, steps), numbers, lengths), lengths
        values = self.values[np.asarray(indices), :steps]
        check_still_finite(values, self)
        return values, lengths

    def chunks(self) -> Iterator[FloatArray]:
        """Iterate over every real step once.

        Yields
        ------
        array of shape (steps, F)
            Steps of one or more sequences.
        """
        yield from read_ahead(self._steps, self._runs(), ahead=self.reads_ahead)
        if self._has_missing is None:  # all steps have been read, and none is missing
            self._has_missing = False

    def _steps(self, run: tuple[int, int]) -> FloatArray:
        """Return the real steps of neighbouring sequences, (steps, F)."""
        stored = isinstance(self.values, Stored)
        rows = slice(*run)
        values = self.take(np.arange(*run))[0] if stored else self.values[rows]
        values = values[np.arange(values.shape[1]) < self.lengths[rows, None]]
        if not stored:
            check_still_finite(values, self)
        return values

    def _runs(self) -> list[tuple[int, int]]:
        """Return first and end of runs of sequences that are processed at once."""
        n, longest, features = self.values.shape
        if isinstance(self.values, Runs):
            return list(pieces(self.lengths, max(1, CHUNK_VALUES // features)))
        size = max(1, CHUNK_VALUES // max(1, longest * features))
        return [(start, min(start + size, n)) for start in range(0, n, size)]

    def without_end(self, steps: int) -> "Sequences":
        """Remove the last steps of every sequence.

        Parameters
        ----------
        steps : int
            Number of steps to remove, at most the length of the shortest sequence.

        Returns
        -------
        Sequences
            The shorter sequences.
        """
        lengths = self.lengths - steps
        longest = int(lengths.max(initial=0))
        if isinstance(self.values, Stored):
            return self._with(self.values.up_to(longest), lengths)
        values = self.values[:, :longest]
        return Sequences(values, lengths, self.feature_names, self.missing)

    def select(self, places: Sequence[int]) -> "Sequences":
        """Select features.

        Parameters
        ----------
        places : sequence of int
            Places of the features, in the order of the result.

        Returns
        -------
        Sequences
            The same sequences, with these features only.
        """
        names = self.feature_names
        chosen = None if names is None else [names[place] for place in places]
        if isinstance(self.values, Stored):
            part = self._with(self.values.of_columns(places), self.lengths)
            part.feature_names = None if chosen is None else tuple(chosen)
            return part
        return Sequences(self.values[:, :, list(places)], self.lengths, chosen, self.missing)

    def mean_sequence(self) -> FloatArray:
        """Compute the mean sequence.

        Returns
        -------
        array of shape (T, F), float64
            Every step is the mean over the sequences that are long enough to have it. Missing
            values are left out; where no sequence has a value, the mean is 0.
        """
        if isinstance(self.values, Stored):
            return self._mean_of_stored()
        if self.has_missing:
            total, count = sum_of_present(self.values, self.lengths)
            return total / np.maximum(count, 1)
        total = self.values.sum(axis=0, dtype=np.float64)  # padding is zero
        reach = (np.arange(self.values.shape[1])[:, None] < self.lengths).sum(axis=1)
        mean: FloatArray = total / np.maximum(reach, 1)[:, None]
        return mean

    def _mean_of_stored(self) -> FloatArray:
        _, longest, features = self.values.shape
        total, count = np.zeros((longest, features)), np.zeros((longest, features), np.int64)
        for start, stop in self._runs():
            values, lengths = self.take(np.arange(start, stop))
            some, present = sum_of_present(values, lengths)
            total[: len(some)] += some
            count[: len(some)] += present
        mean: FloatArray = total / np.maximum(count, 1)
        return mean


def counted(number: int, noun: str) -> str:
    """Return a number with a noun in singular or plural: "1 step", "2 steps"."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def check_feature_names(names: Sequence[str] | None, features: int) -> tuple[str, ...] | None:
    """Return the names as a tuple, and refuse a wrong number of names."""
    if names is None:
        return None
    if len(names) != features:
        raise InputError(f"Expected {features} feature names, got {len(names)}: {list(names)}.")
    return tuple(map(str, names))


def row_key(key: Any) -> Any:
    """Return the part of an index that selects rows; scikit-learn indexes with `(rows, ...)`."""
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
