"""A model as a table of its layers, output shapes and numbers of parameters.

`summary` runs a copy of the model on zeros, twice with different batch sizes, and makes the rows of
the table from what a `CallRecorder` recorded. The model itself is not run or changed.
"""

import copy
import inspect
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import torch
from sklearn.utils.validation import check_is_fitted
from torch import Tensor, nn

from unspool import _checks
from unspool.errors import InputError
from unspool.nn._hooks import CallRecorder, has_weights, layers
from unspool.nn.lstm_encoder import LSTMEncoder
from unspool.nn.lstm_layer import LSTMLayer

Shape = tuple[str | int, ...]

BATCH_SIZES = (2, 3)  # batch sizes of the two runs: the axis whose size differs is the batch axis


@dataclass(frozen=True)
class Row:
    """A row of a `Summary`: a layer, the input or the code.

    Parameters
    ----------
    name : str
        Name of the layer within its part, such as "lstm" or "head_2".
    kind : str
        Type and size of the layer, such as "LSTM 100 relu", "LSTM 2 × 50 tanh" (two directions),
        "Dense 1 linear" or "Conv2D 32 3×3 relu".
    output_shape : tuple of str and int
        Shape of the output, with "N" for the batch size; empty for a layer that is not run.
    parameters : int
        Number of parameters, without those counted in an earlier row.
    part : str
        "input", "encoder", "code", or the name of a decoder; "" for a module without an encoder.

    Attributes
    ----------
    is_layer : bool
        Whether the row is a layer, and not the input or the code.

    See Also
    --------
    summary : Create the table.

    Examples
    --------
    >>> from unspool.nn import LSTMEncoder, summary
    >>> summary(LSTMEncoder(1, 100), steps=9).rows[1].kind
    'LSTM 100 tanh'
    """

    name: str
    kind: str
    output_shape: Shape
    parameters: int
    part: str

    @property
    def is_layer(self) -> bool:
        """Whether the row is a layer, and not the input or the code."""
        return self.part != self.name


@dataclass(frozen=True, repr=False)
class Summary:
    """The layers of a model, as returned by `summary`; `print` shows a table.

    Parameters
    ----------
    model : str
        Name of the model's class.
    rows : tuple of Row
        Input, layers of the encoder, code, and layers of each decoder, in this order.
    reads_input : tuple of str, default ()
        Names of the decoders that read the input in addition to the code.

    Attributes
    ----------
    total : int
        Number of parameters; shared parameters count once.

    See Also
    --------
    summary : Create the table.

    Examples
    --------
    >>> from unspool.nn import LSTMEncoder, summary
    >>> summary(LSTMEncoder(1, 100), steps=9).total
    40800
    """

    model: str
    rows: tuple[Row, ...]
    reads_input: tuple[str, ...] = ()

    @property
    def total(self) -> int:
        """Number of parameters; shared parameters count once."""
        return sum(row.parameters for row in self.rows)

    def __str__(self) -> str:
        lines = [("part", "layer", "kind", "output shape", "parameters")]
        previous = ""
        for row in self.rows:
            part = "" if row.part == previous else row.part
            name, count = (row.name, f"{row.parameters:,}") if row.is_layer else ("", "")
            lines.append((part, name, row.kind, shape_text(row.output_shape), count))
            previous = row.part
        lines.append(("total", "", "", "", f"{self.total:,}"))
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        cells = [
            [cell.ljust(width) for cell, width in zip(line, widths, strict=True)] for line in lines
        ]
        for line in cells:
            line[-1] = line[-1].strip().rjust(widths[-1])
        head, *body, total = ["  ".join(line).rstrip() for line in cells]
        rule = "─" * len(head)
        return "\n".join([self.model, rule, head, rule, *body, rule, total])

    __repr__ = __str__


def shape_text(shape: Shape) -> str:
    """Write a shape as "(N, 9, 100)"."""
    return f"({', '.join(map(str, shape))})" if shape else "not run"


