"""From a sequence to its code."""

import torch
from torch import Generator, Tensor, nn

from unspool.nn.dense import dense
from unspool.nn.recurrent import LSTM, Cell


class LSTMEncoder(nn.Module):
    """Wind sequences onto codes: the final state of a stack of LSTM layers.

    Where the state is as wide as the code it is the code itself, as in a Keras model whose
    encoder is ``LSTM(latent_dim)``; otherwise a linear layer leads from one to the other.

    Parameters
    ----------
    n_features, latent_dim : int
    units : int, optional
        LSTM units of a layer and direction; `latent_dim` by default.
    num_layers : int, default 1
    bidirectional : bool, default False
    cell : Cell, optional
    generator : torch.Generator, optional
        Source of the initial weights.
    """

    def __init__(
        self,
        n_features: int,
        latent_dim: int,
        *,
        units: int | None = None,
        num_layers: int = 1,
        bidirectional: bool = False,
        cell: Cell | None = None,
        generator: Generator | None = None,
    ) -> None:
        super().__init__()
        self.lstm = LSTM(
            n_features,
            units or latent_dim,
            num_layers=num_layers,
            bidirectional=bidirectional,
            cell=cell,
            generator=generator,
        )
        self.projection = (
            None
            if self.lstm.state_size == latent_dim
            else dense(self.lstm.state_size, latent_dim, generator)
        )

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Codes (B, L) of sequences (B, T, F); steps at or after `lengths` (B,) do not count."""
        _, (h_n, _) = self.lstm(x, lengths, return_sequences=False)
        final = torch.cat(list(h_n[-len(self.lstm.stack()[-1]) :]), 1)
        code: Tensor = final if self.projection is None else self.projection(final)
        return code
