"""What a backend of the recurrence is asked for."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Call:
    """What a backend is asked for, beyond the numbers; see `unspool.lstm.dispatch.lstm`."""

    activation: str = "tanh"
    recurrent_activation: str = "sigmoid"
    reverse: bool = False
