"""The Keras layers that can be read."""

from unspool.interop.keras.convolution import CONVOLUTIONS
from unspool.interop.keras.graph import IDLE, RECURRENT
from unspool.interop.keras.trail import ACTIVATION_LAYERS, SCALINGS

KNOWN = {
    *("Dense", "TimeDistributed", *RECURRENT, "RepeatVector", "Concatenate", "Masking"),
    *("Flatten", "Reshape", *ACTIVATION_LAYERS, *SCALINGS, "InputLayer", *CONVOLUTIONS),
    *("MaxPooling1D", "MaxPooling2D", "UpSampling1D", "UpSampling2D", "Cropping1D", "Cropping2D"),
}
MASKS = {"Any", "NotEqual"}  # what a Masking layer becomes in Keras's graph
LISTED = ", ".join(sorted(KNOWN | IDLE))
