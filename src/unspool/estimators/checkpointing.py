"""The `checkpoint` of `fit`: its arguments, and whether a checkpoint is of the same fit."""

import os
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from unspool import _checks
from unspool._durations import seconds as seconds_of
from unspool._durations import size_complaint
from unspool._files import check_output_path
from unspool._loss_parameter import LossFunction, function_name
from unspool.data.convert import Source
from unspool.data.futures import Futures
from unspool.data.windows import Windows
from unspool.errors import InputError
from unspool.estimators.function_code import code_checksum, qualified_name
from unspool.estimators.going_on import plain
from unspool.estimators.saving import each_parameter, is_seed, made_by
from unspool.estimators.training import Run
from unspool.model_file import Contents
from unspool.training.batches import Batches
from unspool.training.checkpoint import Checkpoint, CheckpointFile
from unspool.training.error_weights import ErrorWeights

# Parameters that may differ when a fit continues; `patience` only from a number to another one.
MAY_CHANGE = ("epochs", "fine_tune_epochs", "patience", "verbose", "device", "warm_start")
DIFFERENCES = {  # what to say of a fact that was `then` and is `now`
    "model": "the model was {then} and is {now} now",
    "sequences": "there were {then:,} sequences and are {now:,} now",
    "features": "there were {then:,} features and are {now:,} now",
    "X": "the sequences have other values or lengths",
    "y": "`y` has other values",
    "sample_weight": "`sample_weight` has other values",
    "training": "other sequences are held out",
    "validation": "other sequences are validated on",
    "start": "training started from {then} and starts from {now} now",
    "freeze": "`freeze` was {then} and is {now} now",
}
LOOKED_UP = 1 << 16  # sequences whose lengths and places are looked up at once


def read_checkpoint_arguments(estimator: Any, checkpoint: Any, every: Any) -> Checkpoint | None:
    """Check the arguments `checkpoint` and `checkpoint_every` of `fit`, and open the file.

    Raises
    ------
    InputError
        If an argument cannot be used, or if the checkpoint is of another class.
    ModelFileError
        If the file exists and is no checkpoint that can be read.
    """
    complaint = size_complaint("checkpoint_every", every)
    if complaint:
        raise InputError(
            "`checkpoint_every` must be a whole number of batches of at least 1 or a duration "
            f"above 0 such as '1min', got {_checks.shown(every)}."
        )
    if checkpoint is None or isinstance(checkpoint, Checkpoint):  # of a fit around this one
        return checkpoint
    if not isinstance(checkpoint, (str, os.PathLike)):
        raise InputError(
            f"`checkpoint` must be the path of a file or None, got {_checks.shown(checkpoint)}."
        )
    path = Path(checkpoint)
    check_output_path(path)
    seconds = seconds_of(every)
    steps = None if seconds is not None else int(every)
    name = getattr(estimator, "_name", type(estimator).__name__)
    return Checkpoint(CheckpointFile(path, name, made_by(), seconds=seconds, steps=steps))


@contextmanager
def held(checkpoint: Checkpoint | None) -> Iterator[None]:
    """Let other fits use the file of a checkpoint when the fit inside has ended."""
    try:
        yield
    finally:
        if checkpoint is not None:
            checkpoint.release()


def seeds(checkpoint: Checkpoint | None, random_state: Any, drawn: list[int]) -> list[int]:
    """Return the seeds of a fit: those `drawn`, or those with which the checkpoint began.

    A whole number as `random_state` leads to the same seeds in any case.
    """
    if checkpoint is None or is_seed(random_state):
        return drawn
    return checkpoint.seeds(drawn)


def check_same_fit(checkpoint: Checkpoint, estimator: Any, facts: Mapping[str, Any]) -> None:
    """Check that class, parameters and data are those of the checkpoint, and remember them.

    Parameters
    ----------
    checkpoint : Checkpoint
    estimator : estimator
        It is being fitted, and has the parameters of the fit.
    facts : mapping
        What else the weights depend on; keys of `DIFFERENCES`.

    Raises
    ------
    InputError
        If something differs; the message names it.
    """
    parameters = {name: _text(one) for name, one in each_parameter(estimator._parameters)}
    now = {"parameters": parameters, "model": estimator._name, **facts}
    then = checkpoint.fingerprint
    if then is not None and (differences := _differences(then, now)):
        raise InputError(
            f"{checkpoint.file.path} is the checkpoint of another fit: {'; '.join(differences)}. "
            "Give the same parameters and data to continue it, or another `checkpoint`."
        )
    checkpoint.fingerprint = now


