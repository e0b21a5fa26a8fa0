"""Every kind of case: measurements in, rows out."""

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from benchmarks.cases import CASES, CONTESTANTS, Case, Contestant, Shape, flops
from benchmarks.rows import Row, rounded, spread
from benchmarks.turns import Entry, complain, hall, order
from benchmarks.workers import WorkerError, run_whole
from unspool.datasets import make_sine_classes

EPOCHS = 30  # of `process`


@dataclass(frozen=True)
class Options:
    """The options of the command; see `benchmarks.__main__`."""

    peers: Path
    backend: str
    rounds: int | None
    keras_runs: int
    quick: bool

    def contestants(self, case: Case) -> dict[str, Contestant]:
        """Those of a case, by name; unspool with the backend that is asked for."""
        found = {name: CONTESTANTS[name] for name in case.contestants}
        return {**found, "unspool": replace(found["unspool"], how=self.backend)}

    def shapes(self, case: Case) -> Sequence[Shape]:
        """Those of a case."""
        return case.shapes[:1] if self.quick else case.shapes

    def rounds_of(self, case: Case) -> int:
        """How many rounds a case gets."""
        return self.rounds or (2 if self.quick else case.rounds)


def by_turns(name: str, options: Options) -> Iterator[list[Row]]:
    """`train`, `encode`, `epoch`: the rows of one shape after the other."""
    for shape, entries in _entries(name, options):
        yield [
            {
                "case": name,
                **shape._asdict(),
                "contestant": entry.contestant,
                "median_ms": rounded(1e3 * np.median(entry.times)) if entry.times else "",
                **spread("ratio", _ratios(entries[0].times, entry.times)),
                "rounds": len(entry.times),
                "error": rounded(entry.error),
                "backend": entry.backend,
                "note": entry.note,
                "versions": entry.versions,
            }
            for entry in entries
        ]


def peak(name: str, options: Options) -> Iterator[list[Row]]:
    """`peak`: operations a second, and their share of the first contestant's, round by round."""
    for shape, entries in _entries(name, options):
        rates = [
            [(entry.flops or flops(shape)) / seconds / 1e9 for seconds in entry.times]
            for entry in entries
        ]
        yield [
            {
                "case": name,
                **shape._asdict(),
                "contestant": entry.contestant,
                "gflops": rounded(np.median(rate)) if rate else "",
                **spread("share", _ratios(rates[0], rate)),
                "rounds": len(rate),
                "backend": entry.backend,
                "note": entry.note,
                "versions": entry.versions,
            }
            for entry, rate in zip(entries, rates, strict=True)
        ]


def _entries(name: str, options: Options) -> Iterator[tuple[Shape, list[Entry]]]:
    case = CASES[name]
    with tempfile.TemporaryDirectory() as folder:
        contestants = options.contestants(case)
        with hall(contestants, options.peers, Path(folder)) as opened:
            for shape in options.shapes(case):
                yield shape, opened.measure(name, shape, options.rounds_of(case))


def _ratios(base: Sequence[float], times: Sequence[float]) -> list[float]:
    """Of every round in which both were timed: above 1 where the base is the lower."""
    return [own / of_base for own, of_base in zip(times, base, strict=False)]


