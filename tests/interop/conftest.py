import os

import pytest

os.environ["KERAS_BACKEND"] = "torch"  # before Keras is imported; TensorFlow may not be there

# Keras takes torch's parameters through an `__array__` that does not know NumPy 2's `copy`.
KERAS = "ignore:__array__ implementation doesn't accept a copy:DeprecationWarning"


def pytest_collection_modifyitems(items):
    for item in items:
        if item.path.parent.name == "interop" and "keras" in item.path.name:
            item.add_marker(pytest.mark.filterwarnings(KERAS))
