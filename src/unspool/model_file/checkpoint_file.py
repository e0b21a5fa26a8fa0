"""Checkpoints of a fit as files: a tree of plain values and arrays, in the form of a model file.

A tree consists of dicts with text as keys, lists, texts, truths, None, whole numbers of any size,
floats, which keep every bit, and arrays. Nothing in a file is run when it is read.
"""

import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import safetensors

from unspool._files import atomic_write
from unspool.errors import InputError, ModelFileError
from unspool.model_file.format import DTYPES, FORMAT_VERSION, about, read_parts, to_bytes

CHECKPOINT_VERSION = 1  # of the tree; a file of another version is refused
ARRAY_DTYPES = {
    **DTYPES,
    "F16": "<f2",
    "BOOL": "|b1",
    **{f"I{8 * size}": f"{'<' if size > 1 else '|'}i{size}" for size in (1, 2, 4, 8)},
    **{f"U{8 * size}": f"{'<' if size > 1 else '|'}u{size}" for size in (1, 2, 4, 8)},
}
ARRAY, NUMBER = (
    "$array",
    "$float",
)  # keys of a dict that replaces an array or a float that JSON has not
FACTS = ("model", "stage", "epoch", "epochs", "finished")  # what describes a checkpoint to people
MAX_NAME = 200  # characters of the name of an array, which only serves readers of the file


def write_checkpoint(
    path: Path, facts: Mapping[str, Any], tree: Mapping[str, Any], versions: Mapping[str, str]
) -> None:
    """Write a checkpoint; an older one at `path` is replaced as a whole or not at all.

    Parameters
    ----------
    path : Path
    facts : mapping
        Values of `FACTS`.
    tree : mapping
        What to keep.
    versions : mapping of str to str
        Versions of the packages that train.

    Raises
    ------
    InputError
        If the file cannot be written, or if the tree holds something else than described above.
    """
    arrays: dict[str, npt.NDArray[Any]] = {}
    header = {
        "format_version": FORMAT_VERSION,
        "checkpoint": {"version": CHECKPOINT_VERSION, **facts},
        "versions": dict(versions),
        "state": encoded(tree, arrays),
    }
    blob = to_bytes(header, arrays)
    with atomic_write(path) as file:
        file.write(blob)


def read_checkpoint(
    path: str | os.PathLike[str],
) -> tuple[dict[str, Any], dict[str, Any], dict[str, str]]:
    """Read what `write_checkpoint` wrote: facts, tree and versions.

    Raises
    ------
    ModelFileError
        If the file is damaged, or of another version.
    InputError
        If it is a model file.
    """
    try:
        header, arrays = read_parts(path, ARRAY_DTYPES, _check_is_checkpoint)
        facts = header["checkpoint"]
        if facts["version"] != CHECKPOINT_VERSION:
            raise ModelFileError(
                f"{path} has checkpoint version {facts['version']}, but this unspool reads version "
                f"{CHECKPOINT_VERSION}; finish the fit with unspool "
                f"{header['versions']['unspool']}."
            )
        for name in FACTS:
            facts[name]
        return facts, decoded(header["state"], arrays), header["versions"]
    except InputError:  # another kind of file
        raise
    except ModelFileError as error:
        raise ModelFileError(
            f"The checkpoint cannot be used. {error} Give another `checkpoint`, or remove a "
            "damaged one to start the fit anew."
        ) from None
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise ModelFileError(
            f"The checkpoint {path} is damaged ({type(error).__name__}: {error}); remove it to "
            "start the fit anew."
        ) from None


def _check_is_checkpoint(path: Path, header: Mapping[str, Any]) -> None:
    if not isinstance(header.get("checkpoint"), dict):
        raise InputError(
            f"{path} is a model file, not a checkpoint; give another `checkpoint`, or use the "
            "model with `unspool.load`."
        )


def is_checkpoint(path: Path) -> bool:
    """Return whether a file is a checkpoint, be it damaged or not; False if it cannot be read."""
    try:
        with safetensors.safe_open(path, framework="np") as file:
            header = json.loads((file.metadata() or {}).get("unspool", ""))
    except (safetensors.SafetensorError, OSError, ValueError, RecursionError):
        return False
    return isinstance(header, dict) and "checkpoint" in header


def describe(facts: Mapping[str, Any]) -> str:
    """Say in a few words what fit a checkpoint belongs to, and how far it has come."""
    return about({"checkpoint": facts})


def encoded(value: Any, arrays: dict[str, npt.NDArray[Any]], path: str = "") -> Any:
    """Return a tree as JSON can hold it; its arrays are added to `arrays`.

    Raises
    ------
    InputError
        If a value is of another kind.

    Examples
    --------
    >>> arrays = {}
    >>> tree = {"loss": float("inf"), "weight": np.zeros(2)}
    >>> encoded(tree, arrays)
    {'loss': {'$float': 'inf'}, 'weight': {'$array': '0/weight'}}
    >>> decoded(encoded(tree, {}), arrays)
    {'loss': inf, 'weight': array([0., 0.])}
    """
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else {NUMBER: repr(value)}
    if isinstance(value, np.ndarray) and value.dtype.str in ARRAY_DTYPES.values():
        name = f"{len(arrays)}{path}"[:MAX_NAME]
        arrays[name] = value
        return {ARRAY: name}
    if isinstance(value, (list, tuple)):
        return [encoded(one, arrays, f"{path}/{place}") for place, one in enumerate(value)]
    if isinstance(value, Mapping) and all(
        isinstance(name, str) and name not in (ARRAY, NUMBER) for name in value
    ):
        return {name: encoded(one, arrays, f"{path}/{name}") for name, one in value.items()}
    raise InputError(
        f"A checkpoint holds numbers, texts, lists, dicts with text as keys, and arrays of "
        f"numbers, but {path.strip('/') or 'the value'} is a {type(value).__name__}."
    )


def decoded(value: Any, arrays: Mapping[str, npt.NDArray[Any]]) -> Any:
    """Return the tree that `encoded` was given; tuples have become lists."""
    match value:
        case {"$array": str(name), **others} if not others:
            return arrays[name]
        case {"$float": str(text), **others} if not others:
            return float(text)
        case dict():
            return {name: decoded(one, arrays) for name, one in value.items()}
        case list():
            return [decoded(one, arrays) for one in value]
    return value
