"""A model as a table: its layers, what comes out of them, and how many parameters they have.

`summary` runs a copy of the model on zeros, twice, under the hooks of `watch`, and makes rows of
what these noted. The model itself is never run: its hooks, modes and notes stay as they are.
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
from unspool.nn._hooks import Seen, has_weights, layers
from unspool.nn.encoder import LSTMEncoder
from unspool.nn.recurrent import LSTMLayer

Shape = tuple[str | int, ...]

BATCHES = (2, 3)  # the axis that grows between the runs is the batch's, wherever a layer has it


@dataclass(frozen=True)
class Row:
    """A layer; or the input, or the code, where they stand between layers.

    Parameters
    ----------
    name : str
        Where it sits in its part: "lstm", "head_2", ...
    kind : str
        What it computes: "LSTM 100 relu", "LSTM 2 × 50 tanh" in both directions, "Dense 1 linear",
        "Conv2D 32 3×3 relu", ...
    output_shape : tuple
        Of numbers, behind "N" for the batch; empty for a layer that does not run.
    parameters : int
        Those that no row above has counted already.
    part : str
        "input", "encoder", "code", or the name of a decoder; "" in a module without an encoder.
    """

    name: str
    kind: str
    output_shape: Shape
    parameters: int
    part: str

    @property
    def is_layer(self) -> bool:
        """Whether this is a layer, and not the input or the code."""
        return self.part != self.name


@dataclass(frozen=True, repr=False)
class Summary:
    """The table that `summary` makes; print it to see it.

    Parameters
    ----------
    model : str
        Name of the model's class.
    rows : tuple of Row
        In the order in which data flows: input, encoder, code, each decoder with its head.
    reads_input : tuple of str
        Decoders that read the input beside the code.
    """

    model: str
    rows: tuple[Row, ...]
    reads_input: tuple[str, ...] = ()

    @property
    def total(self) -> int:
        """All parameters, those that layers share once."""
        return sum(row.parameters for row in self.rows)

    def __str__(self) -> str:
        lines = [("part", "layer", "kind", "output shape", "parameters")]
        before = ""
        for row in self.rows:
            part = "" if row.part == before else row.part
            name, count = (row.name, f"{row.parameters:,}") if row.is_layer else ("", "")
            lines.append((part, name, row.kind, shape_text(row.output_shape), count))
            before = row.part
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
    """A shape as it is printed: "(N, 9, 100)"."""
    return f"({', '.join(map(str, shape))})" if shape else "not run"


def summary(
    model: Any, steps: int | None = None, *, input_shape: tuple[int, ...] | None = None
) -> Summary:
    """List the layers of a model with their output shapes and numbers of parameters.

    Parameters
    ----------
    model : fitted estimator, or torch module
        An autoencoder, an encoder or a decoder alone, or any other module of one input.
    steps : int, optional
        Steps of the sequences that the shapes are told for; by default those of the longest
        sequence that `fit` saw.
    input_shape : tuple of int, optional
        Shape of one input, in place of `steps`, where the layers do not tell it. For a decoder
        alone it is that of a code, beside `steps`.

    Raises
    ------
    InputError
        Where the shape of the input is not known, or the model does not run on it.

    Examples
    --------
    >>> from unspool.nn import LSTMEncoder
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
    feed = _feed(getattr(model, "autoencoder_", model), module, steps, input_shape)
    copied = copy.deepcopy(module).eval()
    for layer in copied.modules():
        if isinstance(layer, LSTMLayer):  # nothing is worth compiling for a run of zeros
            layer.cell = replace(layer.cell, backend="stepwise")
    try:
        first, second = (_run(copied, feed, batch) for batch in BATCHES)
    except (RuntimeError, TypeError, ValueError, IndexError) as error:
        reason = str(error).splitlines()[0].rstrip(".")
        raise InputError(
            f"{type(model).__name__} does not run on inputs of shape "
            f"{shape_text(('N', *feed.shape))}: {reason}. Give `steps` or `input_shape` as the "
            "model reads them."
        ) from error
    decoders = _children(copied, "decoders")
    return Summary(
        type(model).__name__,
        tuple(_rows(copied, feed, first, second)),
        tuple(name for name, one in decoders.items() if getattr(one, "needs_input", False)),
    )


@dataclass(frozen=True)
class _Feed:
    """What a model is run on."""

    shape: tuple[int, ...]  # of one input, or of one code
    steps: int = 0  # to unwind a code into; 0 for a model that reads inputs
    features: int = 0  # of the input that a decoder alone reads beside the code

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
            "Expected a fitted estimator with a `module_`, or a torch module, got "
            f"{type(model).__name__}."
        )
    return module


def _feed(
    model: Any, module: nn.Module, steps: int | None, input_shape: tuple[int, ...] | None
) -> _Feed:
    """The shape of one input: as given, as `fit` saw it, or as the first layer reads it."""
    reads = getattr(module, "encoder", module)
    reads = reads.lstm if isinstance(reads, LSTMEncoder) else module  # before its dense layers
    first = next(filter(has_weights, reads.modules()), None)
    if "code" in inspect.signature(module.forward).parameters:
        return _feed_of_decoder(module, first, steps, input_shape)
    if input_shape is not None:
        if steps is not None:
            raise InputError("Expected `steps` or `input_shape`, got both; leave one out.")
        return _Feed(tuple(input_shape))
    if steps is None and hasattr(model, "max_length_"):
        steps = max(1, model.max_length_)
    features: int | None = getattr(model, "_n_features", None)
    if isinstance(first, LSTMLayer):
        if steps is None:
            raise InputError(
                f"Expected the `steps` of a sequence for {type(model).__name__}, got None."
            )
        features = first.input_size // _patch_size(module)
    elif isinstance(first, nn.Linear) and features is None:
        return _Feed((first.in_features,) if steps is None else (steps, first.in_features))
    if features is None or steps is None:
        raise InputError(
            f"The layers of {type(model).__name__} do not tell the shape of its input; give it as "
            "`input_shape`, that of one input."
        )
    return _Feed((steps, features))


