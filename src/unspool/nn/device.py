"""The device that a model is trained and run on."""

import warnings

import torch

from unspool import _checks
from unspool.errors import InputError


def automatic() -> str:
    """Return the device that "auto" selects: a CUDA GPU if there is one, otherwise the CPU."""
    return "cuda" if torch.cuda.is_available() else "cpu"


def device_complaint(device: object) -> _checks.Complaint:
    """Check the type of `device`."""
    if isinstance(device, (str, torch.device)):
        return None
    return (
        "`device` must be 'auto', the name of a torch device such as 'cpu' or 'cuda', or a "
        f"torch.device, got {_checks.shown(device)}."
    )


def resolve_device(device: str | torch.device) -> torch.device:
    """Return the torch device of a name, after a test computation on it.

    Raises
    ------
    InputError
        If the device is missing, or stores no numbers, as "meta".
    """
    _checks.raise_all(device_complaint(device))
    if device == "auto":
        return torch.device(automatic())
    try:
        probe = torch.zeros(1, device=device)
        if not probe.is_meta:
            probe.item()
            return probe.device
        reason = "it stores no numbers"
    except NotImplementedError:
        reason = "this PyTorch cannot compute there"
    except (RuntimeError, AssertionError, ImportError) as error:
        reason = str(error).splitlines()[0].rstrip(".")
    raise InputError(f"`device` {str(device)!r} cannot be used ({reason}). Use 'auto' or 'cpu'.")


def device_or_cpu(device: str | torch.device) -> torch.device:
    """Return the device of a model from another machine; fall back to the CPU with a warning."""
    try:
        return resolve_device(device)
    except InputError as error:
        warnings.warn(
            f"{error} The model was loaded to the CPU. Set `device` before you fit it again.",
            stacklevel=2,
        )
        return torch.device("cpu")
