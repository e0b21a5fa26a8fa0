from .data.convert import as_source as as_source
from .data.sequences import Sequences as Sequences
from .data.windows import Windows as Windows
from .data.windows import chronological_split as chronological_split
from .estimators.lstm_autoencoder import LSTMAutoencoder as LSTMAutoencoder
from .model_file import load as load

__version__: str
