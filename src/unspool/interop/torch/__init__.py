"""Plain PyTorch modules of trained models: `to_torch` makes them."""

from unspool.interop.torch.convert import to_torch

__all__ = ["to_torch"]


def __dir__() -> list[str]:
    return __all__
