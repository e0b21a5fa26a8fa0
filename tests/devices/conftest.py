"""Tests of other devices than the CPU: ``pytest --device cuda tests/devices``, or ``fakegpu``."""


def pytest_ignore_collect(config):
    return True if config.getoption("device") == "cpu" else None
