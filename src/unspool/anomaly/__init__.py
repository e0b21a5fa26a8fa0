"""Anomalies: scores from the errors of a model, thresholds, events; and simple rivals.

`unspool.AnomalyDetector` puts them together, `unspool.runtime.Detector` runs it with NumPy alone.
"""
