"""What a fresh process waits for; takes who (unspool or torch), B, T, F, H and the backend."""

import json
import sys
import time
from collections.abc import Callable

from benchmarks.machine import threads, versions


def main(who: str, B: int, T: int, F: int, H: int, backend: str) -> None:
    """Time the import, and what the first training call takes longer than the second."""
    start = time.perf_counter()
    if who == "unspool":
        from unspool.lstm import lstm
    import torch

    imported = time.perf_counter() - start

    torch.set_num_threads(threads())
    torch.manual_seed(0)
    x, d_h = torch.randn(B, T, F), torch.randn(B, T, H)
    layer = torch.nn.LSTM(F, H, batch_first=True)
    weights = (layer.weight_ih_l0, layer.weight_hh_l0, layer.bias_ih_l0)

    def call() -> None:
        h, *_ = lstm(x, *weights, backend=backend) if who == "unspool" else layer(x)
        h.backward(d_h)

    first, second = seconds(call), seconds(call)
    answer = {
        "import": imported,
        "first_call": first - second,
        "versions": versions(who, "torch", "numba"),
    }
    print(json.dumps(answer))


def seconds(call: Callable[[], None]) -> float:
    """How long a call takes."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:6]), sys.argv[6])
