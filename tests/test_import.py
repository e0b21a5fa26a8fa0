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


@pytest.mark.parametrize("name", unspool.__all__)
def test_every_public_name_can_be_imported(name):
    assert getattr(unspool, name) is not None


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="LSTMAutoencodr"):
        _ = unspool.LSTMAutoencodr
