"""The process that one contestant lives in: ``python -m benchmarks.worker MODULE HOW``.

It reads requests from stdin and answers on stdout, a line of JSON each, and sleeps in between:

{"do": "prepare", "case", "threads", "inputs", "outputs"} reads the file `inputs`, does the work
once, writes its numbers to the file `outputs`, and answers {"backend", "flops"}.
{"do": "turn", "warm", "calls", "seconds"} answers {"median"}, in seconds.

The first line, without a request, is {"versions"}. Where something goes wrong the answer is
{"error"}, and the traceback is on stderr.
"""

import importlib
import json
import os
import statistics
import sys
import time
import traceback
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.contestants import Job, Ready
from benchmarks.machine import versions


class Desk:
    """Keeps a contestant from its preparation to its turns."""

    def __init__(self, module: str, how: str) -> None:
        self.contestant = importlib.import_module(f"benchmarks.contestants.{module}")
        self.how = how
        self.ready: Ready | None = None

    def prepare(self, case: str, threads: int, inputs: str, outputs: str) -> dict[str, Any]:
        """Do the work once and leave its numbers in a file."""
        self.ready = None
        with np.load(inputs) as arrays:
            job = Job(case, self.how, threads, dict(arrays))
        self.ready = self.contestant.prepare(job)
        np.savez(outputs, **self.ready.numbers)
        return {"backend": self.ready.backend, "flops": self.ready.flops}

    def turn(self, warm: float, calls: int, seconds: float) -> dict[str, Any]:
        """Time the work; see `benchmarks.cases.Turn`."""
        assert self.ready is not None
        return {"median": median_time(self.ready.call, warm, calls, seconds)}


def median_time(call: Callable[[], object], warm: float, calls: int, seconds: float) -> float:
    """The median over `seconds`, and at least `calls` calls, after `warm` seconds of calls."""
    begin = time.perf_counter()
    while time.perf_counter() < begin + warm:
        call()
    times: list[float] = []
    begin = time.perf_counter()
    while len(times) < calls or time.perf_counter() < begin + seconds:
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def main() -> None:
    """Answer until stdin is closed."""
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # whatever a library prints is no answer

    def answer(reply: dict[str, Any]) -> None:
        print(json.dumps(reply), file=answers)

    try:
        desk = Desk(*sys.argv[1:])
    except ModuleNotFoundError as error:
        answer({"error": f"not installed: {error}"})
        return
    answer({"versions": versions(*desk.contestant.PACKAGES)})
    for line in sys.stdin:
        request = json.loads(line)
        try:
            answer(getattr(desk, request.pop("do"))(**request))
        except Exception as error:
            traceback.print_exc()
            answer({"error": f"failed: {type(error).__name__}: {error}"})


if __name__ == "__main__":
    main()
