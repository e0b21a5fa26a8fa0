"""scikit-learn faces of the models."""

from unspool.estimators.dense_autoencoder import DenseAutoencoder as DenseAutoencoder
from unspool.estimators.lstm_autoencoder import LSTMAutoencoder as LSTMAutoencoder
from unspool.estimators.lstm_forecaster import LSTMForecaster as LSTMForecaster
