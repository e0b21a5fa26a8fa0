"""From a sequence to its code."""

from collections.abc import Iterable
from typing import Any

import torch
from torch import Generator, Tensor, nn

from unspool import blueprint as plan
from unspool.blueprint.features import STATISTICS
from unspool.blueprint.layers import POOLINGS
from unspool.errors import InputError
from unspool.lstm.pooling import pooled_parts
from unspool.nn.normalization import normalised
from unspool.nn.patches import lengths_in_patches, patched
from unspool.nn.random_kernels import RandomKernels
from unspool.nn.recurrent import LSTM, Cell
from unspool.nn.sampling import standard_normal
from unspool.nn.standardized import Standardized


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
    projects : bool, default False
        Have the linear layer even where the features are as wide as the code.
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
        projects: bool = False,
        generator: Generator | None = None,
    ) -> None:
        super().__init__()
        self.latent_dim = latent_dim
        plain = width == latent_dim and not (variational or projects)
        self.projection = None if plain else Standardized(width, latent_dim, generator)
        self.log_variance = Standardized(width, latent_dim, generator) if variational else None

    max_steps: int | None = None
    """Steps of the longest sequence that it can read; None where there is no bound."""

    adapts = False
    """Whether `adapt` is to see training sequences before training."""

    def adapt(
        self, batches: Iterable[tuple[Tensor, Tensor | None]], generator: Generator | None
    ) -> None:
        """Choose initial weights by training sequences; see `Standardized.start`."""

    def resume_training(self, batches: Iterable[tuple[Tensor, Tensor | None]]) -> None:
        """Prepare for more training from the weights that are there; see `Standardized.resume`."""

    def finish_training(self) -> None:
        """After training: leave nothing behind that only training needs."""
        for layer in (self.projection, self.log_variance):
            if layer is not None:
                layer.fold()

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
        return mean + standard_normal(mean, generator) * (0.5 * log_variance).exp(), divergence


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
    kernels : Kernels of a blueprint, optional
        Random kernels whose means over the steps are features beside the states.
    patch_size : int, default 1
        Steps that the LSTM reads at once: it runs over patches, ``patch_size * n_features``
        numbers each. A last patch that is incomplete is filled up with zeros.
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
        kernels: plan.Kernels | None = None,
        patch_size: int = 1,
        normalization: str = "none",
        variational: bool = False,
        cell: Cell | None = None,
        generator: Generator | None = None,
    ) -> None:
        lstm = LSTM(
            patch_size * n_features,
            units or latent_dim,
            num_layers=num_layers,
            bidirectional=bidirectional,
            cell=cell,
            generator=generator,
        )
        width = lstm.state_size * len(POOLINGS[pooling])
        if whole_state:
            width = 2 * num_layers * lstm.state_size
        if kernels is not None:
            width += kernels.width
        super().__init__(
            width,
            latent_dim,
            variational=variational,
            projects=kernels is not None,
            generator=generator,
        )
        self.lstm, self.whole_state = lstm, whole_state
        self.normalization, self.patch_size = normalization, patch_size
        self.statistics = POOLINGS[pooling]
        self.kernels = None if kernels is None else RandomKernels(kernels, generator)

    def features(self, x: Tensor, lengths: Tensor | None) -> Tensor:
        """The pooled states: (B, S · statistics), or the whole final state."""
        statistics = () if self.statistics == ("last",) else self.statistics
        pooled, (h_n, c_n), _ = self.states(
            x, lengths, return_sequences=False, statistics=statistics
        )
        if self.whole_state:
            return torch.cat([*h_n, *c_n], 1)
        features: Tensor
        if statistics:
            features = pooled.flatten(1)
        else:
            features = torch.cat(list(h_n[-len(self.lstm.stack()[-1]) :]), 1)
        if self.kernels is None:
            return features
        return torch.cat([features, self.kernels(x, lengths)], 1)

    def states(
        self, x: Tensor, lengths: Tensor | None, **wanted: Any
    ) -> tuple[Tensor, tuple[Tensor, Tensor], Tensor | None]:
        """The last layer's states after each step or patch, all final states, and lengths.

        Parameters
        ----------
        x : tensor of shape (B, T, F)
        lengths : whole-number tensor of shape (B,), optional
        **wanted
            `return_sequences` and `statistics`, as for `LSTM`.

        Returns
        -------
        states : tensor of shape (B, T, S), or (B, K, S) for K statistics
        h_n, c_n : pair of tensors
        lengths : tensor of shape (B,), or None
            How many of a sequence's states are real.
        """
        size, x = self.patch_size, normalised(x, lengths, self.normalization)
        read, ends = patched(x, size, lengths), lengths_in_patches(lengths, size)
        states, finals = self.lstm(read, ends, **wanted)
        return states, finals, ends

    def multiscale(self, x: Tensor, lengths: Tensor | None, scales: tuple[int, ...]) -> Tensor:
        """Statistics of the states over the parts of sequences, and the kernels' means, (B, D).

        For every k in `scales` a sequence has k parts, as `lstm.pooling.pooled_parts` cuts them;
        each has the mean, maximum, minimum and standard deviation of the last layer's states.

        Parameters
        ----------
        x : tensor of shape (B, T, F)
        lengths : whole-number tensor of shape (B,), optional
        scales : tuple of int
        """
        found = {}
        if 1 in scales:  # the backend may take them without writing the states
            found[1], *_ = self.states(x, lengths, return_sequences=False, statistics=STATISTICS)
        if found.keys() != set(scales):
            states, _, ends = self.states(x, lengths)
            for count in set(scales) - {1}:
                found[count] = pooled_parts(STATISTICS, states, count, ends)
        features = [found[count].flatten(1) for count in scales]
        if self.kernels is not None:
            features.append(self.kernels(x, lengths))
        return torch.cat(features, 1)

    @property
    def adapts(self) -> bool:  # type: ignore[override]
        """Whether the code is a linear map of many statistics of a sequence."""
        return self.projection is not None and (
            self.kernels is not None or self.statistics != ("last",)
        )

    @torch.no_grad()
    def adapt(
        self, batches: Iterable[tuple[Tensor, Tensor | None]], generator: Generator | None
    ) -> None:
        """Scale the kernels, and start the code as principal components of the features.

        Parameters
        ----------
        batches : iterable of (x (B, T, F), lengths (B,) or None)
            Of training sequences, scaled.
        generator : torch.Generator, optional
        """
        found = []
        for place, (x, lengths) in enumerate(batches):
            if not place and self.kernels is not None:
                self.kernels.adapt(x, lengths, generator)
            found.append(self.features(x, lengths))
        features = torch.cat(found)
        assert self.projection is not None
        self.projection.start(features)
        if self.log_variance is not None:
            self.log_variance.standardize(features)

    @torch.no_grad()
    def resume_training(self, batches: Iterable[tuple[Tensor, Tensor | None]]) -> None:
        """Prepare for more training from the weights that are there; see `Standardized.resume`."""
        assert self.projection is not None
        self.projection.unfold(torch.cat([self.features(*batch) for batch in batches]))

    def encode_by_step(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        """The codes (B, T, L) that sequences (B, T, F) have after each of their steps.

        An encoder that normalises sequences reads each of them anew for every step.

        Raises
        ------
        InputError
            For an encoder that reads both ways or by patches, or makes its code of the whole
            state.
        """
        if self.patch_size > 1:
            raise InputError(
                f"Codes after every step need an encoder that reads step by step; this one reads "
                f"patches of {self.patch_size} steps. Fit it with patch_size=1, or push the steps "
                "to a stream of `unspool.runtime`."
            )
        pools = self.statistics != ("last",) or self.kernels is not None
        if self.whole_state or pools or len(self.lstm.stack()[-1]) > 1:
            raise InputError(
                "Codes after every step need an encoder that reads in one direction, with "
                "pooling='last' and a code made of its last layer's h; this one is another."
            )
        if self.normalization != "none":
            ends = x.new_full((len(x),), x.shape[1]).long() if lengths is None else lengths
            cut = [self(x[:, :end], ends.clamp(max=end)) for end in range(1, x.shape[1] + 1)]
            return torch.stack(cut, 1) if cut else x.new_zeros(len(x), 0, self.latent_dim)
        states, *_ = self.states(x, lengths)
        codes: Tensor = states if self.projection is None else self.projection(states)
        return codes
