"""Who may start, and who is timed when.

Every library runs in a separate process that sleeps until its turn. Before the first turn
each does the work once, and results that differ from the reference are rejected.
Then in every round each has one turn, in another order than in the round before, with a pause in
front of it. A slow minute of the machine so meets all of them, and the ratio of a round is one of
times taken within a second or two.
"""

import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from benchmarks.cases import CASES, PAUSE, THREADS, Contestant, Shape
from benchmarks.inputs import INPUTS
from benchmarks.truth import TRUTHS, errors, objection
from benchmarks.workers import Worker, WorkerError


@dataclass
class Entry:
    """What became of a contestant on one shape.

    Parameters
    ----------
    contestant : str
    note : str
        Why there are no times; empty where there are.
    error : float or None
        The largest of its numbers' errors; see `benchmarks.truth.errors`.
    times : list of float
        The median of every round, in seconds.
    flops : int
        Operations of a call, where the contestant knows.
    """

    contestant: str
    note: str = ""
    versions: str = ""
    backend: str = ""
    error: float | None = None
    times: list[float] = field(default_factory=list)
    flops: int = 0


class Hall:
    """The contestants of a case, each in its process.

    Parameters
    ----------
    contestants : dict of Contestant
    peers : Path
        The Python of the peers' environment.
    folder : Path
        For what goes between the processes.
    """

    def __init__(self, contestants: Mapping[str, Contestant], peers: Path, folder: Path) -> None:
        self.contestants, self.folder = contestants, folder
        self.workers: dict[str, Worker] = {}
        self.absent: dict[str, str] = {}
        for name, contestant in contestants.items():
            try:
                self.workers[name] = Worker(contestant, peers, folder / f"{name}.log")
            except WorkerError as error:
                self.absent[name] = str(error)
                complain(name, error)

    def close(self) -> None:
        """Let all processes end."""
        for worker in self.workers.values():
            worker.close()

    def measure(self, case: str, shape: Shape, rounds: int) -> list[Entry]:
        """Check and time all contestants on one shape."""
        inputs = INPUTS[case](shape)
        truth = TRUTHS[case](inputs)
        np.savez(self.folder / "inputs.npz", **inputs)
        entries = {name: Entry(name, note) for name, note in self.absent.items()}
        for name in self.workers:
            entries[name] = self._admit(name, case, truth)
        for number in range(rounds):
            admitted = [name for name, entry in entries.items() if not entry.note]
            for name in order(admitted, number):
                time.sleep(PAUSE)
                self._take_turn(entries[name], case)
        return [entries[name] for name in self.contestants]

    def _admit(self, name: str, case: str, truth: Mapping[str, np.ndarray]) -> Entry:
        worker, outputs = self.workers[name], self.folder / "outputs.npz"
        entry = Entry(name, versions=worker.versions)
        try:
            answer = worker.ask(
                "prepare",
                case=case,
                threads=THREADS,
                inputs=str(self.folder / "inputs.npz"),
                outputs=str(outputs),
            )
        except WorkerError as error:
            entry.note = str(error)
            complain(name, error)
            return entry
        entry.backend, entry.flops = answer["backend"], answer["flops"]
        contestant = self.contestants[name]
        if contestant.checked:
            with np.load(outputs) as numbers:
                found = errors(truth, numbers)
            entry.error = max(found.values())
            wrong = objection(found, contestant.tolerances)
            entry.note = f"refused: {wrong}" if wrong else ""
        return entry

    def _take_turn(self, entry: Entry, case: str) -> None:
        turn, worker = CASES[case].turn, self.workers[entry.contestant]
        assert turn is not None
        try:
            entry.times.append(worker.ask("turn", **turn._asdict())["median"])
        except WorkerError as error:
            entry.note = str(error)
            entry.times.clear()
            complain(entry.contestant, error)


@contextmanager
def hall(contestants: Mapping[str, Contestant], peers: Path, folder: Path) -> Iterator[Hall]:
    """Open a `Hall`, and close it whatever happens."""
    opened = Hall(contestants, peers, folder)
    try:
        yield opened
    finally:
        opened.close()


def order(names: Sequence[str], number: int) -> list[str]:
    """The order of round `number`: rotated each time, and turned round after every full turn."""
    if not names:
        return []
    start = number % len(names)
    rotated = [*names[start:], *names[:start]]
    return rotated[::-1] if number // len(names) % 2 else rotated


def complain(name: str, error: WorkerError) -> None:
    """Say on stderr what is wrong with a contestant, with the end of what it said itself."""
    print(f"{name}: {error}", file=sys.stderr)
    for line in error.stderr.splitlines()[-15:]:
        print(f"    {line}", file=sys.stderr)
