"""The parts of a model as Keras layers with their weights."""

from collections.abc import Mapping
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt

from unspool.blueprint import (
    ConvDecoder,
    ConvEncoder,
    DenseEncoder,
    Encoder,
    Head,
    Kernels,
    Layers,
    LSTMDecoder,
    LSTMEncoder,
)
from unspool.blueprint.layers import VARIANCE_FLOOR, Size, sizes
from unspool.blueprint.parts import projects
from unspool.data.scaling import Scaler
from unspool.errors import InputError

LOWEST = -3.0e38  # below everything in float32: a pool never takes it


class Parts:
    """Makes layers on symbolic tensors.

    Parameters
    ----------
    keras : module
    weights : mapping of names to arrays
        By their names in the blueprint.
    scaler : Scaler
    """

    def __init__(self, keras: ModuleType, weights: Mapping[str, Any], scaler: Scaler) -> None:
        self.keras, self.layers, self.weights, self.scaler = keras, keras.layers, weights, scaler
        self.scales = bool(scaler.shift.any() or (scaler.scale != 1).any())

    def input(self, shape: tuple[int | None, ...], name: str) -> Any:
        """An input in the units of the data."""
        dtype = "float64" if self.scales else "float32"
        return self.keras.Input(shape, name=name, dtype=dtype)

    def scaled(self, values: Any) -> Any:
        """Values of the data in the units of the model.

        `Rescaling` and not `Normalization`, which rounds its mean to float32.
        """
        if not self.scales:
            return values
        shift, scale = self.scaler.shift, self.scaler.scale
        return self.layers.Rescaling(1 / scale, -shift / scale, dtype="float64")(values)

    def unscaled(self, values: Any) -> Any:
        """Values of the model in the units of the data."""
        if not self.scales:
            return values
        shift, scale = self.scaler.shift, self.scaler.scale
        return self.layers.Rescaling(scale, shift, dtype="float64")(values)

    def dense(self, name: str, x: Any, activation: str = "linear") -> Any:
        """A dense layer."""
        weight = self.weights[f"{name}.weight"]
        layer = self.layers.Dense(len(weight), activation=activation)
        return self._with(layer, [weight.T, self.weights[f"{name}.bias"]], x)

    def head(self, prefix: str, part: Head, x: Any, last: str | None = None) -> Any:
        """Dense layers; `last` is another activation for the last of them."""
        activations = part.activations
        if last is not None:
            activations[-1] = last
        for depth, name in enumerate(activations):
            late = part.steps is not None and depth == len(activations) - 1
            x = self.dense(f"{prefix}{2 * depth}", x, "linear" if late else name)
        if part.steps is None:
            return x
        x = self.layers.Reshape((part.steps, part.outputs))(x)
        final = activations[-1] if activations else "linear"
        return x if final == "linear" else self.layers.Activation(final)(x)

    def encoder(self, part: Encoder, x: Any, mask: Any) -> tuple[Any, list[list[Any]]]:
        """The code, and the final states of the LSTM layers where the code is made of them all."""
        states: list[list[Any]] = []
        if isinstance(part, LSTMEncoder):
            _refuse_patches(part)
            pools, read = part.statistics != ("last",), x
            x, states = self._stack(
                "encoder.lstm.",
                part.lstm,
                x,
                mask,
                sequences=pools,
                states=part.whole_state or pools,
            )
            found = self._pooled(part, x, states[-1], mask) if pools else [x]
            if part.kernels is not None:
                found += self._kernel_means(part.kernels, read, mask)
            x = self.layers.Concatenate()(found) if len(found) > 1 else found[0]
            if part.whole_state:
                halves = [*(s for one in states for s in one[::2])]
                halves += [s for one in states for s in one[1::2]]
                x = self.layers.Concatenate()(halves)
        elif isinstance(part, DenseEncoder):
            if len(x.shape) > 2:
                x = self.layers.Flatten()(x)
            x = self.head("encoder.layers.", part.layers, x)
        else:
            x = self._convolutions(part, x)
        return (self.dense("encoder.projection", x) if projects(part) else x), states

    def _pooled(self, part: LSTMEncoder, x: Any, final: list[Any], mask: Any) -> list[Any]:
        """Statistics (N, S) of states (N, T, S) over real steps; `final` are those of the end."""
        ops = self.keras.ops
        real = ops.expand_dims(mask, -1)

        def over(name: str) -> Any:
            if name == "last":
                return self.layers.Concatenate()(final[::2]) if final[2:] else final[0]
            if name in ("max", "min"):
                beyond, largest = (LOWEST, ops.max) if name == "max" else (-LOWEST, ops.min)
                found = largest(ops.where(real, x, beyond), axis=1)
                return ops.where(ops.any(real, axis=1), found, 0.0)
            mean = self._mean(x, real)
            if name == "mean":
                return mean
            square = self._mean(ops.square(x - ops.expand_dims(mean, 1)), real)
            return ops.where(ops.any(real, axis=1), ops.sqrt(square + VARIANCE_FLOOR), 0.0)

        return [over(name) for name in part.statistics]

    def _kernel_means(self, part: Kernels, x: Any, mask: Any) -> list[Any]:
        """Means (N, kernels of a dilation) over real steps, for every dilation."""
        ops, weight = self.keras.ops, self.weights["encoder.kernels.weight"].transpose(2, 1, 0)
        bias, found = self.weights["encoder.kernels.bias"], []
        for place, dilation in enumerate(part.dilations):
            own = slice(place * part.each, (place + 1) * part.each)
            layer = self.layers.Conv1D(
                part.each,
                part.TAPS,
                dilation_rate=dilation,
                activation="hard_sigmoid",
                trainable=False,
            )
            first = ops.repeat(x[:, :1], (part.TAPS - 1) * dilation, axis=1)
            padded = ops.concatenate([first, x], axis=1)
            values = self._with(layer, [weight[..., own], bias[own]], padded)
            found.append(self._mean(values, ops.expand_dims(mask, -1)))
        return found

    def _mean(self, x: Any, real: Any) -> Any:
        """Means (N, S) of x (N, T, S) over the steps that are `real` (N, T, 1); 0 for none."""
        ops = self.keras.ops
        count = ops.maximum(ops.sum(ops.cast(real, x.dtype), axis=1), 1.0)
        return ops.sum(ops.where(real, x, 0.0), axis=1) / count

    def _convolutions(self, part: ConvEncoder, x: Any) -> Any:
        """The last map of a convolutional encoder, flattened."""
        image = len(x.shape) == 4
        for depth, shape in enumerate(sizes(part.shape, part.pool, len(part.filters))[:-1]):
            name = f"encoder.convolutions.{depth}"
            x = self._convolution(name, x, part.activation)
            x = self._pool(x, shape, part.pool, image=image)
        return self.layers.Flatten()(x)

    def _convolution(self, name: str, x: Any, activation: str) -> Any:
        weight = self.weights[f"{name}.weight"]
        kernel = weight.transpose(2, 3, 1, 0)
        make = self.layers.Conv2D
        if len(x.shape) == 3:
            kernel, make = kernel[:, 0], self.layers.Conv1D
        size = kernel.shape[:-2]
        layer = make(len(weight), size, padding="same", activation=activation)
        return self._with(layer, [kernel, self.weights[f"{name}.bias"]], x)

    def _pool(self, x: Any, shape: Size, pool: Size, *, image: bool) -> Any:
        """The largest of every so many pixels; what is left over is at the far edges.

        Keras's "same" has it there too, but for a pool that lacks two pixels or more: it puts one
        of them in front.
        """
        if pool == (1, 1):
            return x
        axes = 2 if image else 1
        missing = [-pixels % size for pixels, size in zip(shape, pool, strict=True)][:axes]
        if max(missing) > 1:
            edges = [(0, 0), *((0, more) for more in missing), (0, 0)]
            x = self.keras.ops.pad(x, edges, mode="constant", constant_values=LOWEST)
        make = self.layers.MaxPooling2D if image else self.layers.MaxPooling1D
        return make(pool[:axes], padding="same")(x)

    def conv_decoder(self, prefix: str, part: ConvDecoder, code: Any, *, image: bool) -> Any:
        """Images, or sequences."""
        axes = 2 if image else 1
        if part.starts:
            code = self.dense(f"{prefix}start", code, part.activation)
        *shape, filters = part.map_shape
        x = self.layers.Reshape((*shape[:axes], filters))(code)
        larger = sizes(part.shape, part.pool, len(part.filters))[-2::-1]
        enlarge = self.layers.UpSampling2D if image else self.layers.UpSampling1D
        crop = self.layers.Cropping2D if image else self.layers.Cropping1D
        for depth in range(len(larger) + 1):
            if depth and part.pool != (1, 1):
                x = enlarge(part.pool if image else part.pool[0])(x)
            last = depth == len(larger)
            name = part.output_activation if last else part.activation
            x = self._convolution(f"{prefix}convolutions.{depth}", x, name)
            over = [a - b for a, b in zip(x.shape[1:-1], larger[depth - 1], strict=False)]
            if depth and any(over):
                cut = tuple((0, more) for more in over)
                x = crop(cut if image else cut[0])(x)
        return x

    def lstm_decoder(
        self,
        prefix: str,
        part: LSTMDecoder,
        code: Any,
        states: list[list[Any]],
        steps: int,
        mask: Any,
        backwards: Any,
    ) -> Any:
        """Sequences of `steps` steps; `states` are those of the encoder, if they are the code."""
        _refuse_patches(part)
        kind = part.kind
        if kind.code == "steps":
            read = self._pieces(code, part.steps)
            read = read if kind.flat else self.up_to(read, steps)
        else:
            read = self.layers.RepeatVector(steps)(code)
        if kind.reads:
            beside = self.up_to(backwards, steps)
            both = kind.code == "context"
            read = self.layers.Concatenate()([read, beside]) if both else beside
        start = self._start(prefix, part, code, states) if kind.code == "state" else None
        x, _ = self._stack(
            f"{prefix}lstm.",
            part.lstm,
            read,
            None if kind.flat else mask,
            start=start,
            sequences=not kind.flat,
        )
        x = self.head(f"{prefix}head.", part.head, x)
        if kind.flat:
            return self.up_to(x, steps)
        return self._reversed(x, mask) if part.reverse_target else x

    def up_to(self, x: Any, steps: int) -> Any:
        """Sequences cut, or filled up with zeros, to so many steps."""
        over = x.shape[1] - steps
        if over > 0:
            return self.layers.Cropping1D((0, over))(x)
        return self.layers.ZeroPadding1D((0, -over))(x) if over else x

    def _pieces(self, code: Any, steps: int) -> Any:
        """A code in as many pieces as there are steps, zeros behind what does not divide."""
        missing = -code.shape[1] % steps
        if missing:
            code = self.layers.Reshape((code.shape[1], 1))(code)
            code = self.layers.ZeroPadding1D((0, missing))(code)
        return self.layers.Reshape((steps, -(-code.shape[1] // steps)))(code)

    def _start(
        self, prefix: str, part: LSTMDecoder, code: Any, states: list[list[Any]]
    ) -> list[list[Any]]:
        """States to start from, those of a layer together, h before c in each direction."""
        layers, units = part.lstm, part.lstm.units
        whole = self.dense(f"{prefix}start", code) if part.starts else code
        alike = [tuple(one.shape) for given in states for one in given]
        count = layers.num_layers * layers.directions
        if whole is code and alike == [(None, units)] * (2 * count) and _wired(states, layers):
            return states
        pieces = [whole[:, k * units : (k + 1) * units] for k in range(2 * count)]
        pairs = [pieces[k // 2 + k % 2 * count] for k in range(2 * count)]
        wide = 2 * layers.directions
        return [pairs[k : k + wide] for k in range(0, 2 * count, wide)]

    def _stack(
        self,
        prefix: str,
        part: Layers,
        x: Any,
        mask: Any,
        *,
        sequences: bool,
        states: bool = False,
        start: list[list[Any]] | None = None,
    ) -> tuple[Any, list[list[Any]]]:
        """LSTM layers, and the final states of each where they are asked for."""
        found = []
        for depth in range(part.num_layers):
            inner = depth < part.num_layers - 1
            layer = self.layers.LSTM(
                part.units,
                activation=part.activation,
                recurrent_activation=part.recurrent_activation,
                return_sequences=inner or sequences,
                return_state=states,
            )
            if part.bidirectional:
                layer = self.layers.Bidirectional(layer)
            given = None if start is None else start[depth]
            wide = x.shape[-1]
            x = layer(x, mask=mask, initial_state=given)
            halves = [layer]
            if part.bidirectional:
                halves = [layer.forward_layer, layer.backward_layer]
            for direction, half in enumerate(halves):
                half.set_weights(self._of_half(f"{prefix}layers.{depth}.{direction}.", wide))
            if states:
                x, *final = x
                found.append(list(final))
        return x, found

    def _of_half(self, prefix: str, wide: int) -> list[npt.NDArray[Any]]:
        """Kernel, recurrent kernel and bias of one direction of a layer.

        A kernel that there is none of is zero: Keras's layers always read something.
        """
        names = [f"{prefix}{name}" for name in ("weight_context", "weight_ih")]
        kernels = [self.weights[name].T for name in names if name in self.weights]
        recurrent = self.weights[f"{prefix}weight_hh"].T
        kernel = np.concatenate(kernels) if kernels else np.zeros((wide, recurrent.shape[1]))
        return [kernel, recurrent, self.weights[f"{prefix}bias"]]

    def _reversed(self, x: Any, mask: Any) -> Any:
        """Sequences turned round, each within its own length (in a forecast, the whole)."""
        ops = self.keras.ops
        if mask is None:
            return ops.flip(x, axis=1)
        real = ops.cast(mask, "int32")
        place = ops.cumsum(ops.ones_like(real), axis=1) - 1
        lengths = ops.sum(real, axis=1, keepdims=True)
        source = ops.where(place < lengths, lengths - 1 - place, place)
        source = ops.repeat(ops.expand_dims(source, 2), x.shape[2], axis=2)
        return ops.take_along_axis(x, source, axis=1)

    def _with(self, layer: Any, weights: list[npt.NDArray[Any]], x: Any) -> Any:
        """What a layer with these weights makes of `x`."""
        made = layer(x)
        layer.set_weights(weights)
        return made


def _refuse_patches(part: LSTMEncoder | LSTMDecoder) -> None:
    if part.patch_size > 1:
        raise InputError(
            f"An LSTM that reads patches of {part.patch_size} steps cannot be written for Keras, "
            "whose layers have no mask for a patch that is incomplete; fit the model with "
            "patch_size=1, or export to ONNX."
        )


def _wired(states: list[list[Any]], layers: Layers) -> bool:
    """Whether there is a state for every layer and direction."""
    return [len(one) for one in states] == [2 * layers.directions] * layers.num_layers
