"""Autoencoders whose training step runs in one call of compiled code (`unspool.lstm.fused`).

`losses` computes the losses of a batch and their gradients; `unspool.nn.fused_plan` decides whether
a model is served, and describes it as stages.
"""

import math
import weakref
from collections.abc import Mapping
from operator import is_
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from unspool._padding import reverse_within, without_padding
from unspool.errors import InputError
from unspool.lstm import Choice, threads
from unspool.lstm.program import PreparedProgram
from unspool.nn.autoencoder import Autoencoder
from unspool.nn.dropout import Dropout
from unspool.nn.feedforward import DenseDecoder
from unspool.nn.fused_plan import NotServed, Shape, mask_name, plan_of, reads_backwards
from unspool.nn.losses import present_in
from unspool.nn.lstm_decoder import LSTMDecoder
from unspool.nn.lstm_encoder import LSTMEncoder
from unspool.nn.lstm_layer import LSTMLayer
from unspool.nn.missing import marked
from unspool.nn.normalization import normalised
from unspool.nn.patches import lengths_in_patches, patch_positions, patched

RAN = Choice("compiled", "in one call with the whole training step")
MAX_KEPT = 1 << 26  # bytes of the prepared programs of a model that are kept between steps
MAX_PROGRAMS = 4  # of a model


class Target(NamedTuple):
    """What a decoder is compared with.

    Parameters
    ----------
    values : tensor of shape (B, T, F)
        The true output; NaN is a missing value, which does not count.
    error_weights : tensor that broadcasts to (B, T, F), optional
        Weight of each error in the loss, 1 by default.
    weight : float, default 1.0
        Factor of the loss in the sum whose gradient is computed; one of them is 1.
    """

    values: Tensor
    error_weights: Tensor | None = None
    weight: float = 1.0


def losses(
    model: Autoencoder,
    x: Tensor,
    lengths: Tensor | None,
    targets: Mapping[str, Target],
    loss: str,
    *,
    dropout: Dropout | None = None,
    future: Tensor | None = None,
) -> dict[str, Tensor] | None:
    """Return the loss of each decoder, summed over real steps and features, or None.

    If gradients are enabled they are computed together with the losses: those of the sum of all
    losses times their weights. The result is None for a model that is not served, and
    `model.whole_step` says why.

    Parameters
    ----------
    model : Autoencoder
        The model.
    x : tensor of shape (B, T, F)
        The sequences that it reads.
    lengths : whole-number tensor of shape (B,), optional
        Number of real steps of each sequence, all T by default.
    targets : mapping of str to Target
        What each decoder is compared with.
    loss : str
        Name of the loss.
    dropout : Dropout, optional
        Dropout of the hidden states and of the code.
    future : tensor of shape (B, K, n_known), optional
        Known features of the steps of the forecast.
    """
    if x.requires_grad or not len(x) or not x.shape[1]:
        return None
    dropout = dropout or Dropout()
    try:
        if not _kept.get(model):  # a model that is not served is found out before any work
            plan_of(model, _shape(model, x, lengths, {}, loss, dropout), dropout)
        arrays = _arrays(model, x, lengths, targets, future, loss)
        prepared = _prepared(model, x, lengths, arrays, loss, dropout)
    except NotServed as reason:
        model.whole_step = f"layer by layer, since {reason}"
        return None
    _draw_masks(arrays, model, len(x), dropout)
    for layer in prepared.layers:
        layer.ran = RAN
    model.whole_step = RAN.reason
    arguments = prepared, arrays, [targets[name].weight for name in model.decoders]
    if torch.is_grad_enabled():
        idle = _without_weight(model, targets)
        weights = [
            weight.detach() if weight in idle else weight
            for weight in prepared.program.weights
            if weight is not None
        ]
        found = _LossesWithGradients.apply(*arguments, *weights)  # type: ignore[no-untyped-call]
    else:
        found, _ = prepared.program.run(arrays)
    _give_back(model, prepared)  # not after an error, when threads may still be at work
    return dict(zip(model.decoders, found, strict=True))


def _without_weight(model: Autoencoder, targets: Mapping[str, Target]) -> set[Tensor]:
    """Return the weights of decoders whose loss has the weight 0: they have no gradient."""
    idle = [name for name in model.decoders if not targets[name].weight]
    return {weight for name in idle for weight in model.decoder(name).parameters()}


# The arrays of a batch.