def summary(
    model: Any, steps: int | None = None, *, input_shape: tuple[int, ...] | None = None
) -> Summary:
    """List the layers of a model with their output shapes and numbers of parameters.

    Parameters
    ----------
    model : fitted estimator, or torch.nn.Module
        An autoencoder, an encoder or a decoder alone, or any other module with one input.
    steps : int, optional
        Number of steps of the input sequences, or of the sequences that a decoder returns.
        Default: the longest sequence of `fit`.
    input_shape : tuple of int, optional
        Shape of one input without the batch axis, instead of `steps`, if the layers do not
        determine it. For a decoder alone, shape of one code, in addition to `steps`. Default:
        determined from the layers.

    Returns
    -------
    Summary
        The table; `print` shows it.

    Raises
    ------
    InputError
        If the shape of the input is unknown, or the model cannot run on it.
    sklearn.exceptions.NotFittedError
        If an estimator is not fitted.

    See Also
    --------
    gate_weights : The weights of LSTM layers, split by gate.
    unspool.plots : Displays, among them a diagram of the layers.

    Examples
    --------
    >>> from unspool.nn import LSTMEncoder, summary
    >>> print(summary(LSTMEncoder(1, 100), steps=9))
    LSTMEncoder
    ─────────────────────────────────────────────────────
    part   layer  kind           output shape  parameters
    ─────────────────────────────────────────────────────
    input                        (N, 9, 1)
           lstm   LSTM 100 tanh  (N, 100)          40,800
    ─────────────────────────────────────────────────────
    total                                          40,800
    """
    _checks.raise_all(
        _checks.whole("steps", steps, 1, none=True),
        *(_checks.whole("input_shape", size, 1) for size in input_shape or ()),
    )
    module = _module_of(model)
    dummy = _dummy_input(getattr(model, "autoencoder_", model), module, steps, input_shape)
    copied = copy.deepcopy(module).eval()
    for layer in copied.modules():
        if isinstance(layer, LSTMLayer):  # compiling takes longer than this run
            layer.cell = replace(layer.cell, backend="stepwise")
    try:
        first, second = (_run(copied, dummy, batch) for batch in BATCH_SIZES)
    except (RuntimeError, TypeError, ValueError, IndexError) as error:
        reason = str(error).splitlines()[0].rstrip(".")
        raise InputError(
            f"{type(model).__name__} cannot run on inputs of shape "
            f"{shape_text(('N', *dummy.shape))}: {reason}. Set `steps` or `input_shape` to what "
            "the model expects."
        ) from error
    decoders = _children(copied, "decoders")
    return Summary(
        type(model).__name__,
        tuple(_rows(copied, dummy, first, second)),
        tuple(name for name, one in decoders.items() if getattr(one, "needs_input", False)),
    )


@dataclass(frozen=True)
class _DummyInput:
    """The zeros that a model is run on: the shape of one input, or of one code."""

    shape: tuple[int, ...]
    steps: int = 0  # number of steps to decode; 0 for a model that reads inputs
    features: int = 0  # number of features that a decoder reads in addition to the code

    def arguments(self, batch: int, like: Tensor) -> tuple[Any, ...]:
        data = like.new_zeros(batch, *self.shape)
        if not self.steps:
            return (data,)
        x = like.new_zeros(batch, self.steps, self.features) if self.features else None
        return data, self.steps, None, x


def _module_of(model: Any) -> nn.Module:
    if isinstance(model, nn.Module):
        return model
    if hasattr(model, "fit"):
        check_is_fitted(model)
    module = getattr(model, "module_", None)
    if not isinstance(module, nn.Module):
        raise InputError(
            "Expected a fitted estimator with the attribute `module_`, or a torch module, got "
            f"{type(model).__name__}."
        )
    return module


def _dummy_input(
    model: Any, module: nn.Module, steps: int | None, input_shape: tuple[int, ...] | None
) -> _DummyInput:
    """Find the shape of an input: given by the caller, by `fit`, or by the first layer."""
    encoder = getattr(module, "encoder", module)
    before = encoder.convolutions if isinstance(encoder, LSTMEncoder) else None
    reads = (
        encoder.lstm if isinstance(encoder, LSTMEncoder) else module
    )  # its dense layers come first in `modules`
    first = next(filter(has_weights, reads.modules()), None)
    if "code" in inspect.signature(module.forward).parameters:
        return _dummy_code(module, first, steps, input_shape)
    if input_shape is not None:
        if steps is not None:
            raise InputError("Expected `steps` or `input_shape`, got both. Leave one of them out.")
        return _DummyInput(tuple(input_shape))
    if steps is None and hasattr(model, "max_length_"):
        steps = max(1, model.max_length_)
    features: int | None = getattr(model, "_n_features", None)
    if isinstance(first, LSTMLayer):
        if steps is None:
            raise InputError(
                f"The layers of {type(model).__name__} do not determine the number of steps. Give "
                "`steps`, the number of steps of a sequence."
            )
        width = first.input_size if before is None else before.part.inputs
        features = width // (_patch_size(module) * _numbers_per_value(module))
    elif isinstance(first, nn.Linear) and features is None:
        width = first.in_features // _numbers_per_value(module)
        return _DummyInput((width,) if steps is None else (steps, width))
    if features is None or steps is None:
        raise InputError(
            f"The layers of {type(model).__name__} do not determine the shape of its input. Give "
            "`input_shape`, the shape of one input."
        )
    return _DummyInput((steps, features))


def _dummy_code(
    decoder: nn.Module,
    first: nn.Module | None,
    steps: int | None,
    input_shape: tuple[int, ...] | None,
) -> _DummyInput:
    """Find the shape of one code, and the number of steps to decode."""
    name = type(decoder).__name__
    if steps is None:
        raise InputError(f"{name} is a decoder. Give `steps`, the number of steps to decode.")
    width, features = 0, 0
    if isinstance(first, LSTMLayer):
        width = first.context_size
        reads = getattr(decoder, "needs_input", False)
        features = first.input_size // _patch_size(decoder) if reads else 0
    elif isinstance(first, nn.Linear):
        width = first.in_features
    if input_shape is None and not width:
        raise InputError(
            f"The layers of {name} do not determine the length of a code. Give `input_shape`, (L,)."
        )
    return _DummyInput(tuple(input_shape or (width,)), steps, features)


