"""Numba kernels of the recurrence; other code calls them through `unspool.lstm.prepared`."""
