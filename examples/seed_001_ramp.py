"""Document 001, "LSTM-AutoEncoders".

One sequence, 0.1 … 0.9, and ReLU cells: the simple and the composite autoencoder, the encoder
alone, a summary and a drawing of the model, and sequences of other lengths.

    python examples/seed_001_ramp.py

prints what came out and leaves models and pictures in `examples/seed_001_ramp/`.
The code, from the data to the pictures, is `unspool.demos.ramp`;
`unspool demo ramp` runs it too.
"""

from pathlib import Path

from unspool.demos.ramp import run

if __name__ == "__main__":
    run(Path(__file__).with_suffix(""))
