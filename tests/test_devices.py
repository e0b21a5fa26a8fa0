"""The tests of other devices pass on the one that stands in for a GPU."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from torch.utils import backend_registration

from tests import fakegpu

ROOT = Path(__file__).parents[1]


@pytest.mark.skipif(
    not hasattr(backend_registration, "_setup_privateuseone_for_python_backend"),
    reason="this PyTorch has no devices in Python",
)
def test_models_train_run_and_are_pickled_on_a_device_that_refuses_what_a_gpu_refuses():
    options = ["--device", fakegpu.NAME, "-p", "no:cacheprovider", "tests/devices"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options],
        cwd=ROOT,
        env={**os.environ, "CUDA_VISIBLE_DEVICES": ""},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, f"pytest {' '.join(options)}\n{done.stdout[-6000:]}{done.stderr}"
