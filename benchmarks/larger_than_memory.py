"""Peak memory and throughput of data larger than memory, in files made on the fly.

    python -m benchmarks.larger_than_memory [--gigabytes 4] [--folder FOLDER]

Writes a series of sines with noise as Parquet and as NPY into a temporary folder, which is removed
afterwards. Each measurement runs in its own process: a fit of some hundred steps and `transform`,
over each file, and over a part of the data in memory. It prints the peak of the resident memory
beyond that of the imported libraries, and the windows per second.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import threading
import time
from functools import cache
from pathlib import Path

import numpy as np

FEATURES, WINDOW, BATCH, STEPS = 64, 96, 64, 200
ROWS_AT_ONCE = 100_000
KINDS = ("memory", "npy", "dataset", "read_file")
IN_MEMORY = 400_000  # rows of the part that is in memory


@cache
def noise() -> np.ndarray:
    """Return noise (ROWS_AT_ONCE, FEATURES) that is added to all parts of the series."""
    size = ROWS_AT_ONCE, FEATURES
    return np.random.default_rng(0).normal(0, 0.1, size).astype(np.float32)


def rows_of(first: int, count: int) -> np.ndarray:
    """Return at most `ROWS_AT_ONCE` steps of the series, (count, FEATURES)."""
    steps = np.arange(first, first + count, dtype=np.float32)[:, None]
    values = np.sin(steps / np.linspace(3, 300, FEATURES, dtype=np.float32))
    return values + noise()[:count]


def write(folder: Path, rows: int) -> None:
    """Write the series as one NPY file, and as a folder of Parquet files."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    array = np.lib.format.open_memmap(folder / "series.npy", "w+", np.float32, (rows, FEATURES))
    (folder / "parquet").mkdir()
    files = 8
    names = [f"sensor_{i}" for i in range(FEATURES)]
    schema = pa.schema([("time", pa.timestamp("us")), *((name, pa.float32()) for name in names)])
    for number, firsts in enumerate(np.array_split(np.arange(0, rows, ROWS_AT_ONCE), files)):
        path = folder / "parquet" / f"part{number}.parquet"
        with pq.ParquetWriter(path, schema, compression="none", use_dictionary=False) as writer:
            for first in firsts.tolist():
                values = rows_of(first, min(ROWS_AT_ONCE, rows - first))
                array[first : first + len(values)] = values
                times = np.datetime64("2020-01-01", "us") + np.arange(
                    first, first + len(values)
                ) * np.timedelta64(1, "s")
                columns = [pa.array(times), *(pa.array(one) for one in values.T)]
                writer.write_table(pa.table(columns, schema=schema))
    array.flush()


class Peak(threading.Thread):
    """Notes the largest resident memory, of private pages and of all."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.before = self.now()
        self.most = self.before

    @staticmethod
    def now() -> dict[str, int]:
        """Return the resident memory in bytes."""
        lines = Path("/proc/self/status").read_text().splitlines()
        found = {line.split(":")[0]: line.split()[1] for line in lines if line.startswith("Rss")}
        private, mapped = int(found["RssAnon"]) * 1024, int(found["RssFile"]) * 1024
        return {"private": private, "all": private + mapped}

    def run(self) -> None:
        """Look 50 times per second."""
        while True:
            now = self.now()
            self.most = {name: max(self.most[name], now[name]) for name in now}
            time.sleep(0.02)

    def beyond(self) -> dict[str, float]:
        """Return the peaks beyond the memory at the start, in GB."""
        return {name: (self.most[name] - self.before[name]) / 1e9 for name in self.most}


def measure(kind: str, folder: Path) -> dict[str, object]:
    """Fit and transform one kind of source, and return peaks and throughputs."""
    import pyarrow.dataset
    import torch  # noqa: F401  # the libraries' own memory does not count

    from unspool import LSTMAutoencoder, Windows, read_file

    warm = Windows(rows_of(0, 2000), WINDOW)
    settings = {"latent_dim": 16, "units": 32, "verbose": 0, "random_state": 0}
    LSTMAutoencoder(**settings, epochs=1, batch_size=BATCH, steps_per_epoch=2).fit(warm)
    peak = Peak()
    peak.start()
    start = time.perf_counter()
    if kind == "memory":
        firsts = range(0, IN_MEMORY, ROWS_AT_ONCE)
        source = Windows(np.concatenate([rows_of(one, ROWS_AT_ONCE) for one in firsts]), WINDOW)
    elif kind == "npy":
        source = Windows(np.load(folder / "series.npy", mmap_mode="r"), WINDOW)
    elif kind == "dataset":
        names = [f"sensor_{i}" for i in range(FEATURES)]
        dataset = pyarrow.dataset.dataset(folder / "parquet")
        table = pyarrow.dataset.dataset(
            dataset.files, schema=pyarrow.schema([dataset.schema.field(name) for name in names])
        )
        source = Windows(table, WINDOW)
    else:
        source = read_file(folder / "parquet", window=WINDOW, files="rows", stream=True).source
    opened = time.perf_counter() - start
    seconds = {}
    model = LSTMAutoencoder(
        **settings, epochs=4, batch_size=BATCH, steps_per_epoch=STEPS // 4, validation_steps=5
    )
    start = time.perf_counter()
    model.fit(source)
    seconds["fit"] = time.perf_counter() - start
    after_fit = peak.beyond()
    some = source[::400]  # every row is read, and the codes are few
    start = time.perf_counter()
    codes = model.transform(some)
    seconds["transform"] = time.perf_counter() - start
    start = time.perf_counter()
    read = sum(len(chunk) for chunk in source.chunks())
    seconds["a pass over all steps"] = time.perf_counter() - start
    return {
        "kind": kind,
        "steps": read,
        "open": opened,
        "seconds": seconds,
        "windows per second of transform": len(codes) / seconds["transform"],
        "GB per second of a pass": read * FEATURES * 4 / 1e9 / seconds["a pass over all steps"],
        "peak of fit, GB beyond the libraries": after_fit,
        "peak, GB beyond the libraries": peak.beyond(),
        "ru_maxrss, GB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6,
    }


def main() -> None:
    """Write the data, measure in processes, and remove the data."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gigabytes", type=float, default=4.0)
    parser.add_argument("--folder", type=Path, default=None)
    parser.add_argument("--kinds", nargs="+", default=KINDS)
    parser.add_argument("--kind", default=None, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.kind is not None:
        print(json.dumps(measure(given.kind, given.folder)))
        return
    rows = int(given.gigabytes * 1e9 / 4 / FEATURES)
    with tempfile.TemporaryDirectory(dir=given.folder) as name:
        folder = Path(name)
        write(folder, rows)
        size = f"{given.gigabytes:g} GB"
        print(f"{rows:,} steps of {FEATURES} features in float32, {size}", flush=True)
        for kind in given.kinds:
            command = [sys.executable, "-m", "benchmarks.larger_than_memory", "--kind", kind]
            done = subprocess.run(
                [*command, "--folder", name], capture_output=True, text=True, env=os.environ
            )
            if done.returncode:
                print(kind, done.stderr)
            else:
                print(json.dumps(json.loads(done.stdout.splitlines()[-1]), indent=1), flush=True)


if __name__ == "__main__":
    main()
