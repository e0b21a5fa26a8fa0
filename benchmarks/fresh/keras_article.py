"""The two-sines experiment with Keras; takes the number of epochs and the seed."""

import json
import sys

import keras
import numpy as np
import numpy.typing as npt

from benchmarks.contestants.keras_article import BATCH, PACKAGES, model, use_threads
from benchmarks.machine import threads, versions

Array = npt.NDArray[np.float32]


def sines(cycles: int = 200, timesteps: int = 100) -> tuple[Array, Array]:
    """The windows of "Implement LSTM AutoEncoder in Keras", for training and testing."""
    random = np.random.RandomState(0)
    parts: tuple[list[Array], list[Array]] = ([], [])
    for samples in (20, 80):
        t = np.arange(samples * cycles + 1)
        noise = random.uniform(-1.0, 1.0, len(t)) * 0.05
        series = np.sin(t * (2 * np.pi / samples) + noise)
        cut = round(len(series) * 0.9)
        for part, of_series in zip(parts, (series[:cut], series[cut:]), strict=True):
            windows = np.lib.stride_tricks.sliding_window_view(of_series[:-1], timesteps)
            part.append(windows[:, :, None])
    train, test = (np.concatenate(part, dtype=np.float32) for part in parts)
    return train, test


def main(epochs: int, seed: int) -> None:
    """Train with a validation pass after each epoch, as in that article, and test."""
    use_threads(threads())
    keras.utils.set_random_seed(seed)
    train, test = sines()
    trained = model()
    pair = [train, np.ascontiguousarray(train[:, ::-1])]
    trained.fit(
        pair,
        train,
        epochs=epochs,
        batch_size=BATCH,
        shuffle=True,
        validation_data=(pair, train),
        verbose=0,
    )
    answer = {
        "test_mse": float(trained.evaluate([test, test[:, ::-1]], test, BATCH, verbose=0)),
        "sum_of_squares": float(np.square(test, dtype=np.float64).sum()),
        "backend": keras.backend.backend(),
        "versions": versions(*PACKAGES),
    }
    print(json.dumps(answer))


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
