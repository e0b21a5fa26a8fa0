"""Build the PyTorch modules that a blueprint describes."""

from torch import Generator

from unspool import blueprint as plan
from unspool._types import Auto, BackendName
from unspool.nn.autoencoder import Autoencoder
from unspool.nn.conv_decoder import ConvDecoder
from unspool.nn.conv_encoder import ConvEncoder
from unspool.nn.decoder import Decoder
from unspool.nn.encoder import Encoder
from unspool.nn.feedforward import DenseDecoder, DenseEncoder
from unspool.nn.head import Head
from unspool.nn.lstm_decoder import LSTMDecoder
from unspool.nn.lstm_encoder import LSTMEncoder
from unspool.nn.lstm_layer import Cell
from unspool.nn.skip import Skip


def build(
    blueprint: plan.Blueprint,
    generator: Generator | None = None,
    backend: BackendName | Auto = "auto",
) -> Autoencoder:
    """Build the modules of a model, with initial weights from `generator`."""
    encoder = build_encoder(blueprint.encoder, generator, backend)
    decoders = {
        name: build_decoder(decoder, generator, backend, blueprint.encoder.n_features)
        for name, decoder in blueprint.decoders.items()
    }
    skip = None if blueprint.skip is None else Skip(**vars(blueprint.skip))
    return Autoencoder(
        encoder,
        decoders,
        blueprint.horizon,
        skip,
        targets=blueprint.targets,
        known=blueprint.known,
    )


def build_encoder(
    part: plan.Encoder, generator: Generator | None, backend: BackendName | Auto
) -> Encoder:
    """Build an encoder."""
    if isinstance(part, plan.LSTMEncoder):
        return LSTMEncoder(
            part.n_features,
            part.latent_dim,
            units=part.lstm.units,
            bidirectional=part.lstm.bidirectional,
            whole_state=part.whole_state,
            pooling=part.pooling,
            kernels=part.kernels,
            patch_size=part.patch_size,
            convolutions=part.convolutions,
            normalization=part.normalization,
            variational=part.variational,
            missing=part.missing,
            code_activation=part.code_activation,
            cell=_cell(part.lstm, backend),
            generator=generator,
        )
    if isinstance(part, plan.DenseEncoder):
        return DenseEncoder(
            part.n_features,
            part.steps,
            part.latent_dim,
            units=part.units,
            activation=part.activation,
            code_activation=part.code_activation,
            variational=part.variational,
            missing=part.missing,
            generator=generator,
        )
    return ConvEncoder(
        part.n_features,
        part.layers.shape,
        part.latent_dim,
        filters=part.layers.filters,
        kernel=part.layers.kernels,
        stride=part.layers.strides,
        pool=part.layers.pools,
        activation=part.activation,
        code_activation=part.code_activation,
        variational=part.variational,
        missing=part.missing,
        generator=generator,
    )


def build_decoder(
    part: plan.Decoder,
    generator: Generator | None,
    backend: BackendName | Auto,
    input_features: int | None = None,
) -> Decoder:
    """Build a decoder; the reversed input that it may read has `input_features`."""
    if isinstance(part, plan.LSTMDecoder):
        return LSTMDecoder(
            part.name,
            part.latent_dim,
            part.n_features,
            steps=part.steps,
            units=part.lstm.units,
            bidirectional=part.lstm.bidirectional,
            reverse_target=part.reverse_target,
            patch_size=part.patch_size,
            input_features=input_features,
            n_known=part.n_known,
            reads_masks=part.reads_masks,
            head_units=part.head.units,
            head_activation=part.head.activation,
            output_activation=part.head.output_activation,
            cell=_cell(part.lstm, backend),
            generator=generator,
        )
    if isinstance(part, plan.DenseDecoder):
        return DenseDecoder(
            part.latent_dim,
            part.n_features,
            part.max_steps,
            units=part.head.units or (),
            activation=part.head.activation,
            output_activation=part.head.output_activation,
            n_known=part.n_known,
            generator=generator,
        )
    return ConvDecoder(
        part.latent_dim,
        part.n_features,
        part.layers.shape,
        filters=part.layers.filters,
        kernel=part.layers.kernels,
        stride=part.layers.strides,
        pool=part.layers.pools,
        upsampling="transposed" if part.transposed else "nearest",
        activation=part.activation,
        output_activation=part.output_activation,
        generator=generator,
    )


def build_head(part: plan.Head, generator: Generator | None = None) -> Head:
    """Build the dense layers of a classifier."""
    return Head(
        part.inputs,
        part.outputs,
        units=part.units,
        steps=part.steps,
        activation=part.activation,
        output_activation=part.output_activation,
        generator=generator,
    )


def _cell(layers: plan.Layers, backend: BackendName | Auto) -> Cell:
    return Cell(layers.activation, layers.recurrent_activation, backend, layers.cell)
