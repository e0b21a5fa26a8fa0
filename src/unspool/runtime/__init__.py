"""Trained models and detectors with NumPy alone: no PyTorch, no Numba, no scikit-learn.

    from unspool import runtime

    model = runtime.load("model.unspool")
    codes = model.encode(X)                     # (N, L)
    reconstruction = model.reconstruct(X)       # in the form of X
    stream = model.stream()                     # step by step
    code = stream.push(step)

    detector = runtime.load_detector("detector.unspool")
    scores = detector.anomaly_scores(series)    # (T,), higher is more anomalous
    stream = detector.stream()
    score, threshold, alarm, contributions = stream.update(step)

`model`, `stream`, `detector` and `detector_stream` are public. `network` runs the layers of a
model, which are NumPy versions of those in `unspool.nn`: `encoders`, `decoders`, `recurrence` (the
LSTM), `dense`, `convolution`, `kernels`, `pooling`, `patches` and `skip`.
"""

from unspool._lazy import attach as _attach

__getattr__, __dir__, __all__ = _attach(
    __name__,
    {
        "Detector": "detector",
        "DetectorStream": "detector_stream",
        "Model": "model",
        "Scored": "detector_stream",
        "Stream": "stream",
        "load": "loading",
        "load_detector": "loading",
    },
)
