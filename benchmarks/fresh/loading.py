"""What it takes to have a trained encoder in a fresh process; takes who, and a folder of models.

Seconds of the import beyond NumPy's own, seconds to load the model and to encode for the first
time, and the memory that the process then holds, in bytes (on Linux).
"""

import json
import os
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from benchmarks.machine import versions

PACKAGES = ("unspool", "torch", "numba", "scikit-learn", "numpy")
SHAPE = 256, 100, 4

Call = Callable[[np.ndarray], object]


def alone(folder: Path) -> tuple[float, Call]:
    """NumPy and nothing else."""
    return time.perf_counter(), np.sum


def runtime(folder: Path) -> tuple[float, Call]:
    """The model file in NumPy."""
    from unspool import runtime

    return time.perf_counter(), runtime.load(folder / "model.unspool", backend="numpy").encode


def compiled(folder: Path) -> tuple[float, Call]:
    """The model file in compiled kernels, which import Numba when they encode."""
    from unspool import runtime

    return time.perf_counter(), runtime.load(folder / "model.unspool", backend="compiled").encode


def estimator(folder: Path) -> tuple[float, Call]:
    """The model file as an estimator."""
    from unspool import load

    return time.perf_counter(), load(folder / "model.unspool", device="cpu").transform


def module(folder: Path) -> tuple[float, Call]:
    """The plain PyTorch module of `to_torch`, without unspool."""
    import torch

    imported = time.perf_counter()
    plain = torch.load(folder / "model.pt", weights_only=False)
    lengths = torch.full((SHAPE[0],), SHAPE[1])

    @torch.inference_mode()
    def call(x: np.ndarray) -> object:
        return plain(torch.from_numpy(x), lengths)

    return imported, call


WAYS: Mapping[str, Callable[[Path], tuple[float, Call]]] = {
    "numpy alone": alone,
    "unspool.runtime": runtime,
    "unspool.runtime, compiled": compiled,
    "torch, plain module": module,
    "unspool.load": estimator,
}


def main(who: str, folder: Path) -> None:
    """Import, load and encode once."""
    x = np.random.default_rng(0).normal(size=SHAPE)
    start = time.perf_counter()
    imported, call = WAYS[who](folder)
    call(x)
    end = time.perf_counter()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    answer = {
        "import": imported - start,
        "load_and_encode": end - imported,
        "resident": pages * os.sysconf("SC_PAGE_SIZE"),
        "versions": versions(*PACKAGES),
    }
    print(json.dumps(answer))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
