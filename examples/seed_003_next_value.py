"""Document 003, "Implement Keras LSTM feedforward with numpy".

A noisy sine's next value; the weights by gate; the same forecast in NumPy, after every step.

    python examples/seed_003_next_value.py

prints what came out and leaves models and pictures in `examples/seed_003_next_value/`.
The code, from the data to the pictures, is `unspool.demos.next_value`;
`unspool demo next_value` runs it too.
"""

from pathlib import Path

from unspool.demos.next_value import run

if __name__ == "__main__":
    run(Path(__file__).with_suffix(""))
