"""Single Keras layers as NumPy weights in the layout of ours, and what of them cannot be had here.

Keras keeps a kernel as (inputs, outputs), ours is (outputs, inputs). The gates of an LSTM lie in
the same order, i, f, c, o (`unspool.lstm.reference`).
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from unspool.blueprint.models import ACTIVATIONS, CELLS, GATES
from unspool.interop.keras.graph import Step, Wire, config_of, keras_module, kind_of, refuse

Array = npt.NDArray[np.float32]


class Dense(NamedTuple):
    """A dense layer: weight (outputs, inputs), bias (outputs,); `behind` is what comes of it."""

    step: Step
    weight: Array
    bias: Array
    activation: str
    behind: Wire

    @property
    def width(self) -> int:
        """Its outputs."""
        return len(self.bias)


class Half(NamedTuple):
    """One direction of an LSTM layer: w_ih (4H, F), w_hh (4H, H), bias (4H,)."""

    w_ih: Array
    w_hh: Array
    bias: Array


class Recurrent(NamedTuple):
    """An LSTM layer, in one direction or both."""

    step: Step
    halves: tuple[Half, ...]
    activation: str
    recurrent_activation: str
    sequences: bool

    @property
    def units(self) -> int:
        """Of each direction."""
        units: int = self.halves[0].w_hh.shape[1]
        return units


class Conv(NamedTuple):
    """A convolution: weight (outputs, inputs, height, width), bias (outputs,)."""

    step: Step
    weight: Array
    bias: Array
    activation: str


def activation_of(step: Step) -> str:
    """The activation of a layer that has one, or is one."""
    config, name = step.config, ""
    if step.kind == "ReLU":
        plain = config["max_value"] is None and not config["negative_slope"]
        name = "relu" if plain and not config["threshold"] else "a leaky or bounded ReLU"
    elif step.kind == "ELU":
        name = "elu" if config["alpha"] == 1 else f"ELU with alpha {config['alpha']:g}"
    elif step.kind == "Softmax":
        name = "softmax" if config["axis"] in (-1, [-1]) else "softmax over another axis"
    else:
        name = _function(step.layer)
    if name not in ACTIVATIONS:
        raise refuse(step, f"its activation is {_told(name)}, known are {', '.join(ACTIVATIONS)}.")
    return name


def _function(layer: Any, argument: str = "activation") -> Any:
    """The name of a layer's activation; a function of the user's may be named as one of Keras's."""
    name, function = config_of(layer)[argument] or "linear", getattr(layer, argument)
    keras = keras_module()
    # Their gelus differ.
    homes = [keras.activations] if name == "gelu" else [keras.activations, keras.ops]
    named = isinstance(name, str) and name in {*ACTIVATIONS, *CELLS, *GATES}
    if named and all(function is not getattr(home, name, None) for home in homes):
        return f"a function named {name!r} that is not keras.activations.{name}"
    return name


def read_dense(step: Step) -> Dense:
    """A `Dense` layer, bare or within `TimeDistributed`."""
    layer = step.layer.layer if step.kind == "TimeDistributed" else step.layer
    inner = kind_of(layer)
    if inner != "Dense":
        raise refuse(step, f"it applies a {inner} to every step, only Dense can be had.")
    config = config_of(layer)
    if config.get("lora_rank") or getattr(layer, "quantization_mode", None):
        raise refuse(step, "its weights are quantized, or have LoRA parts; plain ones are needed.")
    weights = [np.asarray(one, np.float32) for one in layer.get_weights()]
    kernel = weights[0]
    bias = weights[1] if config["use_bias"] else np.zeros(kernel.shape[1], np.float32)
    name = _function(layer)
    if name not in ACTIVATIONS:
        raise refuse(step, f"its activation is {_told(name)}, known are {', '.join(ACTIVATIONS)}.")
    return Dense(step, np.ascontiguousarray(kernel.T), bias, name, Wire(step))


def read_recurrent(step: Step) -> Recurrent:
    """An `LSTM` layer, bare or within `Bidirectional`."""
    if step.kind == "LSTM":
        first, config = step.layer, step.config
        if config["go_backwards"]:
            raise refuse(step, "go_backwards has no counterpart but in Bidirectional.")
        halves: tuple[Half, ...] = (_half(step, step.layer),)
    else:
        first, config = step.layer.forward_layer, _of_both(step)
        halves = (
            _half(step, step.layer.forward_layer),
            _half(step, step.layer.backward_layer),
        )
    activation, gates = _function(first), _function(first, "recurrent_activation")
    if activation not in CELLS:
        known = " and ".join(CELLS)
        raise refuse(step, f"its activation is {_told(activation)}, known are {known}.")
    if gates not in GATES:
        known = " and ".join(GATES)
        raise refuse(step, f"its recurrent_activation is {_told(gates)}, known are {known}.")
    return Recurrent(step, halves, activation, gates, config["return_sequences"])


def _of_both(step: Step) -> dict[str, Any]:
    """The arguments that the two layers of a `Bidirectional` share."""
    forward, backward = step.layer.forward_layer, step.layer.backward_layer
    for layer in (forward, backward):
        if kind_of(layer) != "LSTM":
            raise refuse(step, f"it runs a {kind_of(layer)}, only LSTM can be had.")
    merge = step.config["merge_mode"]
    if merge != "concat":
        raise refuse(step, f"its merge_mode is {merge!r}, only 'concat' can be had.")
    one, other = config_of(forward), config_of(backward)
    for name in ("units", "activation", "recurrent_activation"):
        unlike = name != "units" and _function(forward, name) != _function(backward, name)
        if one[name] != other[name] or unlike:
            raise refuse(step, f"its two layers differ in `{name}`; they have to be alike.")
    return one


