"""LSTM layers as modules, one direction or both, one layer or a stack."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Self, cast

import torch
from torch import Generator, Tensor, nn

from unspool._types import Auto, BackendName, CellActivationName, GateActivationName, StatisticName
from unspool.errors import InputError
from unspool.lstm import Call, Choice, choose, lstm
from unspool.lstm.reference import Array, split_gates

# Keras starts at 1, where half of the memory is gone after two steps; at 2 after five. Sequences
# are long here: on the first article's experiment the median test error of five seeds falls from
# 0.029 to 0.017.
FORGET_BIAS = 2.0
# Nothing bounds the state of ReLU cells; what forgets little explodes.
RELU_FORGET_BIAS = 1.5


@dataclass(frozen=True)
class Cell:
    """How the units of a stack compute, shared by all its layers.

    Parameters
    ----------
    activation : {"tanh", "relu"}
    recurrent_activation : {"sigmoid", "hard_sigmoid"}
    backend : {"auto", "compiled", "torch", "stepwise"}
    """

    activation: CellActivationName = "tanh"
    recurrent_activation: GateActivationName = "sigmoid"
    backend: BackendName | Auto = "auto"


class LSTMLayer(nn.Module):
    """One LSTM layer in one direction.

    Weights start as in Keras, Glorot-uniform kernels and an orthogonal recurrent kernel, but for
    the bias: zero, and for the forget gate `FORGET_BIAS`, or `RELU_FORGET_BIAS`.

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
        self.ran: Choice | None = None
        # One kernel for context and input together, so that both see the same fan-in.
        kernel = torch.empty(4 * units, context_size + input_size, dtype=torch.float32)
        recurrent = torch.empty(4 * units, units, dtype=torch.float32)
        if kernel.numel():
            nn.init.xavier_uniform_(kernel, generator=generator)
        nn.init.orthogonal_(recurrent, generator=generator)
        bias = torch.zeros(4 * units, dtype=torch.float32)
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
        state: tuple[Tensor, Tensor] | None = None,
        steps: int | None = None,
        return_sequences: bool = True,
        statistics: Sequence[StatisticName] = (),
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """Run a batch: the states (B, T, H), and the final h and c, each (B, H).

        Arguments are those of `unspool.lstm.lstm`; `state` is its h0 and c0.
        """
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
            return_sequences=return_sequences,
            statistics=statistics,
            backend=self.cell.backend,
            on_choice=self._note_choice,
        )
        return h, (h_n, c_n)

    def _note_choice(self, choice: Choice) -> None:
        self.ran = choice

    @property
    def backend(self) -> Choice:
        """Which backend ran this layer the last time, and why; before that, which one would."""
        return self.ran or self.choice()

    def choice(self, batch: int | None = None, *, training: bool = True) -> Choice:
        """Which backend would run this layer on `batch` sequences, and why."""
        call = Call(
            self.cell.activation,
            self.cell.recurrent_activation,
            self.reverse,
            training=training,
            device=self.weight_hh.device.type,
            dtype=self.weight_hh.dtype,
            batch=batch,
            hidden=self.units,
        )
        return choose(call, self.cell.backend)

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


