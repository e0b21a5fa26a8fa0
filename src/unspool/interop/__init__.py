"""Trained models for others: ONNX out, Keras in and out, plain PyTorch modules."""
