"""`import unspool` is quick because it loads nothing heavy, and every public name is there."""

import subprocess
import sys

import pytest

import unspool

HEAVY = {
    "torch",
    "sklearn",
    "matplotlib",
    "pyarrow",
    "pandas",
    "rich",
    "typer",
    "safetensors",
    "keras",
}


def loaded_after(code):
    script = f"import sys; {code}; print(*(m for m in {HEAVY!r} if m in sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    return set(done.stdout.split("\n")[-2].split())  # the last line, after the help


def test_import_loads_nothing_heavy():
    assert loaded_after("import unspool; unspool.__version__") == set()


def test_windows_need_no_torch():
    assert "torch" not in loaded_after("import unspool; unspool.Windows([1.0, 2.0, 3.0], 2)")


def test_the_command_line_helps_without_torch():
    code = "from unspool.cli import main\ntry: main(['fit', '--help'])\nexcept SystemExit: pass"
    script = f"exec({code!r})"
    assert "torch" not in loaded_after(script)


# Modules that take long to import, and that these commands and calls have no use for.
NOT_NEEDED = {
    "matplotlib",
    "numba.np.linalg",
    "onnx",
    "onnxruntime",
    "rich.progress",
    "sklearn.metrics",
    "torch._dynamo",
    "torch.onnx",
}
FIT = (
    "import numpy as np; from unspool import LSTMAutoencoder; "
    "X = np.random.default_rng(0).normal(size=(9, 4, 1)); "
    "model = LSTMAutoencoder(2, epochs=1, verbose=0, random_state=0).fit(X); "
)
# Compiles what the cache of kernels does not have, and then fails if anything is compiled.
COMPILES_NOTHING = (
    "import numba.core.compiler as compiler; "
    "compiler.compile_extra = lambda *_, **__: exit('compiles ' + repr(_[2])); "
)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder with a model and its data, made in a process that leaves a full cache of kernels."""
    folder = tmp_path_factory.mktemp("trained")
    run = f"{FIT}model.save(r'{folder}/m.unspool'); np.save(r'{folder}/X.npy', X); "
    subprocess.run([sys.executable, "-c", run + "model.transform(X)"], check=True)
    return folder


@pytest.mark.parametrize(
    "code",
    [
        FIT,
        "from unspool import load; import numpy as np; "
        "load('m.unspool').transform(np.load('X.npy'))",
        "from unspool.cli import main\n"
        "try: main(['inspect', 'm.unspool'])\nexcept SystemExit: pass",
        "from unspool.cli import main\n"
        "try: main(['encode', 'm.unspool', 'X.npy', '-o', 'codes.npy'])\nexcept SystemExit: pass",
    ],
    ids=["fit", "transform", "inspect", "encode"],
)
def test_a_process_loads_and_compiles_nothing_that_it_does_not_use(code, trained):
    loaded = f"import sys; print(*sorted({NOT_NEEDED!r} & set(sys.modules)))"
    script = f"{COMPILES_NOTHING}exec({code!r}); {loaded}"
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script], capture_output=True, text=True, cwd=trained
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split("\n")[-2] == ""


@pytest.mark.parametrize("name", unspool.__all__)
def test_every_public_name_can_be_imported(name):
    assert getattr(unspool, name) is not None


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="LSTMAutoencodr"):
        _ = unspool.LSTMAutoencodr
