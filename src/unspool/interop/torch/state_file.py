"""Reading the tensors of a PyTorch model from a file or a mapping, without running anything."""

import os
import pickle
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import safetensors
import torch

from unspool.errors import InputError
from unspool.io.archives import members, open_archive
from unspool.model_file.format import shortened

Array = npt.NDArray[np.float32]
State = dict[str, Array]

# Keys under which training scripts and libraries save the state dict in a checkpoint.
CHECKPOINT_KEYS = ("state_dict", "model_state_dict", "model_state", "model", "net", "weights")
SAVE_STATE = (
    "load it where it was made, and save the weights alone: torch.save(model.state_dict(), path)"
)
HARMLESS = 1 << 26  # bytes that any file may unpack to, however small it is
FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)


def read_state(state: Any) -> State:
    """Return the float32 arrays of a state dict, or of a file, by the names of their tensors.

    The names lose the prefix ``module.`` of `torch.nn.DataParallel` and the part ``_orig_mod`` of
    `torch.compile`.

    Raises
    ------
    InputError
        If the file cannot be read without running code, or a tensor is not a finite array of
        floating-point numbers.
    """
    if isinstance(state, (str, os.PathLike)):
        path = Path(state)
        try:
            return _arrays(_read_file(path))
        except (InputError, OSError) as error:
            raise InputError(f"{path} cannot be loaded: {shortened(error)}") from None
    if isinstance(state, torch.nn.Module):
        raise InputError("Expected a state dict, got a module; pass module.state_dict().")
    if not isinstance(state, Mapping):
        raise InputError(
            f"Expected a state dict or the path of a file, got {type(state).__name__}."
        )
    return _arrays(state)


def _read_file(path: Path) -> Mapping[Any, Any]:
    if not path.is_file():
        raise InputError("there is no such file.")
    if path.suffix == ".safetensors":
        return _read_safetensors(path)
    if not zipfile.is_zipfile(path):
        raise InputError(
            "it is not a file of PyTorch 1.6 or later, and an older pickle could run code; "
            f"{SAVE_STATE}."
        )
    with open_archive(path) as archive:
        members(archive, path, harmless=HARMLESS, instead=SAVE_STATE)
        if any(info.filename.endswith("/constants.pkl") for info in archive.infolist()):
            raise InputError(f"it is a TorchScript program, which contains code; {SAVE_STATE}.")
    try:
        loaded = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:
        raise InputError(
            "it contains Python objects other than tensors, such as a whole module, and nothing "
            f"in a file is run; {SAVE_STATE}."
        ) from None
    except Exception as error:  # PyTorch raises many types for damaged files
        raise InputError(
            f"PyTorch cannot read it ({' '.join(str(error).split())[:200]}); download or save it "
            "again."
        ) from None
    if not isinstance(loaded, Mapping):
        raise InputError(f"it contains a {type(loaded).__name__}, not a state dict; {SAVE_STATE}.")
    _check_sizes(loaded, path.stat().st_size)
    return loaded


def _read_safetensors(path: Path) -> dict[str, Any]:
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            if "unspool" in (file.metadata() or {}):
                raise InputError("it is an unspool model already; read it with unspool.load.")
            return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except safetensors.SafetensorError as error:
        raise InputError(f"it is not a safetensors file ({error}).") from None


def _check_sizes(loaded: Mapping[Any, Any], size: int) -> None:
    """Refuse tensors that are larger than their storage, as an expanded tensor can be."""
    total = 0
    for name, tensor in _state_in(loaded).items():
        if isinstance(tensor, torch.Tensor) and tensor.layout == torch.strided:
            total += tensor.numel() * tensor.element_size()
            if total > 4 * size:
                raise InputError(f"the tensor {name!r} has more values than the file contains.")


def _state_in(loaded: Mapping[Any, Any]) -> Mapping[Any, Any]:
    """Return the state dict in a checkpoint, or `loaded` if it is one."""
    if any(isinstance(value, torch.Tensor) for value in loaded.values()):
        return loaded
    for key in CHECKPOINT_KEYS:
        if isinstance(loaded.get(key), Mapping):
            state: Mapping[Any, Any] = loaded[key]
            return state
    return loaded


def _arrays(loaded: Mapping[Any, Any]) -> State:
    """Return the checked float32 arrays of a state dict or checkpoint, by plain names."""
    state = _state_in(loaded)
    if not state:
        raise InputError("the state dict is empty.")
    parallel = all(isinstance(name, str) and name.startswith("module.") for name in state)
    arrays: State = {}
    for name, tensor in state.items():
        if not isinstance(name, str):
            raise InputError(f"expected names of tensors as keys of the state dict, got {name!r}.")
        plain = name.removeprefix("module.") if parallel else name
        plain = ".".join(part for part in plain.split(".") if part != "_orig_mod")
        if plain in arrays:
            raise InputError(
                f"two tensors have the name {plain!r}; leave one of them out of the state dict."
            )
        arrays[plain] = _array(name, tensor)
    return arrays


def _array(name: str, tensor: Any) -> Array:
    """Return a tensor or array as a finite float32 array."""
    if isinstance(tensor, np.ndarray):
        if tensor.dtype.kind not in "fiu":
            raise InputError(f"{name!r} has the dtype {tensor.dtype}; expected numbers.")
        array = tensor.astype(np.float32)
    elif not isinstance(tensor, torch.Tensor):
        raise InputError(f"{name!r} is a {type(tensor).__name__}, not a tensor; {SAVE_STATE}.")
    elif tensor.layout != torch.strided or tensor.is_meta or tensor.is_quantized:
        raise InputError(f"{name!r} is sparse, quantized or has no values; save plain tensors.")
    elif tensor.dtype in FLOATS or tensor.dtype == torch.int64:  # counters of BatchNorm
        array = tensor.detach().to("cpu", torch.float32).contiguous().numpy()
    else:
        raise InputError(f"{name!r} has the dtype {tensor.dtype}; expected floating point.")
    if not np.isfinite(array).all():
        raise InputError(f"{name!r} contains NaN or infinity.")
    return array
