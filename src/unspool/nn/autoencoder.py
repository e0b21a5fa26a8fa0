"""The one wiring: encoder → code → decoders."""

from torch import Tensor, nn

from unspool.nn.decoder import RepeatDecoder
from unspool.nn.encoder import LSTMEncoder
from unspool.nn.recurrent import LSTMLayer


class Autoencoder(nn.Module):
    """An encoder and the decoder that undoes it.

    Parameters
    ----------
    encoder : module, ``(x (B, T, F), lengths) -> code (B, L)``
    reconstruction : module, ``(code, steps, lengths, x) -> (B, T, F)``
    """

    def __init__(self, encoder: LSTMEncoder, reconstruction: RepeatDecoder) -> None:
        super().__init__()
        self.encoder = encoder
        self.decoders = nn.ModuleDict({"reconstruction": reconstruction})

    @property
    def reconstruction(self) -> RepeatDecoder:
        """The decoder that gives the input back."""
        decoder = self.decoders["reconstruction"]
        assert isinstance(decoder, RepeatDecoder)
        return decoder

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Reconstruct sequences (B, T, F); what stands past the end of one has no meaning."""
        reconstruction: Tensor = self.reconstruction(
            self.encoder(x, lengths), x.shape[1], lengths, x
        )
        return reconstruction

    def backends(self) -> dict[str, str]:
        """Which backend ran each LSTM layer, or would, and why, by the layer's name."""
        return {
            name: f"{layer.backend.name} ({layer.backend.reason})" for name, layer in self._lstm()
        }

    def compiled(self, batch: int, *, training: bool) -> bool:
        """Whether all of the recurrence would run in compiled code, on `batch` sequences."""
        return all(
            layer.choice(batch, training=training).name == "cpu" for _, layer in self._lstm()
        )

    def _lstm(self) -> list[tuple[str, LSTMLayer]]:
        return [(n, module) for n, module in self.named_modules() if isinstance(module, LSTMLayer)]
