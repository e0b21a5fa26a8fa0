"""PyTorch modules: an encoder, decoders with their heads, and the one wiring of them."""

from unspool.nn.autoencoder import Autoencoder as Autoencoder
from unspool.nn.decoder import DECODERS as DECODERS
from unspool.nn.decoder import Head as Head
from unspool.nn.decoder import RepeatDecoder as RepeatDecoder
from unspool.nn.decoder import ReversedInputDecoder as ReversedInputDecoder
from unspool.nn.encoder import LSTMEncoder as LSTMEncoder
from unspool.nn.recurrent import LSTM as LSTM
from unspool.nn.recurrent import LSTMLayer as LSTMLayer
