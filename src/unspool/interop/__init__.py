"""Conversion of trained models: ONNX files, Keras models in both directions, PyTorch modules.

The functions are in `unspool.interop.onnx`, `unspool.interop.keras` and `unspool.interop.torch`,
which need the packages of these names.
"""
