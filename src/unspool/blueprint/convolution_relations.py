"""Rules for the parameters of convolutions: each returns what is wrong with values, or None."""

from typing import Any

from unspool import _checks
from unspool._checks import Complaint, shown
from unspool.blueprint.rules import Parameters, Relation


def check_filters(name: str, value: Any) -> list[Complaint]:
    """At least one whole number."""
    if isinstance(value, (list, tuple)) and not value:
        return [f"`{name}` must have at least one number, got none."]
    return _checks.wholes(name, value, 1)


def check_image_shape(name: str, value: Any) -> list[Complaint]:
    """Check that an image shape is None, or height and width with or without channels."""
    if value is None:
        return []
    if isinstance(value, (list, tuple)) and len(value) not in (2, 3):
        return [f"`{name}` must be (H, W) or (H, W, C), got {shown(value)}."]
    return _checks.wholes(name, value, 1)


def _one_for_each_convolution(p: Parameters) -> Complaint:
    count = len(p["filters"])
    for name in ("kernel_size", "strides", "pool_size"):
        given = p[name]
        if isinstance(given, (list, tuple)) and len(given) != count:
            return (
                f"`{name}` has {len(given)} numbers, but `filters` has {count} convolutions; give "
                "one number for all of them, or one for each."
            )
    return None


CONVOLUTIONS = (
    Relation(("filters", "kernel_size", "strides", "pool_size"), _one_for_each_convolution),
)
