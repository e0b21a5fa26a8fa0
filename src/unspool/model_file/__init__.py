"""The model file: tensors and a JSON header in one safetensors file, without a pickle.

`write` and `read` convert between a file and `Contents`, a trained model as plain data. The package
needs NumPy and safetensors only. docs/model-file.md describes the format and the rule by which
files of every version keep loading.
"""

from unspool.model_file.contents import Contents, Fitted
from unspool.model_file.format import FORMAT_VERSION, read, write

__all__ = ["FORMAT_VERSION", "Contents", "Fitted", "read", "write"]


def __dir__() -> list[str]:
    return __all__
