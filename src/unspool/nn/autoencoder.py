"""The one wiring: encoder → code → decoders."""

from collections.abc import Callable, Mapping
from typing import cast

import torch
from torch import Tensor, nn

from unspool._padding import reverse_within, without_padding
from unspool.errors import InputError
from unspool.lstm import Call
from unspool.lstm.backends.compiled import refusal
from unspool.nn.convolution import Convolution
from unspool.nn.decoder import Decoder, TeacherForcing
from unspool.nn.encoder import Encoder, LSTMEncoder
from unspool.nn.recurrent import LSTMLayer
from unspool.nn.skip import Skip


class Autoencoder(nn.Module):
    """An encoder and the decoders that unwind its codes.

    They stay modules of their own, which share their weights with the whole: training this trains
    them, and each can be called alone.

    Parameters
    ----------
    encoder : Encoder, ``(x (B, T, F), lengths) -> code (B, L)``
    decoders : mapping of names to `Decoder`, ``(code, steps, lengths, …) -> (B, steps, F)``
        "reconstruction" gives the input back, "forecast" goes on after its end, "quantiles"
        (B, K, F · Q) says how sure that is.
    horizon : int, default 0
        Steps of the forecast, K.
    skip : Skip, optional
        Leads from a sequence to its forecast beside the code.
    """

    def __init__(
        self,
        encoder: Encoder,
        decoders: Mapping[str, Decoder],
        horizon: int = 0,
        skip: Skip | None = None,
    ) -> None:
        super().__init__()
        self.encoder, self.horizon, self.skip = encoder, horizon, skip
        self.decoders = nn.ModuleDict(dict(decoders))

    def decoder(self, name: str = "reconstruction") -> Decoder:
        """The decoder of that name.

        Raises
        ------
        InputError
            Where the model has none.
        """
        if name not in self.decoders:
            held = ", ".join(self.decoders) or "an encoder alone"
            raise InputError(f"This model has no decoder for a {name}, it holds {held}.")
        return cast(Decoder, self.decoders[name])

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Reconstruct sequences (B, T, F); what stands past the end of one has no meaning."""
        return self.run_decoder("reconstruction", x, lengths)

    def run_decoder(self, name: str, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        """What the decoder `name` makes of sequences (B, T, F), see `decode`."""
        return self.decode(name, self.encoder(x, lengths), x, lengths)

    def decode(
        self,
        name: str,
        code: Tensor,
        x: Tensor,
        lengths: Tensor | None = None,
        teacher: TeacherForcing | None = None,
    ) -> Tensor:
        """What the decoder `name` makes of the codes (B, L) of sequences (B, T, F).

        A reconstruction is (B, T, F), a forecast (B, K, F), and quantiles are (B, K, F, Q), each
        no less than the one before.
        """
        decoder, skip = self.decoder(name), self.skip
        if name == "quantiles":
            apart = decoder(code, self.horizon).unflatten(2, (x.shape[2], -1)).sort(3).values
            return cast(Tensor, apart if skip is None else skip.quantiles(apart, x, lengths))
        reversed_input = None
        if decoder.needs_input:
            reversed_input = reverse_within(without_padding(x, lengths), lengths)
        if name == "forecast":
            if teacher is not None and skip is not None and decoder.feeds_back:
                teacher = teacher._replace(target=skip.inverse(teacher.target, x, lengths))
            output = decoder(code, self.horizon, None, reversed_input, teacher)
            return cast(Tensor, output if skip is None else skip(output, x, lengths))
        return cast(Tensor, decoder(code, x.shape[1], lengths, reversed_input, teacher))

    def decode_by_step(
        self,
        name: str,
        x: Tensor,
        lengths: Tensor | None = None,
        teacher: TeacherForcing | None = None,
        change: Callable[[Tensor], Tensor] | None = None,
    ) -> Tensor:
        """Forecasts (B, T, K, F), or their quantiles (B, T, K, F, Q), after each step of sequences.

        The target of `teacher` is then (B, T, K, F). `change` makes of the codes (B, T, L) those
        that are decoded, for dropout.

        Raises
        ------
        InputError
            For an encoder that has no code after every step, or a decoder that reads the input.
        """
        if not isinstance(self.encoder, LSTMEncoder):
            raise InputError(f"Forecasts after every step need an LSTM, not {self.encoder}.")
        if self.decoder(name).needs_input:
            raise InputError(
                "Forecasts after every step need a decoder of the code alone; this one reads the "
                "input beside it."
            )
        codes = self.encoder.encode_by_step(x, lengths)
        codes = codes if change is None else change(codes)
        if self.skip is None or not x.shape[1]:  # nothing is read but the code
            if teacher is not None:
                teacher = teacher._replace(target=teacher.target.flatten(0, 1))
            every = self.decode(name, codes.flatten(0, 1), x.flatten(0, 1)[:, None], None, teacher)
            return every.view(*codes.shape[:2], *every.shape[1:])
        ends = x.new_full((len(x),), x.shape[1]).long() if lengths is None else lengths
        found = []
        for step in range(x.shape[1]):
            own = None if teacher is None else teacher._replace(target=teacher.target[:, step])
            until = ends.clamp(max=step + 1)
            found.append(self.decode(name, codes[:, step], x[:, : step + 1], until, own))
        return torch.stack(found, 1)

    def backends(self) -> dict[str, str]:
        """Which backend ran each LSTM layer, or would, and why, by the layer's name."""
        return {
            name: f"{layer.backend.name} ({layer.backend.reason})" for name, layer in self._lstm()
        }

    def runs_compiled(self, batch: int, *, training: bool) -> bool:
        """Whether compiled code would do most of the work, on `batch` sequences."""
        layers = self._lstm()
        if not training and not any(isinstance(one, Convolution) for one in self.modules()):
            weight = next(self.parameters())
            if refusal(Call(device=weight.device.type, dtype=weight.dtype)) is not None:
                return False
        elif not layers:
            return False
        return all(layer.choice(batch, training=training).name == "compiled" for _, layer in layers)

    def _lstm(self) -> list[tuple[str, LSTMLayer]]:
        return [(n, module) for n, module in self.named_modules() if isinstance(module, LSTMLayer)]
