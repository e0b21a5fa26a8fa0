"""Data that are not in memory are read in pieces, and give the results of data in memory."""

import mmap
from itertools import pairwise
from unittest.mock import Mock

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.dataset
import pyarrow.parquet as pq
import pytest

from tests.forms import Takes
from unspool import LSTMAutoencoder, Sequences, Windows, as_sequences
from unspool.data import stored, stored_table, window_copies, window_places
from unspool.data.futures import Futures
from unspool.data.overlap import shared, window_shift
from unspool.data.spread import spread_sample
from unspool.data.stored import MappedArray, Selected
from unspool.errors import InputError

pytestmark = pytest.mark.filterwarnings(
    "ignore::unspool.errors.NoBetterThanMeanWarning"
)  # few epochs

N, T, F = 60, 12, 3
VALUES = np.random.default_rng(0).normal(size=(N, T, F))
SERIES = VALUES.reshape(-1, F)
PADDED = np.where(np.arange(T)[:, None] < (np.arange(N) % T + 1)[:, None, None], VALUES, np.nan)
TABLE = pa.table(
    {
        "a": SERIES[:, 0],
        "b": pa.array(SERIES[:, 1].astype(np.float32)),
        "c": (SERIES[:, 2] * 10).astype(int),
    }
)


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch):
    """Read all mapped arrays in pieces, and in small ones."""
    monkeypatch.setattr(stored, "LARGE", 1)
    for module in (stored, stored_table, window_copies):
        monkeypatch.setattr(module, "BLOCK_BYTES", 2000)
    monkeypatch.setattr(stored, "RELEASED_BYTES", 5000)
    monkeypatch.setattr(stored, "CLUSTER", 10)
    monkeypatch.setattr(stored_table, "KEPT_BYTES", 4000)


def mapped(folder, values, name="values.npy"):
    np.save(folder / name, values)
    return np.load(folder / name, mmap_mode="r")


def dataset(folder, table=TABLE, files=3, rows=70):
    step = -(-table.num_rows // files)
    for i in range(files):
        pq.write_table(table.slice(i * step, step), folder / f"{i}.parquet", row_group_size=rows)
    return pyarrow.dataset.dataset(folder)


def model(**parameters):
    return LSTMAutoencoder(3, epochs=2, verbose=0, random_state=0, batch_size=1000, **parameters)


def make(kind, folder, values):
    """Sequences that are not in memory."""
    if kind == "memory map":
        return mapped(folder, values)
    if kind == "list of memory maps":
        lengths = np.isfinite(values[:, :, 0]).sum(axis=1)
        return [
            mapped(folder, one[:steps], f"{i}.npy")
            for i, (one, steps) in enumerate(zip(values, lengths, strict=True))
        ]
    if kind == "h5py":
        file = h5py.File(folder / "values.h5", "w")
        return file.create_dataset("x", data=values, chunks=(7, T, F), compression="gzip")
    if kind == "takes":  # NaN at the end of a sequence is padding
        return Takes(values)
    lengths = np.isfinite(values[:, :, 0]).sum(axis=1)
    return Takes(np.nan_to_num(values), lengths)


KINDS = ("memory map", "list of memory maps", "h5py", "takes", "takes, with lengths")


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        *(pytest.param(kind, VALUES, id=f"{kind}, equal lengths") for kind in KINDS),
        # An object whose `take` returns no lengths has no padding.
        *(pytest.param(kind, PADDED, id=f"{kind}, padded") for kind in KINDS if kind != "takes"),
    ],
)
def test_sequences_that_are_not_in_memory_equal_those_in_memory(kind, values, tmp_path):
    there, here = as_sequences(make(kind, tmp_path, values)), Sequences(values)
    assert repr(there) == repr(here)
    assert there.blocks is not None
    some = np.random.default_rng(1).permutation(N)[:25]
    for one, other in zip(there.take(some), here.take(some), strict=True):
        np.testing.assert_array_equal(one, other)
    for one, other in zip(there.chunks(), here.chunks(), strict=True):
        np.testing.assert_array_equal(one, other)
    np.testing.assert_allclose(there.mean_sequence(), here.mean_sequence(), rtol=1e-13)
    np.testing.assert_array_equal(there[3], here[3])
    np.testing.assert_array_equal(there[-1], here[-1])
    part, expected = there[::3].select([2, 0]), here[::3].select([2, 0])
    np.testing.assert_array_equal(part.take([4, 1])[0], expected.take([4, 1])[0])
    with pytest.raises(IndexError):
        there[N]


