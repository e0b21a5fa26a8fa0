"""The training loop and its parts: batches, the loss, callbacks, schedules and optimizers.

This package is internal: the estimators use it, and its names may change in any release. To train
an `unspool.nn` module yourself, write a PyTorch training loop.
"""
