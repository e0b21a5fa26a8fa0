"""Document 000, "Implement LSTM AutoEncoder in Keras".

Two sine waves, an LSTM autoencoder whose decoder reads the input backwards, its codes (in NumPy
too), and a classifier on them.

    python examples/seed_000_sines.py

prints what came out and leaves models and pictures in `examples/seed_000_sines/`.
The code, from the data to the pictures, is `unspool.demos.sines`;
`unspool demo sines` runs it too.
"""

from pathlib import Path

from unspool.demos.sines import run

if __name__ == "__main__":
    run(Path(__file__).with_suffix(""))
