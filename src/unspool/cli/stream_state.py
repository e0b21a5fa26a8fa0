"""The state file of `unspool detect --follow`, from which a later run continues."""

import hashlib
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from unspool._files import atomic_write
from unspool.cli.followed_file import FollowedFile, digest_of
from unspool.errors import InputError

if TYPE_CHECKING:
    from unspool.model_file import Contents

PREFIX = "stream."


def write_state(
    path: Path,
    contents: "Contents",
    state: Mapping[str, npt.NDArray[Any]],
    followed: FollowedFile,
    rows: int,
    line: int,
) -> None:
    """Write the state of a run, which `read_state` reads.

    Parameters
    ----------
    path : Path
        Path of the state file.
    contents : Contents
        Contents of the detector's file.
    state : mapping of str to array
        The state of what scored the lines.
    followed : FollowedFile
        The file that was followed.
    rows : int
        Number of lines of data, over all runs.
    line : int
        Number of the last line in the followed file.
    """
    arrays: dict[str, npt.NDArray[Any]] = {PREFIX + k: v for k, v in state.items()}
    arrays["detector"] = _digest_of(contents)
    arrays["rows"], arrays["line"] = np.array(rows), np.array(line)
    if followed.grows:
        arrays["position"] = np.array(followed.position)
        arrays["beginning"] = np.frombuffer(digest_of(followed.beginning), np.uint8)
    with atomic_write(path) as file:
        np.savez(file, **arrays)  # type: ignore[arg-type]


def read_state(
    path: Path,
    contents: "Contents",
    restore: Callable[[dict[str, npt.NDArray[Any]]], None],
    followed: FollowedFile,
) -> tuple[int, int]:
    """Restore the state of an earlier run, if its file exists.

    If the same file is followed again, which is recognised by its first bytes, it is continued at
    the next line. Another file, such as a new log file, is read from its beginning.

    Returns
    -------
    int, int
        `rows` and `line` of `write_state`; 0 if there is no state file.

    Raises
    ------
    InputError
        If the file does not hold a state, or the state of another detector.
    """
    if not path.exists():
        return 0, 0
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        state = {k.removeprefix(PREFIX): v for k, v in arrays.items() if k.startswith(PREFIX)}
        rows, line, detector = int(arrays["rows"]), int(arrays["line"]), arrays["detector"]
        position = int(arrays["position"]) if "position" in arrays else 0
        beginning = arrays.get("beginning")
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile):
        raise InputError(
            f"{path}: this is not a state file of --follow; remove it, or give another --state."
        ) from None
    if not np.array_equal(detector, _digest_of(contents)):
        raise InputError(
            f"{path}: this is the state of another detector; give that detector with --model, or "
            "another --state."
        )
    try:
        restore(state)
    except KeyError as error:
        raise InputError(f"{path}: the state lacks {error}; remove it, and start again.") from None
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    if followed.grows and beginning is not None:
        followed.resume(position, beginning.tobytes())
    return rows, line


def _digest_of(contents: "Contents") -> npt.NDArray[np.uint8]:
    """Return a digest of all arrays of a detector, by which it is recognised."""
    hasher = hashlib.sha256()
    for name in sorted(contents.tensors):
        tensor = np.ascontiguousarray(contents.tensors[name])
        hasher.update(f"{name} {tensor.dtype} {tensor.shape} ".encode())
        hasher.update(tensor.tobytes())
    return np.frombuffer(hasher.digest(), np.uint8)
