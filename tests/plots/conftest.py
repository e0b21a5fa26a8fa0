import matplotlib.pyplot as plt
import pytest
from sklearn.base import BaseEstimator

from unspool.data.convert import as_sequences


@pytest.fixture(autouse=True)
def _drawn_without_a_screen():
    """Use the Agg backend, and close all figures after a test."""
    plt.switch_backend("Agg")
    yield
    plt.close("all")


class FakeAutoencoder(BaseEstimator):
    """A fitted estimator that halves its input and stores its inputs."""

    def __init__(self):
        self.inputs = []

    def fit(self, X, y=None):
        self.history_ = {"loss": [0.4, 0.2, 0.3]}
        return self

    def transform(self, X):
        """Return codes of three numbers: means of the first and the last feature."""
        X = as_sequences(X)
        values, lengths = X.take(range(len(X)))
        return (values.sum(axis=1) / lengths[:, None])[:, [0, 0, -1]] * [1, 2, 3]

    def reconstruct(self, X):
        self.inputs.append(X)
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
