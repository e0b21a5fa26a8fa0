"""Encoding with a trained LSTM: without PyTorch, with it, compiled, and in ONNX Runtime.

    python -m benchmarks.encoding [--rounds 7] [--processes 10]

Libraries take turns, each in a separate process with a fixed number of threads,
after its codes have been compared with float64 (benchmarks/README.md, "Method"). Rows go to
results/encoding.csv: a batch, a single sequence, and one more step of a series. Then fresh
processes, one after the other, load a model file and encode: results/loading.csv.
"""

import argparse
import os
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from benchmarks import rows
from benchmarks.cases import Contestant, Shape
from benchmarks.fresh.loading import WAYS
from benchmarks.machine import describe, threads
from benchmarks.rows import Row, rounded, spread
from benchmarks.turns import Entry, complain, hall, order
from benchmarks.workers import WorkerError, run_whole

HIDDEN = (10, 32, 64, 128)
BATCHES = (256, 8, 1)
STEPS, FEATURES = 100, 4
SEED = 0  # of the inputs and weights, see `benchmarks.inputs.one_layer`

ENCODERS = {
    "unspool.runtime": "runtime",
    "torch.nn.LSTM": "torch",
    "unspool, compiled": "estimator",
    "unspool.nn.LSTM": "module",
    "unspool.runtime, compiled": "runtime_compiled",
    "onnxruntime": "onnxruntime",
}
STEPPERS = {
    "Stream.push": "stream",
    "torch.nn.LSTMCell": "cell",
    "Stream.push, compiled": "stream_compiled",
}


def encoding(
    hidden: Sequence[int], batches: Sequence[int], counts: Sequence[int], rounds: int
) -> Iterator[Row]:
    """The rows of whole sequences, and of single steps; few sequences get one thread.

    Parameters
    ----------
    hidden : sequence of int
        Units of the layer.
    batches : sequence of int
    counts : sequence of int
        Of threads.
    rounds : int
    """
    for count in counts:
        sizes = [size for size in batches if size > 8 or count == 1]
        shapes = [Shape(size, STEPS, FEATURES, units) for size in sizes for units in hidden]
        yield from _by_turns("encode", ENCODERS, count, shapes, rounds)
    series = [Shape(1, STEPS, FEATURES, units) for units in hidden]
    yield from _by_turns("step", STEPPERS, 1, series, rounds)


def _by_turns(
    case: str, ways: dict[str, str], count: int, shapes: Sequence[Shape], rounds: int
) -> Iterator[Row]:
    contestants = {
        name: Contestant("encoders", how=f"{way} {count}", env=limited(count))
        for name, way in ways.items()
    }
    with (
        tempfile.TemporaryDirectory() as folder,
        hall(contestants, Path(), Path(folder)) as opened,
    ):
        for shape in shapes:
            entries = opened.measure("encode", shape, rounds)
            for entry in entries:
                timed = shape._replace(T=1) if case == "step" else shape
                yield {"case": case, **timed._asdict(), **_row(entry, entries[0], shape, count)}


def _row(entry: Entry, base: Entry, shape: Shape, count: int) -> Row:
    ratios = [own / of_base for own, of_base in zip(entry.times, base.times, strict=False)]
    return {
        "contestant": entry.contestant,
        "threads": count,
        **spread("us", [1e6 * seconds for seconds in entry.times]),
        "per_second": rounded(shape.B / np.median(entry.times)) if entry.times else "",
        **spread("ratio", ratios),
        "rounds": len(entry.times),
        "seed": SEED,
        "load": rounded(os.getloadavg()[0]),  # of the machine; alone, there is one turn at a time
        "error": rounded(entry.error),
        "backend": entry.backend,
        "note": entry.note,
        "versions": entry.versions,
    }


def loading(processes: int, units: int = 32) -> Iterator[Row]:
    """The rows of fresh processes, each way run as often, on one thread."""
    found: dict[str, list[dict[str, float]]] = {who: [] for who in WAYS}
    notes: dict[str, str] = {}
    versions = ""
    with tempfile.TemporaryDirectory() as folder:
        _save(Path(folder), units)
        for number in range(
            -1, processes
        ):  # the first brings files into memory and kernels to disk
            for who in order([who for who in WAYS if who not in notes], max(number, 0)):
                arguments, contestant = [who, folder], Contestant("", env=limited(1))
                try:
                    _, answer = run_whole(contestant, Path(), "loading", arguments)
                except WorkerError as failure:
                    notes[who] = str(failure)
                    complain(who, failure)
                    continue
                versions = answer.pop("versions")
                if number >= 0:
                    found[who].append(answer)
    for who, answers in found.items():
        yield {
            "case": "loading",
            "contestant": who,
            "threads": 1,
            **spread("import_ms", [1e3 * answer["import"] for answer in answers]),
            **spread("load_and_encode_ms", [1e3 * answer["load_and_encode"] for answer in answers]),
            **spread("resident_mb", [answer["resident"] / 1e6 for answer in answers]),
            "rounds": len(answers),
            "note": notes.get(who, ""),
            "versions": versions,
        }


def _save(folder: Path, units: int) -> None:
    """A model file, and the same model as a plain PyTorch module."""
    import torch

    from unspool import LSTMAutoencoder
    from unspool.interop.torch import to_torch

    last = {"pooling": "last", "n_kernels": 0, "bidirectional": False}  # the LSTM alone
    model = LSTMAutoencoder(units, epochs=1, random_state=SEED, verbose=0, **last)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # noise: no model is better than its mean
        model.fit(np.random.default_rng(SEED).normal(size=(50, STEPS, FEATURES)))
    model.save(folder / "model.unspool", part="encoder")
    torch.save(to_torch(model, part="encoder"), folder / "model.pt")


def limited(count: int) -> dict[str, str]:
    """Environment variables that hold NumPy's BLAS, PyTorch and others to as many threads."""
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")
    return dict.fromkeys(names, str(count))


def main() -> None:
    """Measure, print rows as they come, and keep them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7, metavar="N")
    parser.add_argument("--processes", type=int, default=10, metavar="N")
    parser.add_argument("--hidden", type=int, nargs="*", default=HIDDEN, metavar="H")
    parser.add_argument("--dry", action="store_true", help="keep no rows")
    asked = parser.parse_args()
    print(describe())
    of_run = rows.provenance()
    del of_run["threads"]  # rows have their own
    counts = sorted({1, min(2, threads())})
    for name, made in (
        ("encoding", encoding(asked.hidden, BATCHES, counts, asked.rounds)),
        ("loading", loading(asked.processes)),
    ):
        found = []
        for row in made:
            print(rows.as_line(row), flush=True)
            found.append({**row, **of_run})
        if not asked.dry:
            rows.write(name, found)


if __name__ == "__main__":
    main()
