"""Bytes on disk: header, tensors and a checksum of both."""

import json
import math
import os
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import safetensors
import safetensors.numpy

import unspool
from unspool._files import atomic_write, check_output_path
from unspool.errors import InputError, ModelFileError
from unspool.model_file.contents import Contents
from unspool.model_file.upgrades import UPGRADES

FORMAT_VERSION = 2

FIELDS = ("format_version", "model", "parameters", "fitted", "versions", "detector")
DTYPES = {"F32": "<f4", "F64": "<f8"}

# Of a message: what a damaged file has for a name may be a book.
MOST_LINES, LINE = 3, 300

NOT_OURS = (KeyError, TypeError, ValueError, AttributeError, IndexError, OverflowError)


def write(path: str | os.PathLike[str], contents: Contents) -> None:
    """Write a model to `path`, whole or not at all.

    Raises
    ------
    InputError
        For contents that could not be read again, or a path that cannot be written to.
    """
    path = Path(path)
    check_output_path(path)
    header = _as_json(
        {
            "format_version": FORMAT_VERSION,
            "model": contents.model,
            "parameters": contents.parameters,
            "fitted": contents.fitted,
            "versions": contents.versions,
            "detector": contents.detector,
        }
    )
    try:
        _contents(dict(header), dict(contents.tensors))
    except InputError as error:
        raise InputError(f"This model cannot be saved: {shortened(error)}") from None
    blob = to_bytes(header, contents.tensors)
    with atomic_write(path) as file:
        file.write(blob)


def to_bytes(header: Mapping[str, Any], tensors: Mapping[str, npt.NDArray[Any]]) -> bytes:
    """A file with this header and these tensors, which are not looked at."""
    whole = {name: np.ascontiguousarray(tensor) for name, tensor in tensors.items()}
    body = json.dumps(_as_json(header))[:-1]
    return bytes(safetensors.numpy.save(whole, {"unspool": _sealed(body, whole)}))


def read(path: str | os.PathLike[str]) -> Contents:
    """Read the file at `path`, of this format version or an older one, and look at all of it.

    Raises
    ------
    ModelFileError
        For a file that is missing, cut short, damaged, not a model of unspool's, of a newer
        format, or whose parts do not fit together.
    """
    path = Path(path)
    try:
        if not path.is_file():
            what = "is a device or a pipe" if path.exists() else "does not exist"
            what = "is a folder" if path.is_dir() else what
            raise ModelFileError(f"Expected a model file, but {path} {what}.")
        with safetensors.safe_open(path, framework="np") as file:
            text = (file.metadata() or {}).get("unspool", "")
            header = _header(path, text)
            tensors = {name: _tensor(path, file, name) for name in file.keys()}  # noqa: SIM118
    except (safetensors.SafetensorError, OSError) as error:
        raise ModelFileError(
            f"{path} is not a model file, or is cut short or damaged ({shortened(error)}); models "
            "are written by `save` and by `unspool fit`."
        ) from None
    if _sealed(text[: -len(_seal(0))], tensors) != text:
        raise ModelFileError(
            f"{path} is damaged: its checksum is not that of what it holds; get a good copy, or "
            "train and save the model again."
        )
    del header["crc32"]
    try:
        return _contents(header, tensors)
    except InputError as error:
        raise unusable(path, error) from None


def unusable(path: str | os.PathLike[str], error: object) -> ModelFileError:
    """What to raise for a file that is whole, but is no model that could be used."""
    return ModelFileError(f"{path} does not hold a usable model: {shortened(error)}")


def shortened(error: object) -> str:
    """The message of `error`, at most a few lines of readable length."""
    lines = str(error).splitlines()
    told = [
        line if len(line) <= LINE else f"{line[: LINE - 100]} … {line[-90:]}"
        for line in lines[:MOST_LINES]
    ]
    if len(lines) > MOST_LINES:
        told.append(f"There are {len(lines) - MOST_LINES} more complaints.")
    return "\n".join(told)


