"""The Keras layers that can be imported."""

from unspool.interop.keras.graph import (
    AVERAGES,
    CONVOLUTIONS,
    ELEMENTWISE,
    FOLDED_LAYERS,
    IGNORED_LAYERS,
    MAXIMA,
    RECURRENT,
)
from unspool.interop.keras.traversal import SCALINGS

KNOWN = {
    *("Dense", "TimeDistributed", *RECURRENT, "RepeatVector", "Concatenate", "Masking"),
    *("Flatten", "Reshape", *ELEMENTWISE, *SCALINGS, "InputLayer", *CONVOLUTIONS),
    *("MaxPooling1D", "MaxPooling2D", "UpSampling1D", "UpSampling2D", "Cropping1D", "Cropping2D"),
    *(*AVERAGES, *MAXIMA),
}
MASKS = {"Any", "NotEqual"}  # operations of a Masking layer in the graph
LISTED = ", ".join(sorted(KNOWN | IGNORED_LAYERS | FOLDED_LAYERS))


def what_helps(module: str) -> str:
    """Return the end of a message about a class of `module` that cannot be imported."""
    if module.startswith("keras.src.ops"):
        return (
            "array operations cannot be imported; if unspool exported this model, load its model "
            "file (.unspool) instead."
        )
    return f"supported are {LISTED}."
