"""Linear maps of a Keras model that become part of the weights of a neighbouring layer.

At prediction `BatchNormalization` is a scale and a shift of each channel. A `LeakyReLU` of slope a
is relu(x) - a · relu(-x): a ReLU on twice as many units, and a linear map. The merge modes "sum"
and "ave" of `Bidirectional` are linear maps of both directions. The walk through a model puts such
a map on the linear layer before it (`Node.after`), or hands it on to the layer that reads the
result (`Node.before`).
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

Matrix = npt.NDArray[Any]


@dataclass(frozen=True, eq=False)
class Linear:
    """The map matrix · x + shift of the last axis.

    Parameters
    ----------
    matrix : array of shape (outputs, inputs), or (outputs,) for a diagonal matrix
    shift : array of shape (outputs,)
    source : str
        The layer that it comes from, for messages.
    blocks : int
        Number of blocks of a flattened axis, each of which is mapped alone.
    """

    matrix: Matrix
    shift: Matrix
    source: str
    blocks: int = 1

    def after(self, weight: Matrix, bias: Matrix) -> tuple[Matrix, Matrix]:
        """Return weight and bias of a linear layer (outputs, inputs) followed by this map."""
        return self._times(weight), self._times(bias) + self.shift

    def before(self, weight: Matrix, bias: Matrix) -> tuple[Matrix, Matrix]:
        """Return weight (outputs, inputs) and bias of a layer that reads the result of this map."""
        parts = weight.reshape(len(weight), self.blocks, -1)
        shifted = bias + (parts @ self.shift).sum(1)
        mapped = parts * self.matrix if self.matrix.ndim == 1 else parts @ self.matrix
        return mapped.reshape(len(weight), -1), shifted

    def before_channels(self, kernels: Matrix) -> Matrix:
        """Return kernels (outputs, inputs, height, width) of a convolution that reads the result.

        The shift must be zero.
        """
        if self.matrix.ndim == 1:
            return kernels * self.matrix[:, None, None]
        return np.asarray(np.einsum("oihw,ij->ojhw", kernels, self.matrix))

    def then(self, other: "Linear | None") -> "Linear":
        """Return the map that applies this one, and then `other`."""
        if other is None:
            return self
        shift = other._times(self.shift) + other.shift
        if self.matrix.ndim == 1 and other.matrix.ndim == 2:
            return Linear(other.matrix * self.matrix, shift, other.source)
        return Linear(other._times(self.matrix), shift, other.source)

    def _times(self, x: Matrix) -> Matrix:
        """Return the product of the matrix and `x` (inputs, ...)."""
        if self.matrix.ndim == 2:
            return np.asarray(np.tensordot(self.matrix, x, 1))
        return self.matrix.reshape(-1, *[1] * (x.ndim - 1)) * x

    def repeated(self, blocks: int) -> "Linear":
        """Return this map of each of `blocks` parts of a flattened axis."""
        return replace(self, blocks=self.blocks * blocks)


def scale_and_shift(layer: Any, source: str) -> Linear:
    """Return what a `BatchNormalization` computes at prediction."""
    config, values = (
        layer.get_config(),
        [np.asarray(one, np.float64) for one in layer.get_weights()],
    )
    mean, variance = values[-2:]
    scale = 1 / np.sqrt(variance + config["epsilon"])
    if config["scale"]:
        scale = scale * values[0]
    shift = -mean * scale
    if config["center"]:
        shift = shift + values[-3]
    return Linear(scale, shift, source)


def rectified(size: int, slope: float, source: str) -> tuple[Linear, Linear]:
    """Return the maps before and after the ReLU that compute a `LeakyReLU` together."""
    one = np.eye(size)
    doubled = Linear(np.concatenate([one, -one]), np.zeros(2 * size), source)
    return doubled, Linear(np.concatenate([one, -slope * one], 1), np.zeros(size), source)


def merged(units: int, mode: str, source: str) -> Linear | None:
    """Return the map of both directions of a `Bidirectional` to its output, None for "concat"."""
    if mode not in ("sum", "ave"):
        return None
    one = np.eye(units) / (1 if mode == "sum" else 2)
    return Linear(np.concatenate([one, one], 1), np.zeros(units), source)


def exchanged(size: int, source: str) -> Linear:
    """Return the map that exchanges the two halves of an axis of `size` numbers."""
    return Linear(np.roll(np.eye(size), size // 2, 0), np.zeros(size), source)
