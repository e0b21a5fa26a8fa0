"""Where `unspool detect --follow` stopped, in a file, so that it can go on from there."""

import hashlib
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from unspool._files import atomic_write
from unspool.cli.growing import Growing, digest_of
from unspool.errors import InputError

if TYPE_CHECKING:
    from unspool.model_file import Contents
    from unspool.runtime.detector_stream import DetectorStream

PREFIX = "stream."


def write_state(
    path: Path,
    contents: "Contents",
    stream: "DetectorStream",
    growing: Growing,
    rows: int,
    line: int,
) -> None:
    """Write what `read_state` reads.

    Parameters
    ----------
    path : Path
    contents : Contents
        Of the detector.
    stream : DetectorStream
    growing : Growing
        What was followed.
    rows, line : int
        Lines of data over all runs, and the number of the last line in the file.
    """
    arrays: dict[str, npt.NDArray[Any]] = {PREFIX + k: v for k, v in stream.state().items()}
    arrays["detector"] = _digest_of(contents)
    arrays["rows"], arrays["line"] = np.array(rows), np.array(line)
    if growing.grows:
        arrays["position"] = np.array(growing.position)
        arrays["beginning"] = np.frombuffer(digest_of(growing.beginning), np.uint8)
    with atomic_write(path) as file:
        np.savez(file, **arrays)  # type: ignore[arg-type]


def read_state(
    path: Path, contents: "Contents", stream: "DetectorStream", growing: Growing
) -> tuple[int, int]:
    """Take up the state of an earlier run, if there is one.

    Where the same file is followed again it is read on from the line that came next; it is known
    by its first bytes. Another one, such as a new log file, is read from its beginning.

    Returns
    -------
    int, int
        As `write_state` has them; 0 where there is no such file.

    Raises
    ------
    InputError
        For a file that holds no such state, or that of another detector.
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
            f"{path}: this is no state that --follow wrote; remove it, or give another --state."
        ) from None
    if not np.array_equal(detector, _digest_of(contents)):
        raise InputError(
            f"{path}: the state is that of another detector; give the same one with --model, or "
            "another --state."
        )
    try:
        stream.restore(state)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    if growing.grows and beginning is not None:
        growing.go_on(position, beginning.tobytes())
    return rows, line


def _digest_of(contents: "Contents") -> npt.NDArray[np.uint8]:
    """Tells detectors apart: by all of their arrays."""
    hasher = hashlib.sha256()
    for name in sorted(contents.tensors):
        tensor = np.ascontiguousarray(contents.tensors[name])
        hasher.update(f"{name} {tensor.dtype} {tensor.shape} ".encode())
        hasher.update(tensor.tobytes())
    return np.frombuffer(hasher.digest(), np.uint8)
