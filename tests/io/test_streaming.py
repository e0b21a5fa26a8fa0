"""Files that are read in pieces have the content that they have when they are read as a whole."""

import numpy as np
import pyarrow as pa
import pyarrow.dataset
import pyarrow.parquet as pq
import pytest

from unspool import LSTMAutoencoder, read_file, sequences_from_table
from unspool.errors import InputError
from unspool.io import streaming, time_columns
from unspool.io.streaming import free_memory, streams

h5py = pytest.importorskip("h5py")

STEPS = 720
NUMBERS = np.random.default_rng(0).normal(size=(STEPS, 3))
TIMES = np.datetime64("2024-01-01", "us") + np.arange(STEPS) * np.timedelta64(1, "h")
TIMES[300:] += np.timedelta64(3, "D")
STATIONS = ["north"] * 200 + ["south"] * 520
TABLE = pa.table(
    {
        "time": TIMES,
        "station": STATIONS,
        "heat": NUMBERS[:, 0],
        "speed": pa.array(NUMBERS[:, 1].astype(np.float32)),
        "label": (NUMBERS[:, 2] > 1).astype(int),
        "note": ["calm"] * STEPS,
    }
)


@pytest.fixture
def file(tmp_path):
    pq.write_table(TABLE, tmp_path / "one.parquet", row_group_size=100)
    return tmp_path / "one.parquet"


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "files").mkdir()
    for i in range(3):
        part = TABLE.slice(i * 240, 240)
        pq.write_table(part, tmp_path / "files" / f"part{i}.parquet", row_group_size=70)
    return tmp_path / "files"


def check_same(path, **options):
    there, here = read_file(path, stream=True, **options), read_file(path, stream=False, **options)
    assert there.source.blocks is not None
    assert here.source.blocks is None
    assert repr(there.source) == repr(here.source)
    assert there.source.feature_names == here.source.feature_names
    everything = np.arange(len(here.source))
    for one, other in zip(there.source.take(everything), here.source.take(everything), strict=True):
        np.testing.assert_array_equal(one, other)
    assert dict(there.index).keys() == here.index.keys()
    for name, column in here.index.items():
        np.testing.assert_array_equal(there.index[name], column)
    assert there.steps.keys() == here.steps.keys()
    for name, columns in here.steps.items():
        for one, other in zip(there.steps[name], columns, strict=True):
            np.testing.assert_array_equal(one, other)
    assert there.series_ids == here.series_ids
    if here.time_format is not None and here.rows is not None:
        for one, other in zip(there.rows, here.rows, strict=True):
            np.testing.assert_array_equal(one, other)
        some = np.array([0, 500])
        assert there.time_format.written(None, some).equals(here.time_format.written(None, some))
    return there


@pytest.mark.parametrize(
    "options",
    [
        {"window": 12},
        {"window": 12, "stride": 5, "tail": True, "dilation": 2},
        {"window": "12h"},
        {"window": 12, "max_gap": None},
        {"window": 12, "id": "station"},
        {"id": "station"},
        {"window": 12, "columns": ["speed"]},
        {"window": 12, "weight": "speed"},
        {"rows": True, "columns": ["heat", "speed"], "id": "station"},
        {"window": 12, "missing": "mask", "missing_values": [-200]},
    ],
    ids=str,
)
def test_a_file_read_in_pieces_has_the_content_of_the_whole_file(file, options):
    if options.get("weight"):
        table = TABLE.set_column(3, "speed", pa.array(np.abs(NUMBERS[:, 1])))
        pq.write_table(table, file)
    check_same(file, **options)


@pytest.mark.parametrize(
    "options", [{"window": 12}, {"window": 12, "files": "rows"}, {"id": "station"}], ids=str
)
def test_a_folder_read_in_pieces_has_the_content_of_the_whole_folder(folder, options):
    there = check_same(folder, **options)
    if options == {"id": "station"}:
        assert there.series_ids == ["part0/north", "part0/south", "part1/south", "part2/south"]


