"""PyTorch: `to_torch` makes modules of trained models, `from_torch` imports weights of modules.

Importing: `state_file` reads tensors without running anything in a file, `state_modules` groups
them into layers, `roles` finds which layer has which part, `importing_parts` builds the model.
"""

from unspool.interop.torch.convert import to_torch
from unspool.interop.torch.importing import from_torch

__all__ = ["from_torch", "to_torch"]


def __dir__() -> list[str]:
    return __all__
