"""The description of a call of `lstm` that backends decide upon, and its initial state."""

from dataclasses import dataclass

import torch
from torch import Tensor

from unspool._types import CellActivationName, CellName, GateActivationName, StatisticName
from unspool.blueprint.cells import CELLS


@dataclass(frozen=True)
class Call:
    """Everything about a call of `lstm` that decides which backend can run it.

    Parameters
    ----------
    activation : {"tanh", "relu"}, default "tanh"
        Activation of the cell.
    recurrent_activation : {"sigmoid", "hard_sigmoid"}, default "sigmoid"
        Activation of the gates.
    reverse : bool, default False
        Whether each sequence is read from its last real step to its first.
    return_sequences : bool, default True
        Whether the states of all steps are returned, or the final states only.
    training : bool, default True
        Whether gradients will be computed.
    device : str, default "cpu"
        Type of the device, such as "cpu" or "cuda".
    dtype : torch.dtype, default torch.float32
        Type of the weights.
    batch : int, optional
        Number of sequences, B. None if it is not known yet.
    hidden : int, optional
        Number of hidden units, H. None if it is not known yet.
    statistics : tuple of {"last", "mean", "max", "min", "std"}, default ()
        Statistics of the states over the real steps that are returned instead of the states.
    cell : {"lstm", "gru"}, default "lstm"
        Kind of the cell.
    h_mask : bool, default False
        Whether a mask multiplies the hidden state that the gates read.

    See Also
    --------
    choose : Name the backend that runs a call.
    lstm : Run a call.

    Examples
    --------
    >>> from unspool.lstm import Call, choose
    >>> choose(Call(activation="relu")).name
    'compiled'
    """

    activation: CellActivationName = "tanh"
    recurrent_activation: GateActivationName = "sigmoid"
    reverse: bool = False
    return_sequences: bool = True
    training: bool = True
    device: str = "cpu"
    dtype: torch.dtype = torch.float32
    batch: int | None = None
    hidden: int | None = None
    statistics: tuple[StatisticName, ...] = ()
    cell: CellName = "lstm"
    h_mask: bool = False


def initial_state(
    h0: Tensor | None, c0: Tensor | None, batch: int, w_hh: Tensor, cell: CellName
) -> tuple[Tensor, Tensor]:
    """Return h and c before the first step, zeros where they are None; c of a GRU is (B, 0)."""
    hidden = w_hh.shape[1]
    if h0 is None:
        h0 = torch.zeros(batch, hidden, dtype=w_hh.dtype, device=w_hh.device)
    if c0 is None:
        width = hidden if CELLS[cell].has_c else 0
        c0 = torch.zeros(batch, width, dtype=w_hh.dtype, device=w_hh.device)
    return h0, c0
