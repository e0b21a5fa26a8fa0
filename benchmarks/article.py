"""The two-sines model in unspool, and its weights under plain names for all libraries."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import torch

from unspool import demos
from unspool.data.forms import InputForm
from unspool.nn import Autoencoder

Array = npt.NDArray[np.float32]

HEAD = "decoders.reconstruction.head"
NAMES = {
    "encoder_w_ih": "encoder.lstm.layers.0.0.weight_ih",
    "encoder_w_hh": "encoder.lstm.layers.0.0.weight_hh",
    "encoder_bias": "encoder.lstm.layers.0.0.bias",
    "decoder_w_context": "decoders.reconstruction.lstm.layers.0.0.weight_context",
    "decoder_w_ih": "decoders.reconstruction.lstm.layers.0.0.weight_ih",
    "decoder_w_hh": "decoders.reconstruction.lstm.layers.0.0.weight_hh",
    "decoder_bias": "decoders.reconstruction.lstm.layers.0.0.bias",
    "hidden_weight": f"{HEAD}.0.weight",
    "hidden_bias": f"{HEAD}.0.bias",
    "out_weight": f"{HEAD}.2.weight",
    "out_bias": f"{HEAD}.2.bias",
}


def build(backend: str = "auto", seed: int = 0) -> Autoencoder:
    """Make the untrained model."""
    model = demos.load("two_sines").make_model(random_state=seed).set_params(backend=backend)
    # What `fit` would set: one feature, windows of 100 steps, no forecast.
    model._form, model.horizon_ = InputForm("LSTMAutoencoder", "sequences", False, 1, 100), 0
    return model._build(torch.Generator().manual_seed(seed))


def weights(model: Autoencoder) -> dict[str, Array]:
    """Copies of its weights."""
    state = model.state_dict()
    return {plain: state[name].numpy().copy() for plain, name in NAMES.items()}


def load(model: Autoencoder, arrays: Mapping[str, Array]) -> None:
    """Give it the weights in `arrays`, which may hold more than those."""
    model.load_state_dict({name: torch.from_numpy(arrays[plain]) for plain, name in NAMES.items()})
