"""The encoder with LSTM or GRU layers."""

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Generator, Tensor

from unspool import _checks
from unspool import blueprint as plan
from unspool._types import ActivationName, NormalizationName, PoolingName
from unspool.blueprint.features import STATISTICS
from unspool.blueprint.layers import POOLINGS
from unspool.errors import InputError
from unspool.lstm.pooling import pooled_parts
from unspool.nn.encoder import Encoder
from unspool.nn.lstm_layer import Cell
from unspool.nn.lstm_stack import LSTM, LayerStates
from unspool.nn.missing import marked
from unspool.nn.normalization import normalised
from unspool.nn.patches import lengths_in_patches, patched
from unspool.nn.random_kernels import RandomKernels
from unspool.nn.step_convolutions import StepConvolutions


class LSTMEncoder(Encoder):
    """Encode sequences with LSTM or GRU layers whose states are pooled over time.

    With ``pooling="last"``, ``units=latent_dim`` and one direction, the code is the final hidden
    state, like the output of Keras's ``LSTM(latent_dim)``.

    Parameters
    ----------
    n_features : int
        Number of features per step, F.
    latent_dim : int
        Length of the code, L.
    units : int or sequence of int, optional
        Hidden units of each layer and direction, H; a sequence has the units of each layer.
        Default: `latent_dim`.
    num_layers : int, default 1
        Number of LSTM layers.
    bidirectional : bool, default False
        Add a second direction to every layer, which reads from the last step to the first.
    whole_state : bool, default False
        Make the code from h and c of all layers instead of the last layer's h alone, as in [1]_,
        section 2.1. These are 2 · num_layers · directions · H values, if all layers have H units. A
        GRU has no c, so these are half as many.
    pooling : {"last", "mean", "max", "mean_max", "all"}, default "last"
        Statistics of the last layer's hidden states over the real steps: the final state, the
        mean, the maximum, mean and maximum, or "all": final state, mean, maximum, minimum and
        standard deviation.
    kernels : unspool.blueprint.Kernels, optional
        Random convolution kernels whose means over time are features in addition to the states.
        Default: no kernels.
    patch_size : int, default 1
        Number of steps that the LSTM reads at once, as one vector of ``patch_size * n_features``
        values. An incomplete last patch is padded with zeros.
    convolutions : unspool.blueprint.StepConvolutions, optional
        Convolutions whose outputs the LSTM reads instead of the steps; needs ``patch_size=1``.
        Default: no convolutions.
    normalization : {"none", "last", "standard"}, default "none"
        Normalisation of each sequence: none, subtract its last value, or subtract its mean and
        divide by its standard deviation.
    variational : bool, default False
        Learn a normal distribution for every code. `forward` returns its mean, `sample` draws
        from it.
    missing : bool, default False
        Whether values may be missing (NaN). They are replaced by the buffer `fill`, and an
        indicator for each feature, 1 where it is missing, is read in addition.
    code_activation : str, default "linear"
        Activation of the code: "linear", "relu", "tanh", "sigmoid", "elu", "gelu" or "softmax".
    cell : Cell, optional
        Kind of cell, activations and backend of the layers. Default: ``Cell()``.
    generator : torch.Generator, optional
        Random number generator for the initial weights. Default: PyTorch's global one.

    Attributes
    ----------
    lstm : LSTM
        The LSTM layers.
    convolutions : torch.nn.ModuleList or None
        The convolutions in front of the LSTM.
    kernels : torch.nn.Module or None
        The random kernels.
    projection : torch.nn.Linear or None
        Layer from the pooled states to the code, if their sizes differ.
    log_variance : torch.nn.Linear or None
        Layer from the pooled states to the logarithm of the code's variance, in a variational
        encoder.
    adapts : bool
        Whether `adapt` chooses initial weights from training data.

    Raises
    ------
    InputError
        If `pooling` is unknown.

    See Also
    --------
    LSTMDecoder : Decode codes with LSTM layers.
    unspool.LSTMAutoencoder : Estimator with this encoder.

    References
    ----------
    .. [1] N. Srivastava, E. Mansimov, R. Salakhutdinov (2015). Unsupervised Learning of Video
       Representations using LSTMs. ICML.

    Examples
    --------
    >>> import torch
    >>> from unspool.nn import LSTMEncoder
    >>> encoder = LSTMEncoder(n_features=3, latent_dim=8)
    >>> encoder(torch.zeros(2, 10, 3), lengths=torch.tensor([10, 4])).shape
    torch.Size([2, 8])
    """

    def __init__(
        self,
        n_features: int,
        latent_dim: int,
        *,
        units: int | Sequence[int] | None = None,
        num_layers: int = 1,
        bidirectional: bool = False,
        whole_state: bool = False,
        pooling: PoolingName = "last",
        kernels: plan.Kernels | None = None,
        patch_size: int = 1,
        convolutions: plan.StepConvolutions | None = None,
        normalization: NormalizationName = "none",
        variational: bool = False,
        missing: bool = False,
        code_activation: ActivationName = "linear",
        cell: Cell | None = None,
        generator: Generator | None = None,
    ) -> None:
        if pooling not in POOLINGS:
            raise InputError(_checks.unknown_name("pooling", pooling, POOLINGS))
        reads = patch_size * n_features * (1 + missing)
        before = None
        if convolutions is not None:
            before, reads = StepConvolutions(convolutions, generator), convolutions.filters[-1]
        lstm = LSTM(
            reads,
            units or latent_dim,
            num_layers=num_layers,
            bidirectional=bidirectional,
            cell=cell,
            generator=generator,
        )
        width = lstm.state_size * len(POOLINGS[pooling])
        if whole_state:
            width = lstm.whole_state
        if kernels is not None:
            width += kernels.width
        super().__init__(
            width,
            latent_dim,
            variational=variational,
            projects=kernels is not None,
            missing=n_features if missing else 0,
            code_activation=code_activation,
            generator=generator,
        )
        self.convolutions, self.lstm, self.whole_state = before, lstm, whole_state
        self.normalization, self.patch_size = normalization, patch_size
        self.statistics = POOLINGS[pooling]
        self.kernels = None if kernels is None else RandomKernels(kernels, generator)

    def features(self, x: Tensor, lengths: Tensor | None) -> Tensor:
        """Compute the pooled states, and the means of the kernels if there are any.

        Parameters
        ----------
        x : tensor of shape (B, T, F)
            Sequences.
        lengths : int tensor of shape (B,) or None
            Number of real steps of each sequence; None if all are real.

        Returns
        -------
        tensor of shape (B, S)
            Statistics of the states side by side; or h and c of all layers, with `whole_state`.
        """
        statistics = () if self.statistics == ("last",) else self.statistics
        pooled, finals, _ = self.states(x, lengths, return_sequences=False, statistics=statistics)
        if self.whole_state:
            return torch.cat([state for states in finals for state in states], 1)
        features: Tensor
        if statistics:
            features = pooled.flatten(1)
        else:
            last = finals[0][-self.lstm.directions :]
            features = last[0] if len(last) == 1 else torch.cat(list(last), 1)
        if self.kernels is None:
            return features
        return torch.cat([features, self.kernels(self.filled(x), lengths)], 1)

    def states(
        self, x: Tensor, lengths: Tensor | None, **wanted: Any
    ) -> tuple[Tensor, tuple[LayerStates, ...], Tensor | None]:
        """Run the LSTM layers.

        Parameters
        ----------
        x : tensor of shape (B, T, F)
            Sequences.
        lengths : int tensor of shape (B,) or None
            Number of real steps of each sequence; None if all are real.
        **wanted
            `return_sequences` and `statistics` of `LSTM.forward`.

        Returns
        -------
        states : tensor of shape (B, P, S), or (B, K, S) for K statistics
            Hidden states of the last layer after each of P patches (steps, if `patch_size` is 1,
            or outputs of the convolutions); S is H, or 2H in both directions.
        finals : tuple of tensors of shape (num_layers · directions, B, H)
            Final h and c of all layers (of a GRU only h); tuples of tensors (B, H) instead of
            tensors if the layers have different units.
        lengths : tensor of shape (B,) or None
            Number of real patches, steps or outputs of each sequence.
        """
        size = self.patch_size
        if self.normalization == "none":
            x = self.marked(x)
        else:  # what is missing is fed as the level of its sequence
            x = normalised(x, lengths, self.normalization, self.fill)
            x = marked(x, None if self.fill is None else torch.zeros_like(self.fill))
        if self.convolutions is not None:
            read, ends = self.convolutions(x, lengths)
        else:
            read, ends = patched(x, size, lengths), lengths_in_patches(lengths, size)
        states, finals = self.lstm(read, ends, **wanted)
        return states, finals, ends

    def multiscale(self, x: Tensor, lengths: Tensor | None, scales: tuple[int, ...]) -> Tensor:
        """Compute statistics of the states over parts of the sequences, at several scales.

        For every k in `scales`, a sequence is divided into k parts of equal length (to a step).
        For each part the mean, maximum, minimum and standard deviation of the last layer's states
        are computed.

        Parameters
        ----------
        x : tensor of shape (B, T, F)
            Sequences.
        lengths : int tensor of shape (B,) or None
            Number of real steps of each sequence; None if all are real.
        scales : tuple of int
            Numbers of parts.

        Returns
        -------
        tensor of shape (B, D)
            The statistics in the order of `scales`, then the means of the kernels.
        """
        found = {}
        if 1 in scales:  # the backend may compute these without storing the states
            found[1], *_ = self.states(x, lengths, return_sequences=False, statistics=STATISTICS)
        if found.keys() != set(scales):
            states, _, ends = self.states(x, lengths)
            for count in set(scales) - {1}:
                found[count] = pooled_parts(STATISTICS, states, count, ends)
        features = [found[count].flatten(1) for count in scales]
        if self.kernels is not None:
            features.append(self.kernels(self.filled(x), lengths))
        return torch.cat(features, 1)

    @property
    def adapts(self) -> bool:  # type: ignore[override]
        """Whether `adapt` chooses initial weights: if the code is a projection of statistics."""
        return self.projection is not None and (
            self.kernels is not None or self.statistics != ("last",)
        )

    @torch.no_grad()
    def adapt(
        self, batches: Iterable[tuple[Tensor, Tensor | None]], generator: Generator | None
    ) -> None:
        """Scale the kernels, and initialise the projection with principal components.

        Parameters
        ----------
        batches : iterable of (tensor (B, T, F), int tensor (B,) or None)
            Scaled training sequences with their lengths. The kernels are scaled by the first
            batch.
        generator : torch.Generator or None
            Random number generator. None uses PyTorch's global one.
        """
        found = []
        for number, (x, lengths) in enumerate(batches):
            if number == 0 and self.kernels is not None:
                self.kernels.adapt(self.filled(x), lengths, generator)
            found.append(self.features(x, lengths))
        features = torch.cat(found)
        assert self.projection is not None
        self.projection.start(features)
        if self.log_variance is not None:
            self.log_variance.standardize(features)

    @torch.no_grad()
    def resume_training(
        self, batches: Iterable[tuple[Tensor, Tensor | None]], *, keep_constant: bool = False
    ) -> None:
        """Standardise the features again for more training; codes do not change.

        A layer that is not trained is left as it is.

        Parameters
        ----------
        batches : iterable of (tensor (B, T, F), int tensor (B,) or None)
            Scaled training sequences with their lengths.
        keep_constant : bool, default False
            Keep the weights of features that are constant on these sequences; otherwise they
            become 0.
        """
        assert self.projection is not None
        layers = [self.projection]
        if keep_constant and self.log_variance is not None:  # a classifier does not train it
            layers.append(self.log_variance)
        trained = [layer for layer in layers if layer.weight.requires_grad]
        if trained:
            features = torch.cat([self.features(*batch) for batch in batches])
            for layer in trained:
                layer.unfold(features, keep_constant=keep_constant)

    def encode_by_step(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Encode every sequence up to each of its steps.

        With a `normalization`, every prefix of a sequence is normalised and read anew.

        Parameters
        ----------
        x : tensor of shape (B, T, F)
            Sequences.
        lengths : int tensor of shape (B,), optional
            Number of real steps of each sequence. Default: all steps are real.

        Returns
        -------
        tensor of shape (B, T, L)
            Codes of the first 1, 2, …, T steps.

        Raises
        ------
        InputError
            If the encoder reads both directions, patches or outputs of convolutions, pools states,
            uses kernels, or makes its code from the whole state.
        """
        if self.patch_size > 1:
            raise InputError(
                f"Codes after every step need an encoder that reads step by step, but this one "
                f"reads patches of {self.patch_size} steps. Fit it with patch_size=1, or use a "
                "stream of `unspool.runtime`."
            )
        if self.convolutions is not None and not self.convolutions.part.by_step:
            raise InputError(
                "Codes after every step need an encoder that reads step by step, but this one "
                "reads the outputs of convolutions that read later steps or are pooled. Fit it "
                "with conv_padding='causal' and conv_pool_size=1, or with conv_filters=()."
            )
        pools = self.statistics != ("last",) or self.kernels is not None
        if self.whole_state or pools or len(self.lstm.stack()[-1]) > 1:
            raise InputError(
                "Codes after every step need an encoder with bidirectional=False, pooling='last', "
                "n_kernels=0, and no decoder that starts from its state ('state', …)."
            )
        if self.normalization != "none":
            ends = x.new_full((len(x),), x.shape[1]).long() if lengths is None else lengths
            prefixes = ((x[:, :end], ends.clamp(max=end)) for end in range(1, x.shape[1] + 1))
            codes = [self(*prefix) for prefix in prefixes]
            return torch.stack(codes, 1) if codes else x.new_zeros(len(x), 0, self.latent_dim)
        states, *_ = self.states(x, lengths)
        return self.code(states)
