"""Whether the weights of a model can be held at all, before any of them is made."""

import math
import os
from collections.abc import Iterable, Mapping
from typing import Any

from unspool.errors import InputError

BYTES = 4 * 4  # float32, with a gradient and an optimizer's two moments
UNKNOWN = 1 << 40  # bytes, where a system does not tell

# Parameters that the sizes of weights grow with.
SIZES = (
    *("latent_dim", "units", "decoder_units", "head_units", "hidden_units", "filters"),
    *("kernel_size", "num_layers", "horizon"),
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
    for _, shape in weights:
        total += math.prod(shape)
        largest = max(largest, shape, key=math.prod)
        if total > most:
            break
    else:
        return
    given = {name: parameters[name] for name in SIZES if parameters.get(name)}
    name = max(given, key=lambda one: max(_numbers(given[one])))
    raise InputError(
        f"Expected a model whose weights can be trained in {memory() / 1e9:.3g} GB of memory, got "
        f"one that needs more than {total * BYTES / 1e9:.3g} GB, with weights of shape {largest}; "
        f"lower `{name}`, which is {given[name]}, or make the sequences shorter."
    )


def _numbers(value: Any) -> tuple[int, ...]:
    return tuple(value) if isinstance(value, (list, tuple)) else (value,)
