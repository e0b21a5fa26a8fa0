"""Targets together with weights of features and a loss for each feature."""

import numpy as np
import pytest

from unspool import LSTMAutoencoder, LSTMForecaster
from unspool.errors import InputError

QUICK = {"epochs": 2, "n_kernels": 0, "random_state": 0, "verbose": 0, "validation_split": 0}
pytestmark = pytest.mark.filterwarnings("ignore::unspool.errors.NoBetterThanMeanWarning")


def data():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(20, 6, 3))
    X[..., 1] = X[..., 1] > 0
    return X


def test_feature_weight_has_a_weight_for_each_target():
    X = data()
    weighted, reordered = (
        LSTMAutoencoder(2, targets=[2, 0], feature_weight=weights, **QUICK).fit(X)
        for weights in ([3.0, 1.0], [1.0, 3.0])
    )
    assert weighted.history_["loss"] != reordered.history_["loss"]
    with pytest.raises(InputError, match="must have 2 weights"):
        LSTMAutoencoder(2, targets=[2, 0], feature_weight=[1, 1, 2], **QUICK).fit(X)


def test_a_loss_by_feature_refers_to_features_of_the_data_and_not_to_places_among_targets():
    X = data()
    model = LSTMAutoencoder(2, targets=[2, 1], loss={1: "binary_crossentropy"}, **QUICK).fit(X)
    output = model.reconstruct(X)
    assert output.shape == (20, 6, 2)
    assert ((output[..., 1] > 0) & (output[..., 1] < 1)).all()  # column 1 of X
    assert (output[..., 0] < 0).any()
    assert model.scaler_.shift[1] == 0
    assert model.scaler_.scale[1] == 1


def test_a_loss_for_a_feature_that_is_no_target_is_refused():
    with pytest.raises(InputError, match="not one of the `targets`"):
        LSTMAutoencoder(2, targets=[2], loss={1: "binary_crossentropy"}, **QUICK).fit(data())


def test_a_loss_by_feature_is_refused_if_y_is_another_quantity():
    forecaster = LSTMForecaster(
        2, linear_steps=0, normalization="none", epochs=1, verbose=0, loss={1: "mae"}
    )
    with pytest.raises(InputError, match="features of `X`"):
        forecaster.fit(data(), np.arange(20.0))
