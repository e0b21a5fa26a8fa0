"""Trained models as ONNX files; `export` says what is in them."""

from unspool.interop.onnx.export import export_onnx as export_onnx
