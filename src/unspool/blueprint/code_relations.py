"""What parameters of the code allow together."""

from unspool._checks import Complaint, shown
from unspool.blueprint.layers import DECODERS
from unspool.blueprint.rules import Parameters


def starts_from_state(name: str) -> bool:
    """Return whether a decoder of this name starts from the encoder's whole state."""
    return name in DECODERS and DECODERS[name].starts


def decoders_of(p: Parameters) -> list[str]:
    """Return the names of the decoders that a model with these parameters has."""
    if p.get("forecast_decoder") is None or p["horizon"] is None:
        return [p["decoder"]]
    return [p["decoder"], p["forecast_decoder"]]


def activated_state(p: Parameters) -> Complaint:
    """Refuse an activation of a code that is the state of a decoder."""
    linear = p["code_activation"] == "linear"
    if linear or not any(map(starts_from_state, decoders_of(p))):
        return None
    return (
        "`code_activation` changes the code, but a decoder that starts from the encoder's state "
        "needs the state itself; set code_activation='linear', or another decoder."
    )


def activated_distribution(p: Parameters) -> Complaint:
    """Refuse an activation of a variational code."""
    if p["code_activation"] == "linear" or p["kl_weight"] is None:
        return None
    return (
        "`code_activation` cannot follow the normal distribution of a variational code; set "
        "code_activation='linear', or kl_weight=None."
    )


def kernels_of_state(p: Parameters) -> Complaint:
    """Refuse random kernels if the code is the state of a decoder."""
    if p["n_kernels"] in ("auto", 0) or not any(map(starts_from_state, decoders_of(p))):
        return None
    return (
        "`n_kernels` must be 0 for a decoder that starts from the encoder's whole state, got "
        f"{shown(p['n_kernels'])}; set n_kernels=0, or choose another decoder."
    )
