from .anomalies import AnomalyDisplay as AnomalyDisplay
from .code_scatter import CodeScatterDisplay as CodeScatterDisplay
from .code_trace import CodeTraceDisplay as CodeTraceDisplay
from .continuation import ContinuationDisplay as ContinuationDisplay
from .diagram import ModelDiagramDisplay as ModelDiagramDisplay
from .forecast import ForecastByStepDisplay as ForecastByStepDisplay
from .forecast import ForecastDisplay as ForecastDisplay
from .images import ImagesDisplay as ImagesDisplay
from .reconstruction import ReconstructionDisplay as ReconstructionDisplay
from .training_history import TrainingHistoryDisplay as TrainingHistoryDisplay

__all__: list[str]