def test_a_date_and_a_clock_are_joined_in_files_that_are_read_in_pieces(tmp_path):
    days, clocks = zip(*(str(one).split("T") for one in TIMES.astype("M8[s]")), strict=True)
    table = TABLE.drop_columns(["time", "note"])
    table = table.append_column("date", pa.array(days)).append_column("clock", pa.array(clocks))
    pq.write_table(table, tmp_path / "x.parquet")
    check_same(tmp_path / "x.parquet", window=12)
    check_same(tmp_path / "x.parquet", window=12, time=["date", "clock"])


def save_array(path, values, **others):
    """Write an array as the ending says; HDF5 compressed in chunks, with other arrays beside it."""
    if path.suffix == ".npy":
        np.save(path, values)
        return
    with h5py.File(path, "w") as file:
        file.create_dataset("X", data=values, chunks=True, compression="gzip", fletcher32=True)
        for name, one in others.items():
            file[name] = one


@pytest.mark.parametrize("ending", [".npy", ".h5"])
@pytest.mark.parametrize(
    "kind", ["one series", "one feature", "sequences", "table of sequences", "images"]
)
def test_an_array_read_in_pieces_has_the_content_of_the_whole_array(kind, ending, tmp_path):
    path = tmp_path / f"x{ending}"
    if kind == "images":
        save_array(path, np.arange(4 * 3 * 2, dtype=np.uint8).reshape(4, 3, 2))
        there, here = (read_file(path, images=True, stream=one) for one in (True, False))
        assert not isinstance(there.X, np.ndarray)
        np.testing.assert_array_equal(there.X[:], here.X)
        return
    shapes = {"sequences": (20, 36, 3), "one feature": (-1,)}
    save_array(path, NUMBERS.reshape(shapes.get(kind, NUMBERS.shape)))
    options = {"sequences": {}, "table of sequences": {"rows": True}}.get(kind, {"window": 12})
    check_same(path, **options)


@pytest.mark.parametrize("shape", [(STEPS, 1), (1, STEPS)], ids=str)
def test_a_series_in_hdf5_may_be_a_column_or_a_row(shape, tmp_path):
    save_array(tmp_path / "x.h5", NUMBERS[:, 0].reshape(shape))
    there, here = (read_file(tmp_path / "x.h5", window=12, stream=s) for s in (True, False))
    np.testing.assert_array_equal(there.source.take([0, 700])[0], here.source.take([0, 700])[0])
    assert (there.source.blocks is None) == (shape[0] == 1)  # one row cannot be divided


def test_labels_and_lengths_in_hdf5_are_read_with_values_in_pieces(tmp_path):
    lengths, labels = np.arange(20) + 17, np.arange(20) % 3
    save_array(tmp_path / "x.h5", NUMBERS.reshape(20, 36, 3), y=labels, lengths=lengths)
    there = check_same(tmp_path / "x.h5")
    assert there.source.lengths.tolist() == lengths.tolist()
    assert there.index["label"].tolist() == labels.tolist()
    assert there.notes[0] == "values are read in pieces, when they are needed"


def test_hdf5_is_read_in_pieces_if_it_takes_much_of_the_free_memory(tmp_path, monkeypatch):
    save_array(tmp_path / "x.h5", NUMBERS)
    assert read_file(tmp_path / "x.h5", window=12).source.blocks is None
    monkeypatch.setattr(streaming, "free_memory", lambda: 1000)
    there = read_file(tmp_path / "x.h5", window=12)
    assert there.source.blocks is not None
    assert "because they take 17.3 kB, more than" in there.notes[0]
    assert read_file(tmp_path / "x.h5", window=12, stream=False).source.blocks is None
    with pytest.raises(InputError, match="missing='drop'"):
        read_file(tmp_path / "x.h5", window=12, missing="drop")


def test_damage_of_hdf5_is_named_when_it_is_read(tmp_path):
    path = tmp_path / "x.h5"
    save_array(path, NUMBERS)
    with h5py.File(path) as file:
        place = file["X"].id.get_chunk_info(0).byte_offset + 20
    damaged = bytearray(path.read_bytes())
    damaged[place] ^= 1
    path.write_bytes(damaged)
    source = read_file(path, window=12, stream=True).source
    with pytest.raises(InputError, match=r"x\.h5: the file cannot be read as HDF5 \(.*download"):
        source.take([0])


