"""Drawing values from the outputs of a model whose outputs are probabilities."""

from collections.abc import Callable

import numpy as np
import torch
from sklearn.utils import check_random_state
from torch import Tensor

from unspool import _checks
from unspool._loss_parameter import Loss
from unspool.nn.sampling import sampler


def draw_function(
    loss: Loss, temperature: float, random_state: int | np.random.RandomState | None
) -> Callable[[Tensor], Tensor]:
    """Return a function that draws values from the outputs of a model trained on `loss`."""
    _checks.raise_all(_checks.number("temperature", temperature, 0))
    seed = int(check_random_state(random_state).randint(2**31))
    return sampler(loss, temperature, torch.Generator().manual_seed(seed))
