"""The text that people read uses the field's words: no private word comes back."""

import ast
import io
import re
import tokenize
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

# Words that once had a private meaning here, each with the word to use instead.
PRIVATE = {
    r"\b(un)?winds?\b|\b(un)?winding\b|\b(un)?wound\b": "encode, decode, reconstruct",
    r"\btold\b": "given, named, reported",
    r"\bheld against\b": "compared with, checked against",
    r"\blook(s|ed|ing)? at\b": "check, inspect, read",
    r"\bstands?\b": "is, appears, is used",
    r"\bis had\b": "is available",
    r"\bwhat \S+ makes? of\b": "the result of",
    r"\bis no number\b": "is NaN",
    r"\bof ours\b|\bone of unspool's\b": "an unspool model",
    r"\bmanners?\b": "style, API",
    r"\bof its own\b|\bby itself\b": "separate, alone",
}
# Where such a word has its usual meaning.
USUAL = re.compile(r"standard|wind speed|in this manner")

PAGES = [
    *sorted(ROOT.glob("*.md")),
    *sorted(ROOT.glob("docs/**/*.md")),
    *sorted(ROOT.glob("benchmarks/*.md")),
    *sorted(ROOT.glob(".github/**/*.*")),
]
CODE = sorted(path for folder in ("src", "examples") for path in ROOT.glob(f"{folder}/**/*.py"))


def prose(path):
    """The lines of a file that are prose: all of a page; comments and strings of a program."""
    text = path.read_text()
    if path.suffix != ".py":
        return list(enumerate(text.splitlines(), 1))
    kinds = (tokenize.COMMENT, tokenize.STRING, getattr(tokenize, "FSTRING_MIDDLE", None))
    return [
        (token.start[0] + offset, line)
        for token in tokenize.generate_tokens(io.StringIO(text).readline)
        if token.type in kinds
        for offset, line in enumerate(token.string.splitlines())
    ]


@pytest.mark.parametrize("path", [*PAGES, *CODE], ids=lambda path: str(path.relative_to(ROOT)))
def test_no_private_word_is_in(path):
    found = [
        f"{path.name}:{number}: {match.group()!r}; say {instead}"
        for number, line in prose(path)
        for pattern, instead in PRIVATE.items()
        for match in re.finditer(pattern, USUAL.sub("", line), re.IGNORECASE)
    ]
    assert not found, "\n".join(found)


@pytest.mark.parametrize("sentence", ["It is told so.", "a loss that is no number", "one of ours"])
def test_private_words_are_found(sentence):
    assert any(re.search(pattern, sentence) for pattern in PRIVATE)


# A docstring of a function that begins with one of these has no verb, or its verb comes late.
NOUNS = frozenset(
    {"A", "All", "An", "Arguments", "Codes", "Copies", "Features", "Forecasts", "Index", "Indices"}
    | {"Kind", "Labels", "Lengths", "Most", "Names", "Number", "Numbers", "Outputs", "Parameters"}
    | {"Sequences", "Series", "Shape", "Sizes", "States", "Statistics", "The", "Values"}
    | {"Versions", "Weights", "What", "Whether", "Which", "Windows"}
)


def without_verb(tree):
    """The first lines of functions' docstrings that begin with a noun; properties may."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef) and (text := ast.get_docstring(node)):
            is_property = any("property" in ast.unparse(one) for one in node.decorator_list)
            if not is_property and text.split()[0].rstrip(".,:;") in NOUNS:
                yield f"{node.name}: {text.splitlines()[0]}"


def test_the_docstring_of_a_function_begins_with_a_verb():
    found = [
        f"{path.relative_to(ROOT)}: {one}"
        for path in ROOT.glob("src/**/*.py")
        for one in without_verb(ast.parse(path.read_text()))
    ]
    assert not found, "\n".join(found)


def test_a_docstring_without_a_verb_is_found():
    tree = ast.parse('def f():\n    """Number of steps."""')
    assert list(without_verb(tree)) == ["f: Number of steps."]
