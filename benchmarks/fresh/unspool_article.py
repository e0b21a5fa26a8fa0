"""The two-sines experiment with unspool; takes the number of epochs, the seed and the backend."""

import json
import sys

import numpy as np
import torch

from benchmarks.article import build
from benchmarks.machine import versions
from unspool.data.scaling import Scaler
from unspool.datasets import make_sine_classes
from unspool.lstm import threads
from unspool.training.batches import Batches
from unspool.training.loop import evaluate, train
from unspool.training.objective import AutoencoderLoss
from unspool.training.optimizers import make_optimizer


def main(epochs: int, seed: int, backend: str) -> None:
    """Train with a validation pass after each epoch, which `article()` leaves out, and test."""
    data = make_sine_classes()
    model = build(backend, seed)
    as_they_are, cpu = Scaler(np.zeros(1), np.ones(1)), torch.device("cpu")

    def in_batches(windows, rng=None):
        return Batches(windows, as_they_are, np.arange(len(windows)), 500, cpu, rng)

    objective = AutoencoderLoss(model)
    with threads.pytorch_on_one_thread():  # as `fit` does
        train(
            model,
            objective,
            in_batches(data.X_train, np.random.default_rng(seed)),
            optimizer=make_optimizer("rmsprop", model.parameters()),
            epochs=epochs,
            validation=in_batches(data.X_train),
        )
    x, _ = data.X_test.take(np.arange(len(data.X_test)))
    (encoder, *_) = model.backends().values()
    answer = {
        "test_mse": evaluate(model, objective, in_batches(data.X_test))["loss"],
        "sum_of_squares": float(np.square(x).sum()),
        "backend": encoder.partition(" ")[0],
        "versions": versions("unspool", "torch", "numba", "numpy"),
    }
    print(json.dumps(answer))


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
