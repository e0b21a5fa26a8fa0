"""Srivastava, Mansimov & Salakhutdinov 2015, the source of document 000.

Moving MNIST at a small size: autoencoder, future predictor and composite model. With the folder of
MNIST's four files as an argument their digits move, else scikit-learn's.

    python examples/paper_moving_digits.py [FOLDER]

prints what came out and leaves models and pictures in `examples/paper_moving_digits/`.
The code, from the data to the pictures, is `unspool.demos.moving_digits`;
`unspool demo moving_digits` runs it too.
"""

import sys
from pathlib import Path

from unspool.demos.moving_digits import run

if __name__ == "__main__":
    run(Path(__file__).with_suffix(""), data=Path(sys.argv[1]) if sys.argv[1:] else None)
