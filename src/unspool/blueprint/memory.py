"""Check that the weights of a model fit into memory, before they are allocated."""

import math
import os
from collections.abc import Iterable, Mapping
from typing import Any

from unspool import _checks
from unspool.blueprint.layers import MAX_ARRAYS
from unspool.errors import InputError

BYTES = 4 * 4  # bytes of a float32 weight, its gradient and two moments of the optimizer
UNKNOWN = 1 << 40  # bytes, if the system does not report its memory

# Parameters that increase the sizes of weights.
SIZES = (
    *("latent_dim", "units", "decoder_units", "head_units", "hidden_units", "filters"),
    *(
        "conv_filters",
        "conv_kernel_size",
        "kernel_size",
        "num_layers",
        "horizon",
        "patch_size",
        "n_kernels",
    ),
)


def memory() -> int:
    """Return the number of bytes of memory of this machine."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):
        return UNKNOWN


def check_memory(
    weights: Iterable[tuple[str, tuple[int, ...]]], parameters: Mapping[str, Any]
) -> None:
    """Raise an `InputError` if `weights` (names and shapes) need more memory than there is.

    The message names the largest of the `parameters` that increase their sizes.
    """
    limit, total = memory() // BYTES, 0
    largest: tuple[int, ...] = (0,)
    for count, (_, shape) in enumerate(weights, 1):
        total += math.prod(shape)
        largest = max(largest, shape, key=math.prod)
        if total > limit or count > MAX_ARRAYS:
            break
    else:
        return
    requested = {name: parameters[name] for name in SIZES if parameters.get(name)}
    given = {name: value for name, value in requested.items() if not isinstance(value, str)}
    name = max(given, key=lambda one: max(_numbers(given[one])))
    of_shape = _checks.shown(largest)
    raise InputError(
        f"Expected a model of at most {MAX_ARRAYS:,} arrays of weights that can be trained in "
        f"{_size(memory())} of memory, got one of at least {count:,} that need at least "
        f"{_size(total * BYTES)}, with weights of shape {of_shape}; lower `{name}`, which is "
        f"{_checks.shown(given[name])}, or make the sequences shorter."
    )


def _size(count: int) -> str:
    """Return a number of bytes as text; the number may be too large for a float."""
    return f"{count // 10**9:,} GB" if count < 10**18 else "1,000,000,000 GB"


def _numbers(value: Any) -> tuple[int, ...]:
    """Return the numbers that make weights larger or more: those of a sequence, and its length."""
    return (*value, len(value)) if isinstance(value, (list, tuple)) else (value,)
