"""Document 002, the question "LSTM Autoencoder" and its answer.

Padded sequences of 0 to 10 steps: one vector for each, three ways to unwind it, and sequences
generated from codes and from their first steps.

    python examples/seed_002_moving_ones.py

prints what came out and leaves models and pictures in `examples/seed_002_moving_ones/`.
The code, from the data to the pictures, is `unspool.demos.moving_ones`;
`unspool demo moving_ones` runs it too.
"""

from pathlib import Path

from unspool.demos.moving_ones import run

if __name__ == "__main__":
    run(Path(__file__).with_suffix(""))
