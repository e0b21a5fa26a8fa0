"""Reading the graph of Keras models with LSTM or GRU layers: encoder, code, and decoders.

From every output, the reader walks back over dense layers to recurrent layers. If these read the
input, they are the encoder. If they read a repeated or reshaped code, or start from a state, they
are a decoder, and the encoder precedes it.
"""

from unspool.blueprint.layers import DECODERS
from unspool.errors import InputError
from unspool.interop.imported import ReadModel
from unspool.interop.keras.dropout import both
from unspool.interop.keras.graph import READABLE, RECURRENT, Graph, Wire, check_all_read, refuse
from unspool.interop.keras.reading_layers import Recurrent
from unspool.interop.keras.recurrent_parameters import (
    Branch,
    Encoder,
    build_classifier,
    build_model,
)
from unspool.interop.keras.step_convolutions import before_convolutions, read_step_convolutions
from unspool.interop.keras.traversal import (
    POOLED,
    SCALINGS,
    Head,
    Traversal,
    check_same_scaling,
)

OTHER_MASK = "it has another mask than the encoder; call it with that mask, or without."


def read_recurrent_model(
    graph: Graph, second_input: str, forecast: bool | None, max_length: int | None
) -> ReadModel:
    """Read a model with LSTM or GRU layers."""
    traversal = Traversal()
    branches = [_branch(traversal, output, second_input, forecast) for output in graph.outputs]
    _share_code(branches, forecast)
    codes = {branch.code for branch in branches}
    if len(codes) > 1:
        raise refuse(
            graph.outputs[1].node,
            "the outputs have different codes; all decoders must start from the same one.",
        )
    encoder = _encoder(traversal, codes.pop(), branches)
    _check_second_inputs(traversal, encoder, branches)
    classifies = len(branches) == 1 and _is_classifier(branches[0], encoder, forecast)
    if not classifies:
        _mark_forecasts(branches, encoder, forecast)
    _check_masks(traversal, encoder, branches)
    check_all_read(graph, traversal.read)
    written = [branch.steps for branch in branches if branch.decoder and not branch.forecast]
    candidates = [encoder.input_path.input.shape[0], *written, max_length]
    known = [steps for steps in candidates if steps is not None]
    if not known:
        raise InputError(
            "The time axis of the model is None; give the number of steps of the longest sequence "
            "as `max_length`."
        )
    for branch in branches:
        if branch.second is not None and branch.steps is None:
            branch.steps = known[0]
    if classifies:
        read = build_classifier(encoder, branches[0].head, known[0])
    else:
        read = build_model(encoder, branches, known[0])
    read.notes += _notes(encoder, branches, forecast, second_input, classifies=classifies)
    return read


def _notes(
    encoder: Encoder,
    branches: list[Branch],
    forecast: bool | None,
    second_input: str,
    *,
    classifies: bool,
) -> list[str]:
    """Return what was guessed, with the option that changes it, and what differs from Keras."""
    notes, masking = [], encoder.input_path.masking
    if masking is not None:
        notes.append(
            f"{masking.node} skips each step whose values are all "
            f"{masking.node.config['mask_value']:g}, wherever it is. The imported model reads "
            "lengths instead: give shorter sequences as a list, or padded with NaN. Steps in the "
            "padding then change nothing, as in Keras, but a masked step before the last real one "
            "is read like any other."
        )
    reads = [branch for branch in branches if branch.second is not None]
    if reads:
        other = "previous" if second_input == "reversed_input" else "reversed_input"
        name = "the reversed input" if second_input == "reversed_input" else "the previous step"
        notes.append(
            f"{reads[0].layers[0].node} reads {reads[0].second.node if reads[0].second else ''} "
            f"as {name}; second_input={other!r} changes that."
        )
    if classifies or forecast is not None or len(branches) != 1 or branches[0].decoder is None:
        return notes
    (branch,), steps = branches, encoder.input_path.input.shape[0]
    if not branch.forecast:
        notes.append(
            f"the output has the {branch.steps} steps of the input, so it is a reconstruction; if "
            "it is a forecast, use forecast=True."
        )
    elif branch.decoder == "dense" and len(branch.head.layers) == 1 and not branch.head.shape:
        notes.append(
            f"{branch.head.layers[0].node} is read as a forecast of {branch.head.layers[0].width} "
            "numbers; if it makes the code of an encoder, use forecast=False."
        )
    elif steps is not None:
        notes.append(
            f"the output has {branch.steps or 'no'} steps and the input {steps}, so it is a "
            "forecast."
        )
    return notes