def test_labels_of_texts_share_their_letters(tmp_path):
    labels = np.where(NUMBERS[:, 2] > 1, "alarm", "normal")
    table = TABLE.set_column(4, "label", pa.array(labels))
    pq.write_table(table, tmp_path / "x.parquet")
    there = read_file(tmp_path / "x.parquet", window=12, stream=True)
    assert there.steps["label"][0].tolist() == labels.tolist()
    assert len({id(one) for one in there.steps["label"][0]}) == 2


def test_an_empty_label_is_an_empty_text(tmp_path):
    labels = [None if i % 90 == 7 else ("high", "low")[i % 2] for i in range(STEPS)]
    table = TABLE.set_column(4, "label", pa.array(labels))
    pq.write_table(table, tmp_path / "x.parquet", row_group_size=100)
    there = check_same(tmp_path / "x.parquet", window=12)
    assert there.index["label"][97 - 11] == ""


def test_files_are_read_in_pieces_if_they_take_much_of_the_free_memory(file, monkeypatch):
    assert free_memory() > 1 << 20
    assert not streams(free_memory() // 100, None)
    assert streams(free_memory(), None)
    assert read_file(file, window=12).source.blocks is None
    monkeypatch.setattr(streaming, "free_memory", lambda: 1000)
    there = read_file(file, window=12)
    assert there.source.blocks is not None
    assert there.notes[0] == (
        "values are read in pieces, when they are needed, because they take 34.6 kB, more than "
        "1/8 of the free memory; give stream=False (--no-stream) to read the whole file"
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"window": 12, "missing": "drop"}, "missing='drop' (--on-missing drop) needs all values"),
        ({"window": 12, "missing": "interpolate"}, "missing='interpolate'"),
        ({"window": 12, "columns": ["note"]}, "column 'note' contains string, which is not read"),
        ({}, "the table is one series of 720 steps"),
        ({"rows": True, "window": 2, "columns": ["heat", "speed"]}, "windows of rows are not read"),
        (
            {"window": 12, "id": "label"},
            "the rows of 0 in the id column 'label' are not together; sort the file by 'label', or "
            "give stream=False (--no-stream) to read the whole file.",
        ),
    ],
    ids=str,
)
def test_what_is_not_read_in_pieces_is_named(file, options, message):
    with pytest.raises(InputError) as caught:
        read_file(file, stream=True, **options)
    assert message in str(caught.value)


def test_rows_from_newest_to_oldest_are_not_read_in_pieces(tmp_path):
    pq.write_table(TABLE.take(np.arange(STEPS)[::-1]), tmp_path / "x.parquet")
    with pytest.raises(InputError, match="rows are reversed, which is not done for files"):
        read_file(tmp_path / "x.parquet", window=12, stream=True)


def test_rows_whose_time_goes_back_are_refused(tmp_path):
    order = np.random.default_rng(0).permutation(STEPS)
    pq.write_table(TABLE.take(order), tmp_path / "x.parquet")
    with pytest.raises(InputError, match=r"time goes back .* sort the file by 'time'"):
        read_file(tmp_path / "x.parquet", window=12, stream=True)


def test_an_empty_id_is_named_with_its_row(tmp_path):
    stations = pa.array([*STATIONS[:400], None, *STATIONS[401:]])
    pq.write_table(
        TABLE.set_column(1, "station", stations), tmp_path / "x.parquet", row_group_size=70
    )
    with pytest.raises(InputError, match="id column 'station' is empty in data row 401"):
        read_file(tmp_path / "x.parquet", window=12, id="station", stream=True)


def test_files_with_different_columns_are_refused(folder):
    pq.write_table(TABLE.drop_columns(["heat"]), folder / "part3.parquet")
    with pytest.raises(InputError, match=r"different columns \(heat only in one of them\)"):
        read_file(folder, window=12, stream=True)


