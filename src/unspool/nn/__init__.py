"""PyTorch modules: encoders, decoders with their heads, and the one wiring of them."""

from unspool.nn._gates import gate_weights as gate_weights
from unspool.nn._summary import Summary as Summary
from unspool.nn._summary import summary as summary
from unspool.nn.autoencoder import Autoencoder as Autoencoder
from unspool.nn.decoder import DECODERS as DECODERS
from unspool.nn.decoder import Decoder as Decoder
from unspool.nn.decoder import Guide as Guide
from unspool.nn.decoder import Head as Head
from unspool.nn.decoder import LSTMDecoder as LSTMDecoder
from unspool.nn.encoder import Encoder as Encoder
from unspool.nn.encoder import LSTMEncoder as LSTMEncoder
from unspool.nn.feedforward import DenseDecoder as DenseDecoder
from unspool.nn.feedforward import DenseEncoder as DenseEncoder
from unspool.nn.recurrent import LSTM as LSTM
from unspool.nn.recurrent import LSTMLayer as LSTMLayer
