"""How a forecaster is initialised: its linear maps are solved for, and its network outputs zero.

Training then starts from the forecast of the maps, and the network learns their error. Its outputs
are scaled by the size of that error, so the first updates do not exceed it.
"""

import copy
from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import Tensor, nn

from unspool.nn.dense import Dense
from unspool.nn.skip import NormalEquations, Skip
from unspool.training.batches import Batches
from unspool.training.objective import futures

MAX_SEQUENCES = 8192  # number of sequences that the maps are fitted to, spread over the data
BATCH = 64
MAX_VALUES = 1 << 24  # number of values in the equations of the features solved at the same time


def solve(
    skip: Skip,
    batches: Batches,
    *,
    every_step: bool,
    targets: Callable[[Tensor], Tensor],
) -> None:
    """Set the linear maps of `skip` to those of ridge regression on the sequences of `batches`.

    Its scale becomes the standard deviation of their error after the last step.

    Parameters
    ----------
    skip : Skip
    batches : Batches
        Sequences with the steps that follow them.
    every_step : bool
        Whether to fit the steps after every step of a sequence, and not only after its last.
    targets : callable
        Selects the features (..., F_out) that are forecast from all features (..., F).
    """
    count = len(batches.indices)
    most = MAX_SEQUENCES // max(1, batches.source.max_length) if every_step else MAX_SEQUENCES
    places = np.linspace(0, count - 1, min(count, max(1, most))).astype(np.int64)
    drawn = batches.indices[places]
    # Some devices have no float64.
    found, cpu = copy.deepcopy(skip).cpu(), torch.device("cpu")
    some = Batches(batches.source, batches.scaler, drawn, BATCH, cpu)
    if found.weight is not None:
        features, _, columns = found.weight.shape
        together = max(1, MAX_VALUES // columns**2)
        for first in range(0, features, together):
            normal, part = NormalEquations(found), slice(first, first + together)
            for x, lengths, y in _of_targets(some, targets):
                _add(normal, x[:, :, part], lengths, y[:, :, part], every_step=every_step)
            found.weight[part] = normal.solve()
    square, count = torch.zeros_like(found.scale, dtype=torch.float64), 0
    for x, lengths, y in _of_targets(some, targets):
        square += found.inverse(y, x, lengths).double().square().sum((0, 1))
        count += y.shape[0] * y.shape[1]
    left = (square / max(1, count)).sqrt().float()
    found.scale.copy_(torch.where(left > 0, left, 1.0))
    skip.load_state_dict(found.state_dict())


def _of_targets(
    batches: Batches, targets: Callable[[Tensor], Tensor]
) -> Iterator[tuple[Tensor, Tensor | None, Tensor]]:
    """Yield the targets of each batch (B, T, F_out), their lengths, and their futures."""
    for batch in batches:
        assert batch.y is not None
        yield targets(batch.x), batch.lengths, batch.y


def _add(
    normal: NormalEquations, x: Tensor, lengths: Tensor | None, y: Tensor, *, every_step: bool
) -> None:
    """Add sequences x (B, T, F) and the steps that follow them, y (B, K, F), to the equations."""
    if not every_step:
        normal.add(x, lengths, y)
        return
    after = futures(x, lengths, y)
    for step in range(x.shape[1]):
        read = slice(None) if lengths is None else lengths > step
        normal.add(x[read, : step + 1], None, after[read, step])


def silence(decoder: nn.Module) -> None:
    """Make a decoder output zeros; a decoder without dense layers is not changed."""
    dense = [one for one in decoder.modules() if isinstance(one, Dense)]
    if dense and dense[-1] in list(decoder.head):  # type: ignore[arg-type]
        nn.init.zeros_(dense[-1].weight)
        nn.init.zeros_(dense[-1].bias)
