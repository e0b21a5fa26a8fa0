"""Reading and writing model files: header, tensors and a checksum of both."""

import json
import math
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
from unspool._files import atomic_write, check_output_path
from unspool.errors import InputError, ModelFileError
from unspool.model_file.contents import Contents
from unspool.model_file.fitted import check_fields
from unspool.model_file.losses import decoded, encoded
from unspool.model_file.upgrades import UPGRADES, add_later_fields, rename_backends

FORMAT_VERSION = 2

FIELDS = ("format_version", "model", "parameters", "fitted", "versions", "detector")
DTYPES = {"F32": "<f4", "F64": "<f8"}

# Limits on error messages, since names in a damaged file can be arbitrarily long.
MAX_LINES, MAX_LINE_LENGTH = 3, 300

# Errors that a header of another form leads to.
MALFORMED_ERRORS = (KeyError, TypeError, ValueError, AttributeError, IndexError, OverflowError)


def write(path: str | os.PathLike[str], contents: Contents) -> None:
    """Write a trained model to a model file.

    The file is written under a temporary name and then renamed, so an older file at `path` is
    replaced completely or not at all. `estimator.save(path)` calls this function.

    Parameters
    ----------
    path : str or path-like
        Path of the file; its folder must exist.
    contents : Contents
        The trained model.

    Raises
    ------
    InputError
        If `contents` could not be read back, or if the file cannot be written.

    See Also
    --------
    read : Read the file back.
    unspool.load : Read the file as an estimator.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> import numpy as np
    >>> from unspool import DenseAutoencoder
    >>> from unspool.model_file import read, write
    >>> X = np.sin(np.arange(12) / 3 + np.arange(50)[:, None])
    >>> model = DenseAutoencoder(2, epochs=2, verbose=0, random_state=0).fit(X)
    >>> with TemporaryDirectory() as folder:
    ...     write(Path(folder) / "model.unspool", model.contents())
    ...     read(Path(folder) / "model.unspool").parameters["latent_dim"]
    2
    """
    path = Path(path)
    check_output_path(path)
    header = _as_json(
        encoded(
            {
                "format_version": FORMAT_VERSION,
                "model": contents.model,
                "parameters": contents.parameters,
                "fitted": contents.fitted,
                "versions": contents.versions,
                "detector": contents.detector,
            }
        )
    )
    try:
        _contents(dict(header), dict(contents.tensors))
    except InputError as error:
        raise InputError(f"This model cannot be saved: {shortened(error)}") from None
    blob = to_bytes(header, contents.tensors)
    with atomic_write(path) as file:
        file.write(blob)


def to_bytes(header: Mapping[str, Any], tensors: Mapping[str, npt.NDArray[Any]]) -> bytes:
    """Return the bytes of a file with this header and these tensors, without any check."""
    whole = {name: np.asarray(tensor, order="C") for name, tensor in tensors.items()}
    body = json.dumps(_as_json(header))[:-1]
    return bytes(safetensors.numpy.save(whole, {"unspool": _sealed(body, whole)}))


def read(path: str | os.PathLike[str]) -> Contents:
    """Read a model file of this format version or an older one, and check every part of it.

    No code in the file is run, and NumPy and safetensors are enough to read it.

    Parameters
    ----------
    path : str or path-like
        Path of a file that `write`, `estimator.save` or ``unspool fit`` wrote.

    Returns
    -------
    Contents
        The trained model, upgraded to the current format version.

    Raises
    ------
    ModelFileError
        If the file does not exist, is cut short, damaged, of a newer format version or no unspool
        model, or if its parts do not fit together.

    See Also
    --------
    unspool.load : Read the file as an estimator.
    unspool.runtime.load : Read the file as a model that needs NumPy only.
    write : Write a model file.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> import numpy as np
    >>> from unspool import DenseAutoencoder
    >>> from unspool.model_file import read
    >>> X = np.sin(np.arange(12) / 3 + np.arange(50)[:, None])
    >>> model = DenseAutoencoder(2, epochs=2, verbose=0, random_state=0).fit(X)
    >>> with TemporaryDirectory() as folder:
    ...     model.save(Path(folder) / "model.unspool")
    ...     contents = read(Path(folder) / "model.unspool")
    >>> contents.model, sorted(contents.weights)[0]
    ('DenseAutoencoder', 'decoders.reconstruction.head.0.bias')
    """
    header, tensors = read_parts(path)
    try:
        return _contents(header, tensors)
    except InputError as error:
        raise unusable(path, error) from None


