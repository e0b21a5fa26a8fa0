"""Write the pages that are generated: API reference, command-line reference, examples.

`docs/conf.py` calls `write` before Sphinx reads any page. The pages of the API come from
`api_reference.SECTIONS`, one for each section and one for each name; that of the command line from
the help texts of the commands. The examples are copied to `_examples/` with the first line of their
docstring as a heading, as sphinx-gallery wants them.
"""

import importlib
import inspect
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from docs.api_reference import SECTIONS, Section

GENERATED = ("api", "_examples")  # folders that hold generated files alone

THUMBNAILS = {"moving_mnist": "frames.png"}  # of examples that take minutes and are not run

GALLERY_HEADER = """\
Examples
========

Scripts to copy and change, one for each published experiment that unspool repeats. Each is a file
of the folder ``examples``, and a command ``unspool demo NAME``. Pictures and output are shown for
those that run in less than a minute.
"""


def write(docs: Path) -> None:
    """Write the generated pages under the folder of the documentation."""
    pages = dict(_api()) | {"cli.md": _command_line()} | dict(_examples(docs.parent / "examples"))
    for name, text in pages.items():
        path = docs / name
        path.parent.mkdir(exist_ok=True)
        if not path.exists() or path.read_text() != text:  # Sphinx rereads only what has changed
            path.write_text(text)
    for folder in GENERATED:
        for path in (docs / folder).iterdir():
            if path.is_file() and f"{folder}/{path.name}" not in pages:
                path.unlink()
                for page in (docs / "gallery").glob(f"{path.stem}.*"):  # of a deleted example
                    page.unlink()


def _api() -> Iterator[tuple[str, str]]:
    """Return the path and the text of every page of the API reference."""
    overview = [
        _heading("API reference", "="),
        "These names are public: they follow semantic versioning, and the :doc:`changelog "
        "</changelog>` announces every change of one. Everything else is internal.",
        _toctree(_file_name(section) for section in SECTIONS),
    ]
    for section in SECTIONS:
        text = f"``{section.module}``. {_rst(section.text)}"
        table = _summary_table(section.module, section.names)
        link = f":doc:`{section.title} <{_file_name(section)}>`"
        overview += [_heading(link, "-"), text, table]
        yield (
            f"api/{_file_name(section)}.rst",
            _joined(
                _heading(section.title, "="),
                text,
                table,
                *(
                    f".. py:data:: {section.module}.{name}\n\n   {_rst(meaning)}"
                    for name, meaning in section.constants.items()
                ),
                _toctree(f"{section.module}.{name}" for name in section.names),
            ),
        )
        for name in section.names:
            yield f"api/{section.module}.{name}.rst", _page(section, name)
    yield "api/index.rst", _joined(*overview)


def _file_name(section: Section) -> str:
    return section.title.lower().replace(" ", "-")


def _toctree(pages: Iterable[str]) -> str:
    return ".. toctree::\n   :hidden:\n\n" + "\n".join(f"   {page}" for page in pages)


def _page(section: Section, name: str) -> str:
    """Write the page of one public name."""
    thing = getattr(importlib.import_module(section.module), name)
    head = [_heading(name, "="), f".. currentmodule:: {section.module}"]
    if not inspect.isclass(thing):
        return _joined(*head, f".. autofunction:: {name}")
    if issubclass(thing, BaseException):
        return _joined(*head, f".. autoexception:: {name}")
    own, inherited = members(thing)
    parts = [*head, f".. autoclass:: {name}"]
    if getattr(thing, "_is_protocol", False):  # nobody constructs it
        parts[-1] += "()"
    if own:
        parts += [
            ".. rubric:: Methods and properties",
            _summary_table("", [f"{name}.{member}" for member in own]),
            *(f".. auto{kind}:: {name}.{member}" for member, kind in own.items()),
        ]
    if inherited:
        names = ", ".join(f"``{member}``" for member in inherited)
        parts += [f"Inherited from scikit-learn: {names}."]
    return _joined(*parts)


def members(thing: type) -> tuple[dict[str, str], list[str]]:
    """Return the public methods and properties of a class.

    Those that unspool defines come with the word that autodoc has for them; those inherited from
    scikit-learn are names alone. What PyTorch's modules inherit is left out.
    """
    own, inherited = {}, []
    for name in dir(thing):
        member = inspect.getattr_static(thing, name)
        function = inspect.unwrap(
            getattr(member, "fget", None) or getattr(member, "__func__", member)
        )
        if name.startswith("_") or not inspect.isfunction(function):
            continue
        if function.__module__.startswith("unspool"):
            own[name] = "attribute" if isinstance(member, property) else "method"
        elif function.__module__.startswith("sklearn"):
            inherited.append(name)
    return own, inherited


def _summary_table(module: str, names: Iterable[str]) -> str:
    lines = [f"   {module}.{name}" if module else f"   {name}" for name in names]
    return ".. autosummary::\n   :nosignatures:\n\n" + "\n".join(lines)


def _command_line() -> str:
    """Write the options of every command, from the texts that `--help` prints."""
    import typer.main

    from unspool.cli.app import app

    group: Any = typer.main.get_command(app)
    parts = [
        "# Command line",
        f"```console\n$ unspool [--version] COMMAND ...\n```\n\n{group.help}",
    ]
    for name, command in group.commands.items():
        context = typer.Context(command, info_name=f"unspool {name}")
        usage = " ".join(command.collect_usage_pieces(context))
        parts += [
            f"## `unspool {name}`",
            command.help,
            f"```console\n$ unspool {name} {usage}\n```",
        ]
        if command.epilog:
            example = command.epilog.removeprefix("Example: ")
            parts += [f"Example:\n\n```console\n$ {example}\n```"]
        rows = [_option(parameter, context) for parameter in command.params]
        rows = [row for row in rows if row]
        parts += ["| option | meaning |\n|---|---|\n" + "\n".join(rows)]
    return _joined(*(inspect.cleandoc(part) for part in parts))


def _option(parameter: Any, context: Any) -> str:
    """Return the row of one parameter of a command, or nothing for a hidden one."""
    if getattr(parameter, "hidden", False):
        return ""
    record = parameter.get_help_record(context)
    if record is None:
        return ""
    names, text = (re.sub(r"\s+", " ", str(part)).replace("|", r"\|") for part in record)
    return f"| `{names}` | {text} |"


def _examples(folder: Path) -> Iterator[tuple[str, str]]:
    """Return the scripts of a folder, each with a heading in its docstring."""
    yield "_examples/GALLERY_HEADER.rst", GALLERY_HEADER
    for path in sorted(folder.glob("*.py")):
        text = path.read_text().replace("docs/references.md", ":doc:`/references`")
        text = text.replace("\n    python ", "\n.. code-block:: console\n\n    python ", 1)
        if path.stem in THUMBNAILS:
            text += f"\n# sphinx_gallery_thumbnail_path = {THUMBNAILS[path.stem]!r}\n"
        first, rest = text.split("\n", 1)
        title = first.removeprefix('"""').rstrip(".")
        yield f"_examples/{path.name}", f'"""\n{_heading(title, "=")}\n{rest}'


def _heading(text: str, line: str) -> str:
    return f"{text}\n{line * len(text)}"


def _rst(text: str) -> str:
    """Turn `code` of Markdown into that of reStructuredText."""
    return re.sub(r"`([^`]+)`", r"``\1``", text)


def _joined(*parts: str) -> str:
    return "\n\n".join(parts) + "\n"
