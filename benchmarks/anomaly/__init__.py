"""Benchmark of anomaly scores against simple methods; see `__main__`."""
