"""Reading Keras models with LSTM layers: an encoder, its code, and a decoder for each output.

From every output the way leads back over dense layers to LSTM layers. If these read the input,
they are the encoder; if they read a repeated or reshaped code, or start from a state, they are a
decoder, and the encoder is behind that.
"""

from unspool.errors import InputError
from unspool.interop.keras.assembly import Branch, Encoder, assembled, classifier
from unspool.interop.keras.graph import WANTED, Graph, Wire, refuse, unread
from unspool.interop.keras.layers import Recurrent
from unspool.interop.keras.traversal import SCALINGS, STACKED, Found, Head, Trail, scaled_alike


def read_recurrent_model(
    graph: Graph, second_input: str, forecast: bool | None, max_length: int | None
) -> Found:
    """Read a model with LSTM layers."""
    trail = Trail()
    branches = [_branch(trail, output, second_input) for output in graph.outputs]
    _share_code(branches, forecast)
    codes = {branch.code for branch in branches}
    if len(codes) > 1:
        raise refuse(graph.outputs[1].step, "the outputs do not come from one code.")
    encoder = _encoder(trail, codes.pop(), branches)
    _check_seconds(trail, encoder, branches)
    classifies = len(branches) == 1 and _is_classifier(branches[0], encoder, forecast)
    if not classifies:
        _tell_forecasts(branches, encoder, forecast)
    _masks(trail, encoder, branches)
    unread(graph, trail.read)
    steps = [branch.steps for branch in branches if branch.decoder and not branch.forecast]
    read = [encoder.front.input.shape[0], *steps, max_length]
    known = [one for one in read if one is not None]
    if not known:
        raise InputError(
            "The model does not say how long its sequences are (its time axis is None); tell the "
            "steps of the longest one with `max_length`."
        )
    if classifies:
        return classifier(encoder, branches[0].head, known[0])
    return assembled(encoder, branches, known[0])


def _branch(trail: Trail, output: Wire, second_input: str) -> Branch:
    head = trail.head(output)
    base = head.base
    if base.kind not in STACKED:
        raise refuse(base.step, f"it stands where an LSTM was expected; {WANTED}")
    layers, source = trail.stack(base)
    states = tuple(wire for layer in layers for wire in layer.step.states)
    if states:
        return _from_state(trail, head, layers, source, states, second_input)
    if source.kind == "RepeatVector":
        code = trail.back(source)
        return Branch("repeat", (code,), layers, head, source.step.config["n"])
    if source.kind == "Concatenate":
        return _beside_input(trail, head, layers, source, second_input)
    if source.kind == "Reshape" and len(source.step.reads[0].shape) == 1:
        code = trail.back(source)
        name = "reshape" if layers[-1].sequences else "flat"
        return Branch(name, (code,), layers, head, source.shape[0], pieces=source.shape[0])
    if source.kind not in (*SCALINGS, "InputLayer", "Masking"):
        raise refuse(
            source.step,
            "an LSTM reads it; an encoder reads an input, a decoder a RepeatVector or Reshape of "
            "the code.",
        )
    if layers[-1].sequences:
        raise refuse(
            layers[-1].step,
            "it gives the states of all steps to the output, and so leaves no code; the encoder's "
            "last layer needs return_sequences=False.",
        )
    return Branch("dense" if head.layers else None, (base,), [], head)


def _from_state(
    trail: Trail,
    head: Head,
    layers: list[Recurrent],
    source: Wire,
    states: tuple[Wire, ...],
    second_input: str,
) -> Branch:
    """A decoder that starts from the encoder's state."""
    if any(not layer.step.states for layer in layers):
        raise refuse(layers[-1].step, "some layers of its stack start from a state, others do not.")
    if source.kind != "RepeatVector":
        steps = source.shape[0]
        return Branch(f"state_{second_input}", states, layers, head, steps, source)
    if any(half.w_ih.any() for half in layers[0].halves):
        raise refuse(layers[0].step, "it is given the code both as a state and at every step.")
    trail.read.add(trail.back(source).step)
    return Branch("state", states, layers, head, source.step.config["n"])