def test_a_missing_value_is_found_when_it_is_read(tmp_path):
    heat = pa.array([*NUMBERS[:400, 0], None, *NUMBERS[401:, 0]])
    pq.write_table(TABLE.set_column(2, "heat", heat), tmp_path / "x.parquet")
    source = read_file(tmp_path / "x.parquet", window=12, stream=True).source
    with pytest.raises(InputError, match="Series 0 holds nan at step 400, feature 'heat'"):
        LSTMAutoencoder(3, epochs=1, verbose=0).fit(source)
    masked = read_file(tmp_path / "x.parquet", window=12, stream=True, missing="mask").source
    assert masked.has_missing


def test_sequences_are_made_of_a_data_set(folder):
    dataset = pyarrow.dataset.dataset(folder)
    table = dataset.to_table()
    for options in ({"columns": ["heat", "speed"]}, {"time": "time", "columns": ["heat"]}):
        there = sequences_from_table(dataset, id="station", **options)
        here = sequences_from_table(table, id="station", **options)
        assert there.blocks is not None
        assert there.feature_names == here.feature_names
        np.testing.assert_array_equal(there.take([1, 0])[0], here.take([1, 0])[0])
        np.testing.assert_array_equal(there[0], here[0])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "Expected `id`"),
        ({"id": "stations"}, "`id`: "),
        ({"id": "station", "columns": ["cold"]}, "`columns`: "),
        ({"id": "station"}, "column 'time' contains timestamp"),
    ],
    ids=str,
)
def test_what_is_wrong_with_a_data_set_is_named(folder, options, message):
    with pytest.raises(InputError, match=message):
        sequences_from_table(pyarrow.dataset.dataset(folder), **options)


def test_times_that_go_back_in_a_data_set_are_refused(tmp_path):
    pq.write_table(TABLE.take(np.arange(STEPS)[::-1]), tmp_path / "x.parquet")
    with pytest.raises(InputError, match=r"time goes back .*; sort the table by 'time'"):
        sequences_from_table(
            pyarrow.dataset.dataset(tmp_path), id="station", time="time", columns=["heat"]
        )


def test_times_written_as_texts_are_read(tmp_path):
    texts = pa.array([str(one).replace("T", " ") for one in TIMES.astype("M8[s]")])
    pq.write_table(TABLE.set_column(0, "time", texts), tmp_path / "x.parquet")
    there = check_same(tmp_path / "x.parquet", window=12)
    assert isinstance(there.time_format, time_columns.TimeFormat)


def test_an_empty_file_of_a_folder_is_refused(folder):
    pq.write_table(TABLE.slice(0, 0), folder / "empty.parquet")
    for stream in (True, False):
        with pytest.raises(InputError, match=r"empty\.parquet: the table has no rows"):
            read_file(folder, window=12, stream=stream)


def test_an_id_whose_rows_are_not_together_is_named_in_pieces(tmp_path):
    ids = ["a"] * 100 + ["b"] * 100 + ["a"] * 520
    pq.write_table(TABLE.set_column(1, "station", [ids]), tmp_path / "x.parquet", row_group_size=90)
    with pytest.raises(InputError, match="the rows of 'a' in the id column 'station' are not"):
        read_file(tmp_path / "x.parquet", window=12, stream=True, id="station")


def test_steps_without_a_value_at_the_end_of_a_series_are_padding_in_pieces(tmp_path):
    heat = [None if i in (50, 198, 199, 719) else one for i, one in enumerate(NUMBERS[:, 0])]
    table = pa.table({"station": STATIONS, "heat": heat, "label": TABLE["label"]})
    pq.write_table(table, tmp_path / "x.parquet", row_group_size=90)
    there = check_same(tmp_path / "x.parquet", missing="mask", id="station")
    assert there.source.lengths.tolist() == [198, 519]
    coded = check_same(tmp_path / "x.parquet", missing="mask", missing_values=[-200], id="station")
    assert coded.source.lengths.tolist() == [200, 520]
    dataset = pyarrow.dataset.dataset(tmp_path / "x.parquet")
    options = {"id": "station", "columns": ["heat"], "missing": "mask"}
    one, other = (sequences_from_table(x, **options) for x in (dataset, table))
    for there, here in zip(one.take([0, 1]), other.take([0, 1]), strict=True):
        np.testing.assert_array_equal(there, here)
