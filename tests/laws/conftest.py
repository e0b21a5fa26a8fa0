"""Settings of Hypothesis: a few examples in `make test`, the number in UNSPOOL_EXAMPLES else.

A few examples are the same each time. Thousands are drawn anew in each run of `make fuzz`; a
failure prints a line that repeats it.
"""

import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.configuration import set_hypothesis_home_dir

EXAMPLES = int(os.environ.get("UNSPOOL_EXAMPLES", "0"))

# Hypothesis keeps tables of characters there.
set_hypothesis_home_dir(Path(tempfile.gettempdir()) / "unspool-hypothesis")
COMMON = {
    "deadline": None,
    "database": None,
    "phases": (Phase.explicit, Phase.generate, Phase.shrink),  # explaining would take minutes
    "suppress_health_check": (
        HealthCheck.too_slow,
        HealthCheck.data_too_large,
        HealthCheck.large_base_example,
    ),
}
settings.register_profile("few", max_examples=25, derandomize=True, **COMMON)
settings.register_profile("many", max_examples=max(1, EXAMPLES), print_blob=True, **COMMON)
settings.load_profile("many" if EXAMPLES else "few")


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    """A folder for the files of all examples of a law."""
    return tmp_path_factory.mktemp("laws")
