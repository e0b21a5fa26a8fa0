"""Compiled code of the recurrence, in Numba; `unspool.lstm.cpu` is its door."""
