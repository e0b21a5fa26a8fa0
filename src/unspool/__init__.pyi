from . import datasets as datasets
from . import evaluation as evaluation
from . import runtime as runtime
from .data.convert import as_sequences as as_sequences
from .data.interpolation import interpolate_missing as interpolate_missing
from .data.sequences import Sequences as Sequences
from .data.series import chronological_split as chronological_split
from .data.windows import Windows as Windows
from .estimators.anomaly_detector import AnomalyDetector as AnomalyDetector
from .estimators.conv_autoencoder import ConvAutoencoder as ConvAutoencoder
from .estimators.dense_autoencoder import DenseAutoencoder as DenseAutoencoder
from .estimators.encoder_classifier import EncoderClassifier as EncoderClassifier
from .estimators.loading import load as load
from .estimators.lstm_autoencoder import LSTMAutoencoder as LSTMAutoencoder
from .estimators.lstm_forecaster import LSTMForecaster as LSTMForecaster
from .estimators.stacked_autoencoder import StackedAutoencoder as StackedAutoencoder
from .io.file_data import FileData as FileData
from .io.files import read_file as read_file
from .io.long_tables import sequences_from_table as sequences_from_table
from .nn._gates import gate_weights as gate_weights
from .nn._summary import summary as summary

__all__: list[str]
__version__: str
