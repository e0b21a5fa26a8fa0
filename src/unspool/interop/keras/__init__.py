"""Keras both ways: `reading` makes a Keras model one of ours, `writing` one of ours a Keras model.

Reading goes by way of `graph`, `trail` and `layers`, with a reader for each family of models, to
`assembly`; a file first by way of `archive`, `configuration` and `loading`, so that nothing in it
is run. Writing goes by way of `parts`.
"""

from unspool.interop.keras.reading import from_keras as from_keras
from unspool.interop.keras.writing import export_keras as export_keras
from unspool.interop.keras.writing import to_keras as to_keras
