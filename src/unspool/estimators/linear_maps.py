"""How a forecaster is initialised: its linear maps are solved for, and its network outputs zero.

Training then starts from the forecast of the maps, and the network learns their error. Its outputs
are scaled by the size of that error, so the first updates do not exceed it.
"""

import copy
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

from unspool.nn.dense import Dense
from unspool.nn.skip import NormalEquations, Skip
from unspool.training.batches import Batch, Batches
from unspool.training.objective import futures, weights_by_step

MAX_SEQUENCES = 8192  # number of sequences that the maps are fitted to, spread over the data
BATCH = 64
MAX_PASSES = 20  # passes over the data, if values of the futures are missing
CONVERGED = 1e-3  # relative change of the maps in a pass after which there is none
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
    some = Batches(batches.source, batches.scaler, drawn, BATCH, cpu, weights=batches.weights)
    if found.weight is not None:
        features, _, columns = found.weight.shape
        together = max(1, MAX_VALUES // columns**2)
        for first in range(0, features, together):
            part = slice(first, first + together)
            of_part = _of_features(found, part)
            found.weight[part] = _maps(of_part, part, some, targets, every_step=every_step)
    square = torch.zeros_like(found.scale, dtype=torch.float64)
    total = torch.zeros_like(square)
    for batch in some:
        x, y, weights = targets(batch.x), batch.y, _by_sequence(batch)
        assert y is not None
        known = (~y.isnan()).double()
        errors = found.inverse(y, x, batch.lengths).double().square().nan_to_num(0.0)
        if weights is not None:
            known *= weights[:, None, None]
        square += (errors * known).sum((0, 1))
        total += known.sum((0, 1))
    left = torch.where(total > 0, square / total, 0.0).sqrt().float()
    found.scale.copy_(torch.where(left > 0, left, 1.0))
    skip.load_state_dict(found.state_dict())


def _maps(
    skip: Skip,
    part: slice,
    batches: Batches,
    targets: Callable[[Tensor], Tensor],
    *,
    every_step: bool,
) -> Tensor:
    """Solve for the linear maps of the features of `skip`, which are `part` of the targets."""
    assert skip.weight is not None
    for _ in range(MAX_PASSES):
        normal, incomplete = NormalEquations(skip), False
        for batch in batches:
            assert batch.y is not None
            incomplete |= skip.fill is not None and bool(batch.y[:, :, part].isnan().any())
            _add(normal, batch, targets(batch.x), part, every_step=every_step)
        before, maps = skip.weight.clone(), normal.solve()
        skip.weight.copy_(maps)
        if not incomplete or (maps - before).norm() <= CONVERGED * maps.norm():
            break
    return maps


def _of_features(skip: Skip, part: slice) -> Skip:
    """Return a copy of `skip` for some of its features."""
    assert skip.weight is not None
    features, horizon, _ = skip.weight[part].shape
    missing = skip.fill is not None
    copied = Skip(features, horizon, skip.steps, skip.normalization, missing)
    if skip.fill is not None:
        copied.fill = skip.fill[part]
    return copied


def _add(
    normal: NormalEquations, batch: Batch, past: Tensor, part: slice, *, every_step: bool
) -> None:
    """Add features `part` of the targets (B, T, F_out) of a batch, and of the steps that follow."""
    assert batch.y is not None
    x, lengths, y = past[:, :, part], batch.lengths, batch.y[:, :, part]
    if not every_step:
        normal.add(x, lengths, y, _by_sequence(batch))
        return
    after, weights = futures(x, lengths, y), weights_by_step(batch)
    if weights is not None:
        weights = weights.expand(len(x), after.shape[1] * after.shape[2], -1)
        weights = weights.reshape(*after.shape[:3], -1).mean((2, 3))
    for step in range(x.shape[1]):
        read = slice(None) if lengths is None else lengths > step
        of_step = None if weights is None else weights[read, step]
        normal.add(x[read, : step + 1], None, after[read, step], of_step)


def _by_sequence(batch: Batch) -> Tensor | None:
    """Return the mean weight (B,) of the steps that follow each sequence, None if all are 1."""
    weights = batch.y_weights
    return None if weights is None else weights.mean((1, 2)).expand(len(batch.x))


def silence(decoder: nn.Module) -> None:
    """Make a decoder output zeros; a decoder without dense layers is not changed."""
    dense = [one for one in decoder.modules() if isinstance(one, Dense)]
    if dense and dense[-1] in list(decoder.head):  # type: ignore[arg-type]
        nn.init.zeros_(dense[-1].weight)
        nn.init.zeros_(dense[-1].bias)
