"""The runtime imports and needs only NumPy and safetensors."""

import json
import subprocess
import sys

import numpy as np
import pytest

from tests.trained import ALL
from unspool import Sequences, runtime

NAMES = ["repeat", "images", "forecaster, dense", "classifier, lstm"]

# Only what the base installation brings can be imported.
BARE = """
import sys

class Only:
    allowed = {"numpy", "safetensors", "unspool", *sys.stdlib_module_names, "__main__"}

    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] not in self.allowed:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Only())
"""


def run(code, *arguments):
    return subprocess.run(
        [sys.executable, "-c", BARE + code, *map(str, arguments)], capture_output=True, text=True
    )


def test_every_kind_of_model_runs_where_there_is_nothing_else(tmp_path):
    expected = []
    for i, name in enumerate(NAMES):
        model, X = ALL[name].fit(), ALL[name].X
        model.save(tmp_path / f"{i}.unspool")
        lengths = X.lengths if isinstance(X, Sequences) else []
        np.savez(tmp_path / f"{i}.npz", X=getattr(X, "values", X), lengths=lengths)
        expected.append(runtime.Model(model.contents(), backend="numpy").encode(X))
    done = run(
        """
import json
import numpy as np
from unspool import Sequences, Windows, runtime
found = []
for i in range(4):
    file = np.load(f"{sys.argv[1]}/{i}.npz")
    X = Sequences(file["X"], file["lengths"]) if len(file["lengths"]) else file["X"]
    model = runtime.load(f"{sys.argv[1]}/{i}.unspool")
    found.append(model.encode(X).tolist())
    assert model.backend == "numpy"
heavy = [name for name in ("torch", "numba", "sklearn", "scipy") if name in sys.modules]
print(json.dumps([found, heavy]))
""",
        tmp_path,
    )
    assert done.returncode == 0, done.stderr
    found, heavy = json.loads(done.stdout)
    assert heavy == []
    for codes, same in zip(found, expected, strict=True):
        np.testing.assert_array_equal(np.float32(codes), same)


def test_what_needs_more_says_what_to_install():
    for code, message in [
        (
            "import unspool; unspool.LSTMAutoencoder",
            "unspool.LSTMAutoencoder needs torch, which is not installed: pip install "
            '"unspool[train]" installs everything that training needs.',
        ),
        (
            "from unspool.lstm import lstm",
            "unspool.lstm.lstm needs torch, which is not installed: pip install "
            '"unspool[train]" installs everything that training needs.',
        ),
    ]:
        done = run(code)
        assert done.returncode == 1
        assert done.stderr.strip().split("\n")[-1] == f"ModuleNotFoundError: {message}"
    done = run("from unspool.cli import main; main(['--help'])")
    assert done.returncode == 1
    assert done.stderr == (
        "unspool: the command line needs typer, which is not installed: "
        'pip install "unspool[train]".\n'
    )


@pytest.mark.parametrize(
    "module",
    [
        *("runtime", "runtime.detector", "evaluation", "lstm.reference", "data.windows"),
        *("anomaly.thresholds", "anomaly.events"),
    ],
)
def test_these_modules_load_without_torch_numba_or_scikit_learn(module):
    code = f"import sys, unspool.{module}; print([m for m in sys.modules if m in {HEAVY!r}])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


HEAVY = ("torch", "numba", "sklearn", "scipy", "narwhals", "pyarrow", "pandas", "matplotlib")