def _branch(traversal: Traversal, output: Wire, second_input: str, forecast: bool | None) -> Branch:
    """Read the layers from an output back to the code."""
    head = traversal.head(output)
    base = head.base
    if base.kind in (*POOLED.values(), "Concatenate"):
        return Branch("dense" if head.layers else None, (base,), [], head)
    if base.kind == "Flatten":
        raise refuse(
            base.node,
            "it joins the states of all steps, which no estimator does; end the recurrent layers "
            "with return_sequences=False, GlobalAveragePooling1D or GlobalMaxPooling1D.",
        )
    if base.kind not in RECURRENT:
        raise refuse(base.node, f"an LSTM or GRU was expected at this place; {READABLE}")
    layers, source = traversal.stack(base)
    states = tuple(wire for layer in layers for wire in layer.node.states)
    if states:
        return _from_state(traversal, head, layers, source, states, second_input)
    if source.kind == "RepeatVector":
        code = traversal.back(source)
        steps, dropout = source.node.config["n"], source.node.dropout
        if not layers[0].node.dropout:  # an argument drops the same values at every step
            dropout = both(dropout, layers[0].dropout)
        return Branch("repeat", (code,), layers, head, steps, code_dropout=dropout)
    if source.kind == "Concatenate":
        return _with_second_input(traversal, head, layers, source, second_input)
    if source.kind == "Reshape" and len(source.node.inputs[0].shape) == 1:
        code = traversal.back(source)
        name = "reshape" if layers[-1].sequences else "flat"
        steps, dropout = source.shape[0], source.node.dropout
        return Branch(name, (code,), layers, head, steps, pieces=steps, code_dropout=dropout)
    if before_convolutions(source).kind not in (*SCALINGS, "InputLayer", "Masking"):
        raise refuse(
            source.node,
            "it is the input of a recurrent layer; an encoder must read a model input, and a "
            "decoder a RepeatVector or Reshape of the code.",
        )
    if layers[-1].sequences:
        one_way = all(len(layer.directions) == 1 for layer in layers)
        if not (forecast and head.layers and one_way):
            raise refuse(
                layers[-1].node,
                "it passes the states of all steps on, so the model has no code; the encoder's "
                "last layer needs return_sequences=False. If the outputs are forecasts made after "
                "each step, use forecast=True.",
            )
        return Branch("dense", (base,), [], head, every_step=True)
    return Branch("dense" if head.layers else None, (base,), [], head)


def _from_state(
    traversal: Traversal,
    head: Head,
    layers: list[Recurrent],
    source: Wire,
    states: tuple[Wire, ...],
    second_input: str,
) -> Branch:
    """Read a decoder that starts from the encoder's state."""
    if any(not layer.node.states for layer in layers):
        raise refuse(
            layers[-1].node,
            "only some layers of its stack have an initial state; give one to all or none.",
        )
    if source.kind != "RepeatVector":
        steps = source.shape[0]
        return Branch(f"state_{second_input}", states, layers, head, steps, source)
    repeated = traversal.back(source)
    traversal.read.add(repeated.node)
    name = "state"
    if any(part.w_ih.any() for part in layers[0].directions):
        name = "state_repeat"
        final = Wire(states[-1].node)
        hidden = [final, Wire(final.node, 1)] if final.kind != "Bidirectional" else [final]
        if repeated not in hidden:
            raise refuse(
                layers[0].node,
                "it reads a repeated vector and starts from states; the vector must be the output "
                "of the layer whose states they are.",
            )
    return Branch(name, states, layers, head, source.node.config["n"])


def _with_second_input(
    traversal: Traversal, head: Head, layers: list[Recurrent], source: Wire, second_input: str
) -> Branch:
    """Read a decoder that receives the code at every step, and a second input."""
    repeated = [wire for wire in source.node.inputs if wire.kind == "RepeatVector"]
    others = [wire for wire in source.node.inputs if wire.kind != "RepeatVector"]
    if len(repeated) != 1 or len(others) != 1 or source.node.config["axis"] not in (-1, 2):
        raise refuse(
            source.node,
            "expected a RepeatVector of the code and a second input, concatenated on axis -1.",
        )
    traversal.read.add(source.node)
    return Branch(
        second_input,
        (traversal.back(repeated[0]),),
        layers,
        head,
        repeated[0].node.config["n"],
        others[0],
        code_last=source.node.inputs[0] is others[0],
        code_dropout=repeated[0].node.dropout,
    )


