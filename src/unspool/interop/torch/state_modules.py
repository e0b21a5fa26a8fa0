"""The modules of a state dict: recurrent layers and linear layers, with their weights."""

import re
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from unspool._types import CellName
from unspool.errors import InputError
from unspool.interop.torch.state_file import Array, State

_RECURRENT = re.compile(r"(weight_ih|weight_hh|bias_ih|bias_hh|weight_hr)(?:_l(\d+)(_reverse)?)?")
CELL_OF_GATES: dict[int, CellName] = {4: "lstm", 3: "gru"}


class DirectionWeights(NamedTuple):
    """Weights of one direction of a layer, with the gates in the order of unspool."""

    w_ih: Array
    w_hh: Array
    bias: Array


class RecurrentLayer(NamedTuple):
    """A recurrent layer with one or two directions."""

    cell: CellName
    directions: tuple[DirectionWeights, ...]

    @property
    def units(self) -> int:
        """Number of units of each direction."""
        return int(self.directions[0].w_hh.shape[1])

    @property
    def width(self) -> int:
        """Width of the states of both directions."""
        return self.units * len(self.directions)

    @property
    def inputs(self) -> int:
        """Number of features that the layer reads at each step."""
        return int(self.directions[0].w_ih.shape[1])


class Recurrent(NamedTuple):
    """An `nn.LSTM` or `nn.GRU`, or one of their cells."""

    name: str
    layers: tuple[RecurrentLayer, ...]


class Linear(NamedTuple):
    """An `nn.Linear`: weight (outputs, inputs) and bias (outputs,)."""

    name: str
    weight: Array
    bias: Array


Modules = dict[str, Recurrent | Linear]


def modules_in(state: State, ignore: Iterable[str] = ()) -> Modules:
    """Return the modules of a state dict by their names, in its order.

    Parameters
    ----------
    state : dict of arrays
        The tensors.
    ignore : iterable of str
        Names of modules or tensors that are left out.

    Raises
    ------
    InputError
        If a tensor belongs to no supported module, or has an unexpected shape.
    """
    ignore = tuple(ignore)
    for name in ignore:
        if not any(_is_within(tensor, name) for tensor in state):
            raise InputError(f"`ignore` names {name!r}, but no tensor has this name.")
    tensors: dict[str, dict[str, Array]] = {}
    for name, array in state.items():
        if not any(_is_within(name, one) for one in ignore):
            module, _, tensor = name.rpartition(".")
            tensors.setdefault(module, {})[tensor] = array
    return {name: _module(name, each) for name, each in tensors.items()}


def _is_within(tensor: str, module: str) -> bool:
    return tensor == module or tensor.startswith(f"{module}.")


def _module(name: str, tensors: dict[str, Array]) -> Recurrent | Linear:
    if all(_RECURRENT.fullmatch(tensor) for tensor in tensors):
        return _recurrent(name, tensors)
    weight = tensors.get("weight")
    if weight is None or weight.ndim != 2 or not tensors.keys() <= {"weight", "bias"}:
        raise _unsupported(name, tensors)
    bias = tensors.get("bias", np.zeros(len(weight), np.float32))
    if bias.shape != weight.shape[:1]:
        raise InputError(f"{name}.bias has the shape {bias.shape}; expected ({len(weight)},).")
    return Linear(name, weight, bias)


def _unsupported(name: str, tensors: dict[str, Array]) -> InputError:
    """Return the error that names the first tensor of a module that is not supported."""
    first, array = (
        next((n, a) for n, a in tensors.items() if n not in ("weight", "bias"))
        if (tensors.keys() - {"weight", "bias"})
        else next(iter(tensors.items()))
    )
    full = f"{name}.{first}" if name else first
    return InputError(
        f"the tensor {full!r} of shape {array.shape} belongs to no nn.LSTM, nn.GRU or nn.Linear, "
        "and other modules cannot be imported; if predictions do not use it, name its module in "
        "`ignore`."
    )


