"""The base class of encoders."""

from collections.abc import Iterable

import torch
from torch import Generator, Tensor, nn

from unspool._types import ActivationName
from unspool.nn.dense import make_activation
from unspool.nn.missing import filled, marked
from unspool.nn.sampling import standard_normal
from unspool.nn.standardized import Standardized


class Encoder(nn.Module):
    """Base class of the encoders: a subclass computes features, this class maps them to the code.

    If the number of features equals the length of the code, the features are the code. Otherwise,
    and always in a variational encoder, a linear layer maps the features to the code.

    Parameters
    ----------
    width : int
        Number of features, S.
    latent_dim : int
        Length of the code, L.
    variational : bool, default False
        Learn a normal distribution for every code. `forward` returns its mean, `sample` draws
        from it.
    projects : bool, default False
        Use a linear layer even if `width` equals `latent_dim`.
    missing : int, default 0
        Number of features, F, whose values may be missing (NaN); 0 if none may.
    code_activation : str, default "linear"
        Activation of the code: "linear", "relu", "tanh", "sigmoid", "elu", "gelu" or "softmax".
    generator : torch.Generator, optional
        Random number generator for the initial weights. Default: PyTorch's global one.

    Attributes
    ----------
    latent_dim : int
        Length of the code, L.
    projection : torch.nn.Linear or None
        Layer from the features to the code (or to its mean).
    log_variance : torch.nn.Linear or None
        Layer from the features to the logarithm of the code's variance, in a variational encoder.
    max_steps : int or None
        Maximum number of steps that the encoder can read; None for no limit.
    code_activation : torch.nn.Module
        Activation of the code.
    fill : tensor of shape (F,) or None
        What replaces missing values, in scaled units; None if no value may be missing.
    adapts : bool
        Whether `adapt` chooses initial weights from training data.

    See Also
    --------
    LSTMEncoder, DenseEncoder, ConvEncoder : The encoders.

    References
    ----------
    .. [1] D. P. Kingma, M. Welling (2014). Auto-Encoding Variational Bayes. ICLR. Appendix C.2.
    """

    def __init__(
        self,
        width: int,
        latent_dim: int,
        *,
        variational: bool = False,
        projects: bool = False,
        missing: int = 0,
        code_activation: ActivationName = "linear",
        generator: Generator | None = None,
    ) -> None:
        super().__init__()
        self.fill: Tensor | None
        self.register_buffer("fill", torch.zeros(missing, dtype=torch.float32) if missing else None)
        self.latent_dim = latent_dim
        plain = width == latent_dim and not (variational or projects)
        self.projection = None if plain else Standardized(width, latent_dim, generator)
        self.log_variance = Standardized(width, latent_dim, generator) if variational else None
        self.code_activation = make_activation(code_activation)

    max_steps: int | None = None
    adapts = False

    def adapt(
        self, batches: Iterable[tuple[Tensor, Tensor | None]], generator: Generator | None
    ) -> None:
        """Choose initial weights from training sequences, if `adapts`; otherwise do nothing.

        Parameters
        ----------
        batches : iterable of (tensor (B, T, F), int tensor (B,) or None)
            Scaled training sequences with their lengths.
        generator : torch.Generator or None
            Random number generator. None uses PyTorch's global one.
        """

    def resume_training(
        self, batches: Iterable[tuple[Tensor, Tensor | None]], *, keep_constant: bool = False
    ) -> None:
        """Prepare trained weights for more training; codes do not change.

        Parameters
        ----------
        batches : iterable of (tensor (B, T, F), int tensor (B,) or None)
            Scaled training sequences with their lengths.
        keep_constant : bool, default False
            Keep the weights of features that are constant on these sequences; otherwise they
            become 0.
        """

    def finish_training(self) -> None:
        """Remove what only training needs; codes do not change."""
        for layer in (self.projection, self.log_variance):
            if layer is not None:
                layer.fold()

    def marked(self, x: Tensor) -> Tensor:
        """Replace missing values, and append an indicator for each feature.

        Parameters
        ----------
        x : tensor of shape (B, T, F)
            Sequences; NaN is a missing value.

        Returns
        -------
        tensor of shape (B, T, 2F)
            Values and indicators, which are 1 where a value is missing; `x` itself if no value may
            be missing.
        """
        return marked(x, self.fill)

    def filled(self, x: Tensor) -> Tensor:
        """Replace missing values.

        Parameters
        ----------
        x : tensor of shape (B, T, F)
            Sequences; NaN is a missing value.

        Returns
        -------
        tensor of shape (B, T, F)
            Sequences without missing values.
        """
        return filled(x, self.fill)

    def features(self, x: Tensor, lengths: Tensor | None) -> Tensor:
        """Compute the features that the code is made of.

        Parameters
        ----------
        x : tensor of shape (B, T, F)
            Sequences.
        lengths : int tensor of shape (B,) or None
            Number of real steps of each sequence; None if all are real.

        Returns
        -------
        tensor of shape (B, S)
            Features.

        Raises
        ------
        NotImplementedError
            In this base class.
        """
        raise NotImplementedError

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Encode sequences.

        Parameters
        ----------
        x : tensor of shape (B, T, F)
            Sequences.
        lengths : int tensor of shape (B,), optional
            Number of real steps of each sequence; later steps do not affect the code. Default:
            all steps are real.

        Returns
        -------
        tensor of shape (B, L)
            Codes; the means of their distributions if the encoder is variational.
        """
        return self.code(self.features(x, lengths))

    def code(self, features: Tensor) -> Tensor:
        """Compute codes, or the means of their distributions.

        Parameters
        ----------
        features : tensor of shape (..., S)
            Features.

        Returns
        -------
        tensor of shape (..., L)
            Codes.
        """
        codes: Tensor = features if self.projection is None else self.projection(features)
        return (
            codes if isinstance(self.code_activation, nn.Identity) else self.code_activation(codes)
        )

    def sample(
        self, x: Tensor, lengths: Tensor | None = None, generator: Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        """Draw codes from their distributions.

        In evaluation mode the code is the mean of its distribution. If the encoder is not
        variational, the code is the same as from `forward`, and the divergence is 0.

        Parameters
        ----------
        x : tensor of shape (B, T, F)
            Sequences.
        lengths : int tensor of shape (B,), optional
            Number of real steps of each sequence. Default: all steps are real.
        generator : torch.Generator, optional
            Random number generator on the CPU. Default: PyTorch's global one.

        Returns
        -------
        codes : tensor of shape (B, L)
            Codes.
        divergence : tensor of shape (B,)
            Kullback-Leibler divergence of each distribution from the standard normal, in nats.
        """
        features = self.features(x, lengths)
        mean = self.code(features)
        if self.log_variance is None:
            return mean, mean.new_zeros(len(mean))
        log_variance = self.log_variance(features)
        divergence = 0.5 * (mean**2 + log_variance.exp() - 1 - log_variance).sum(1)
        if not self.training:
            return mean, divergence
        noise = standard_normal(mean, generator)
        return mean + noise * (0.5 * log_variance).exp(), divergence
