"""Make the golden files of this format version: ``python -m tests.golden.make [--force]``.

Each is a small model, together with an .npz file that holds an input and the outputs for it. Files
of a released version are never made again, because they show that the files of users still load.
Therefore existing files are not replaced; --force is for a version that is not released yet.
"""

import argparse
import hashlib
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import unspool
from unspool import (
    AnomalyDetector,
    ConvAutoencoder,
    DenseAutoencoder,
    EncoderClassifier,
    LSTMAutoencoder,
    LSTMForecaster,
    StackedAutoencoder,
    Windows,
    model_file,
)
from unspool.anomaly.scores import SCORE_KINDS
from unspool.errors import NoBetterThanMeanWarning, ThresholdWarning

FOLDER = Path(__file__).parent / f"v{model_file.FORMAT_VERSION}"
SUMS = Path(__file__).parent / "sha256.txt"  # as `sha256sum --check` reads it
METHODS = ("transform", "reconstruct", "forecast", "predict_quantiles", "predict_proba", "predict")

QUICK = {"latent_dim": 4, "epochs": 8, "learning_rate": 0.02, "random_state": 0, "verbose": 0}
NAMES = ["left", "right"]


def models() -> Iterator[tuple[str, Any, str, np.ndarray]]:
    """Name, fitted model, part to save, and an input."""
    rng = np.random.default_rng(0)
    table = np.sin(np.arange(9) / 2.1 + np.arange(40)[:, None])
    series = np.sin(np.arange(120)[:, None] / np.array([4.0, 7.0]) + 3) * 2
    images = rng.uniform(size=(30, 6, 5, 2)).cumsum(axis=1)
    windows = Windows(series, 12, 3, feature_names=NAMES)

    lstm = LSTMAutoencoder(**QUICK, bidirectional=False).fit(table)
    yield "lstm", lstm, "model", table[:5]
    both = LSTMAutoencoder(
        **QUICK, units=3, num_layers=2, decoder="state_previous", head_units=(5,), loss="huber"
    ).fit(table[:, :, None])
    yield "lstm-two-layers-both-ways", both, "model", table[:5, :, None]
    narrow = LSTMAutoencoder(**QUICK, units=(5, 3), decoder_units=(2, 3, 5), decoder="state")
    yield "lstm-narrowing", narrow.fit(table), "model", table[:5]
    gru = LSTMAutoencoder(**QUICK, cell="gru", units=(5, 3), decoder="state_reversed_input")
    yield "lstm-gru", gru.fit(table), "model", table[:5]
    yield "lstm-encoder", both, "encoder", table[:5, :, None]
    bounded = LSTMAutoencoder(
        **QUICK, bidirectional=False, decoder="flat", activation="relu", kl_weight=0.01
    ).fit(table)
    yield "lstm-flat-variational", bounded, "model", table[:5]
    composite = LSTMAutoencoder(
        **QUICK, bidirectional=False, horizon=2, forecast_decoder="reshape", metrics=("mae",)
    ).fit(windows)
    yield "lstm-composite", composite, "model", series[:30]
    patches = LSTMAutoencoder(**QUICK, patch_size=4, horizon=3, decoder="reversed_input")
    yield "lstm-patches", patches.fit(windows), "model", series[:30]
    forecaster = LSTMForecaster(
        **QUICK,
        units=5,
        recurrent_activation="hard_sigmoid",
        normalization="none",
        linear_steps=0,
        code_dropout=0.0,
    )
    yield "lstm-forecaster", forecaster.fit(table[:, :7], table[:, 7:]), "model", table[:5, :7]
    ahead = LSTMForecaster(
        **QUICK, horizon=3, normalization="standard", linear_steps=4, quantiles=(0.1, 0.9)
    )
    yield "lstm-forecaster-quantiles", ahead.fit(windows), "model", series[:30]
    dense = DenseAutoencoder(**QUICK, hidden_units=(6,), scaling="minmax").fit(table)
    yield "dense", dense, "model", table[:5]
    stacked = StackedAutoencoder(**QUICK, hidden_units=(6,), activation="elu").fit(table)
    yield "stacked", stacked, "model", table[:5]
    conv = ConvAutoencoder(**QUICK, filters=(3, 2)).fit(images)
    yield "conv-images", conv, "model", images[:3]
    steps = ConvAutoencoder(**QUICK, filters=(3,), kernel_size=4).fit(series.reshape(10, 12, 2))
    yield "conv-sequences", steps, "model", series.reshape(10, 12, 2)[:5]
    classifier = EncoderClassifier(
        LSTMAutoencoder(**QUICK, bidirectional=False),
        head_units=(3,),
        fine_tune=True,
        epochs=8,
        random_state=0,
        verbose=0,
    )
    detector = AnomalyDetector(
        LSTMAutoencoder(**QUICK, n_kernels=0), window=10, kind="trailing", rate=0.05, random_state=0
    )
    yield "detector", detector.fit(pd.DataFrame(series, columns=NAMES)), "model", series[:30]
    labels = np.array(["up", "down", "äußer"])[np.arange(len(windows)) % 3]
    yield "classifier", classifier.fit(windows, labels), "model", series[:30]


