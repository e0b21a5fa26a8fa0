"""ONNX files of trained models: `export_onnx` writes them."""

from unspool.interop.onnx.export import export_onnx

__all__ = ["export_onnx"]


def __dir__() -> list[str]:
    return __all__
