"""Checkpoints: the file from which a fit that was stopped at any instant continues.

A fit runs again from its beginning, with what is cheap: it reads the data, scales them and builds
the model. Each training of it (a stage) then continues from its state in the file; one that has
ended returns its result at once. What was drawn from `random_state` is in the file, too.
"""

import time
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from unspool._logging import logger
from unspool.errors import CheckpointWarning, InputError
from unspool.model_file.checkpoint_file import encoded, read_checkpoint, write_checkpoint
from unspool.training.lock import Lock

MAX_SHARE = 0.01  # of the time of a fit that is spent on writing, if the interval is a time

LOGGER = logger("unspool.training.checkpoint")


class CheckpointFile:
    """A checkpoint in memory and on the disk.

    Parameters
    ----------
    path : Path
        The file; it is read if it exists.
    model : str
        Class of the estimator that is fitted.
    versions : mapping of str to str
        Versions of the packages that train now.
    seconds : float, optional
        Time between two writes. It is lengthened so that writing needs at most `MAX_SHARE` of it.
    steps : int, optional
        Number of batches between two writes, instead of `seconds`.

    Raises
    ------
    ModelFileError
        If the file exists and is no checkpoint that can be used.
    InputError
        If it is that of an estimator of another class, or if another fit uses it.
    """

    def __init__(
        self,
        path: Path,
        model: str,
        versions: Mapping[str, str],
        *,
        seconds: float | None = None,
        steps: int | None = None,
    ) -> None:
        self.path, self.versions = path, versions
        self.seconds, self.steps = seconds, steps
        self.batches = 0  # since the fit began
        self.next = time.monotonic() + (seconds or 0.0)
        self.failed = False  # whether a write has failed
        self.facts: dict[str, Any] = {"model": model, "stage": "", "epoch": 0, "epochs": 0}
        self.facts["finished"] = False
        self.fits: dict[str, dict[str, Any]] = {}  # seeds and fingerprint of the fits, by scope
        self.stages: dict[str, dict[str, Any]] = {}  # states in the order of the stages
        self.lock = Lock(path)
        try:
            if path.exists():
                self._read(model)
        except BaseException:
            self.lock.release()
            raise

    def _read(self, model: str) -> None:
        self.facts, tree, versions = read_checkpoint(self.path)
        if self.facts["model"] != model:
            raise InputError(
                f"{self.path} is the checkpoint of the class {self.facts['model']}, but this is "
                f"{model}; give another `checkpoint`."
            )
        self.fits, self.stages = tree["fits"], tree["stages"]
        changes = [
            f"{name} {versions.get(name)} and is continued with {now}"
            for name, now in self.versions.items()
            if versions.get(name) != now
        ]
        if changes:
            warnings.warn(
                f"{self.path} was written with {', '.join(changes)}; the result may differ from "
                "that of an uninterrupted fit.",
                CheckpointWarning,
                stacklevel=5,
            )

    def due(self) -> bool:
        """Count a batch, and return whether it is time to write."""
        self.batches += 1
        if self.steps is not None:
            return self.batches % self.steps == 0
        return time.monotonic() >= self.next

    def write(self, finished: bool = False) -> None:
        """Write the file, or warn that it cannot be written; the last good one then stays."""
        start = time.monotonic()
        self.facts["finished"] = finished
        try:
            write_checkpoint(
                self.path, self.facts, {"fits": self.fits, "stages": self.stages}, self.versions
            )
        except InputError as error:
            if not self.failed:
                self.failed = True
                warnings.warn(
                    f"A checkpoint could not be written, and training goes on without it: {error}",
                    CheckpointWarning,
                    stacklevel=2,
                )
        end = time.monotonic()
        if self.seconds is not None:
            self.next = end + max(self.seconds, (end - start) / MAX_SHARE)


