"""Trained models as plain PyTorch modules; `convert` says how they are called."""

from unspool.interop.torch.convert import to_torch as to_torch
