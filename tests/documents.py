"""The code blocks of the documents, and how they are run.

Python blocks and command lines of one file run in order, in one namespace and in one empty folder.
Where a block of the language `text` follows, it is what the block above prints; numbers in it may
differ by 5 %, since they depend a little on the processor. A block that cannot run says why, in a
comment in the line above:

    <!-- not run: it needs a CUDA device -->
"""

import contextlib
import io
import os
import re
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

ROOT = Path(__file__).parents[1]

BLOCK = re.compile(
    r"(?:^<!-- not run: (?P<reason>[^>]*\S) -->\n)?"
    r"^```(?P<language>python|sh|console|pycon|bash)\n(?P<code>.*?)^```$"
    r"(?:\n\n^```text\n(?P<output>.*?)^```$)?",
    re.MULTILINE | re.DOTALL,
)
NUMBER = re.compile(r"-?\d+\.\d+(?:e[+-]?\d+)?")

# Commands that the documents show and no test runs from there, with the reason.
NOT_RUN = {
    r"(pip|git|cd|python|make) ": "they act on the machine; the Makefile is checked apart",
    r"unspool demo ": "they take minutes; tests/demos runs them",
    r"unspool warmup": "it compiles for half a minute; tests/cli runs it",
    r"unspool .* --follow": "it waits for new lines; tests/cli runs it",
    r"tail ": "it waits for new lines",
}


class Block(NamedTuple):
    """A block of code: its language, text and first line, and what stands around it."""

    language: str
    code: str
    line: int
    reason: str | None  # why it is not run
    output: str | None  # what it prints


def documents() -> list[str]:
    """Paths of all documents with code, from the root; generated pages are not among them."""
    generated = {"_build", "_examples", "api", "gallery", "cli.md"}
    pages = [path.relative_to(ROOT) for path in sorted((ROOT / "docs").rglob("*.md"))]
    pages = [page for page in pages if page.parts[1] not in generated]
    names = ["README.md", *map(str, pages)]
    return [name for name in names if BLOCK.search((ROOT / name).read_text())]


def blocks(document: str) -> list[Block]:
    """Blocks of one document, in order."""
    text = (ROOT / document).read_text()
    return [
        Block(
            match["language"],
            match["code"],
            text.count("\n", 0, match.start("code")),
            match["reason"],
            match["output"],
        )
        for match in BLOCK.finditer(text)
    ]


def commands(block: Block) -> Iterator[str]:
    """Command lines of a shell block, without prompts and comments."""
    lines = block.code.replace("\\\n", " ").splitlines()
    if block.language == "console":
        lines = [line.removeprefix("$ ") for line in lines if line.startswith("$ ")]
    for line in lines:
        code = re.split(r"(?:^|\s)#", line)[0].strip()
        yield from (part.strip() for part in code.split(" | ") if part)


def reason_not_to_run(command: str) -> str | None:
    """Return why a command is not run from a document, or None."""
    return next((why for which, why in NOT_RUN.items() if re.match(which, f"{command} ")), None)


def run_document(document: str, run: Callable) -> None:
    """Run all blocks of a document in the current folder; raise where one fails."""
    names: dict[str, object] = {}
    for block in blocks(document):
        if block.reason is not None:
            continue
        place = f"{document}:{block.line}"
        if block.language == "python":
            printed = io.StringIO()
            with contextlib.redirect_stdout(printed):
                exec(compile(block.code, place, "exec"), names)
            output = printed.getvalue()
        else:
            output = "".join(_run_command(command, run, place) for command in commands(block))
        if block.output is not None:
            assert agree(output, block.output), f"{place} prints\n{output}"


def _run_command(command: str, run: Callable, place: str) -> str:
    if reason_not_to_run(command) is not None:
        return ""
    program, *arguments = shlex.split(command)
    assert program == "unspool", f"{place}: nothing is known of {program}"
    for argument in arguments:
        if argument in MADE and not Path(argument).exists():
            MADE[argument](Path(argument))
    done = run(*arguments)
    assert done.code == 0, f"{place}: {command}\n{done.err}"
    return done.out


def agree(output: str, expected: str) -> bool:
    """Whether two texts are the same but for numbers that are nearly so."""
    texts = [[" ".join(part.split()) for part in NUMBER.split(text)] for text in (output, expected)]
    if texts[0] != texts[1]:
        return False
    numbers = [[float(number) for number in NUMBER.findall(text)] for text in (output, expected)]
    return np.allclose(*numbers, rtol=0.05, atol=0.005)


def _table(path: Path, start: str, step: str, names: list[str], rows: int) -> None:
    times = np.datetime64(start) + np.arange(rows) * np.timedelta64(*step)
    t = np.arange(rows)[:, None]
    rng = np.random.default_rng(0)
    values = np.sin(t / (4 + np.arange(len(names) - 1))) + rng.normal(0, 0.1, (rows, 1))
    lines = [
        ",".join([str(time).replace("T", " "), *(f"{value:.4f}" for value in row)])
        for time, row in zip(times, values, strict=True)
    ]
    path.write_text("\n".join([",".join(names), *lines]) + "\n")


def _hourly(path: Path) -> None:
    names = ["date", "HUFL", "HULL", "MUFL", "MULL", "LUFL", "LULL", "OT"]
    _table(path, "2016-07-01T00:00:00", (1, "h"), names, 400)


def _temperature(path: Path) -> None:
    _table(path, "2013-12-02T21:00:00", (1, "h"), ["timestamp", "value"], 500)


def _labels(path: Path) -> None:
    path.write_text("start,end\n2013-12-15 00:00:00,2013-12-15 12:00:00\n")


def _keras_model(path: Path) -> None:
    os.environ.setdefault("KERAS_BACKEND", "torch")  # before Keras is imported
    from keras import Sequential, layers

    parts = (layers.LSTM(4), layers.RepeatVector(10), layers.LSTM(4, return_sequences=True))
    head = layers.TimeDistributed(layers.Dense(1))
    Sequential([layers.Input((10, 1)), *parts, head]).save(path)


# Small files of the form of those that the documents name.
MADE = {
    "ETTh1.csv": _hourly,
    "machine.csv": _temperature,
    "new.csv": _temperature,
    "log.csv": _temperature,
    "windows.csv": _labels,
    "model.keras": _keras_model,
}
