"""How good anomaly scores are, next to simple methods; see `__main__`."""
