"""The parts of a model, encoders and decoders: their sizes and the weights that they have."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod

from unspool._types import (
    ActivationName,
    LSTMDecoderName,
    NormalizationName,
    PoolingName,
    StatisticName,
)
from unspool.blueprint.activations import Activation
from unspool.blueprint.convolutions import Convolutions, DecoderConvolution, mirrored
from unspool.blueprint.layers import (
    DECODERS,
    POOLINGS,
    Head,
    Kernels,
    Kind,
    Layers,
    Weights,
    linear_weights,
    patches_of,
    prefixed,
)
from unspool.blueprint.step_convolutions import StepConvolutions


@dataclass(frozen=True)
class LSTMEncoder:
    """LSTM layers whose states are pooled; with `whole_state` the final h and c of all layers.

    The LSTM reads patches of `patch_size` steps: patch_size · F numbers at each of its steps; or
    the outputs of `convolutions`. `kernels` read the sequence step by step, and the code is made
    from the features of both.
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
    missing: bool = False
    code_activation: ActivationName = "linear"
    convolutions: StepConvolutions | None = None

    max_steps = None

    @property
    def n_inputs(self) -> int:
        """Numbers per step that the LSTM or the convolutions read."""
        return _inputs(self)

    @property
    def statistics(self) -> tuple[StatisticName, ...]:
        """Statistics of the states of the last layer over the steps of a sequence."""
        return POOLINGS[self.pooling]

    @property
    def features(self) -> int:
        """Length of the features that the code is made from."""
        if self.whole_state:
            return self.lstm.whole_state
        kernels = 0 if self.kernels is None else self.kernels.width
        return self.lstm.width * len(self.statistics) + kernels

    def weights(self) -> Weights:
        """Yield the weights of the LSTM, the kernels, and the projection to the code."""
        yield from _fill(self)
        if self.convolutions is not None:
            yield from prefixed("convolutions.", self.convolutions.weights())
        yield from prefixed("lstm.", self.lstm.weights())
        if self.kernels is not None:
            yield from prefixed("kernels.", self.kernels.weights())
        yield from _to_code(self)


@dataclass(frozen=True)
class DenseEncoder:
    """Dense layers that read a whole sequence of at most `steps` steps."""

    n_features: int
    latent_dim: int
    steps: int
    units: tuple[int, ...] = ()
    activation: ActivationName = "relu"
    code_activation: ActivationName = "relu"
    variational: bool = False
    missing: bool = False

    @property
    def n_inputs(self) -> int:
        """Numbers per step that the layers read."""
        return _inputs(self)

    @property
    def max_steps(self) -> int:
        """Number of steps of the longest sequence that the encoder accepts."""
        return self.steps

    @property
    def features(self) -> int:
        """Length of the features that the code is made from."""
        return self.latent_dim

    @property
    def layers(self) -> Head:
        """The dense layers, up to the code."""
        return Head(
            self.steps * self.n_inputs,
            self.latent_dim,
            self.units,
            None,
            self.activation,
            self.code_activation,
        )

    def weights(self) -> Weights:
        """Yield the weights of the layers, and of the projection to the code."""
        yield from _fill(self)
        yield from prefixed("layers.", self.layers.weights())
        yield from _to_code(self)


@dataclass(frozen=True)
class ConvEncoder:
    """Convolutions, each followed by pooling; the code is made from the last feature map."""

    n_features: int
    latent_dim: int
    layers: Convolutions
    activation: ActivationName = "relu"
    variational: bool = False
    missing: bool = False
    code_activation: ActivationName = "linear"

    @property
    def n_inputs(self) -> int:
        """Numbers per step, or channels, that the convolutions read."""
        return _inputs(self)

    @property
    def max_steps(self) -> int:
        """Number of pixels of an image, or of steps of the longest accepted sequence."""
        return prod(self.layers.shape)

    @property
    def features(self) -> int:
        """Length of the features that the code is made from: the size of the last feature map."""
        return self.layers.flat

    def weights(self) -> Weights:
        """Yield the weights of the convolutions, and of the projection to the code."""
        yield from _fill(self)
        yield from self.layers.weights(self.n_inputs)
        yield from _to_code(self)


@dataclass(frozen=True)
class LSTMDecoder:
    """LSTM layers that decode a code, with dense layers on each step; `name` is in `DECODERS`.

    The LSTM runs one step for each patch of `patch_size` steps; the head turns it into the steps.
    `n_features` is the number of features that it writes, and `n_known` the number of known
    features that it reads in addition at each step. With `reads_masks`, it reads the reversed input
    with an indicator of each missing value.
    """

    name: LSTMDecoderName
    n_features: int
    latent_dim: int
    lstm: Layers
    head: Head
    steps: int
    reverse_target: bool = False
    patch_size: int = 1
    n_known: int = 0
    reads_masks: bool = False

    @property
    def kind(self) -> Kind:
        """How the decoder receives its code, and what else it reads."""
        return DECODERS[self.name]

    @property
    def max_steps(self) -> int | None:
        """Number of steps of the longest sequence that it can emit; None means no limit."""
        return self.steps if self.kind.code == "steps" else None

    @property
    def pieces(self) -> int:
        """Number of pieces that a code is cut into, one for each step of the LSTM."""
        return patches_of(self.steps, self.patch_size)

    @property
    def piece(self) -> int:
        """Length of a piece of the code."""
        return self.lstm.inputs - self.patch_size * self.n_known

    @property
    def reads_place(self) -> bool:
        """Whether the LSTM reads the position of each patch, because it reads nothing else."""
        return self.patch_size > 1 and self.kind.reads is None and self.kind.code != "steps"

    @property
    def starts(self) -> bool:
        """Whether a linear layer maps the code to the initial state."""
        return self.kind.starts and self.latent_dim != self.lstm.whole_state

    def weights(self) -> Weights:
        """Yield the weights of the LSTM, of the map to its initial state, and of the head."""
        yield from prefixed("lstm.", self.lstm.weights())
        if self.starts:
            yield from linear_weights("start.", self.latent_dim, self.lstm.whole_state)
        yield from prefixed("head.", self.head.weights())


