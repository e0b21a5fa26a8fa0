"""The kinds of parts: what each is told, how wide it is, and the weights it has.

`weights` of a part gives name and shape of each, as in the `state_dict` of its PyTorch module;
these names are part of the file format (docs/model-file.md).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar, NamedTuple

from unspool._types import (
    ActivationName,
    CellActivationName,
    GateActivationName,
    LSTMDecoderName,
    NormalizationName,
    PoolingName,
    StatisticName,
    names,
)

Size = tuple[int, int]  # of an image, a kernel or a pool: height and width
Weights = Iterator[tuple[str, tuple[int, ...]]]


class Kind(NamedTuple):
    """How a decoder gets its code, and what it reads besides."""

    code: str  # "context": at every step; "state": to start from; "steps": cut into steps
    reads: str | None = None  # "reversed_input", "previous", or nothing
    flat: bool = False  # all steps at once from the final state

    @property
    def both_ways(self) -> bool:
        """Whether it could run from the last step back as well."""
        return self.reads != "previous" and not self.flat


DECODERS: Mapping[str, Kind] = {
    "repeat": Kind("context"),
    "reversed_input": Kind("context", "reversed_input"),
    "previous": Kind("context", "previous"),
    "state": Kind("state"),
    "state_reversed_input": Kind("state", "reversed_input"),
    "state_previous": Kind("state", "previous"),
    "reshape": Kind("steps"),
    "flat": Kind("steps", flat=True),
}


# Statistics of an encoder's states over the steps of a sequence, by the name of the pooling.
POOLINGS: Mapping[str, tuple[StatisticName, ...]] = {
    "last": ("last",),
    "mean": ("mean",),
    "max": ("max",),
    "mean_max": ("mean", "max"),
    "all": ("last", "mean", "max", "min", "std"),
}
VARIANCE_FLOOR = 1e-6  # is added to a variance before its root is taken

# The place of patch k is the sine and the cosine of 2π · j · k / PERIOD for j = 1 … WAVES.
WAVES, PERIOD = 16, 64
# What is subtracted from every sequence before it is encoded and added to its forecast: nothing,
# its last value, or its mean (and then it is divided and multiplied by its standard deviation).
NORMALIZATIONS = names(NormalizationName)


@dataclass(frozen=True)
class Layers:
    """A stack of LSTM layers.

    Parameters
    ----------
    inputs : int
        Features that the first layer reads at each step; 0 for none.
    units : int
    num_layers : int
    bidirectional : bool
    context : int
        Width of what the first layer is given at every step; 0 for nothing.
    activation, recurrent_activation : str
    """

    inputs: int
    units: int
    num_layers: int = 1
    bidirectional: bool = False
    context: int = 0
    activation: CellActivationName = "tanh"
    recurrent_activation: GateActivationName = "sigmoid"

    @property
    def directions(self) -> int:
        """1, or 2 where every layer reads both ways."""
        return 1 + self.bidirectional

    @property
    def width(self) -> int:
        """Of the last layer's states at a step."""
        return self.units * self.directions

    @property
    def whole_state(self) -> int:
        """Numbers in h and c of all layers."""
        return 2 * self.num_layers * self.width

    def weights(self) -> Weights:
        """Gates in the order i, f, c, o along the first axis."""
        gates = 4 * self.units
        for depth in range(self.num_layers):
            inputs, context = (0, 0) if depth else (self.inputs, self.context)
            for direction in range(self.directions):
                prefix = f"layers.{depth}.{direction}."
                if context:
                    yield f"{prefix}weight_context", (gates, context)
                if depth or inputs:
                    yield f"{prefix}weight_ih", (gates, self.width if depth else inputs)
                yield f"{prefix}weight_hh", (gates, self.units)
                yield f"{prefix}bias", (gates,)


