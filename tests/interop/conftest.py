import os

import pytest

os.environ["KERAS_BACKEND"] = "torch"  # before Keras is imported, since TensorFlow may be missing

# Keras converts torch parameters with an `__array__` that lacks the `copy` of NumPy 2.
KERAS = "ignore:__array__ implementation doesn't accept a copy:DeprecationWarning"


def pytest_collection_modifyitems(items):
    for item in items:
        if item.path.parent.name == "interop" and "keras" in item.path.name:
            item.add_marker(pytest.mark.filterwarnings(KERAS))