def process(name: str, options: Options) -> Iterator[list[Row]]:
    """`process`: the rows of the two-sines experiment as a separate process.

    Before the first round each contestant runs for one epoch, so that everybody's files are in
    memory and unspool's kernels compiled. The seed of a run is the number of its round.
    """
    contestants = options.contestants(CASES[name])
    epochs, rounds = (1, 1) if options.quick else (EPOCHS, options.rounds_of(CASES[name]))
    rounds_of = {who: rounds if who == "unspool" else options.keras_runs for who in contestants}
    entries = {who: Entry(who) for who in contestants}
    errors: dict[str, list[float]] = {who: [] for who in contestants}
    judge = _judge()

    def run(who: str, epochs: int, seed: int) -> tuple[float, float]:
        contestant, entry = contestants[who], entries[who]
        script = "unspool_article" if who == "unspool" else "keras_article"
        arguments = [str(epochs), str(seed), *([contestant.how] if contestant.how else [])]
        seconds, answer = run_whole(contestant, options.peers, script, arguments)
        entry.backend, entry.versions = answer["backend"], answer["versions"]
        judge(answer["test_mse"], answer["sum_of_squares"])
        return seconds, answer["test_mse"]

    for number in range(-1, max(rounds_of.values())):
        turns = [who for who, entry in entries.items() if number < rounds_of[who]]
        for who in order([who for who in turns if not entries[who].note], max(number, 0)):
            try:
                seconds, error = run(who, 1 if number < 0 else epochs, max(number, 0))
            except WorkerError as failure:
                entries[who].note = str(failure)
                complain(who, failure)
                continue
            if number >= 0:
                entries[who].times.append(seconds)
                errors[who].append(error)
    base = entries["unspool"].times
    yield [
        {
            "case": name,
            "contestant": who,
            "median_ms": rounded(1e3 * np.median(entry.times)) if entry.times else "",
            **spread("ratio", _ratios(base, entry.times)),
            "rounds": len(entry.times),
            "epochs": epochs,
            "test_mse": " ".join(map(rounded, errors[who])),
            "backend": entry.backend,
            "note": entry.note,
            "versions": entry.versions,
        }
        for who, entry in entries.items()
    ]


def _judge() -> Callable[[float, float], None]:
    """A function that refuses a run on other data, or one that learned less than the mean."""
    test = make_sine_classes().X_test
    x, _ = test.take(np.arange(len(test)))
    square, of_mean = float((x**2).sum()), float(x.var())

    def judge(test_mse: float, sum_of_squares: float) -> None:
        if abs(sum_of_squares / square - 1) > 1e-5:
            raise WorkerError(f"refused: other data, squares add up to {sum_of_squares:.6g}")
        if not test_mse < of_mean:
            raise WorkerError(f"refused: test MSE {test_mse:.3g}, the mean reaches {of_mean:.3g}")

    return judge


def first_calls(name: str, options: Options) -> Iterator[list[Row]]:
    """`compile`: seconds of the import and of the first call, with and without a full cache."""
    case, contestants = CASES[name], options.contestants(CASES[name])
    for shape in options.shapes(case):
        tried = [("unspool", "empty"), ("unspool", "full"), ("torch", "none")]
        found: dict[tuple[str, str], list[Mapping[str, float]]] = {key: [] for key in tried}
        notes: dict[tuple[str, str], str] = {}
        versions: dict[str, str] = {}
        for _ in range(options.rounds_of(case)):
            with tempfile.TemporaryDirectory() as cache:
                for who, state in [key for key in tried if key not in notes]:
                    arguments = [who, *map(str, shape), options.backend]
                    try:
                        _, answer = run_whole(
                            contestants[who],
                            options.peers,
                            "first_call",
                            arguments,
                            env={"NUMBA_CACHE_DIR": cache},
                        )
                    except WorkerError as failure:
                        notes[who, state] = str(failure)
                        complain(who, failure)
                        continue
                    versions[who] = answer["versions"]
                    found[who, state].append(answer)
        yield [
            {
                "case": name,
                **shape._asdict(),
                "contestant": who,
                "cache": state,
                **spread("import_s", [answer["import"] for answer in found[who, state]]),
                **spread("first_call_s", [answer["first_call"] for answer in found[who, state]]),
                "rounds": len(found[who, state]),
                "note": notes.get((who, state), ""),
                "versions": versions.get(who, ""),
            }
            for who, state in tried
        ]


RUNS: Mapping[str, Callable[[str, Options], Iterator[list[Row]]]] = {
    "train": by_turns,
    "encode": by_turns,
    "train_gru": by_turns,
    "encode_gru": by_turns,
    "epoch": by_turns,
    "process": process,
    "peak": peak,
    "compile": first_calls,
}
