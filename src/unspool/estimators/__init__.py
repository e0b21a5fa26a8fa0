"""The scikit-learn estimators, one file each."""

from unspool.estimators.conv_autoencoder import ConvAutoencoder as ConvAutoencoder
from unspool.estimators.dense_autoencoder import DenseAutoencoder as DenseAutoencoder
from unspool.estimators.encoder_classifier import EncoderClassifier as EncoderClassifier
from unspool.estimators.lstm_autoencoder import LSTMAutoencoder as LSTMAutoencoder
from unspool.estimators.lstm_forecaster import LSTMForecaster as LSTMForecaster
from unspool.estimators.stacked_autoencoder import StackedAutoencoder as StackedAutoencoder
