"""Keras models: `from_keras` imports them, `to_keras` and `export_keras` write them.

Importing: `archive`, `hdf5`, `configuration` and `loading` read a file without running anything in
it; `graph` and `traversal` walk through the model; `reading_layers` reads single layers;
`recurrent`, `convolution` and `dense` read the three families of models; `reading` makes the
estimator.
Exporting: `writing` builds the model of layers that `writing_layers` makes.
"""

from unspool.interop.keras.reading import from_keras
from unspool.interop.keras.writing import export_keras, to_keras

__all__ = ["export_keras", "from_keras", "to_keras"]


def __dir__() -> list[str]:
    return __all__
