"""Batches, the training loop, what is called between its epochs, and optimizers by name."""
