"""Where tensors live."""

import warnings

import torch

from unspool import _checks
from unspool.errors import InputError


def automatic() -> str:
    """Name the device that "auto" stands for: a GPU where there is one."""
    return "cuda" if torch.cuda.is_available() else "cpu"


def device_complaint(device: object) -> _checks.Complaint:
    """Look whether `device` can name one at all."""
    if isinstance(device, (str, torch.device)):
        return None
    return (
        "`device` must be 'auto', the name of a torch device such as 'cpu' or 'cuda', or a "
        f"torch.device, got {_checks.shown(device)}."
    )


def resolve_device(device: str | torch.device) -> torch.device:
    """Find the torch device of a name, and make sure that it computes.

    Raises
    ------
    InputError
        For a device that is not there, or that holds no numbers, as "meta".
    """
    _checks.raise_all(device_complaint(device))
    if device == "auto":
        return torch.device(automatic())
    try:
        probe = torch.zeros(1, device=device)
        if not probe.is_meta:
            probe.item()
            return probe.device
        reason = "it holds shapes and no numbers"
    except NotImplementedError:
        reason = "this PyTorch cannot compute there"
    except (RuntimeError, AssertionError, ImportError) as error:
        reason = str(error).splitlines()[0].rstrip(".")
    raise InputError(f"`device` {str(device)!r} cannot be used ({reason}); take 'auto' or 'cpu'.")


def device_or_cpu(device: str | torch.device) -> torch.device:
    """Find the device of a model that comes from elsewhere; the CPU where it is not there."""
    try:
        return resolve_device(device)
    except InputError as error:
        warnings.warn(
            f"{error} The model was loaded to the CPU and runs there; set `device` before another "
            "fit.",
            stacklevel=2,
        )
        return torch.device("cpu")
