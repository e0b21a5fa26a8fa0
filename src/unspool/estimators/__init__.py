"""scikit-learn faces of the models."""

from unspool.estimators.lstm_autoencoder import LSTMAutoencoder as LSTMAutoencoder
