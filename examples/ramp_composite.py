"""Reconstruct and continue the sequence 0.1, 0.2, …, 0.9 with LSTMs that have ReLU cells.

Four experiments on one short sequence: a simple autoencoder; its encoder alone, saved and loaded
without the decoder; an autoencoder for sequences of several lengths; and a composite model, which
has one encoder and two decoders, one that reconstructs and one that forecasts.

Source: B. R. Roy, "LSTM-AutoEncoders", 2020
(https://medium.com/datadriveninvestor/lstm-autoencoders-f4fdd00cb32c).

    python ramp_composite.py        or        unspool demo ramp_composite

prints the reconstruction, the forecast, their errors and a table of the layers. It writes the
models, the table and pictures to unspool-demo/ramp_composite. It runs for about 10 seconds.
"""

from pathlib import Path
from time import perf_counter

import numpy as np

import unspool
from unspool import LSTMAutoencoder
from unspool.datasets import make_ramp
from unspool.plots import ModelDiagramDisplay, ReconstructionDisplay, TrainingHistoryDisplay


def make_model(epochs=300, random_state=0, horizon=None):
    """Return the model with the parameters of the article; with a `horizon` it is composite."""
    return LSTMAutoencoder(
        latent_dim=100,
        bidirectional=False,
        decoder="repeat",
        activation="relu",
        horizon=horizon,
        optimizer="adam",
        learning_rate=1e-3,
        learning_rate_schedule="constant",
        loss="mse",
        epochs=epochs,
        # The article does without the following, which unspool uses by default.
        pooling="last",
        n_kernels=0,
        input_dropout=0.0,
        validation_split=0,
        patience=None,
        global_clipnorm=None,
        scaling="none",
        random_state=random_state,
        verbose=0,
    )


def main(output="unspool-demo/ramp_composite", epochs=300, random_state=0):
    """Run the experiments, and return their results by name."""
    output = Path(output)
    output.mkdir(parents=True, exist_ok=True)
    results = {}
    X = make_ramp()  # (1, 9, 1)
    print("sequence:      ", formatted(X[0]))

    # A simple autoencoder.
    start = perf_counter()
    model = make_model(epochs, random_state).fit(X)
    results["simple, fit, seconds"] = perf_counter() - start
    reconstruction = model.reconstruct(X)
    print("reconstruction:", formatted(reconstruction[0]))
    results["simple, loss"] = model.history_["loss"][-1]
    results["simple, largest error of a value"] = np.abs(reconstruction - X).max()

    # Its encoder alone: a sequence in, a code of length 100 out.
    model.save(output / "ramp_encoder.unspool", part="encoder")
    encoder = unspool.load(output / "ramp_encoder.unspool")
    codes = encoder.transform(X)
    print("code:          ", codes.shape)
    results["encoder alone, difference"] = np.abs(codes - model.transform(X)).max()

    # One model for several lengths, tested on lengths that it was not trained on.
    several = make_model(epochs, random_state).fit([make_ramp(n)[0] for n in (4, 6, 8, 10, 12)])
    others = [make_ramp(n) for n in (5, 7, 9, 11)]
    results["trained on 4, 6 … 12 steps, largest error on 5, 7 … 11"] = max(
        np.abs(several.reconstruct(other) - other).max() for other in others
    )

    # A composite model; its second target is the sequence shifted by one step.
    start = perf_counter()
    composite = make_model(epochs, random_state, horizon=8).fit(X, X[:, 1:])
    results["composite, fit, seconds"] = perf_counter() - start
    print("forecast:      ", formatted(composite.forecast(X)[0]))
    results["composite, loss"] = composite.history_["loss"][-1]
    composite.save(output / "ramp_composite.unspool")
    table = str(unspool.summary(composite))
    print(table)
    (output / "summary.txt").write_text(f"{table}\n", encoding="utf-8")

    for name, value in results.items():
        print(f"{name:<55} {value:.4g}")
    display = ReconstructionDisplay.from_estimator(model, X)
    display.figure_.savefig(output / "reconstruction.png", dpi=150)
    display = TrainingHistoryDisplay.from_estimator(composite)
    display.figure_.savefig(output / "history.png", dpi=150)
    display = ModelDiagramDisplay.from_estimator(composite)
    display.figure_.savefig(output / "composite.png", dpi=150)
    display.figure_.savefig(output / "composite.svg")
    print(f"The models and the pictures are in {str(output)!r}.")
    return results


def formatted(sequence):
    """Return the values of a sequence (T, 1) as text."""
    return " ".join(f"{value:.3f}" for value in sequence[:, 0])


if __name__ == "__main__":
    main()