def _half(step: Step, layer: Any) -> Half:
    config = config_of(layer)
    if config["stateful"]:
        raise refuse(
            step, "it is stateful, and goes on from the batch before; here every sequence starts "
            "anew, so build it with stateful=False."
        )  # fmt: skip
    weights = [np.asarray(one, np.float32) for one in layer.get_weights()]
    bias = weights[2] if config["use_bias"] else np.zeros(4 * config["units"], np.float32)
    kernel, recurrent = (np.ascontiguousarray(one.T) for one in weights[:2])
    return Half(kernel, recurrent, bias)


def read_conv(step: Step) -> Conv:
    """A `Conv1D` or `Conv2D` layer; one dimension is an image one pixel wide."""
    config = step.config
    wanted: Mapping[str, Any] = {
        "strides": 1,
        "dilation_rate": 1,
        "groups": 1,
        "padding": "same",
        "data_format": "channels_last",
    }
    _as_wanted(step, wanted)
    kernel, *bias = (np.asarray(one, np.float32) for one in step.layer.get_weights())
    if kernel.ndim == 3:
        kernel = kernel[:, None]
    weight = np.ascontiguousarray(kernel.transpose(3, 2, 0, 1))
    zeros = np.zeros(len(weight), np.float32)
    return Conv(step, weight, bias[0] if config["use_bias"] else zeros, activation_of(step))


def read_pool(step: Step) -> tuple[int, ...]:
    """The size of a `MaxPooling` layer whose windows lie side by side."""
    size = tuple(np.atleast_1d(step.config["pool_size"]).tolist())
    _as_wanted(step, {"strides": list(size), "data_format": "channels_last"})
    for pixels, pooled in zip(step.reads[0].shape, size, strict=False):
        missing = -(pixels or 0) % pooled
        if missing and (step.config["padding"] != "same" or missing > 1):
            raise refuse(
                step,
                f"{pixels} do not divide into windows of {pooled}; here what is left over is a "
                "window of its own at the far end, which is padding='same' for a single one.",
            )
    return size


def read_up(step: Step) -> tuple[int, ...]:
    """The size of an `UpSampling` layer that repeats pixels."""
    config = step.config
    wanted = {"data_format": "channels_last", "interpolation": "nearest"}
    _as_wanted(step, {name: value for name, value in wanted.items() if name in config})
    return tuple(np.atleast_1d(config["size"]).tolist())


def _as_wanted(step: Step, wanted: Mapping[str, Any]) -> None:
    """Refuse a layer with an argument that is not the one that can be had."""
    for name, value in wanted.items():
        got = step.config[name]
        if isinstance(got, (list, tuple)):
            fits = list(got) == (value if isinstance(value, list) else [value] * len(got))
        else:
            fits = got == (value[0] if isinstance(value, list) else value)
        if not fits:
            raise refuse(step, f"its `{name}` is {got!r}, only {value!r} can be had.")


def read_scaling(step: Step) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """Shift and scale of ``(x - shift) / scale`` as a `Normalization` or `Rescaling` has it."""
    if step.kind == "Rescaling":
        factor, offset = (
            np.atleast_1d(np.asarray(one, np.float64)).reshape(-1)
            for one in (step.layer.scale, step.layer.offset)
        )
        if not (factor > 0).all():
            raise refuse(step, "its scale has to be above zero.")
        return -offset / factor, 1 / factor
    if tuple(np.atleast_1d(step.config["axis"]).tolist()) not in ((-1,), (len(step.shapes[0]),)):
        raise refuse(step, "it has to scale each feature by itself (axis=-1).")
    mean, variance = (
        np.asarray(_numpy(one), np.float64).reshape(-1)
        for one in (step.layer.mean, step.layer.variance)
    )
    shift, scale = mean, np.maximum(np.sqrt(variance), 1e-7)  # as Keras bounds it
    return (-shift / scale, 1 / scale) if step.config["invert"] else (shift, scale)


def _numpy(tensor: Any) -> Any:
    return tensor.detach().cpu().numpy() if hasattr(tensor, "detach") else np.asarray(tensor)


def _told(name: Any) -> str:
    if isinstance(name, Mapping):  # a function of the user's, as Keras writes it down
        name = name.get("config", {})
        name = name.get("name", "a custom one") if isinstance(name, Mapping) else name
    return repr(name) if isinstance(name, str) and name.isidentifier() else str(name)


READERS: Mapping[str, Callable[[Step], Any]] = {
    "Dense": read_dense,
    "TimeDistributed": read_dense,
    "LSTM": read_recurrent,
    "Bidirectional": read_recurrent,
    "Conv1D": read_conv,
    "Conv2D": read_conv,
}


def same_scaling(one: Wire, other: Wire) -> bool:
    """Whether two steps scale alike."""
    return all(
        np.array_equal(a, b)
        for a, b in zip(read_scaling(one.step), read_scaling(other.step), strict=True)
    )
