"""From a sequence to its code."""

import torch
from torch import Generator, Tensor, nn

from unspool.blueprint.parts import POOLINGS
from unspool.errors import InputError
from unspool.nn.dense import Dense
from unspool.nn.normalization import normalised
from unspool.nn.pooling import Pooling
from unspool.nn.recurrent import LSTM, Cell
from unspool.nn.sampling import normal


class Encoder(nn.Module):
    """What every encoder shares: features of a batch, and the code that is made of them.

    A subclass gives `features`. Where they are as wide as the code they are the code; otherwise,
    and always in a variational encoder, a linear layer leads from one to the other.

    Parameters
    ----------
    width, latent_dim : int
        Of the features, S, and of the code, L.
    variational : bool, default False
        Learn a normal distribution for every code: `forward` gives its mean, `sample` draws.
    generator : torch.Generator, optional
        Source of the initial weights.

    Source: Kingma & Welling 2014, "Auto-Encoding Variational Bayes", appendix C.2.
    """

    def __init__(
        self,
        width: int,
        latent_dim: int,
        *,
        variational: bool = False,
        generator: Generator | None = None,
    ) -> None:
        super().__init__()
        self.latent_dim = latent_dim
        plain = width == latent_dim and not variational
        self.projection = None if plain else Dense(width, latent_dim, generator)
        self.log_variance = Dense(width, latent_dim, generator) if variational else None

    most_steps: int | None = None
    """Steps of the longest sequence that it can read; None where there is no bound."""

    def features(self, x: Tensor, lengths: Tensor | None) -> Tensor:
        """Features (B, S) of sequences (B, T, F)."""
        raise NotImplementedError

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Codes (B, L) of sequences (B, T, F); steps at or after `lengths` (B,) do not count."""
        features = self.features(x, lengths)
        return features if self.projection is None else self.projection(features)

    def sample(
        self, x: Tensor, lengths: Tensor | None = None, generator: Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        """Codes (B, L) drawn from their distributions, and these distributions' divergence (B,).

        The divergence is that of Kullback and Leibler from the standard normal, in nats. Out of
        training a code is the mean of its distribution. Where the encoder is not variational,
        codes are what they are and the divergence is zero.
        """
        features = self.features(x, lengths)
        mean = features if self.projection is None else self.projection(features)
        if self.log_variance is None:
            return mean, mean.new_zeros(len(mean))
        log_variance = self.log_variance(features)
        divergence = 0.5 * (mean**2 + log_variance.exp() - 1 - log_variance).sum(1)
        if not self.training:
            return mean, divergence
        return mean + normal(mean, generator) * (0.5 * log_variance).exp(), divergence


class LSTMEncoder(Encoder):
    """Encode sequences by the pooled states of a stack of LSTM layers.

    With pooling "last", ``units == latent_dim`` and one direction the state is the code itself, as
    in a Keras model whose encoder is ``LSTM(latent_dim)``.

    Parameters
    ----------
    n_features, latent_dim : int
    units : int, optional
        LSTM units of a layer and direction; `latent_dim` by default.
    num_layers : int, default 1
    bidirectional : bool, default False
    whole_state : bool, default False
        Make the code of h and c of all layers, 2 · layers · directions · units numbers, instead
        of the last layer's h: what Srivastava et al. 2015, section 2.1, hand to their decoders.
    pooling : {"last", "mean", "max", "mean_max", "all"}, default "last"
        What is taken of the last layer's states over the real steps of a sequence: the final
        state, their mean, their maximum, the two, or final state, mean, maximum, minimum and
        standard deviation.
    normalization : {"none", "last", "standard"}, default "none"
        Read every sequence less its last value, or less its mean and divided by its standard
        deviation.
    variational, generator
        As for `Encoder`.
    cell : Cell, optional
    """

    def __init__(
        self,
        n_features: int,
        latent_dim: int,
        *,
        units: int | None = None,
        num_layers: int = 1,
        bidirectional: bool = False,
        whole_state: bool = False,
        pooling: str = "last",
        normalization: str = "none",
        variational: bool = False,
        cell: Cell | None = None,
        generator: Generator | None = None,
    ) -> None:
        lstm = LSTM(
            n_features,
            units or latent_dim,
            num_layers=num_layers,
            bidirectional=bidirectional,
            cell=cell,
            generator=generator,
        )
        width = lstm.state_size * len(POOLINGS[pooling])
        if whole_state:
            width = 2 * num_layers * lstm.state_size
        super().__init__(width, latent_dim, variational=variational, generator=generator)
        self.lstm, self.whole_state, self.normalization = lstm, whole_state, normalization
        self.pool = None if pooling == "last" else Pooling(POOLINGS[pooling])

    def features(self, x: Tensor, lengths: Tensor | None) -> Tensor:
        """The pooled states: (B, S · statistics), or the whole final state."""
        x = normalised(x, lengths, self.normalization)
        states, (h_n, c_n) = self.lstm(x, lengths, return_sequences=self.pool is not None)
        if self.whole_state:
            return torch.cat([*h_n, *c_n], 1)
        last = torch.cat(list(h_n[-len(self.lstm.stack()[-1]) :]), 1)
        return last if self.pool is None else self.pool(states, last, lengths)

    def by_step(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        """The codes (B, T, L) that sequences (B, T, F) have after each of their steps.

        An encoder that normalises sequences reads each of them anew for every step.

        Raises
        ------
        InputError
            For an encoder that reads both ways, or makes its code of the whole state.
        """
        if self.whole_state or self.pool is not None or len(self.lstm.stack()[-1]) > 1:
            raise InputError(
                "Codes after every step need an encoder that reads in one direction, with "
                "pooling='last' and a code made of its last layer's h; this one is another."
            )
        if self.normalization != "none":
            ends = x.new_full((len(x),), x.shape[1]).long() if lengths is None else lengths
            cut = [self(x[:, :end], ends.clamp(max=end)) for end in range(1, x.shape[1] + 1)]
            return torch.stack(cut, 1) if cut else x.new_zeros(len(x), 0, self.latent_dim)
        states, _ = self.lstm(x, lengths)
        codes: Tensor = states if self.projection is None else self.projection(states)
        return codes
