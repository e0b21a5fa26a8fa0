from .auc import auc_pr as auc_pr
from .auc import auc_roc as auc_roc
from .events import events_of as events_of
from .events import labels_from_windows as labels_from_windows
from .report import Evaluation as Evaluation
from .report import evaluate as evaluate
from .vus import vus_pr as vus_pr

__all__: list[str]
