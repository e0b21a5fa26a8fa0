import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from unspool.cli import main

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


class Result:
    def __init__(self, code, out, err):
        self.code, self.out, self.err = code, out, err


@pytest.fixture
def run(capsys, monkeypatch):
    """Run a command line in this process: its exit code, stdout and stderr."""
    monkeypatch.setenv("COLUMNS", "200")

    def call(*arguments):
        code = 0
        try:
            main([str(argument) for argument in arguments])
        except SystemExit as stop:
            code = stop.code or 0
        captured = capsys.readouterr()
        plain = re.sub(r"\x1b\[[0-9;]*m", "", captured.err)
        return Result(code, captured.out, plain)

    return call
