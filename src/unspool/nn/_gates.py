"""The weights of LSTM layers, gate by gate."""

from typing import Any

from torch import nn

from unspool.errors import InputError
from unspool.lstm.reference import Array
from unspool.nn.recurrent import LSTMLayer


def gate_weights(model: Any) -> dict[str, dict[str, dict[str, Array]]]:
    """Split the weights of every LSTM layer by its gates: i, f, c and o.

    Parameters
    ----------
    model : fitted estimator, or module

    Returns
    -------
    dict
        By the layer's name in the module, the weight's name in `unspool.lstm.reference.forward`
        ("w_ih" (H, F), "w_hh" (H, H), "bias" (H,), "w_context" (H, C)) and the gate: copies, in
        NumPy. Rows are units; Keras's kernels are these transposed.

    Raises
    ------
    InputError
        For what is neither, or an estimator that was not fitted.

    Examples
    --------
    >>> from unspool.nn import LSTMEncoder
    >>> weights = gate_weights(LSTMEncoder(n_features=3, latent_dim=5))
    >>> weights["lstm.layers.0.0"]["w_ih"]["f"].shape
    (5, 3)
    """
    module = getattr(model, "module_", model)
    if not isinstance(module, nn.Module):
        raise InputError(
            f"Expected a fitted estimator or a torch module, got {type(model).__name__}; call "
            "`fit` first."
        )
    layers = module.named_modules()
    return {name: layer.gates() for name, layer in layers if isinstance(layer, LSTMLayer)}
