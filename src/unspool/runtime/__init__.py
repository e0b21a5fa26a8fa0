"""A trained model with NumPy alone: no PyTorch, no Numba, no scikit-learn.

    from unspool import runtime

    model = runtime.load("model.unspool")
    codes = model.encode(X)                     # (N, L)
    again = model.reconstruct(X)                # as X
    stream = model.stream()                     # a step at a time
    code = stream.push(step)

    detector = runtime.load_detector("detector.unspool")
    scores = detector.anomaly_scores(series)    # (T,), higher is more anomalous
    stream = detector.stream()
    score, threshold, alarm, contributions = stream.update(step)

`model` has what a trained model can do, `stream` the same step by step; `detector` is an anomaly
detector over a model, `detector_stream` that step by step. Below them are the twins of
`unspool.nn`: `encoders`, `decoders`, `dense`, `convolution`, and `recurrence`, the LSTM.
"""

from unspool.runtime.detector import Detector as Detector
from unspool.runtime.detector import load_detector as load_detector
from unspool.runtime.detector_stream import DetectorStream as DetectorStream
from unspool.runtime.detector_stream import Scored as Scored
from unspool.runtime.model import Model as Model
from unspool.runtime.model import load as load
from unspool.runtime.stream import Stream as Stream
