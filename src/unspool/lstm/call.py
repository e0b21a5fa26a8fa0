"""What a backend of the recurrence is asked for, beyond the numbers."""

from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Call:
    """What a backend is asked for; see `unspool.lstm.dispatch.lstm`.

    Parameters
    ----------
    activation, recurrent_activation : str
    reverse, return_sequences : bool
    training : bool
        Whether gradients are wanted.
    device : str
        Kind of device, such as "cpu" or "cuda".
    dtype : torch.dtype
    batch, hidden : int, optional
        Sequences, and units; None where they are not known yet.
    statistics : tuple of {"last", "mean", "max", "min", "std"}, default ()
        Of the states over the real steps; a backend gives them in place of the states.
    """

    activation: str = "tanh"
    recurrent_activation: str = "sigmoid"
    reverse: bool = False
    return_sequences: bool = True
    training: bool = True
    device: str = "cpu"
    dtype: torch.dtype = torch.float32
    batch: int | None = None
    hidden: int | None = None
    statistics: tuple[str, ...] = ()
