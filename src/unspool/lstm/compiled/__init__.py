"""Compiled code of the recurrence, in Numba; `unspool.lstm.backends.compiled` is its door."""
