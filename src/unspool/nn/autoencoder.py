"""The one wiring: encoder → code → decoders."""

from collections.abc import Mapping
from typing import cast

from torch import Tensor, nn

from unspool.errors import InputError
from unspool.lstm import Call
from unspool.lstm.cpu import refusal
from unspool.lstm.turn import reverse_within, without_padding
from unspool.nn.convolution import Convolution
from unspool.nn.decoder import Decoder, Guide
from unspool.nn.encoder import Encoder, LSTMEncoder
from unspool.nn.recurrent import LSTMLayer


class Autoencoder(nn.Module):
    """An encoder and the decoders that unwind its codes.

    They stay modules of their own, which share their weights with the whole: training this trains
    them, and each can be called alone.

    Parameters
    ----------
    encoder : Encoder, ``(x (B, T, F), lengths) -> code (B, L)``
    decoders : mapping of names to `Decoder`, ``(code, steps, lengths, …) -> (B, steps, F)``
        "reconstruction" gives the input back, "forecast" goes on after its end.
    horizon : int, default 0
        Steps of the forecast, K.
    """

    def __init__(self, encoder: Encoder, decoders: Mapping[str, Decoder], horizon: int = 0) -> None:
        super().__init__()
        self.encoder, self.horizon = encoder, horizon
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
        return self.unwind("reconstruction", x, lengths)

    def unwind(self, name: str, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        """What the decoder `name` makes of sequences (B, T, F): (B, T, F), or (B, K, F)."""
        return self.decode(name, self.encoder(x, lengths), x, lengths)

    def decode(
        self,
        name: str,
        code: Tensor,
        x: Tensor,
        lengths: Tensor | None = None,
        guide: Guide | None = None,
    ) -> Tensor:
        """What the decoder `name` makes of the codes (B, L) of sequences (B, T, F)."""
        decoder = self.decoder(name)
        backwards = None
        if decoder.needs_input:
            backwards = reverse_within(without_padding(x, lengths), lengths)
        if name == "forecast":
            return cast(Tensor, decoder(code, self.horizon, None, backwards, guide))
        return cast(Tensor, decoder(code, x.shape[1], lengths, backwards, guide))

    def forecast_by_step(
        self, x: Tensor, lengths: Tensor | None = None, guide: Guide | None = None
    ) -> Tensor:
        """The forecasts (B, T, K, F) of sequences (B, T, F) after each of their steps.

        The target of `guide` is then (B · T, K, F).

        Raises
        ------
        InputError
            For an encoder that has no code after every step, or a decoder that reads the input.
        """
        if not isinstance(self.encoder, LSTMEncoder):
            raise InputError(f"Forecasts after every step need an LSTM, not {self.encoder}.")
        decoder = self.decoder("forecast")
        if decoder.needs_input:
            raise InputError(
                "Forecasts after every step need a decoder of the code alone; this one reads the "
                "input beside it."
            )
        codes = self.encoder.by_step(x, lengths)
        forecasts: Tensor = decoder(codes.flatten(0, 1), self.horizon, guide=guide)
        return forecasts.view(*codes.shape[:2], *forecasts.shape[1:])

    def backends(self) -> dict[str, str]:
        """Which backend ran each LSTM layer, or would, and why, by the layer's name."""
        return {
            name: f"{layer.backend.name} ({layer.backend.reason})" for name, layer in self._lstm()
        }

    def compiled(self, batch: int, *, training: bool) -> bool:
        """Whether compiled code would do most of the work, on `batch` sequences."""
        layers = self._lstm()
        if not training and not any(isinstance(one, Convolution) for one in self.modules()):
            weight = next(self.parameters())
            if refusal(Call(device=weight.device.type, dtype=weight.dtype)) is not None:
                return False
        elif not layers:
            return False
        return all(layer.choice(batch, training=training).name == "cpu" for _, layer in layers)

    def _lstm(self) -> list[tuple[str, LSTMLayer]]:
        return [(n, module) for n, module in self.named_modules() if isinstance(module, LSTMLayer)]
