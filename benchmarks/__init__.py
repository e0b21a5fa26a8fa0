"""The benchmark suite: `python -m benchmarks`, or `make bench` with the peers installed.

In reading order:

cases           what is measured: cases, shapes, contestants, tolerances
inputs, truth   the numbers that go in, and those that have to come out
contestants/    the same work, once for each of those who are timed
worker          the process that a contestant lives in
workers         those processes, seen from the driver
turns           who may start, and who is timed when
fresh/          scripts that are timed whole, interpreter and all
runs            one function for every kind of case: measurements in, rows out
rows            the rows as CSV files
page, picture   RESULTS.md and its picture, from the rows

`defaults.py`, `choices.py` and `sines.py` are studies of their own; see README.md.
"""