class LSTM(nn.Module):
    """Layers of LSTM, each reading the states of the one before; like `torch.nn.LSTM`.

    Sequences come first (``batch_first``), there is one bias instead of two, and beside the
    sequences a layer may read a context, which goes to the first layer.

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
        state: tuple[Tensor, Tensor] | None = None,
        steps: int | None = None,
        return_sequences: bool = True,
        statistics: Sequence[StatisticName] = (),
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """Run a batch: the states of the last layer (B, T, S), and the final h and c of all.

        S is H, or 2H where both directions are read. The final states, and `state`, the initial
        ones, are as in `torch.nn.LSTM`: (layers times directions, B, H), a layer's forward half
        before its backward half. Other arguments are those of `unspool.lstm.lstm`; with
        `statistics` the last layer gives these, (B, K, S).
        """
        finals: list[tuple[Tensor, Tensor]] = []
        for depth, directions in enumerate(self.stack()):
            inner = depth < len(self.layers) - 1
            outputs = []
            for layer in directions:
                start = None if state is None else (state[0][len(finals)], state[1][len(finals)])
                h, final = layer(
                    x,
                    lengths,
                    context=context,
                    state=start,
                    steps=steps,
                    return_sequences=inner or return_sequences,
                    statistics=() if inner else statistics,
                )
                outputs.append(h)
                finals.append(final)
            x = outputs[0] if len(outputs) == 1 else torch.cat(outputs, 2)
            context = None
        assert x is not None
        h_n, c_n = (torch.stack(each) for each in zip(*finals, strict=True))
        return x, (h_n, c_n)

    def stack(self) -> list[list[LSTMLayer]]:
        """The layers, first to last, each as its one or two directions."""
        return [list(cast("Iterable[LSTMLayer]", each)) for each in self.layers]

    @classmethod
    def from_torch(cls, module: nn.LSTM, *, backend: BackendName | Auto = "auto") -> Self:
        """Take the weights of a `torch.nn.LSTM`; its two biases become their sum.

        What comes back has sequences first, whatever the module's `batch_first`.

        Raises
        ------
        InputError
            For a module with a projection or with dropout between its layers.
        """
        for name in ("proj_size", "dropout"):
            if getattr(module, name):
                raise InputError(
                    f"Expected a torch.nn.LSTM without `{name}`, not one with "
                    f"{getattr(module, name)}; there is no such thing here."
                )
        ours = cls(
            module.input_size,
            module.hidden_size,
            num_layers=module.num_layers,
            bidirectional=module.bidirectional,
            cell=Cell(backend=backend),
        ).to(cast(Tensor, module.weight_hh_l0))
        weights = module.state_dict()
        with torch.no_grad():
            for layer, suffix in ours._with_suffixes():
                assert layer.weight_ih is not None
                layer.weight_ih.copy_(weights[f"weight_ih_{suffix}"])
                layer.weight_hh.copy_(weights[f"weight_hh_{suffix}"])
                layer.bias.zero_()
                if module.bias:
                    layer.bias.copy_(weights[f"bias_ih_{suffix}"] + weights[f"bias_hh_{suffix}"])
        return ours

    def to_torch(self) -> nn.LSTM:
        """Make a `torch.nn.LSTM` with copies of these weights, sequences first.

        Its second bias is zero, so that `from_torch` gives the same weights back.

        Raises
        ------
        InputError
            Where `torch.nn.LSTM` has no such cell, or no context.
        """
        (first, *other), *_ = self.stack()
        cell = (first.cell.activation, first.cell.recurrent_activation)
        if cell != ("tanh", "sigmoid"):
            raise InputError(
                f"torch.nn.LSTM has tanh cells with sigmoid gates only, not {' with '.join(cell)}."
            )
        if first.context_size or not first.input_size:
            raise InputError("torch.nn.LSTM reads a sequence and no context; this one does not.")
        theirs = nn.LSTM(
            first.input_size,
            first.units,
            num_layers=len(self.layers),
            bidirectional=bool(other),
            batch_first=True,
        ).to(first.weight_hh)
        weights: dict[str, Tensor] = {}
        for layer, suffix in self._with_suffixes():
            assert layer.weight_ih is not None
            weights[f"weight_ih_{suffix}"] = layer.weight_ih
            weights[f"weight_hh_{suffix}"] = layer.weight_hh
            weights[f"bias_ih_{suffix}"] = layer.bias
            weights[f"bias_hh_{suffix}"] = torch.zeros_like(layer.bias)
        theirs.load_state_dict(weights)
        return theirs

    def _with_suffixes(self) -> list[tuple[LSTMLayer, str]]:
        """Layers, and what the names of their weights end in in `torch.nn.LSTM`."""
        return [
            (layer, f"l{depth}" + "_reverse" * layer.reverse)
            for depth, directions in enumerate(self.stack())
            for layer in directions
        ]
