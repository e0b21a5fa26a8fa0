"""MiniRocket, to compare codes with; run by `benchmarks.codes` with the Python that has aeon.

``python minirocket.py DATA.npz SEEDS`` reads ``train_x``, ``train_y``, ``test_x`` and ``test_y`` (x
of shape (N, T)) and prints the mean accuracy over seeds of a ridge classifier on all features, and
of an SVM on their first 32 principal components.
"""

import sys
from pathlib import Path


def main() -> None:
    """Print both accuracies."""
    import numpy as np
    from aeon.transformations.collection.convolution_based import MiniRocket
    from sklearn.decomposition import PCA
    from sklearn.linear_model import RidgeClassifierCV
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    sys.path.insert(0, str(Path(__file__).parents[1]))
    from classifiers import svm

    data, found = np.load(sys.argv[1]), []
    train, test = (data[f"{part}_x"][:, None] for part in ("train", "test"))
    for seed in range(int(sys.argv[2])):
        rocket = MiniRocket(random_state=seed).fit(train)
        a, b = (np.asarray(rocket.transform(x)) for x in (train, test))
        ridge = make_pipeline(StandardScaler(), RidgeClassifierCV(alphas=np.logspace(-3, 3, 10)))
        whole = ridge.fit(a, data["train_y"]).score(b, data["test_y"])
        few = make_pipeline(StandardScaler(), PCA(min(32, *a.shape), random_state=0)).fit(a)
        codes = [few.transform(x) for x in (a, b)]
        found.append((whole, svm(codes[0], data["train_y"], codes[1], data["test_y"])))
    print(*np.mean(found, axis=0))


if __name__ == "__main__":
    main()