def _beside_input(
    trail: Trail, head: Head, layers: list[Recurrent], source: Wire, second_input: str
) -> Branch:
    """A decoder that is given the code at every step, and a second input."""
    repeated = [wire for wire in source.step.reads if wire.kind == "RepeatVector"]
    others = [wire for wire in source.step.reads if wire.kind != "RepeatVector"]
    if len(repeated) != 1 or len(others) != 1 or source.step.config["axis"] not in (-1, 2):
        raise refuse(source.step, "expected a repeated code and a second input side by side.")
    trail.read.add(source.step)
    return Branch(
        second_input,
        (trail.back(repeated[0]),),
        layers,
        head,
        repeated[0].step.config["n"],
        others[0],
        code_last=source.step.reads[0] is others[0],
    )


def _check_seconds(trail: Trail, encoder: Encoder, branches: list[Branch]) -> None:
    """What decoders read besides the code is an input of its own, as wide as the first."""
    found: dict[str, Wire] = {}
    for branch in branches:
        if branch.second is None:
            continue
        second, name = trail.front(branch.second), str(branch.decoder)
        if second.input == encoder.front.input:
            raise refuse(
                branch.layers[0].step,
                "it reads the encoder's input as it is; what can be had is the input backwards or "
                "the step before, as an input of its own.",
            )
        if second.masking is not None:
            raise refuse(second.masking.step, "only the encoder's input can be masked.")
        scaled_alike(encoder.front, second)
        if second.input.shape[-1] != encoder.n_features:
            raise refuse(second.input.step, f"expected {encoder.n_features} features in it.")
        if "reversed" in name and found.setdefault(name, second.input) != second.input:
            raise refuse(second.input.step, "the outputs have to share the input read backwards.")


def _share_code(branches: list[Branch], forecast: bool | None) -> None:
    """Tell a dense layer that makes the code from those of a dense decoder behind it.

    It makes the code where another output starts from there, where it is all there is and is no
    forecast, or where it is linear and layers behind it are not.
    """
    others = {one.step for branch in branches for one in branch.code}
    for branch in branches:
        layers = branch.head.layers
        if branch.decoder != "dense":
            continue
        shared = [depth for depth, layer in enumerate(layers) if layer.behind.step in others]
        bent = any(layer.activation != "linear" for layer in layers[1:-1])
        if shared or (bent and layers[0].activation == "linear"):
            count = 1 + max(shared, default=0)
        elif len(branches) == len(layers) == 1 and forecast is False:
            count = 1
        else:
            continue
        branch.code = (layers[count - 1].behind,)
        branch.head = branch.head._replace(layers=layers[count:])
        branch.decoder = "dense" if layers[count:] else None


def _encoder(trail: Trail, code: tuple[Wire, ...], branches: list[Branch]) -> Encoder:
    """The encoder of a code."""
    projection, wire = None, code[0]
    if len(code) == 1:
        projection, wire = trail.dense(wire)
    else:
        wire = Wire(code[-1].step)
    layers, source = trail.stack(wire)
    if not layers:
        raise refuse(wire.step, "it stands where the final state of an LSTM encoder was expected.")
    if any(layer.step.states for layer in layers):
        raise refuse(layers[0].step, "an encoder cannot start from a state.")
    if len(code) > 1:
        expected = [(layer.step, 1 + i) for layer in layers for i in range(2 * len(layer.halves))]
        if expected != [(one.step, one.output) for one in code]:
            raise refuse(
                branches[0].layers[0].step,
                "it has to start from h and c of the encoder's layers, each from its own.",
            )
    elif layers[-1].sequences:
        raise refuse(
            layers[-1].step, "it is the encoder's last layer, which needs return_sequences=False."
        )
    elif wire.output > 1 or (wire.output and len(layers[-1].halves) > 1):
        raise refuse(layers[-1].step, "the code has to be its h, not its c.")
    if projection is not None and projection.activation != "linear":
        raise refuse(projection.step, "what leads from LSTM to code has to be linear.")
    front = trail.front(source)
    if len(front.input.shape) != 2:
        raise refuse(front.input.step, "sequences (steps, features) were expected.")
    encoder = Encoder(layers, projection, front)
    width = layers[-1].units * len(layers[-1].halves)
    if projection is not None and projection.width == width:
        raise refuse(
            projection.step,
            f"a linear layer leads from LSTM to code only where their widths differ, both are "
            f"{width}; leave it out, or make it wider or narrower.",
        )
    return encoder


