"""Trained models as ONNX files, for runtimes without unspool.

A file holds operators of the standard alone (ai.onnx). Its graph takes sequences in the units of
the data, scaling is part of it.
"""

import json
import os
from pathlib import Path
from typing import Any

import numpy as np

import unspool
from unspool import _checks
from unspool._files import atomic_write, check_output_path
from unspool.blueprint import (
    Blueprint,
    ConvDecoder,
    ConvEncoder,
    Decoder,
    DenseDecoder,
    DenseEncoder,
    LSTMDecoder,
    LSTMEncoder,
)
from unspool.blueprint.parts import projects
from unspool.errors import InputError
from unspool.interop.onnx.convolution import conv_decoder, conv_features
from unspool.interop.onnx.graph import IR_VERSION, OPSET, Graph
from unspool.interop.onnx.layers import Batch, Weights, dense, head, read, unscaled
from unspool.interop.onnx.lstm import lstm_decoder, lstm_features
from unspool.interop.onnx.score import check_scores_windows, metadata, nearer, score
from unspool.interop.onnx.skip import each_sorted, skip
from unspool.model_file import Contents, Fitted
from unspool.model_file.contents import contents_of
from unspool.model_file.fitted import PARTS

DOCS = {
    "x": "Sequences in the units of the data. What stands past the end of one is not read.",
    "lengths": "Real steps of every sequence, 0 to time.",
    "code": "The code of every sequence.",
    "reconstruction": "The sequences again, in the units of the data; 0 past the end of one.",
    "forecast": "What comes after every sequence, in the units of the data.",
    "quantiles": "Quantiles of the forecast, in the units of the data, from the lowest.",
    "probabilities": "How likely every class is; the classes are in the metadata.",
    "score": "How anomalous every window is, the mean of its contributions; NaN without steps.",
    "contributions": "Of each feature: log(1 + mean error of a window / scale_window).",
    "trailing_score": "The same with errors that count the more the nearer they are to the end.",
    "trailing_contributions": "Of each feature to trailing_score, with scale_trailing.",
    "step_error": "Errors of steps, divided by scale_step; 0 past the end of a window.",
}
ALL_PARTS = ("auto", *PARTS, "detector")


def export_onnx(
    model: Contents | Fitted, path: str | os.PathLike[str], *, part: str = "auto"
) -> None:
    """Write a trained model to an ONNX file, whole or not at all.

    The graph takes ``x`` (batch, time, F), float32, and ``lengths`` (batch,), int64, the real
    steps of every sequence, from 0 to time, of which none is cut off; both axes may be of any
    length, where the model is not bound to one. Images are sequences of H · W steps, and rows
    of a table sequences of one feature, or of one step, as for the estimator. It gives ``code``
    (batch, L) and, where the model has them, ``reconstruction`` (batch, time, F), ``forecast``
    (batch, K, F), ``quantiles`` (batch, K, F, Q) and ``probabilities`` (batch, C). A variational
    code is its mean. What goes in and comes out is float32: of data far from zero, compared to how
    they vary, it leaves few digits.

    An `AnomalyDetector` gives its score with the reconstruction, in one graph: ``x`` are windows
    (or sequences, where it was fitted on those), and out come ``reconstruction``; ``score``
    (batch,) and ``contributions`` (batch, F), of which it is the mean; for windows
    ``trailing_score`` and ``trailing_contributions``, the score of the kind "trailing" at the last
    step of a window; and ``step_error`` (batch, time, F), errors of steps divided by
    ``scale_step``. Averaged over the windows that cover a step, ``score`` is that of the kind
    "window", and ``step_error`` leads to that of the kind "step", the mean over features of
    log(1 + it). Thresholds are not part of the graph. Where they start is in the metadata, for
    each kind of score, as ``threshold_trailing``, ``threshold_window`` and ``threshold_step``,
    beside what errors are divided by, ``scale_trailing`` and so on; ``window`` is the number of
    steps of a window there.

    The metadata has the model's class, the names of features and classes as JSON, the bound on
    time, and the version of unspool that trained it.

    Parameters
    ----------
    model : a fitted estimator or detector, or Contents
        `unspool.model_file.read` gives the contents of a file; no torch is needed for that.
    path : path of the file
    part : {"auto", "model", "encoder", "detector"}, default "auto"
        "auto" is "detector" for a detector, else "model". The encoder alone gives codes and nothing
        else; "model" and "encoder" of a detector are those of its model.

    Raises
    ------
    InputError
        For another kind of object, a file that cannot be written, a model made for sequences of
        no steps, or where the package `onnx` is missing. For a detector over a forecaster, of
        the kind "code", or of sequences of which a composite model forecasts the end.
    """
    _checks.raise_all(_checks.choice("part", part, ALL_PARTS))
    path = Path(path)
    check_output_path(path)
    contents = contents_of(model)
    if part == "auto":
        part = "model" if contents.detector is None else "detector"
    if part == "detector":
        check_scores_windows(contents)
    blob = _proto(contents, part).SerializeToString()
    with atomic_write(path) as file:
        file.write(blob)


