"""Where numbers come from: processor, threads, versions, commit."""

import os
import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path


def processor() -> str:
    """Its name and how many cores of it there are."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    models = [line for line in lines if line.startswith("model name")]
    name = models[0].partition(": ")[2] if models else platform.processor()
    return f"{name}, {os.cpu_count()} cores"


def threads() -> int:
    """How many threads every contestant of the suite gets."""
    return os.cpu_count() or 1


def versions(*packages: str) -> str:
    """Python's version and those of `packages`, of which some may not be installed."""
    found = [f"Python {platform.python_version()}"]
    for name in packages:
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            continue
    return ", ".join(found)


def describe() -> str:
    """Processor, cores, torch's threads, Python and the versions that matter, on one line."""
    import torch

    packages = versions("unspool", "torch", "numpy", "numba")
    return f"{processor()}, {torch.get_num_threads()} torch threads, {packages}"


def commit() -> str:
    """The measured commit, with a + if files other than the results differ from it."""
    here = Path(__file__).parent
    results = (":!results", ":!RESULTS.md")
    try:
        head = _git(here, "rev-parse", "--short", "HEAD")
        changed = _git(here, "status", "--porcelain", "--", ":/", *results)
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return f"{head}+" if changed else head


def _git(folder: Path, *arguments: str) -> str:
    answer = subprocess.run(
        ["git", *arguments], cwd=folder, capture_output=True, text=True, check=True
    )
    return answer.stdout.strip()
