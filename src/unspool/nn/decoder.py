"""From a code back to a sequence: decoders by name, each with the same kind of head."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import ClassVar

from torch import Generator, Tensor, nn

from unspool.lstm.turn import reverse_within
from unspool.nn.dense import ACTIVATIONS, dense
from unspool.nn.recurrent import LSTM, Cell


class Head(nn.Sequential):
    """Dense layers applied to every step, from the decoder's state to the features.

    Parameters
    ----------
    inputs, outputs : int
    units : sequence of int, default ()
        Widths of the layers in between.
    activation, output_activation : str
        Of the layers in between, and of the last; names in `unspool.nn.dense.ACTIVATIONS`.
    generator : torch.Generator, optional
        Source of the initial weights.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        *,
        units: Sequence[int] = (),
        activation: str = "relu",
        output_activation: str = "linear",
        generator: Generator | None = None,
    ) -> None:
        widths = [inputs, *units, outputs]
        layers: list[nn.Module] = []
        for i, (wide, narrow) in enumerate(pairwise(widths)):
            name = output_activation if i == len(units) else activation
            layers += [dense(wide, narrow, generator), ACTIVATIONS[name]()]
        super().__init__(*layers)

    def forward(self, states: Tensor) -> Tensor:
        """Features (B, T, F) of states (B, T, H)."""
        # Backends work time-major, so that states are often a transposed view. Steps are all
        # alike to these layers: turned back, they need no copy.
        turned = not states.is_contiguous()
        features = states.transpose(0, 1) if turned else states
        for layer in self:
            features = layer(features)
        return features.transpose(0, 1) if turned else features


class RepeatDecoder(nn.Module):
    """Unwind a code by giving it to an LSTM at every step, and nothing else.

    Parameters
    ----------
    latent_dim, n_features : int
    units : int, optional
        LSTM units of a layer; `latent_dim` by default.
    num_layers : int, default 1
    bidirectional : bool, default False
        Unwind from both ends: every layer has a second half that runs from the last step back.
    head_units, head_activation, output_activation
        The dense layers on every step, see `Head`.
    cell : Cell, optional
    generator : torch.Generator, optional
        Source of the initial weights.

    Source: `RepeatVector` in the Keras articles; the unconditional decoder of Srivastava et al.
    2015, section 2.2, but for the code, which reaches every step instead of the first alone.
    """

    needs_input: ClassVar[bool] = False

    def __init__(
        self,
        latent_dim: int,
        n_features: int,
        *,
        units: int | None = None,
        num_layers: int = 1,
        bidirectional: bool = False,
        head_units: Sequence[int] = (),
        head_activation: str = "relu",
        output_activation: str = "linear",
        cell: Cell | None = None,
        generator: Generator | None = None,
    ) -> None:
        super().__init__()
        self.lstm = LSTM(
            n_features if self.needs_input else 0,
            units or latent_dim,
            num_layers=num_layers,
            bidirectional=bidirectional,
            context_size=latent_dim,
            cell=cell,
            generator=generator,
        )
        self.head = Head(
            self.lstm.state_size,
            n_features,
            units=head_units,
            activation=head_activation,
            output_activation=output_activation,
            generator=generator,
        )

    def forward(
        self, code: Tensor, steps: int, lengths: Tensor | None = None, x: Tensor | None = None
    ) -> Tensor:
        """Sequences (B, steps, F) of codes (B, L); `x` (B, steps, F) is the encoder's input."""
        read = self.read(x, lengths)
        states, _ = self.lstm(read, lengths, context=code, steps=steps)
        sequences: Tensor = self.head(states)
        return sequences

    def read(self, x: Tensor | None, lengths: Tensor | None) -> Tensor | None:
        """What the LSTM reads at each step besides the code."""
        return None


class ReversedInputDecoder(RepeatDecoder):
    """Unwind a code with the input read backwards at the same step beside it.

    Step t sees the code and the input's step ``length - 1 - t``; it cannot run without the input.

    Source: the "conditional" decoder of the article "Implement LSTM AutoEncoder in Keras". (In
    Srivastava et al. 2015, section 2.2, a conditional decoder reads its own previous output.)

    Parameters are those of `RepeatDecoder`.
    """

    needs_input: ClassVar[bool] = True

    def read(self, x: Tensor | None, lengths: Tensor | None) -> Tensor | None:
        """The input, each sequence turned round within its own length."""
        assert x is not None, "this decoder needs the input"
        return reverse_within(x, lengths)


DECODERS: Mapping[str, type[RepeatDecoder]] = {
    "repeat": RepeatDecoder,
    "reversed_input": ReversedInputDecoder,
}
