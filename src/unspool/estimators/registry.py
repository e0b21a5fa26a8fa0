"""The models by the names of their classes, as model files have them."""

from collections.abc import Mapping
from typing import TypeVar

from unspool import _checks
from unspool.errors import InputError
from unspool.estimators.base import Model
from unspool.estimators.conv_autoencoder import ConvAutoencoder
from unspool.estimators.dense_autoencoder import DenseAutoencoder
from unspool.estimators.lstm_autoencoder import LSTMAutoencoder
from unspool.estimators.lstm_forecaster import LSTMForecaster
from unspool.estimators.stacked_autoencoder import StackedAutoencoder

MODELS: dict[str, type[Model]] = {
    model.__name__: model
    for model in (
        LSTMAutoencoder,
        LSTMForecaster,
        DenseAutoencoder,
        StackedAutoencoder,
        ConvAutoencoder,
    )
}

T = TypeVar("T")


def class_of(name: str, known: Mapping[str, T]) -> T:
    """The one of the `known` classes that has this name."""
    if name not in known:
        raise InputError(_checks.unknown_name("model", name, known))
    return known[name]
