import os
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

# The tensors here are tiny: a second thread only costs, and a busy machine makes it cost seconds.
torch.set_num_threads(1)


@pytest.fixture(scope="session")
def shared_data() -> Callable[[str], Path]:
    """Finds a file of the real data sets, which are not part of the project; skips without it."""
    root = os.environ.get("UNSPOOL_DATA") or Path(__file__).parents[2] / "shared" / "data"

    def find(name: str) -> Path:
        path = Path(root) / name
        if not path.exists():
            pytest.skip(f"data set {name} is absent from {root} (UNSPOOL_DATA names the folder)")
        return path

    return find
