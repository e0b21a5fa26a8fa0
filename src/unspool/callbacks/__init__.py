"""Callbacks of `fit` that write the course of a training to files and servers.

Each gets the same log entries: a "start" with the parameters and the sizes of the data, an "epoch"
after each epoch, and an "end" with the best epoch. The guide to training lists what they contain.
"""

from unspool._lazy import attach as _attach

__getattr__, __dir__, __all__ = _attach(
    __name__,
    {
        "JSONLogger": "_json_lines",
        "MLflowLogger": "_mlflow",
        "TensorBoardLogger": "_tensorboard",
    },
)
