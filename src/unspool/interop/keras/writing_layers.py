"""The parts of a model as Keras layers with their weights."""

from collections.abc import Mapping
from itertools import accumulate, pairwise
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt

from unspool._types import ActivationName
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
    StepConvolutions,
)
from unspool.blueprint.activations import Activation
from unspool.blueprint.cells import CellKind
from unspool.blueprint.convolutions import shrunk
from unspool.blueprint.layers import VARIANCE_FLOOR, Size
from unspool.blueprint.parts import code_activation, projects
from unspool.data.scaling import Scaler
from unspool.errors import InputError

LOWEST = -3.0e38  # near the lowest float32, so max pooling never returns it


class LayerWriter:
    """Makes Keras layers, applied to symbolic tensors, for the parts of a model.

    Parameters
    ----------
    keras : module
        The imported package.
    weights : mapping of str to ndarray
        Weights by their names in the blueprint.
    scaler : Scaler
        Scaling of inputs.
    outputs : Scaler
        Scaling of outputs.
    """

    def __init__(
        self, keras: ModuleType, weights: Mapping[str, Any], scaler: Scaler, outputs: Scaler
    ) -> None:
        self.keras, self.layers, self.weights, self.scaler = keras, keras.layers, weights, scaler
        self.outputs = outputs
        self.scales = bool(scaler.shift.any() or (scaler.scale != 1).any())

    def input(self, shape: tuple[int | None, ...], name: str) -> Any:
        """Make an input in the units of the data."""
        dtype = "float64" if self.scales else "float32"
        return self.keras.Input(shape, name=name, dtype=dtype)

    def scaled(self, values: Any) -> Any:
        """Scale values from the units of the data to the units of the model.

        `Normalization` would round its mean to float32; `Rescaling` does not.
        """
        if not self.scales:
            return values
        shift, scale = self.scaler.shift, self.scaler.scale
        return self.layers.Rescaling(1 / scale, -shift / scale, dtype="float64")(values)

    def unscaled(self, values: Any) -> Any:
        """Scale values from the units of the model to the units of the data."""
        shift, scale = self.outputs.shift, self.outputs.scale
        if not (self.scales or shift.any() or (scale != 1).any()):
            return values
        return self.layers.Rescaling(scale, shift, dtype="float64")(values)

    def dense(self, name: str, x: Any, activation: str = "linear") -> Any:
        """Make a dense layer."""
        weight = self.weights[f"{name}.weight"]
        layer = self.layers.Dense(len(weight), activation=activation)
        return self._with(layer, [weight.T, self.weights[f"{name}.bias"]], x)

    def head(self, prefix: str, part: Head, x: Any, last: ActivationName | None = None) -> Any:
        """Make dense layers; `last` replaces the activation of the last one."""
        activations = part.activations
        if last is not None:
            activations[-1] = last
        for depth, activation in enumerate(activations):
            # The last activation follows the reshape.
            separate = depth == len(activations) - 1 and part.steps is not None
            name = "linear" if separate or not isinstance(activation, str) else activation
            x = self.dense(f"{prefix}{2 * depth}", x, name)
        final = activations[-1] if activations else "linear"
        if part.steps is not None:
            x = self.layers.Reshape((part.steps, part.outputs))(x)
            return self.activate(final, x)
        return x if isinstance(final, str) else self.activate(final, x)

    def activate(self, activation: Activation, x: Any) -> Any:
        """Apply an activation to the last axis."""
        if isinstance(activation, str):
            return x if activation == "linear" else self.layers.Activation(activation)(x)
        return activation.apply(
            x,
            lambda name, piece: self.activate(name, piece),
            lambda whole, sizes: self.keras.ops.split(
                whole, np.cumsum(sizes)[:-1].tolist(), axis=-1
            ),
            lambda pieces: self.layers.Concatenate()(pieces),
        )

    def encoder(self, part: Encoder, x: Any, mask: Any) -> tuple[Any, list[list[Any]]]:
        """Return the code, and the final states of all LSTM layers if the code consists of them."""
        states: list[list[Any]] = []
        if isinstance(part, LSTMEncoder):
            _refuse_patches(part)
            pools, sequences, of_steps = part.statistics != ("last",), x, mask
            if part.convolutions is not None:
                x, mask = self._step_convolutions(part.convolutions, x, mask)
            x, states = self._stack(
                "encoder.lstm.",
                part.lstm,
                x,
                mask,
                sequences=pools,
                states=part.whole_state or pools,
            )
            features = self._pooled(part, x, states[-1], mask) if pools else [x]
            if part.kernels is not None:
                features += self._kernel_means(part.kernels, sequences, of_steps)
            x = self.layers.Concatenate()(features) if len(features) > 1 else features[0]
            if part.whole_state:
                count = len(part.lstm.kind.states)
                every = [
                    state for i in range(count) for layer in states for state in layer[i::count]
                ]
                x = self.layers.Concatenate()(every) if len(every) > 1 else every[0]
        elif isinstance(part, DenseEncoder):
            if len(x.shape) > 2:
                x = self.layers.Flatten()(x)
            x = self.head("encoder.layers.", part.layers, x)
        else:
            x = self._convolutions(part, x)
        x = self.dense("encoder.projection", x) if projects(part) else x
        activation = code_activation(part)
        return (x if activation == "linear" else self.layers.Activation(activation)(x)), states

    def _step_convolutions(self, part: StepConvolutions, x: Any, mask: Any) -> tuple[Any, Any]:
        """Return the outputs of convolutions in front of an LSTM, and their mask."""
        ops = self.keras.ops
        for depth, (filters, kernel, size) in enumerate(
            zip(part.filters, part.kernels, part.pools, strict=True)
        ):
            surplus, missing = part.surplus(depth), size - 1 - part.rounding(depth)
            x = ops.where(ops.expand_dims(mask, -1), x, 0.0)
            if surplus:  # the number of steps stays the same, since a batch may have too few
                x = ops.pad(x, [(0, 0), (0, surplus), (0, 0)])
                mask = ops.pad(mask, [(0, 0), (0, surplus)])[:, surplus:]
            name, activation = f"encoder.convolutions.{depth}", part.activation
            layer = self.layers.Conv1D(filters, kernel, padding=part.padding, activation=activation)
            weight = self.weights[f"{name}.weight"].transpose(2, 1, 0)
            x = self._with(layer, [weight, self.weights[f"{name}.bias"]], x)
            if size > 1:
                x = ops.where(ops.expand_dims(mask, -1), x, LOWEST)
                edges = [(0, 0), (0, size - 1), (0, 0)]
                x = ops.pad(x, edges, mode="constant", constant_values=LOWEST)
                x = self.layers.MaxPooling1D(size)(x)
                mask = ops.pad(mask, [(0, 0), (0, missing)])[:, missing::size]
        return ops.where(ops.expand_dims(mask, -1), x, 0.0), mask

    def _pooled(self, part: LSTMEncoder, x: Any, final: list[Any], mask: Any) -> list[Any]:
        """Return statistics (N, S) of states (N, T, S) over real steps, one by one."""
        ops = self.keras.ops
        real = ops.expand_dims(mask, -1)

        def statistic(name: str) -> Any:
            if name == "last":
                hidden = final[:: len(part.lstm.kind.states)]
                return self.layers.Concatenate()(hidden) if hidden[1:] else hidden[0]
            if name in ("max", "min"):
                padding, reduce = (LOWEST, ops.max) if name == "max" else (-LOWEST, ops.min)
                extreme = reduce(ops.where(real, x, padding), axis=1)
                return ops.where(ops.any(real, axis=1), extreme, 0.0)
            mean = self._mean(x, real)
            if name == "mean":
                return mean
            square = self._mean(ops.square(x - ops.expand_dims(mean, 1)), real)
            return ops.where(ops.any(real, axis=1), ops.sqrt(square + VARIANCE_FLOOR), 0.0)

        return [statistic(name) for name in part.statistics]

    def _kernel_means(self, part: Kernels, x: Any, mask: Any) -> list[Any]:
        """Return, for every dilation, the means of its kernels (N, kernels) over real steps."""
        ops, weight = self.keras.ops, self.weights["encoder.kernels.weight"].transpose(2, 1, 0)
        bias, means = self.weights["encoder.kernels.bias"], []
        for i, dilation in enumerate(part.dilations):
            kernels = slice(i * part.each, (i + 1) * part.each)
            layer = self.layers.Conv1D(
                part.each,
                part.TAPS,
                dilation_rate=dilation,
                activation="hard_sigmoid",
                trainable=False,
            )
            first = ops.repeat(x[:, :1], (part.TAPS - 1) * dilation, axis=1)
            padded = ops.concatenate([first, x], axis=1)
            values = self._with(layer, [weight[..., kernels], bias[kernels]], padded)
            means.append(self._mean(values, ops.expand_dims(mask, -1)))
        return means

    def _mean(self, x: Any, real: Any) -> Any:
        """Return means (N, S) of x (N, T, S) over the steps where `real` (N, T, 1); 0 if none."""
        ops = self.keras.ops
        count = ops.maximum(ops.sum(ops.cast(real, x.dtype), axis=1), 1.0)
        return ops.sum(ops.where(real, x, 0.0), axis=1) / count

    def _convolutions(self, part: ConvEncoder, x: Any) -> Any:
        """Make a convolutional encoder, whose last map is flattened."""
        image, layers = len(x.shape) == 4, part.layers
        for depth, stride in enumerate(layers.strides):
            x = self._convolution(f"encoder.convolutions.{depth}", x, part.activation, stride)
            pooled = shrunk(layers.sizes[depth], stride)
            x = self._pool(x, pooled, layers.pools[depth], image=image)
        return self.layers.Flatten()(x)

    def _convolution(
        self,
        name: str,
        x: Any,
        activation: str,
        stride: Size = (1, 1),
        *,
        transposed: bool = False,
    ) -> Any:
        """Make a convolution of images, or of sequences."""
        weight, axes = self.weights[f"{name}.weight"], len(x.shape) - 2
        kernel = weight.transpose(2, 3, 0, 1) if transposed else weight.transpose(2, 3, 1, 0)
        kernel = kernel if axes == 2 else kernel[:, 0]
        make = getattr(self.layers, f"Conv{axes}D{'Transpose' if transposed else ''}")
        size, strides = kernel.shape[:axes], stride[:axes]
        layer = make(len(weight), size, strides, padding="same", activation=activation)
        return self._with(layer, [kernel, self.weights[f"{name}.bias"]], x)

    def _pool(self, x: Any, shape: Size, pool: Size, *, image: bool) -> Any:
        """Make a max pooling layer, which pools an incomplete window at the far edges.

        padding="same" does that too if one pixel is missing. If more are missing, Keras pads on
        both sides, so the image is padded here first.
        """
        if pool == (1, 1):
            return x
        axes = 2 if image else 1
        missing = [-pixels % size for pixels, size in zip(shape, pool, strict=True)][:axes]
        if max(missing) > 1:
            edges = [(0, 0), *((0, count) for count in missing), (0, 0)]
            x = self.keras.ops.pad(x, edges, mode="constant", constant_values=LOWEST)
        make = self.layers.MaxPooling2D if image else self.layers.MaxPooling1D
        return make(pool[:axes], padding="same")(x)

    def conv_decoder(self, prefix: str, part: ConvDecoder, code: Any, *, image: bool) -> Any:
        """Make a convolutional decoder of images or sequences."""
        axes = 2 if image else 1
        if part.starts:
            code = self.dense(f"{prefix}start", code, part.activation)
        *shape, filters = part.map_shape
        x = self.layers.Reshape((*shape[:axes], filters))(code)
        upsample = self.layers.UpSampling2D if image else self.layers.UpSampling1D
        crop = self.layers.Cropping2D if image else self.layers.Cropping1D
        *_, last = layers = part.convolutions
        for depth, layer in enumerate(layers):
            if layer.up != (1, 1) and not layer.transposed:
                x = upsample(layer.up if image else layer.up[0])(x)
            activation = part.output_activation if layer is last else part.activation
            name = activation if isinstance(activation, str) else "linear"
            stride = layer.up if layer.transposed else (1, 1)
            stem = f"{prefix}convolutions.{depth}"
            x = self._convolution(stem, x, name, stride, transposed=layer.transposed)
            if not isinstance(activation, str):
                x = self.activate(activation, x)
            surplus = [a - b for a, b in zip(x.shape[1:-1], layer.size, strict=False)]
            if any(surplus):
                cropping = tuple((0, count) for count in surplus)
                x = crop(cropping if image else cropping[0])(x)
        return x

    def lstm_decoder(
        self,
        prefix: str,
        part: LSTMDecoder,
        code: Any,
        states: list[list[Any]],
        steps: int,
        mask: Any,
        reversed_x: Any,
    ) -> Any:
        """Make a decoder; `states` are those of the encoder, if the code consists of them."""
        _refuse_patches(part)
        kind = part.kind
        if kind.code == "steps":
            x = self._pieces(code, part.steps)
            x = x if kind.flat else self.up_to(x, steps)
        else:
            x = self.layers.RepeatVector(steps)(code)
        if kind.reads:
            second = self.up_to(reversed_x, steps)
            x = self.layers.Concatenate()([x, second]) if kind.repeats else second
        start = self._start(prefix, part, code, states) if kind.starts else None
        x, _ = self._stack(
            f"{prefix}lstm.",
            part.lstm,
            x,
            None if kind.flat else mask,
            start=start,
            sequences=not kind.flat,
        )
        x = self.head(f"{prefix}head.", part.head, x)
        if kind.flat:
            return self.up_to(x, steps)
        return self._reversed(x, mask) if part.reverse_target else x

    def up_to(self, x: Any, steps: int) -> Any:
        """Crop sequences, or pad them with zeros, to `steps` steps."""
        surplus = x.shape[1] - steps
        if surplus > 0:
            return self.layers.Cropping1D((0, surplus))(x)
        return self.layers.ZeroPadding1D((0, -surplus))(x) if surplus else x

    def _pieces(self, code: Any, steps: int) -> Any:
        """Split a code into one piece per step, padded with zeros at the end."""
        missing = -code.shape[1] % steps
        if missing:
            code = self.layers.Reshape((code.shape[1], 1))(code)
            code = self.layers.ZeroPadding1D((0, missing))(code)
        return self.layers.Reshape((steps, -(-code.shape[1] // steps)))(code)

    def _start(
        self, prefix: str, part: LSTMDecoder, code: Any, states: list[list[Any]]
    ) -> list[list[Any]]:
        """Return the initial states of each layer: h and c (if any) of each direction in turn."""
        layers = part.lstm
        whole = self.dense(f"{prefix}start", code) if part.starts else code
        shapes = [tuple(state.shape) for layer in states for state in layer]
        each, count = len(layers.kind.states), len(layers.state_sizes)
        per_layer = each * layers.directions
        expected = [(None, units) for units in layers.units for _ in range(per_layer)]
        if whole is code and shapes == expected and _fits(states, layers):
            return states
        ends = accumulate(each * layers.state_sizes, initial=0)
        pieces = [whole[:, first:end] for first, end in pairwise(ends)]
        by_layer = [pieces[k // each + k % each * count] for k in range(each * count)]
        return [by_layer[k : k + per_layer] for k in range(0, each * count, per_layer)]

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
        """Make recurrent layers; return their output and, with `states`, their final states."""
        final_states = []
        for depth, units in enumerate(part.units):
            inner = depth < part.num_layers - 1
            layer = getattr(self.layers, part.kind.title)(
                units,
                activation=part.activation,
                recurrent_activation=part.recurrent_activation,
                return_sequences=inner or sequences,
                return_state=states,
            )
            if part.bidirectional:
                layer = self.layers.Bidirectional(layer)
            width = x.shape[-1]
            x = layer(x, mask=mask, initial_state=None if start is None else start[depth])
            directions = [layer]
            if part.bidirectional:
                directions = [layer.forward_layer, layer.backward_layer]
            for i, direction in enumerate(directions):
                name = f"{prefix}layers.{depth}.{i}."
                direction.set_weights(self._direction(name, width, part.kind))
            if states:
                x, *final = x
                final_states.append(list(final))
        return x, final_states

    def _direction(self, prefix: str, width: int, kind: CellKind) -> list[npt.NDArray[Any]]:
        """Return kernel, recurrent kernel and bias of one direction of a layer.

        A layer without input weights gets a kernel of zeros, since Keras layers need an input. A
        GRU of Keras has two rows of biases, the second of which is added to the recurrent part.
        """
        names = [f"{prefix}{name}" for name in ("weight_context", "weight_ih")]
        kernels = [self.weights[name].T for name in names if name in self.weights]
        recurrent = self.weights[f"{prefix}weight_hh"].T
        kernel = np.concatenate(kernels) if kernels else np.zeros((width, recurrent.shape[1]))
        bias = self.weights[f"{prefix}bias"]
        if not kind.has_c:
            units = len(recurrent)
            second = np.concatenate([np.zeros_like(bias[: 2 * units]), bias[3 * units :]])
            bias = np.stack([bias[: 3 * units], second])
        return [kernel, recurrent, bias]

    def _reversed(self, x: Any, mask: Any) -> Any:
        """Reverse sequences, each within its length; without a mask, over all steps."""
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
        """Apply a layer with these weights to `x`."""
        output = layer(x)  # builds the layer
        layer.set_weights(weights)
        return output


def _refuse_patches(part: LSTMEncoder | LSTMDecoder) -> None:
    """Refuse LSTM layers that read several steps at a time."""
    if part.patch_size > 1:
        raise InputError(
            f"The LSTM reads patches of {part.patch_size} steps, but a Keras mask cannot mark an "
            "incomplete patch; fit with patch_size=1, or export to ONNX."
        )


def _fits(states: list[list[Any]], layers: Layers) -> bool:
    """Return whether there are states for every layer and direction."""
    count = len(layers.kind.states) * layers.directions
    return [len(layer) for layer in states] == [count] * layers.num_layers
