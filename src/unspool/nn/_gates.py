"""The weights of LSTM and GRU layers, split by gate."""

from typing import Any

from torch import nn

from unspool.errors import InputError
from unspool.lstm.reference import Array
from unspool.nn.lstm_layer import LSTMLayer


def gate_weights(model: Any) -> dict[str, dict[str, dict[str, Array]]]:
    """Return the weights of every LSTM or GRU layer of a model, split by gate.

    Parameters
    ----------
    model : fitted estimator, or torch.nn.Module
        Model whose LSTM or GRU layers are read.

    Returns
    -------
    dict of str to dict of str to dict of str to array
        ``weights[layer][name][gate]``: the layer's name in the module, the weight's name ("w_ih"
        (H, F), "w_hh" (H, H), "bias" (H,) or "w_context" (H, C)), and the gate ("i", "f", "c" or
        "o"; of a GRU "z", "r" or "n", and "rn" for the bias of the recurrent part of "n").
        Arrays are copies. Rows are units; the kernels of Keras are the transposes.

    Raises
    ------
    InputError
        If `model` is neither a module nor a fitted estimator.

    See Also
    --------
    summary : List the layers of a model.
    unspool.lstm.reference.forward : The equations that use these weights.

    Examples
    --------
    >>> from unspool.nn import LSTMEncoder, gate_weights
    >>> weights = gate_weights(LSTMEncoder(n_features=3, latent_dim=5))
    >>> list(weights)
    ['lstm.layers.0.0']
    >>> weights["lstm.layers.0.0"]["w_ih"]["f"].shape
    (5, 3)
    """
    module = getattr(model, "module_", model)
    if not isinstance(module, nn.Module):
        raise InputError(
            "Expected a fitted estimator or a torch module, got "
            f"{type(model).__name__}. Call `fit` before this function."
        )
    layers = module.named_modules()
    return {name: layer.gates() for name, layer in layers if isinstance(layer, LSTMLayer)}
