"""A training step in one call: the losses and all gradients of a small program of stages.

The stages are LSTM layers, dense layers and losses. Each tile of the batch runs through all of
them, forward and backward, before the next tile begins, so that its states and gates stay in the
cache and PyTorch runs nothing in between. The numbers equal those of the layers run one after the
other, up to rounding.

This file knows tensors and names, no modules. A stage reads arrays of the batch by their names, or
what stages before it have written under a name: **sequences** of states, and **vectors**. So a
program is data: the same compiled code runs all of them (`unspool.lstm.compiled.program`).
"""

from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

from torch import Tensor

from unspool._types import CellActivationName, CellName, GateActivationName, StatisticName
from unspool.lstm.compiled import stage

DenseActivation = Literal["linear", "relu", "tanh", "sigmoid", "softmax"]

ACTIVATIONS: Mapping[DenseActivation, int] = {
    "linear": stage.LINEAR,
    "relu": stage.RELU,
    "tanh": stage.TANH,
    "sigmoid": stage.SIGMOID,
    "softmax": stage.SOFTMAX,
}
LOSSES: Mapping[str, int] = {
    "mse": stage.SQUARED,
    "mae": stage.ABSOLUTE,
    "huber": stage.HUBER,
    "binary_crossentropy": stage.BINARY,
    "categorical_crossentropy": stage.CATEGORICAL,
}


class LSTMStage(NamedTuple):
    """An LSTM or GRU layer in one direction.

    Parameters
    ----------
    steps : int
        Number of steps T.
    w_ih, w_hh, bias, w_context : tensors of shape (4H, F), (4H, H), (4H,), (4H, C)
        The weights as in `unspool.lstm.lstm`, of a GRU with 3H rows except for the bias; `w_ih` is
        None if the stage reads nothing, `w_context` is None if it has no context.
    activation, recurrent_activation : str
        Activations of the cell and of its gates.
    cell : {"lstm", "gru"}, default "lstm"
        Kind of the cell, the same in all stages.
    reads : str, optional
        What is read at each step: an array (B, T, F) of the batch, a sequence, or a vector of at
        least T · F values, F for each step.
    reads_backwards : bool, default False
        Read an array from the last real step to the first; the states keep the order of the steps.
    reverse : bool, default False
        Run from the last real step of each sequence to its first.
    beside : bool, default False
        The stage does not depend on the one before it, as the second direction of a layer.
    lengths : str, optional
        Array (B,) of the batch with the number of real steps of each sequence; all T by default.
    context : str, optional
        Vector of C values that is read at every step.
    start : str, optional
        Vector with the initial h, and the initial c, at the places `start_places`; zeros by
        default.
    h_mask : str, optional
        Array (B, H) of the batch, a factor of the hidden state that the gates read.
    states : str, optional
        Sequence that receives the states, from its column `states_place` on.
    vector : str, optional
        Vector that receives `statistics` of the states, from its column `place` on, `stride`
        columns apart. "std" needs "mean". The final c is written from `c_place` on.
    """

    steps: int
    w_ih: Tensor | None
    w_hh: Tensor
    bias: Tensor
    w_context: Tensor | None = None
    activation: CellActivationName = "tanh"
    recurrent_activation: GateActivationName = "sigmoid"
    cell: CellName = "lstm"
    reads: str | None = None
    reads_backwards: bool = False
    reverse: bool = False
    beside: bool = False
    lengths: str | None = None
    context: str | None = None
    start: str | None = None
    start_places: tuple[int, ...] = ()
    h_mask: str | None = None
    states: str | None = None
    states_place: int = 0
    vector: str | None = None
    statistics: tuple[StatisticName, ...] = ()
    place: int = 0
    stride: int = 0
    c_place: int | None = None

    @property
    def weights(self) -> list[Tensor | None]:
        """The weights in the order of their gradients."""
        return [self.w_ih, self.w_hh, self.bias, self.w_context]


class CopyStage(NamedTuple):
    """Copy an array (B, I) of the batch to a vector, from its column `place` on.

    No gradient flows there. The columns are the vector's last ones.
    """

    array: str
    vector: str
    columns: int
    place: int = 0

    weights: tuple[Tensor | None, ...] = ()


class DenseStage(NamedTuple):
    """A dense layer on a vector.

    Parameters
    ----------
    weight, bias : tensors of shape (O, I), (O,)
    reads, writes : str
        Vectors of I and of O values.
    activation : {"linear", "relu", "tanh", "sigmoid"}, default "linear"
    shift, scale : tensors of shape (I,), optional
        The layer reads ``(vector - shift) * scale``.
    """

    weight: Tensor
    bias: Tensor
    reads: str
    writes: str
    activation: DenseActivation = "linear"
    shift: Tensor | None = None
    scale: Tensor | None = None

    @property
    def weights(self) -> list[Tensor | None]:
        """The weights in the order of their gradients."""
        return [self.weight, self.bias]


class MaskStage(NamedTuple):
    """Multiply a vector of W values by an array (B, W) of the batch."""

    mask: str
    reads: str
    writes: str

    weights: tuple[Tensor | None, ...] = ()


class Dense(NamedTuple):
    """A dense layer of a `LossStage`: weight (O, I), bias (O,), and its activation."""

    weight: Tensor
    bias: Tensor
    activation: DenseActivation = "linear"


class LossStage(NamedTuple):
    """Dense layers on each step of a sequence, or on a vector, and the loss of their outputs.

    The loss is summed over real steps and outputs.

    Parameters
    ----------
    layers : sequence of Dense
        One layer or more; only the last one may have the activation "softmax".
    reads : str
        Sequence, or a vector, which is one step.
    target : str
        Array (B, T, O) of the batch, for a vector (B, 1, O).
    loss : str
        Name of the loss of each value, one of `LOSSES`.
    weight : float, default 1.0
        Weight of this loss in the gradients. The loss itself is returned without it.
    lengths : str, optional
        Array (B,) of the batch with the number of real steps.
    error_weights : str, optional
        Array (B, T, O) of the batch that multiplies the loss of each value.
    factors, offsets : str, optional
        Arrays (B, T, O) of the batch: what is compared with the target is
        ``offsets + factors * outputs``.
    features : int, optional
        Number of outputs of a softmax; all O by default.
    """

    layers: Sequence[Dense]
    reads: str
    target: str
    loss: str
    weight: float = 1.0
    lengths: str | None = None
    error_weights: str | None = None
    factors: str | None = None
    offsets: str | None = None
    features: int | None = None

    @property
    def weights(self) -> list[Tensor | None]:
        """The weights in the order of their gradients."""
        return [weight for layer in self.layers for weight in (layer.weight, layer.bias)]


Stage = LSTMStage | CopyStage | DenseStage | MaskStage | LossStage
Stages = Sequence[Stage]


def weights_of(stages: Stages) -> list[Tensor | None]:
    """Return all weights, in the order of their gradients."""
    return [weight for each in stages for weight in each.weights]
