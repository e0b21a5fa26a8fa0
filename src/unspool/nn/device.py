"""Where tensors live."""

import torch

from unspool.errors import InputError


def resolve_device(device: str) -> torch.device:
    """The torch device of a name; "auto" takes a GPU where there is one."""
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        return torch.empty(0, device=device).device
    except (RuntimeError, AssertionError, TypeError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(
            f"`device` {device!r} cannot be used ({reason}); take 'auto' or 'cpu'."
        ) from None