def _arrays(
    model: Autoencoder,
    x: Tensor,
    lengths: Tensor | None,
    targets: Mapping[str, Target],
    future: Tensor | None,
    loss: str,
) -> dict[str, Tensor]:
    """Return what the stages read, without masks."""
    encoder = model.encoder
    if not isinstance(encoder, LSTMEncoder):
        raise NotServed(f"the encoder is no LSTMEncoder but of {type(encoder).__name__}")
    size = encoder.patch_size
    if encoder.normalization == "none":
        read = encoder.marked(x)
    else:
        read = normalised(x, lengths, encoder.normalization, encoder.fill)
        read = marked(read, None if encoder.fill is None else torch.zeros_like(encoder.fill))
    arrays = {"x": patched(read, size, lengths)}
    ends = lengths_in_patches(lengths, size)
    if ends is not None:
        arrays["lengths"] = ends
    if encoder.kernels is not None:
        with torch.no_grad():
            arrays["kernels"] = encoder.kernels(encoder.filled(x), lengths)
    for name in model.decoders:
        target = targets[name]
        ends = lengths if name == "reconstruction" else None
        arrays |= _read_by_decoder(model, name, x, lengths, future)
        arrays |= _compared(model, name, target, ends, loss)
        if name == "forecast" and model.skip is not None:
            location, spread = model.skip.level(model.of_targets(x), lengths)
            shape = target.values.shape
            for part, values in (("offsets", location), ("factors", spread)):
                arrays[f"{name}.{part}"] = _as_outputs(model, name, values.expand(shape))
    return arrays