@pytest.mark.parametrize("kind", KINDS)
def test_blocks_of_sequences_cover_all_and_are_loaded(kind, tmp_path):
    there = as_sequences(make(kind, tmp_path, VALUES))
    assert there.blocks[0] == 0
    assert there.blocks[-1] == N
    assert (np.diff(there.blocks) > 0).all()
    for start, stop in pairwise(there.blocks.tolist()):
        part = there.load(start, stop)
        assert part.blocks is None
        np.testing.assert_array_equal(part.take(np.arange(len(part)))[0], VALUES[start:stop])


def series_of(kind, folder):
    if kind == "memory map":
        return mapped(folder, SERIES)
    if kind == "several memory maps":
        cuts = np.split(SERIES, [100, 130, 160, 500])
        return [mapped(folder, one, f"{i}.npy") for i, one in enumerate(cuts)]
    if kind == "whole numbers":
        return mapped(folder, (100 * SERIES).astype(np.int16))
    if kind == "float16":
        return mapped(folder, SERIES.astype(np.float16))
    return dataset(folder)


@pytest.mark.parametrize("size", [1, 12])
@pytest.mark.parametrize("options", [{}, {"stride": 5}, {"dilation": 2, "tail": True}])
@pytest.mark.parametrize(
    "kind", ["memory map", "several memory maps", "whole numbers", "float16", "Parquet"]
)
def test_windows_of_series_that_are_not_in_memory_equal_those_in_memory(
    kind, options, size, tmp_path
):
    series = series_of(kind, tmp_path)
    there = Windows(series, size, **options)
    plain = TABLE if kind == "Parquet" else series
    if kind != "Parquet":
        plain = [np.array(one) for one in series] if isinstance(series, list) else np.array(series)
    here = Windows(plain, size, **options)
    assert repr(there) == repr(here)
    some = np.random.default_rng(1).permutation(len(here))
    one, other = there.take(some)[0], here.take(some)[0]
    assert one.dtype == other.dtype
    np.testing.assert_array_equal(one, other)
    for one, other in zip(there.chunks(), here.chunks(), strict=True):
        np.testing.assert_array_equal(one, other)
    for one, other in zip(there.latest(), here.latest(), strict=True):
        np.testing.assert_array_equal(one, other)
    for one, other in zip(there.split(0.2), here.split(0.2), strict=True):
        np.testing.assert_array_equal(one, other)
    blocks = there.blocks
    assert blocks[0] == 0
    assert blocks[-1] == len(here)
    for start, stop in [*pairwise(blocks.tolist()), (0, len(here)), (2, 3), (4, 4)]:
        part = there.load(start, stop)
        assert part.blocks is None
        np.testing.assert_array_equal(
            part.take(np.arange(len(part)))[0], here.take(np.arange(start, stop))[0]
        )


@pytest.mark.parametrize("options", [{}, {"dilation": 3}, {"stride": 100, "short": "keep"}])
def test_the_steps_between_distant_windows_are_not_loaded(options, tmp_path):
    series = [mapped(tmp_path, SERIES), mapped(tmp_path, SERIES[:9], "short.npy")]
    if "short" not in options:
        series = series[:1]
    there = Windows(series, 12, **options)
    here = Windows([np.array(one) for one in series], 12, **options)
    if "stride" not in options:
        there, here = there[::100], here[::100]
    part, some = there.load(1, len(there)), np.arange(1, len(here))
    assert sum(len(one) for one in part.series) <= 12 * len(part)
    for one, other in zip(part.take(some - 1), here.take(some), strict=True):
        np.testing.assert_array_equal(one, other)
    np.testing.assert_array_equal(part.lengths_of(some - 1), here.lengths_of(some))
    np.testing.assert_array_equal(part[3], here[4])


def test_short_series_in_files_share_a_block(tmp_path):
    series = [mapped(tmp_path, one, f"{i}.npy") for i, one in enumerate(np.split(SERIES, 72))]
    windows = Windows(series, 4)  # series of 10 steps have 7 windows, and 240 bytes
    assert windows.blocks[:3].tolist() == [0, 56, 112]


