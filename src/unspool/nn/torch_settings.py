"""PyTorch's global settings during `fit` and inference, whatever the caller has set.

A caller may be inside `torch.no_grad`, `torch.inference_mode` or `torch.autocast`, may have set
another default device, or may run in a forked process. None of these changes what a model computes,
and the caller's settings are restored afterwards. On an NVIDIA GPU, TF32 is used only on request.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import torch

from unspool.lstm import threads


@contextmanager
def training() -> Iterator[None]:
    """Enable gradients, and leave inference mode, whose tensors cannot have gradients."""
    with _defaults(), torch.inference_mode(False):
        yield


@contextmanager
def inference() -> Iterator[None]:
    """Disable gradients."""
    with _defaults(), torch.inference_mode():
        yield


@contextmanager
def _defaults() -> Iterator[None]:
    """Disable autocast, and create tensors on the CPU unless a device is named."""
    with ExitStack() as settings:
        settings.enter_context(threads.pytorch_on_one_thread_after_fork())
        for device_type in ("cpu", "cuda"):
            if torch.is_autocast_enabled(device_type):
                settings.enter_context(torch.autocast(device_type, enabled=False))
        if torch.empty(0).device.type != "cpu":
            settings.enter_context(torch.device("cpu"))
        if torch.backends.cuda.is_built():  # type: ignore[no-untyped-call]
            settings.enter_context(_float32_in_cudnn())
        yield


@contextmanager
def _float32_in_cudnn() -> Iterator[None]:
    """Let cuDNN multiply in float32, unless the caller permits TF32 for matrix products.

    PyTorch's default is float32 for matrix products, and TF32, with 10 bits of the mantissa, for
    cuDNN's recurrences and convolutions.
    """
    cudnn = torch.backends.cudnn
    try:
        rounded = bool(cudnn.allow_tf32) and torch.get_float32_matmul_precision() == "highest"
    except RuntimeError:  # the caller has set newer switches, for which these names are ambiguous
        rounded = False
    if not rounded:
        yield
        return
    cudnn.allow_tf32 = False
    try:
        yield
    finally:
        cudnn.allow_tf32 = True
