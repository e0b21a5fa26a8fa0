"""The encoder with convolutions."""

from collections.abc import Sequence
from itertools import pairwise

from torch import Generator, Tensor, nn

from unspool._padding import without_padding
from unspool._types import ActivationName
from unspool.blueprint.convolutions import Convolutions, for_each
from unspool.blueprint.layers import Size
from unspool.nn.convolution import Convolution, Pool
from unspool.nn.dense import make_activation
from unspool.nn.dropout import Dropout
from unspool.nn.encoder import Encoder
from unspool.nn.feedforward import pad_to

# These activations are monotonic, so that max pooling before or after them is the same.
MONOTONIC = ("linear", "relu", "tanh", "sigmoid", "elu")


class ConvEncoder(Encoder):
    """Encode images or sequences with convolutions, each followed by max pooling.

    Parameters
    ----------
    n_features : int
        Number of channels, C (features per step of a sequence, F).
    shape : (int, int)
        Height and width of an image; (T, 1) for sequences of at most T steps. Shorter sequences
        are padded with zeros.
    latent_dim : int, optional
        Length of the code, L. Default: the code is the last feature map, flattened. Otherwise a
        linear layer maps the feature map to the code.
    filters : sequence of int, default (32,)
        Number of filters of each convolution.
    kernel : (int, int) or sequence of these, default (3, 3)
        Height and width of the kernels; a sequence has those of each convolution.
    stride : (int, int) or sequence of these, default (1, 1)
        Stride of the convolutions; a side that it does not divide is rounded up.
    pool : (int, int) or sequence of these, default (2, 2)
        Height and width of the pooling blocks.
    activation : {"linear", "relu", "tanh", "sigmoid", "elu", "gelu", "softmax"}, default "relu"
        Activation of each convolution.
    code_activation : str, default "linear"
        Activation of the code; accepts the same names as `activation`.
    variational : bool, default False
        Learn a normal distribution for every code. `forward` returns its mean, `sample` draws
        from it.
    missing : bool, default False
        Whether values may be missing (NaN). They are replaced by the buffer `fill`, and an
        indicator for each feature, 1 where it is missing, is read in addition.
    generator : torch.Generator, optional
        Random number generator for the initial weights. Default: PyTorch's global one.

    Attributes
    ----------
    convolutions : torch.nn.ModuleList
        The convolutions.
    latent_dim : int
        Length of the code.
    max_steps : int
        Maximum number of steps or pixels, H · W.

    Raises
    ------
    InputError
        If the activation is unknown.

    See Also
    --------
    ConvDecoder : Decode codes with convolutions.
    unspool.ConvAutoencoder : Estimator with this encoder.

    Examples
    --------
    >>> import torch
    >>> from unspool.nn import ConvEncoder
    >>> encoder = ConvEncoder(1, (28, 28), latent_dim=16, filters=[32, 16])
    >>> encoder(torch.zeros(2, 28 * 28, 1)).shape
    torch.Size([2, 16])
    """

    dropout: Dropout | None = None  # set by `Autoencoder.dropping`

    def __init__(
        self,
        n_features: int,
        shape: Size,
        latent_dim: int | None = None,
        *,
        filters: Sequence[int] = (32,),
        kernel: Size | Sequence[Size] = (3, 3),
        stride: Size | Sequence[Size] = (1, 1),
        pool: Size | Sequence[Size] = (2, 2),
        activation: ActivationName = "relu",
        code_activation: ActivationName = "linear",
        variational: bool = False,
        missing: bool = False,
        generator: Generator | None = None,
    ) -> None:
        each = [for_each(one, len(filters)) for one in (kernel, stride, pool)]
        layers = Convolutions(shape, tuple(filters), *each)
        super().__init__(
            layers.flat,
            latent_dim or layers.flat,
            variational=variational,
            missing=n_features if missing else 0,
            code_activation=code_activation,
            generator=generator,
        )
        self.shape, self.pixels = shape, shape[0] * shape[1]
        self.max_steps = self.pixels
        self.convolutions = nn.ModuleList(
            Convolution(wide, narrow, size, stride=step, generator=generator)
            for (wide, narrow), size, step in zip(
                pairwise([n_features * (1 + missing), *filters]),
                layers.kernels,
                layers.strides,
                strict=True,
            )
        )
        self.layers, self.pools = layers, nn.ModuleList(map(Pool, layers.pools))
        self.activation = make_activation(activation)
        self.pool_first = activation in MONOTONIC  # fewer values

    def features(self, x: Tensor, lengths: Tensor | None) -> Tensor:
        """Compute the last feature map.

        Parameters
        ----------
        x : tensor of shape (B, T, F)
            Sequences, or images as sequences of T = H · W pixels, row by row.
        lengths : int tensor of shape (B,) or None
            Number of real steps of each sequence; None if all are real.

        Returns
        -------
        tensor of shape (B, S)
            The feature map, flattened.

        Raises
        ------
        InputError
            If T is larger than H · W.
        """
        images = self._images(x, lengths)
        layers = zip(self.convolutions, self.pools, strict=True)
        for position, (convolution, pool) in enumerate(layers):
            if position and self.dropout is not None:
                images = self.dropout.of_layer(images)
            images = convolution(images)
            if pool.kernel_size == (1, 1):
                images = self.activation(images)
            elif self.pool_first:
                images = self.activation(pool(images))
            else:
                images = pool(self.activation(images))
        if self.projection is not None and self.dropout is not None:
            images = self.dropout.of_layer(images)
        return images.flatten(1)

    def feature_maps(self, x: Tensor, lengths: Tensor | None = None, layer: int = 0) -> Tensor:
        """Compute the feature maps of one convolution, before pooling.

        Parameters
        ----------
        x : tensor of shape (B, T, F)
            Sequences, or images as sequences of T = H · W pixels, row by row.
        lengths : int tensor of shape (B,), optional
            Number of real steps of each sequence. Default: all steps are real.
        layer : int, default 0
            Index of the convolution.

        Returns
        -------
        tensor of shape (B, H, W, C)
            Feature maps; strides and the pooling of earlier layers make H and W smaller than those
            of the image.
        """
        images = self._images(x, lengths)
        for convolution, pool in zip(self.convolutions[:layer], self.pools, strict=False):
            images = pool(self.activation(convolution(images)))
        maps: Tensor = self.activation(self.convolutions[layer](images))
        return maps

    def _images(self, x: Tensor, lengths: Tensor | None) -> Tensor:
        """View sequences (B, T, F) as images (B, H, W, F), or 2F with indicators."""
        whole = pad_to(self.pixels, without_padding(self.marked(x), lengths))
        return whole.view(len(x), *self.shape, -1)
