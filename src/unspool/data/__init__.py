"""Sequences and windows, and how they are made from arrays and frames."""