def _differences(then: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Name what differs; values of other sequences are not compared."""
    found = [
        f"`{name}` was {_checks.shown_text(before)} and is "
        f"{_checks.shown_text(now['parameters'][name])} now"
        for name, before in then["parameters"].items()
        if name in now["parameters"] and _differs(name, before, now["parameters"][name])
    ]
    others = [name for name in DIFFERENCES if then[name] != now[name]]
    if "sequences" in others or "features" in others:
        kept = ("model", "sequences", "features", "start", "freeze")
        others = [name for name in others if name in kept]
    return found + [DIFFERENCES[name].format(then=then[name], now=now[name]) for name in others]


def _differs(name: str, then: str, now: str) -> bool:
    name = name.rpartition("__")[2]
    if name == "patience":
        return (then == "None") != (now == "None")
    return name not in MAY_CHANGE and then != now


def _text(value: Any) -> str:
    """Return a parameter as text that is the same for equal values."""
    function = value.function if isinstance(value, LossFunction) else value
    if callable(function):
        return f"{qualified_name(function)} (code {code_checksum(function):08x})"
    if isinstance(value, LossFunction):
        return function_name(value)
    return repr(plain(value))


def facts_of_batches(batches: Batches, validation: Batches | None, run: Run) -> dict[str, Any]:
    """Return what the weights of a fit depend on in addition to the parameters.

    Parameters
    ----------
    batches : Batches
        Those to train on.
    validation : Batches, optional
        Those to validate on.
    run : Run
        The call of `fit`.
    """
    source, held_out = batches.source, 0  # sequences of `X` are held out by the indices of others
    if validation is not None and validation.source is not source:
        other = validation.source
        weights = _of_weights(validation.weights)
        held_out = checksum(_of_source(other), _of_labels(validation), weights)
    return {
        "sequences": len(source),
        "features": source.n_features,
        "X": _of_source(source),
        "y": _of_labels(batches),
        "sample_weight": _of_weights(batches.weights),
        "training": checksum(batches.indices),
        "validation": held_out,
        "start": "new weights" if run.start is None else name_of_weights(run.start),
        "freeze": list(run.freeze),
    }


def checksum(*arrays: Any) -> int:
    """Return the CRC-32 of arrays or numbers."""
    crc = 0
    for one in arrays:
        values = np.ascontiguousarray(one)
        crc = zlib.crc32(values.reshape(-1).view(np.uint8).data if values.size else b"", crc)
    return crc


def _of_source(source: Source | Futures) -> int:
    """Return a checksum of all values, read in pieces, and of how they are cut into sequences."""
    if isinstance(source, Futures):
        return checksum(_of_source(source.source), source.horizon, source.cut)
    crc = 0
    for chunk in source.chunks():
        crc = zlib.crc32(np.ascontiguousarray(chunk).reshape(-1).view(np.uint8).data, crc)
    for start in range(0, len(source), LOOKED_UP):
        some = np.arange(start, min(start + LOOKED_UP, len(source)))
        places = source.place(some) if isinstance(source, Windows) else ()
        crc = checksum(crc, source.lengths_of(some), *places)
    return crc  # the steps from the first window to the last depend on the dilation, too


def _of_labels(batches: Batches) -> int:
    """Return a checksum of what is given as `y`."""
    if batches.classes is not None:
        return checksum(batches.classes)
    future = batches.source.future if isinstance(batches.source, Futures) else None
    return 0 if future is None else checksum(future)


def _of_weights(weights: ErrorWeights | None) -> int:
    if weights is None:
        return 0
    steps = 0 if weights.steps is None else _of_source(weights.steps)
    return checksum(
        steps, *(one for one in (weights.sequences, weights.features) if one is not None)
    )


def name_of_weights(contents: Contents) -> str:
    """Return a text for the weights and the scaling of a trained model."""
    tensors = contents.tensors
    return f"weights with the checksum {checksum(*(tensors[one] for one in sorted(tensors))):08x}"
