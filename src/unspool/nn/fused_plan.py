"""Describe an autoencoder as stages of `unspool.lstm.fused`, if all of its parts are served."""

from collections.abc import Mapping
from typing import Any, NamedTuple, cast

from torch import nn

from unspool.lstm import fused
from unspool.nn.autoencoder import Autoencoder
from unspool.nn.dense import Sigmoid
from unspool.nn.dropout import Dropout
from unspool.nn.feedforward import DenseDecoder
from unspool.nn.lstm_decoder import LSTMDecoder
from unspool.nn.lstm_encoder import LSTMEncoder
from unspool.nn.lstm_layer import LSTMLayer
from unspool.nn.lstm_stack import LSTM

ACTIVATIONS: Mapping[type[nn.Module], fused.DenseActivation] = {
    nn.Identity: "linear",
    nn.ReLU: "relu",
    nn.Tanh: "tanh",
    Sigmoid: "sigmoid",
    nn.Softmax: "softmax",
}


class NotServed(Exception):
    """A part of a model is not served; the message says which, as the end of a sentence."""


class Shape(NamedTuple):
    """What the stages depend on, in addition to the model.

    Parameters
    ----------
    batch, steps : int
        Number of sequences and of their steps.
    loss : str
        Name of the loss.
    lengths : bool
        Whether the sequences have lengths.
    weighted : tuple of str
        Decoders whose errors have weights.
    training : bool
        Whether gradients are computed.
    recurrent, code : bool
        Whether there is dropout of hidden states, and of the code.
    """

    batch: int
    steps: int
    loss: str
    lengths: bool
    weighted: tuple[str, ...]
    training: bool
    recurrent: bool
    code: bool


class Plan(NamedTuple):
    """An autoencoder as stages, and the layers that they run."""

    stages: list[fused.Stage]
    layers: list[LSTMLayer]


def plan_of(model: Autoencoder, shape: Shape, dropout: Dropout) -> Plan:
    """Return the stages of a model.

    Raises
    ------
    NotServed
        If a part of the model is not served.
    """
    if shape.loss not in fused.LOSSES:
        raise NotServed(f"the loss {shape.loss!r} is none of {', '.join(fused.LOSSES)}")
    if not model.decoders:
        raise NotServed("there is no decoder")
    planner = _Planner(model, shape, dropout)
    planner.add_encoder()
    for name in model.decoders:
        planner.add_decoder(name)
    return Plan(planner.stages, planner.layers)


def mask_name(stack: str, number: int) -> str:
    """Return the name of the mask of a layer's hidden state."""
    return f"{stack}.mask{number}"


def reads_backwards(model: Autoencoder, name: str) -> bool:
    """Return whether a decoder reads what the encoder reads, from the last step to the first."""
    decoder, encoder = model.decoder(name), model.encoder
    return (
        name == "reconstruction"
        and decoder.needs_input
        and not decoder.n_known
        and getattr(decoder, "patch_size", 1) == getattr(encoder, "patch_size", 1) == 1
        and getattr(encoder, "normalization", "none") == "none"
    )