@dataclass(frozen=True)
class DenseDecoder:
    """Dense layers that emit all steps at once.

    They read the code, followed by the `n_known` known features of each step.
    """

    n_features: int
    latent_dim: int
    head: Head
    n_known: int = 0

    @property
    def max_steps(self) -> int:
        """Number of steps of the longest sequence that the decoder can emit."""
        return self.head.steps or 0

    def weights(self) -> Weights:
        """Yield the weights of the layers."""
        return prefixed("head.", self.head.weights())


@dataclass(frozen=True)
class ConvDecoder:
    """Convolutions that enlarge the last feature map of an encoder, whose `layers` they mirror."""

    n_features: int
    latent_dim: int
    layers: Convolutions
    transposed: bool = False
    activation: ActivationName = "relu"
    output_activation: Activation = "linear"

    @property
    def max_steps(self) -> int:
        """Number of pixels of an image, or of steps of the longest sequence that it can emit."""
        return prod(self.layers.shape)

    @property
    def map_shape(self) -> tuple[int, int, int]:
        """Shape of the first feature map, (H, W, filters)."""
        return self.layers.map_shape

    @property
    def starts(self) -> bool:
        """Whether a dense layer maps the code to the first feature map."""
        return self.latent_dim != self.layers.flat

    @property
    def convolutions(self) -> list[DecoderConvolution]:
        """The convolutions, first to last."""
        return mirrored(self.layers, self.n_features, transposed=self.transposed)

    def weights(self) -> Weights:
        """Yield the weights of the map to the first feature map, and of the convolutions."""
        if self.starts:
            yield from linear_weights("start.", self.latent_dim, self.layers.flat)
        for depth, layer in enumerate(self.convolutions):
            shape = layer.outputs, layer.inputs, *layer.kernel
            yield f"convolutions.{depth}.weight", shape
            yield f"convolutions.{depth}.bias", (layer.outputs,)


@dataclass(frozen=True)
class Skip:
    """The part of a forecast that does not pass through the code.

    Parameters
    ----------
    n_features, horizon : int
    steps : int
        Number of last steps of a sequence that a linear map of each feature reads; 0 means no map.
    normalization : str
        "last" subtracts the last value of each sequence before it is encoded and adds it to the
        forecast; "standard" does so with the mean, and divides and multiplies by the standard
        deviation; "none" does nothing.
    missing : bool, default False
        Whether values may be missing, see `Encoder`.
    """

    n_features: int
    horizon: int
    steps: int
    normalization: NormalizationName
    missing: bool = False

    def weights(self) -> Weights:
        """Yield the factors of the outputs, and the linear maps to each step of the forecast."""
        yield from _fill(self)
        yield "scale", (self.n_features,)
        if self.steps:
            yield "weight", (self.n_features, self.horizon, self.columns)

    @property
    def columns(self) -> int:
        """Length of the input of the linear map of a feature.

        It reads the steps minus the level (the last value or the mean), and the level.
        """
        return self.steps + (self.normalization != "none")


# With `missing`, NaN is a missing value. It is replaced by the weight `fill`, the mean of its
# feature, and an encoder, or a decoder of the reversed input, reads one more number for each
# feature: 1 if its value is missing, else 0.
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
        Number of forecast steps; 0 means no forecast.
    skip : Skip, optional
        The part of the forecast that does not pass through the code.
    head : Head, optional
        The layers from the code to the classes of a classifier.
    targets : tuple of int, optional
        Places of the features that decoders write; None if they write all features, or quantities
        that are not features.
    known : tuple of int, default ()
        Places of the features that forecast decoders read at the steps of the forecast.
    """

    encoder: Encoder
    decoders: Mapping[str, Decoder]
    horizon: int = 0
    skip: Skip | None = None
    head: Head | None = None
    targets: tuple[int, ...] | None = None
    known: tuple[int, ...] = ()

    def weights(self) -> Weights:
        """Yield all weights by their names in the whole module."""
        yield from prefixed("encoder.", self.encoder.weights())
        for name, decoder in self.decoders.items():
            yield from prefixed(f"decoders.{name}.", decoder.weights())
        if self.skip is not None:
            yield from prefixed("skip.", self.skip.weights())
        if self.head is not None:
            yield from prefixed("head.", self.head.weights())


def projects(encoder: Encoder) -> bool:
    """Return whether a linear layer maps the features of an encoder to its code."""
    kernels = isinstance(encoder, LSTMEncoder) and encoder.kernels is not None
    return encoder.features != encoder.latent_dim or encoder.variational or kernels


def code_activation(encoder: Encoder) -> ActivationName:
    """Return the activation after the linear layer to the code.

    That of a `DenseEncoder` is in its layers.
    """
    return "linear" if isinstance(encoder, DenseEncoder) else encoder.code_activation


def _inputs(encoder: Encoder) -> int:
    return encoder.n_features * (2 if encoder.missing else 1)


def _fill(part: Encoder | Skip) -> Weights:
    if part.missing:
        yield "fill", (part.n_features,)


def _to_code(encoder: Encoder) -> Weights:
    if projects(encoder):
        yield from linear_weights("projection.", encoder.features, encoder.latent_dim)
    if encoder.variational:
        yield from linear_weights("log_variance.", encoder.features, encoder.latent_dim)
