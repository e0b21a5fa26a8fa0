"""Models are fitted to data that are not in memory, and use them, in bounded memory."""

import tracemalloc

import numpy as np
import pyarrow as pa
import pyarrow.dataset
import pyarrow.parquet as pq
import pytest

from unspool import DenseAutoencoder, LSTMAutoencoder, Sequences, Windows
from unspool.data import sequences, spread, stored, stored_table, window_copies, windows
from unspool.estimators import batch_runner
from unspool.training import blocks

ROWS, FEATURES, SIZE = 100_000, 64, 25  # 26 MB in float32
pytestmark = pytest.mark.filterwarnings(
    "ignore::unspool.errors.NoBetterThanMeanWarning"
)  # few epochs


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("large")
    rows = np.random.default_rng(0).normal(size=(ROWS, FEATURES)).astype(np.float32)
    np.save(folder / "x.npy", rows)
    columns = {str(i): column for i, column in enumerate(rows.T)}
    pq.write_table(pa.table(columns), folder / "x.parquet", row_group_size=5000)
    return folder


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch):
    monkeypatch.setattr(stored, "LARGE", 1)
    for module in (stored, stored_table, window_copies):
        monkeypatch.setattr(module, "BLOCK_BYTES", 1 << 20)
    monkeypatch.setattr(stored_table, "KEPT_BYTES", 1 << 20)
    monkeypatch.setattr(stored_table, "COLUMNS_BYTES", 1 << 20)
    for module in (sequences, windows):
        monkeypatch.setattr(module, "CHUNK_VALUES", 1 << 17)
    monkeypatch.setattr(blocks, "POOL_VALUES", 1 << 20)
    monkeypatch.setattr(blocks, "KEPT_VALUES", 1 << 18)
    monkeypatch.setattr(spread, "VALUES", 1 << 18)
    monkeypatch.setattr(batch_runner, "INFERENCE_VALUES", 1 << 18)


def source_of(kind, folder):
    mapped = np.load(folder / "x.npy", mmap_mode="r")
    if kind == "windows of a memory map":
        return Windows(mapped, SIZE, SIZE)
    if kind == "windows of a data set":
        return Windows(pyarrow.dataset.dataset(folder / "x.parquet"), SIZE, SIZE)
    return Sequences(mapped.reshape(-1, SIZE, FEATURES))


@pytest.mark.parametrize(
    "kind", ["windows of a memory map", "windows of a data set", "sequences of a memory map"]
)
def test_a_fit_and_its_codes_need_a_part_of_the_memory_of_the_data(kind, folder):
    here = np.load(folder / "x.npy").reshape(-1, SIZE, FEATURES)
    expected = DenseAutoencoder(3, epochs=1, verbose=0, random_state=0, steps_per_epoch=5).fit(here)
    expected.reconstruction_error(here[:2])  # loads modules
    tracemalloc.start()
    try:
        there = source_of(kind, folder)
        model = DenseAutoencoder(3, epochs=1, verbose=0, random_state=0, steps_per_epoch=5)
        model.fit(there)
        codes = model.transform(there)
        error = model.reconstruction_error(there)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 0.8 * here.nbytes
    np.testing.assert_allclose(model.scaler_.scale, expected.scaler_.scale, rtol=1e-12)
    np.testing.assert_array_equal(codes, model.transform(here))
    np.testing.assert_array_equal(error, model.reconstruction_error(here))


def fitted(folder, epochs, read):
    """A model after a fit with validation data, and the rows of these that were read."""

    class Counted(stored.MappedArray):
        def read(self, start, stop):
            read.append(stop - start)
            return super().read(start, stop)

    mapped = np.load(folder / "x.npy", mmap_mode="r")[: 100 * SIZE]
    held_out = Windows(Counted(mapped), SIZE, SIZE)
    model = DenseAutoencoder(3, epochs=epochs, verbose=0, random_state=0, validation_steps=5)
    training = np.array(mapped).reshape(-1, SIZE, FEATURES) + 1
    return model.fit(training, validation_data=held_out)


def test_validation_data_in_a_file_are_read_once_if_they_are_few(folder, monkeypatch):
    read = {}
    models = []
    for kept in (0, 1 << 18):
        monkeypatch.setattr(blocks, "KEPT_VALUES", kept)
        for epochs in (1, 3):
            models.append(fitted(folder, epochs, read.setdefault((kept, epochs), [])))
    total = {key: sum(counts) for key, counts in read.items()}
    assert total[1 << 18, 3] == total[1 << 18, 1]
    assert total[0, 3] > total[0, 1]
    assert models[1].history_ == models[3].history_


def test_the_data_are_read_once_before_the_first_epoch(folder):
    read = []

    class Counted(stored.MappedArray):
        def read(self, start, stop):
            read.append(stop - start)
            return super().read(start, stop)

    there = Windows(Counted(np.load(folder / "x.npy", mmap_mode="r")), SIZE, SIZE)
    assert not read
    before = []
    LSTMAutoencoder(3, epochs=1, verbose=0, steps_per_epoch=1, batch_size=8).fit(
        there, callbacks=[Noted(lambda: before.append(sum(read)))]
    )
    initial = 2048 * SIZE  # steps of the windows from which initial weights are computed
    assert ROWS <= before[0] <= ROWS + initial


class Noted:
    """A callback that calls a function before training."""

    def __init__(self, call):
        self.call = call

    def on_train_begin(self, model):
        self.call()
