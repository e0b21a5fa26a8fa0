"""What the order of batches is worth: `python -m benchmarks.batches DATA`.

DATA is a folder with `ucr/ECG5000`, `ett/ETTh1.csv` and `variable_length/`.

Similar lengths: autoencoders of sequences of different lengths, whose batches have all lengths or
similar ones. The lengths say something about the content: of each speaker (JapaneseVowels), of each
gesture (PickupGestureWiimoteZ), and of each class of heartbeats, which are cut so that most are
short and few are long (ECG5000). The loss is the mean squared error of held-out sequences in units
of the variance: the mean over steps, and the mean over sequences of their means. The accuracy is
that of a logistic regression on codes.

Blocks: batches of data that are read in blocks of neighbours, some of which are pooled and
shuffled, next to a permutation of all sequences and to batches that are spread over all of them.
The data are in the worst order for blocks: heartbeats sorted by class (ECG5000), and all windows of
a series in the order of time (ETTh1). The variance is that of the means of batches, divided by that
of a permutation: of the shares of classes, or of the features. The loss is that of an autoencoder
of the heartbeats, and that of a forecast of 24 hours.
"""

import argparse
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import numpy.typing as npt
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from benchmarks.forecasts import TEST, TRAIN, VALIDATION
from benchmarks.machine import describe
from unspool import LSTMAutoencoder, LSTMForecaster, Sequences, Windows
from unspool.io.files import read_file
from unspool.training import batches as batches_module
from unspool.training import blocks as blocks_module
from unspool.training import orders as orders_module
from unspool.training.blocks import BlockOrder, Blocks
from unspool.training.orders import LengthOrder, MixedOrder, Order

Array = npt.NDArray[Any]

SEEDS = range(3)
BATCH = 32
SHORTEST, MOST = 8, 140  # steps of the pieces of heartbeats
WINDOW, HORIZON = 96, 24
SHARES = ((1, 1 / 64), (1 / 4, 1 / 64), (1 / 16, 1 / 64), (1 / 64, 1 / 64), (1 / 4, 1 / 16))


def read_ts(path: Path) -> tuple[list[Array], Array]:
    """Return the sequences (T, F) of a file of the UEA archive, and their labels."""
    sequences, labels = [], []
    for line in path.read_text().splitlines():
        if line and line[0] not in "@#":
            *features, label = line.split(":")
            sequences.append(np.array([one.split(",") for one in features], float).T)
            labels.append(label)
    return [one[~np.isnan(one).all(1)] for one in sequences], np.array(labels)


def heartbeats(folder: Path) -> tuple[Array, Array]:
    """Return the heartbeats (N, 140) of both parts of ECG5000, and their classes."""
    table = np.concatenate(
        [np.loadtxt(folder / "ECG5000_TRAIN.tsv"), np.load(folder / "ECG5000_TEST.npy")]
    )
    return table[:, 1:], table[:, 0].astype(int)


def pieces(beats: Array, classes: Array, rng: np.random.Generator) -> list[Array]:
    """Cut heartbeats so that class 1 is short, and a few of all classes are whole."""
    scale = np.where(classes == 1, 6, 25)
    lengths = np.minimum(MOST, SHORTEST + rng.exponential(scale)).astype(int)
    return [one[:length, None] for one, length in zip(beats, lengths, strict=True)]


@contextmanager
def limit_of_padding(share: float) -> Iterator[list[Order]]:
    """Make batches by length from another share of padding on, and collect the orders."""
    made: list[Order] = []

    def order_of(*given: Any) -> Order:
        made.append(orders_module.order_of(*given))
        return made[-1]

    with (
        mock.patch.object(orders_module, "MAX_PADDING", share),
        mock.patch.object(batches_module, "order_of", order_of),
    ):
        yield made