def _masks(trail: Trail, encoder: Encoder, branches: list[Branch]) -> None:
    """Lengths stand in for a mask, which has to be that of the encoder throughout."""
    masks = [layer.step.mask for layer in encoder.layers]
    mask = masks[0]
    if any(other != mask for other in masks):
        raise refuse(encoder.layers[-1].step, "its mask is not that of the first layer.")
    if mask is not None:
        _check_mask(trail, mask, encoder)
    elif encoder.front.masking is not None:
        raise refuse(encoder.front.masking.step, "nothing reads its mask.")
    for branch in branches:
        for layer in branch.layers:
            own = layer.step.mask
            if own is not None and own != mask:
                raise refuse(layer.step, "its mask is not that of the encoder.")
            if own != mask and len(layer.halves) > 1 and not branch.forecast:
                raise refuse(
                    layer.step,
                    "it writes from both ends without a mask, while the encoder has one; give it "
                    "the encoder's.",
                )
        for layer_ in branch.head.layers:
            if layer_.step.mask is not None and layer_.step.mask != mask:
                raise refuse(layer_.step, "its mask is not that of the encoder.")


def _check_mask(trail: Trail, mask: Wire, encoder: Encoder) -> None:
    """A mask is an input of its own, or what `Masking` makes of the first one."""
    masking = encoder.front.masking
    if mask.kind == "InputLayer":
        trail.read.add(mask.step)
        return
    of = mask.step.reads[0] if mask.kind == "Any" else mask
    if masking is None or of.kind != "NotEqual" or of.step.reads[0] != masking.step.reads[0]:
        raise refuse(mask.step, "masks come from a Masking layer in front, or are an input.")
    trail.read |= {mask.step, of.step}


def _is_classifier(branch: Branch, encoder: Encoder, forecast: bool | None) -> bool:
    layers = branch.head.layers
    if branch.decoder != "dense" or branch.head.shape is not None or forecast:
        return False
    return layers[-1].activation == "softmax" and layers[-1].width != encoder.n_features


def _tell_forecasts(branches: list[Branch], encoder: Encoder, forecast: bool | None) -> None:
    """Say which of the outputs are forecasts, and in which order."""
    if len(branches) > 2:
        raise InputError(
            f"Expected a reconstruction, a forecast or both, got {len(branches)} outputs; make a "
            "keras.Model of the ones that matter."
        )
    read = encoder.front.input.shape[0]
    for branch in branches:
        branch.steps = branch.head.shape[0] if branch.head.shape else branch.steps
    if len(branches) == 2:
        if branches[0].steps != read and branches[1].steps == read is not None:
            branches.reverse()
        branches[1].forecast = True
        if forecast is not None:
            raise InputError("`forecast` is for models with one output, this one has two.")
        if branches[0].decoder is None or branches[1].decoder is None:
            raise InputError("Expected a reconstruction and a forecast, but an output is the code.")
        return
    (branch,) = branches
    if branch.decoder is None:
        if forecast:
            raise InputError("The output is the encoder's state, not a forecast.")
        return
    unlike = branch.steps is None or (read is not None and branch.steps != read)
    branch.forecast = unlike if forecast is None else forecast
    if unlike and not branch.forecast:
        raise InputError(
            f"An autoencoder gives back as many steps as it reads, this model reads {read} and "
            f"gives {branch.steps or 'a vector'}; it may be a forecast (forecast=True)."
        )
