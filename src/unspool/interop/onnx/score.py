"""The scores of an anomaly detector as ONNX operators on reconstructions of windows."""

import json
from typing import Any

import numpy as np

from unspool._loss_parameter import Loss, LossByFeature
from unspool.anomaly.model_errors import loss_of_errors
from unspool.anomaly.scores import DECAY, RATIO
from unspool.errors import InputError
from unspool.interop.onnx.graph import Graph
from unspool.interop.onnx.layers import BOOL, DOUBLE, FLOAT, Batch
from unspool.model_file import Contents
from unspool.model_file.detector import restored_thresholds, scales_of


def check_exportable(contents: Contents) -> None:
    """Refuse models without a detector, and detectors whose score needs more than one window."""
    detector, alternative = contents.detector, "part='model' exports its model without the score."
    if detector is None:
        raise InputError(
            f"part='detector' needs an AnomalyDetector, but this holds {contents.model} alone; use "
            "part='model', or save the detector instead of its model."
        )
    if "reconstruction" not in contents.blueprint.decoders:
        raise InputError(
            f"A detector with the model {contents.model} compares each step with earlier "
            "forecasts, which a graph of single windows cannot do. Run it with unspool.runtime, or "
            f"fit a detector with an autoencoder; {alternative}"
        )
    if detector["parameters"]["kind"] == "code":
        raise InputError(
            "A detector with kind='code' compares codes with those of the training data, which the "
            "graph does not contain. Run it with unspool.runtime, or fit it with another `kind`, "
            f"such as 'trailing'; {alternative}"
        )
    fitted = contents.fitted
    if detector["of_sequences"] and fitted["horizon"] and fitted["y_ndim"] is None:
        raise InputError(
            f"This detector scores sequences without their last {fitted['horizon']} steps, which "
            "its model forecasts, but the graph would score all steps. Run it with "
            f"unspool.runtime, or fit it with a model without `horizon`; {alternative}"
        )


def score(g: Graph, contents: Contents, batch: Batch, reconstruction: str) -> dict[str, list[Any]]:
    """Build the score, and return the names and shapes of its outputs.

    As in `unspool.anomaly.scores`, errors are float32, and scores are computed in float64.

    Parameters
    ----------
    g : Graph
        The graph, to which the operators are added.
    contents : Contents
        A model with a detector.
    batch : Batch
        Scaled windows (B, T, F_out) of the targets.
    reconstruction : str
        Scaled reconstructions (B, T, F_out).
    """
    loss, features = contents.loss, contents.facts.n_outputs
    detector, (input_batch, input_time) = contents.detector, batch.input_sizes
    assert detector is not None
    scales = {
        kind: g.weight(f"detector.scales.{kind}", scale[-1] if kind == "trailing" else scale)
        for kind, scale in _scales(contents).items()
    }
    masks, present = contents.form.missing == "mask", batch.real
    if masks:
        present = g.op("And", present, g.op("Not", g.op("IsNaN", batch.x)))
    known = g.op("Cast", present, to=DOUBLE)  # (B, T, F) with masks, else (B, T, 1)
    real_errors = g.op("Where", present, _errors(g, loss, reconstruction, batch.x), g.real(0))
    errors = g.op("Cast", real_errors, to=DOUBLE)
    one, nan = g.constant(1, np.float64), g.constant(np.nan, np.float64)

    def divided(total: str, size: str) -> str:
        """Divide sums by sizes; with masks, the result for a size of 0 is NaN."""
        if not masks:
            return g.op("Div", total, size)
        some = g.op("Greater", size, g.constant(0, np.float64))
        return g.op("Where", some, g.op("Div", total, g.op("Where", some, size, one)), nan)

    def contributions(weighted_sum: str, weight_sum: str, whole: str, kind: str) -> str:
        """Return log(1 + mean error / scale), (B, F), of sums (B, F) and sums of weights.

        With masks, `whole` (B, 1) is the sum of the weights if no value were missing, and missing
        values have the normal error.
        """
        relative = g.op("Div", divided(weighted_sum, weight_sum), scales[kind])
        if masks:
            share = divided(weight_sum, whole)
            normal = g.op("Div", g.op("Sub", one, share), g.constant(RATIO, np.float64))
            relative = g.op("Add", g.op("Mul", share, relative), normal)
        return g.op("Log", g.op("Add", relative, one))

    def mean(terms: str) -> str:
        """Return the mean (B, 1) of the features that have a value."""
        if not masks:
            return g.op("ReduceMean", terms, axes=[1], keepdims=1)
        empty = g.op("IsNaN", terms)
        total = g.op("Where", empty, g.constant(0, np.float64), terms)
        count = g.op("Cast", g.op("Not", empty), to=DOUBLE)
        return divided(*(g.op("ReduceSum", each, g.ints(1), keepdims=1) for each in (total, count)))

    count = g.op("Cast", g.op("Unsqueeze", batch.lengths, g.ints(1)), to=DOUBLE)
    whole = count
    if masks:
        count = g.op("ReduceSum", known, g.ints(1), keepdims=0)
    terms = contributions(g.op("ReduceSum", errors, g.ints(1), keepdims=0), count, whole, "window")

    def output(values: str, name: str) -> None:
        g.op("Slice", values, g.ints(0), input_batch, g.ints(0), out=name)

    def nan_if_empty(values: str) -> str:
        """Replace the values of empty sequences by NaN."""
        return g.op("Where", batch.has_steps, g.op("Cast", values, to=FLOAT), g.real(np.nan))

    relative = g.op("Cast", g.op("Div", errors, scales["step"]), to=FLOAT)
    if masks:
        missing = g.op("And", batch.real, g.op("Not", present))
        relative = g.op("Where", missing, g.real(np.nan), relative)
    output(g.first(relative, input_time, 1), "step_error")
    output(nan_if_empty(terms), "contributions")
    output(g.op("Squeeze", nan_if_empty(mean(terms)), g.ints(1)), "score")
    shapes: dict[str, list[Any]] = {
        "score": ["batch"],
        "contributions": ["batch", features],
        "step_error": ["batch", "time", features],
    }
    if not detector["of_sequences"]:
        weights = _trailing_weights(g, batch, detector["window"])
        weighted = g.op("ReduceSum", g.op("Mul", errors, weights), g.ints(1), keepdims=0)
        of_known = g.op("Mul", weights, known) if masks else weights
        total = g.op("ReduceSum", of_known, g.ints(1), keepdims=0)
        whole = g.op("ReduceSum", weights, g.ints(1), keepdims=0) if masks else total
        terms = contributions(weighted, total, whole, "trailing")
        if masks:  # a last step without a value has no score
            last = g.op("Mul", known, g.op("Cast", _last_step(g, batch), to=DOUBLE))
            some = g.op("ReduceMax", last, axes=[1, 2], keepdims=0)
            some = g.op("Unsqueeze", g.op("Cast", some, to=BOOL), g.ints(1))
            terms = g.op("Where", some, terms, nan)
        output(nan_if_empty(terms), "trailing_contributions")
        output(g.op("Squeeze", nan_if_empty(mean(terms)), g.ints(1)), "trailing_score")
        shapes |= {"trailing_score": ["batch"], "trailing_contributions": ["batch", features]}
    return shapes


