"""One LSTM or GRU layer in one direction, as a module."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Generator, Tensor, nn

from unspool import _checks
from unspool._types import (
    Auto,
    BackendName,
    CellActivationName,
    CellName,
    GateActivationName,
    StatisticName,
)
from unspool.blueprint.cells import CELLS
from unspool.lstm import Call, Choice, choose, lstm
from unspool.lstm.reference import Array, split_gates

# Initial bias of the forget gate. With 1, as in Keras, a cell keeps half of its memory for two
# steps; with 2, for five. Sequences are long here: in the demo "sines" the median test error of
# five random seeds falls from 0.029 to 0.017.
FORGET_BIAS = 2.0
# The state of ReLU cells has no upper bound, and explodes if they forget too little.
RELU_FORGET_BIAS = 1.5


@dataclass(frozen=True)
class Cell:
    """Kind of cell, activations and backend that all layers of a stack share.

    Parameters
    ----------
    activation : {"tanh", "relu"}, default "tanh"
        Activation of the cell's candidate and output.
    recurrent_activation : {"sigmoid", "hard_sigmoid"}, default "sigmoid"
        Activation of the gates.
    backend : {"auto", "compiled", "torch", "stepwise"}, default "auto"
        Implementation of the recurrence; "auto" chooses the fastest one that can run the layer.
    kind : {"lstm", "gru"}, default "lstm"
        Kind of the cell: long short-term memory or gated recurrent unit.

    Raises
    ------
    InputError
        If `kind` is unknown.

    See Also
    --------
    unspool.lstm.choose : Choose a backend.

    Examples
    --------
    >>> from unspool.nn import LSTM, Cell
    >>> lstm = LSTM(3, 8, cell=Cell(activation="relu", backend="stepwise"))
    >>> gru = LSTM(3, 8, cell=Cell(kind="gru"))
    """

    activation: CellActivationName = "tanh"
    recurrent_activation: GateActivationName = "sigmoid"
    backend: BackendName | Auto = "auto"
    kind: CellName = "lstm"

    def __post_init__(self) -> None:
        _checks.raise_all(_checks.choice("kind", self.kind, CELLS))


class LSTMLayer(nn.Module):
    """One LSTM or GRU layer in one direction.

    Weights start as in Keras: Glorot-uniform input weights, orthogonal recurrent weights and zero
    biases, except for the forget gate of an LSTM, whose bias is 2.0 (1.5 for ReLU cells).

    Parameters
    ----------
    input_size : int
        Number of features per step, F; 0 for a layer without inputs per step.
    units : int
        Number of hidden units, H.
    context_size : int, default 0
        Size C of the context, an input that is the same at every step.
    reverse : bool, default False
        Read from the last step to the first. States are returned in the order of the input.
    cell : Cell, optional
        Kind of cell, activations and backend. Default: ``Cell()``.
    generator : torch.Generator, optional
        Random number generator for the initial weights. Default: PyTorch's global one.

    Attributes
    ----------
    weight_ih : torch.nn.Parameter of shape (4H, F), or None
        Input weights of the gates i, f, c and o, in this order. For a GRU (3H, F), with the gates
        z, r and n.
    weight_hh : torch.nn.Parameter of shape (4H, H), or (3H, H) for a GRU
        Recurrent weights.
    weight_context : torch.nn.Parameter of shape (4H, C), or (3H, C) for a GRU, or None
        Weights of the context.
    bias : torch.nn.Parameter of shape (4H,)
        Biases of the gates; of a GRU those of z, r, n and of the recurrent part of n.
    backend : unspool.lstm.Choice
        Backend of the last run, and the reason for it.

    See Also
    --------
    LSTM : A stack of these layers.
    unspool.lstm.lstm : The function that runs a layer.

    Examples
    --------
    >>> import torch
    >>> from unspool.nn import LSTMLayer
    >>> states, (h, c) = LSTMLayer(3, 8)(torch.zeros(2, 10, 3))
    >>> states.shape, h.shape
    (torch.Size([2, 10, 8]), torch.Size([2, 8]))
    """

    def __init__(
        self,
        input_size: int,
        units: int,
        *,
        context_size: int = 0,
        reverse: bool = False,
        cell: Cell | None = None,
        generator: Generator | None = None,
    ) -> None:
        super().__init__()
        self.input_size, self.units, self.context_size = input_size, units, context_size
        self.reverse, self.cell = reverse, cell or Cell()
        self.ran: Choice | None = None
        # Context and input share one initialisation, so that both have the same fan-in.
        kind = CELLS[self.cell.kind]
        rows = len(kind.gates) * units
        kernel = torch.empty(rows, context_size + input_size, dtype=torch.float32)
        recurrent = torch.empty(rows, units, dtype=torch.float32)
        if kernel.numel():
            nn.init.xavier_uniform_(kernel, generator=generator)
        nn.init.orthogonal_(recurrent, generator=generator)
        bias = torch.zeros(len(kind.biases) * units, dtype=torch.float32)
        if self.cell.kind == "lstm":
            bounded = self.cell.activation != "relu"
            bias[units : 2 * units] = FORGET_BIAS if bounded else RELU_FORGET_BIAS
        context, inputs = kernel[:, :context_size], kernel[:, context_size:]
        self.weight_context = nn.Parameter(context.clone()) if context_size else None
        self.weight_ih = nn.Parameter(inputs.clone()) if input_size else None
        self.weight_hh = nn.Parameter(recurrent)
        self.bias = nn.Parameter(bias)

    def forward(
        self,
        x: Tensor | None,
        lengths: Tensor | None = None,
        *,
        context: Tensor | None = None,
        state: tuple[Tensor, ...] | None = None,
        steps: int | None = None,
        return_sequences: bool = True,
        statistics: Sequence[StatisticName] = (),
        h_mask: Tensor | None = None,
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Run the layer on a batch.

        Parameters
        ----------
        x : tensor of shape (B, T, F), or None
            Input sequences; None for a layer without inputs per step.
        lengths : int tensor of shape (B,), optional
            Number of real steps of each sequence. Default: all steps are real.
        context : tensor of shape (B, C), optional
            Input that is the same at every step. Required if `context_size` is not 0.
        state : tuple of tensors of shape (B, H), optional
            Initial h and c; of a GRU, (h,). Default: zeros.
        steps : int, optional
            Number of steps T. Required if `x` is None.
        return_sequences : bool, default True
            Whether to return the hidden state after every step.
        statistics : sequence of str, default ()
            Statistics of the hidden states over real steps, to return instead of the states:
            "last", "mean", "max", "min" or "std".
        h_mask : tensor of shape (B, H), optional
            Factor of the hidden state that the gates read, the same at every step (recurrent
            dropout). Default: no mask.

        Returns
        -------
        states : tensor of shape (B, T, H), or (B, K, H) for K statistics
            Hidden states after every step; T is 0 without `return_sequences`.
        finals : tuple of tensors of shape (B, H)
            Final h and c; of a GRU, (h,).
        """
        h0, c0 = (*(state or ()), None, None)[:2]
        h, h_n, c_n = lstm(
            x,
            self.weight_ih,
            self.weight_hh,
            self.bias,
            context=context,
            w_context=self.weight_context,
            h0=h0,
            c0=c0,
            lengths=lengths,
            h_mask=h_mask,
            steps=steps,
            activation=self.cell.activation,
            recurrent_activation=self.cell.recurrent_activation,
            reverse=self.reverse,
            return_sequences=return_sequences,
            statistics=statistics,
            backend=self.cell.backend,
            on_choice=self._note_choice,
            cell=self.cell.kind,
        )
        return h, (h_n, c_n) if CELLS[self.cell.kind].has_c else (h_n,)

    def _note_choice(self, choice: Choice) -> None:
        if choice != self.ran:  # setting an attribute of a module takes long
            self.ran = choice

    @property
    def backend(self) -> Choice:
        """Backend of the last run, and the reason; before the first run, the one to be chosen."""
        return self.ran or self.choice()

    def choice(
        self, batch: int | None = None, *, training: bool = True, h_mask: bool = False
    ) -> Choice:
        """Choose the backend for a batch size.

        Parameters
        ----------
        batch : int, optional
            Batch size. Default: unknown.
        training : bool, default True
            Whether gradients are computed.
        h_mask : bool, default False
            Whether the gates read the hidden state through a mask.

        Returns
        -------
        unspool.lstm.Choice
            The backend's name and the reason for it.
        """
        call = Call(
            self.cell.activation,
            self.cell.recurrent_activation,
            self.reverse,
            training=training,
            device=self.weight_hh.device.type,
            dtype=self.weight_hh.dtype,
            batch=batch,
            hidden=self.units,
            cell=self.cell.kind,
            h_mask=h_mask,
        )
        return choose(call, self.cell.backend)

    def weights(self) -> dict[str, Array]:
        """Copy the weights to NumPy.

        Returns
        -------
        dict of str to array
            "w_ih" (4H, F), "w_hh" (4H, H), "bias" (4H,) and "w_context" (4H, C), the arguments of
            `unspool.lstm.reference.forward`; without those that the layer does not have. For a GRU
            3H instead of 4H, except for the bias: the arguments of
            `unspool.lstm.reference_gru.forward`.
        """
        named = {
            "w_ih": self.weight_ih,
            "w_hh": self.weight_hh,
            "bias": self.bias,
            "w_context": self.weight_context,
        }
        return {
            name: weight.detach().cpu().numpy().copy()
            for name, weight in named.items()
            if weight is not None
        }

    def gates(self) -> dict[str, dict[str, Array]]:
        """Copy the weights to NumPy, split by gate.

        Returns
        -------
        dict of str to dict of str to array
            As `weights`, with an array for each of the gates "i", "f", "c" and "o":
            ``gates()["w_hh"]["f"]`` (H, H) are the recurrent weights of the forget gate. The gates
            of a GRU are "z", "r" and "n", and its bias has "rn" as well, which is added to the
            recurrent part of "n".

        See Also
        --------
        unspool.gate_weights : The same for all layers of a model.
        """
        return {
            name: split_gates(weight, self.cell.kind) for name, weight in self.weights().items()
        }

    def extra_repr(self) -> str:
        """Return the sizes that `print` shows.

        Returns
        -------
        str
            For example "3, context 8 -> 16, reverse".
        """
        context = f", context {self.context_size}" if self.context_size else ""
        return f"{self.input_size}{context} -> {self.units}{', reverse' if self.reverse else ''}"