@dataclass(frozen=True)
class Head:
    """Dense layers, applied to every step or to a vector.

    Parameters
    ----------
    inputs, outputs : int
    units : tuple of int, or None
        Widths of the layers in between; None for no layer at all, when what comes in goes out.
    steps : int, optional
        As many steps, of `outputs` each, are made of one vector.
    activation, output_activation : str
        Of the layers in between, and of the last.
    """

    inputs: int
    outputs: int
    units: tuple[int, ...] | None = ()
    steps: int | None = None
    activation: ActivationName = "relu"
    output_activation: ActivationName = "linear"

    @property
    def widths(self) -> list[int]:
        """Of what comes in, and after each layer."""
        if self.units is None:
            return [self.inputs]
        return [self.inputs, *self.units, self.outputs * (1 if self.steps is None else self.steps)]

    @property
    def activations(self) -> list[str]:
        """Of each layer."""
        between = len(self.widths) - 2
        activations: list[str] = [*[self.activation] * between, self.output_activation]
        return activations[: between + 1]

    def weights(self) -> Weights:
        """Every second module of a `torch.nn.Sequential` is an activation."""
        for depth, (wide, narrow) in enumerate(pairwise(self.widths)):
            yield f"{2 * depth}.weight", (narrow, wide)
            yield f"{2 * depth}.bias", (narrow,)