def _header(path: Path, text: str) -> dict[str, Any]:
    """The header, of a version that can be read."""
    try:
        header: dict[str, Any] = json.loads(
            text, object_pairs_hook=_each_once, parse_constant=_finite, parse_float=_finite
        )
        version = header["format_version"]
    except (*NOT_OURS, RecursionError):
        raise ModelFileError(
            f"{path} is a safetensors file, but not a model of unspool's: "
            "it has no readable header of ours."
        ) from None
    if type(version) is int and version > FORMAT_VERSION:
        versions = header.get("versions")
        made_by = versions.get("unspool") if isinstance(versions, dict) else None
        raise ModelFileError(
            f"{path} has format version {shortened(version)} (made by unspool "
            f"{shortened(made_by or 'unknown')}), this unspool {unspool.__version__} reads "
            f"{_readable()}; install a newer one."
        )
    if type(version) is not int or version not in (*UPGRADES, FORMAT_VERSION):
        raise ModelFileError(
            f"{path} is damaged: its format version is {shortened(repr(version))}, and this "
            f"unspool {unspool.__version__} reads {_readable()}; get a good copy."
        )
    return header


def _tensor(path: Path, file: Any, name: str) -> npt.NDArray[Any]:
    """A tensor of an open file, of a dtype that a model may have."""
    dtype = file.get_slice(name).get_dtype()
    try:
        if dtype not in DTYPES:
            raise ValueError(f"expected {' or '.join(DTYPES)}, got {dtype}")
        tensor: npt.NDArray[Any] = file.get_tensor(name)
    except (ValueError, OverflowError) as error:  # NumPy's own, where a shape has no size
        raise ModelFileError(
            f"{path} is damaged: its tensor {shortened(repr(name))} cannot be read "
            f"({shortened(error)}); get a good copy."
        ) from None
    return tensor


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
            header["model"],
            header["parameters"],
            header["fitted"],
            tensors,
            header["versions"],
            header["detector"],
        )
        contents.check()
    except InputError:
        raise
    except KeyError as error:
        raise InputError(f"Expected {error} in the file, got none.") from None
    except (*NOT_OURS, RecursionError) as error:
        reason = " ".join(str(error).split())
        raise InputError(
            f"a part is missing or of another kind than expected ({type(error).__name__}: "
            f"{reason}); train and save it again."
        ) from None
    return contents


def _readable() -> str:
    return " and ".join(map(str, sorted({*UPGRADES, FORMAT_VERSION})))


def _sealed(body: str, tensors: Mapping[str, npt.NDArray[Any]]) -> str:
    """The header's text: `body`, and the CRC-32 of that and of every tensor as its last field."""
    names = {numpy: name for name, numpy in DTYPES.items()}
    crc = zlib.crc32(body.encode("utf-8", "surrogatepass"))
    for name in sorted(tensors):
        tensor = tensors[name]
        dtype, shape = names.get(tensor.dtype.str), ",".join(map(str, tensor.shape))
        crc = zlib.crc32(f"{name} {dtype} {shape}".encode(), crc)
        crc = zlib.crc32(tensor.data, crc)
    return body + _seal(crc)


def _seal(crc: int) -> str:
    return f', "crc32": "{crc:08x}"}}'


def _as_json(header: Mapping[str, Any]) -> dict[str, Any]:
    """The header as it comes out of a file: JSON, and nothing that JSON does not have."""
    try:
        plain: dict[str, Any] = json.loads(json.dumps(header, default=_plain, allow_nan=False))
    except (TypeError, ValueError) as error:
        raise InputError(f"This model cannot be saved: {shortened(error)}.") from None
    return plain


def _plain(value: Any) -> Any:
    """JSON for NumPy's numbers and arrays."""
    if isinstance(value, (np.generic, np.ndarray)):
        return value.tolist()
    raise TypeError(f"a {type(value).__name__} cannot be written to a model file: {value!r}")


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a name is there twice")
    return found


def _finite(text: str) -> float:
    """A number of JSON; NaN and infinity are Python's own, and 1e999 would become one."""
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text} is no number")
    return value
