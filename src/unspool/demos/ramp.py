"""The sequence 0.1 … 0.9: a simple and a composite LSTM autoencoder with ReLU cells.

The experiments of the article "LSTM-AutoEncoders".

simple()      the article's first model
composite()   the article's second: reconstruction and forecast from one code
run(folder)   both trained, the encoder saved alone and loaded, summary, drawing, other lengths
"""

from pathlib import Path
from typing import Any

import numpy as np

import unspool
from unspool.datasets import make_ramp
from unspool.demos.report import Report
from unspool.estimators import LSTMAutoencoder

EPOCHS = 300


def simple(epochs: int = EPOCHS, random_state: int = 0, **parameters: Any) -> LSTMAutoencoder:
    """Make the model with the settings of the article; `parameters` replace some."""
    settings = {
        "latent_dim": 100,
        "bidirectional": False,
        "decoder": "repeat",
        "activation": "relu",
        "optimizer": "adam",
        "learning_rate": 1e-3,
        "learning_rate_schedule": "constant",
        "loss": "mse",
        "epochs": epochs,
        # One sequence: nothing to hold out. What the article does not have is switched off.
        "pooling": "last",
        "n_kernels": 0,
        "input_dropout": 0.0,
        "validation_split": 0,
        "patience": None,
        "global_clipnorm": None,
        "scaling": "none",
        "random_state": random_state,
        "verbose": 0,
    }
    return LSTMAutoencoder(**{**settings, **parameters})


def composite(epochs: int = EPOCHS, random_state: int = 0) -> LSTMAutoencoder:
    """Make the model that also forecasts: the sequence shifted by one step, 8 steps."""
    return simple(epochs, random_state, horizon=8)


def run(folder: Path, epochs: int = EPOCHS, seed: int = 0) -> dict[str, float]:
    """Run the experiments, print what came out, and leave models and pictures in `folder`."""
    from unspool import plots
    from unspool.nn import summary

    report = Report(folder, "one sequence, 0.1 … 0.9, and ReLU cells")
    X = make_ramp()
    shifted = X[:, 1:]

    with report.timed("simple, fit"):
        model = simple(epochs, seed).fit(X)
    again = model.reconstruct(X)
    report.fact("the sequence", spaced(X[0]))
    report.fact("its reconstruction", spaced(again[0]))
    report.number("simple, loss", model.history_["loss"][-1], ".2e")
    report.number("simple, largest error of a value", np.abs(again - X).max())
    report.fact("runs on", model.module_.backends()["encoder.lstm.layers.0.0"])

    model.save(report.path("ramp_encoder.unspool"), part="encoder")
    encoder = unspool.load(folder / "ramp_encoder.unspool")
    codes = encoder.transform(X)
    report.number("encoder alone, difference", np.abs(codes - model.transform(X)).max(), ".0e")
    report.fact("the code", codes.shape)

    several = simple(epochs, seed).fit([make_ramp(steps)[0] for steps in (4, 6, 8, 10, 12)])
    others = [make_ramp(steps) for steps in (5, 7, 9, 11)]
    worst = max(np.abs(several.reconstruct(other) - other).max() for other in others)
    report.number("trained on 4, 6 … 12 steps, largest error on 5, 7 … 11", worst)

    with report.timed("composite, fit"):
        both = composite(epochs, seed).fit(X, shifted)
    report.fact("its forecast of 0.2 … 0.9", spaced(both.forecast(X)[0]))
    report.number("composite, loss", both.history_["loss"][-1], ".2e")
    both.save(report.path("ramp_composite.unspool"))

    report.say(str(summary(both)))
    report.text(str(summary(both)), "summary.txt")
    report.keep(plots.ReconstructionDisplay.from_estimator(model, X), "reconstruction.png")
    report.keep(plots.TrainingHistoryDisplay.from_estimator(both), "history.png")
    report.keep(plots.ModelDiagramDisplay.from_estimator(both), "composite.png")
    report.keep(plots.ModelDiagramDisplay.from_estimator(both), "composite.svg")
    return report.end()


def spaced(values: np.ndarray) -> str:
    """The values of a sequence of one feature."""
    return " ".join(f"{value:.3f}" for value in values[:, 0])
