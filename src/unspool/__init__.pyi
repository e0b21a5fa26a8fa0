from .data.convert import as_source as as_source
from .data.sequences import Sequences as Sequences
from .data.series import chronological_split as chronological_split
from .data.windows import Windows as Windows
from .estimators.loading import load as load
from .estimators.lstm_autoencoder import LSTMAutoencoder as LSTMAutoencoder

__version__: str
