"""Processes that write long outputs are killed at random moments, and go on to the same bytes."""

import subprocess
import sys
import time

import numpy as np
import pytest

SCRIPT = """
import sys, time
from pathlib import Path
import numpy as np
from unspool.io import long_output
from unspool.io.long_output import Rows, write_long

long_output.PART_BYTES = 2000
print("ready", flush=True)

def make(position, state):
    total = state or 0.0
    for start in range(position, 600, 7):
        rows = np.arange(start, min(start + 7, 600))
        total += float(np.sin(rows).sum())
        values = np.sin(rows)[:, None] * np.ones(50)
        time.sleep(0.001)
        columns = {"row": rows, "total": np.full(len(rows), total)}
        yield Rows(int(rows[-1]) + 1, columns | {"x": values[:, 0]}, values, total)

write_long(Path(sys.argv[1]), make, identity=lambda: {"model": 1}, say=lambda text: None)
"""


def run(path, seconds=None):
    """Run the script, killed `seconds` after its start; return whether it came to its end."""
    with subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(path)], stdout=subprocess.PIPE
    ) as process:
        assert process.stdout.readline() == b"ready\n"
        if seconds is not None:
            time.sleep(seconds)
            process.kill()
        return process.wait() == 0


def check(folder, ending, kills, seed):
    begin = time.monotonic()
    assert run(folder / f"whole.{ending}")
    length = time.monotonic() - begin
    path, rng, ended = folder / f"a.{ending}", np.random.default_rng(seed), 0
    for _ in range(kills):
        if run(path, rng.uniform(0, length / 2)):
            ended += 1
            assert path.read_bytes() == (folder / f"whole.{ending}").read_bytes()
            path.unlink()
        elif path.exists():  # killed after the end
            assert path.read_bytes() == (folder / f"whole.{ending}").read_bytes()
    assert run(path)
    assert path.read_bytes() == (folder / f"whole.{ending}").read_bytes()
    assert sorted(one.name for one in folder.iterdir()) == sorted([path.name, f"whole.{ending}"])


def test_an_output_that_is_killed_three_times_is_continued(tmp_path):
    check(tmp_path, "csv", 3, 0)


@pytest.mark.slow
@pytest.mark.parametrize("ending", ["csv", "npy", "parquet"])
def test_an_output_that_is_killed_50_times_is_continued(tmp_path, ending):
    check(tmp_path, ending, 50, 1)
