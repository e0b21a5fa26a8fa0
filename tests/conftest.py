import os
import re

import pytest
import torch

from tests import fakegpu
from unspool.cli import main
from unspool.nn import device

# The tensors here are tiny: a second thread only costs, and a busy machine makes it cost seconds.
torch.set_num_threads(1)


os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"  # it would use the network


def pytest_addoption(parser):
    parser.addoption(
        "--device",
        default="cpu",
        help=f'what device="auto" means in the tests: cpu, cuda or {fakegpu.NAME}',
    )


def pytest_configure(config):
    config.addinivalue_line("markers", 'cpu: device="auto" is the CPU here, whatever --device says')
    if config.getoption("device") == "cpu":
        os.environ["CUDA_VISIBLE_DEVICES"] = ""  # for the processes that tests start
        return
    torch.backends.cudnn.allow_tf32 = False  # it computes in float32 then, as the CPU does
    if config.getoption("device") == fakegpu.NAME:
        fakegpu.register()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item):
    """Say what "auto" means before any fixture is made."""
    on_cpu = item.get_closest_marker("cpu") is not None
    name = "cpu" if on_cpu else item.config.getoption("device")
    device.automatic = lambda: name


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
