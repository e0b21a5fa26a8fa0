"""The Keras layers that can be read."""

from unspool.interop.keras.convolution import CONVOLUTIONS
from unspool.interop.keras.graph import IDLE, RECURRENT
from unspool.interop.keras.traversal import ACTIVATION_LAYERS, SCALINGS

KNOWN = {
    *("Dense", "TimeDistributed", *RECURRENT, "RepeatVector", "Concatenate", "Masking"),
    *("Flatten", "Reshape", *ACTIVATION_LAYERS, *SCALINGS, "InputLayer", *CONVOLUTIONS),
    *("MaxPooling1D", "MaxPooling2D", "UpSampling1D", "UpSampling2D", "Cropping1D", "Cropping2D"),
}
MASKS = {"Any", "NotEqual"}  # what a Masking layer becomes in Keras's graph
LISTED = ", ".join(sorted(KNOWN | IDLE))


def what_helps(module: str) -> str:
    """The end of a message on a class of `module` that cannot be read."""
    if module.startswith("keras.src.ops"):
        return (
            "operations on arrays, which an export from unspool has for `pooling` and `n_kernels`, "
            "cannot be read; load the model file (.unspool) that was exported."
        )
    return f"known are {LISTED}."
