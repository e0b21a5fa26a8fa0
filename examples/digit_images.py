"""Reconstruct images of digits with dense, stacked and convolutional autoencoders, and classify.

A dense autoencoder has codes of length 32. A stacked one is trained layer by layer; a classifier is
then trained on its codes, first with the encoder frozen, then with all layers fine-tuned. A
convolutional one has codes that are 32 feature maps; with ReLU outputs, as in the source, its
reconstructions may exceed 1, so the script counts how often they do.

Source: "Autoencoders: Implementing (Deep)Auto-encoders with keeas and tensor-flow"
(docs/references.md).

    python digit_images.py [FOLDER]        or        unspool demo digit_images [--mnist FOLDER]

FOLDER holds the four files of MNIST; without it, the small digits of scikit-learn are used. The
script prints test errors and accuracies. It writes models and pictures to
unspool-demo/digit_images. It runs for about a minute with the small digits, and longer with
MNIST.
"""

import sys
from pathlib import Path
from time import perf_counter

import numpy as np

from unspool import ConvAutoencoder, DenseAutoencoder, EncoderClassifier, StackedAutoencoder
from unspool.datasets import load_digits, load_mnist
from unspool.plots import ImagesDisplay

CONV_EPOCHS = 10
RELU_EPOCHS = 2  # enough to see how often ReLU outputs exceed 1


def training_parameters(epochs, random_state, batch_size):
    """Return the parameters of training that all models share."""
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


def make_dense(epochs=50, random_state=0, batch_size=256):
    """Return the first model of the article: a code of 32 ReLU units, and sigmoid outputs."""
    return DenseAutoencoder(
        latent_dim=32,
        output_activation="sigmoid",
        loss="binary_crossentropy",
        optimizer="adadelta",
        learning_rate=1.0,
        scaling="none",
        **training_parameters(epochs, random_state, batch_size),
    )


def make_stacked(epochs=50, random_state=0, batch_size=256):
    """Return the second model: layers of 128 and 64 units, trained one after the other."""
    return StackedAutoencoder(
        latent_dim=64,
        hidden_units=(128,),
        output_activation="sigmoid",
        loss="binary_crossentropy",
        optimizer="rmsprop",
        learning_rate=1e-3,
        scaling="none",
        **training_parameters(epochs, random_state, batch_size),
    )


def make_classifier(autoencoder, fine_tune, epochs=50, random_state=0, batch_size=256):
    """Return the classifier: a softmax layer on the codes of `autoencoder`."""
    return EncoderClassifier(
        autoencoder,
        fine_tune=fine_tune,
        optimizer="rmsprop",
        learning_rate=1e-3,
        **training_parameters(epochs, random_state, batch_size),
    )


def make_convolutional(
    image_shape, epochs=CONV_EPOCHS, random_state=0, batch_size=256, output_activation="sigmoid"
):
    """Return the third model: 32 filters, pooled and upsampled; the feature maps are the code."""
    return ConvAutoencoder(
        latent_dim=None,
        filters=(32,),
        output_activation=output_activation,
        image_shape=image_shape,
        loss="binary_crossentropy",
        optimizer="rmsprop",
        learning_rate=1e-3,
        scaling="none",
        **training_parameters(epochs, random_state, batch_size),
    )


def crossentropy(truth, reconstruction):
    """Return the mean binary cross-entropy of a reconstruction with values from 0 to 1."""
    p = np.clip(reconstruction, 1e-7, 1 - 1e-7)
    return -(truth * np.log(p) + (1 - truth) * np.log1p(-p)).mean()


def main(output="unspool-demo/digit_images", epochs=50, random_state=0, mnist=None):
    """Run the experiments, and return their results by name."""
    output = Path(output)
    output.mkdir(parents=True, exist_ok=True)
    images = load_digits() if mnist is None else load_mnist(mnist)
    print("images:", images.X_train.shape, "for training,", images.X_test.shape, "for testing")
    # The small set has 1442 images; with batches of 256, an epoch would have too few updates.
    batch_size = 32 if mnist is None else 256
    results = {
        **run_dense(images, output, epochs, random_state, batch_size),
        **run_stacked(images, output, epochs, random_state, batch_size),
        **run_convolutional(images, output, min(epochs, CONV_EPOCHS), random_state, batch_size),
    }
    for name, value in results.items():
        print(f"{name:<51} {value:.4g}")
    print(f"The models and the pictures are in {str(output)!r}.")
    return results


