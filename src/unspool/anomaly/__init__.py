"""Anomalies in time series: scores, thresholds, events, and simple methods to compare with."""
