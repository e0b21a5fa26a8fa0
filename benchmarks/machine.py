"""The line that says where numbers come from."""

import os
import platform
from importlib.metadata import version
from pathlib import Path


def describe() -> str:
    """Processor, cores, Python and the versions that matter."""
    info = Path("/proc/cpuinfo")
    models = [line for line in info.read_text().splitlines() if line.startswith("model name")]
    processor = models[0].partition(": ")[2] if models else platform.processor()
    packages = ", ".join(f"{name} {version(name)}" for name in ("unspool", "torch", "numpy"))
    return f"{processor}, {os.cpu_count()} cores, Python {platform.python_version()}, {packages}"
