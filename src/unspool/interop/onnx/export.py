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
from unspool._files import check_folder, whole_or_not
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
from unspool.interop.onnx.skip import each_sorted, skip
from unspool.model_file import PARTS, Contents, Fitted, contents_of

DOCS = {
    "x": "Sequences in the units of the data. What stands past the end of one is not read.",
    "lengths": "Real steps of every sequence, 0 to time.",
    "code": "The code of every sequence.",
    "reconstruction": "The sequences again, in the units of the data; 0 past the end of one.",
    "forecast": "What comes after every sequence, in the units of the data.",
    "quantiles": "Quantiles of the forecast, in the units of the data, from the lowest.",
    "probabilities": "How likely every class is; the classes are in the metadata.",
}


def export_onnx(
    model: Contents | Fitted, path: str | os.PathLike[str], *, part: str = "model"
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

    The metadata has the model's class, the names of features and classes as JSON, the bound on
    time, and the version of unspool that trained it.

    Parameters
    ----------
    model : a fitted estimator, or Contents
        `unspool.model_file.read` gives the contents of a file; no torch is needed for that.
    path : path of the file
    part : {"model", "encoder"}, default "model"
        The encoder alone gives codes and nothing else.

    Raises
    ------
    InputError
        For another kind of object, a file that cannot be written, a model made for sequences of
        no steps, or where the package `onnx` is missing.
    """
    _checks.raise_all(_checks.choice("part", part, PARTS))
    path = Path(path)
    check_folder(path)
    blob = _proto(contents_of(model), part).SerializeToString()
    with whole_or_not(path) as file:
        file.write(blob)


def _proto(contents: Contents, part: str) -> Any:
    """The model as ONNX has it."""
    g, plan = Graph(), contents.blueprint
    _check_bound(plan, part)
    outputs = _outputs(g, contents, plan, whole=part == "model")
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
    metadata = {
        "model": contents.model,
        "part": part,
        "unspool_version": contents.versions.get("unspool", unspool.__version__),
    }
    if contents.feature_names:
        metadata["feature_names"] = json.dumps(contents.feature_names)
    bound = _bound(contents.blueprint, part)
    if bound is not None:
        metadata["most_steps"] = str(bound)
    if contents.blueprint.head is not None and part == "model":
        metadata["classes"] = json.dumps(contents.fitted["classes"]["values"])
    return metadata


def _bound(plan: Blueprint, part: str) -> int | None:
    """Steps of the longest sequence that the graph takes; None where there is no bound."""
    bounds = [plan.encoder.most_steps]
    if part == "model" and "reconstruction" in plan.decoders:
        bounds.append(plan.decoders["reconstruction"].most_steps)
    return min((bound for bound in bounds if bound is not None), default=None)


def _check_bound(plan: Blueprint, part: str) -> None:
    """A layer of no inputs is nothing that ONNX has."""
    if _bound(plan, part) == 0:
        raise InputError(
            "Expected a model of sequences, but this one was fitted on sequences of no steps "
            "alone, and is bound to them; fit it on others."
        )


def _outputs(g: Graph, contents: Contents, plan: Blueprint, *, whole: bool) -> dict[str, list[Any]]:
    """Put the graph together; the names of its outputs, with their shapes."""
    weights, scaler = contents.weights, contents.scaler
    batch = read(g, scaler)
    code = _code(g, plan, weights, batch)
    given_batch, given_time = batch.asked
    g.op("Slice", code, g.ints(0), given_batch, g.ints(0), out="code")
    shapes: dict[str, list[Any]] = {"code": ["batch", plan.encoder.latent_dim]}
    if not whole:
        return shapes
    for name, decoder in plan.decoders.items():
        ahead = name != "reconstruction"
        steps = g.ints(plan.horizon) if ahead else None
        sequences = _decoded(g, decoder, weights, name, code, batch, steps)
        outputs = decoder.n_features
        if name == "quantiles":
            outputs = plan.encoder.n_features
            sequences = each_sorted(g, sequences, outputs, decoder.n_features // outputs)
        if ahead and plan.skip is not None:
            sequences = skip(g, plan.skip, weights, sequences, batch, spread=name == "quantiles")
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
    if plan.head is not None:
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
    missing = g.op("Sub", g.ints(part.most_steps), batch.time)
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
    return sequences if steps else g.first_of(sequences, batch.time, part.most_steps, 1)