def read_as(model: Any, values: np.ndarray) -> Any:
    """The input in the form of the training data: windows of a series, or the array."""
    return values if model.window_ is None else Windows(values, *model.window_, feature_names=NAMES)


def outputs(model: Any, values: np.ndarray) -> dict[str, np.ndarray]:
    """Every output of a model for an input, by the names of its methods."""
    if hasattr(model, "anomaly_scores"):
        return of_detector(model, values)
    inner = getattr(model, "autoencoder_", model)
    X = read_as(inner, values)
    found = {}
    if model is not inner:
        found["codes"] = inner.transform(X)
    for name in METHODS:
        fits = hasattr(model, name) and (name != "forecast" or model.horizon_)
        fits = fits and (name != "predict_quantiles" or model.quantiles)
        if fits and (name != "reconstruct" or len(model.module_.decoders)):
            found[name] = getattr(model, name)(X)
    return found


def of_detector(detector: Any, values: np.ndarray) -> dict[str, np.ndarray]:
    """Scores of each kind, and thresholds and contributions of the default kind."""
    X = pd.DataFrame(values, columns=NAMES)
    found = detector.detect(X)
    scores = {kind: detector.anomaly_scores(X, kind) for kind in SCORE_KINDS}
    return {**scores, "thresholds": found.thresholds, "contributions": found.contributions}


def main(arguments: list[str] | None = None) -> None:
    """Write all files; refuse if there are any, unless ``--force`` is given."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--force", action="store_true", help="replace existing files")
    force = parser.parse_args(arguments).force
    if FOLDER.exists() and not force:
        raise SystemExit(
            f"{FOLDER} exists, and golden files are not made again; use --force for a version that "
            "is not released."
        )
    FOLDER.mkdir(exist_ok=True)
    for old in FOLDER.iterdir():
        old.unlink()
    for category in (NoBetterThanMeanWarning, ThresholdWarning):
        warnings.simplefilter("ignore", category)
    for name, model, part, values in models():
        path = FOLDER / f"{name}.unspool"
        contents = model.contents() if part == "model" else model.contents(part)
        anywhere = replace(contents, versions={"unspool": "0.1.0"})
        model_file.write(path, anywhere)
        loaded = unspool.load(path, device="cpu")
        np.savez_compressed(FOLDER / f"{name}.npz", input=values, **outputs(loaded, values))
    write_sums()


def sums() -> dict[str, str]:
    """The SHA-256 of every golden file of any version, by its path."""
    here = Path(__file__).parent
    files: Mapping[str, Path] = {
        path.relative_to(here).as_posix(): path for path in sorted(here.glob("v*/*"))
    }
    return {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in files.items()}


def write_sums() -> None:
    """Write the checksums that no golden file may ever differ from."""
    SUMS.write_text("".join(f"{digest}  {name}\n" for name, digest in sums().items()))


if __name__ == "__main__":
    main()
