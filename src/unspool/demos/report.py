"""What an experiment leaves behind: a table on the screen, pictures and models in a folder."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter
from typing import Any

from unspool._files import atomic_write
from unspool._terminal import console


class Report:
    """Gathers numbers and files, and tells of them at the end.

    Parameters
    ----------
    folder : path
        Where files go; made where it is not there.
    title : str
    """

    def __init__(self, folder: Path, title: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.numbers = folder, dict[str, float]()
        self.files: list[str] = []
        self.say = console().print
        self.lines: list[tuple[str, str]] = []
        self.say(title)

    def number(self, name: str, value: float, form: str = ".4f") -> None:
        """Note a result."""
        assert math.isfinite(value), name
        self.numbers[name] = float(value)
        self.lines.append((name, format(value, form)))

    def fact(self, name: str, value: object) -> None:
        """Note something that is not a result."""
        self.lines.append((name, str(value)))

    @contextmanager
    def timed(self, name: str) -> Iterator[None]:
        """Note how long something takes, in seconds."""
        start = perf_counter()
        yield
        self.number(f"{name}, seconds", perf_counter() - start, ".1f")

    def keep(self, drawn: Any, name: str) -> None:
        """Save a figure, or a display that was drawn."""
        from matplotlib import pyplot

        figure, path = getattr(drawn, "figure_", drawn), self.path(name)
        with atomic_write(path) as file:
            figure.savefig(file, format=path.suffix[1:], dpi=150)
        pyplot.close(figure)  # pyplot would hold on to it

    def text(self, text: str, name: str) -> None:
        """Save a text."""
        with atomic_write(self.path(name)) as file:
            file.write(f"{text}\n".encode())

    def path(self, name: str) -> Path:
        """Where the file `name` goes."""
        self.files.append(name)
        return self.folder / name

    def end(self) -> dict[str, float]:
        """Print the table and the files; the results by name."""
        width = max(len(name) for name, _ in self.lines)
        for name, value in self.lines:
            self.say(f"{name:<{width}}  {value}")
        self.say(f"files in {self.folder}:")
        for name in self.files:
            self.say(f"  {name}")
        return self.numbers
