"""Whether the weights of a model can be held at all, before any of them is made."""

import math
import os
from collections.abc import Iterable, Mapping
from typing import Any

from unspool import _checks
from unspool.errors import InputError

BYTES = 4 * 4  # float32, with a gradient and an optimizer's two moments
UNKNOWN = 1 << 40  # bytes, where a system does not tell
ARRAYS = 10_000  # of weights, which already take minutes to make

# Parameters that the sizes of weights grow with.
SIZES = (
    *("latent_dim", "units", "decoder_units", "head_units", "hidden_units", "filters"),
    *("kernel_size", "num_layers", "horizon", "patch_size", "n_kernels"),
)


def memory() -> int:
    """Bytes of memory that this machine has."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):
        return UNKNOWN


def check_memory(
    weights: Iterable[tuple[str, tuple[int, ...]]], parameters: Mapping[str, Any]
) -> None:
    """Raise an `InputError` where `weights` (names and shapes) take more memory than there is.

    It names the largest of the `parameters` that they grow with.
    """
    most, total = memory() // BYTES, 0
    largest: tuple[int, ...] = (0,)
    for count, (_, shape) in enumerate(weights, 1):
        total += math.prod(shape)
        largest = max(largest, shape, key=math.prod)
        if total > most or count > ARRAYS:
            break
    else:
        return
    asked = {name: parameters[name] for name in SIZES if parameters.get(name)}
    given = {name: value for name, value in asked.items() if not isinstance(value, str)}
    name = max(given, key=lambda one: max(_numbers(given[one])))
    of_shape = _checks.shown(largest)
    raise InputError(
        f"Expected a model of at most {ARRAYS:,} arrays of weights that can be trained in "
        f"{_size(memory())} of memory, got one of at least {count:,} that need at least "
        f"{_size(total * BYTES)}, with weights of shape {of_shape}; lower `{name}`, which is "
        f"{_checks.shown(given[name])}, or make the sequences shorter."
    )


def _size(count: int) -> str:
    """Bytes in words; a float may not hold their number."""
    return f"{count // 10**9:,} GB" if count < 10**18 else "1,000,000,000 GB"


def _numbers(value: Any) -> tuple[int, ...]:
    return tuple(value) if isinstance(value, (list, tuple)) else (value,)
