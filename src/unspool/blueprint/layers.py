"""The layers that parts are made of: their sizes, and the names and shapes of their weights.

`weights` yields the name and the shape of each weight, as in the `state_dict` of the PyTorch
module; these names are part of the file format (docs/model-file.md).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar, NamedTuple

from unspool._types import (
    ActivationName,
    CellActivationName,
    CellName,
    GateActivationName,
    StatisticName,
)
from unspool.blueprint.activations import Activation
from unspool.blueprint.cells import CELLS, CellKind

Size = tuple[int, int]  # height and width of an image, a kernel or a pool
Weights = Iterator[tuple[str, tuple[int, ...]]]


class Kind(NamedTuple):
    """How a decoder receives its code, and what else it reads."""

    # "context": at each step; "state": as initial state; "state_context": both; "steps": in pieces
    code: str
    reads: str | None = None  # "reversed_input", "previous" or None
    flat: bool = False  # the final state produces all steps at once

    @property
    def repeats(self) -> bool:
        """Whether the decoder reads the code at each step."""
        return self.code in ("context", "state_context")

    @property
    def starts(self) -> bool:
        """Whether the decoder starts from the code as its initial state."""
        return self.code in ("state", "state_context")

    @property
    def both_ways(self) -> bool:
        """Whether the decoder can run in both directions."""
        return self.reads != "previous" and not self.flat


DECODERS: Mapping[str, Kind] = {
    "repeat": Kind("context"),
    "reversed_input": Kind("context", "reversed_input"),
    "previous": Kind("context", "previous"),
    "state": Kind("state"),
    "state_repeat": Kind("state_context"),
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
MAX_ARRAYS = 10_000  # arrays of weights in a model; allocating these takes minutes
VARIANCE_FLOOR = 1e-6  # added to a variance before its root is computed

# The position of patch k is the sine and the cosine of 2π · j · k / PERIOD for j = 1 … WAVES.
WAVES, PERIOD = 16, 64


@dataclass(frozen=True)
class Layers:
    """A stack of recurrent layers.

    Parameters
    ----------
    inputs : int
        Number of features that the first layer reads at each step.
    units : tuple of int
        Number of units of each layer, in each direction.
    bidirectional : bool
    context : int
        Width of the constant input of the first layer, the code; 0 if there is none.
    activation, recurrent_activation : str
    cell : {"lstm", "gru"}
    """

    inputs: int
    units: tuple[int, ...]
    bidirectional: bool = False
    context: int = 0
    activation: CellActivationName = "tanh"
    recurrent_activation: GateActivationName = "sigmoid"
    cell: CellName = "lstm"

    @property
    def kind(self) -> CellKind:
        """Description of the cell."""
        return CELLS[self.cell]

    @property
    def num_layers(self) -> int:
        """Number of layers."""
        return len(self.units)

    @property
    def directions(self) -> int:
        """Number of directions in which each layer reads, 1 or 2."""
        return 1 + self.bidirectional

    @property
    def widths(self) -> list[int]:
        """Width of the states of each layer at one step."""
        return [units * self.directions for units in self.units]

    @property
    def width(self) -> int:
        """Width of the states of the last layer at one step."""
        return self.units[-1] * self.directions

    @property
    def state_sizes(self) -> list[int]:
        """Length of h (and of c, if the cell has it) of each layer and direction."""
        return [units for units in self.units for _ in range(self.directions)]

    @property
    def whole_state(self) -> int:
        """Length of the whole state: h (and c, if the cell has it) of all layers and directions."""
        return len(self.kind.states) * sum(self.widths)

    def weights(self) -> Weights:
        """Yield names and shapes; the first axis has the gates in the order of the cell."""
        for depth, units in enumerate(self.units):
            gates, biases = len(self.kind.gates) * units, len(self.kind.biases) * units
            inputs, context = (0, 0) if depth else (self.inputs, self.context)
            for direction in range(self.directions):
                prefix = f"layers.{depth}.{direction}."
                if context:
                    yield f"{prefix}weight_context", (gates, context)
                if depth or inputs:
                    yield f"{prefix}weight_ih", (gates, self.widths[depth - 1] if depth else inputs)
                yield f"{prefix}weight_hh", (gates, units)
                yield f"{prefix}bias", (biases,)


@dataclass(frozen=True)
class Head:
    """Dense layers, applied to each step or to a vector.

    Parameters
    ----------
    inputs, outputs : int
    units : tuple of int, or None
        Widths of the hidden layers; None means no layer at all, so the output is the input.
    steps : int, optional
        Number of steps, of `outputs` numbers each, that one vector becomes.
    activation : str
        Activation of the hidden layers.
    output_activation : str or MixedActivation
        Activation of the last layer.
    """

    inputs: int
    outputs: int
    units: tuple[int, ...] | None = ()
    steps: int | None = None
    activation: ActivationName = "relu"
    output_activation: Activation = "linear"

    @property
    def widths(self) -> list[int]:
        """Widths of the input and after each layer."""
        if self.units is None:
            return [self.inputs]
        return [self.inputs, *self.units, self.outputs * (1 if self.steps is None else self.steps)]

    @property
    def activations(self) -> list[Activation]:
        """Activation of each layer."""
        between = len(self.widths) - 2
        activations: list[Activation] = [*[self.activation] * between, self.output_activation]
        return activations[: between + 1]

    def weights(self) -> Weights:
        """Yield names and shapes; every second module of the `Sequential` is an activation."""
        for depth, (wide, narrow) in enumerate(pairwise(self.widths)):
            yield f"{2 * depth}.weight", (narrow, wide)
            yield f"{2 * depth}.bias", (narrow,)


@dataclass(frozen=True)
class Kernels:
    """Random convolution kernels of `TAPS` values, the same number for each dilation.

    Parameters
    ----------
    n_features : int
    dilations : tuple of int
        Steps between two values of a kernel.
    each : int
        Number of kernels of each dilation.
    """

    n_features: int
    dilations: tuple[int, ...]
    each: int

    TAPS: ClassVar[int] = 9

    @classmethod
    def of(cls, count: int, n_features: int, steps: int) -> "Kernels":
        """About `count` kernels with dilations 1, 2, 4, … that span at most `steps` steps."""
        largest = max(1, (steps - 1) // (cls.TAPS - 1))
        dilations = tuple(1 << power for power in range(largest.bit_length()))
        return cls(n_features, dilations, max(1, count // len(dilations)))

    @property
    def width(self) -> int:
        """Number of kernels of all dilations."""
        return len(self.dilations) * self.each

    def weights(self) -> Weights:
        """Yield names and shapes of the kernels, which are not trained."""
        yield "weight", (self.width, self.n_features, self.TAPS)
        yield "bias", (self.width,)


def units_of_layers(units: int | Sequence[int], num_layers: int) -> tuple[int, ...]:
    """Return the units of each layer: a sequence as it is, a number for all `num_layers` layers."""
    return tuple(units) if isinstance(units, Sequence) else (units,) * num_layers


def for_each(size: int | Sequence[int], count: int) -> tuple[int, ...]:
    """Return the size of each of `count` layers: one for all, or a sequence of sizes."""
    return tuple(size) if isinstance(size, Sequence) else (size,) * count


def patches_of(steps: int, patch_size: int) -> int:
    """Return the number of patches of a number of steps; the last one may be incomplete."""
    return -(-steps // patch_size)


def linear_weights(prefix: str, inputs: int, outputs: int) -> Weights:
    """Yield the names and shapes of the weights of a linear layer."""
    yield f"{prefix}weight", (outputs, inputs)
    yield f"{prefix}bias", (outputs,)


def prefixed(prefix: str, weights: Weights) -> Weights:
    """Return the `weights` with a prefix to their names."""
    return ((prefix + name, shape) for name, shape in weights)
