import os

import pytest

os.environ["KERAS_BACKEND"] = "torch"  # before Keras is imported, since TensorFlow may be missing

# Keras converts torch parameters with an `__array__` that lacks the `copy` of NumPy 2.
KERAS = "ignore:__array__ implementation doesn't accept a copy:DeprecationWarning"


def pytest_collection_modifyitems(items):
    for item in items:
        uses_keras = any(word in item.path.name for word in ("keras", "architectures"))
        if item.path.parent.name == "interop" and uses_keras:
            item.add_marker(pytest.mark.filterwarnings(KERAS))
