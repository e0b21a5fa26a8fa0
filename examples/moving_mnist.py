"""Reconstruct ten frames of a video, and predict the next ten.

Two digits move through a frame and bounce off its walls. Three LSTM models are compared on the same
videos: an autoencoder, which reconstructs the frames that it saw in reverse order; a future
predictor; and a composite model, which does both from one code. Their decoders start from the
encoder's whole state. The models have 128 units; those of the paper have 2048 and see larger
frames.

Source: N. Srivastava, E. Mansimov, R. Salakhutdinov, "Unsupervised Learning of Video
Representations using LSTMs", ICML 2015 (https://arxiv.org/abs/1502.04681).

    python moving_mnist.py [FOLDER]        or        unspool demo moving_mnist [--mnist FOLDER]

FOLDER holds the four files of MNIST, whose images are halved in size; without it, the small digits
of scikit-learn are used. The script prints the cross-entropy per frame, in nats, and writes the
composite model and pictures to unspool-demo/moving_mnist. It runs for about 2 minutes.
"""

import sys
from pathlib import Path
from time import perf_counter

import numpy as np

from unspool import LSTMAutoencoder, LSTMForecaster
from unspool.datasets import load_digits, load_mnist, make_moving_digits
from unspool.plots import ImagesDisplay, ModelDiagramDisplay, TrainingHistoryDisplay

UNITS = 128
FRAMES = 10  # number of frames that are seen, and that are predicted
VIDEOS, TEST_VIDEOS = 4000, 500


def make_models(epochs=20, random_state=0, decoder="state"):
    """Return the three models of the paper by name, each with one layer."""
    shared = {
        "latent_dim": 2 * UNITS,  # the hidden and the cell state
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
    reconstructing = {
        "reverse_target": True,
        "pooling": "last",
        "n_kernels": 0,
        "input_dropout": 0.0,
    }
    predicting = {"normalization": "none", "linear_steps": 0, "code_dropout": 0.0}
    return {
        "autoencoder": LSTMAutoencoder(**reconstructing, **shared),
        "future predictor": LSTMForecaster(horizon=FRAMES, **predicting, **shared),
        "composite": LSTMAutoencoder(horizon=FRAMES, **reconstructing, **shared),
    }


def load_images(mnist):
    """Return training and test images, and a frame size that suits them."""
    if mnist is None:
        digits = load_digits()  # 8×8
        return digits.X_train, digits.X_test, 20
    digits = load_mnist(mnist)  # 28×28
    train, test = (
        images.reshape(-1, 14, 2, 14, 2).mean(axis=(2, 4))
        for images in (digits.X_train, digits.X_test)
    )
    return train, test, 32


def nats(truth, predicted):
    """Return the cross-entropy per frame, summed over its pixels."""
    p = np.clip(predicted, 1e-7, 1 - 1e-7)
    per_pixel = -(truth * np.log(p) + (1 - truth) * np.log1p(-p))
    return per_pixel.sum(axis=2).mean()


def last_frame_nats(past, future):
    """Return the nats of repeating the last frame, at the best probability of a wrong pixel."""
    last = np.repeat(past[:, -1:], future.shape[1], axis=1)
    return min(nats(future, p + (1 - 2 * p) * last) for p in np.linspace(0.01, 0.3, 30))


def main(output="unspool-demo/moving_mnist", epochs=20, random_state=0, mnist=None):
    """Run the experiment, and return its results by name."""
    output = Path(output)
    output.mkdir(parents=True, exist_ok=True)
    train_images, test_images, size = load_images(mnist)
    train = make_moving_digits(
        train_images, VIDEOS, 2 * FRAMES, frame_size=size, random_state=random_state
    )
    test = make_moving_digits(
        test_images, TEST_VIDEOS, 2 * FRAMES, frame_size=size, random_state=random_state + 1000
    )
    past, future = test[:, :FRAMES], test[:, FRAMES:]
    print("videos:", train.shape, "for training,", test.shape, "for testing")

    mean = train.mean(axis=(0, 1))
    results = {
        "the mean image: reconstruction, nats": nats(past, mean),
        "the mean image: future, nats": nats(future, mean),
        "the last frame repeated: future, nats": last_frame_nats(past, future),
    }
    reconstructions, predictions = {}, {}  # of the first test video
    for name, model in make_models(epochs, random_state).items():
        start = perf_counter()
        if name == "autoencoder":
            model.fit(train[:, :FRAMES])
        else:
            model.fit(train[:, :FRAMES], train[:, FRAMES:])
        results[f"{name}, fit, seconds"] = perf_counter() - start
        if name != "future predictor":
            reconstruction = model.reconstruct(past)
            results[f"{name}: reconstruction, nats"] = nats(past, reconstruction)
            reconstructions[f"{name}: reconstruction"] = reconstruction[0]
        if name != "autoencoder":
            prediction = model.forecast(past)
            results[f"{name}: future, nats"] = nats(future, prediction)
            predictions[f"{name}: future"] = prediction[0]
    composite = model
    composite.save(output / "moving_mnist.unspool")

    for name, value in results.items():
        print(f"{name:<38} {value:.4g}")
    rows = {"input": past[0], **reconstructions, "true future": future[0], **predictions}
    frames = {name: np.reshape(row, (-1, size, size)) for name, row in rows.items()}
    display = ImagesDisplay.from_frames(frames)
    display.figure_.savefig(output / "frames.png", dpi=150)
    display = TrainingHistoryDisplay.from_estimator(composite)
    display.figure_.savefig(output / "history.png", dpi=150)
    display = ModelDiagramDisplay.from_estimator(composite)
    display.figure_.savefig(output / "composite.png", dpi=150)
    print(f"The model and the pictures are in {str(output)!r}.")
    return results


if __name__ == "__main__":
    main(mnist=sys.argv[1] if sys.argv[1:] else None)
