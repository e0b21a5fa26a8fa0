"""Pictures, in the manner of scikit-learn's displays.

    from unspool.plots import ReconstructionDisplay

    ReconstructionDisplay.from_estimator(autoencoder, X).figure_.savefig("reconstruction.png")

A display keeps the numbers it shows as attributes; `plot` draws them, into a new figure or onto
given axes, as often as you like, and leaves `ax_` and `figure_` for finishing touches.
"""

from unspool.plots.anomalies import AnomalyDisplay as AnomalyDisplay
from unspool.plots.code_scatter import CodeScatterDisplay as CodeScatterDisplay
from unspool.plots.code_trace import CodeTraceDisplay as CodeTraceDisplay
from unspool.plots.continuation import ContinuationDisplay as ContinuationDisplay
from unspool.plots.diagram import ModelDiagramDisplay as ModelDiagramDisplay
from unspool.plots.forecast import ForecastByStepDisplay as ForecastByStepDisplay
from unspool.plots.forecast import ForecastDisplay as ForecastDisplay
from unspool.plots.images import ImagesDisplay as ImagesDisplay
from unspool.plots.reconstruction import ReconstructionDisplay as ReconstructionDisplay
from unspool.plots.training_history import TrainingHistoryDisplay as TrainingHistoryDisplay
