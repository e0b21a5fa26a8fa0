"""Bytes on disk: header, tensors and a checksum of both."""

import json
import os
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import safetensors
import safetensors.numpy

import unspool
from unspool._files import check_folder, whole_or_not
from unspool.errors import InputError, ModelFileError
from unspool.model_file.contents import Contents

FORMAT_VERSION = 1

# From a version to the next: takes header and tensors of a file and gives those of the next.
Upgrade = Callable[[dict[str, Any], dict[str, npt.NDArray[Any]]], None]
UPGRADES: dict[int, Upgrade] = {}

FIELDS = ("format_version", "model", "parameters", "fitted", "versions")
DTYPES = ("F32", "F64")


def write(path: str | os.PathLike[str], contents: Contents) -> None:
    """Write a model to `path`, whole or not at all."""
    path = Path(path)
    check_folder(path)
    blob = to_bytes(
        {
            "format_version": FORMAT_VERSION,
            "model": contents.model,
            "parameters": contents.parameters,
            "fitted": contents.fitted,
            "versions": contents.versions,
        },
        contents.tensors,
    )
    with whole_or_not(path) as file:
        file.write(blob)


def to_bytes(header: Mapping[str, Any], tensors: Mapping[str, npt.NDArray[Any]]) -> bytes:
    """A file with this header and these tensors."""
    whole = {name: np.ascontiguousarray(tensor) for name, tensor in tensors.items()}
    plain = json.loads(json.dumps(header, default=_plain))
    text = json.dumps({**plain, "crc32": _checksum(plain, whole)})
    return bytes(safetensors.numpy.save(whole, {"unspool": text}))


def read(path: str | os.PathLike[str]) -> Contents:
    """Read the file at `path`, of this format version or an older one, and look at all of it.

    Raises
    ------
    ModelFileError
        For a file that is missing, cut short, damaged, not a model of unspool's, of a newer
        format, or whose parts do not fit together.
    """
    path = Path(path)
    if not path.is_file():
        what = "is a folder" if path.is_dir() else "does not exist"
        raise ModelFileError(f"Expected a model file, but {path} {what}.")
    try:
        with safetensors.safe_open(path, framework="np") as file:
            header = _header(path, file.metadata() or {})
            tensors = {}
            for name in file.keys():  # noqa: SIM118
                if file.get_slice(name).get_dtype() not in DTYPES:
                    raise ModelFileError(
                        f"{path} is damaged: expected {' or '.join(DTYPES)} in the tensor "
                        f"{name!r}, got {file.get_slice(name).get_dtype()}; get a good copy."
                    )
                tensors[name] = file.get_tensor(name)
    except (safetensors.SafetensorError, OSError) as error:
        raise ModelFileError(
            f"{path} is not a model file, or is cut short or damaged ({error}); models are "
            "written by `save` and by `unspool fit`."
        ) from None
    if header.pop("crc32", None) != _checksum(header, tensors):
        raise ModelFileError(
            f"{path} is damaged: its checksum is not that of what it holds; get a good copy, or "
            "train and save the model again."
        )
    try:
        return _contents(header, tensors)
    except InputError as error:
        raise ModelFileError(f"{path} does not hold a usable model: {error}") from None


def _header(path: Path, metadata: Mapping[str, str]) -> dict[str, Any]:
    """The header, of a version that can be read."""
    try:
        header: dict[str, Any] = json.loads(metadata["unspool"])
        version = header["format_version"]
    except (KeyError, TypeError, ValueError, RecursionError):
        raise ModelFileError(
            f"{path} is a safetensors file, but not a model of unspool's: "
            "it has no readable header of ours."
        ) from None
    known = type(version) is int and (version == FORMAT_VERSION or version in UPGRADES)
    if not known:
        versions = header.get("versions")
        made_by = versions.get("unspool", "unknown") if isinstance(versions, dict) else "unknown"
        raise ModelFileError(
            f"{path} has format version {version!r} (made by unspool {made_by}), this unspool "
            f"{unspool.__version__} reads {_readable()}; install a newer one."
        )
    return header


def _contents(header: dict[str, Any], tensors: dict[str, npt.NDArray[Any]]) -> Contents:
    """What the file holds, brought to this version, each part looked at."""
    try:
        while header["format_version"] < FORMAT_VERSION:
            version = header["format_version"]
            UPGRADES[version](header, tensors)
            header["format_version"] = version + 1
        if set(header) != set(FIELDS):
            odd = ", ".join(sorted(map(repr, set(header) ^ set(FIELDS))))
            raise InputError(f"Expected the fields {', '.join(FIELDS)} in its header, not {odd}.")
        contents = Contents(
            header["model"], header["parameters"], header["fitted"], tensors, header["versions"]
        )
        contents.check()
    except InputError:
        raise
    except (KeyError, TypeError, ValueError, AttributeError, IndexError, OverflowError) as error:
        reason = " ".join(str(error).split())
        raise InputError(
            f"a part is missing or of another kind than expected ({type(error).__name__}: "
            f"{reason}); train and save it again."
        ) from None
    return contents


def _readable() -> str:
    return " and ".join(map(str, sorted({*UPGRADES, FORMAT_VERSION})))


def _checksum(header: Mapping[str, Any], tensors: Mapping[str, npt.NDArray[Any]]) -> str:
    """CRC-32 of the header and of every tensor with its name, dtype and shape."""
    crc = zlib.crc32(json.dumps(header).encode())
    for name in sorted(tensors):
        tensor = tensors[name]
        crc = zlib.crc32(f"{name} {tensor.dtype.str} {tensor.shape}".encode(), crc)
        crc = zlib.crc32(tensor.tobytes(), crc)
    return f"{crc:08x}"


def _plain(value: Any) -> Any:
    """JSON for NumPy's numbers and arrays."""
    if isinstance(value, (np.generic, np.ndarray)):
        return value.tolist()
    raise TypeError(f"a {type(value).__name__} cannot be written to a model file: {value!r}")
