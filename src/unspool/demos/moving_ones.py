"""Padded sequences of a one that moves: three decoders, and sequences made anew.

The question "LSTM Autoencoder", which asks for one vector of fixed size for sequences of unequal
length, and its answer.

autoencoder()  the answer's model, with one of its decoders
run(folder)    each decoder trained; padding; sequences from codes and from a start
"""

from pathlib import Path
from typing import Any

import numpy as np

from unspool._types import DecoderName
from unspool.data.sequences import FloatArray, Sequences
from unspool.datasets import make_moving_ones
from unspool.demos.report import Report
from unspool.estimators import LSTMAutoencoder, LSTMForecaster

EPOCHS = 60
DECODERS: tuple[DecoderName, ...] = ("repeat", "flat", "reshape")


def settings(epochs: int, random_state: int) -> dict[str, Any]:
    """What all models here share: the settings of the question."""
    return {
        "output_activation": "sigmoid",
        "loss": "binary_crossentropy",
        "optimizer": "adam",
        "learning_rate": 1e-3,
        "learning_rate_schedule": "constant",
        "batch_size": 100,
        "epochs": epochs,
        # What the question does not have is switched off.
        "validation_split": 0,
        "patience": None,
        "global_clipnorm": None,
        "scaling": "none",
        "random_state": random_state,
        "verbose": 0,
    }


def autoencoder(
    decoder: DecoderName, epochs: int = EPOCHS, random_state: int = 0
) -> LSTMAutoencoder:
    """Make the answer's model: LSTM(20), and one of its decoders."""
    return LSTMAutoencoder(
        latent_dim=20, bidirectional=False, decoder=decoder, metrics=("accuracy",),
        pooling="last", n_kernels=0, input_dropout=0.0,
        **settings(epochs, random_state),
    )  # fmt: skip


def exact(again: FloatArray, sequences: Sequences) -> float:
    """Share of sequences that are right at every value, at the threshold 0.5."""
    values, lengths = sequences.take(np.arange(len(sequences)))
    wrong = (again[:, : values.shape[1]] > 0.5) != (values > 0.5)
    real = np.arange(values.shape[1]) < lengths[:, None]
    return float(1 - (wrong & real[:, :, None]).any(axis=(1, 2)).mean())


def run(folder: Path, epochs: int = EPOCHS, seed: int = 0) -> dict[str, float]:
    """Run the experiments, print what came out, and leave models and pictures in `folder`."""
    from unspool import plots

    report = Report(folder, "a one that moves, in sequences of 0 to 10 steps")
    data = make_moving_ones()
    report.fact("data", data)
    models = {}
    for decoder in DECODERS:
        with report.timed(f"{decoder}, fit"):
            model = models[decoder] = autoencoder(decoder, epochs, seed).fit(data)
        report.number(f"{decoder}, sequences exactly right", exact(model.reconstruct(data), data))
        report.number(f"{decoder}, cross-entropy", model.history_["loss"][-1])
        report.number(f"{decoder}, accuracy", model.history_["accuracy"][-1])
    model = models["repeat"]
    model.save(report.path("moving_ones.unspool"))
    report.fact("runs on", model.module_.backends()["encoder.lstm.layers.0.0"])

    values, lengths = data.take(np.arange(len(data)))
    padded = Sequences(np.pad(values, ((0, 0), (0, 20), (0, 0))), lengths)
    apart = np.abs(model.transform(padded) - model.transform(data)).max()
    report.number("20 more steps of padding, difference of codes", apart, ".0e")

    codes = model.transform(data)
    drawn = model.generate(codes, data.lengths, temperature=0)
    report.number("generated from codes, exactly right", exact(np.nan_to_num(drawn), data))
    report.keep(picture(plots.ImagesDisplay, model, data), "reconstruction.png")

    with report.timed("forecaster, fit"):
        forecaster = LSTMForecaster(
            latent_dim=20,
            horizon=1,
            every_step=True,
            normalization="none",
            linear_steps=0,
            dropout=0.0,
            **settings(epochs, seed),
        ).fit(data[data.lengths > 1])  # a shorter one has nothing to predict
    whole = make_moving_ones(1000, random_state=seed + 1)
    whole = whole[whole.lengths == 10]
    starts = Sequences(whole.values[:, :3])
    grown = forecaster.generate(starts, 7, temperature=0)
    right = (grown == whole.values[:, 3:]).all(axis=(1, 2)).mean()
    report.number("generated from a start of 3 steps, exactly right", float(right))
    made = np.concatenate([starts.values[0], grown[0]])
    display = plots.ImagesDisplay(
        np.stack([whole.values[0].T, made.T])[None], None, ["a sequence", "from its first 3 steps"]
    )
    report.keep(display.plot(cmap="Blues"), "generated.png")
    return report.end()


def picture(display: Any, model: LSTMAutoencoder, data: Sequences) -> Any:
    """Draw sequences of several lengths over their reconstructions, features upwards."""
    shown = [int(np.flatnonzero(data.lengths == length)[0]) for length in (10, 8, 6, 4, 2)]
    some = data[shown]
    images = np.stack([some.values, np.nan_to_num(model.reconstruct(some))])
    names = [f"{length} steps" for length in some.lengths]
    return display(images.swapaxes(2, 3), ["input", "reconstruction"], names).plot(cmap="Blues")
