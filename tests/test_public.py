"""What is public is listed once, in docs/api_reference.py, and documented completely."""

import dataclasses
import importlib
import inspect
import re
import subprocess
import sys
from collections import defaultdict

import numpydoc.docscrape
import numpydoc.validate
import pytest

from docs.api_reference import SECTIONS, SUBPACKAGES
from docs.generated_pages import members

# numpydoc's checks that hold here (numpydoc.validate.ERROR_MSGS has the texts): sections known and
# in order, one line of summary that ends with a period, parameters equal to the signature in both
# directions and in order, each with type and text, and Returns or Yields where there is a result.
CHECKS = {
    *("GL06", "GL07", "GL08", "GL10", "SS01", "SS02", "SS03", "SS04", "SS06"),
    *("PR01", "PR02", "PR03", "PR04", "PR05", "PR06", "PR07", "PR08", "PR09", "PR10"),
    *("RT01", "RT03", "YD01"),
}

# Classes that nobody constructs, besides errors, protocols and records of results.
NO_EXAMPLE = {"unspool.nn.Encoder", "unspool.nn.Decoder"}


def names_by_module():
    names = defaultdict(set)
    for section in SECTIONS:
        names[section.module].update(section.names, section.constants)
    names["unspool"].update(SUBPACKAGES)
    return names


def public_objects(section):
    """Import path and object of every class and function of a section, methods included."""
    module = importlib.import_module(section.module)
    found = {}
    for name in section.names:
        thing = getattr(module, name)
        found[f"{section.module}.{name}"] = thing
        if inspect.isclass(thing):
            for member in members(thing)[0]:
                path = f"{section.module}.{name}.{member}"
                found[path] = getattr(thing, member)
    return found


def is_record(thing):
    return dataclasses.is_dataclass(thing) or hasattr(thing, "_fields")


def is_protocol(thing):
    return getattr(thing, "_is_protocol", False)


def is_error(thing):
    return inspect.isclass(thing) and issubclass(thing, BaseException)


def needs_example(path, thing):
    """Whether an object is a name of the list that users call."""
    listed = {f"{section.module}.{name}" for section in SECTIONS for name in section.names}
    called = not (is_record(thing) or is_protocol(thing) or is_error(thing))
    return path in listed - NO_EXAMPLE and called


def complaints(path, thing):
    """What is wrong with the docstring at an import path."""
    text = inspect.getdoc(thing) or ""
    wanted = CHECKS
    found = []
    if inspect.isclass(thing) and is_record(thing) and "Parameters\n---" not in text:
        wanted = CHECKS - {"PR01"}  # the fields of a result are its attributes
        fields = getattr(thing, "_fields", None) or [
            field.name for field in dataclasses.fields(thing) if not field.name.startswith("_")
        ]
        documented = [
            name.strip()
            for entry in numpydoc.docscrape.NumpyDocString(text)["Attributes"]
            for name in entry.name.split(",")
        ]
        if [name for name in documented if name in fields] != list(fields):
            found.append(f"Attributes {documented} are not the fields {list(fields)}")
    if is_error(thing) or is_protocol(thing):
        wanted = CHECKS - {
            "PR01"
        }  # an error is raised with its message, a protocol not constructed
    result = numpydoc.validate.validate(path)
    found += [f"{code} {message}" for code, message in result["errors"] if code in wanted]
    if needs_example(path, thing) and ">>>" not in text:
        found.append("EX01 No examples section found")
    if re.search(r"^[^-`|]*\w -{3,} ", text, re.MULTILINE):
        found.append("The heading of a section is on one line with its text ('Notes ----- ...')")
    if re.search(r"\bAs for `", text):
        found.append("A docstring is complete without another one ('As for ...')")
    return found


@pytest.mark.parametrize("module", names_by_module())
def test_dir_of_a_public_module_is_its_part_of_the_list(module):
    imported = importlib.import_module(module)
    shown = {name for name in dir(imported) if not name.startswith("_")}
    everything = set(getattr(imported, "__all__", shown))
    listed = names_by_module()[module]
    assert shown == listed
    assert everything == listed


@pytest.mark.parametrize("section", SECTIONS, ids=lambda section: section.title)
def test_public_docstrings_are_complete(section):
    found = {path: complaints(path, thing) for path, thing in public_objects(section).items()}
    lines = [f"{path}: {line}" for path, wrong in found.items() for line in wrong]
    assert not lines, "\n" + "\n".join(lines)


def test_sections_have_a_sentence_and_no_name_twice():
    for section in SECTIONS:
        assert all(text.endswith(".") for text in (section.text, *section.constants.values()))
    pairs = [(section.module, name) for section in SECTIONS for name in section.names]
    assert len(pairs) == len(set(pairs))


def test_public_modules_import_no_torch_until_a_name_is_used():
    light = ["unspool", "unspool.runtime", "unspool.evaluation", "unspool.datasets"]
    light += ["unspool.anomaly", "unspool.lstm", "unspool.errors"]
    code = f"import sys, {', '.join(light)}; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


@pytest.mark.parametrize("section", SECTIONS, ids=lambda section: section.title)
def test_the_default_in_a_docstring_is_that_of_the_signature(section):
    wrong = []
    for path, thing in public_objects(section).items():
        if not callable(thing) or is_error(thing):
            continue
        defaults = {name: one.default for name, one in inspect.signature(thing).parameters.items()}
        text = numpydoc.docscrape.NumpyDocString(inspect.getdoc(thing) or "")
        for entry in text["Parameters"]:
            _, stated, default = entry.type.rpartition(", default ")
            for name in entry.name.split(", ") if stated else ():
                value = repr(defaults[name]).replace("<factory>", "{}")  # of a dataclass
                if default.replace('"', "'") != value:
                    wrong.append(f"{path}: {name} is {value} by default, not {default}")
    assert not wrong, "\n".join(wrong)
