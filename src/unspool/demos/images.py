"""Images of digits: dense, stacked and convolutional autoencoders, and a classifier.

The experiments of the article "Autoencoders".

dense(), stacked(), convolutional(), classifier()   the models with the article's settings
run(folder)    all of them trained, with their pictures
"""

from pathlib import Path
from typing import Any

import numpy as np

from unspool._types import ActivationName
from unspool.datasets import TrainTest, load_digits, load_mnist
from unspool.demos.report import Report
from unspool.estimators import (
    ConvAutoencoder,
    DenseAutoencoder,
    EncoderClassifier,
    StackedAutoencoder,
)

EPOCHS = 50
CONV_EPOCHS = 10
RELU_EPOCHS = 2  # enough to see where such outputs go
BATCH = 256
SMALL_BATCH = 32  # of the 1,442 small digits, so that an epoch has more than a few steps

How = tuple[int, int, int]  # epochs, seed, batch size


def settings(epochs: int, random_state: int, batch_size: int) -> dict[str, Any]:
    """What all models here share; what the article does not have is switched off."""
    return {
        "batch_size": batch_size,
        "epochs": epochs,
        "learning_rate_schedule": "constant",
        "validation_split": 0.1,
        "patience": None,
        "global_clipnorm": None,
        "random_state": random_state,
        "verbose": 0,
    }


def dense(epochs: int = EPOCHS, random_state: int = 0, batch_size: int = BATCH) -> DenseAutoencoder:
    """Make the article's first model: 32 ReLU units between the pixels, and sigmoids."""
    return DenseAutoencoder(
        latent_dim=32,
        output_activation="sigmoid",
        loss="binary_crossentropy",
        optimizer="adadelta",
        learning_rate=1.0,
        scaling="none",
        **settings(epochs, random_state, batch_size),
    )


def stacked(
    epochs: int = EPOCHS, random_state: int = 0, batch_size: int = BATCH
) -> StackedAutoencoder:
    """Make the article's second model: layers of 128 and 64 units, one trained after the other."""
    return StackedAutoencoder(
        latent_dim=64,
        hidden_units=(128,),
        output_activation="sigmoid",
        loss="binary_crossentropy",
        optimizer="rmsprop",
        learning_rate=1e-3,
        scaling="none",
        **settings(epochs, random_state, batch_size),
    )


def classifier(
    autoencoder: Any,
    fine_tune: bool,
    epochs: int = EPOCHS,
    random_state: int = 0,
    batch_size: int = BATCH,
) -> EncoderClassifier:
    """Make the article's classifier: a softmax on the codes, then all layers trained together."""
    return EncoderClassifier(
        autoencoder,
        fine_tune=fine_tune,
        optimizer="rmsprop",
        learning_rate=1e-3,
        **settings(epochs, random_state, batch_size),
    )


def convolutional(
    shape: tuple[int, int],
    epochs: int = CONV_EPOCHS,
    random_state: int = 0,
    batch_size: int = BATCH,
    output_activation: ActivationName = "sigmoid",
) -> ConvAutoencoder:
    """Make the article's third model: 32 filters, pooled and up-sampled, the map is the code."""
    return ConvAutoencoder(
        latent_dim=None,
        filters=(32,),
        output_activation=output_activation,
        image_shape=shape,
        loss="binary_crossentropy",
        optimizer="rmsprop",
        learning_rate=1e-3,
        scaling="none",
        **settings(epochs, random_state, batch_size),
    )


def crossentropy(truth: Any, again: Any) -> float:
    """The mean binary cross-entropy of reconstructions in 0–1."""
    sure = np.clip(again, 1e-7, 1 - 1e-7)
    return float(-(truth * np.log(sure) + (1 - truth) * np.log1p(-sure)).mean())


def run(
    folder: Path, epochs: int = EPOCHS, seed: int = 0, data: Path | None = None
) -> dict[str, float]:
    """Run the experiments, print what came out, and leave models and pictures in `folder`.

    `data` is a folder with the four files of MNIST; without it, scikit-learn's small digits are
    used. The convolutional model trains for at most 10 epochs, as in the article.
    """
    images = load_digits() if data is None else load_mnist(data)
    report = Report(folder, "images of digits")
    shape = images.X_train.shape[1:]
    report.fact("images", f"train {images.X_train.shape}, test {images.X_test.shape}")
    flat = TrainTest(
        images.X_train.reshape(len(images.X_train), -1), images.y_train,
        images.X_test.reshape(len(images.X_test), -1), images.y_test,
    )  # fmt: skip
    batch = SMALL_BATCH if data is None else BATCH
    of_dense(report, flat, shape, (epochs, seed, batch))
    of_stacked(report, flat, (epochs, seed, batch))
    of_convolutional(report, images, (min(epochs, CONV_EPOCHS), seed, batch))
    return report.end()


def of_dense(report: Report, flat: TrainTest[Any], shape: tuple[int, int], how: How) -> None:
    """Train the dense autoencoder, draw digits and weights."""
    from unspool import plots

    with report.timed("dense, fit"):
        model = dense(*how).fit(flat.X_train)
    again = model.reconstruct(flat.X_test)
    report.number("dense, test cross-entropy", crossentropy(flat.X_test, again))
    report.number("dense, test MSE", np.square(flat.X_test - again).mean())
    model.save(report.path("dense.unspool"))
    display = plots.ImagesDisplay.from_estimator(model, flat.X_test, image_shape=shape)
    report.keep(display, "dense_reconstruction.png")
    report.keep(plots.ImagesDisplay.from_weights(model, image_shape=shape), "dense_weights.png")


def of_stacked(report: Report, flat: TrainTest[Any], how: How) -> None:
    """Train the stack layer by layer, then the classifiers on it."""
    with report.timed("stacked, fit"):
        stack = stacked(*how).fit(flat.X_train)
    with report.timed("stacked, classifiers"):
        frozen = classifier(stack, False, *how).fit(flat.X_train, flat.y_train)
        tuned = classifier(stack, True, *how).fit(flat.X_train, flat.y_train)
    report.number("stacked, test accuracy on frozen codes", frozen.score(flat.X_test, flat.y_test))
    report.number("stacked, test accuracy fine-tuned", tuned.score(flat.X_test, flat.y_test))
    tuned.save(report.path("classifier.unspool"))


def of_convolutional(report: Report, images: TrainTest[Any], how: How) -> None:
    """Train the convolutional autoencoder, with sigmoids and with the article's ReLU outputs."""
    from unspool import plots

    shape, epochs = images.X_train.shape[1:], how[0]
    with report.timed("convolutional, fit"):
        model = convolutional(shape, *how).fit(images.X_train)
    history = model.history_["val_loss"]
    if epochs > 1:
        report.number("convolutional, validation cross-entropy, 2 epochs", history[1])
    report.number(f"convolutional, validation cross-entropy, {epochs} epochs", history[-1])
    model.save(report.path("convolutional.unspool"))
    relu = convolutional(shape, min(epochs, RELU_EPOCHS), *how[1:], "relu").fit(images.X_train)
    report.number("ReLU outputs, validation cross-entropy", relu.history_["val_loss"][-1])
    outputs = relu.reconstruct(images.X_test)
    report.number("ReLU outputs, share above 1", float((outputs > 1).mean()))
    for name, one in (("convolutional", model), ("relu", relu)):
        display = plots.ImagesDisplay.from_estimator(one, images.X_test, image_shape=shape)
        report.keep(display, f"{name}_reconstruction.png")
    maps = model.feature_maps(images.X_test[:1])[0]
    report.keep(plots.ImagesDisplay.from_maps(maps), "feature_maps.png")
