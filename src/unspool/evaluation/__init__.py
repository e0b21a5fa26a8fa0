"""How well scores and alarms find labelled anomalies, with NumPy alone.

    from unspool import evaluation

    evaluation.vus_pr(labels, scores)                   # labels, scores: (T,), or lists of them
    print(evaluation.evaluate(labels, scores, alarms, steps_per_day=288))

Scores rank steps: the higher, the more anomalous. Alarms are 0 or 1 at every step. No metric here
adjusts predictions with labels (`evaluate` says why).
"""

from unspool.evaluation.auc import auc_pr as auc_pr
from unspool.evaluation.auc import auc_roc as auc_roc
from unspool.evaluation.events import events_of as events_of
from unspool.evaluation.events import labels_from_windows as labels_from_windows
from unspool.evaluation.report import Evaluation as Evaluation
from unspool.evaluation.report import evaluate as evaluate
from unspool.evaluation.vus import vus_pr as vus_pr
