"""The estimators and what distinguishes them, as data that loads without NumPy and PyTorch.

Commands, the model file, the runtime and the estimators themselves take their lists of models from
here. To add an estimator, add its entry; `definition` names its table of parameters.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from unspool._types import Reads


@dataclass(frozen=True)
class Entry:
    """An estimator.

    Parameters
    ----------
    name : str
        Name of its class, which model files contain.
    module : str
        Module of the class.
    definition : str
        Name in `unspool.blueprint.definitions` of its parameters and of how it is built.
    """

    name: str
    module: str
    definition: str

    def load(self) -> Any:
        """Import the class, and PyTorch with it."""
        return getattr(import_module(self.module), self.name)


@dataclass(frozen=True)
class Model(Entry):
    """An estimator with an encoder that it trains itself.

    Parameters
    ----------
    kind : str
        Value of ``unspool fit --kind``.
    reads : {"sequences", "rows", "images"}, default "sequences"
        How the model reads a row of a table: as a sequence of one feature, as one time step with
        the columns as features, or as an image if the shape of images is known.
    learns_horizon : bool, default False
        Whether a `horizon` of None means the length of the futures `y` given to `fit`, and not
        that the model does not forecast.
    """

    kind: str = ""
    reads: Reads = "sequences"
    learns_horizon: bool = False


MODELS: Mapping[str, Model] = {
    entry.name: entry
    for entry in (
        Model(
            "LSTMAutoencoder",
            "unspool.estimators.lstm_autoencoder",
            "LSTM_AUTOENCODER",
            kind="lstm",
        ),
        Model(
            "LSTMForecaster",
            "unspool.estimators.lstm_forecaster",
            "LSTM_FORECASTER",
            kind="forecaster",
            learns_horizon=True,
        ),
        Model(
            "DenseAutoencoder",
            "unspool.estimators.dense_autoencoder",
            "DENSE_AUTOENCODER",
            kind="dense",
            reads="rows",
        ),
        Model(
            "StackedAutoencoder",
            "unspool.estimators.stacked_autoencoder",
            "STACKED_AUTOENCODER",
            kind="stacked",
            reads="rows",
        ),
        Model(
            "ConvAutoencoder",
            "unspool.estimators.conv_autoencoder",
            "CONV_AUTOENCODER",
            kind="conv",
            reads="images",
        ),
    )
}

# A classifier holds the encoder of a model, and a detector holds a whole model.
CLASSIFIER = Entry(
    "EncoderClassifier", "unspool.estimators.encoder_classifier", "ENCODER_CLASSIFIER"
)
DETECTOR = Entry("AnomalyDetector", "unspool.estimators.anomaly_detector", "ANOMALY_DETECTOR")

ESTIMATORS: Mapping[str, Entry] = {
    **MODELS,
    CLASSIFIER.name: CLASSIFIER,
    DETECTOR.name: DETECTOR,
}


def class_of(name: str, entries: Mapping[str, Entry]) -> Any:
    """Import the class of this name, which must be one of the `entries`.

    Raises
    ------
    InputError
        If there is no such entry.
    """
    if name not in entries:
        from unspool import _checks
        from unspool.errors import InputError

        raise InputError(_checks.unknown_name("model", name, entries))
    return entries[name].load()
