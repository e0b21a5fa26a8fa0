"""PyTorch as models need it, whatever the caller has set; the settings come back afterwards.

A caller may be inside `torch.no_grad`, `torch.inference_mode` or `torch.autocast`, may have set
another default device, or be a forked child. None of it changes what a model computes.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import torch

from unspool.lstm import threads


@contextmanager
def training() -> Iterator[None]:
    """With gradients, and with tensors that gradients can reach."""
    with _plain(), torch.inference_mode(False):
        yield


@contextmanager
def inference() -> Iterator[None]:
    """Without gradients."""
    with _plain(), torch.inference_mode():
        yield


@contextmanager
def _plain() -> Iterator[None]:
    with ExitStack() as settings:
        settings.enter_context(threads.within_one_after_fork())
        for kind in ("cpu", "cuda"):
            if torch.is_autocast_enabled(kind):
                settings.enter_context(torch.autocast(kind, enabled=False))
        if torch.empty(0).device.type != "cpu":
            settings.enter_context(torch.device("cpu"))
        yield
