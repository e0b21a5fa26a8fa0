"""The decoder with convolutions."""

from collections.abc import Sequence

from torch import Generator, Tensor, nn

from unspool._types import ActivationName, UpsamplingName
from unspool.blueprint.activations import Activation
from unspool.blueprint.convolutions import Convolutions, for_each, mirrored
from unspool.blueprint.layers import Size
from unspool.nn.convolution import Convolution
from unspool.nn.decoder import Decoder, TeacherForcing
from unspool.nn.dense import Dense, make_activation
from unspool.nn.dropout import Dropout

# Initial bias of a ReLU output layer. With a zero bias, a network whose outputs are negative
# wherever the image is not black returns zeros and gets no gradient: 2 of 64 seeds got stuck like
# this on MNIST; with 0.3, none of 128.
RELU_OUTPUT_BIAS = 0.3


class ConvDecoder(Decoder):
    """Decode codes to images or sequences with convolutions and upsampling.

    It mirrors the `ConvEncoder` with the same parameters. With ``upsampling="nearest"`` it has a
    convolution with ``filters[-1]`` outputs, then for each convolution of the encoder an upsampling
    by stride · pool and a convolution. With "transposed" it has a transposed convolution with this
    stride for each convolution of the encoder, then a convolution. The last one returns the
    channels of the image. Surplus rows and columns are cropped.

    Parameters
    ----------
    latent_dim : int or None
        Length of the code, L. None if the code is the flattened feature map; otherwise a dense
        layer maps the code to the feature map.
    n_features : int
        Number of channels, C (features per step of a sequence, F).
    shape : (int, int)
        Height and width of an image; (T, 1) for sequences of at most T steps.
    filters : sequence of int, default (32,)
        Number of filters of each convolution of the encoder.
    kernel : (int, int) or sequence of these, default (3, 3)
        Height and width of the encoder's kernels; a sequence has those of each convolution.
    stride : (int, int) or sequence of these, default (1, 1)
        Strides of the encoder.
    pool : (int, int) or sequence of these, default (2, 2)
        Pooling of the encoder.
    upsampling : {"nearest", "transposed"}, default "nearest"
        How images are enlarged: by repeating pixels, or by transposed convolutions.
    activation : {"linear", "relu", "tanh", "sigmoid", "elu", "gelu", "softmax"}, default "relu"
        Activation of each layer except the last.
    output_activation : str or MixedActivation, default "linear"
        Activation of the last convolution; accepts the same names as `activation`. With "relu",
        its bias starts at 0.3 instead of 0, so that black images have a gradient.
    generator : torch.Generator, optional
        Random number generator for the initial weights. Default: PyTorch's global one.

    Attributes
    ----------
    start : torch.nn.Linear or None
        Layer from the code to the feature map.
    convolutions : torch.nn.ModuleList
        The convolutions.
    max_steps : int
        Maximum number of steps or pixels, H · W.

    Raises
    ------
    InputError
        If an activation is unknown.

    See Also
    --------
    ConvEncoder : Encode images or sequences with convolutions.

    Examples
    --------
    >>> import torch
    >>> from unspool.nn import ConvDecoder
    >>> decoder = ConvDecoder(16, 1, (28, 28), filters=[32, 16])
    >>> decoder(torch.zeros(2, 16), steps=28 * 28).shape
    torch.Size([2, 784, 1])
    """

    dropout: Dropout | None = None  # set by `Autoencoder.dropping`

    def __init__(
        self,
        latent_dim: int | None,
        n_features: int,
        shape: Size,
        *,
        filters: Sequence[int] = (32,),
        kernel: Size | Sequence[Size] = (3, 3),
        stride: Size | Sequence[Size] = (1, 1),
        pool: Size | Sequence[Size] = (2, 2),
        upsampling: UpsamplingName = "nearest",
        activation: ActivationName = "relu",
        output_activation: Activation = "linear",
        generator: Generator | None = None,
    ) -> None:
        super().__init__()
        self.max_steps = shape[0] * shape[1]
        each = [for_each(one, len(filters)) for one in (kernel, stride, pool)]
        encoder = Convolutions(shape, tuple(filters), *each)
        self.map_shape, flat = encoder.map_shape, encoder.flat
        needs_start = latent_dim not in (None, flat)
        self.start = Dense(latent_dim or flat, flat, generator) if needs_start else None
        layers = mirrored(encoder, n_features, transposed=upsampling == "transposed")
        convolutions = [
            Convolution(
                layer.inputs,
                layer.outputs,
                layer.kernel,
                up=layer.up,
                transposed=layer.transposed,
                generator=generator,
            )
            for layer in layers
        ]
        self.sizes = [layer.size for layer in layers]
        if output_activation == "relu":
            nn.init.constant_(convolutions[-1].bias, RELU_OUTPUT_BIAS)
        self.convolutions = nn.ModuleList(convolutions)
        self.activation = make_activation(activation)
        self.output_activation = make_activation(output_activation)

    def forward(
        self,
        code: Tensor,
        steps: int,
        lengths: Tensor | None = None,
        reversed_input: Tensor | None = None,
        teacher: TeacherForcing | None = None,
    ) -> Tensor:
        """Decode codes to sequences, or to images as sequences of H · W pixels.

        Parameters
        ----------
        code : tensor of shape (B, L)
            Codes.
        steps : int
            Number of steps to return, at most `max_steps`.
        lengths : int tensor of shape (B,), optional
            Number of real steps of each sequence. It has no effect: outputs at padded steps are
            arbitrary.
        reversed_input : tensor of shape (B, T, F), optional
            The reversed input. It has no effect: only the code is read.
        teacher : TeacherForcing, optional
            True outputs. They have no effect: only the code is read.

        Returns
        -------
        tensor of shape (B, steps, F)
            Decoded sequences.
        """
        if self.start is not None:
            code = self._dropped(self.activation(self.start(code)))
        images = code.view(len(code), *self.map_shape)
        *inner, last = self.convolutions
        for convolution, (height, width) in zip(inner, self.sizes, strict=False):
            images = self._dropped(self.activation(convolution(images))[:, :height, :width])
        height, width = self.sizes[-1]
        images = last(images)[:, :height, :width]
        sequences: Tensor = self.output_activation(images.flatten(1, 2))
        return sequences[:, :steps]

    def _dropped(self, x: Tensor) -> Tensor:
        """Apply dropout between two layers, if it is on."""
        return x if self.dropout is None else self.dropout.of_layer(x)
