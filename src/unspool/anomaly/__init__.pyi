from .baselines import IsolationForestWindows as IsolationForestWindows
from .baselines import KMeansAD as KMeansAD
from .baselines import NearestWindow as NearestWindow
from .baselines import SubPCA as SubPCA
from .detection import Detection as Detection
from .events import Event as Event
from .events import events_table as events_table
from .events import find_events as find_events
from .events import write_events as write_events
from .running_threshold import RunningQuantile as RunningQuantile
from .running_threshold import RunningThreshold as RunningThreshold
from .threshold_kinds import AlarmsThreshold as AlarmsThreshold
from .threshold_kinds import MovingThreshold as MovingThreshold
from .threshold_kinds import ParetoThreshold as ParetoThreshold
from .threshold_kinds import QuantileThreshold as QuantileThreshold
from .threshold_kinds import Threshold as Threshold
from .thresholds import fit_threshold as fit_threshold
from .z_scores import GlobalZ as GlobalZ
from .z_scores import MovingZ as MovingZ

__all__: list[str]
