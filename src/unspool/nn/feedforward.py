"""Encoder and decoder with dense layers, which read or return all steps at once."""

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Generator, Tensor, nn

from unspool._padding import without_padding
from unspool._types import ActivationName
from unspool.blueprint.activations import Activation
from unspool.errors import InputError
from unspool.nn.decoder import Decoder, TeacherForcing, check_known
from unspool.nn.dense import Dense, apply_layers, make_activation
from unspool.nn.dropout import Dropout
from unspool.nn.encoder import Encoder
from unspool.nn.head import Head


class DenseEncoder(Encoder):
    """Encode sequences, images or table rows with dense layers that read all steps at once.

    Sequences may be shorter than `steps`: they are padded with zeros.

    Parameters
    ----------
    n_features : int
        Number of features per step, F.
    steps : int
        Maximum number of steps, T.
    latent_dim : int
        Length of the code, L.
    units : sequence of int, default ()
        Sizes of the layers before the code.
    activation : {"linear", "relu", "tanh", "sigmoid", "elu", "gelu", "softmax"}, default "relu"
        Activation of the layers of `units`.
    code_activation : str, default "relu"
        Activation of the code layer; accepts the same names as `activation`.
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
    layers : torch.nn.Sequential
        The dense layers and their activations.
    steps : int
        Maximum number of steps.
    max_steps : int
        The same number; every encoder has this attribute.

    Raises
    ------
    InputError
        If an activation is unknown.

    See Also
    --------
    DenseDecoder : Decode codes with dense layers.
    unspool.DenseAutoencoder : Estimator with this encoder.

    Examples
    --------
    >>> import torch
    >>> from unspool.nn import DenseEncoder
    >>> DenseEncoder(3, 10, 8, units=[16])(torch.zeros(2, 10, 3)).shape
    torch.Size([2, 8])
    """

    dropout: Dropout | None = None  # set by `Autoencoder.dropping`

    def __init__(
        self,
        n_features: int,
        steps: int,
        latent_dim: int,
        *,
        units: Sequence[int] = (),
        activation: ActivationName = "relu",
        code_activation: ActivationName = "relu",
        variational: bool = False,
        missing: bool = False,
        generator: Generator | None = None,
    ) -> None:
        super().__init__(
            latent_dim,
            latent_dim,
            variational=variational,
            missing=n_features if missing else 0,
            generator=generator,
        )
        self.steps = self.max_steps = steps
        names = [activation] * len(units) + [code_activation]
        layers: list[nn.Module] = []
        for (wide, narrow), name in zip(
            pairwise([steps * n_features * (1 + missing), *units, latent_dim]), names, strict=True
        ):
            layers += [Dense(wide, narrow, generator), make_activation(name)]
        self.layers = nn.Sequential(*layers)

    def features(self, x: Tensor, lengths: Tensor | None) -> Tensor:
        """Apply the dense layers.

        Parameters
        ----------
        x : tensor of shape (B, T, F)
            Sequences of at most `steps` steps.
        lengths : int tensor of shape (B,) or None
            Number of real steps of each sequence; None if all are real.

        Returns
        -------
        tensor of shape (B, L)
            Output of the last layer.

        Raises
        ------
        InputError
            If the sequences have more than `steps` steps.
        """
        whole = pad_to(self.steps, without_padding(self.marked(x), lengths))
        return apply_layers(self.layers, whole.flatten(1), self.dropout)


class DenseDecoder(Decoder):
    """Decode codes with dense layers that return all steps at once.

    Parameters
    ----------
    latent_dim : int
        Length of the code, L.
    n_features : int
        Number of features of the decoded sequences, F.
    steps : int
        Maximum number of steps, T.
    units : sequence of int, default ()
        Sizes of the layers before the output layer.
    activation : {"linear", "relu", "tanh", "sigmoid", "elu", "gelu", "softmax"}, default "relu"
        Activation of the layers of `units`.
    output_activation : str or MixedActivation, default "linear"
        Activation of the output layer; accepts the same names as `activation`. "softmax" is over
        the features of a step.
    n_known : int, default 0
        Number of known features of each step that are read in addition to the code.
    generator : torch.Generator, optional
        Random number generator for the initial weights. Default: PyTorch's global one.

    Attributes
    ----------
    head : Head
        The dense layers.
    max_steps : int
        Maximum number of steps.

    Raises
    ------
    InputError
        If an activation is unknown.

    See Also
    --------
    DenseEncoder : Encode sequences with dense layers.
    LSTMDecoder : Decode codes with LSTM layers.

    Examples
    --------
    >>> import torch
    >>> from unspool.nn import DenseDecoder
    >>> DenseDecoder(8, 3, 10, units=[16])(torch.zeros(2, 8), steps=10).shape
    torch.Size([2, 10, 3])
    """

    dropout: Dropout | None = None  # set by `Autoencoder.dropping`

    def __init__(
        self,
        latent_dim: int,
        n_features: int,
        steps: int,
        *,
        units: Sequence[int] = (),
        activation: ActivationName = "relu",
        output_activation: Activation = "linear",
        n_known: int = 0,
        generator: Generator | None = None,
    ) -> None:
        super().__init__()
        self.max_steps, self.n_features, self.n_known = steps, n_features, n_known
        self.head: nn.Sequential = Head(
            latent_dim + steps * n_known,
            n_features,
            units=units,
            steps=steps,
            activation=activation,
            output_activation=output_activation,
            generator=generator,
        )

    def forward(
        self,
        code: Tensor,
        steps: int,
        lengths: Tensor | None = None,
        reversed_input: Tensor | None = None,
        teacher: TeacherForcing | None = None,
        known: Tensor | None = None,
    ) -> Tensor:
        """Decode codes to sequences.

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
        known : tensor of shape (B, max_steps, n_known), optional
            Known features of each step. Required if `n_known` is above 0.

        Returns
        -------
        tensor of shape (B, steps, F)
            Decoded sequences.

        Raises
        ------
        InputError
            If the decoder needs `known` and it is missing.
        """
        if self.n_known:
            assert self.max_steps is not None
            check_known(known, self.max_steps, self.n_known)
            assert known is not None
            code = torch.cat([code, known.flatten(1)], 1)
        sequences = apply_layers(self.head, code, self.dropout)
        return sequences[:, :steps]


def pad_to(steps: int, x: Tensor) -> Tensor:
    """Pad sequences (B, T, F) with zeros at their ends to (B, steps, F)."""
    if x.shape[1] > steps:
        raise InputError(
            f"Expected sequences of at most {steps} steps, got {x.shape[1]}. Dense and "
            "convolutional models cannot read longer sequences than in `fit`; fit it again, or cut "
            "the sequences."
        )
    if x.shape[1] == steps:
        return x
    return nn.functional.pad(x, (0, 0, 0, steps - x.shape[1]))
