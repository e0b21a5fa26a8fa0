from .detector import Detector as Detector
from .detector_stream import DetectorStream as DetectorStream
from .detector_stream import Scored as Scored
from .loading import load as load
from .loading import load_detector as load_detector
from .model import Model as Model
from .stream import Stream as Stream

__all__: list[str]
