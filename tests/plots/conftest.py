import matplotlib.pyplot as plt
import pytest
from sklearn.base import BaseEstimator

from unspool.data.convert import as_sequences


@pytest.fixture(autouse=True)
def _drawn_without_a_screen():
    """The Agg backend, and no figure left behind for the next test."""
    plt.switch_backend("Agg")
    yield
    plt.close("all")


class FakeAutoencoder(BaseEstimator):
    """A fitted estimator that halves its input and keeps what it was asked."""

    def __init__(self):
        self.asked = []

    def fit(self, X, y=None):
        self.history_ = {"loss": [0.4, 0.2, 0.3]}
        return self

    def transform(self, X):
        """The mean, and the first value, of every sequence, for every feature."""
        X = as_sequences(X)
        values, lengths = X.take(range(len(X)))
        return (values.sum(axis=1) / lengths[:, None])[:, [0, 0, -1]] * [1, 2, 3]

    def reconstruct(self, X):
        self.asked.append(X)
        values, lengths = X.take(range(len(X)))
        values = values / 2
        for row, length in zip(values, lengths, strict=True):
            row[length:] = float("nan")
        return values


@pytest.fixture
def autoencoder():
    return FakeAutoencoder().fit(None)


@pytest.fixture
def unfitted():
    return FakeAutoencoder()
