"""PyTorch modules: LSTM layers, encoders, decoders, and the autoencoder that connects them.

An `Autoencoder` is one encoder, which maps a sequence to its code, and one or more decoders, which
map the code to a reconstruction or a forecast. Fitted estimators hold one as `module_`; every
module can also be used alone, in a training loop of your own.

Shapes are (B, T, F): batch size, time steps, features. Sequences of different lengths are padded
to T at their ends, and ``lengths`` (B,) holds the number of real steps of each.

Only the names in `__all__` are public. The modules of this package are internal.
"""

from unspool.nn._gates import gate_weights
from unspool.nn._summary import Row, Summary, summary
from unspool.nn.autoencoder import Autoencoder
from unspool.nn.conv_decoder import ConvDecoder
from unspool.nn.conv_encoder import ConvEncoder
from unspool.nn.decoder import Decoder, TeacherForcing
from unspool.nn.encoder import Encoder
from unspool.nn.feedforward import DenseDecoder, DenseEncoder
from unspool.nn.head import Head
from unspool.nn.lstm_decoder import LSTMDecoder
from unspool.nn.lstm_encoder import LSTMEncoder
from unspool.nn.lstm_layer import Cell, LSTMLayer
from unspool.nn.lstm_stack import LSTM
from unspool.nn.skip import Skip

__all__ = [
    "LSTM",
    "Autoencoder",
    "Cell",
    "ConvDecoder",
    "ConvEncoder",
    "Decoder",
    "DenseDecoder",
    "DenseEncoder",
    "Encoder",
    "Head",
    "LSTMDecoder",
    "LSTMEncoder",
    "LSTMLayer",
    "Row",
    "Skip",
    "Summary",
    "TeacherForcing",
    "gate_weights",
    "summary",
]


def __dir__() -> list[str]:
    return __all__
