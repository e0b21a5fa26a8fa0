"""Autoencoders whose training step runs in one call of compiled code (`unspool.lstm.fused`).

`parts_of` decides whether a model is served; `loss_sum` computes its loss and its gradients.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor, nn

from unspool.blueprint.layers import DECODERS
from unspool.lstm import Choice, fused
from unspool.nn.autoencoder import Autoencoder
from unspool.nn.dense import Sigmoid
from unspool.nn.dropout import Dropout
from unspool.nn.lstm_decoder import LSTMDecoder
from unspool.nn.lstm_encoder import LSTMEncoder
from unspool.nn.lstm_layer import LSTMLayer
from unspool.nn.lstm_stack import LSTM
from unspool.nn.patches import lengths_in_patches, patch_positions, patched

ACTIVATIONS: Mapping[type[nn.Module], fused.DenseActivation] = {
    nn.Identity: "linear",
    nn.ReLU: "relu",
    nn.Tanh: "tanh",
    Sigmoid: "sigmoid",
}
DECODER_KINDS = (DECODERS["repeat"], DECODERS["reversed_input"])
RAN = Choice("compiled", "in one call with the whole training step")


class Parts(NamedTuple):
    """A model that is served, as stages of `unspool.lstm.fused`."""

    stages: list[fused.LSTMStage | fused.DenseStage]
    layers: tuple[LSTMLayer, LSTMLayer]  # of the encoder and of the decoder
    patch_size: int
    reads_positions: bool  # whether the decoder reads the positions of the patches


def loss_sum(
    model: Autoencoder,
    x: Tensor,
    lengths: Tensor | None,
    loss: str,
    error_weights: Tensor | None = None,
    dropout: Dropout | None = None,
) -> Tensor | None:
    """Return the loss of a batch, summed over real steps and features, or None.

    If gradients are enabled they are computed together with the loss. The result is None for a
    model that `parts_of` does not serve, for a loss that is not in `unspool.lstm.fused.LOSSES`, and
    for sequences that end within a patch, since the loss of a patch counts as a whole here.

    Parameters
    ----------
    model : Autoencoder
        The model, which reconstructs `x`.
    x : tensor of shape (B, T, F)
        The sequences.
    lengths : whole-number tensor of shape (B,), optional
        Number of real steps of each sequence, all T by default.
    loss : str
        Name of the loss.
    error_weights : tensor that broadcasts to (B, T, F), optional
        Weight of each error in the loss, 1 by default.
    dropout : Dropout, optional
        Dropout of the hidden states and of the code.
    """
    if x.requires_grad or not len(x) or loss not in fused.LOSSES:
        return None
    dropout = dropout or Dropout()
    parts = parts_of(model, len(x), h_mask=bool(dropout.recurrent))
    if parts is None:
        return None
    read, size = model.encoder.marked(x), parts.patch_size
    if model.encoder.fill is not None:  # the errors of missing values have the weight 0
        present = ~x.isnan()
        error_weights = present.to(x) if error_weights is None else error_weights * present
        x = model.encoder.filled(x)
    if size > 1:
        incomplete = x.shape[1] % size if lengths is None else (lengths % size).any()
        if incomplete:
            return None
        if error_weights is not None:
            error_weights = patched(error_weights.expand_as(x), size, lengths)
        read = patched(read, size, lengths)
        x, lengths = patched(x, size, lengths), lengths_in_patches(lengths, size)
    inputs = {"x": read}
    if parts.reads_positions:
        inputs["positions"] = patch_positions(x.shape[1], x)
    for layer in parts.layers:
        layer.ran = RAN
    batch = fused.Batch(x, inputs, lengths, error_weights)
    stages = _with_masks(parts, len(x), dropout)
    if not torch.is_grad_enabled():
        return fused.loss_and_gradients(stages, batch, loss, gradients=False)[0]
    weights = fused.weights_of(stages)
    return cast(Tensor, _LossWithGradients.apply(stages, batch, loss, *weights))  # type: ignore[no-untyped-call]


def _with_masks(
    parts: Parts, batch_size: int, dropout: Dropout
) -> list[fused.LSTMStage | fused.DenseStage]:
    """Return the stages with masks, which are drawn in the order in which the modules draw them."""
    first, second, *dense = parts.stages
    assert isinstance(first, fused.LSTMStage)
    assert isinstance(second, fused.LSTMStage)
    units, weight = parts.layers[0].units, first.w_hh
    first = first._replace(
        h_mask=dropout.state_mask(batch_size, units, weight),
        emitted_mask=dropout.code_mask(batch_size, units, weight),
    )
    second = second._replace(h_mask=dropout.state_mask(batch_size, parts.layers[1].units, weight))
    return [first, second, *dense]


def parts_of(model: Autoencoder, batch_size: int, *, h_mask: bool = False) -> Parts | None:
    """Return the stages of `model`, or None if some part of it is not served.

    Served on a CPU are one LSTM layer in one direction whose final, mean or largest state is the
    code, one LSTM layer that decodes it at every step, and dense layers with linear, ReLU, tanh or
    sigmoid activations.
    """
    if list(model.decoders) != ["reconstruction"] or model.targets is not None:
        return None
    encoder, decoder = model.encoder, model.decoder()
    if type(encoder) is not LSTMEncoder or encoder.whole_state or len(encoder.statistics) > 1:
        return None
    if encoder.projection is not None or encoder.log_variance is not None:
        return None
    if encoder.convolutions is not None:
        return None
    if not isinstance(encoder.code_activation, nn.Identity):
        return None
    if type(decoder) is not LSTMDecoder or decoder.kind not in DECODER_KINDS:
        return None
    if decoder.reverse_target:
        return None
    size = decoder.patch_size
    if decoder.needs_input and size > 1:  # steps would have to be reversed within patches too
        return None
    dense = _dense_stages(decoder)
    first, second = _only_layer(encoder.lstm), _only_layer(decoder.lstm)
    if not dense or first is None or second is None or not second.context_size:
        return None
    choices = [layer.choice(batch_size, h_mask=h_mask) for layer in (first, second)]
    if any(choice.name != "compiled" for choice in choices):
        return None
    reads = "x" if decoder.needs_input else "positions" if decoder.reads_place else None
    stages: list[fused.LSTMStage | fused.DenseStage] = [
        _lstm_stage(first, reads="x", emits=encoder.statistics[0]),
        _lstm_stage(second, reads=reads, reads_backwards=decoder.needs_input),
        *dense,
    ]
    return Parts(stages, (first, second), size, reads == "positions")


def _only_layer(lstm: LSTM) -> LSTMLayer | None:
    """Return the layer of a stack that has one layer in one direction, else None."""
    stack = lstm.stack()
    return stack[0][0] if len(stack) == 1 and len(stack[0]) == 1 else None


def _dense_stages(decoder: LSTMDecoder) -> list[fused.DenseStage] | None:
    """Return the layers of a decoder's head, or None if one of them is not served."""
    modules = [module for module in decoder.head if not isinstance(module, nn.Unflatten)]
    stages = []
    for linear, activation in zip(modules[::2], modules[1::2], strict=True):
        if not isinstance(linear, nn.Linear) or type(activation) not in ACTIVATIONS:
            return None
        stages.append(fused.DenseStage(linear.weight, linear.bias, ACTIVATIONS[type(activation)]))
    return stages


def _lstm_stage(layer: LSTMLayer, **options: Any) -> fused.LSTMStage:
    """Return a layer as a stage; `options` are those of `LSTMStage`."""
    return fused.LSTMStage(
        layer.weight_ih,
        layer.weight_hh,
        layer.bias,
        layer.weight_context,
        layer.cell.activation,
        layer.cell.recurrent_activation,
        cell=layer.cell.kind,
        **options,
    )


class _LossWithGradients(torch.autograd.Function):
    """The loss as an operation of autograd, whose gradients the forward pass has computed."""

    @staticmethod
    def forward(
        ctx: Any,
        stages: list[fused.LSTMStage | fused.DenseStage],
        batch: fused.Batch,
        loss: str,
        *weights: Tensor | None,
    ) -> Tensor:
        total, gradients = fused.loss_and_gradients(stages, batch, loss)
        ctx.save_for_backward(*gradients)
        return total

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        (grad,) = grads
        gradients = [g if g is None else g * grad for g in ctx.saved_tensors]
        return (None, None, None, *gradients)
