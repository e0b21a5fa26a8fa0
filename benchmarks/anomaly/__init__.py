"""How good anomaly scores are, beside simple rivals; see `__main__`."""
