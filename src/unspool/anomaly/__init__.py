"""Anomalies in series: scores, thresholds without labels, and events."""
