"""Encoders in NumPy: scaled sequences (B, T, F) to codes (B, L)."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from unspool import blueprint as plan
from unspool.blueprint.features import STATISTICS
from unspool.blueprint.parts import code_activation, projects
from unspool.runtime.convolution import Convolution, pool
from unspool.runtime.dense import ACTIVATIONS, Dense, DenseLayers
from unspool.runtime.kernels import Kernels
from unspool.runtime.missing import filled, marked
from unspool.runtime.patches import in_patches, patched
from unspool.runtime.pooling import pooled, pooled_parts
from unspool.runtime.recurrence import LSTM, Array, BatchLengths, Lengths, State
from unspool.runtime.skip import normalised
from unspool.runtime.step_convolutions import StepConvolutions

Weights = Mapping[str, Array]


class Encoder:
    """Base class of encoders, with the linear layer from features to the code.

    Parameters
    ----------
    part : blueprint.Encoder
        Blueprint of the encoder.
    weights : mapping of str to array
        Weights by their names in the blueprint.
    """

    def __init__(self, part: plan.Encoder, weights: Weights) -> None:
        self.latent_dim, self.max_steps = part.latent_dim, part.max_steps
        self.fill = weights["fill"] if part.missing else None
        self.width = part.n_inputs  # widest activation per step; bounds the memory of a batch
        self.projection = Dense(weights, "projection.") if projects(part) else None
        self.activation_of_code = ACTIVATIONS[code_activation(part)]

    def features(self, x: Array, batch: BatchLengths) -> Array:
        """Return features (B, S) of sequences (B, T, F), longest first, whose padding is zero."""
        raise NotImplementedError

    def marked(self, x: Array) -> Array:
        """Return sequences without missing values, with indicators if values may be missing."""
        return marked(x, self.fill)

    def filled(self, x: Array) -> Array:
        """Return sequences without missing values."""
        return filled(x, self.fill)

    def __call__(self, x: Array, batch: BatchLengths) -> Array:
        """Return codes (B, L) of sequences (B, T, F), the longest first, whose padding is zero."""
        return self.code(self.features(x, batch))

    def code(self, features: Array) -> Array:
        """Return codes (…, L) of features (…, S)."""
        codes = features if self.projection is None else self.projection(features)
        return self.activation_of_code(codes)


class LSTMEncoder(Encoder):
    """Recurrent layers whose states are pooled, together with random kernels."""

    def __init__(self, part: plan.LSTMEncoder, weights: Weights) -> None:
        super().__init__(part, weights)
        self.part, self.convolutions = part, None
        if part.convolutions is not None:
            given = within(weights, "convolutions.")
            self.convolutions = StepConvolutions(part.convolutions, given)
            self.width = max(self.width, self.convolutions.width)
        self.lstm = LSTM(part.lstm, within(weights, "lstm."))
        self.kernels = None
        if part.kernels is not None:
            self.kernels = Kernels(part.kernels, within(weights, "kernels."))
            self.width = max(self.width, self.kernels.width)
        self.pools = part.statistics != ("last",)
        if part.lstm.num_layers > 1 or self.pools:
            self.width = max(self.width, *part.lstm.widths)

    def features(self, x: Array, batch: BatchLengths) -> Array:
        """Return the pooled states (B, S · statistics), or the whole final state."""
        states, state, lengths = self.states(x, batch, return_sequences=self.pools)
        last = self.of_state(state)
        found = last if states is None else pooled(self.part.statistics, states, last, lengths)
        if self.kernels is None:
            return found
        return np.concatenate([found, self.kernels(self.filled(x), batch)], 1)

    def states(
        self, x: Array, batch: BatchLengths, *, return_sequences: bool = True
    ) -> tuple[Array | None, State, Lengths]:
        """Return states of the last layer (T, S, B), final states of all layers, and lengths.

        States are those after each step, patch or output of the convolutions; lengths are the
        numbers of real states.
        """
        size, x = self.part.patch_size, self.read(x, batch)
        if self.convolutions is not None:
            x, patches = self.convolutions(x, batch)
        else:
            x, patches = patched(x, size), in_patches(batch, size)
        states, state = self.lstm(batch_last(x), patches, return_sequences=return_sequences)
        return states, state, patches.lengths

    def read(self, x: Array, batch: BatchLengths) -> Array:
        """Return what the LSTM reads of sequences (B, T, F): normalised, with indicators."""
        if self.part.normalization == "none":
            return self.marked(x)
        x = normalised(x, batch, self.part.normalization, self.fill)
        return marked(x, None if self.fill is None else np.zeros_like(self.fill))

    def multiscale(self, x: Array, batch: BatchLengths, scales: tuple[int, ...]) -> Array:
        """Return statistics of the states over parts of sequences, and kernel means, (B, D)."""
        states, _, lengths = self.states(x, batch)
        assert states is not None
        features = [pooled_parts(STATISTICS, states, count, lengths) for count in scales]
        if self.kernels is not None:
            features.append(self.kernels(self.filled(x), batch))
        return np.concatenate(features, axis=1)

    def of_state(self, state: State) -> Array:
        """Return the final state (B, S) of states (H, B) of every layer and direction."""
        last = list(state[0][-self.part.lstm.directions :])
        if self.part.whole_state:
            last = [each for states in state for each in states]
        return np.concatenate(last).T


class DenseEncoder(Encoder):
    """Dense layers that read a whole sequence at once."""

    def __init__(self, part: plan.DenseEncoder, weights: Weights) -> None:
        super().__init__(part, weights)
        self.steps, self.layers = part.steps, DenseLayers(part.layers, weights, "layers.")

    def features(self, x: Array, batch: BatchLengths) -> Array:
        """Return outputs (B, S) of the last layer."""
        whole = padded_to(self.steps, self.marked(x))
        return self.layers(whole.reshape(len(whole), -1))


class ConvEncoder(Encoder):
    """Convolutions, each followed by max pooling."""

    def __init__(self, part: plan.ConvEncoder, weights: Weights) -> None:
        super().__init__(part, weights)
        self.part, self.activation = part, ACTIVATIONS[part.activation]
        self.convolutions = [
            Convolution(
                weights[f"convolutions.{i}.weight"], weights[f"convolutions.{i}.bias"], stride
            )
            for i, stride in enumerate(part.layers.strides)
        ]
        self.width = max(convolution.width for convolution in self.convolutions)

    def features(self, x: Array, batch: BatchLengths) -> Array:
        """Return the last feature map, flattened, (B, S)."""
        whole = padded_to(self.part.max_steps, self.marked(x))
        images = whole.reshape(len(x), *self.part.layers.shape, -1)
        for convolution, size in zip(self.convolutions, self.part.layers.pools, strict=True):
            images = pool(self.activation(convolution(images)), size)
        return images.reshape(len(images), -1)


def make_encoder(part: plan.Encoder, weights: Weights) -> Encoder:
    """Make the encoder of a blueprint with these weights."""
    if isinstance(part, plan.LSTMEncoder):
        return LSTMEncoder(part, weights)
    if isinstance(part, plan.DenseEncoder):
        return DenseEncoder(part, weights)
    return ConvEncoder(part, weights)


def within(weights: Weights, prefix: str) -> dict[str, Array]:
    """Return the weights whose names start with `prefix`, by the rest of their names."""
    return {
        name.removeprefix(prefix): weight
        for name, weight in weights.items()
        if name.startswith(prefix)
    }


def batch_last(x: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return sequences (B, T, F) as (T, F, B)."""
    return np.ascontiguousarray(x.transpose(1, 2, 0))


def padded_to(steps: int, x: Array) -> Array:
    """Return sequences (B, T, F) padded with zeros to (B, steps, F)."""
    if x.shape[1] == steps:
        return x
    return np.pad(x, ((0, 0), (0, steps - x.shape[1]), (0, 0)))