def similar_lengths(data: Path) -> None:
    """Print losses and times of batches of all lengths and of similar ones."""
    cases = {}
    for name in ("JapaneseVowels", "PickupGestureWiimoteZ"):
        folder = data / "variable_length" / name
        cases[name] = read_ts(folder / f"{name}_TRAIN.ts") + read_ts(folder / f"{name}_TEST.ts")
    beats, classes = heartbeats(data / "ucr" / "ECG5000")
    cut, order = pieces(beats, classes, np.random.default_rng(0)), np.random.default_rng(1)
    places = order.permutation(len(cut))[:3000]
    parts = places[:2000], places[2000:]
    first, second = (([cut[i] for i in part], classes[part]) for part in parts)
    cases["ECG5000, cut"] = first + second
    print("\nSimilar lengths: mean ± standard deviation over seeds")
    print(f"{'':24s}{'':10s}{'':9s}{'loss of':>14s}{'loss of':>18s}")
    print(
        f"{'':24s}{'batches':10s}{'padding':>9s}{'steps':>14s}{'sequences':>18s}"
        f"{'accuracy':>18s}{'fit':>8s}"
    )
    for name, (X, y, X_test, y_test) in cases.items():
        squares = np.concatenate([one.reshape(len(one), -1) for one in X_test])
        variance = squares.var(axis=0)
        for kind, share in (("mixed", 1.0), ("similar", 0.0)):
            losses, scores, seconds, padding = [], [], [], []
            for seed in SEEDS:
                model = LSTMAutoencoder(epochs=30, validation_split=0, random_state=seed, verbose=0)
                start = time.perf_counter()
                with limit_of_padding(share) as made:
                    model.fit(X)
                seconds.append(time.perf_counter() - start)
                (order_used,) = made
                lengths = np.array([len(one) for one in X])
                padding.append(padding_of(order_used, lengths))
                losses.append(errors_of(model, X_test, variance))
                reader = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
                reader.fit(model.transform(X), y)
                scores.append(reader.score(model.transform(X_test), y_test))
            print(
                f"{name:24s}{kind:10s}{np.mean(padding):9.1%}"
                f"{spread(losses, 0)}{spread(losses, 1)}"
                f"{np.mean(scores):8.3f} ± {np.std(scores):.3f}{np.median(seconds):7.1f}s",
                flush=True,
            )


def padding_of(order: Any, lengths: Array) -> float:
    """Return the share of padding in the batches of an epoch."""
    assert isinstance(order, (MixedOrder, LengthOrder))
    found = list(order.epoch(np.random.default_rng(0)))
    return float(1 - lengths.sum() / sum(len(one) * lengths[one].max() for one in found))


def errors_of(model: LSTMAutoencoder, X: list[Array], variance: Array) -> tuple[float, float]:
    """Return mean squared errors of steps and of sequences, in units of the variance."""
    found = model.reconstruct(X)
    errors = [((a[: len(b)] - b) ** 2 / variance).mean(1) for a, b in zip(found, X, strict=True)]
    return float(np.concatenate(errors).mean()), float(np.mean([one.mean() for one in errors]))


def spread(losses: list[tuple[float, float]], which: int) -> str:
    """Return the mean and the standard deviation of losses."""
    some = [one[which] for one in losses]
    return f"{np.mean(some):9.4f} ± {np.std(some):.4f}"


class Permutation(MixedOrder):
    """Batches of a permutation of all sequences."""

    def epoch(self, rng: np.random.Generator) -> Iterator[Array]:
        """Yield the positions of the sequences of each batch."""
        yield from np.array_split(rng.permutation(self.n), self.batches)


def in_blocks(n: int, pool: float, block: float) -> BlockOrder:
    """Return the order of blocks and pools of these shares of the sequences."""
    edges = np.linspace(0, n, round(1 / block) + 1).astype(int)
    counted = Sequences(np.zeros((n, 1, 1)))  # one value for each sequence
    order = BlockOrder(Blocks(counted, edges), np.arange(n), BATCH)
    most = blocks_module.POOL_VALUES
    order.blocks.values = np.full(len(edges) - 1, int(most * block / pool))
    return order


