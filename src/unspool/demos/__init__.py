"""The scripts of the folder `examples`, which `unspool demo` runs.

The wheel holds a copy of `examples` in this package. In a checkout, and so in an editable install,
the scripts are read from `examples` itself.
"""

import importlib.util
from pathlib import Path
from types import ModuleType

from unspool import _checks
from unspool.errors import InputError

DEMOS = (
    "two_sines",
    "ramp_composite",
    "padded_sequences",
    "forecast_in_numpy",
    "digit_images",
    "moving_mnist",
    "machine_temperature",
)


def script(name: str) -> Path:
    """Return the path of the script of a demo."""
    if name not in DEMOS:
        raise InputError(_checks.unknown_name("demo", name, DEMOS))
    package = Path(__file__).parent
    in_wheel, in_checkout = package / f"{name}.py", package.parents[2] / "examples" / f"{name}.py"
    return in_wheel if in_wheel.exists() else in_checkout


def load(name: str) -> ModuleType:
    """Import the script of a demo; its function `main` runs the demo and returns its results."""
    path = script(name)
    spec = importlib.util.spec_from_file_location(f"unspool.demos.{name}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
