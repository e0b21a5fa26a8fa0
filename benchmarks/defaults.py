"""What the defaults reach on real data: `python -m benchmarks.defaults FOLDER`.

FOLDER holds ucr/ECG5000, variable_length/JapaneseVowels and ett/ETTh1.csv. Codes are those of
`LSTMAutoencoder()` with nothing set but the seed (and, for the windows of ETTh1, the
`steps_per_epoch` that `unspool fit` sets); the classifier is scikit-learn's logistic regression
with more iterations, trained on the codes of the training file.
"""

import sys
import time
from pathlib import Path

import numpy as np
from sklearn.linear_model import LogisticRegression

from benchmarks.machine import describe
from unspool import LSTMAutoencoder, Windows, chronological_split
from unspool.cli.fit import STEPS_PER_EPOCH
from unspool.io.files import read_file

SEEDS = range(3)


def fitted(
    source: object, seed: int, steps_per_epoch: int | None = None
) -> tuple[LSTMAutoencoder, float]:
    """A model with its defaults, and the seconds it took."""
    start = time.perf_counter()
    model = LSTMAutoencoder(random_state=seed, verbose=0, steps_per_epoch=steps_per_epoch)
    model.fit(source)
    return model, time.perf_counter() - start


def classify(name: str, train: Path, test: Path) -> None:
    """Print the accuracy on the codes, a row for every seed."""
    training = read_file(train)
    if test.suffix == ".npy":  # this copy of ECG5000's test file: a label in the first column
        table = np.load(test)
        X, labels = table[:, 1:], table[:, 0].astype(int)
    else:
        testing = read_file(test)
        X, labels = testing.source, testing.index["label"]
    for seed in SEEDS:
        model, seconds = fitted(training.source, seed)
        classifier = LogisticRegression(max_iter=10_000)
        classifier.fit(model.transform(training.source), training.index["label"])
        accuracy = classifier.score(model.transform(X), labels)
        print(
            f"{name} seed {seed}: accuracy {accuracy:.4f}, test R2 {model.score(X):.3f}, "
            f"{len(model.history_['loss'])} epochs, fit {seconds:.0f} s"
        )


def reconstruct(name: str, path: Path) -> None:
    """Print the error on the last fifth of a series against trivial answers."""
    (series,) = read_file(path, window=96).source.series
    earlier, later = chronological_split(series, 0.2)
    for seed in SEEDS:
        model, seconds = fitted(Windows(earlier, 96), seed, STEPS_PER_EPOCH)
        test = Windows(later, 96, 5)
        x = np.stack([test[i] for i in range(len(test))])
        scale = model.scaler_.scale

        def error(answer: np.ndarray, x: np.ndarray = x, scale: np.ndarray = scale) -> float:
            return float((((answer - x) / scale) ** 2).mean())

        print(
            f"{name} seed {seed}: test MSE {error(model.reconstruct(test)):.3f}, of the training "
            f"mean {error(model.scaler_.shift):.3f}, of the last value repeated "
            f"{error(x[:, -1:]):.3f}, of each window's own mean "
            f"{error(x.mean(axis=1, keepdims=True)):.3f}, fit {seconds:.0f} s"
        )


def main() -> None:
    """Print all rows."""
    folder = Path(sys.argv[1])
    print(describe())
    beats, vowels = folder / "ucr" / "ECG5000", folder / "variable_length" / "JapaneseVowels"
    classify("ECG5000", beats / "ECG5000_TRAIN.tsv", beats / "ECG5000_TEST.npy")
    classify(
        "JapaneseVowels", vowels / "JapaneseVowels_TRAIN.ts", vowels / "JapaneseVowels_TEST.ts"
    )
    reconstruct("ETTh1", folder / "ett" / "ETTh1.csv")


if __name__ == "__main__":
    main()