class _Planner:
    """Collects the stages of a model."""

    def __init__(self, model: Autoencoder, shape: Shape, dropout: Dropout) -> None:
        self.model, self.shape, self.dropout = model, shape, dropout
        self.stages: list[fused.Stage] = []
        self.layers: list[LSTMLayer] = []
        self.code = "code"

    # The encoder.

    def add_encoder(self) -> None:
        """Add the stages that compute the code."""
        encoder = self.model.encoder
        if type(encoder) is not LSTMEncoder:
            raise NotServed(f"the encoder is no LSTMEncoder but of {type(encoder).__name__}")
        if encoder.log_variance is not None:
            raise NotServed("codes are drawn from distributions")
        if encoder.convolutions is not None:
            raise NotServed("the encoder begins with convolutions")
        activation = self._activation(encoder.code_activation)
        if encoder.projection is None and activation != "linear":
            raise NotServed("the code has an activation, but is no projection")
        steps = -(-self.shape.steps // encoder.patch_size)
        vector = "code" if encoder.projection is None else "features"
        width = self._add_stack(
            "encoder",
            encoder.lstm,
            steps,
            reads="x",
            lengths="lengths" if self.shape.lengths else None,
            vector=vector,
            statistics=encoder.statistics,
            whole_state=encoder.whole_state,
        )
        if encoder.kernels is not None:
            count = len(encoder.kernels.weight)
            self.stages.append(fused.CopyStage("kernels", vector, count, width))
        if encoder.projection is not None:
            layer = encoder.projection
            if activation == "softmax":
                raise NotServed("the code is a softmax")
            self.stages.append(
                fused.DenseStage(
                    layer.weight, layer.bias, vector, "code", activation, layer.shift, layer.scale
                )
            )
        if self.shape.code:
            self.stages.append(fused.MaskStage("code.mask", "code", "dropped"))
            self.code = "dropped"

    def _add_stack(
        self,
        name: str,
        lstm: LSTM,
        steps: int,
        *,
        reads: str | None,
        lengths: str | None,
        reads_backwards: bool = False,
        context: str | None = None,
        start: str | None = None,
        states: str | None = None,
        vector: str | None = None,
        statistics: tuple[Any, ...] = (),
        whole_state: bool = False,
    ) -> int:
        """Add the layers of a stack; return the number of values that they write to `vector`."""
        stack, sizes = lstm.stack(), lstm.state_sizes
        if self.dropout.layers and len(stack) > 1:
            raise NotServed("there is dropout between layers")
        total, number = sum(sizes), 0
        for depth, directions in enumerate(stack):
            last = depth == len(stack) - 1
            written = states if last else f"{name}.states{depth}"
            width = sum(layer.units for layer in directions)
            for direction, layer in enumerate(directions):
                before, side = sum(sizes[:number]), direction * directions[0].units
                options: dict[str, Any] = {}
                if whole_state and vector is not None:
                    c_place = total + before if layer.cell.kind == "lstm" else None
                    options = {"vector": vector, "statistics": ("last",), "place": before}
                    options["c_place"] = c_place
                elif last and vector is not None:
                    options = {"vector": vector, "statistics": statistics, "place": side}
                    options["stride"] = width
                if start is not None:
                    places = (before, total + before) if layer.cell.kind == "lstm" else (before,)
                    options |= {"start": start, "start_places": places}
                if depth == 0:
                    options |= {"context": context, "reads_backwards": reads_backwards}
                self._add_layer(
                    layer,
                    steps,
                    reads=reads,
                    lengths=lengths,
                    beside=direction > 0,
                    h_mask=mask_name(name, number) if self.shape.recurrent else None,
                    states=written,
                    states_place=side,
                    **options,
                )
                number += 1
            reads = written
        return lstm.whole_state if whole_state else lstm.state_size * len(statistics)

    def _add_layer(self, layer: LSTMLayer, steps: int, **options: Any) -> None:
        choice = layer.choice(self.shape.batch, h_mask=self.shape.recurrent)
        if choice.name != "compiled":
            raise NotServed(f"a layer runs on {choice.name!r}: {choice.reason}")
        self.layers.append(layer)
        self.stages.append(
            fused.LSTMStage(
                steps,
                layer.weight_ih,
                layer.weight_hh,
                layer.bias,
                layer.weight_context,
                layer.cell.activation,
                layer.cell.recurrent_activation,
                layer.cell.kind,
                reverse=layer.reverse,
                **options,
            )
        )

    # The decoders.

    def add_decoder(self, name: str) -> None:
        """Add the stages of a decoder and of its loss."""
        decoder = self.model.decoder(name)
        if name == "quantiles":
            raise NotServed("quantiles have a loss of their own")
        if type(decoder) is DenseDecoder:
            if decoder.n_known:
                raise NotServed("a dense decoder reads known features")
            if self.dropout.layers:
                raise NotServed("there is dropout between layers")
            self._add_loss(name, decoder.head, self.code)
            return
        if type(decoder) is not LSTMDecoder:
            raise NotServed(f"a decoder is no LSTMDecoder but of {type(decoder).__name__}")
        if decoder.feeds_back:
            raise NotServed("a decoder reads its outputs")
        kind, steps = decoder.kind, self.steps_of(name)
        start = None
        if kind.starts:
            start = self.code
            if decoder.start is not None:
                start = f"{name}.start"
                layer = decoder.start
                self.stages.append(fused.DenseStage(layer.weight, layer.bias, self.code, start))
        by_pieces = kind.code == "steps"
        if by_pieces:
            self._check_pieces(decoder)
            steps = decoder.max_steps or 0 if kind.flat else steps
        reads = self.code if by_pieces else None
        backwards = reads_backwards(self.model, name)
        if backwards:
            reads = "x"
        elif decoder.needs_input or decoder.reads_place or decoder.n_known:
            reads = f"{name}.reads"
        lengths = None
        if name == "reconstruction" and self.shape.lengths and not kind.flat:
            lengths = "lengths"
        written = f"{name}.states"
        self._add_stack(
            name,
            decoder.lstm,
            steps,
            reads=reads,
            lengths=lengths,
            reads_backwards=backwards,
            context=self.code if kind.repeats else None,
            start=start,
            states=None if kind.flat else written,
            vector=written if kind.flat else None,
            statistics=("last",) if kind.flat else (),
        )
        self._add_loss(name, decoder.head, written)

    def _check_pieces(self, decoder: LSTMDecoder) -> None:
        """Refuse a decoder whose code would have to be padded to pieces of equal length."""
        assert decoder.max_steps is not None
        count = -(-decoder.max_steps // decoder.patch_size)
        if decoder.n_known:
            raise NotServed("a decoder reads pieces of the code and known features")
        if decoder.lstm.stack()[0][0].input_size * count != self.model.encoder.latent_dim:
            raise NotServed("the code is padded before it is cut into pieces")
        if decoder.kind.flat and (decoder.patch_size > 1 or len(decoder.lstm.stack()[-1]) > 1):
            raise NotServed("a flat decoder reads patches or both directions")

    def steps_of(self, name: str) -> int:
        """Return the number of steps, or of patches, that a decoder writes."""
        decoder = self.model.decoder(name)
        steps = self.shape.steps if name == "reconstruction" else self.model.horizon
        return -(-steps // (decoder.patch_size if isinstance(decoder, LSTMDecoder) else 1))

    def _add_loss(self, name: str, head: nn.Sequential, reads: str) -> None:
        modules = [module for module in head if not isinstance(module, nn.Unflatten)]
        layers = []
        for linear, module in zip(modules[::2], modules[1::2], strict=True):
            if not isinstance(linear, nn.Linear):
                raise NotServed(f"a layer of a head is of {type(linear).__name__}")
            activation = self._activation(module)
            if activation == "softmax" and linear is not modules[-2]:
                raise NotServed("a layer of a head is a softmax")
            layers.append(fused.Dense(linear.weight, linear.bias, activation))
        if not layers:
            raise NotServed("a decoder has no output layer")
        decoder = self.model.decoder(name)
        skips = name == "forecast" and self.model.skip is not None
        on_vector = not isinstance(decoder, LSTMDecoder) or decoder.kind.flat
        self.stages.append(
            fused.LossStage(
                layers,
                reads,
                f"{name}.target",
                self.shape.loss,
                lengths=(
                    "lengths"
                    if name == "reconstruction" and self.shape.lengths and not on_vector
                    else None
                ),
                error_weights=f"{name}.weights" if name in self.shape.weighted else None,
                factors=f"{name}.factors" if skips else None,
                offsets=f"{name}.offsets" if skips else None,
                features=cast(int, decoder.n_features),
            )
        )

    def _activation(self, module: nn.Module) -> fused.DenseActivation:
        if type(module) not in ACTIVATIONS:
            raise NotServed(f"an activation is {type(module).__name__}")
        return ACTIVATIONS[type(module)]