def _read_by_decoder(
    model: Autoencoder, name: str, x: Tensor, lengths: Tensor | None, future: Tensor | None
) -> dict[str, Tensor]:
    """Return what an LSTM decoder reads at its steps in addition to the code."""
    decoder = model.decoder(name)
    if not isinstance(decoder, LSTMDecoder) or reads_backwards(model, name):
        return {}
    steps = x.shape[1] if name == "reconstruction" else model.horizon
    count = -(-steps // decoder.patch_size)
    read = None
    if decoder.needs_input:
        given = without_padding(model.encoder.marked(x), lengths)
        read = patched(reverse_within(given, lengths), decoder.patch_size)[:, :count]
        read = nn.functional.pad(read, (0, 0, 0, count - read.shape[1]))
    elif decoder.reads_place:
        read = patch_positions(count, x)
    if decoder.n_known and future is not None:
        known = patched(future, decoder.patch_size)
        read = known if read is None else torch.cat([read, known], 2)
    return {} if read is None else {f"{name}.reads": read}


def _compared(
    model: Autoencoder, name: str, target: Target, lengths: Tensor | None, loss: str
) -> dict[str, Tensor]:
    """Return the target of a decoder, and the weights of its errors if there are any."""
    values, weights = target.values, target.error_weights
    decoder = model.decoder(name)
    if model.encoder.fill is not None:  # the errors of missing values have the weight 0
        present = present_in(values, loss)
        weights = present.to(values) if weights is None else weights * present
        values = torch.where(values.isnan(), 0.0, values)
    size = decoder.patch_size if isinstance(decoder, LSTMDecoder) else 1
    if _on_vector(decoder):
        size = max(decoder.max_steps or 0, 1)
    steps = values.shape[1]
    # Where a patch, or a vector of all steps, is not complete, the rest has the weight 0.
    incomplete = steps % size != 0
    if lengths is not None and size > 1:
        incomplete = incomplete or bool((lengths % size).any())
    if incomplete and weights is None:
        weights = torch.ones_like(values[:, :, :1])
    if weights is not None:
        weights = weights.expand_as(values)
    if getattr(decoder, "reverse_target", False):
        values = reverse_within(values, lengths)
        weights = None if weights is None else reverse_within(weights, lengths)
    found = {f"{name}.target": patched(values, size, lengths)}
    if weights is not None:
        found[f"{name}.weights"] = patched(weights, size, lengths)
    return found


def _on_vector(decoder: nn.Module) -> bool:
    """Return whether a decoder computes all steps at once."""
    if isinstance(decoder, LSTMDecoder):
        return decoder.kind.flat
    return isinstance(decoder, DenseDecoder)


def _as_outputs(model: Autoencoder, name: str, values: Tensor) -> Tensor:
    """Return values (B, T, F) in the order of a decoder's outputs."""
    decoder = model.decoder(name)
    size = decoder.patch_size if isinstance(decoder, LSTMDecoder) else 1
    if getattr(decoder, "reverse_target", False):
        values = values.flip(1)
    return patched(values, max(decoder.max_steps or 0, 1) if _on_vector(decoder) else size)


def _draw_masks(
    arrays: dict[str, Tensor], model: Autoencoder, batch: int, dropout: Dropout
) -> None:
    """Draw the masks in the order in which the modules draw them."""
    if not (dropout.recurrent or dropout.code):
        return
    encoder = model.encoder
    assert isinstance(encoder, LSTMEncoder)
    like = encoder.lstm.stack()[0][0].weight_hh

    def draw(name: str, layers: list[list[LSTMLayer]]) -> None:
        for number, layer in enumerate(one for directions in layers for one in directions):
            mask = dropout.state_mask(batch, layer.units, like)
            if mask is not None:
                arrays[mask_name(name, number)] = mask

    draw("encoder", encoder.lstm.stack())
    mask = dropout.code_mask(batch, encoder.latent_dim, like)
    if mask is not None:
        arrays["code.mask"] = mask
    for name in model.decoders:
        decoder = model.decoder(name)
        if isinstance(decoder, LSTMDecoder):
            draw(name, decoder.lstm.stack())


# Programs, which are kept from step to step.


class _Prepared(NamedTuple):
    program: PreparedProgram
    layers: list[LSTMLayer]
    key: tuple[Any, ...]
    parts: list[tuple[dict[str, Any], list[str], list[Any]]]


# The programs of a model that are not in use, by their keys; the last one is at the end.
_kept: weakref.WeakKeyDictionary[Autoencoder, dict[Any, _Prepared]] = weakref.WeakKeyDictionary()


def _prepared(
    model: Autoencoder,
    x: Tensor,
    lengths: Tensor | None,
    arrays: Mapping[str, Tensor],
    loss: str,
    dropout: Dropout,
) -> _Prepared:
    """Take the program of a model and a shape of batches, or prepare it."""
    shape = _shape(model, x, lengths, arrays, loss, dropout)
    key = shape, bool(dropout.layers), threads.count()
    kept = _kept.setdefault(model, {}).pop(key, None)
    if kept is not None and kept.program.fits and all(map(_is_same, kept.parts)):
        return kept
    plan = plan_of(model, shape, dropout)
    program = PreparedProgram(plan.stages, len(x), gradients=shape.training)
    return _Prepared(program, plan.layers, key, _parts(model))


def _shape(
    model: Autoencoder,
    x: Tensor,
    lengths: Tensor | None,
    arrays: Mapping[str, Tensor],
    loss: str,
    dropout: Dropout,
) -> Shape:
    return Shape(
        len(x),
        x.shape[1],
        loss,
        lengths is not None,
        tuple(name for name in model.decoders if f"{name}.weights" in arrays),
        torch.is_grad_enabled(),
        bool(dropout.recurrent),
        bool(dropout.code),
    )


def _parts(model: nn.Module) -> list[tuple[dict[str, Any], list[str], list[Any]]]:
    """Return the parts, weights and buffers of all modules: a program is for these objects."""
    found = []
    for module in model.modules():
        for now in (module._modules, module._parameters, module._buffers):
            if now:
                found.append((now, list(now), list(now.values())))
    return found


def _is_same(part: tuple[dict[str, Any], list[str], list[Any]]) -> bool:
    """Return whether a dict of parts has the same objects as before."""
    now, names, values = part
    return list(now) == names and all(map(is_, now.values(), values))


def _give_back(model: Autoencoder, prepared: _Prepared) -> None:
    """Keep a program for the next step, unless it is too large."""
    kept = _kept.setdefault(model, {})
    kept[prepared.key] = prepared
    while len(kept) > MAX_PROGRAMS or sum(one.program.bytes for one in kept.values()) > MAX_KEPT:
        kept.pop(next(iter(kept)), None)


class _LossesWithGradients(torch.autograd.Function):
    """Losses as an operation of autograd, whose gradients the forward pass has computed."""

    @staticmethod
    def forward(
        ctx: Any,
        prepared: _Prepared,
        arrays: Mapping[str, Tensor],
        factors: list[float],
        *weights: Tensor,
    ) -> tuple[Tensor, ...]:
        found, gradients = prepared.program.run(arrays, factors)
        assert gradients is not None
        ctx.save_for_backward(gradients)
        ctx.prepared, ctx.factors = prepared.program.shapes, factors
        return tuple(found)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        (gradients,) = ctx.saved_tensors
        first = grads[ctx.factors.index(1.0)]
        pairs = zip(ctx.factors, grads, strict=True)
        if len(grads) > 1 and not all(
            math.isclose(factor * float(first), float(grad), rel_tol=1e-3) for factor, grad in pairs
        ):
            raise InputError(
                "Expected the losses of a training step in one call to be added with the weights "
                "of `targets`, since only the gradient of this sum is computed; add them so."
            )
        scaled = gradients * first
        pieces = scaled.split([shape.numel() for shape in ctx.prepared])
        found = [piece.view(shape) for piece, shape in zip(pieces, ctx.prepared, strict=True)]
        return (None, None, None, *found)
