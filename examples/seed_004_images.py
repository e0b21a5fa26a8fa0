"""Document 004, "Autoencoders".

Images of digits: a dense, a stacked and a convolutional autoencoder, and a classifier on the stack.
With the folder of MNIST's four files as an argument it takes those, else scikit-learn's digits.

    python examples/seed_004_images.py [FOLDER]

prints what came out and leaves models and pictures in `examples/seed_004_images/`.
The code, from the data to the pictures, is `unspool.demos.images`;
`unspool demo images` runs it too.
"""

import sys
from pathlib import Path

from unspool.demos.images import run

if __name__ == "__main__":
    run(Path(__file__).with_suffix(""), data=Path(sys.argv[1]) if sys.argv[1:] else None)