def _proto(contents: Contents, part: str) -> Any:
    """The model as ONNX has it."""
    g, plan = Graph(), contents.blueprint
    _check_bound(plan, part)
    outputs = _outputs(g, contents, plan, part)
    nodes, constants = g.needed(outputs)
    inputs: list[tuple[str, type, list[Any]]] = [
        ("x", np.float32, ["batch", "time", contents.facts.n_features]),
        ("lengths", np.int64, ["batch"]),
    ]
    graph = g.onnx.helper.make_graph(
        nodes,
        contents.model,
        [g.typed(name, dtype, shape, DOCS[name]) for name, dtype, shape in inputs],
        [g.typed(name, np.float32, shape, DOCS[name]) for name, shape in outputs.items()],
        constants,
        f"{contents.model} of unspool, trained; float32.",
    )
    model = g.onnx.helper.make_model(
        graph,
        opset_imports=[g.onnx.helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
        producer_name="unspool",
        producer_version=unspool.__version__,
    )
    g.onnx.helper.set_model_props(model, _metadata(contents, part))
    return model


def _metadata(contents: Contents, part: str) -> dict[str, str]:
    found = {
        "model": contents.model,
        "part": part,
        "unspool_version": contents.versions.get("unspool", unspool.__version__),
    }
    names: Any = contents.feature_names
    if part == "detector":
        assert contents.detector is not None
        names = contents.detector["feature_names_in"]
        found |= metadata(contents)
    if names:
        found["feature_names"] = json.dumps(names)
    bound = _bound(contents.blueprint, part)
    if bound is not None:
        found["most_steps"] = str(bound)
    if contents.blueprint.head is not None and part == "model":
        found["classes"] = json.dumps(contents.fitted["classes"]["values"])
    return found


def _bound(plan: Blueprint, part: str) -> int | None:
    """Steps of the longest sequence that the graph takes; None where there is no bound."""
    bounds = [plan.encoder.max_steps]
    if part != "encoder" and "reconstruction" in plan.decoders:
        bounds.append(plan.decoders["reconstruction"].max_steps)
    return min((bound for bound in bounds if bound is not None), default=None)


def _check_bound(plan: Blueprint, part: str) -> None:
    """A layer of no inputs is nothing that ONNX has."""
    if _bound(plan, part) == 0:
        raise InputError(
            "Expected a model of sequences, but this one was fitted on sequences of no steps "
            "alone, and is bound to them; fit it on others."
        )


def _outputs(g: Graph, contents: Contents, plan: Blueprint, part: str) -> dict[str, list[Any]]:
    """Put the graph together; the names of its outputs, with their shapes."""
    weights, scaler = contents.weights, contents.scaler
    batch = read(g, scaler)
    if part == "detector":
        batch = nearer(g, batch)
    code = _code(g, plan, weights, batch)
    given_batch, given_time = batch.asked
    shapes: dict[str, list[Any]] = {}
    decoders = dict(plan.decoders) if part != "encoder" else {}
    if part == "detector":
        decoders = {"reconstruction": decoders["reconstruction"]}
    else:
        g.op("Slice", code, g.ints(0), given_batch, g.ints(0), out="code")
        shapes["code"] = ["batch", plan.encoder.latent_dim]
    for name, decoder in decoders.items():
        ahead = name != "reconstruction"
        steps = g.ints(plan.horizon) if ahead else None
        sequences = _decoded(g, decoder, weights, name, code, batch, steps)
        outputs = decoder.n_features
        if name == "quantiles":
            outputs = plan.encoder.n_features
            sequences = each_sorted(g, sequences, outputs, decoder.n_features // outputs)
        if ahead and plan.skip is not None:
            sequences = skip(g, plan.skip, weights, sequences, batch, spread=name == "quantiles")
        if part == "detector":
            scores = score(g, contents, batch, sequences)
        sequences = unscaled(g, scaler, sequences)
        if not ahead:
            sequences = g.op("Where", batch.real, sequences, g.real(0))
            sequences = g.first(sequences, given_time, 1)
        if name == "quantiles":
            sequences = g.turned(sequences, 0, 2, 3, 1)
        g.op("Slice", sequences, g.ints(0), given_batch, g.ints(0), out=name)
        shapes[name] = ["batch", plan.horizon if ahead else "time", outputs]
        if name == "quantiles":
            shapes[name].append(decoder.n_features // outputs)
    if part == "detector":
        shapes |= scores
    if plan.head is not None and part == "model":
        likely = g.op("Softmax", head(g, plan.head, weights, "head.", code), axis=1)
        g.op("Slice", likely, g.ints(0), given_batch, g.ints(0), out="probabilities")
        shapes["probabilities"] = ["batch", plan.head.outputs]
    return shapes


def _code(g: Graph, plan: Blueprint, weights: Weights, batch: Batch) -> str:
    """Codes (B, L)."""
    encoder = plan.encoder
    if isinstance(encoder, LSTMEncoder):
        features = lstm_features(g, encoder, weights, batch)
    else:
        features = _of_bounded(g, encoder, weights, batch)
    return dense(g, weights, "encoder.projection.", features) if projects(encoder) else features


def _of_bounded(g: Graph, part: DenseEncoder | ConvEncoder, weights: Weights, batch: Batch) -> str:
    """Features of sequences that are made as long as the longest; running it fails for longer."""
    missing = g.op("Sub", g.ints(part.max_steps), batch.time)
    none = g.zeros(batch.batch, missing, g.ints(part.n_features))
    x = g.op("Concat", batch.x, none, axis=1)
    if isinstance(part, ConvEncoder):
        return conv_features(g, part, weights, x)
    flat = g.shaped(x, 0, part.steps * part.n_features)
    return head(g, part.layers, weights, "encoder.layers.", flat)


def _decoded(
    g: Graph,
    part: Decoder,
    weights: Weights,
    name: str,
    code: str,
    batch: Batch,
    steps: str | None,
) -> str:
    """Sequences (B, steps, F), scaled; without `steps` those of the batch, T."""
    if isinstance(part, LSTMDecoder):
        return lstm_decoder(g, part, weights, name, code, batch, steps)
    if isinstance(part, DenseDecoder):
        sequences = head(g, part.head, weights, f"decoders.{name}.head.", code)
    else:
        assert isinstance(part, ConvDecoder)
        sequences = conv_decoder(g, part, weights, name, code)
    return sequences if steps else g.first_of(sequences, batch.time, part.max_steps, 1)