def _recurrent(name: str, tensors: dict[str, Array]) -> Recurrent:
    """Read an `nn.LSTM`, `nn.GRU`, `nn.LSTMCell` or `nn.GRUCell`."""
    parts: dict[tuple[int, int], dict[str, Array]] = {}
    for tensor, array in tensors.items():
        match = _RECURRENT.fullmatch(tensor)
        assert match is not None
        kind, depth, reverse = match.groups()
        if kind == "weight_hr":
            raise InputError(
                f"{name}.{tensor} is the projection of an nn.LSTM with proj_size, which unspool's "
                "LSTM does not have; train with proj_size=0."
            )
        parts.setdefault((int(depth or 0), int(reverse is not None)), {})[kind] = array
    directions = 1 + max(direction for _, direction in parts)
    count = 1 + max(depth for depth, _ in parts)
    layers: list[RecurrentLayer] = []
    for depth in range(count):
        read = [
            _direction(f"{name} (layer {depth})", parts.get((depth, direction), {}))
            for direction in range(directions)
        ]
        cells = {cell for cell, _ in read}
        shapes = {tuple(array.shape for array in weights) for _, weights in read}
        if len(cells) > 1 or len(shapes) > 1:
            raise InputError(f"{name}: the two directions of layer {depth} differ in shape.")
        layer = RecurrentLayer(cells.pop(), tuple(weights for _, weights in read))
        if layers and layer.inputs != layers[-1].width:
            raise InputError(
                f"{name}: layer {depth} reads {layer.inputs} features, but the layer before it "
                f"has {layers[-1].width}."
            )
        layers.append(layer)
    return Recurrent(name, tuple(layers))


def _direction(where: str, tensors: dict[str, Array]) -> tuple[CellName, DirectionWeights]:
    """Return the kind of cell and the weights of one direction."""
    missing = [kind for kind in ("weight_ih", "weight_hh") if kind not in tensors]
    if missing:
        raise InputError(f"{where} has no {missing[0]}; save the whole state dict.")
    if ("bias_ih" in tensors) != ("bias_hh" in tensors):
        raise InputError(f"{where} has only one of bias_ih and bias_hh; save the whole state dict.")
    w_ih, w_hh = tensors["weight_ih"], tensors["weight_hh"]
    if w_hh.ndim != 2 or w_ih.ndim != 2 or len(w_ih) != len(w_hh) or not w_hh.size:
        raise InputError(
            f"{where} has the weights {w_ih.shape} and {w_hh.shape}; expected (gates · H, F) and "
            "(gates · H, H)."
        )
    rows, units = w_hh.shape
    cell = CELL_OF_GATES.get(rows // units)
    if cell is None or rows % units:
        known = "it is an nn.RNN" if rows == units else f"{rows} rows for {units} units"
        raise InputError(f"{where} is no LSTM or GRU ({known}), which is all that is supported.")
    zeros = np.zeros(rows, np.float32)
    b_ih, b_hh = tensors.get("bias_ih", zeros), tensors.get("bias_hh", zeros)
    if b_ih.shape != (rows,) or b_hh.shape != (rows,):
        raise InputError(f"{where} has biases {b_ih.shape} and {b_hh.shape}; expected ({rows},).")
    if cell == "lstm":
        return cell, DirectionWeights(w_ih, w_hh, b_ih + b_hh)
    # PyTorch has the gates of a GRU in the order r, z, n; the two biases of n are kept apart.
    (i_r, i_z, i_n), (h_r, h_z, h_n) = np.split(b_ih, 3), np.split(b_hh, 3)
    bias = np.concatenate([i_z + h_z, i_r + h_r, i_n, h_n])
    return cell, DirectionWeights(_reordered(w_ih), _reordered(w_hh), bias)


def _reordered(weight: Array) -> Array:
    """Return a weight with its gates z, r, n from one with r, z, n."""
    first, second, third = np.split(weight, 3)
    return np.concatenate([second, first, third])