def read_parts(
    path: str | os.PathLike[str],
    dtypes: Mapping[str, str] = DTYPES,
    check_kind: Callable[[Path, Mapping[str, Any]], None] | None = None,
) -> tuple[dict[str, Any], dict[str, npt.NDArray[Any]]]:
    """Read the header and the tensors of a file, and check its version, dtypes and checksum.

    `check_kind` refuses files of another kind by their header; by default it is `check_is_model`.

    Raises
    ------
    ModelFileError
        If the file does not exist, is damaged, or is of another kind or version.
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
            (check_kind or check_is_model)(path, header)
            names = file.keys()
            tensors = {name: _tensor(path, file, name, dtypes) for name in names}
    except (safetensors.SafetensorError, OSError) as error:
        raise ModelFileError(
            f"{path} is not a model file, or is cut short or damaged ({shortened(error)}); `save` "
            "and `unspool fit` write model files."
        ) from None
    if _sealed(text[: -len(_seal(0))], tensors) != text:
        raise ModelFileError(
            f"{path} is damaged: its checksum does not match its content; get a good copy, or "
            "train and save the model again."
        )
    del header["crc32"]
    return header, tensors


def check_is_model(path: Path, header: Mapping[str, Any]) -> None:
    """Refuse a checkpoint of a fit, which is no model."""
    if "checkpoint" in header:
        raise ModelFileError(
            f"{path} is a checkpoint of a fit that can go on, not a model: {about(header)}; call "
            "`fit` with the same arguments and data and with this `checkpoint`, or run the same "
            "`unspool fit` command, then load the model that it saves."
        )


def about(header: Mapping[str, Any]) -> str:
    """Say in a few words what fit a checkpoint belongs to, and how far it has come."""
    kept = header["checkpoint"]
    try:
        model, stage = shortened(kept["model"]), shortened(kept["stage"])
        if kept["finished"]:
            return f"{model}, finished"
        done = f"{int(kept['epoch'])} of {int(kept['epochs'])} epochs done"
        return f"{model}, {stage.removesuffix(': ')}, {done}" if stage else f"{model}, {done}"
    except MALFORMED_ERRORS:
        return "a damaged one"


def unusable(path: str | os.PathLike[str], error: object) -> ModelFileError:
    """Return the error for a file that is not damaged but holds no usable model."""
    return ModelFileError(f"{path} does not hold a usable model: {shortened(error)}")


def malformed(error: BaseException) -> InputError:
    """Return the error for a file in which a part does not have the form that is needed."""
    reason = " ".join(str(error).split())
    return InputError(
        f"a part is missing or has an unexpected type ({type(error).__name__}: {reason}); train "
        "and save the model again."
    )


def shortened(error: object) -> str:
    """Return the message of `error`, shortened to MAX_LINES lines of MAX_LINE_LENGTH characters."""
    lines = str(error).splitlines()
    shown = [
        line if len(line) <= MAX_LINE_LENGTH else f"{line[: MAX_LINE_LENGTH - 100]} … {line[-90:]}"
        for line in lines[:MAX_LINES]
    ]
    if len(lines) > MAX_LINES:
        shown.append(f"There are {len(lines) - MAX_LINES} more errors.")
    return "\n".join(shown)


def _header(path: Path, text: str) -> dict[str, Any]:
    """Parse the header, and check that its version can be read."""
    try:
        header: dict[str, Any] = json.loads(
            text, object_pairs_hook=_without_repeats, parse_constant=_finite, parse_float=_finite
        )
        version = header["format_version"]
    except (*MALFORMED_ERRORS, RecursionError):
        raise ModelFileError(
            f"{path} is a safetensors file, but not an unspool model: its metadata have no "
            "readable entry 'unspool'."
        ) from None
    if type(version) is int and version > FORMAT_VERSION:
        versions = header.get("versions")
        written_by = versions.get("unspool") if isinstance(versions, dict) else None
        raise ModelFileError(
            f"{path} has format version {shortened(version)} (written by unspool "
            f"{shortened(written_by or 'unknown')}), but unspool {unspool.__version__} reads "
            f"{_readable()}; install a newer unspool."
        )
    if type(version) is not int or version not in (*UPGRADES, FORMAT_VERSION):
        raise ModelFileError(
            f"{path} is damaged: its format version is {shortened(repr(version))}, but unspool "
            f"{unspool.__version__} reads {_readable()}; get a good copy."
        )
    return header


def _tensor(
    path: Path, file: Any, name: str, dtypes: Mapping[str, str] = DTYPES
) -> npt.NDArray[Any]:
    """Read a tensor of an open file, and check that its dtype is allowed."""
    dtype = file.get_slice(name).get_dtype()
    try:
        if dtype not in dtypes:
            raise ValueError(f"expected {' or '.join(dtypes)}, got {dtype}")
        tensor: npt.NDArray[Any] = file.get_tensor(name)
    except (ValueError, OverflowError) as error:  # OverflowError: a shape too large for NumPy
        raise ModelFileError(
            f"{path} is damaged: its tensor {shortened(repr(name))} cannot be read "
            f"({shortened(error)}); get a good copy."
        ) from None
    return tensor


def _contents(header: dict[str, Any], tensors: dict[str, npt.NDArray[Any]]) -> Contents:
    """Upgrade header and tensors to the current version, and check every part."""
    try:
        while header["format_version"] < FORMAT_VERSION:
            version = header["format_version"]
            UPGRADES[version](header, tensors)
            header["format_version"] = version + 1
        check_fields("header", header, FIELDS)
        rename_backends(header)
        add_later_fields(header)
        header = decoded(header)
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
        raise InputError(f"The field {error} is missing.") from None
    except (*MALFORMED_ERRORS, RecursionError) as error:
        raise malformed(error) from None
    return contents


def _readable() -> str:
    """List the format versions that can be read."""
    return f"versions {' and '.join(map(str, sorted({*UPGRADES, FORMAT_VERSION})))}"


def _sealed(body: str, tensors: Mapping[str, npt.NDArray[Any]]) -> str:
    """Return the text of the header: `body` with the CRC-32 of it and of every tensor appended."""
    names = {numpy: name for name, numpy in DTYPES.items()}
    crc = zlib.crc32(body.encode("utf-8", "surrogatepass"))
    for name in sorted(tensors):
        tensor = tensors[name]
        dtype, shape = (
            names.get(tensor.dtype.str, tensor.dtype.str),
            ",".join(map(str, tensor.shape)),
        )
        crc = zlib.crc32(f"{name} {dtype} {shape}".encode(), crc)
        crc = zlib.crc32(tensor.data, crc)
    return body + _seal(crc)


def _seal(crc: int) -> str:
    """Return the end of the header's text, which holds the checksum."""
    return f', "crc32": "{crc:08x}"}}'


def _as_json(header: Mapping[str, Any]) -> dict[str, Any]:
    """Return the header as it is read back: values of JSON only, without NaN and infinity."""
    try:
        plain: dict[str, Any] = json.loads(json.dumps(header, default=_plain, allow_nan=False))
    except (TypeError, ValueError) as error:
        raise InputError(f"This model cannot be saved: {shortened(error)}.") from None
    return plain


def _plain(value: Any) -> Any:
    """Convert NumPy numbers and arrays for JSON."""
    if isinstance(value, (np.generic, np.ndarray)):
        return value.tolist()
    raise TypeError(f"its value {value!r} is none of text, number, list or object with names")


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Build an object of JSON, in which no name may occur twice."""
    made = dict(pairs)
    if len(made) < len(pairs):
        raise ValueError
    return made


def _finite(text: str) -> float:
    """Parse a number of JSON; refuse NaN, infinity, and 1e999, which Python reads as infinity."""
    value = float(text)
    if not math.isfinite(value):
        raise ValueError
    return value