def flattened(images):
    """Return images (N, H, W) as rows (N, H * W)."""
    return images.reshape(len(images), -1)


def run_dense(images, output, epochs, random_state, batch_size):
    """Train the dense autoencoder; draw digits and weights."""
    X_train, X_test = flattened(images.X_train), flattened(images.X_test)
    start = perf_counter()
    model = make_dense(epochs, random_state, batch_size).fit(X_train)
    seconds = perf_counter() - start
    reconstruction = model.reconstruct(X_test)
    model.save(output / "dense.unspool")
    shape = images.X_train.shape[1:]
    display = ImagesDisplay.from_estimator(model, X_test, image_shape=shape)
    display.figure_.savefig(output / "dense_reconstruction.png", dpi=150)
    display = ImagesDisplay.from_weights(model, image_shape=shape)
    display.figure_.savefig(output / "dense_weights.png", dpi=150)
    return {
        "dense, fit, seconds": seconds,
        "dense, test cross-entropy": crossentropy(X_test, reconstruction),
        "dense, test MSE": np.square(X_test - reconstruction).mean(),
    }


def run_stacked(images, output, epochs, random_state, batch_size):
    """Train the stack layer by layer, then a classifier on frozen codes and a fine-tuned one."""
    X_train, X_test = flattened(images.X_train), flattened(images.X_test)
    parameters = (epochs, random_state, batch_size)
    start = perf_counter()
    stack = make_stacked(*parameters).fit(X_train)
    seconds = perf_counter() - start
    start = perf_counter()
    frozen = make_classifier(stack, False, *parameters).fit(X_train, images.y_train)
    tuned = make_classifier(stack, True, *parameters).fit(X_train, images.y_train)
    classifier_seconds = perf_counter() - start
    tuned.save(output / "classifier.unspool")
    return {
        "stacked, fit, seconds": seconds,
        "stacked, classifiers, seconds": classifier_seconds,
        "stacked, test accuracy on frozen codes": frozen.score(X_test, images.y_test),
        "stacked, test accuracy fine-tuned": tuned.score(X_test, images.y_test),
    }


def run_convolutional(images, output, epochs, random_state, batch_size):
    """Train the convolutional autoencoder with sigmoid outputs, and with ReLU outputs."""
    results = {}
    shape = images.X_train.shape[1:]
    start = perf_counter()
    model = make_convolutional(shape, epochs, random_state, batch_size).fit(images.X_train)
    results["convolutional, fit, seconds"] = perf_counter() - start
    losses = model.history_["val_loss"]
    if epochs > 1:
        results["convolutional, validation cross-entropy, 2 epochs"] = losses[1]
    results[f"convolutional, validation cross-entropy, {epochs} epochs"] = losses[-1]
    model.save(output / "convolutional.unspool")

    relu_epochs = min(epochs, RELU_EPOCHS)
    relu = make_convolutional(shape, relu_epochs, random_state, batch_size, "relu")
    relu.fit(images.X_train)
    results["ReLU outputs, validation cross-entropy"] = relu.history_["val_loss"][-1]
    results["ReLU outputs, share above 1"] = (relu.reconstruct(images.X_test) > 1).mean()

    for name, one in (("convolutional", model), ("relu", relu)):
        display = ImagesDisplay.from_estimator(one, images.X_test, image_shape=shape)
        display.figure_.savefig(output / f"{name}_reconstruction.png", dpi=150)
    display = ImagesDisplay.from_maps(model.feature_maps(images.X_test[:1])[0])
    display.figure_.savefig(output / "feature_maps.png", dpi=150)
    return results


if __name__ == "__main__":
    main(mnist=sys.argv[1] if sys.argv[1:] else None)
