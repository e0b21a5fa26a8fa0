"""The numbers that have to come out, in float64; and how far a contestant's are off.

The forward pass is `unspool.lstm.reference`, the equations in NumPy. The gradients, and an epoch of
training, come from torch's autograd through its float64 LSTM, which shares no kernel with anybody
who is timed.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from benchmarks.cases import TOLERANCES
from benchmarks.contestants import torch_lstm
from benchmarks.inputs import is_gru
from unspool.lstm import reference, reference_gru

Arrays = Mapping[str, npt.NDArray[Any]]


def train(inputs: Arrays) -> dict[str, Any]:
    """The states, and the gradients of the weights."""
    exact = in_float64(inputs)
    h, *_ = _forward(exact)
    layer = torch_lstm.layer(exact)
    states, _ = layer(torch.from_numpy(exact["x"]))
    states.backward(torch.from_numpy(exact["d_h"]))
    np.testing.assert_allclose(states.detach().numpy(), h, rtol=0, atol=1e-12)
    return {"h": h, **torch_lstm.gradients(layer)}


def encode(inputs: Arrays) -> dict[str, Any]:
    """The last state."""
    exact = in_float64(inputs)
    _, h_n, *_ = _forward(exact)
    return {"h_n": h_n}


def _forward(exact: Arrays) -> tuple[npt.NDArray[np.float64], ...]:
    """Run the reference of the cell that the weights belong to."""
    run = reference_gru.forward if is_gru(exact) else reference.forward
    return run(exact["x"], exact["w_ih"], exact["w_hh"], exact["bias"])


def epoch(inputs: Arrays) -> dict[str, Any]:
    """The loss on the probe before training, and the mean loss of the first epoch."""
    exact = in_float64(inputs)
    return {
        "loss_before": ((reconstruct(exact, exact["probe"]) - exact["probe"]) ** 2).mean(),
        "loss_of_first_epoch": torch_lstm.Article(exact).epoch(),
    }


def reconstruct(weights: Arrays, x: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """The two-sines model in NumPy: reconstruct x (B, T, 1)."""
    w = weights
    _, code, _ = reference.forward(x, w["encoder_w_ih"], w["encoder_w_hh"], w["encoder_bias"])
    states, _, _ = reference.forward(
        x[:, ::-1],
        w["decoder_w_ih"],
        w["decoder_w_hh"],
        w["decoder_bias"],
        context=code,
        w_context=w["decoder_w_context"],
    )
    hidden = np.maximum(states @ w["hidden_weight"].T + w["hidden_bias"], 0)
    return np.tanh(hidden @ w["out_weight"].T + w["out_bias"])


TRUTHS = {
    "train": train,
    "train_gru": train,
    "peak": train,
    "encode": encode,
    "encode_gru": encode,
    "epoch": epoch,
}


def in_float64(arrays: Arrays) -> dict[str, npt.NDArray[np.float64]]:
    """Widen float32 numbers."""
    return {name: array.astype(np.float64) for name, array in arrays.items()}


def errors(truth: Arrays, numbers: Arrays) -> dict[str, float]:
    """How far each number is off: the largest difference over the truth's largest entry.

    Infinite where it is missing, has another shape, or is not finite.
    """
    found = {}
    for name, exact in truth.items():
        ours = numbers.get(name)
        if ours is None or np.shape(ours) != np.shape(exact) or not np.isfinite(ours).all():
            found[name] = np.inf
        else:
            found[name] = float(np.abs(ours - exact).max() / np.abs(exact).max())
    return found


def objection(found: Mapping[str, float], tolerances: Mapping[str, float]) -> str | None:
    """Say why numbers with these errors are refused, or None; `tolerances` go before ours."""
    allowed = {**TOLERANCES, **tolerances}
    wrong = [
        f"{name} is off by {error:.1e}, allowed {allowed[name]:.0e}"
        for name, error in found.items()
        if not error <= allowed[name]
    ]
    return "; ".join(wrong) or None
