"""Speed and memory of `DetectorStream`: ``python -m benchmarks.anomaly.online``.

The benchmark streams a million steps of one sensor on one thread (set OMP_NUM_THREADS=1), with the
default detector and with one over a dense autoencoder. Memory is the peak of the process after
20,000 steps and at the end.
"""

import resource
import time
import warnings

import numpy as np

from benchmarks.machine import describe
from unspool import AnomalyDetector, DenseAutoencoder
from unspool.errors import ThresholdWarning

STEPS = 1_000_000
FIRST = 20_000
MODELS = {
    "default": None,
    "DenseAutoencoder(16)": DenseAutoencoder(16, steps_per_epoch=25, epochs=30, verbose=0),
}


def mebibytes() -> int:
    """Return the peak memory of this process."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def main() -> None:
    """Stream the same noisy sine through each detector."""
    warnings.simplefilter("ignore", ThresholdWarning)
    print(describe(), flush=True)
    noise = np.random.default_rng(0).normal(0, 0.1, (6000, 1))
    series = np.sin(np.arange(6000) / 9)[:, None] + noise
    for name, model in MODELS.items():
        stream = AnomalyDetector(model, random_state=0, verbose=0).fit(series).stream()
        start, early = time.perf_counter(), 0
        for step in range(STEPS):
            stream.update(series[step % len(series)])
            if step == FIRST:
                early = mebibytes()
        rate = STEPS / (time.perf_counter() - start)
        print(f"{name}: {rate:,.0f} steps a second, {early} MiB, then {mebibytes()}", flush=True)


if __name__ == "__main__":
    main()
