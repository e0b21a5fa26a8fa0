"""An anomaly detector as ONNX operators: from reconstructions to the scores of windows."""

import json
from typing import Any

import numpy as np

from unspool._losses import CROSSENTROPIES
from unspool.anomaly.model_errors import MAX_DISTANCE
from unspool.anomaly.scores import DECAY, RATIO
from unspool.errors import InputError
from unspool.interop.onnx.graph import Graph
from unspool.interop.onnx.layers import DOUBLE, FLOAT, Batch
from unspool.model_file import Contents
from unspool.model_file.detector import restored_thresholds, scales_of


def check_scores_windows(contents: Contents) -> None:
    """Refuse what is no detector, and one whose score is not made of reconstructions."""
    detector, rest = contents.detector, "the part 'model' is its model without the score."
    if detector is None:
        raise InputError(
            f"Expected an AnomalyDetector for the part 'detector', got {contents.model} without "
            "one; export the part 'model', or save the detector and not its model."
        )
    if "reconstruction" not in contents.blueprint.decoders:
        raise InputError(
            f"A detector over {contents.model} reconstructs no window: it compares every step with "
            "forecasts from the steps before it, and the graph has no place for these. Run it with "
            f"unspool.runtime, or fit it over an autoencoder; {rest}"
        )
    if detector["parameters"]["kind"] == "code":
        raise InputError(
            "A detector of the kind 'code' compares codes with those of training, which the graph "
            "does not hold. Run it with unspool.runtime, or fit it with another `kind`, such as "
            f"'trailing'; {rest}"
        )
    fitted = contents.fitted
    if detector["of_sequences"] and fitted["horizon"] and fitted["y_ndim"] is None:
        raise InputError(
            f"This detector scores sequences without their last {fitted['horizon']} steps, which "
            "its model forecasts, and the graph would score them whole. Run it with "
            f"unspool.runtime, or fit it over a model without `horizon`; {rest}"
        )


def nearer(g: Graph, batch: Batch) -> Batch:
    """The same sequences with no value further away than a detector lets it be."""
    return batch._replace(x=g.op("Clip", batch.x, g.real(-MAX_DISTANCE), g.real(MAX_DISTANCE)))


def score(g: Graph, contents: Contents, batch: Batch, again: str) -> dict[str, list[Any]]:
    """Put the score together; the names of its outputs, with their shapes.

    As in `unspool.anomaly.scores`: errors are float32, what is made of them is float64.

    Parameters
    ----------
    g : Graph
    contents : Contents
        With a detector.
    batch : Batch
    again : str
        Reconstructions (B, T, F), scaled.
    """
    loss, features = contents.loss, contents.facts.n_features
    detector, (given_batch, given_time) = contents.detector, batch.asked
    assert detector is not None
    scales = {
        kind: g.weight(f"detector.scales.{kind}", scale[-1] if kind == "trailing" else scale)
        for kind, scale in _scales(contents).items()
    }
    kept = g.op("Where", batch.real, _errors(g, loss, again, batch.x), g.real(0))
    errors = g.op("Cast", kept, to=DOUBLE)

    def each_feature(weighted: str, weights: str, kind: str) -> str:
        """log(1 + error / scale), (B, F), of sums (B, F) and what the weights (B, 1) sum to."""
        relative = g.op("Div", g.op("Div", weighted, weights), scales[kind])
        return g.op("Log", g.op("Add", relative, g.constant(1, np.float64)))

    def mean(terms: str) -> str:
        return g.op("ReduceMean", terms, axes=[1], keepdims=1)

    count = g.op("Cast", g.op("Unsqueeze", batch.lengths, g.ints(1)), to=DOUBLE)
    terms = each_feature(g.op("ReduceSum", errors, g.ints(1), keepdims=0), count, "window")

    def asked(values: str, out: str) -> None:
        g.op("Slice", values, g.ints(0), given_batch, g.ints(0), out=out)

    def begun(values: str) -> str:
        """NaN for a sequence of no steps: it has no score."""
        return g.op("Where", batch.begun, g.op("Cast", values, to=FLOAT), g.real(np.nan))

    relative = g.op("Cast", g.op("Div", errors, scales["step"]), to=FLOAT)
    asked(g.first(relative, given_time, 1), "step_error")
    asked(begun(terms), "contributions")
    asked(g.op("Squeeze", begun(mean(terms)), g.ints(1)), "score")
    shapes: dict[str, list[Any]] = {
        "score": ["batch"],
        "contributions": ["batch", features],
        "step_error": ["batch", "time", features],
    }
    if not detector["of_sequences"]:
        weights = _trailing_weights(g, batch, detector["window"])
        weighted = g.op("ReduceSum", g.op("Mul", errors, weights), g.ints(1), keepdims=0)
        total = g.op("ReduceSum", weights, g.ints(1), keepdims=0)
        terms = each_feature(weighted, total, "trailing")
        asked(begun(terms), "trailing_contributions")
        asked(g.op("Squeeze", begun(mean(terms)), g.ints(1)), "trailing_score")
        shapes |= {"trailing_score": ["batch"], "trailing_contributions": ["batch", features]}
    return shapes


def _trailing_weights(g: Graph, batch: Batch, window: int) -> str:
    """Weights (B, T, 1) of steps, 1 at the end of a window and less before; 0 past the end."""
    real = g.op("Cast", batch.real, to=DOUBLE)
    place = g.op("CumSum", real, g.constant(1, np.int64))
    lengths = g.op("Cast", g.op("Unsqueeze", batch.lengths, g.ints(1, 2)), to=DOUBLE)
    ago = g.op("Sub", place, lengths)  # 0 at the end, -1 a step before
    decayed = g.op("Exp", g.op("Div", ago, g.constant(DECAY * window, np.float64)))
    # A sequence of no steps has a length of 1 here, and must not divide by 0.
    return g.op("Mul", decayed, g.op("Max", real, g.constant(1e-300, np.float64)))


def _scales(contents: Contents) -> dict[str, Any]:
    """What errors (F,) are divided by, by kind of score; (w, F) for "trailing"."""
    assert contents.detector is not None
    kinds = [kind for kind in contents.detector["thresholds"] if kind != "code"]
    return {kind: RATIO * scale for kind, scale in scales_of(contents.tensors, kinds).items()}


def metadata(contents: Contents) -> dict[str, str]:
    """What of a detector is no part of its graph: windows, and where thresholds start."""
    detector = contents.detector
    assert detector is not None
    thresholds = restored_thresholds(detector["thresholds"], contents.tensors)
    return {
        "window": str(detector["window"]),
        "scores": "sequences" if detector["of_sequences"] else "windows",
        "kind": detector["parameters"]["kind"],
        "threshold": thresholds[detector["parameters"]["kind"]].kind,
        **{
            f"threshold_{kind}": repr(float(one.start))
            for kind, one in thresholds.items()
            if kind != "code"
        },
        **{
            f"scale_{kind}": json.dumps(scale.tolist()) for kind, scale in _scales(contents).items()
        },
    }


def _errors(g: Graph, loss: str, prediction: str, target: str) -> str:
    """Errors (B, T, F) of predictions, as in `unspool.anomaly.model_errors`."""
    apart = g.op("Sub", prediction, target)
    size = g.op("Abs", apart)
    if loss == "mae":
        return size
    square = g.op("Mul", apart, apart)
    if loss in ("mse", *CROSSENTROPIES):
        return square
    assert loss == "huber"
    near, far = g.op("Mul", square, g.real(0.5)), g.op("Sub", size, g.real(0.5))
    return g.op("Where", g.op("Less", size, g.real(1)), near, far)
