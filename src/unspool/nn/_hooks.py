"""Find the layers of a module, in the order in which they run.

`CallRecorder` records the calls of all submodules with forward hooks. `layers` turns its records
into layers: the two directions of a recurrent layer are one layer, and an activation belongs to the
layer before it.
"""

from dataclasses import dataclass, field
from typing import Any

from torch import Tensor, nn

from unspool.blueprint.cells import CELLS
from unspool.nn.convolution import Convolution, Pool
from unspool.nn.dense import ACTIVATIONS
from unspool.nn.lstm_layer import LSTMLayer
from unspool.nn.lstm_stack import LSTM

ACTIVATION_NAMES = {module: name for name, module in ACTIVATIONS.items()}


@dataclass
class CallRecorder:
    """The calls of submodules in the order in which they ended, and their last output shapes.

    A call is the module, its first input tensor and its first output tensor.
    """

    calls: list[tuple[nn.Module, Tensor | None, Tensor]] = field(default_factory=list)
    shapes: dict[nn.Module, tuple[int, ...]] = field(default_factory=dict)

    def record(self, module: nn.Module, inputs: Any, output: Any) -> None:
        """Record a call; this is the forward hook."""
        if isinstance(module, LSTMLayer) and not output[0].shape[1]:
            output = output[1]  # it returned only its final state
        result = first_tensor(output)
        if result is not None:
            self.calls.append((module, first_tensor(inputs), result))
            self.shapes[module] = tuple(result.shape)

    def count(self, module: nn.Module) -> int:
        """Count the calls of a module."""
        return sum(ran is module for ran, _, _ in self.calls)


@dataclass
class Layer:
    """A layer: one module, or the two directions of an LSTM layer, and its description."""

    modules: list[nn.Module]
    kind: str


def layers(module: nn.Module, recorder: CallRecorder) -> list[Layer]:
    """List layers in the order of their first call, then those with weights that did not run."""
    directions = _directions(module)
    found: dict[Any, Layer] = {}
    described: set[tuple[nn.Module, nn.Module]] = set()  # activations, and the layers before them
    last, last_output = None, None
    for called, input_, output in recorder.calls:
        follows_last = last is not None and input_ is last_output
        if not _is_layer(called) or (isinstance(called, nn.Identity) and not follows_last):
            continue
        if last and follows_last and _is_activation(called) and _has_activation(last.modules[0]):
            last_output = None  # a second activation is a layer
            if (called, last.modules[0]) not in described:
                described.add((called, last.modules[0]))
                last.kind += f" {_activation_name(called)}"
            continue
        if last and follows_last and isinstance(called, nn.Unflatten):
            recorder.shapes[last.modules[0]], last_output = tuple(output.shape), output
            continue
        key = directions.get(called, called)
        if key not in found:
            found[key] = Layer([], _describe(key))
        last, last_output = found[key], output
        if called not in last.modules:
            last.modules.append(called)
    idle = [m for m in module.modules() if m not in recorder.shapes and has_weights(m)]
    return [*found.values(), *(Layer([each], _describe(each)) for each in idle)]


def has_weights(module: nn.Module) -> bool:
    """Return whether a module has parameters outside of its submodules."""
    return any(True for _ in module.parameters(recurse=False))


def first_tensor(value: Any) -> Tensor | None:
    """Return the first tensor in the input or output of a module."""
    if isinstance(value, Tensor):
        return value
    if isinstance(value, dict):
        value = tuple(value.values())
    if isinstance(value, (tuple, list)):
        return next((tensor for tensor in map(first_tensor, value) if tensor is not None), None)
    return None


def _directions(module: nn.Module) -> dict[nn.Module, tuple[LSTMLayer, ...]]:
    """Map each direction of an LSTM layer to all directions of that layer."""
    return {
        direction: tuple(directions)
        for stack in module.modules()
        if isinstance(stack, LSTM)
        for directions in stack.stack()
        for direction in directions
    }


def _is_layer(module: nn.Module) -> bool:
    return has_weights(module) or not any(True for _ in module.children())


def _is_activation(module: nn.Module) -> bool:
    if isinstance(module, nn.Identity):
        return True
    return type(module).__module__ == nn.ReLU.__module__ and not has_weights(module)


def _has_activation(module: nn.Module) -> bool:
    """Return whether an activation after this module belongs to it."""
    return has_weights(module) or isinstance(module, Pool)


def _activation_name(module: nn.Module) -> str:
    return ACTIVATION_NAMES.get(type(module), type(module).__name__.lower())


def _describe(layer: nn.Module | tuple[LSTMLayer, ...]) -> str:
    """Describe the type and size of a layer, such as "Conv2D 32 3×3"."""
    if isinstance(layer, tuple):
        kind = _describe(layer[0])
        return kind.replace(" ", f" {len(layer)} × ", 1) if len(layer) > 1 else kind
    if isinstance(layer, LSTMLayer):
        title = CELLS[layer.cell.kind].title
        return f"{title} {layer.units} {layer.cell.activation}{', backwards' * layer.reverse}"
    name = type(layer).__name__.replace("1d", "1D").replace("2d", "2D").replace("3d", "3D")
    if isinstance(layer, nn.Linear):
        return f"Dense {layer.out_features}"
    if isinstance(layer, nn.Upsample):
        return f"{name} ×{_joined(layer.scale_factor or layer.size)}"
    words = [name]
    stride: Any = getattr(layer, "stride", 1) if hasattr(layer, "out_channels") else 1
    if isinstance(layer, Convolution) and layer.transposed:
        words, stride = ["Transposed", *words], layer.up
    elif isinstance(layer, Convolution) and layer.up != (1, 1):
        words.insert(0, f"Up {_joined(layer.up)}")
    if hasattr(layer, "out_channels"):
        words.append(str(layer.out_channels))
    if hasattr(layer, "kernel_size"):
        words.append(_joined(layer.kernel_size, axes=int(name[-2]) if name[-1] == "D" else 1))
    if isinstance(stride, tuple) and max(stride) > 1:
        words.append(f"stride {_joined(stride)}")
    return " ".join(words)


def _joined(sizes: Any, axes: int = 1) -> str:
    """Write the sizes of a kernel as "3×3"; one number is repeated for all axes."""
    return "×".join(f"{size:g}" for size in (sizes if isinstance(sizes, tuple) else [sizes] * axes))