def _feed_of_decoder(
    decoder: nn.Module,
    first: nn.Module | None,
    steps: int | None,
    input_shape: tuple[int, ...] | None,
) -> _Feed:
    """A code, and steps to unwind it into."""
    name = type(decoder).__name__
    if steps is None:
        raise InputError(f"Expected the `steps` to unwind for {name}, got None.")
    width, features = 0, 0
    if isinstance(first, LSTMLayer):
        width = first.context_size
        reads = getattr(decoder, "needs_input", False)
        features = first.input_size // _patch_size(decoder) if reads else 0
    elif isinstance(first, nn.Linear):
        width = first.in_features
    if input_shape is None and not width:
        raise InputError(
            f"The layers of {name} do not tell the width of a code; give it as `input_shape`, (L,)."
        )
    return _Feed(tuple(input_shape or (width,)), steps, features)


def _patch_size(module: nn.Module) -> int:
    """Steps that the first LSTM layer of a model or part reads at once."""
    size: int = getattr(getattr(module, "encoder", module), "patch_size", 1)
    return size


def _run(module: nn.Module, feed: _Feed, batch: int) -> Seen:
    """Run `module` on a batch of zeros and note what its modules do."""
    seen = Seen()
    hooks = [each.register_forward_hook(seen.note) for each in module.modules()]
    like = next(module.parameters(), torch.empty(0))
    arguments = feed.arguments(batch, like)
    devices = [like.device] if like.is_cuda else []
    encoder, decoders = _children(module).get("encoder"), _children(module, "decoders")
    with torch.random.fork_rng(devices), torch.no_grad():  # a layer may draw noise
        if encoder is not None and hasattr(module, "decoders") and not decoders:
            encoder(*arguments)
        elif encoder is None or not decoders:
            module(*arguments)
        else:  # forward runs one of the decoders, if that
            (x,) = arguments
            code = encoder(x)
            for name, decoder in decoders.items():
                ahead = getattr(module, "horizon", 0) if name != "reconstruction" else 0
                steps = ahead or x.shape[1]
                decoder(code, steps, None, x.new_zeros(batch, steps, *x.shape[2:]))
    for hook in hooks:
        hook.remove()
    return seen


def _rows(module: nn.Module, feed: _Feed, first: Seen, second: Seen) -> Iterator[Row]:
    """The table's rows, from the notes of two runs."""
    start = "code" if feed.steps else "input"
    rows = {start: [Row(start, "", ("N", *feed.shape), 0, start)]}
    paths = {each: path for path, each in module.named_modules()}
    encoder = _children(module).get("encoder")
    if encoder is not None:
        rows["encoder"] = []
        if encoder in first.shapes:
            shape = _with_batch(first.shapes[encoder], second.shapes[encoder])
            rows["code"] = [Row("code", "", shape, 0, "code")]
    counted: set[Tensor] = set()
    for layer in layers(module, first):
        part, path = _place(paths[layer.modules[0]], encoder is not None)
        new = {p for each in layer.modules for p in each.parameters(recurse=False)} - counted
        counted |= new
        shapes = [
            _with_batch(first.shapes[each], second.shapes[each])
            for each in layer.modules
            if each in first.shapes
        ]
        shape = shapes[0] if shapes else ()
        if len(shape) == 3 and shape[1] == 1:  # it may have been run a step at a time
            shape = ("N", first.count(layer.modules[0]), *shape[2:])
        if len(shapes) > 1:  # directions lie side by side
            shape = (*shape[:-1], sum(int(one[-1]) for one in shapes))
        row = Row(path, layer.kind, shape, sum(p.numel() for p in new), part)
        rows.setdefault(part, []).append(row)
    return (row for part in rows.values() for row in _named(part))


def _with_batch(first: tuple[int, ...], second: tuple[int, ...]) -> Shape:
    """The shape of one output behind "N", whichever axis of the two runs is the batch's."""
    for axis, (few, more) in enumerate(zip(first, second, strict=True)):
        if few != more:
            each = (more - few) // (BATCHES[1] - BATCHES[0])
            inner = [each] if each > 1 else []  # steps that the batch is taken together with
            return ("N", *first[:axis], *inner, *first[axis + 1 :])
    return first


def _place(path: str, parts: bool) -> tuple[str, str]:
    """The part that a module belongs to, and its path there."""
    if not parts:
        return "", path
    part, _, rest = path.partition(".")
    if part == "decoders":
        part, _, rest = rest.partition(".")
    return part, rest


def _named(rows: list[Row]) -> list[Row]:
    """Rows of a part by short names, with numbers where several have the same."""
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
    """Children by their names, of `module` or of one of its children."""
    child = getattr(module, name, None) if name else module
    return dict(child.named_children()) if isinstance(child, nn.Module) else {}