def test_blocks_of_selected_windows_are_those_of_their_steps(tmp_path):
    windows = Windows(mapped(tmp_path, SERIES), 4)
    some = windows[np.arange(len(windows))[::-1]]
    assert some.blocks[-1] == len(windows)
    assert len(some.blocks) == len(windows.blocks)
    part = some.load(5, 9)
    np.testing.assert_array_equal(part.take([0])[0], windows.take([len(windows) - 6])[0])


def test_sequences_with_their_futures_are_loaded(tmp_path):
    there, here = Futures(Sequences(mapped(tmp_path, VALUES)), 2), Futures(Sequences(VALUES), 2)
    assert there.blocks is not None
    for one, other in zip(
        there.load(3, 9).take_with_future(np.arange(6)),
        here.take_with_future(np.arange(3, 9)),
        strict=True,
    ):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("kind", ["sequences", "windows", "Parquet"])
def test_a_model_of_data_that_are_not_in_memory_equals_one_of_data_in_memory(kind, tmp_path):
    if kind == "sequences":
        there, here = mapped(tmp_path, VALUES), VALUES
    elif kind == "windows":
        there, here = Windows(mapped(tmp_path, SERIES), 12), Windows(SERIES, 12)
    else:
        there, here = Windows(dataset(tmp_path), 12), Windows(TABLE, 12)
    one, other = model().fit(there), model().fit(here)
    np.testing.assert_array_equal(one.scaler_.scale, other.scaler_.scale)
    np.testing.assert_array_equal(one.transform(there), other.transform(here))
    np.testing.assert_array_equal(one.reconstruct(there), other.reconstruct(here))
    assert one.score(there) == pytest.approx(other.score(here), rel=1e-12)


def test_a_missing_value_is_named_when_it_is_read(tmp_path):
    values = VALUES.copy()
    values[7, 2, 1] = np.nan
    there = mapped(tmp_path, values)
    with pytest.raises(InputError, match="Sequence 7 holds nan at step 2, feature 1"):
        model().fit(there)
    windows = Windows(there.reshape(-1, F), 12)
    with pytest.raises(InputError, match="Series 0 holds nan at step 86, feature 1"):
        windows.take([80])
    with pytest.raises(InputError, match="Series 0 holds nan at step 86, feature 1"):
        windows.load(70, 90)
    with pytest.raises(InputError, match="Series 0 holds nan at step 86, feature 1"):
        list(windows.chunks())


@pytest.mark.parametrize("kind", ["sequences", "windows"])
def test_missing_values_are_found_when_they_are_asked_for(kind, tmp_path):
    values = VALUES.copy()
    values[7, 2, 1] = np.nan

    def source(values, name):
        there = mapped(tmp_path, values, name)
        if kind == "sequences":
            return Sequences(there, missing="mask")
        return Windows(there.reshape(-1, F), 12, missing="mask")

    assert source(values, "with.npy").has_missing
    assert not source(VALUES, "without.npy").has_missing
    with pytest.raises(InputError, match="holds nan at step"):
        source(values, "with.npy").check_complete()
    source(VALUES, "without.npy").check_complete()
    there = source(values, "with.npy")
    one, other = model(missing="mask"), model(missing="mask")
    here = Sequences(values, missing="mask")
    if kind == "windows":
        here = Windows(values.reshape(-1, F), 12, missing="mask")
    np.testing.assert_array_equal(
        one.fit(there).reconstruction_error(there), other.fit(here).reconstruction_error(here)
    )


def test_a_piece_of_an_hdf5_file_is_read_once_by_a_pass(tmp_path):
    data = make("h5py", tmp_path, VALUES)
    read = []

    class Counted:
        shape, dtype, chunks = data.shape, data.dtype, data.chunks
        __array__ = None

        def __getitem__(self, rows):
            read.append((rows.start, rows.stop))
            return data[rows]

    source = Sequences(Counted(), lengths=np.full(N, T))
    for start in range(0, N, 2):
        source.load(start, start + 2)
    assert sum(stop - start for start, stop in read) <= 1.2 * N
    assert len(read) < N / 4


def test_a_row_group_is_read_once_by_a_pass(tmp_path, monkeypatch):
    read = []
    table_of = stored_table.table_of
    monkeypatch.setattr(
        stored_table,
        "table_of",
        lambda piece, *args: (read.append(piece), table_of(piece, *args))[1],
    )
    windows = Windows(dataset(tmp_path), 12)
    list(windows.chunks())
    assert len(read) == len(set(map(id, read))) == len(windows.series[0].pieces)


