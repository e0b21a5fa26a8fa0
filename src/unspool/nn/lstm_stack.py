"""A stack of LSTM or GRU layers in one or both directions, as a module."""

from collections.abc import Iterable, Sequence
from typing import Self, cast

import torch
from torch import Generator, Tensor, nn

from unspool._types import Auto, BackendName, StatisticName
from unspool.blueprint.cells import CELLS
from unspool.blueprint.layers import units_of_layers
from unspool.errors import InputError
from unspool.lstm.backends.torch_lstm import gru_parameters, one_gru_bias, reordered
from unspool.nn.dropout import Dropout
from unspool.nn.lstm_layer import Cell, LSTMLayer

# h or c of every layer and direction: (layers · directions, B, H), or a tensor (B, H) for each if
# their sizes differ.
LayerStates = Tensor | tuple[Tensor, ...]
TORCH_NAMES = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")


class LSTM(nn.Module):
    """A stack of LSTM or GRU layers, similar to `torch.nn.LSTM` and `torch.nn.GRU`.

    Differences: the batch axis comes first (``batch_first``), layers have one bias instead of two,
    sequences may have different lengths, and the first layer can read a context, an input that is
    the same at every step.

    Parameters
    ----------
    input_size : int
        Number of features per step, F; 0 for layers without inputs per step.
    units : int or sequence of int
        Number of hidden units of each layer and direction, H. A sequence has the units of each
        layer, and its length is the number of layers.
    num_layers : int, default 1
        Number of layers if `units` is one number; otherwise 1 or the length of `units`.
    bidirectional : bool, default False
        Add a second direction to every layer, which reads from the last step to the first. Its
        states follow those of the first direction, so that S = 2H.
    context_size : int, default 0
        Size C of the context.
    cell : Cell, optional
        Kind of cell, activations and backend. Default: ``Cell()``, an LSTM; ``Cell(kind="gru")``
        makes a GRU.
    generator : torch.Generator, optional
        Random number generator for the initial weights. Default: PyTorch's global one.

    Attributes
    ----------
    layers : torch.nn.ModuleList of torch.nn.ModuleList of LSTMLayer
        Layers, each with its one or two directions.
    directions : int
        Number of directions of every layer, 1 or 2.
    state_size : int
        Size of the last layer's states, S: H, or 2H in both directions.
    whole_state : int
        Length of the whole state: h and c (of a GRU only h) of every layer and direction.
    state_sizes : list of int
        Size of h (and of c, in an LSTM) of every layer and direction.

    Raises
    ------
    InputError
        If `num_layers` is neither 1 nor the length of the sequence `units`.

    See Also
    --------
    LSTMLayer : One layer in one direction.

    Examples
    --------
    >>> import torch
    >>> from unspool.nn import LSTM
    >>> lstm = LSTM(3, 8, num_layers=2, bidirectional=True)
    >>> states, (h_n, c_n) = lstm(torch.zeros(2, 10, 3), torch.tensor([10, 4]))
    >>> states.shape, h_n.shape
    (torch.Size([2, 10, 16]), torch.Size([4, 2, 8]))
    """

    dropout: Dropout | None = None  # set by `Autoencoder.dropping`

    def __init__(
        self,
        input_size: int,
        units: int | Sequence[int],
        *,
        num_layers: int = 1,
        bidirectional: bool = False,
        context_size: int = 0,
        cell: Cell | None = None,
        generator: Generator | None = None,
    ) -> None:
        super().__init__()
        widths = units_of_layers(units, num_layers)
        self.directions = 1 + bidirectional
        if num_layers not in (1, len(widths)):
            raise InputError(
                f"`units` {tuple(widths)} is {len(widths)} layers, but `num_layers` is "
                f"{num_layers}; leave num_layers=1, or make both the same number."
            )
        self.state_sizes = [width for width in widths for _ in range(1 + bidirectional)]
        kind = CELLS[(cell or Cell()).kind]
        self.whole_state = len(kind.states) * sum(self.state_sizes)
        self.state_size = widths[-1] * (1 + bidirectional)
        self.layers = nn.ModuleList()
        for depth, width in enumerate(widths):
            directions = [
                LSTMLayer(
                    widths[depth - 1] * (1 + bidirectional) if depth else input_size,
                    width,
                    context_size=0 if depth else context_size,
                    reverse=reverse,
                    cell=cell,
                    generator=generator,
                )
                for reverse in ([False, True] if bidirectional else [False])
            ]
            self.layers.append(nn.ModuleList(directions))

    def forward(
        self,
        x: Tensor | None,
        lengths: Tensor | None = None,
        *,
        context: Tensor | None = None,
        state: tuple[LayerStates, ...] | None = None,
        steps: int | None = None,
        return_sequences: bool = True,
        statistics: Sequence[StatisticName] = (),
        h_masks: Sequence[Tensor | None] | None = None,
    ) -> tuple[Tensor, tuple[LayerStates, ...]]:
        """Run the layers on a batch.

        Parameters
        ----------
        x : tensor of shape (B, T, F), or None
            Input sequences; None for layers without inputs per step.
        lengths : int tensor of shape (B,), optional
            Number of real steps of each sequence. Default: all steps are real.
        context : tensor of shape (B, C), optional
            Input of the first layer that is the same at every step. Required if `context_size` is
            not 0.
        state : tuple of tensors of shape (num_layers · directions, B, H), optional
            Initial h and c (of a GRU only h), ordered as in `torch.nn.LSTM`: by layer, forward
            before backward. If the layers have different units: tuples of tensors (B, H) instead
            of tensors. Default: zeros.
        steps : int, optional
            Number of steps T. Required if `x` is None.
        return_sequences : bool, default True
            Whether to return the hidden state after every step.
        statistics : sequence of str, default ()
            Statistics of the last layer's hidden states over real steps, to return instead of the
            states: "last", "mean", "max", "min" or "std".
        h_masks : sequence of tensors of shape (B, H), optional
            For every layer and direction, the factor of the hidden state that the gates read, the
            same at every step (recurrent dropout). Default: no masks.

        Returns
        -------
        states : tensor of shape (B, T, S), or (B, K, S) for K statistics
            Hidden states of the last layer; T is 0 without `return_sequences`.
        finals : tuple of tensors of shape (num_layers · directions, B, H)
            Final h and c of all layers (of a GRU only h), ordered as `state`; tuples of tensors
            (B, H) instead of tensors if the layers have different units.
        """
        finals: list[tuple[Tensor, ...]] = []
        if h_masks is None and self.dropout is None:
            h_masks = [None] * len(self.state_sizes)
        elif h_masks is None:
            given = next(each for each in (x, context, state and state[0][0]) if each is not None)
            h_masks = self.state_masks(len(given))
        for depth, directions in enumerate(self.stack()):
            inner = depth < len(self.layers) - 1
            outputs = []
            for layer in directions:
                start = None if state is None else tuple(each[len(finals)] for each in state)
                h, final = layer(
                    x,
                    lengths,
                    context=context,
                    state=start,
                    steps=steps,
                    return_sequences=inner or return_sequences,
                    statistics=() if inner else statistics,
                    h_mask=h_masks[len(finals)],
                )
                outputs.append(h)
                finals.append(final)
            x = outputs[0] if len(outputs) == 1 else torch.cat(outputs, 2)
            if inner and self.dropout is not None:
                x = self.dropout.of_layer(x)
            context = None
        assert x is not None
        states = tuple(zip(*finals, strict=True))  # h of all layers, and c
        if len(set(self.state_sizes)) > 1:
            return x, states
        return x, tuple(_stacked(each) for each in states)

    def state_masks(self, batch: int) -> list[Tensor | None]:
        """Draw the masks of the hidden states, if recurrent dropout is on.

        Parameters
        ----------
        batch : int
            Batch size, B.

        Returns
        -------
        list of tensor of shape (B, H), or of None
            A mask for every layer and direction; None without recurrent dropout.
        """
        layers = [layer for directions in self.stack() for layer in directions]
        if self.dropout is None:
            return [None] * len(layers)
        draw = self.dropout.state_mask
        return [draw(batch, layer.units, layer.weight_hh) for layer in layers]

    def stack(self) -> list[list[LSTMLayer]]:
        """List the layers.

        Returns
        -------
        list of list of LSTMLayer
            Layers from first to last, each with its one or two directions.
        """
        return [list(cast("Iterable[LSTMLayer]", layer)) for layer in self.layers]

    @classmethod
    def from_torch(cls, module: nn.LSTM | nn.GRU, *, backend: BackendName | Auto = "auto") -> Self:
        """Copy a `torch.nn.LSTM` or `torch.nn.GRU`.

        Two biases that are only added up become their sum.

        The new module expects the batch axis first, whatever the old module's `batch_first` is.

        Parameters
        ----------
        module : torch.nn.LSTM or torch.nn.GRU
            Module without projection and without dropout between its layers.
        backend : {"auto", "compiled", "torch", "stepwise"}, default "auto"
            Implementation of the recurrence.

        Returns
        -------
        LSTM
            New module with copies of the weights.

        Raises
        ------
        InputError
            If the module has `proj_size` or `dropout`.
        """
        gru = isinstance(module, nn.GRU)
        for name in ("proj_size", "dropout"):
            if getattr(module, name):
                raise InputError(
                    f"Expected a torch.nn.{'GRU' if gru else 'LSTM'} with {name}=0, got "
                    f"{name}={getattr(module, name)}, "
                    "which `unspool.nn.LSTM` does not support."
                )
        lstm = cls(
            module.input_size,
            module.hidden_size,
            num_layers=module.num_layers,
            bidirectional=module.bidirectional,
            cell=Cell(backend=backend, kind="gru" if gru else "lstm"),
        ).to(cast(Tensor, module.weight_hh_l0))
        weights = module.state_dict()
        with torch.no_grad():
            for layer, suffix in lstm._with_suffixes():
                assert layer.weight_ih is not None
                w_ih, w_hh = weights[f"weight_ih_{suffix}"], weights[f"weight_hh_{suffix}"]
                layer.weight_ih.copy_(reordered(w_ih) if gru else w_ih)
                layer.weight_hh.copy_(reordered(w_hh) if gru else w_hh)
                layer.bias.zero_()
                if module.bias:
                    b_ih, b_hh = weights[f"bias_ih_{suffix}"], weights[f"bias_hh_{suffix}"]
                    layer.bias.copy_(one_gru_bias(b_ih, b_hh) if gru else b_ih + b_hh)
        return lstm

    def to_torch(self) -> nn.LSTM | nn.GRU:
        """Copy the layers to a `torch.nn.LSTM` or `torch.nn.GRU` with ``batch_first=True``.

        Where one bias suffices, the second is zero, so that `from_torch` restores the same weights.

        Returns
        -------
        torch.nn.LSTM or torch.nn.GRU
            New module with copies of the weights.

        Raises
        ------
        InputError
            If the cells are not tanh cells with sigmoid gates, if there is a context, if there are
            no inputs per step, or if the layers have different units.
        """
        (first, *second), *_ = self.stack()
        cell = (first.cell.activation, first.cell.recurrent_activation)
        gru, title = first.cell.kind == "gru", CELLS[first.cell.kind].title
        if cell != ("tanh", "sigmoid"):
            raise InputError(
                f"torch.nn.{title} supports only tanh cells with sigmoid gates, but these are "
                f"{cell[0]} cells with {cell[1]} gates."
            )
        if first.context_size or not first.input_size:
            reason = "have a context" if first.context_size else "read no input at their steps"
            raise InputError(
                f"torch.nn.{title} reads one input sequence, but these layers {reason}."
            )
        if len(set(self.state_sizes)) > 1:
            widths = ", ".join(str(directions[0].units) for directions in self.stack())
            raise InputError(
                f"The layers of a torch.nn.{title} have the same number of units, but these have "
                f"{widths}. Convert a whole model with `unspool.interop.torch.to_torch`, which "
                f"makes an nn.{title} of each layer."
            )
        module = (nn.GRU if gru else nn.LSTM)(
            first.input_size,
            first.units,
            num_layers=len(self.layers),
            bidirectional=bool(second),
            batch_first=True,
        ).to(first.weight_hh)
        weights: dict[str, Tensor] = {}
        for layer, suffix in self._with_suffixes():
            assert layer.weight_ih is not None
            w_ih, w_hh, bias = layer.weight_ih, layer.weight_hh, layer.bias
            each = [w_ih, w_hh, bias, torch.zeros_like(bias)]
            if gru:
                each = gru_parameters(w_ih, w_hh, bias)
            for name, weight in zip(TORCH_NAMES, each, strict=True):
                weights[f"{name}_{suffix}"] = weight
        module.load_state_dict(weights)
        return module

    def _with_suffixes(self) -> list[tuple[LSTMLayer, str]]:
        """Return layers, with the suffixes of their weights' names in `torch.nn.LSTM`."""
        return [
            (layer, f"l{depth}" + "_reverse" * layer.reverse)
            for depth, directions in enumerate(self.stack())
            for layer in directions
        ]


def _stacked(states: tuple[Tensor, ...]) -> Tensor:
    """Return states (B, H) of layers as one tensor (layers, B, H)."""
    return torch.stack(states) if len(states) > 1 else states[0][None]
