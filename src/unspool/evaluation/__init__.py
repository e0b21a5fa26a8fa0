"""Metrics that compare anomaly scores and alarms with labels, with NumPy alone.

    from unspool import evaluation

    evaluation.vus_pr(labels, scores)                   # labels, scores: (T,), or lists of them
    print(evaluation.evaluate(labels, scores, alarms, steps_per_day=288))

Scores rank steps: the higher, the more anomalous. Alarms are 0 or 1 at every step. No metric here
adjusts predictions with labels (`evaluate` explains why).
"""

from unspool._lazy import attach as _attach

__getattr__, __dir__, __all__ = _attach(
    __name__,
    {
        "Evaluation": "report",
        "auc_pr": "auc",
        "auc_roc": "auc",
        "evaluate": "report",
        "events_of": "events",
        "labels_from_windows": "events",
        "vus_pr": "vus",
    },
)