def test_pages_of_a_mapped_file_are_released(tmp_path, monkeypatch):
    np.save(tmp_path / "x.npy", SERIES)
    array = np.load(tmp_path / "x.npy", mmap_mode="r")
    there = MappedArray(array)
    assert stored.mapping_of(there.array) is not None
    assert stored.mapping_of(np.load(tmp_path / "x.npy", mmap_mode="c")) is None
    assert stored.mapping_of(SERIES) is None
    there.read(0, len(SERIES))
    assert there._touched == 0  # the pages have been released
    there.read(0, 10)
    assert there._touched == 250
    mapping = Mock()
    monkeypatch.setattr(stored, "mapping_of", lambda array: mapping)
    there.read(0, 10)
    assert not mapping.madvise.called
    there.gather(np.arange(0, 720, 4))
    mapping.madvise.assert_called_once_with(mmap.MADV_DONTNEED)


def test_a_selection_of_rows_has_the_blocks_of_its_rows(tmp_path):
    there = MappedArray(mapped(tmp_path, SERIES))
    edges = there.edges
    assert Selected(there, range(10, 700)).edges[1] == edges[1] - 10
    assert Selected(there, np.array([0, 1, 700, 2])).edges.tolist() == [0, 2, 3, 4]


def test_a_column_without_numbers_is_refused_by_its_name(tmp_path):
    table = TABLE.append_column("text", pa.array(["x"] * len(TABLE)))
    with pytest.raises(InputError) as caught:
        Windows(dataset(tmp_path, table), 12)
    assert str(caught.value) == (
        "Expected numbers in column 'text', got string; leave it out, for example with "
        "read_file(path, window=size) or sequences_from_table(dataset, id=column, columns=names)."
    )


def test_a_large_row_group_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(stored_table, "MAX_PIECE_BYTES", 1000)
    with pytest.raises(InputError) as caught:
        Windows(dataset(tmp_path), 12)
    assert str(caught.value) == (
        "The data set has a row group of 70 rows, 1,680 bytes in memory, which is read as a whole; "
        "write it with at most 5 rows in each row group (`row_group_size` of pyarrow)."
    )


def test_an_empty_data_set_is_refused(tmp_path):
    with pytest.raises(InputError, match="Expected a data set with rows"):
        Windows(dataset(tmp_path, TABLE.slice(0, 0), files=1), 12)


