"""The loggers of unspool, which write nothing unless the program configures `logging`."""

import logging

logging.getLogger("unspool").addHandler(logging.NullHandler())


def logger(module: str) -> logging.Logger:
    """Return the logger of a public name, such as "unspool.training"."""
    return logging.getLogger(module)
