"""Moving MNIST: what comes back of ten frames, and what comes after them.

The experiment of Srivastava, Mansimov & Salakhutdinov 2015, "Unsupervised Learning of Video
Representations using LSTMs", at a small size: autoencoder, future predictor and composite model.

models()       the three, with decoders that start from the encoder's whole state
run(folder)    all trained on the same videos, and compared
"""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from unspool.datasets import load_digits, load_mnist, make_moving_digits
from unspool.demos.report import Report
from unspool.estimators import LSTMAutoencoder, LSTMForecaster

EPOCHS = 20
UNITS = 128
FRAMES = 10  # seen, and as many after them
VIDEOS, TEST_VIDEOS = 4000, 500

Frames = npt.NDArray[np.float32]


def models(
    epochs: int = EPOCHS, random_state: int = 0, decoder: str = "state"
) -> dict[str, LSTMAutoencoder | LSTMForecaster]:
    """Make the three models of the paper, one layer each, by name."""
    settings: dict[str, Any] = {
        "latent_dim": 2 * UNITS,  # h and c
        "units": UNITS,
        "bidirectional": False,
        "decoder": decoder,
        "output_activation": "sigmoid",
        "loss": "binary_crossentropy",
        "optimizer": "rmsprop",
        "learning_rate": 1e-3,
        "learning_rate_schedule": "constant",
        "batch_size": 50,
        "epochs": epochs,
        "validation_split": 0.1,
        "patience": 20,
        "scaling": "none",
        "random_state": random_state,
        "verbose": 0,
    }
    plain: dict[str, Any] = {"pooling": "last", "n_kernels": 0, "input_dropout": 0.0}
    return {
        "autoencoder": LSTMAutoencoder(reverse_target=True, **plain, **settings),
        "future predictor": LSTMForecaster(
            horizon=FRAMES, normalization="none", linear_steps=0, dropout=0.0, **settings
        ),
        "composite": LSTMAutoencoder(reverse_target=True, horizon=FRAMES, **plain, **settings),
    }


def small_images(data: Path | None) -> tuple[Frames, Frames, int]:
    """Digits to move, for training and testing, and the size of a frame."""
    if data is None:
        small = load_digits()
        return small.X_train, small.X_test, 20
    full = load_mnist(data)
    halved = [x.reshape(-1, 14, 2, 14, 2).mean(axis=(2, 4)) for x in (full.X_train, full.X_test)]
    return halved[0], halved[1], 32


def nats(truth: Frames, predicted: Any) -> float:
    """The cross-entropy of a frame, in nats: summed over its pixels."""
    sure = np.clip(predicted, 1e-7, 1 - 1e-7)
    by_pixel = -(truth * np.log(sure) + (1 - truth) * np.log1p(-sure))
    return float(by_pixel.sum(axis=2).mean())


def last_frame(past: Frames, future: Frames) -> float:
    """Nats of the last frame seen, repeated; as unsure of itself as serves it best."""
    last = np.repeat(past[:, -1:], future.shape[1], axis=1)
    return min(nats(future, p + (1 - 2 * p) * last) for p in np.linspace(0.01, 0.3, 30))


def run(
    folder: Path, epochs: int = EPOCHS, seed: int = 0, data: Path | None = None
) -> dict[str, float]:
    """Run the experiment, print what came out, and leave models and pictures in `folder`.

    `data` is a folder with the four files of MNIST, whose digits are halved in size; without it,
    scikit-learn's small digits move.
    """
    report = Report(folder, "two digits that bounce in a frame")
    train_digits, test_digits, size = small_images(data)
    train = make_moving_digits(train_digits, VIDEOS, 2 * FRAMES, frame_size=size, random_state=seed)
    test = make_moving_digits(
        test_digits, TEST_VIDEOS, 2 * FRAMES, frame_size=size, random_state=seed + 1000
    )
    past, future = test[:, :FRAMES], test[:, FRAMES:]
    report.fact("videos", f"train {train.shape}, test {test.shape}")

    mean = train.mean(axis=(0, 1))
    report.number("the mean image: reconstruction, nats", nats(past, mean), ".1f")
    report.number("the mean image: future, nats", nats(future, mean), ".1f")
    report.number("the last frame repeated: future, nats", last_frame(past, future), ".1f")
    shown = {"input": past[0]}
    for name, model in models(epochs, seed).items():
        with report.timed(f"{name}, fit"):
            if name == "autoencoder":
                model.fit(train[:, :FRAMES])
            else:
                model.fit(train[:, :FRAMES], train[:, FRAMES:])
        if isinstance(model, LSTMAutoencoder):
            again = model.reconstruct(past)
            report.number(f"{name}: reconstruction, nats", nats(past, again), ".1f")
            shown[f"{name}: reconstruction"] = again[0]
        if model.horizon:
            next_frames = model.forecast(past)
            report.number(f"{name}: future, nats", nats(future, next_frames), ".1f")
            shown[f"{name}: future"] = next_frames[0]
    report.fact("runs on", model.module_.backends()["encoder.lstm.layers.0.0"])
    model.save(report.path("moving_digits.unspool"))
    draw(report, model, {**shown, "the future": future[0]}, size)
    return report.end()


def draw(report: Report, model: Any, shown: dict[str, Any], size: int) -> None:
    """Draw one video's frames, and the training of the composite model."""
    from unspool import plots

    order = sorted(shown, key=lambda name: ("future" in name, name != "input"))
    frames = {name: np.reshape(shown[name], (-1, size, size)) for name in order}
    report.keep(plots.ImagesDisplay.from_frames(frames), "frames.png")
    report.keep(plots.TrainingHistoryDisplay.from_estimator(model), "history.png")
    report.keep(plots.ModelDiagramDisplay.from_estimator(model), "composite.png")