def test_a_file_with_other_rows_than_when_it_was_opened_is_an_error_when_it_is_read(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("a,b\n" + "1.5,2\n" * 70)
    windows = Windows(pyarrow.dataset.dataset(path, format="csv"), 12)
    path.write_text("a,b\n" + "1.5,2\n" * 9)
    with pytest.raises(InputError) as caught:
        list(windows.chunks())
    assert str(caught.value) == (
        "The data set has changed: a piece of 70 rows has 9 now; open it again."
    )


def test_a_file_that_was_removed_is_an_error_when_it_is_read(tmp_path):
    windows = Windows(dataset(tmp_path), 12)
    (tmp_path / "2.parquet").unlink()
    with pytest.raises(InputError, match="The data set cannot be read"):
        list(windows.chunks())


@pytest.mark.parametrize("kind", ["sequences", "windows"])
def test_a_sample_is_spread_over_data_that_are_not_in_memory(kind, tmp_path):
    there = (
        Sequences(mapped(tmp_path, VALUES))
        if kind == "sequences"
        else Windows(mapped(tmp_path, SERIES), 12, 3)
    )
    sample = spread_sample(there)
    assert sample.blocks is None
    np.testing.assert_array_equal(sample[0], there[0])
    np.testing.assert_array_equal(sample[len(sample) - 1], there[len(there) - 1])
    here = Sequences(VALUES)
    assert spread_sample(here) is here


def test_overlapping_rows_are_recognised_in_files(tmp_path):
    rows = np.lib.stride_tricks.sliding_window_view(SERIES[:, 0], 8)
    assert window_shift(Sequences(mapped(tmp_path, rows[:, :, None]))) == 1
    assert window_shift(Sequences(mapped(tmp_path, rows[:, None], "rows.npy"))) == 1


def test_validation_sequences_are_searched_for_in_files(tmp_path):
    there = Sequences(mapped(tmp_path, VALUES))
    assert shared(there, there[40:]).equal == 20
    assert shared(there[:40], there[40:]) == shared(Sequences(VALUES[:40]), Sequences(VALUES[40:]))
    windows = Windows(mapped(tmp_path, SERIES, "series.npy"), 12)
    assert len(windows[:600].blocks) > 3
    here = Windows(SERIES, 12)
    for training, validation in (
        (slice(600), slice(605, None)),
        (slice(None, None, 12), slice(600)),
    ):
        expected = shared(here[training], here[validation])
        assert shared(windows[training], windows[validation]) == expected
        assert expected.overlapping > 0


def test_a_bad_value_of_selected_sequences_is_named_by_the_number_that_was_given(tmp_path):
    values = PADDED.copy()
    values[17, 2, 1] = np.inf
    source = Sequences.from_list(make("list of memory maps", tmp_path, values))
    for some, place in ((source[10:][5:], 2), (source.load(10, 30), 7), (source[10:][5:8], -1)):
        with pytest.raises(InputError, match="Sequence 17 holds inf at step 2, feature 1"):
            some.take([place])


def test_memory_maps_of_different_dtypes_equal_arrays_of_them(tmp_path):
    kinds = [np.int16, np.float32, np.float16, np.dtype(">f8")]
    arrays = [(10 * one[: 5 + i]).astype(kinds[i % 4]) for i, one in enumerate(VALUES[:8])]
    for some in ([0, 1], [1, 2], [1, 3], range(8)):
        here = [arrays[i] for i in some]
        there = [mapped(tmp_path, one, f"{i}.npy") for i, one in enumerate(here)]
        everything = np.arange(len(here))
        expected, lengths = Sequences.from_list(here).take(everything)
        source = Sequences.from_list(there)
        for one in (source, source.load(0, len(here))):
            values, found = one.take(everything)
            assert values.dtype == expected.dtype
            np.testing.assert_array_equal(values, expected)
            np.testing.assert_array_equal(found, lengths)


def test_a_block_of_windows_has_the_dtype_of_all_series(tmp_path):
    here = [SERIES[:60].astype(np.float32), SERIES[:60]]
    there = Windows([mapped(tmp_path, one, f"{i}.npy") for i, one in enumerate(here)], 12)
    assert there.load(0, 10).take([1])[0].dtype == Windows(here, 12).take([1])[0].dtype
    assert there.take([1])[0].dtype == np.float64


def test_blocks_of_many_series_are_those_of_each_series(tmp_path):
    lengths = [20, 90, 15, 15, 200, 30, 12]
    series = [mapped(tmp_path, SERIES[:n], f"{i}.npy") for i, n in enumerate(lengths)]
    windows = Windows(series, 12)
    owner, start = windows.place(np.arange(len(windows)))
    of_size = window_copies.BLOCK_BYTES // (8 * F)
    for first, stop in pairwise(windows.blocks.tolist()):
        series_of_block = np.unique(owner[first:stop])
        if len(series_of_block) == 1:
            assert len(np.unique(start[first:stop] // of_size)) == 1
        else:  # small series together
            assert sum(lengths[i] for i in series_of_block) <= of_size
    assert sorted({int(owner[i]) for i in windows.blocks[:-1]} - {5}) == [0, 1, 2, 4]


def test_a_file_that_was_written_again_is_an_error_when_it_is_read(tmp_path):
    lines = "a\n" + "1.5\n" * 40
    (tmp_path / "x.csv").write_text(lines)
    windows = Windows(pyarrow.dataset.dataset(tmp_path / "x.csv", format="csv"), 12)
    for rows in ("2.5\n", "2.5\n" * 39, "2.5\n" * 41):
        (tmp_path / "x.csv").write_text("a\n" + rows)
        with pytest.raises(InputError, match=r"a piece of 40 rows has \d+ now; open it again"):
            windows.take([3])


def test_blocks_of_windows_do_not_depend_on_how_many_are_placed_at_once(tmp_path, monkeypatch):
    windows = Windows(mapped(tmp_path, SERIES), 12, 5)
    found = windows.blocks
    assert len(found) > 5
    for at_once in (1, 7, 17, 50):
        monkeypatch.setattr(window_places, "AT_ONCE", at_once)
        np.testing.assert_array_equal(windows.blocks, found)