def _numbers_per_value(module: nn.Module) -> int:
    """Return 2 if a model or encoder reads an indicator of each missing value, else 1."""
    return 1 if getattr(getattr(module, "encoder", module), "fill", None) is None else 2


def _patch_size(module: nn.Module) -> int:
    """Return the number of steps that the first LSTM layer of a model or part reads at once."""
    size: int = getattr(getattr(module, "encoder", module), "patch_size", 1)
    return size


def _run(module: nn.Module, dummy: _DummyInput, batch: int) -> CallRecorder:
    """Run `module` on a batch of zeros and record the calls of its submodules."""
    recorder = CallRecorder()
    hooks = [each.register_forward_hook(recorder.record) for each in module.modules()]
    like = next(module.parameters(), torch.empty(0))
    arguments = dummy.arguments(batch, like)
    devices = [like.device] if like.is_cuda else []
    encoder, decoders = _children(module).get("encoder"), _children(module, "decoders")
    with torch.random.fork_rng(devices), torch.no_grad():  # for layers with random noise
        if encoder is not None and hasattr(module, "decoders") and not decoders:
            encoder(*arguments)
        elif encoder is None or not decoders:
            module(*arguments)
        else:  # `forward` runs at most one of the decoders
            (x,) = arguments
            code = encoder(x)
            for name, decoder in decoders.items():
                horizon = getattr(module, "horizon", 0) if name != "reconstruction" else 0
                steps = horizon or x.shape[1]
                n_known = getattr(decoder, "n_known", 0)
                also = {"known": x.new_zeros(batch, steps, n_known)} if n_known else {}
                decoder(code, steps, None, x.new_zeros(batch, steps, *x.shape[2:]), **also)
    for hook in hooks:
        hook.remove()
    return recorder


def _rows(
    module: nn.Module, dummy: _DummyInput, first: CallRecorder, second: CallRecorder
) -> Iterator[Row]:
    """Yield the rows of the table from the records of two runs."""
    start = "code" if dummy.steps else "input"
    rows = {start: [Row(start, "", ("N", *dummy.shape), 0, start)]}
    paths = {each: path for path, each in module.named_modules()}
    encoder = _children(module).get("encoder")
    if encoder is not None:
        rows["encoder"] = []
        if encoder in first.shapes:
            shape = _with_batch(first.shapes[encoder], second.shapes[encoder])
            rows["code"] = [Row("code", "", shape, 0, "code")]
    counted: set[Tensor] = set()
    for layer in layers(module, first):
        part, path = _split_path(paths[layer.modules[0]], encoder is not None)
        new = {p for each in layer.modules for p in each.parameters(recurse=False)} - counted
        counted |= new
        shapes = [
            _with_batch(first.shapes[each], second.shapes[each])
            for each in layer.modules
            if each in first.shapes
        ]
        shape = shapes[0] if shapes else ()
        if len(shape) == 3 and shape[1] == 1:  # the layer may have run step by step
            shape = ("N", first.count(layer.modules[0]), *shape[2:])
        if len(shapes) > 1:  # the states of both directions are concatenated
            shape = (*shape[:-1], sum(int(one[-1]) for one in shapes))
        row = Row(path, layer.kind, shape, sum(p.numel() for p in new), part)
        rows.setdefault(part, []).append(row)
    return (row for part in rows.values() for row in _named(part))


def _with_batch(first: tuple[int, ...], second: tuple[int, ...]) -> Shape:
    """Replace the axis that differs between the two runs, the batch axis, by a leading "N"."""
    for axis, (size, larger) in enumerate(zip(first, second, strict=True)):
        if size != larger:
            per_sample = (larger - size) // (BATCH_SIZES[1] - BATCH_SIZES[0])
            inner = [per_sample] if per_sample > 1 else []  # batch and steps share the axis
            return ("N", *first[:axis], *inner, *first[axis + 1 :])
    return first


def _split_path(path: str, parts: bool) -> tuple[str, str]:
    """Split the path of a module into its part of the model and the path within it."""
    if not parts:
        return "", path
    part, _, rest = path.partition(".")
    if part == "decoders":
        part, _, rest = rest.partition(".")
    return part, rest


def _named(rows: list[Row]) -> list[Row]:
    """Shorten the names of the rows of a part, and number equal ones."""
    stems = [_stem(row) for row in rows]
    names = [
        f"{stem}_{stems[: i + 1].count(stem)}" if stems.count(stem) > 1 else stem
        for i, stem in enumerate(stems)
    ]
    return [replace(row, name=name) for row, name in zip(rows, names, strict=True)]


def _stem(row: Row) -> str:
    words = [word for word in row.name.split(".") if not word.isdigit() and word != "layers"]
    return ".".join(filter(None, words)) or row.kind.split()[0].lower()


def _children(module: nn.Module, name: str = "") -> dict[str, nn.Module]:
    """Return the children of `module`, or of its child `name`, by name."""
    child = getattr(module, name, None) if name else module
    return dict(child.named_children()) if isinstance(child, nn.Module) else {}