@dataclass(frozen=True)
class Kernels:
    """Random convolution kernels of `TAPS` values, as many for every dilation.

    Parameters
    ----------
    n_features : int
    dilations : tuple of int
        Steps from one value of a kernel to the next.
    each : int
        Kernels of a dilation.
    """

    n_features: int
    dilations: tuple[int, ...]
    each: int

    TAPS: ClassVar[int] = 9

    @classmethod
    def of(cls, count: int, n_features: int, steps: int) -> "Kernels":
        """About `count` kernels with dilations 1, 2, 4, … that span at most `steps` steps."""
        most = max(1, (steps - 1) // (cls.TAPS - 1))
        dilations = tuple(1 << power for power in range(most.bit_length()))
        return cls(n_features, dilations, max(1, count // len(dilations)))

    @property
    def width(self) -> int:
        """Kernels of all dilations."""
        return len(self.dilations) * self.each

    def weights(self) -> Weights:
        """Those of the kernels, which are not trained."""
        yield "weight", (self.width, self.n_features, self.TAPS)
        yield "bias", (self.width,)


@dataclass(frozen=True)
class LSTMEncoder:
    """LSTM layers whose states are pooled; `whole_state` takes the final h and c of all layers.

    The LSTM reads patches of `patch_size` steps: patch_size · F numbers at each of its own steps.
    `kernels` read the sequence step by step beside it, and the code is made of what both give.
    """

    n_features: int
    latent_dim: int
    lstm: Layers
    whole_state: bool = False
    variational: bool = False
    pooling: PoolingName = "last"
    kernels: Kernels | None = None
    patch_size: int = 1
    normalization: NormalizationName = "none"

    most_steps = None

    @property
    def statistics(self) -> tuple[StatisticName, ...]:
        """What is taken of the last layer's states over the steps of a sequence."""
        return POOLINGS[self.pooling]

    @property
    def features(self) -> int:
        """Numbers that the code is made of."""
        if self.whole_state:
            return self.lstm.whole_state
        beside = 0 if self.kernels is None else self.kernels.width
        return self.lstm.width * len(self.statistics) + beside

    def weights(self) -> Weights:
        """Those of the LSTM and the kernels, then what leads to the code."""
        yield from _prefixed("lstm.", self.lstm.weights())
        if self.kernels is not None:
            yield from _prefixed("kernels.", self.kernels.weights())
        yield from _to_code(self)


@dataclass(frozen=True)
class DenseEncoder:
    """Dense layers on a whole sequence of at most `steps` steps."""

    n_features: int
    latent_dim: int
    steps: int
    units: tuple[int, ...] = ()
    activation: ActivationName = "relu"
    code_activation: ActivationName = "relu"
    variational: bool = False

    @property
    def most_steps(self) -> int:
        """Steps of the longest sequence that it can read."""
        return self.steps

    @property
    def features(self) -> int:
        """Numbers that the code is made of."""
        return self.latent_dim

    @property
    def layers(self) -> Head:
        """The dense layers, up to the code."""
        return Head(
            self.steps * self.n_features,
            self.latent_dim,
            self.units,
            None,
            self.activation,
            self.code_activation,
        )

    def weights(self) -> Weights:
        """Those of the layers, then what leads to the code."""
        yield from _prefixed("layers.", self.layers.weights())
        yield from _to_code(self)


@dataclass(frozen=True)
class ConvEncoder:
    """Convolutions, each followed by a pool; the code is made of the last map."""

    n_features: int
    latent_dim: int
    shape: Size
    filters: tuple[int, ...]
    kernel: Size
    pool: Size
    activation: ActivationName = "relu"
    variational: bool = False

    @property
    def most_steps(self) -> int:
        """Pixels of an image, or steps of the longest sequence that it can read."""
        return self.shape[0] * self.shape[1]

    @property
    def features(self) -> int:
        """Numbers that the code is made of: the last map's."""
        height, width = sizes(self.shape, self.pool, len(self.filters))[-1]
        return height * width * self.filters[-1]

    def weights(self) -> Weights:
        """Those of the convolutions, then what leads to the code."""
        for depth, (wide, narrow) in enumerate(pairwise([self.n_features, *self.filters])):
            yield f"convolutions.{depth}.weight", (narrow, wide, *self.kernel)
            yield f"convolutions.{depth}.bias", (narrow,)
        yield from _to_code(self)


@dataclass(frozen=True)
class LSTMDecoder:
    """LSTM layers that decode a code, with dense layers on every step; `name` as in `DECODERS`.

    The LSTM runs a step for every patch of `patch_size` steps, of which the head makes the steps.
    """

    name: LSTMDecoderName
    n_features: int
    latent_dim: int
    lstm: Layers
    head: Head
    steps: int
    reverse_target: bool = False
    patch_size: int = 1

    @property
    def kind(self) -> Kind:
        """How it gets its code, and what it reads besides."""
        return DECODERS[self.name]

    @property
    def most_steps(self) -> int | None:
        """Steps of the longest sequence that it can give; None where there is no bound."""
        return self.steps if self.kind.code == "steps" else None

    @property
    def pieces(self) -> int:
        """How many pieces a code is cut into, one for each step of the LSTM."""
        return patches_of(self.steps, self.patch_size)

    @property
    def reads_place(self) -> bool:
        """Whether it reads the place of each patch, since it reads nothing else there."""
        return self.patch_size > 1 and self.kind.reads is None and self.kind.code != "steps"

    @property
    def starts(self) -> bool:
        """Whether a linear layer leads from the code to the state it starts from."""
        return self.kind.code == "state" and self.latent_dim != self.lstm.whole_state

    def weights(self) -> Weights:
        """Those of the LSTM, of what leads to its initial state, and of the head."""
        yield from _prefixed("lstm.", self.lstm.weights())
        if self.starts:
            yield from _linear("start.", self.latent_dim, self.lstm.whole_state)
        yield from _prefixed("head.", self.head.weights())


@dataclass(frozen=True)
class DenseDecoder:
    """Dense layers that give all steps at once."""

    n_features: int
    latent_dim: int
    head: Head

    @property
    def most_steps(self) -> int:
        """Steps of the longest sequence that it can give."""
        return self.head.steps or 0

    def weights(self) -> Weights:
        """Those of the layers."""
        return _prefixed("head.", self.head.weights())


@dataclass(frozen=True)
class ConvDecoder:
    """A convolution, then for each pool of the encoder an enlargement and a convolution."""

    n_features: int
    latent_dim: int
    shape: Size
    filters: tuple[int, ...]  # of the encoder
    kernel: Size
    pool: Size
    activation: ActivationName = "relu"
    output_activation: ActivationName = "linear"

    @property
    def most_steps(self) -> int:
        """Pixels of an image, or steps of the longest sequence that it can give."""
        return self.shape[0] * self.shape[1]

    @property
    def map_shape(self) -> tuple[int, int, int]:
        """Of what the first convolution reads, (H, W, filters)."""
        return *sizes(self.shape, self.pool, len(self.filters))[-1], self.filters[-1]

    @property
    def starts(self) -> bool:
        """Whether a dense layer leads from the code to the first map."""
        height, width, filters = self.map_shape
        return self.latent_dim != height * width * filters

    @property
    def channels(self) -> list[int]:
        """What each convolution reads, and what the last one gives."""
        return [self.filters[-1], *reversed(self.filters), self.n_features]

    def weights(self) -> Weights:
        """Those of what leads to the first map, and of the convolutions."""
        if self.starts:
            height, width, filters = self.map_shape
            yield from _linear("start.", self.latent_dim, height * width * filters)
        for depth, (wide, narrow) in enumerate(pairwise(self.channels)):
            yield f"convolutions.{depth}.weight", (narrow, wide, *self.kernel)
            yield f"convolutions.{depth}.bias", (narrow,)


@dataclass(frozen=True)
class Skip:
    """What leads from a sequence to its forecast beside the code.

    Parameters
    ----------
    n_features, horizon : int
    steps : int
        Last steps of a sequence that a linear map for each feature reads; 0 for no such map.
    normalization : str
        What is undone on the forecast, as in `NORMALIZATIONS`.
    """

    n_features: int
    horizon: int
    steps: int
    normalization: NormalizationName

    def weights(self) -> Weights:
        """What outputs are multiplied with, and the linear maps: to every step of the forecast."""
        yield "scale", (self.n_features,)
        if self.steps:
            yield "weight", (self.n_features, self.horizon, self.columns)

    @property
    def columns(self) -> int:
        """Numbers that the linear map of a feature reads: steps, and the level where there is one.

        The steps are read less the level, the last value or the mean.
        """
        return self.steps + (self.normalization != "none")


Encoder = LSTMEncoder | DenseEncoder | ConvEncoder
Decoder = LSTMDecoder | DenseDecoder | ConvDecoder


@dataclass(frozen=True)
class Blueprint:
    """A whole model.

    Parameters
    ----------
    encoder : Encoder
    decoders : mapping of "reconstruction", "forecast" and "quantiles" to Decoder
    horizon : int
        Steps of the forecast, 0 for none.
    skip : Skip, optional
        From the sequence to its forecast, beside the code.
    head : Head, optional
        From the code to the classes of a classifier.
    """

    encoder: Encoder
    decoders: Mapping[str, Decoder]
    horizon: int = 0
    skip: Skip | None = None
    head: Head | None = None

    def weights(self) -> Weights:
        """All weights, by their names in the whole module."""
        yield from _prefixed("encoder.", self.encoder.weights())
        for name, decoder in self.decoders.items():
            yield from _prefixed(f"decoders.{name}.", decoder.weights())
        if self.skip is not None:
            yield from _prefixed("skip.", self.skip.weights())
        if self.head is not None:
            yield from _prefixed("head.", self.head.weights())


def patches_of(steps: int, patch_size: int) -> int:
    """How many patches so many steps fill; the last one may be incomplete."""
    return -(-steps // patch_size)


def sizes(shape: Size, pool: Size, times: int) -> list[Size]:
    """Of an image of `shape`, and after each of as many pools."""
    found = [shape]
    for _ in range(times):
        height, width = found[-1]
        found.append((-(-height // pool[0]), -(-width // pool[1])))
    return found


def projects(encoder: Encoder) -> bool:
    """Whether a linear layer leads from an encoder's features to its code."""
    beside = isinstance(encoder, LSTMEncoder) and encoder.kernels is not None
    return encoder.features != encoder.latent_dim or encoder.variational or beside


def _to_code(encoder: Encoder) -> Weights:
    if projects(encoder):
        yield from _linear("projection.", encoder.features, encoder.latent_dim)
    if encoder.variational:
        yield from _linear("log_variance.", encoder.features, encoder.latent_dim)


def _linear(prefix: str, inputs: int, outputs: int) -> Weights:
    yield f"{prefix}weight", (outputs, inputs)
    yield f"{prefix}bias", (outputs,)


def _prefixed(prefix: str, weights: Weights) -> Weights:
    return ((prefix + name, shape) for name, shape in weights)
