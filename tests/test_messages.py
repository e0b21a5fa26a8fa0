"""Every message of an error or a warning is compared in some test.

The messages are collected from the source: what is raised, what is warned of, and what functions
return that are said to return complaints. A test has to contain a part of a message that no other
message contains; what a message inserts does not count.
"""

import ast
import re
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
SOURCE = TESTS.parent / "src" / "unspool"
# Characters that a test must have of a message, and that a message must have to be looked for.
PART, SHORTEST = 20, 15
MESSAGES = re.compile(r"Complaint|Refusal")


def literals(node: ast.AST) -> list[str]:
    """Return the literal parts of a string, with single blanks; [] for other nodes."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        parts = [node.value]
    elif isinstance(node, ast.JoinedStr):
        parts = [""]
        for one in node.values:
            if isinstance(one, ast.Constant):
                parts[-1] += one.value
            else:
                parts.append("")
    else:
        parts = []
    return [" ".join(part.split()) for part in parts if part.strip()]


def texts(node: ast.AST) -> Iterator[tuple[int, tuple[str, ...]]]:
    """Yield the line and the parts of each text in an expression; not those within a text."""
    found = literals(node)
    if max(map(len, found), default=0) >= SHORTEST and any(" " in one for one in found):
        yield node.lineno, tuple(found)
    inner = (one.value for one in node.values if isinstance(one, ast.FormattedValue)) if isinstance(
        node, ast.JoinedStr
    ) else ast.iter_child_nodes(node)  # fmt: skip
    for one in inner:
        yield from texts(one)


def expressions(tree: ast.AST) -> Iterator[ast.AST]:
    """Yield what is raised, warned of or returned as a complaint."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Raise) and node.exc is not None:
            yield node.exc
        if isinstance(node, ast.Call) and ast.unparse(node.func) in ("warn", "warnings.warn"):
            yield node
        if isinstance(node, ast.FunctionDef):
            yield from _named(node)
            if node.returns is not None and MESSAGES.search(ast.unparse(node.returns)):
                yield from node.body


def _named(function: ast.FunctionDef) -> Iterator[ast.AST]:
    """Yield the values of names that are raised in a function."""
    raised = {
        argument.id
        for node in ast.walk(function)
        if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call)
        for argument in ast.walk(node.exc)
        if isinstance(argument, ast.Name)
    }
    for node in ast.walk(function):
        if isinstance(node, ast.Assign) and any(
            isinstance(target, ast.Name) and target.id in raised for target in node.targets
        ):
            yield node.value


@cache
def messages() -> dict[str, dict[int, tuple[str, ...]]]:
    """Return the parts of each message by line, of each file of the library that has any."""
    found = {}
    for path in sorted(SOURCE.rglob("*.py")):
        tree = ast.parse(path.read_text())
        docstrings = {
            node.body[0].value.lineno
            for node in ast.walk(tree)
            if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef))
            and ast.get_docstring(node)
        }
        of_file = {
            line: parts
            for expression in expressions(tree)
            for line, parts in texts(expression)
            if line not in docstrings
        }
        if of_file:
            found[path.relative_to(SOURCE).as_posix()] = dict(sorted(of_file.items()))
    return found


@cache
def texts_of_tests() -> str:
    """Return all texts in the tests; patterns without their escapes."""
    found = []
    for path in sorted(TESTS.rglob("*.py")):
        if path == Path(__file__):
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            found += literals(node)
    whole = "\n".join(found)
    return whole + "\n" + re.sub(r"\\(.)", r"\1", whole)


def pieces(parts: tuple[str, ...]) -> set[str]:
    """Return all runs of PART characters of a message, and its shorter parts."""
    runs = {part[i : i + PART] for part in parts for i in range(len(part) - PART + 1)}
    return runs | {part for part in parts if SHORTEST <= len(part) < PART}


@cache
def in_several() -> frozenset[str]:
    """Return the runs of characters that more than one message has."""
    counts = Counter(
        piece
        for of_file in messages().values()
        for parts in of_file.values()
        for piece in pieces(parts)
    )
    return frozenset(piece for piece, count in counts.items() if count > 1)


def untested(file: str) -> list[str]:
    """Return the messages of a file that no test has a part of."""
    found = []
    for line, parts in messages()[file].items():
        every = pieces(parts)
        if not any(piece in texts_of_tests() for piece in every - in_several() or every):
            found.append(f"{file}:{line}: {' … '.join(parts)}")
    return found


@pytest.mark.parametrize("folder", sorted({file.partition("/")[0] for file in messages()}))
def test_a_message_is_compared_in_some_test(folder):
    found = [
        text for file in messages() if file.partition("/")[0] == folder for text in untested(file)
    ]
    assert not found, "\n".join(found)
