"""Where torch's LSTM is faster than the compiled kernels: small batches of wide layers.

In training, "auto" chooses by the table `CROSSOVER` in `unspool.lstm.backends.compiled`, which is
based on this script. Encoding always runs on "compiled"; the second table shows the cost of that.
Rows are units, columns are batch sizes. A number is the time of "torch" divided by the time of
"compiled": 2 means that "compiled" is twice as fast.
"""

import statistics
import time
from collections.abc import Callable

import torch

from benchmarks.machine import describe
from unspool._types import BackendName
from unspool.lstm import lstm

UNITS = (10, 32, 64, 128, 256)
SEQUENCES = (1, 2, 4, 8, 16, 24, 32, 48, 64)
FEATURES, STEPS, TURNS = 8, 100, 3
PAUSE = 0.02  # seconds until the threads of the previous measurement have stopped spinning


def make_pass(batch: int, units: int, backend: BackendName, training: bool) -> Callable[[], None]:
    """Return a pass of one layer: forward and backward, or forward to the final state only."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(batch, STEPS, FEATURES, generator=generator)
    shapes = [(4 * units, FEATURES), (4 * units, units), (4 * units,)]
    weights = [torch.randn(shape, generator=generator) / units**0.5 for shape in shapes]
    cotangent = torch.randn(batch, STEPS, units, generator=generator)

    def train() -> None:
        h, _, _ = lstm(x, *(w.requires_grad_() for w in weights), backend=backend)
        torch.autograd.grad(h, weights, cotangent)

    def encode() -> None:
        with torch.inference_mode():
            lstm(x, *weights, backend=backend, return_sequences=False)

    return train if training else encode


def seconds(run: Callable[[], None]) -> float:
    """Return the median time of five calls, after one that is not counted."""
    time.sleep(PAUSE)
    times = []
    for _ in range(6):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return statistics.median(times[1:])


def main() -> None:
    """Print both tables."""
    print(describe())
    for training in (True, False):
        print("\ntraining" if training else "\nencoding", f"T {STEPS}, F {FEATURES}")
        print("units", *(f"{batch:6d}" for batch in SEQUENCES))
        for units in UNITS:
            ratios = []
            for batch in SEQUENCES:
                compiled = make_pass(batch, units, "compiled", training)
                torchs = make_pass(batch, units, "torch", training)
                turns = [seconds(torchs) / seconds(compiled) for _ in range(TURNS)]
                ratios.append(statistics.median(turns))
            print(f"{units:5d}", *(f"{ratio:6.2f}" for ratio in ratios), flush=True)


if __name__ == "__main__":
    main()
