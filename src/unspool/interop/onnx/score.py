"""An anomaly detector as ONNX operators: from reconstructions to the scores of windows."""

from typing import Any

import numpy as np

from unspool.errors import InputError
from unspool.interop.onnx.graph import Graph
from unspool.interop.onnx.layers import DOUBLE, FLOAT, Batch
from unspool.model_file import Contents
from unspool.model_file.detector import PREFIX, restored_thresholds
from unspool.results import LEAST, LOSSES, SLOPE


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
    loss, features = contents.parameters["loss"], contents.facts.n_features
    one, given_batch, given_time = g.constant(1, np.float64), *batch.asked
    errors = g.op("Where", batch.real, _errors(g, loss, again, batch.x), g.real(0))
    scale = g.weight(f"{PREFIX}scale", contents.tensors[f"{PREFIX}scale"])
    relative = g.op("Div", g.op("Cast", errors, to=DOUBLE), scale)
    count = g.op("Cast", g.op("Unsqueeze", batch.lengths, g.ints(1)), to=DOUBLE)
    mean = g.op("Div", g.op("ReduceSum", relative, g.ints(1), keepdims=0), count)
    terms = g.op("Log", g.op("Add", mean, one))
    total = g.op("ReduceMean", terms, axes=[1], keepdims=0)

    def asked(values: str, out: str) -> None:
        g.op("Slice", values, g.ints(0), given_batch, g.ints(0), out=out)

    def begun(values: str) -> str:
        """NaN for a sequence of no steps: it has no score."""
        return g.op("Where", batch.begun, g.op("Cast", values, to=FLOAT), g.real(np.nan))

    asked(g.first(g.op("Cast", relative, to=FLOAT), given_time, 1), "step_error")
    asked(begun(terms), "contributions")
    asked(g.op("Squeeze", begun(g.op("Unsqueeze", total, g.ints(1))), g.ints(1)), "score")
    return {
        "score": ["batch"],
        "contributions": ["batch", features],
        "step_error": ["batch", "time", features],
    }


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
    }


def _errors(g: Graph, loss: str, prediction: str, target: str) -> str:
    """Errors (B, T, F) of predictions, as in `unspool.results.LOSSES`."""
    assert loss in LOSSES
    if loss == "categorical_crossentropy":
        likely = g.op("Log", g.op("Max", prediction, g.real(LEAST)))
        return g.op("Mul", g.op("Neg", target), likely)
    if loss == "binary_crossentropy":
        inside = g.op("Clip", prediction, g.real(LEAST), g.real(1 - LEAST))
        beyond = g.op("Abs", g.op("Sub", prediction, inside))
        rest = g.op("Sub", g.real(1), inside)
        logit = g.op("Log", g.op("Div", inside, rest))
        apart = g.op("Sub", g.op("Mul", beyond, g.real(SLOPE)), g.op("Mul", logit, target))
        return g.op("Sub", apart, g.op("Log", rest))
    apart = g.op("Sub", prediction, target)
    size = g.op("Abs", apart)
    if loss == "mae":
        return size
    square = g.op("Mul", apart, apart)
    if loss == "mse":
        return square
    near, far = g.op("Mul", square, g.real(0.5)), g.op("Sub", size, g.real(0.5))
    return g.op("Where", g.op("Less", size, g.real(1)), near, far)
