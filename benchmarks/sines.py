"""Error, accuracy and time of the demo two_sines for several random seeds."""

import statistics
import time

from sklearn.linear_model import LogisticRegression

from benchmarks.machine import describe
from unspool import demos
from unspool.datasets import make_sine_classes

SEEDS = range(5)


def main() -> None:
    """Print a row for every seed, and the medians."""
    print(describe())
    data, make_model = make_sine_classes(), demos.load("two_sines").make_model
    rows = []
    for seed in SEEDS:
        start = time.perf_counter()
        model = make_model(random_state=seed).fit(data.X_train)
        seconds = time.perf_counter() - start
        error = float(model.reconstruction_error(data.X_test).mean())
        classifier = LogisticRegression().fit(model.transform(data.X_train), data.y_train)
        accuracy = classifier.score(model.transform(data.X_test), data.y_test)
        rows.append((error, accuracy, seconds))
        print(f"seed {seed}: test MSE {error:.4f}, accuracy {accuracy:.4f}, fit {seconds:.0f} s")
    errors, accuracies, _ = zip(*rows, strict=True)
    print(
        f"median test MSE {statistics.median(errors):.4f} ({min(errors):.4f} to "
        f"{max(errors):.4f}), median accuracy {statistics.median(accuracies):.4f}"
    )


if __name__ == "__main__":
    main()
