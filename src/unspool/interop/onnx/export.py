"""Exporting trained models to ONNX files: `export_onnx`.

The graphs consist of standard operators (ai.onnx) and include the scaling, so inputs and outputs
are in the units of the data.
"""

import json
import os
from pathlib import Path
from typing import Any

import numpy as np

import unspool
from unspool import _checks
from unspool._files import atomic_write, check_output_path
from unspool._types import ExportPart, names
from unspool.anomaly.model_errors import MAX_DISTANCE
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
from unspool.blueprint.parts import code_activation, projects
from unspool.errors import InputError
from unspool.interop.onnx.convolution import conv_decoder, conv_features
from unspool.interop.onnx.graph import IR_VERSION, OPSET, Graph
from unspool.interop.onnx.layers import (
    Batch,
    Weights,
    activate,
    clipped,
    dense,
    head,
    of_targets,
    read,
    unscaled,
)
from unspool.interop.onnx.lstm import lstm_decoder, lstm_features
from unspool.interop.onnx.missing import fill_of, marked
from unspool.interop.onnx.score import check_exportable, metadata, score
from unspool.interop.onnx.skip import level, normalized, skip, sorted_quantiles
from unspool.model_file import Contents, Fitted
from unspool.model_file.contents import contents_of

DOCS = {
    "x": "Sequences in the units of the data. Steps past the end of a sequence are ignored.",
    "lengths": "Number of real steps of each sequence, from 0 to time.",
    "future": "Features that are known ahead, at each step of the forecast.",
    "code": "Code of each sequence.",
    "reconstruction": "Reconstructed sequences in the units of the data; 0 past the end.",
    "forecast": "Forecast of each sequence in the units of the data.",
    "quantiles": "Quantiles of the forecast in the units of the data, in ascending order.",
    "probabilities": "Probability of each class; the classes are in the metadata.",
    "score": "Anomaly score of each window: the mean of its contributions; NaN without steps.",
    "contributions": "For each feature, log(1 + mean error of the window / scale_window).",
    "trailing_score": "Anomaly score with errors weighted towards the end of the window.",
    "trailing_contributions": "Contribution of each feature to trailing_score.",
    "step_error": "Error of each step, divided by scale_step; 0 past the end of a window.",
}


def export_onnx(
    model: Contents | Fitted, path: str | os.PathLike[str], *, part: ExportPart = "auto"
) -> None:
    """Write a trained model or detector to an ONNX file.

    The graph consists of standard operators (opset 17, IR version 8), which ONNX Runtime 1.12 and
    newer run. It includes the scaling. The file is written under a temporary name and then renamed,
    so an older file at `path` is replaced completely or not at all.

    Parameters
    ----------
    model : fitted estimator, AnomalyDetector or unspool.model_file.Contents
        The trained model. `unspool.model_file.read` returns the contents of a model file; with
        them, the export needs no PyTorch.
    path : str or path-like
        Path of the file; its folder must exist.
    part : {"auto", "model", "encoder", "detector"}, default "auto"
        "model" writes code, reconstruction, forecast and class probabilities, as far as the model
        has them; "encoder" writes the code only; "detector" writes reconstruction and anomaly
        scores of an `AnomalyDetector`. "auto" is "detector" for a detector, otherwise "model". For
        a detector, "model" and "encoder" write its model.

    Raises
    ------
    InputError
        If the package onnx is not installed, `model` is not a trained model, or the file cannot be
        written; if a detector cannot be exported, because its model is a forecaster, its `kind` is
        "code", or it scores sequences whose end a composite model forecasts (run it with
        `unspool.runtime`, or export ``part="model"``); or if the model was fitted on empty
        sequences only.

    See Also
    --------
    unspool.runtime.load : Run a model file with NumPy.
    unspool.interop.keras.export_keras : Write a .keras file.
    unspool.interop.torch.to_torch : Make a plain PyTorch module.

    Notes
    -----
    B is the batch size and T the number of steps, which are both open; F is the number of features,
    L the length of the code, K the horizon, Q the number of quantiles and C the number of classes.
    Inputs:

    - ``x`` (B, T, F), float32: sequences in the units of the data. An image is a sequence of H · W
      steps. A row of a table is a sequence of one feature, or of one step for the dense models.
      NaN is a missing value, for a model with ``missing="mask"``.
    - ``lengths`` (B,), int64: number of real steps of each sequence, from 0 to T. Steps past the
      end are ignored.
    - ``future`` (B, K, n_known), float32, only for a model with features that are known ahead:
      these features at the steps of the forecast.

    F_out is the number of targets, or of the quantities of ``y``; it is F for other models.
    Outputs of a model, float32, in the units of the data:

    - ``code`` (B, L), the mean if the encoder is variational;
    - ``reconstruction`` (B, T, F_out), 0 past the end of a sequence;
    - ``forecast`` (B, K, F_out) and ``quantiles`` (B, K, F_out, Q), in ascending order;
    - ``probabilities`` (B, C).

    Outputs of a detector, whose ``x`` are windows, or sequences if it was fitted on these:

    - ``reconstruction`` (B, T, F_out);
    - ``score`` (B,), the mean of ``contributions`` (B, F_out). Averaged over all windows that cover
      a step, it is the score of the kind "window";
    - ``trailing_score`` (B,) and ``trailing_contributions`` (B, F_out), for windows only: the score
      of the kind "trailing" at the last step of the window;
    - ``step_error`` (B, T, F_out), the errors divided by ``scale_step``. The score of the kind
      "step" is the mean over features of log(1 + e), where e is the average over all windows that
      cover the step.

    The metadata holds text: ``model``, ``part``, ``unspool_version``, and as far as they apply
    ``feature_names``, ``target_names``, ``known_names`` and ``classes`` (JSON lists) and
    ``max_steps``, the largest T. For a detector also ``window``, ``scores``, ``kind``,
    ``threshold``, and for each kind of score the start of its threshold (such as
    ``threshold_step``) and the divisor of its errors (``scale_step``).

    Float32 has 7 digits: if the mean of the data is large compared with its spread, subtract a
    constant before `fit` and before running the graph.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> import numpy as np
    >>> import onnx
    >>> from unspool import LSTMAutoencoder
    >>> from unspool.interop.onnx import export_onnx
    >>> X = np.sin(np.arange(12) / 3 + np.arange(50)[:, None])[:, :, None]
    >>> model = LSTMAutoencoder(4, epochs=2, verbose=0, random_state=0).fit(X)
    >>> with TemporaryDirectory() as folder:
    ...     export_onnx(model, Path(folder) / "model.onnx")
    ...     graph = onnx.load(Path(folder) / "model.onnx").graph
    >>> [x.name for x in graph.input], [x.name for x in graph.output]
    (['x', 'lengths'], ['code', 'reconstruction'])
    """
    _checks.raise_all(_checks.choice("part", part, names(ExportPart)))
    path = Path(path)
    check_output_path(path)
    contents = contents_of(model)
    if part == "auto":
        part = "model" if contents.detector is None else "detector"
    if part == "detector":
        check_exportable(contents)
    blob = _proto(contents, part).SerializeToString()
    with atomic_write(path) as file:
        file.write(blob)


