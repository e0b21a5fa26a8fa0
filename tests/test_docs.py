"""What the documentation says is so: examples run, parameters and names are the code's."""

import doctest
import importlib
import inspect
import pkgutil
import re
import shlex
from pathlib import Path

import numpy as np
import pytest

import unspool
from unspool.estimators import detector_training

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
RUN = ["README.md", "docs/anomalies.md"]  # their examples need nothing but what they make

MODULES = [
    importlib.import_module(info.name)
    for info in pkgutil.walk_packages(unspool.__path__, "unspool.")
]


@pytest.mark.cpu
@pytest.mark.filterwarnings("ignore::unspool.errors.NoBetterThanMeanWarning")  # two epochs
@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__)
def test_examples_in_docstrings(module):
    assert doctest.testmod(module, extraglobs={"np": np}).failed == 0


def documented():
    """Every public class and function of ours whose docstring has a section of parameters."""
    seen = {}
    for module in MODULES:
        for name, thing in vars(module).items():
            ours = getattr(thing, "__module__", "").startswith("unspool")
            if not ours or name.startswith("_"):
                continue
            if inspect.isfunction(thing):
                seen[f"{thing.__module__}.{thing.__qualname__}"] = thing
            elif inspect.isclass(thing):
                seen[f"{thing.__module__}.{thing.__qualname__}"] = thing
                for attribute, method in vars(thing).items():
                    function = getattr(method, "__func__", method)
                    if inspect.isfunction(function) and not attribute.startswith("_"):
                        seen[f"{thing.__module__}.{function.__qualname__}"] = function
    return {name: thing for name, thing in seen.items() if "Parameters\n" in (thing.__doc__ or "")}


@pytest.mark.parametrize(("name", "thing"), documented().items(), ids=documented())
def test_documented_parameters_are_those_of_the_signature(name, thing):
    section = re.search(
        r"Parameters\n-+\n(.*?)(?:\n\n(?=\S)|\Z)", inspect.getdoc(thing), re.DOTALL
    ).group(1)
    told = [
        part.strip()
        for line in re.findall(r"^(\S[^:\n]*?)(?: : .*)?$", section, re.MULTILINE)
        for part in line.split(",")
    ]
    known = {p.lstrip("*") for p in inspect.signature(thing).parameters} - {"self", "cls"}
    unknown = [
        part for part in told if part.lstrip("*").isidentifier() and part.lstrip("*") not in known
    ]
    assert not unknown, f"{name} documents {unknown}, its parameters are {sorted(known)}"


def commands():
    """Command lines in shell blocks that run unspool."""
    texts = [(ROOT / name).read_text() for name in RUN]
    blocks = re.findall(r"```(?:sh|console)\n(.*?)```", "\n".join(texts), re.DOTALL)
    lines = [line.removeprefix("$ ") for block in blocks for line in block.splitlines()]
    parts = [part.strip() for line in lines for part in line.partition("#")[0].split(" | ")]
    return [part for part in parts if part.startswith("unspool ")]


@pytest.mark.parametrize("line", commands())
def test_commands_of_the_documents_exist_with_their_options(line, run):
    _, command, *rest = shlex.split(line, comments=True)
    done = run(command, "--help")
    assert done.code == 0
    for word in rest:
        if word.startswith("-"):
            assert re.search(rf"(^|\s){re.escape(word)}[\s,]", done.out), f"{word} is no option"


def test_every_command_has_an_example_in_its_help(run):
    from unspool.cli.app import app

    names = [command.name for command in app.registered_commands]
    assert names == [
        "demo",
        "fit",
        "encode",
        "reconstruct",
        "forecast",
        "score",
        "detect",
        "evaluate",
        "inspect",
        "plot",
        "export",
        "import",
        "warmup",
    ]
    for name in names:
        assert f"Example: unspool {name} " in run(name, "--help").out


@pytest.mark.filterwarnings("ignore::unspool.errors.NoBetterThanMeanWarning")
@pytest.mark.filterwarnings("ignore::unspool.errors.ThresholdWarning")
@pytest.mark.parametrize("document", RUN)
def test_python_examples_of_the_documents_run(document, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    init = unspool.LSTMAutoencoder.__init__
    quick = {**init.__kwdefaults__, "epochs": 2, "verbose": 0}
    monkeypatch.setattr(init, "__kwdefaults__", quick)
    made = detector_training.default_model
    monkeypatch.setattr(
        detector_training,
        "default_model",
        lambda *given: made(*given).set_params(epochs=2, verbose=0),
    )
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / document).read_text(), re.DOTALL)
    assert blocks
    names = {}
    for block in blocks:
        exec(compile(block, document, "exec"), names)


def test_the_makefile_has_the_commands_of_the_readme():
    targets = re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    told = set(re.findall(r"make (\w+)", README))
    assert {"demo", "test"} <= told <= set(targets)