class Checkpoint:
    """The part of a checkpoint that belongs to one fit; a fit can have others inside.

    Parameters
    ----------
    file : CheckpointFile
    scope : str, default ""
        Name of the fit, which the names of its stages begin with.
    """

    def __init__(self, file: CheckpointFile, scope: str = "") -> None:
        self.file, self.scope = file, scope

    def within(self, name: str) -> "Checkpoint":
        """Return the part for a fit inside this one."""
        return Checkpoint(self.file, f"{self.scope}{name}: ")

    def seeds(self, drawn: list[int]) -> list[int]:
        """Return the seeds that the fit began with; at its beginning, those just `drawn`."""
        kept: list[int] = self._fit.setdefault("seeds", drawn)
        return kept if len(kept) == len(drawn) else drawn  # of another fit, which is refused later

    @property
    def fingerprint(self) -> dict[str, Any] | None:
        """What parameters and data were when the file was written, or None."""
        return self._fit.get("fingerprint")

    @fingerprint.setter
    def fingerprint(self, now: dict[str, Any]) -> None:
        self._fit["fingerprint"] = now

    def stage(self, name: str) -> "StageCheckpoint":
        """Return the part for a training of this fit."""
        return StageCheckpoint(self.file, f"{self.scope}{name}")

    def release(self) -> None:
        """Let other fits use the file, unless this fit is inside another."""
        if not self.scope:
            self.file.lock.release()

    def finish(self) -> None:
        """Mark the file as that of a fit that has ended, unless this fit is inside another."""
        if self.scope:
            return
        if self.file.facts["finished"]:
            LOGGER.info("%s: this fit has ended before, and nothing was trained", self.file.path)
        else:
            self.file.write(finished=True)

    @property
    def _fit(self) -> dict[str, Any]:
        return self.file.fits.setdefault(self.scope, {})


class StageCheckpoint:
    """The part of a checkpoint that belongs to one training; the loop's `StateKeeper`.

    Parameters
    ----------
    file : CheckpointFile
    name : str
        Name of the training among all of the file.
    """

    def __init__(self, file: CheckpointFile, name: str) -> None:
        self.file, self.name = file, name

    @property
    def saved(self) -> dict[str, Any] | None:
        """The state to continue from, or None to begin."""
        return self.file.stages.get(self.name)

    def due(self) -> bool:
        """Return whether the state should be written after this batch."""
        return self.file.due()

    def resumed(self, done: int, epochs: int) -> None:
        """Log that training continues after `done` of `epochs` epochs."""
        stage = f"{self.name.removesuffix(': ')}, " if self.name else ""
        LOGGER.info(
            "continuing from %sepoch %d of %d (%s)", stage, done + 1, epochs, self.file.path
        )

    def check(self, state: Mapping[str, Any]) -> None:
        """Check that a state can be written."""
        encoded(as_arrays(state), {})

    def write(self, state: Mapping[str, Any], epochs: int) -> None:
        """Write the state of a training of `epochs` epochs."""
        self.keep(state, epochs)
        self.flush()

    def flush(self) -> None:
        """Write what was kept."""
        self.file.write()

    def keep(self, state: Mapping[str, Any], epochs: int) -> None:
        """Copy the state of a training of `epochs` epochs; later stages will begin anew."""
        stages = self.file.stages
        names = list(stages)
        if self.name in stages:
            for later in names[names.index(self.name) + 1 :]:
                del stages[later]
        stages[self.name] = as_arrays(state)
        self.file.facts |= {
            "stage": self.name,
            "epoch": len(state["series"].get("loss", [])),
            "epochs": epochs,
        }


def as_arrays(value: Any) -> Any:
    """Return a copy of a state with tensors as arrays."""
    copied: Callable[[Any], Any] = as_arrays
    if isinstance(value, Tensor):
        return value.detach().cpu().numpy().copy()
    if isinstance(value, Mapping):
        return {name: copied(one) for name, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [copied(one) for one in value]
    return value.copy() if hasattr(value, "dtype") and hasattr(value, "copy") else value