def _proto(contents: Contents, part: str) -> Any:
    """Return the ONNX model."""
    g, plan = Graph(), contents.blueprint
    _check_bound(plan, part)
    outputs = _outputs(g, contents, plan, part)
    nodes, constants = g.needed(outputs)
    inputs: list[tuple[str, type, list[Any]]] = [
        ("x", np.float32, ["batch", "time", contents.facts.n_features]),
        ("lengths", np.int64, ["batch"]),
    ]
    if plan.known and part != "encoder":
        future = ["batch", plan.horizon, len(plan.known)]
        inputs.append(("future", np.float32, future))
    graph = g.onnx.helper.make_graph(
        nodes,
        contents.model,
        [g.typed(name, dtype, shape, DOCS[name]) for name, dtype, shape in inputs],
        [g.typed(name, np.float32, shape, DOCS[name]) for name, shape in outputs.items()],
        constants,
        f"Trained {contents.model} of unspool.",
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
    """Return the metadata of the file."""
    entries = {
        "model": contents.model,
        "part": part,
        "unspool_version": contents.versions.get("unspool", unspool.__version__),
    }
    names: Any = contents.feature_names
    if part == "detector":
        assert contents.detector is not None
        names = contents.detector["feature_names_in"]
        entries |= metadata(contents)
    if names:
        entries["feature_names"] = json.dumps(names)
        plan = contents.blueprint
        for entry, places in (("target_names", plan.targets), ("known_names", plan.known)):
            if places:
                entries[entry] = json.dumps([names[place] for place in places])
    bound = _bound(contents.blueprint, part)
    if bound is not None:
        entries["max_steps"] = str(bound)
    if contents.blueprint.head is not None and part == "model":
        entries["classes"] = json.dumps(contents.fitted["classes"]["values"])
    return entries


def _bound(plan: Blueprint, part: str) -> int | None:
    """Return the largest number of steps of a sequence; None without a bound."""
    bounds = [plan.encoder.max_steps]
    if part != "encoder" and "reconstruction" in plan.decoders:
        bounds.append(plan.decoders["reconstruction"].max_steps)
    return min((bound for bound in bounds if bound is not None), default=None)


def _check_bound(plan: Blueprint, part: str) -> None:
    """Refuse models of empty sequences, since ONNX has no layer without inputs."""
    if _bound(plan, part) == 0:
        raise InputError(
            "This model was fitted on empty sequences only and accepts no others; fit it on "
            "sequences with at least one step."
        )


def _outputs(g: Graph, contents: Contents, plan: Blueprint, part: str) -> dict[str, list[Any]]:
    """Build the graph, and return the names and shapes of its outputs."""
    weights, scaler = contents.weights, contents.scaler
    batch = read(g, scaler, () if part == "encoder" else plan.known)
    if part == "detector":
        batch = clipped(g, batch, MAX_DISTANCE)
    given = batch  # the true values, to which errors refer
    if scaler.clip is not None:
        batch = clipped(g, batch, scaler.clip)
    fill = g.real(0) if scaler.missing else ""
    location, spread = level(g, batch, scaler.normalization, fill)
    batch = batch._replace(x=normalized(g, batch, scaler.normalization, fill))
    code = _code(g, plan, weights, batch)
    input_batch, input_time = batch.input_sizes
    has_other_scaling = plan.targets is not None or contents.facts.n_responses
    targets = "targets" if has_other_scaling else "scaler"
    shapes: dict[str, list[Any]] = {}
    decoders = dict(plan.decoders) if part != "encoder" else {}
    if part == "detector":
        decoders = {"reconstruction": decoders["reconstruction"]}
    else:
        g.op("Slice", code, g.ints(0), input_batch, g.ints(0), out="code")
        shapes["code"] = ["batch", plan.encoder.latent_dim]
    for name, decoder in decoders.items():
        ahead = name != "reconstruction"
        steps = g.ints(plan.horizon) if ahead else None
        sequences = _decoded(g, decoder, weights, name, code, batch, steps)
        outputs = contents.facts.n_outputs
        if name == "quantiles":
            sequences = sorted_quantiles(g, sequences, outputs, decoder.n_features // outputs)
        if ahead and plan.skip is not None:
            past = of_targets(g, batch, plan.targets)
            sequences = skip(g, plan.skip, weights, sequences, past, quantiles=name == "quantiles")
        if not ahead:
            sequences = g.op("Mul", sequences, spread) if spread else sequences
            sequences = g.op("Add", sequences, location) if location else sequences
        if part == "detector":
            scores = score(g, contents, of_targets(g, given, plan.targets), sequences)
        sequences = unscaled(g, contents.target_scaler, sequences, targets)
        if not ahead:
            sequences = g.op("Where", batch.real, sequences, g.real(0))
            sequences = g.first(sequences, input_time, 1)
        if name == "quantiles":
            sequences = g.transpose(sequences, 0, 2, 3, 1)
        g.op("Slice", sequences, g.ints(0), input_batch, g.ints(0), out=name)
        shapes[name] = ["batch", plan.horizon if ahead else "time", outputs]
        if name == "quantiles":
            shapes[name].append(decoder.n_features // outputs)
    if part == "detector":
        shapes |= scores
    if plan.head is not None and part == "model":
        probabilities = g.op("Softmax", head(g, plan.head, weights, "head.", code), axis=1)
        g.op("Slice", probabilities, g.ints(0), input_batch, g.ints(0), out="probabilities")
        shapes["probabilities"] = ["batch", plan.head.outputs]
    return shapes


def _code(g: Graph, plan: Blueprint, weights: Weights, batch: Batch) -> str:
    """Return codes (B, L)."""
    encoder = plan.encoder
    if isinstance(encoder, LSTMEncoder):
        features = lstm_features(g, encoder, weights, batch)
    else:
        features = _features_of_padded(g, encoder, weights, batch)
    codes = dense(g, weights, "encoder.projection.", features) if projects(encoder) else features
    return activate(g, code_activation(encoder), codes)


def _features_of_padded(
    g: Graph, part: DenseEncoder | ConvEncoder, weights: Weights, batch: Batch
) -> str:
    """Return features of sequences padded to the model's bound; longer ones fail at run time."""
    missing = g.op("Sub", g.ints(part.max_steps), batch.time)
    zeros = g.zeros(batch.batch, missing, g.ints(part.n_inputs))
    x = marked(g, batch.x, fill_of(g, weights, "encoder."))
    x = g.op("Concat", x, zeros, axis=1)
    if isinstance(part, ConvEncoder):
        return conv_features(g, part, weights, x)
    flat = g.reshape(x, 0, part.steps * part.n_inputs)
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
    """Decode codes to scaled sequences (B, steps, F); if `steps` is None, to T steps."""
    if isinstance(part, LSTMDecoder):
        return lstm_decoder(g, part, weights, name, code, batch, steps)
    if isinstance(part, DenseDecoder):
        if part.n_known:
            known = g.reshape(batch.known, 0, part.max_steps * part.n_known)
            code = g.op("Concat", code, known, axis=1)
        sequences = head(g, part.head, weights, f"decoders.{name}.head.", code)
    else:
        assert isinstance(part, ConvDecoder)
        sequences = conv_decoder(g, part, weights, name, code)
    return sequences if steps else g.split_first(sequences, batch.time, part.max_steps, 1)
