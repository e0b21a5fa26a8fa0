"""Autoencoders of sequences: compress each sequence to a short vector, the code, and back.

    from unspool import LSTMAutoencoder

    autoencoder = LSTMAutoencoder(latent_dim=16).fit(X)  # X: (N, T, F), (N, T) or a ragged list
    codes = autoencoder.transform(X)                     # (N, 16)
    reconstruction = autoencoder.reconstruct(X)          # same shape as X

The names below are imported at first use, so that `import unspool` is fast and does not import
torch. `unspool.runtime`, `unspool.evaluation` and the data classes need only NumPy.
"""

from unspool._lazy import attach as _attach

__version__ = "0.1.0"

__getattr__, __dir__, __all__ = _attach(
    __name__,
    {
        "AnomalyDetector": "estimators.anomaly_detector",
        "ConvAutoencoder": "estimators.conv_autoencoder",
        "DenseAutoencoder": "estimators.dense_autoencoder",
        "EncoderClassifier": "estimators.encoder_classifier",
        "FileData": "io.file_data",
        "LSTMAutoencoder": "estimators.lstm_autoencoder",
        "LSTMForecaster": "estimators.lstm_forecaster",
        "Sequences": "data.sequences",
        "StackedAutoencoder": "estimators.stacked_autoencoder",
        "Windows": "data.windows",
        "as_sequences": "data.convert",
        "chronological_split": "data.series",
        "datasets": "datasets",
        "evaluation": "evaluation",
        "gate_weights": "nn._gates",
        "interpolate_missing": "data.interpolation",
        "load": "estimators.loading",
        "read_file": "io.files",
        "runtime": "runtime",
        "sequences_from_table": "io.long_tables",
        "summary": "nn._summary",
    },
)