def _check_second_inputs(traversal: Traversal, encoder: Encoder, branches: list[Branch]) -> None:
    """Check that a decoder's second input is a model input with the features of the first."""
    reversed_inputs: dict[str, Wire] = {}
    for branch in branches:
        if branch.second is None:
            continue
        second, name = traversal.input_path(branch.second), str(branch.decoder)
        if second.input == encoder.input_path.input:
            raise refuse(
                branch.layers[0].node,
                "it reads the encoder's input unchanged; give the reversed input or the previous "
                "step as a separate input of the model.",
            )
        if second.masking is not None:
            raise refuse(
                second.masking.node, "only the encoder's input may be masked; remove this layer."
            )
        check_same_scaling(encoder.input_path, second)
        if second.input.shape[-1] != encoder.n_features:
            raise refuse(
                second.input.node, f"expected {encoder.n_features} features, as in the first input."
            )
        if "reversed" in name and reversed_inputs.setdefault(name, second.input) != second.input:
            raise refuse(second.input.node, "all decoders must share one reversed input.")


def _share_code(branches: list[Branch], forecast: bool | None) -> None:
    """Distinguish a dense layer that computes the code from the layers of a dense decoder.

    A dense layer computes the code if another output starts from it, if it is the only layer and
    not a forecast, or if it is linear and layers after it are not.
    """
    others = {one.node for branch in branches for one in branch.code}
    for branch in branches:
        layers = branch.head.layers
        if branch.decoder != "dense":
            continue
        shared = [depth for depth, layer in enumerate(layers) if layer.output_wire.node in others]
        nonlinear = any(layer.activation != "linear" for layer in layers[1:-1])
        if shared or (nonlinear and layers[0].activation == "linear"):
            count = 1 + max(shared, default=0)
        elif len(branches) == len(layers) == 1 and forecast is False:
            count = 1
        else:
            continue
        branch.code = (layers[count - 1].output_wire,)
        branch.head = branch.head._replace(layers=layers[count:])
        branch.decoder = "dense" if layers[count:] else None
    for branch in branches:
        if branch.decoder == "dense":
            branch.code_dropout = branch.head.layers[0].node.dropout


def _encoder(traversal: Traversal, code: tuple[Wire, ...], branches: list[Branch]) -> Encoder:
    """Read the encoder of a code."""
    projection, wire = None, code[0]
    if len(code) == 1:
        projection, wire = traversal.dense(wire)
        pooling, wire = traversal.pooling(wire)
    else:
        pooling, wire = "last", Wire(code[-1].node)
    layers, source = traversal.stack(wire)
    if not layers:
        raise refuse(
            wire.node, "the final state of a recurrent encoder was expected at this place."
        )
    if any(layer.node.states for layer in layers):
        raise refuse(
            layers[0].node, "an encoder starts from zeros; call it without `initial_state`."
        )
    if len(code) > 1:
        expected = [
            (layer.node, 1 + i)
            for layer in layers
            for i in range(len(layer.kind.states) * len(layer.directions))
        ]
        if expected != [(one.node, one.output) for one in code]:
            raise refuse(
                branches[0].layers[0].node,
                "each of its layers must start from the states of the same layer of the encoder.",
            )
    elif len(layers) + len(layers[0].directions) > 2 and any(map(_starts_from_state, branches)):
        raise refuse(
            branches[0].layers[0].node,
            "it must start from the states of all layers and directions of the encoder.",
        )
    elif pooling == "last" and layers[-1].sequences and not branches[0].every_step:
        raise refuse(layers[-1].node, "the last layer of an encoder needs return_sequences=False.")
    elif wire.output > 1 or (wire.output and len(layers[-1].directions) > 1):
        raise refuse(layers[-1].node, "the code must be its output, not one of its other states.")
    bent = projection is not None and projection.activation != "linear"
    if bent and any(map(_starts_from_state, branches)):
        assert projection is not None
        raise refuse(
            projection.node,
            "the dense layer before a code that is the initial state of a decoder must be linear.",
        )
    convolutions, source = read_step_convolutions(traversal, source)
    input_path = traversal.input_path(source)
    encoder = Encoder(layers, projection, input_path, pooling, convolutions)
    width = encoder.width
    if projection is not None and projection.width == width:
        raise refuse(
            projection.node,
            f"the dense layer between LSTM and code must change the width, but both are {width}; "
            "remove it, or give it another number of units.",
        )
    return encoder


