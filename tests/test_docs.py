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
from matplotlib import pyplot

import unspool
from tests.documents import agree, blocks, commands, documents, run_document
from unspool.estimators import detector_training

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
DOCUMENTS = documents()
# Their models train for minutes as they are written; the guides are written to be quick.
DEFAULT_EPOCHS = {"README.md", "docs/anomalies.md"}

# Keras converts torch parameters with an `__array__` that lacks the `copy` of NumPy 2.
KERAS = "ignore:__array__ implementation doesn't accept a copy:DeprecationWarning"

MODULES = [
    importlib.import_module(info.name)
    for info in pkgutil.walk_packages(unspool.__path__, "unspool.")
]


@pytest.fixture(autouse=True)
def figures_are_closed():
    """Close what examples have drawn; pyplot keeps figures, and warns of the twenty-first."""
    yield
    pyplot.close("all")


@pytest.mark.cpu
@pytest.mark.filterwarnings(KERAS)
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


def command_lines():
    """Command lines of unspool in all documents, each once."""
    found = {
        command: None
        for document in DOCUMENTS
        for block in blocks(document)
        if block.language != "python"
        for command in commands(block)
        if command.startswith("unspool ")
    }
    return list(found)


@pytest.mark.parametrize("line", command_lines())
def test_commands_of_the_documents_exist_with_their_options(line, run):
    _, command, *rest = shlex.split(line)
    done = run(command, "--help")
    assert done.code == 0
    for word in rest:
        if word.startswith("-") and word != "-":
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


@pytest.fixture
def two_epochs(monkeypatch):
    """Let every model train two epochs where a document leaves `epochs` to the default."""
    for name in unspool.__all__:
        init = vars(getattr(unspool, name)).get("__init__")
        if {"epochs", "verbose"} <= (getattr(init, "__kwdefaults__", None) or {}).keys():
            quick = {**init.__kwdefaults__, "epochs": 2, "verbose": 0}
            monkeypatch.setattr(init, "__kwdefaults__", quick)
    made = detector_training.default_model
    monkeypatch.setattr(
        detector_training,
        "default_model",
        lambda *given: made(*given).set_params(epochs=2, verbose=0),
    )


@pytest.mark.cpu
@pytest.mark.filterwarnings(KERAS)
@pytest.mark.filterwarnings("ignore::unspool.errors.NoBetterThanMeanWarning")
@pytest.mark.filterwarnings("ignore::unspool.errors.ThresholdWarning")
@pytest.mark.parametrize("document", DOCUMENTS)
def test_blocks_of_a_document_run_in_order(document, request, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    if document in DEFAULT_EPOCHS:
        request.getfixturevalue("two_epochs")
    run_document(document, request.getfixturevalue("run"))


def test_outputs_agree_where_numbers_differ_a_little():
    assert agree("a  (3, 8) 0.101\n", "a (3, 8) 0.100")
    assert not agree("a (3, 8) 0.12", "a (3, 8) 0.10")
    assert not agree("a (3, 9) 0.10", "a (3, 8) 0.10")


def test_the_makefile_has_the_commands_of_the_readme():
    targets = re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    told = set(re.findall(r"make (\w+)", README))
    assert {"demo", "test"} <= told <= set(targets)


PATH = re.compile(r"`([A-Za-z_.][\w.-]*/[\w./<>-]*)`|\]\((?!https?:)([^)#]+)")
WRITTEN_IN = ["*.md", "docs/*.md", "docs/guides/*.md", "benchmarks/*.md", ".github/*.md"]
GENERATED = re.compile(r"(\.\./|docs/)?(api|gallery|cli\.md|_build)\b")
FOLDERS = ["", "benchmarks", "src/unspool", "src/unspool/lstm"]


@pytest.mark.parametrize(
    "page",
    sorted(page for pattern in WRITTEN_IN for page in ROOT.glob(pattern) if page.name != "cli.md"),
    ids=lambda page: str(page.relative_to(ROOT)),
)
def test_every_path_that_a_page_names_exists(page):
    """`lstm/pooling` may lack the ending .py, and `<name>` is for the reader to fill in."""
    for match in PATH.finditer(page.read_text()):
        named = (match[1] or match[2]).split("<")[0]
        if GENERATED.match(named):
            continue
        folders = [page.parent, *(ROOT / folder for folder in FOLDERS)]
        names = [named, f"{named}.py", f"{named.partition('.')[0]}.py"]
        assert any((folder / name).exists() for folder in folders for name in names), named
