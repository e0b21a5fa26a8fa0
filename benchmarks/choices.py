"""What the choices behind the defaults are worth: `python -m benchmarks.choices FOLDER`.

FOLDER holds ett/ETTh1.csv. Each row leaves one choice out: the second direction, windows at every
step of the series, the forget gate's bias of 2.
"""

import statistics
import sys
from pathlib import Path
from unittest import mock

import numpy as np

from benchmarks.machine import describe
from unspool import LSTMAutoencoder, Windows, chronological_split, demos
from unspool.cli.fit import STEPS_PER_EPOCH
from unspool.datasets import make_sine_classes
from unspool.io.files import read_file
from unspool.nn import lstm_layer

EPOCHS = 30


def transformer(path: Path) -> None:
    """Test MSE on ETTh1 in windows of 96, 30 epochs, two seeds."""
    (series,) = read_file(path, window=96).source.series
    earlier, later = chronological_split(series, 0.2)
    test = Windows(later, 96, 5)
    x = np.stack([test[i] for i in range(len(test))])
    for name, stride, parameters in (
        ("defaults", 1, {}),
        ("one direction", 1, {"bidirectional": False}),
        ("windows 12 steps apart", 12, {}),
    ):
        errors = []
        for seed in range(2):
            model = LSTMAutoencoder(
                random_state=seed,
                epochs=EPOCHS,
                steps_per_epoch=STEPS_PER_EPOCH,
                verbose=0,
                **parameters,
            ).fit(Windows(earlier, 96, stride))
            apart = (model.reconstruct(test) - x) / model.scaler_.scale
            errors.append(float((apart**2).mean()))
        print(f"ETTh1, {name}: test MSE {', '.join(f'{error:.3f}' for error in errors)}")


def two_sines() -> None:
    """Print the test MSE of the demo two_sines with a forget bias of 1, for five random seeds."""
    data, make_model = make_sine_classes(), demos.load("two_sines").make_model
    with mock.patch.object(lstm_layer, "FORGET_BIAS", 1.0):
        errors = [
            float(
                make_model(random_state=seed)
                .fit(data.X_train)
                .reconstruction_error(data.X_test)
                .mean()
            )
            for seed in range(5)
        ]
    print(
        f"two sines, forget bias 1: test MSE {', '.join(f'{error:.4f}' for error in errors)}, "
        f"median {statistics.median(errors):.4f}"
    )


if __name__ == "__main__":
    print(describe())
    transformer(Path(sys.argv[1]) / "ett" / "ETTh1.csv")
    two_sines()
