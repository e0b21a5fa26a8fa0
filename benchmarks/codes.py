"""What the default codes and features are worth: ``python -m benchmarks.codes FOLDER``.

FOLDER holds a folder for each set of the UCR archive (NAME/NAME_TRAIN.tsv and NAME_TEST.tsv, or
.npy with a label in the first column). Models have their defaults, but for the seed. They see the
training part without its labels; a classifier is then trained on what they give for it. Beside
them stand

- the same model before its first update, with its codes as they start (principal components of
  the features of its untrained encoder), and with 32 random projections of these features in place
  of the linear layer;
- 16 principal components of the values, the values themselves, and the nearest neighbour;
- MiniRocket with a ridge classifier, where ``--peers`` names a Python that has aeon.

With ``--few NAME`` it draws few labels of one set instead.
"""

import argparse
import subprocess
import tempfile
import time
import warnings
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
from sklearn.decomposition import PCA

from benchmarks.classifiers import logistic, nearest, ridge, svm
from benchmarks.machine import describe
from unspool import LSTMAutoencoder
from unspool.errors import NoBetterThanMeanWarning

MOST = 1500  # series of a test part
LARGE = 300  # series of a training part that is worth training on, by our own claim
# The sets on which defaults were chosen first; others influenced single choices later.
CHOSEN_ON = (
    *("Adiac", "ArrowHead", "CBF", "ECG200", "GunPoint", "ItalyPowerDemand", "MedicalImages"),
    *("Plane", "SyntheticControl", "Trace", "TwoLeadECG"),
)
LABELS, DRAWS = (12, 45, 1000), 5

Data = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


def read(folder: Path) -> Data:
    """Values and labels to train on, and to test on; a large test part is drawn from."""
    parts: list[np.ndarray] = []
    for part in ("TRAIN", "TEST"):
        path = folder / f"{folder.name}_{part}.tsv"
        table = np.loadtxt(path) if path.exists() else np.load(path.with_suffix(".npy"))
        if part == "TEST" and len(table) > MOST:
            table = table[np.random.default_rng(0).permutation(len(table))[:MOST]]
        parts += [table[:, 1:].astype(float), table[:, 0].astype(int)]
    return parts[0], parts[1], parts[2], parts[3]


def model_of(seed: int, **parameters: object) -> LSTMAutoencoder:
    """The defaults."""
    return LSTMAutoencoder(random_state=seed, verbose=0, **parameters)


def judged(folder: Path, seed: int) -> dict[str, float]:
    """All accuracies of our models on a set, with one seed."""
    X, y, test, truth = read(folder)
    start = time.perf_counter()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", NoBetterThanMeanWarning)
        model = model_of(seed).fit(X)
    seconds = time.perf_counter() - start
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NoBetterThanMeanWarning)
        untrained = model_of(seed, epochs=1, learning_rate=1e-12).fit(X)
    raw = [untrained.features(x) for x in (X, test)]
    spread = raw[0].std(axis=0)
    drawn = np.random.default_rng(seed).normal(size=(raw[0].shape[1], model.latent_dim))
    drawn *= np.where(spread > 1e-3, 1 / np.maximum(spread, 1e-3), 0)[:, None]
    return {
        "code, svm": svm(model.transform(X), y, model.transform(test), truth),
        "code, logistic": logistic(model.transform(X), y, model.transform(test), truth),
        "start, svm": svm(untrained.transform(X), y, untrained.transform(test), truth),
        "random, svm": svm(raw[0] @ drawn, y, raw[1] @ drawn, truth),
        "features, ridge": ridge(model.features(X), y, model.features(test), truth),
        "features, logistic": logistic(model.features(X), y, model.features(test), truth),
        "untrained features, ridge": ridge(raw[0], y, raw[1], truth),
        "R2": model.score(test),
        "skill": model.skill_score(test),
        "warnings": float(len(caught)),
        "seconds": seconds,
    }


def rivals(folder: Path, peers: str | None, seeds: int) -> dict[str, float]:
    """Accuracies that need no model of ours."""
    X, y, test, truth = read(folder)
    few = PCA(min(16, *X.shape), random_state=0).fit(X)
    found = {
        "PCA-16, svm": svm(few.transform(X), y, few.transform(test), truth),
        "values, svm": svm(X, y, test, truth),
        "1-NN": nearest(X, y, test, truth),
    }
    if peers:
        whole, reduced = minirocket(peers, (X, y, test, truth), seeds)
        found |= {"MiniRocket, ridge": whole, "MiniRocket PCA-32, svm": reduced}
    return found


