"""The processes of the contestants, seen from the driver."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.cases import Contestant

ROOT = Path(__file__).parent.parent


class WorkerError(Exception):
    """A contestant that cannot go on.

    Parameters
    ----------
    message : str
        One line.
    stderr : str
        What its process wrote there, as far as that helps.
    """

    def __init__(self, message: str, stderr: str = "") -> None:
        super().__init__(message)
        self.stderr = stderr


def interpreter(contestant: Contestant, peers: Path) -> str:
    """The Python that it runs on; raises WorkerError where that is not there."""
    if not contestant.peer:
        return sys.executable
    if not peers.exists():
        raise WorkerError("not installed: `make bench` makes the environment of the peers")
    return str(peers)


def run_whole(
    contestant: Contestant,
    peers: Path,
    script: str,
    arguments: Sequence[str],
    env: Mapping[str, str] | None = None,
) -> tuple[float, dict[str, Any]]:
    """Run a script of `benchmarks.fresh`: the seconds from start to end, and its answer."""
    command = [interpreter(contestant, peers), "-m", f"benchmarks.fresh.{script}", *arguments]
    start = time.perf_counter()
    done = subprocess.run(
        command,
        cwd=ROOT,
        env={**os.environ, **contestant.env, **(env or {})},
        capture_output=True,
        text=True,
    )
    seconds = time.perf_counter() - start
    if done.returncode:
        (last,) = done.stderr.splitlines()[-1:] or ["nothing on stderr"]
        if last.startswith("ModuleNotFoundError"):
            raise WorkerError(f"not installed: {last.partition(': ')[2]}")
        raise WorkerError(f"failed: {last}", done.stderr)
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return seconds, answer


class Worker:
    """A process of `benchmarks.worker`, asked and answered in turn.

    Parameters
    ----------
    contestant : Contestant
    peers : Path
        The Python of the peers' environment.
    log : Path
        Takes what the process writes to stderr.
    """

    def __init__(self, contestant: Contestant, peers: Path, log: Path) -> None:
        self.log = log
        with log.open("w") as stderr:
            self.process = subprocess.Popen(
                [
                    *(interpreter(contestant, peers), "-m", "benchmarks.worker"),
                    *(contestant.module, contestant.how),
                ],
                cwd=ROOT,
                env={**os.environ, **contestant.env},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stderr,
                text=True,
            )
        try:
            self.versions = self._answer()["versions"]
        except WorkerError:
            self.close()
            raise

    def ask(self, do: str, **request: Any) -> dict[str, Any]:
        """Send a request and wait for its answer; raises WorkerError where there is none."""
        assert self.process.stdin is not None
        try:
            self.process.stdin.write(json.dumps({"do": do, **request}) + "\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            pass  # the process has ended, and the answer says how
        return self._answer()

    def _answer(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            status = self.process.wait()
            raise WorkerError(f"failed: its process ended with status {status}", self._said())
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise WorkerError(answer["error"], self._said())
        return answer

    def _said(self) -> str:
        return self.log.read_text()

    def close(self) -> None:
        """Let the process end, which it does when nobody can ask any more."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        try:
            self.process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