def _starts_from_state(branch: Branch) -> bool:
    """Return whether an output has a decoder that starts from a state."""
    kind = DECODERS.get(branch.decoder or "")
    return kind is not None and kind.starts


def _check_masks(traversal: Traversal, encoder: Encoder, branches: list[Branch]) -> None:
    """Check that all layers have the mask of the encoder; unspool uses lengths instead."""
    masks = [layer.node.mask for layer in encoder.layers]
    mask = masks[0]
    if any(other != mask for other in masks):
        raise refuse(
            encoder.layers[-1].node,
            "it has another mask than the first layer; call both with the same mask.",
        )
    if mask is not None:
        _check_mask(traversal, mask, encoder)
    elif encoder.input_path.masking is not None:
        raise refuse(encoder.input_path.masking.node, "no layer uses its mask; remove it.")
    for branch in branches:
        for layer in branch.layers:
            layer_mask = layer.node.mask
            if layer_mask is not None and layer_mask != mask:
                raise refuse(layer.node, OTHER_MASK)
            if layer_mask != mask and len(layer.directions) > 1 and not branch.forecast:
                raise refuse(
                    layer.node,
                    "it is bidirectional and has no mask, while the encoder has one; give it the "
                    "mask of the encoder.",
                )
        for dense in branch.head.layers:
            if dense.node.mask is not None and dense.node.mask != mask:
                raise refuse(dense.node, OTHER_MASK)


def _check_mask(traversal: Traversal, mask: Wire, encoder: Encoder) -> None:
    """Check that a mask is a separate input, or the result of `Masking` on the first input."""
    masking = encoder.input_path.masking
    if mask.kind == "InputLayer":
        traversal.read.add(mask.node)
        return
    of = mask.node.inputs[0] if mask.kind == "Any" else mask
    if masking is None or of.kind != "NotEqual" or of.node.inputs[0] != masking.node.inputs[0]:
        raise refuse(
            mask.node, "a mask must come from a Masking layer after the input, or be an input."
        )
    traversal.read |= {mask.node, of.node}


def _is_classifier(branch: Branch, encoder: Encoder, forecast: bool | None) -> bool:
    """Return whether an output is a softmax over classes, and not over the features of a step."""
    layers = branch.head.layers
    if branch.decoder != "dense" or branch.head.shape is not None or forecast:
        return False
    return layers[-1].activation == "softmax" and layers[-1].width != encoder.n_features


def _mark_forecasts(branches: list[Branch], encoder: Encoder, forecast: bool | None) -> None:
    """Mark forecasts among the outputs, and put the reconstruction first."""
    if len(branches) > 2:
        raise InputError(
            f"Expected a reconstruction, a forecast or both, got {len(branches)} outputs; make a "
            "keras.Model with those outputs."
        )
    input_steps = encoder.input_path.input.shape[0]
    for branch in branches:
        branch.steps = branch.head.shape[0] if branch.head.shape else branch.steps
    if len(branches) == 2:
        if branches[0].steps != input_steps and branches[1].steps == input_steps is not None:
            branches.reverse()
        branches[1].forecast = True
        if forecast is not None:
            raise InputError("`forecast` must be None for a model with two outputs.")
        if branches[0].decoder is None or branches[1].decoder is None:
            raise InputError(
                "Expected a reconstruction and a forecast, but one output is the code; make a "
                "keras.Model without it."
            )
        return
    (branch,) = branches
    if branch.decoder is None:
        if forecast:
            raise InputError(
                "The output is the encoder's state, not a forecast; leave `forecast` None."
            )
        return
    if branch.second is not None and branch.steps is None:  # as many as the encoder reads
        branch.steps, branch.forecast = input_steps, bool(forecast)
        return
    differs = branch.steps is None or (input_steps is not None and branch.steps != input_steps)
    branch.forecast = differs if forecast is None else forecast
    if differs and not branch.forecast:
        raise InputError(
            f"A reconstruction has the number of steps of the input, {input_steps}, but the output "
            f"has {branch.steps or 'no steps'}; use forecast=True if it is a forecast."
        )