def minirocket(peers: str, data: Data, seeds: int) -> list[float]:
    """Accuracies of MiniRocket, run by another Python."""
    script = Path(__file__).parent / "contestants" / "minirocket.py"
    names = ("train_x", "train_y", "test_x", "test_y")
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "data.npz"
        np.savez(file, **dict(zip(names, data, strict=True)))
        done = subprocess.run(
            [peers, script, file, str(seeds)], capture_output=True, text=True, check=True
        )
    return [float(word) for word in done.stdout.split()]


def few_labels(folder: Path, peers: str | None, seeds: int) -> Iterator[str]:
    """Accuracies with few labels; all models read the whole training part without labels."""
    X, y, test, truth = read(folder)
    models = [model_of(seed).fit(X) for seed in range(seeds)]
    pca = PCA(16, random_state=0).fit(X)
    yield f"{folder.name}, {len(X)} series: mean accuracy of an SVM over {DRAWS} draws of labels"
    for count in LABELS:
        found: dict[str, list[float]] = {}
        for draw in range(DRAWS):
            chosen = one_of_each(y, min(count, len(y)), np.random.default_rng(draw))
            given = {
                "values": (X[chosen], test),
                "PCA-16": (pca.transform(X[chosen]), pca.transform(test)),
                **{
                    f"code, seed {seed}": (model.transform(X[chosen]), model.transform(test))
                    for seed, model in enumerate(models)
                },
            }
            for name, (a, b) in given.items():
                found.setdefault(name, []).append(svm(a, y[chosen], b, truth))
            if peers:
                data = X[chosen], y[chosen], test, truth
                found.setdefault("MiniRocket, ridge", []).append(minirocket(peers, data, 1)[0])
        means = "  ".join(f"{name} {np.mean(each):.3f}" for name, each in found.items())
        yield f"{count:5d} labels: {means}"


def one_of_each(y: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """Indices of so many series, at least one of each class."""
    order = rng.permutation(len(y))
    _, first = np.unique(y[order], return_index=True)
    rest = np.setdiff1d(np.arange(len(y)), first)[: max(0, count - len(first))]
    return order[np.concatenate([first, rest])]


def line(name: str, found: dict[str, float]) -> str:
    """A set's numbers."""
    return f"{name:24s}" + "  ".join(f"{what} {value:.3f}" for what, value in found.items())


def main() -> None:
    """Print a row for each set, and the means."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--sets", nargs="*", default=[], help="those alone")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--peers", help="a Python that has aeon")
    parser.add_argument("--few", help="draw few labels of this set")
    parser.add_argument("--workers", type=int, default=1, help="processes")
    given = parser.parse_args()
    print(describe())
    if given.few:
        for text in few_labels(given.folder / given.few, given.peers, given.seeds):
            print(text, flush=True)
        return
    names = given.sets or sorted(path.name for path in given.folder.iterdir() if path.is_dir())
    jobs = [(given.folder / name, seed) for name in names for seed in range(given.seeds)]
    means: dict[str, dict[str, float]] = {}
    with ProcessPoolExecutor(given.workers) as pool:
        ours = pool.map(judged, *zip(*jobs, strict=True))
        for name in names:
            of_seeds = [next(ours) for _ in range(given.seeds)]
            found = {what: float(np.mean([one[what] for one in of_seeds])) for what in of_seeds[0]}
            spread = float(np.ptp([one["code, svm"] for one in of_seeds]))
            found |= {"range of code, svm": spread}
            found |= rivals(given.folder / name, given.peers, given.seeds)
            means[name] = found | {"series": float(len(read(given.folder / name)[0]))}
            print(line(name, means[name]), flush=True)
    for title, some in {
        f"mean of {len(means)} sets": list(means.values()),
        "the other sets": [one for name, one in means.items() if name not in CHOSEN_ON],
        f"{LARGE} series and more": [one for one in means.values() if one["series"] >= LARGE],
    }.items():
        if some:
            average = partial(np.mean, dtype=float)
            print(line(title, {what: float(average([o[what] for o in some])) for what in some[0]}))


if __name__ == "__main__":
    warnings.filterwarnings("ignore", module="sklearn")
    main()
