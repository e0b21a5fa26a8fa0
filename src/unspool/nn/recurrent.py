"""LSTM layers as modules, one direction or both, one layer or a stack."""

from dataclasses import dataclass

import torch
from torch import Generator, Tensor, nn

from unspool.lstm import Call, choose, lstm
from unspool.lstm.reference import Array, split_gates

# Keras starts at 1, where half of the memory is gone after two steps; at 2 after five. Sequences
# are long here: on the first article's experiment the median test error of five seeds falls from
# 0.029 to 0.017.
FORGET_BIAS = 2.0


@dataclass(frozen=True)
class Cell:
    """How the units of a stack compute, shared by all its layers.

    Parameters
    ----------
    activation : {"tanh", "relu"}
    recurrent_activation : {"sigmoid", "hard_sigmoid"}
    backend : {"auto", "library", "stepwise"}
    """

    activation: str = "tanh"
    recurrent_activation: str = "sigmoid"
    backend: str = "auto"


class LSTMLayer(nn.Module):
    """One LSTM layer in one direction.

    Weights start as in Keras, Glorot-uniform kernels and an orthogonal recurrent kernel, but for
    the bias: zero, and `FORGET_BIAS` for the forget gate.

    Parameters
    ----------
    input_size : int
        Features of a step, F; 0 for a layer that reads nothing at its steps.
    units : int
        Hidden units, H.
    context_size : int, default 0
        Width C of an input that is the same at every step.
    reverse : bool, default False
    cell : Cell
    generator : torch.Generator, optional
        Source of the initial weights.
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
        # One kernel for context and input together, so that both see the same fan-in.
        kernel = torch.empty(4 * units, context_size + input_size)
        recurrent = torch.empty(4 * units, units)
        if kernel.numel():
            nn.init.xavier_uniform_(kernel, generator=generator)
        nn.init.orthogonal_(recurrent, generator=generator)
        bias = torch.zeros(4 * units)
        bias[units : 2 * units] = FORGET_BIAS
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
        state: tuple[Tensor, Tensor] | None = None,
        steps: int | None = None,
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """Run a batch: the states (B, T, H), and the final h and c, each (B, H)."""
        h0, c0 = state or (None, None)
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
            steps=steps,
            activation=self.cell.activation,
            recurrent_activation=self.cell.recurrent_activation,
            reverse=self.reverse,
            backend=self.cell.backend,
        )
        return h, (h_n, c_n)

    @property
    def backend(self) -> str:
        """Which backend runs this layer, and why: ``"library (first choice for this cell)"``."""
        call = Call(self.cell.activation, self.cell.recurrent_activation, self.reverse)
        name, reason = choose(call, self.cell.backend)
        return f"{name} ({reason})"

    def weights(self) -> dict[str, Array]:
        """Copies of the weights in NumPy, by their names in `unspool.lstm.reference.forward`."""
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
        """The weights split by gate: ``gates()["w_hh"]["f"]`` is the forget gate's, (H, H)."""
        return {name: split_gates(weight) for name, weight in self.weights().items()}

    def extra_repr(self) -> str:
        """Sizes, for `print`."""
        context = f", context {self.context_size}" if self.context_size else ""
        return f"{self.input_size}{context} -> {self.units}{', reverse' if self.reverse else ''}"


class LSTMStack(nn.Module):
    """Layers of LSTM, each reading the states of the one before; the context goes to the first.

    Parameters
    ----------
    input_size, units, context_size, cell, generator
        As for `LSTMLayer`.
    num_layers : int, default 1
    bidirectional : bool, default False
        Give every layer a second half that reads backwards; states are then 2H wide.
    """

    def __init__(
        self,
        input_size: int,
        units: int,
        *,
        num_layers: int = 1,
        bidirectional: bool = False,
        context_size: int = 0,
        cell: Cell | None = None,
        generator: Generator | None = None,
    ) -> None:
        super().__init__()
        self.state_size = units * (1 + bidirectional)
        self.layers = nn.ModuleList()
        for depth in range(num_layers):
            directions = [
                LSTMLayer(
                    self.state_size if depth else input_size,
                    units,
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
        steps: int | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Run a batch: the states of the last layer (B, T, S), and its final ones (B, S).

        S is H, or 2H where the stack is bidirectional.
        """
        final = None
        for directions in self.layers:
            assert isinstance(directions, nn.ModuleList)
            outputs = [layer(x, lengths, context=context, steps=steps) for layer in directions]
            x = outputs[0][0] if len(outputs) == 1 else torch.cat([h for h, _ in outputs], 2)
            final = torch.cat([h_n for _, (h_n, _) in outputs], 1)
            context = None
        assert x is not None
        assert final is not None
        return x, final
