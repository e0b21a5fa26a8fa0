"""CPU time outside of kernels: of a training step, and of the start of a process."""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.machine import describe

REPETITIONS = 5
PARTS = ("gather", "clip", "zero_grad", "update", "step", "epoch")
DATA = {"500 x 140 x 1": (500, 140, 1), "4096 x 100 x 8": (4096, 100, 8)}
COMMANDS = {
    "import torch": "import torch",
    "unspool --help": "main(['--help'])",
    "unspool inspect": "main(['inspect', 'm.unspool'])",
    "unspool encode": "main(['encode', 'm.unspool', 'X.npy', '-o', 'codes.npy'])",
    "fit of one epoch": "LSTMAutoencoder(4, epochs=1, verbose=0).fit(np.load('X.npy'))",
}
IMPORTS = {
    "main(": "from unspool.cli import main; ",
    "LSTM": "import numpy as np; from unspool import LSTMAutoencoder; ",
}


def main() -> None:
    """Print microseconds of a step by part, and seconds of each command."""
    print(describe())
    for name, shape in DATA.items():
        parts = step_parts(np.random.default_rng(0).normal(size=shape).cumsum(1))
        shown = ", ".join(f"{part} {seconds * 1e6:.0f}" for part, seconds in parts.items())
        print(f"a step of the default model on {name}, batches of 32, in us of CPU: {shown}")
    with tempfile.TemporaryDirectory() as folder:
        make_files(Path(folder))
        for name, code in COMMANDS.items():
            seconds = min(process_seconds(code, folder) for _ in range(REPETITIONS))
            print(f"{name}: {seconds:.2f} s of CPU")


def step_parts(X: np.ndarray[Any, Any]) -> dict[str, float]:
    """Return the shortest CPU time of each part of a step, in seconds; an epoch's by batch."""
    from unspool import LSTMAutoencoder
    from unspool.training.batches import Batches
    from unspool.training.loop import Training
    from unspool.training.optimizers import CompiledOptimizer

    owners = (Batches, Training, CompiledOptimizer, CompiledOptimizer, Training, Training)
    methods = ("gather", "_clip_gradients", "zero_grad", "step", "_step", "_train_epoch")
    originals = [getattr(owner, method) for owner, method in zip(owners, methods, strict=True)]
    times: dict[str, list[float]] = {part: [] for part in PARTS}
    try:
        for part, owner, method, one in zip(PARTS, owners, methods, originals, strict=True):
            setattr(owner, method, timed(one, times[part]))
        LSTMAutoencoder(16, epochs=5, verbose=0, random_state=0).fit(X)
    finally:
        for owner, method, one in zip(owners, methods, originals, strict=True):
            setattr(owner, method, one)
    shortest = {part: min(each) for part, each in times.items()}
    shortest["epoch"] *= len(times["epoch"]) / len(times["step"])
    return shortest


def timed(function: Callable[..., Any], times: list[float]) -> Callable[..., Any]:
    """Return a function that also notes how long each call has taken."""

    def call(*args: Any) -> Any:
        start = time.thread_time()
        try:
            return function(*args)
        finally:
            times.append(time.thread_time() - start)

    return call


def make_files(folder: Path) -> None:
    """Write a model and its data, and leave a full cache of kernels."""
    from unspool import LSTMAutoencoder

    X = np.random.default_rng(0).normal(size=(40, 20, 1))
    np.save(folder / "X.npy", X)
    model = LSTMAutoencoder(4, epochs=2, verbose=0, random_state=0).fit(X)
    model.transform(X)
    model.save(folder / "m.unspool")


def process_seconds(code: str, folder: str) -> float:
    """Return the CPU time of a new process on one thread that runs `code`."""
    imports = next((text for start, text in IMPORTS.items() if code.startswith(start)), "")
    before = os.times()
    subprocess.run(
        [sys.executable, "-W", "ignore", "-c", imports + code],
        cwd=folder,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        check=True,
    )
    after = os.times()
    used = after.children_user - before.children_user
    return used + after.children_system - before.children_system


if __name__ == "__main__":
    main()
