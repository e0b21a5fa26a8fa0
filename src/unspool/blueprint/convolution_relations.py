"""Rules for the parameters of convolutions: each returns what is wrong with values, or None."""

from typing import Any

from unspool import _checks
from unspool._checks import Complaint, shown
from unspool.blueprint.code_relations import activated_distribution
from unspool.blueprint.layers import for_each
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


def _one_for_each(filters: str, *names: str) -> Relation:
    """Check that a sequence has one number for each convolution."""

    def complaint(p: Parameters) -> Complaint:
        count = len(p[filters])
        for name in names:
            given = p[name]
            if isinstance(given, (list, tuple)) and len(given) != count:
                return (
                    f"`{name}` has {len(given)} numbers, but `{filters}` has {count}; give one "
                    "number for all convolutions, or one for each."
                )
        return None

    return Relation((filters, *names), complaint)


def _convolutions_by_step(p: Parameters) -> Complaint:
    if not p["every_step"] or not len(p["conv_filters"]):
        return None
    pools = for_each(p["conv_pool_size"], 1)
    if p["conv_padding"] == "causal" and set(pools) == {1}:
        return None
    return (
        "`every_step` needs the encoder's state after every step, so its convolutions must neither "
        "read later steps nor be pooled, got "
        f"conv_padding={shown(p['conv_padding'])}, conv_pool_size={shown(p['conv_pool_size'])}; "
        "set conv_padding='causal' and conv_pool_size=1, or conv_filters=()."
    )


CONVOLUTIONS = (
    _one_for_each("filters", "kernel_size", "strides", "pool_size"),
    Relation(("code_activation", "kl_weight"), activated_distribution),
)
STEP_CONVOLUTIONS = (_one_for_each("conv_filters", "conv_kernel_size", "conv_pool_size"),)
EVERY_STEP = (
    Relation(
        ("every_step", "conv_filters", "conv_padding", "conv_pool_size"), _convolutions_by_step
    ),
)
