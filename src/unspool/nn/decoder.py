"""The base class of decoders, and teacher forcing.

A decoder is called as ``decoder(code, steps, lengths, reversed_input, teacher)`` and returns
sequences (B, steps, F).
"""

from typing import NamedTuple

from torch import Generator, Tensor, nn

from unspool.errors import InputError


class TeacherForcing(NamedTuple):
    """The true outputs that a decoder reads in training instead of its outputs.

    Only decoders with `Decoder.feeds_back` use it: they read the previous step at every step.

    Parameters
    ----------
    target : tensor of shape (B, steps, F)
        True sequences.
    ratio : float, default 1.0
        Probability, from 0 to 1, of reading the true previous step. Otherwise the decoder reads
        its own output. The choice is made for every sequence and every step (or patch).
    generator : torch.Generator, optional
        Random number generator on the CPU. Default: PyTorch's global one.

    See Also
    --------
    LSTMDecoder : The decoder that uses it.

    References
    ----------
    .. [1] S. Bengio, O. Vinyals, N. Jaitly, N. Shazeer (2015). Scheduled Sampling for Sequence
       Prediction with Recurrent Neural Networks. NeurIPS 28.

    Examples
    --------
    >>> import torch
    >>> from unspool.nn import LSTMDecoder, TeacherForcing
    >>> decoder = LSTMDecoder("previous", latent_dim=4, n_features=3)
    >>> target = torch.zeros(2, 10, 3)
    >>> decoder(torch.zeros(2, 4), 10, teacher=TeacherForcing(target)).shape
    torch.Size([2, 10, 3])
    """

    target: Tensor
    ratio: float = 1.0
    generator: Generator | None = None


class Decoder(nn.Module):
    """Base class of the decoders.

    Attributes
    ----------
    needs_input : bool
        Whether the decoder reads the reversed input in addition to the code.
    feeds_back : bool
        Whether the decoder reads its output of the previous step at each step.
    max_steps : int or None
        Maximum number of steps that it can return; None for no limit.
    n_known : int
        Number of known features that it reads at each step in addition to the code.

    See Also
    --------
    LSTMDecoder, DenseDecoder, ConvDecoder : The decoders.
    Autoencoder : An encoder with its decoders.
    """

    needs_input = False
    feeds_back = False
    max_steps: int | None = None
    n_known = 0

    def __init__(self) -> None:
        super().__init__()

    def forward(
        self,
        code: Tensor,
        steps: int,
        lengths: Tensor | None = None,
        reversed_input: Tensor | None = None,
        teacher: TeacherForcing | None = None,
    ) -> Tensor:
        """Decode codes to sequences.

        Parameters
        ----------
        code : tensor of shape (B, L)
            Codes.
        steps : int
            Number of steps to return, T.
        lengths : int tensor of shape (B,), optional
            Number of real steps of each sequence. Default: all steps are real. Outputs at padded
            steps are arbitrary.
        reversed_input : tensor of shape (B, T', F), optional
            The encoder's input, each sequence reversed within its length. Required if
            `needs_input`. If T' is smaller than `steps`, zeros are read at the missing steps.
        teacher : TeacherForcing, optional
            True outputs to read in training, if `feeds_back`. Default: the decoder reads its own
            outputs only.

        Returns
        -------
        tensor of shape (B, steps, F)
            Decoded sequences.

        Raises
        ------
        NotImplementedError
            In this base class.

        Notes
        -----
        A decoder with ``n_known > 0`` has one more argument, `known` (B, steps, n_known).
        """
        raise NotImplementedError


def check_known(known: Tensor | None, steps: int, n_known: int) -> None:
    """Refuse known features that are missing, or of another number of steps or features."""
    if known is None or tuple(known.shape[1:]) != (steps, n_known):
        got = "none" if known is None else f"shape {tuple(known.shape)}"
        raise InputError(
            f"This decoder reads {n_known} known features at each of {steps} steps; pass `known` "
            f"of shape (B, {steps}, {n_known}), got {got}."
        )
