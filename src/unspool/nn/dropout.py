"""Dropout in training: between layers, on the hidden state, and on the code."""

from typing import NamedTuple

import torch
from torch import Generator, Tensor

from unspool.nn.sampling import bernoulli, bernoulli_of_many


class Dropout(NamedTuple):
    """Shares of values that are set to 0 in training; the others are scaled up to the same mean.

    Parameters
    ----------
    layers : float, default 0.0
        Share of the outputs of a layer that another layer reads.
    recurrent : float, default 0.0
        Share of the hidden units that the gates of an LSTM do not read, the same units at every
        step of a sequence [1]_.
    code : float, default 0.0
        Share of the values of a code.
    generator : torch.Generator, optional
        Random number generator on the CPU. Default: PyTorch's global one.

    References
    ----------
    .. [1] Y. Gal, Z. Ghahramani (2016). A Theoretically Grounded Application of Dropout in
       Recurrent Neural Networks. NeurIPS 29.
    """

    layers: float = 0.0
    recurrent: float = 0.0
    code: float = 0.0
    generator: Generator | None = None

    def of_layer(self, x: Tensor) -> Tensor:
        """Drop values between two layers."""
        if not self.layers:
            return x
        kept = bernoulli_of_many(1 - self.layers, x.shape, x, self.generator)
        factors = torch.empty_like(x).copy_(kept)  # with the strides of `x`; the product is faster
        return x * factors.mul_(1 / (1 - self.layers))

    def of_code(self, code: Tensor) -> Tensor:
        """Drop values of codes."""
        if not self.code:
            return code
        return torch.where(self._draw(code.shape, self.code, code), 0.0, code / (1 - self.code))

    def state_mask(self, batch: int, units: int, like: Tensor) -> Tensor | None:
        """Draw the factors (B, H) of a hidden state, with dtype and device of `like`."""
        return self._mask(batch, units, self.recurrent, like)

    def code_mask(self, batch: int, length: int, like: Tensor) -> Tensor | None:
        """Draw the factors (B, L) of a code; the same values are dropped as by `of_code`."""
        return self._mask(batch, length, self.code, like)

    def _mask(self, batch: int, width: int, share: float, like: Tensor) -> Tensor | None:
        if not share:
            return None
        return (~self._draw((batch, width), share, like)).to(like.dtype) / (1 - share)

    def _draw(self, shape: tuple[int, ...], share: float, like: Tensor) -> Tensor:
        return bernoulli(share, shape, like, self.generator)
