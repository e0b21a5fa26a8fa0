"""The one way numbers are compared in these tests: with a label, and a tolerance by dtype."""

from typing import Any

import numpy as np
import torch

# float64: both sides round differently, a few hundred operations deep.
# float32: oneDNN's tanh and sigmoid are polynomials of about 1e-6.
TOLERANCE = {np.dtype(np.float64): 1e-12, np.dtype(np.float32): 2e-5}


def assert_close(label: str, expected: Any, got: Any, scale: float = 1.0) -> None:
    expected, got = (
        one.detach().cpu().numpy() if isinstance(one, torch.Tensor) else np.asarray(one)
        for one in (expected, got)
    )
    assert expected.shape == got.shape, f"{label}: shape {got.shape}, expected {expected.shape}"
    size = max(1.0, float(np.abs(expected).max(initial=0))) * scale
    apart = float(np.abs(expected.astype(np.float64) - got).max(initial=0))
    allowed = TOLERANCE[np.result_type(expected, got)] * size
    assert apart <= allowed, f"{label}: apart by {apart:.2e}, allowed {allowed:.2e}"
