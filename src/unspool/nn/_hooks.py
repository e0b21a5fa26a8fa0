"""What runs inside a model, in which order, and what comes out: noted by hooks.

`watch` runs a module and notes the calls of all its parts; `layers` makes layers of these notes,
the two directions of an LSTM layer together, activations with the layer that they follow.
"""

from dataclasses import dataclass, field
from typing import Any

from torch import Tensor, nn

from unspool.nn.convolution import Convolution, Pool
from unspool.nn.dense import ACTIVATIONS
from unspool.nn.recurrent import LSTM, LSTMLayer

ACTIVATION_NAMES = {module: name for name, module in ACTIVATIONS.items()}


@dataclass
class Seen:
    """Calls in the order in which they ended, and the shape that came out of each module last."""

    calls: list[tuple[nn.Module, Tensor | None, Tensor]] = field(default_factory=list)
    shapes: dict[nn.Module, tuple[int, ...]] = field(default_factory=dict)

    def note(self, module: nn.Module, inputs: Any, output: Any) -> None:
        """Note a call; this is the hook."""
        if isinstance(module, LSTMLayer) and not output[0].shape[1]:
            output = output[1]  # only the final state was wanted
        result = first_tensor(output)
        if result is not None:
            self.calls.append((module, first_tensor(inputs), result))
            self.shapes[module] = tuple(result.shape)

    def count(self, module: nn.Module) -> int:
        """How often a module was called."""
        return sum(ran is module for ran, _, _ in self.calls)


@dataclass
class Layer:
    """A layer: one module, or the two directions of an LSTM layer."""

    modules: list[nn.Module]
    kind: str


def layers(module: nn.Module, seen: Seen) -> list[Layer]:
    """Layers in the order in which they first ran, then those that have weights but did not."""
    together = _directions(module)
    found: dict[Any, Layer] = {}
    told: set[tuple[nn.Module, nn.Module]] = set()  # activations, and what they follow
    last, last_result = None, None
    for ran, given, result in seen.calls:
        if not _is_layer(ran) or (isinstance(ran, nn.Identity) and given is not last_result):
            continue
        if _is_activation(ran) and last and given is last_result and _takes_one(last.modules[0]):
            last_result = None  # a second one is a layer of its own
            if (ran, last.modules[0]) not in told:
                told.add((ran, last.modules[0]))
                last.kind += f" {_activation_name(ran)}"
            continue
        if isinstance(ran, nn.Unflatten) and last and given is last_result:
            seen.shapes[last.modules[0]], last_result = tuple(result.shape), result
            continue
        key = together.get(ran, ran)
        if key not in found:
            found[key] = Layer([], _kind(key))
        last, last_result = found[key], result
        if ran not in last.modules:
            last.modules.append(ran)
    idle = [m for m in module.modules() if m not in seen.shapes and has_weights(m)]
    return [*found.values(), *(Layer([each], _kind(each)) for each in idle)]


def has_weights(module: nn.Module) -> bool:
    """Whether a module has parameters of its own."""
    return any(True for _ in module.parameters(recurse=False))


def first_tensor(thing: Any) -> Tensor | None:
    """The first tensor in what a module was given or gave."""
    if isinstance(thing, Tensor):
        return thing
    if isinstance(thing, dict):
        thing = tuple(thing.values())
    if isinstance(thing, (tuple, list)):
        return next((one for one in map(first_tensor, thing) if one is not None), None)
    return None


def _directions(module: nn.Module) -> dict[nn.Module, tuple[LSTMLayer, ...]]:
    """For each direction of an LSTM layer all directions of that layer."""
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


def _takes_one(module: nn.Module) -> bool:
    """Whether an activation behind this module is told of with it."""
    return has_weights(module) or isinstance(module, Pool)


def _activation_name(module: nn.Module) -> str:
    return ACTIVATION_NAMES.get(type(module), type(module).__name__.lower())


def _kind(layer: nn.Module | tuple[LSTMLayer, ...]) -> str:
    """What a layer is and how wide, in a few words, such as "Conv2D 32 3×3"."""
    if isinstance(layer, tuple):
        kind = _kind(layer[0])
        return kind.replace("LSTM ", f"LSTM {len(layer)} × ") if len(layer) > 1 else kind
    if isinstance(layer, LSTMLayer):
        return f"LSTM {layer.units} {layer.cell.activation}{', backwards' * layer.reverse}"
    name = type(layer).__name__.replace("1d", "1D").replace("2d", "2D").replace("3d", "3D")
    if isinstance(layer, nn.Linear):
        return f"Dense {layer.out_features}"
    if isinstance(layer, nn.Upsample):
        return f"{name} ×{_by(layer.scale_factor or layer.size)}"
    words = [name]
    if isinstance(layer, Convolution) and layer.up != (1, 1):
        words.insert(0, f"Up {_by(layer.up)}")
    if hasattr(layer, "out_channels"):
        words.append(str(layer.out_channels))
    if hasattr(layer, "kernel_size"):
        words.append(_by(layer.kernel_size, axes=int(name[-2]) if name[-1] == "D" else 1))
    return " ".join(words)


def _by(sizes: Any, axes: int = 1) -> str:
    """Sizes of a kernel as "3×3", also where one number stands for all axes."""
    return "×".join(f"{size:g}" for size in (sizes if isinstance(sizes, tuple) else [sizes] * axes))
