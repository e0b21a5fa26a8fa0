"""Anomalies in the temperature of a machine.

A detector trained on a week of normal data, its scores, threshold and events, the same step by
step in NumPy, and simple methods beside it.

    python examples/machine_temperature.py

prints what came out and leaves detector, events and a picture in `examples/machine_temperature/`.
The code, from the data to the picture, is `unspool.demos.machine`; `unspool demo machine` runs it
too.
"""

from pathlib import Path

from unspool.demos.machine import run

if __name__ == "__main__":
    run(Path(__file__).with_suffix(""))