def orders_for(n: int) -> dict[str, Any]:
    """Return the orders that are compared."""
    found: dict[str, Any] = {
        "permutation of all": Permutation(n, BATCH),
        "spread over all (in memory)": MixedOrder(n, BATCH),
    }
    for pool, block in SHARES:
        count = round(pool / block)
        found[f"1/{round(1 / block)} a block, {count} pooled"] = in_blocks(n, pool, block)
    return found


def variance_of(order: Any, values: Array) -> float:
    """Return the variance of the means of batches (N, F), summed over features in its units."""
    means = [
        values[one].mean(axis=0)
        for seed in range(5)
        for one in order.epoch(np.random.default_rng(seed))
    ]
    return float((np.var(means, axis=0) / values.var(axis=0)).mean())


def blocks(data: Path) -> None:
    """Print variances and losses of shuffling by blocks."""
    beats, classes = heartbeats(data / "ucr" / "ECG5000")
    mixed = np.random.default_rng(0).permutation(len(beats))
    train, held_out = mixed[:4000], mixed[4000:]
    train = train[np.argsort(classes[train], kind="stable")]
    kinds = np.eye(6)[classes[train]][:, 1:]

    def reconstruct(seed: int) -> float:
        model = LSTMAutoencoder(epochs=8, validation_split=0, random_state=seed, verbose=0)
        model.fit(beats[train])
        errors = (model.reconstruct(beats[held_out]) - beats[held_out]) ** 2
        return float(errors.mean() / beats.var())

    print_orders("ECG5000 sorted by class, 8 epochs: loss of the autoencoder", kinds, reconstruct)

    loaded = read_file(data / "ett" / "ETTh1.csv", window=WINDOW)
    assert isinstance(loaded.source, Windows)
    (values,) = loaded.source.series
    center, spread = values[:TRAIN].mean(0), values[:TRAIN].std(0)
    values = (values[: TRAIN + VALIDATION + TEST] - center) / spread
    windows = Windows(values[:TRAIN], WINDOW + HORIZON)
    test = np.lib.stride_tricks.sliding_window_view(
        values[TRAIN + VALIDATION - WINDOW :], WINDOW + HORIZON, 0
    ).swapaxes(1, 2)
    levels = windows.take(np.arange(len(windows)))[0].mean(axis=1)

    def forecast(seed: int) -> float:
        model = LSTMForecaster(
            horizon=HORIZON, epochs=4, validation_split=0, random_state=seed, verbose=0
        )
        model.fit(windows)
        return float(((model.forecast(test[:, :WINDOW]) - test[:, WINDOW:]) ** 2).mean())

    print_orders("ETTh1 in the order of time, 4 epochs: MSE of the forecast", levels, forecast)


def print_orders(title: str, values: Array, loss: Any) -> None:
    """Print the variance of means and the loss for each order."""
    print(f"\nBlocks, {title}; mean ± standard deviation over seeds")
    print(f"{'':32s}{'variance of means':>20s}{'loss':>20s}")
    found = orders_for(len(values))
    reference = variance_of(found["permutation of all"], values)
    for name, order in found.items():
        with mock.patch.object(batches_module, "order_of", lambda *given, one=order: one):
            losses = [loss(seed) for seed in SEEDS]
        print(
            f"{name:32s}{variance_of(order, values) / reference:20.2f}"
            f"{np.mean(losses):12.4f} ± {np.std(losses):.4f}",
            flush=True,
        )


def main() -> None:
    """Print all tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--only", choices=["lengths", "blocks"], help="one of the two studies")
    asked = parser.parse_args()
    print(describe())
    print(f"seeds {list(SEEDS)}, batches of {BATCH}")
    if asked.only != "blocks":
        similar_lengths(asked.data)
    if asked.only != "lengths":
        blocks(asked.data)


if __name__ == "__main__":
    main()
