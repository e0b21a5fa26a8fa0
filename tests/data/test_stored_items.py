"""Objects with `len` and `take` or indices are read as sequences."""

import numpy as np
import pytest

from tests.forms import Takes
from unspool import as_sequences
from unspool.errors import InputError

N, T, F = 60, 12, 3
VALUES = np.random.default_rng(0).normal(size=(N, T, F))


class MapStyle:
    def __init__(self, items):
        self.items = items

    def __len__(self):
        return len(self.items)

    def __getitem__(self, i):
        return self.items[i]


def test_a_map_style_data_set_may_have_labels():
    items = [(one, i % 2) for i, one in enumerate(VALUES.astype(np.float32))]
    np.testing.assert_array_equal(
        as_sequences(MapStyle(items)).take([3, 1])[0], VALUES[[3, 1]].astype(np.float32)
    )


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (MapStyle([]), r"^Expected at least one sequence, got none \(an empty MapStyle\)\.$"),
        (MapStyle([VALUES[0], VALUES[1, :5]]), r"got \(5, 3\) for sequence 1"),
        (MapStyle([1.0, 2.0]), r"Expected every entry of MapStyle as a sequence \(T, F\)"),
        (MapStyle([{"a": VALUES[0]}]), "what MapStyle returns"),
        (Takes(VALUES[:, 0, 0]), r"Expected every entry of Takes as a sequence \(T, F\)"),
    ],
)
def test_what_is_wrong_with_a_data_set_is_named(given, message):
    def read():
        source = as_sequences(given)
        return source.take(np.arange(len(source)))

    with pytest.raises(InputError, match=message):
        read()


def test_an_object_must_return_one_sequence_for_each_index():
    class Wrong(Takes):
        def take(self, indices):
            return self.values

    with pytest.raises(InputError) as caught:
        as_sequences(Wrong(VALUES))
    assert str(caught.value) == (
        "`take` of Wrong must return one sequence for each index, got an array of shape "
        "(60, 12, 3) for 1 indices; return an array (B, T, F), or a tuple of it and lengths (B,)."
    )


@pytest.mark.parametrize("index", [N, -N - 1])
def test_an_index_that_an_object_does_not_have_is_an_error(index):
    sequences = as_sequences(Takes(VALUES))
    np.testing.assert_array_equal(sequences[-1], VALUES[-1])
    with pytest.raises(IndexError) as caught:
        sequences[index]
    assert str(caught.value) == f"Expected an index from -60 to 59, got {index}."


def test_an_object_must_return_the_same_lengths_again():
    class Changing(Takes):
        def take(self, indices):
            self.lengths = self.lengths % T + 1
            return super().take(indices)

    source = as_sequences(Changing(VALUES, np.arange(N) % T + 1))
    with pytest.raises(InputError, match="returned other lengths than before"):
        source.take([0, 1])


def test_a_map_style_data_set_may_return_lists_of_steps():
    rows = [one.tolist() for one in VALUES]
    np.testing.assert_array_equal(as_sequences(MapStyle(rows)).take([3, 1])[0], VALUES[[3, 1]])
    flat = as_sequences(MapStyle([one[:, 0].tolist() for one in VALUES]))
    np.testing.assert_array_equal(flat.take([3])[0][0, :, 0], VALUES[3, :, 0])
    pairs = as_sequences(MapStyle([[one, 1] for one in VALUES]))
    np.testing.assert_array_equal(pairs.take([3])[0], VALUES[[3]])


@pytest.mark.parametrize("length", [-1, T + 1])
def test_an_object_must_return_lengths_within_its_array(length):
    given = Takes(VALUES, np.full(N, length))
    given.take = lambda indices: (VALUES[indices], np.full(len(indices), length))
    with pytest.raises(InputError) as caught:
        as_sequences(given)
    assert str(caught.value) == (
        f"`take` of Takes must return lengths from 0 to 12, the steps of its array, got {length}."
    )
