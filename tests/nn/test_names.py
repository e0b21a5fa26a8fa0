"""The names that type checkers accept are those that the code knows."""

import pytest

from unspool import _losses, _types
from unspool.blueprint import DECODERS
from unspool.blueprint.parts import NORMALIZATIONS, POOLINGS
from unspool.lstm import BACKENDS
from unspool.nn.dense import ACTIVATIONS
from unspool.nn.losses import LOSSES
from unspool.training.optimizers import OPTIMIZERS


@pytest.mark.parametrize(
    ("literal", "known"),
    [
        (_types.ActivationName, ACTIVATIONS),
        (_types.BackendName, BACKENDS),
        (_types.LossName, LOSSES),
        (_types.LossName, _losses.LOSSES),
        (_types.LSTMDecoderName, DECODERS),
        (_types.NormalizationName, NORMALIZATIONS),
        (_types.OptimizerName, OPTIMIZERS),
        (_types.PoolingName, POOLINGS),
    ],
)
def test_literal_types_list_exactly_the_known_names(literal, known):
    assert sorted(_types.names(literal)) == sorted(known)