def _last_step(g: Graph, batch: Batch) -> str:
    """Mask the last step of each window, (B, T, 1)."""
    position = g.op("CumSum", g.op("Cast", batch.real, to=DOUBLE), g.constant(1, np.int64))
    lengths = g.op("Cast", g.op("Unsqueeze", batch.lengths, g.ints(1, 2)), to=DOUBLE)
    return g.op("And", g.op("Equal", position, lengths), batch.real)


def _trailing_weights(g: Graph, batch: Batch, window: int) -> str:
    """Return weights (B, T, 1) of steps: 1 at the end of a window, less before, 0 after it."""
    real = g.op("Cast", batch.real, to=DOUBLE)
    position = g.op("CumSum", real, g.constant(1, np.int64))
    lengths = g.op("Cast", g.op("Unsqueeze", batch.lengths, g.ints(1, 2)), to=DOUBLE)
    ago = g.op("Sub", position, lengths)  # 0 at the last step, -1 at the one before
    decayed = g.op("Exp", g.op("Div", ago, g.constant(DECAY * window, np.float64)))
    # An empty sequence must not lead to a division by 0.
    return g.op("Mul", decayed, g.op("Max", real, g.constant(1e-300, np.float64)))


def _scales(contents: Contents) -> dict[str, Any]:
    """Return the divisors of errors (F,) by kind of score; (w, F) for "trailing"."""
    assert contents.detector is not None
    kinds = [kind for kind in contents.detector["thresholds"] if kind != "code"]
    return {kind: RATIO * scale for kind, scale in scales_of(contents.tensors, kinds).items()}


def metadata(contents: Contents) -> dict[str, str]:
    """Return the metadata of a detector: windows, thresholds and scales."""
    detector = contents.detector
    assert detector is not None
    thresholds = restored_thresholds(detector["thresholds"], contents.tensors)
    return {
        "window": str(detector["window"]),
        "scores": "sequences" if detector["of_sequences"] else "windows",
        "kind": detector["parameters"]["kind"],
        "threshold": thresholds[detector["parameters"]["kind"]].kind,
        **{
            f"threshold_{kind}": repr(float(threshold.start))
            for kind, threshold in thresholds.items()
            if kind != "code"
        },
        **{
            f"scale_{kind}": json.dumps(scale.tolist()) for kind, scale in _scales(contents).items()
        },
    }


def _errors(g: Graph, loss: Loss, prediction: str, target: str) -> str:
    """Return errors (B, T, F) of predictions, as in `unspool.anomaly.model_errors`."""
    of_errors = loss_of_errors(loss)
    if not isinstance(of_errors, LossByFeature):
        return _errors_of(g, of_errors, prediction, target)
    errors = ""
    for name, columns in of_errors.columns_by_loss.items():
        here = np.isin(np.arange(of_errors.n_features), columns)
        found = _errors_of(g, name, prediction, target)
        errors = g.op("Where", g.constant(here, np.bool_), found, errors) if errors else found
    return errors


def _errors_of(g: Graph, loss: str, prediction: str, target: str) -> str:
    """Return the values (B, T, F) of a loss."""
    difference = g.op("Sub", prediction, target)
    size = g.op("Abs", difference)
    if loss == "mae":
        return size
    square = g.op("Mul", difference, difference)
    if loss == "mse":
        return square
    assert loss == "huber"
    near, far = g.op("Mul", square, g.real(0.5)), g.op("Sub", size, g.real(0.5))
    return g.op("Where", g.op("Less", size, g.real(1)), near, far)
