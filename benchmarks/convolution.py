"""A training step of the convolutional MNIST model, compared with Keras on TensorFlow.

    python -m benchmarks.convolution --peers .venv-peers/bin/python [--rounds 3]

Both train on the same kind of images, 28 × 28, in batches of 256. They take turns, each time in a
separate process; the script prints seconds per step, two passes of 25 steps a process after one
that is not counted, and the ratio of the medians.
"""

import argparse
import os
import statistics
import subprocess
import sys
import warnings
from collections.abc import Callable
from time import perf_counter

import numpy as np

STEPS, PASSES = 25, 2


def keras_pass(images: np.ndarray) -> Callable[[], object]:
    """Make a pass over the images callable; this runs in the peers' environment."""
    os.environ |= {"KERAS_BACKEND": "tensorflow", "TF_CPP_MIN_LOG_LEVEL": "3"}
    import keras
    from keras import layers

    same = {"padding": "same", "activation": "relu"}
    model = keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            layers.Conv2D(32, 3, **same),
            layers.MaxPooling2D(),
            layers.Conv2D(32, 3, **same),
            layers.UpSampling2D(),
            layers.Conv2D(1, 3, padding="same", activation="sigmoid"),
        ]
    )
    model.compile("rmsprop", "binary_crossentropy")
    x = images[..., None]
    return lambda: model.fit(x, x, batch_size=256, epochs=1, verbose=0)


def unspool_pass(images: np.ndarray) -> Callable[[], object]:
    """The same with unspool's modules, batches and loop."""
    import torch

    from unspool import demos
    from unspool.data.scaling import Scaler
    from unspool.data.sequences import Sequences
    from unspool.training.batches import Batches
    from unspool.training.loop import train
    from unspool.training.objective import AutoencoderLoss
    from unspool.training.optimizers import make_optimizer

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # random images: no model is better than their mean
        model = (
            demos.load("digit_images")
            .make_convolutional((28, 28), epochs=1)
            .set_params(device="cpu")
        )
        model = model.fit(images[:300]).module_
    source, plain = Sequences(images.reshape(len(images), -1, 1)), Scaler(np.zeros(1), np.ones(1))
    everything, rng = np.arange(len(images)), np.random.default_rng(0)
    batches = Batches(source, plain, everything, 256, torch.device("cpu"), rng)
    objective = AutoencoderLoss(model, "binary_crossentropy", generator=torch.Generator())
    optimizer = make_optimizer("rmsprop", model.parameters())
    return lambda: train(model, objective, batches, optimizer=optimizer, epochs=1)


CONTESTANTS = {"keras": keras_pass, "unspool": unspool_pass}


def run(name: str) -> None:
    """Print seconds a step, one line for each pass."""
    images = np.random.default_rng(0).random((256 * STEPS, 28, 28), np.float32)
    once = CONTESTANTS[name](images)
    once()
    for _ in range(PASSES):
        start = perf_counter()
        once()
        print((perf_counter() - start) / STEPS)


def main() -> None:
    """Let both take turns."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--peers", default=".venv-peers/bin/python", metavar="PYTHON")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", choices=CONTESTANTS, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.only:
        run(asked.only)
        return
    seconds: dict[str, list[float]] = {name: [] for name in CONTESTANTS}
    for _ in range(asked.rounds):
        for name, python in (("keras", asked.peers), ("unspool", sys.executable)):
            command = [python, "-m", "benchmarks.convolution", "--only", name]
            done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
            seconds[name] += map(float, done.stdout.split())
    for name, times in seconds.items():
        print(f"{name}: {statistics.median(times):.4f} s ({min(times):.4f} to {max(times):.4f})")
    ratio = statistics.median(seconds["keras"]) / statistics.median(seconds["unspool"])
    print(f"Keras takes {ratio:.2f} times as long")


if __name__ == "__main__":
    main()
