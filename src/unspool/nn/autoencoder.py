"""The autoencoder: one encoder, and the decoders of its code."""

from collections.abc import Callable, Mapping, Sequence
from typing import cast

import torch
from torch import Tensor, nn

from unspool._padding import reverse_within, without_padding
from unspool.errors import InputError
from unspool.lstm import Call
from unspool.lstm.backends.compiled import refusal
from unspool.nn.convolution import Convolution
from unspool.nn.decoder import Decoder, TeacherForcing
from unspool.nn.encoder import Encoder
from unspool.nn.lstm_encoder import LSTMEncoder
from unspool.nn.lstm_layer import LSTMLayer
from unspool.nn.skip import Skip


class Autoencoder(nn.Module):
    """An encoder and one or more decoders.

    Encoder and decoders are modules of their own with shared weights: training the autoencoder
    trains them, and each can be called alone.

    Parameters
    ----------
    encoder : Encoder
        Encoder: ``encoder(x, lengths)`` with ``x`` (B, T, F) returns codes (B, L). If it accepts
        missing values (``missing=True``), NaN in `x` is one everywhere below.
    decoders : dict of str to Decoder
        Decoders by what they return: "reconstruction" returns the input (B, T, F), "forecast" the
        K steps after its end (B, K, F), and "quantiles" the quantiles of these steps
        (B, K, F · Q).
    horizon : int, default 0
        Number of forecast steps, K.
    skip : Skip, optional
        Path from the input to its forecast that bypasses the code. Default: the forecast is made
        from the code alone.
    targets : sequence of int, optional
        Places of the F_out features that the decoders return; the others are only read. Default:
        all features, or quantities that are not features of the input.
    known : sequence of int, default ()
        Places of the features that are known for the steps of the forecast, which the decoders of
        the forecast read there.

    Attributes
    ----------
    encoder : Encoder
        The encoder.
    decoders : torch.nn.ModuleDict
        The decoders by name.
    horizon : int
        Number of forecast steps, K.
    skip : Skip or None
        The path that bypasses the code.
    targets : list of int or None
        Places of the features that the decoders return.
    known : list of int
        Places of the features that are known for the steps of the forecast.

    whole_step : str or None
        How the last training step ran: in one call of compiled code, or layer by layer, and why.
        None before the first one.

    See Also
    --------
    LSTMEncoder, DenseEncoder, ConvEncoder : Encoders.
    LSTMDecoder, DenseDecoder, ConvDecoder : Decoders.
    unspool.summary : Print the layers of an autoencoder.

    Examples
    --------
    >>> import torch
    >>> from unspool.nn import Autoencoder, LSTMDecoder, LSTMEncoder
    >>> model = Autoencoder(LSTMEncoder(3, 8), {"reconstruction": LSTMDecoder("repeat", 8, 3)})
    >>> x = torch.zeros(2, 10, 3)
    >>> model.encoder(x).shape, model(x).shape
    (torch.Size([2, 8]), torch.Size([2, 10, 3]))
    """

    whole_step: str | None = None  # set by `unspool.nn.fused`

    def __init__(
        self,
        encoder: Encoder,
        decoders: Mapping[str, Decoder],
        horizon: int = 0,
        skip: Skip | None = None,
        *,
        targets: Sequence[int] | None = None,
        known: Sequence[int] = (),
    ) -> None:
        super().__init__()
        self.encoder, self.horizon, self.skip = encoder, horizon, skip
        self.targets, self.known = None if targets is None else list(targets), list(known)
        self.decoders = nn.ModuleDict(dict(decoders))

    def decoder(self, name: str = "reconstruction") -> Decoder:
        """Return the decoder `name`.

        Parameters
        ----------
        name : {"reconstruction", "forecast", "quantiles"}, default "reconstruction"
            What the decoder returns.

        Returns
        -------
        Decoder
            The decoder.

        Raises
        ------
        InputError
            If the model has no decoder of this name.
        """
        if name not in self.decoders:
            known = ", ".join(map(repr, self.decoders))
            held = f"its decoders are {known}" if known else "it has an encoder only"
            raise InputError(f"This model has no decoder {name!r}; {held}.")
        return cast(Decoder, self.decoders[name])

    def of_targets(self, x: Tensor) -> Tensor:
        """Select the features that the decoders return.

        Parameters
        ----------
        x : tensor of shape (..., F)
            All features.

        Returns
        -------
        tensor of shape (..., F_out)
            The targets; `x` itself if all features are targets.
        """
        return x if self.targets is None else x[..., self.targets]

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Reconstruct sequences.

        Parameters
        ----------
        x : tensor of shape (B, T, F)
            Sequences.
        lengths : int tensor of shape (B,), optional
            Number of real steps of each sequence. Default: all steps are real.

        Returns
        -------
        tensor of shape (B, T, F_out)
            Reconstructions; values at padded steps are arbitrary.

        Raises
        ------
        InputError
            If the model has no decoder "reconstruction".
        """
        return self.run_decoder("reconstruction", x, lengths)

    def run_decoder(
        self, name: str, x: Tensor, lengths: Tensor | None = None, future: Tensor | None = None
    ) -> Tensor:
        """Encode sequences, and decode them with the decoder `name`.

        Parameters
        ----------
        name : {"reconstruction", "forecast", "quantiles"}
            Which decoder to run.
        x : tensor of shape (B, T, F)
            Sequences.
        lengths : int tensor of shape (B,), optional
            Number of real steps of each sequence. Default: all steps are real.
        future : tensor of shape (B, K, n_known), optional
            Known features of the steps of the forecast, for a model with `known`.

        Returns
        -------
        tensor of shape (B, T, F_out), (B, K, F_out) or (B, K, F_out, Q)
            Reconstruction, forecast, or quantiles of the forecast in ascending order.

        Raises
        ------
        InputError
            If the model has no decoder of this name, or needs `future` and it is missing.
        """
        return self.decode(name, self.encoder(x, lengths), x, lengths, future=future)

    def decode(
        self,
        name: str,
        code: Tensor,
        x: Tensor,
        lengths: Tensor | None = None,
        teacher: TeacherForcing | None = None,
        future: Tensor | None = None,
    ) -> Tensor:
        """Decode codes with the decoder `name`.

        Parameters
        ----------
        name : {"reconstruction", "forecast", "quantiles"}
            Which decoder to run.
        code : tensor of shape (B, L)
            Codes of the sequences `x`.
        x : tensor of shape (B, T, F)
            Sequences: read by decoders with `Decoder.needs_input` and by `skip`. Otherwise only
            its shape is used.
        lengths : int tensor of shape (B,), optional
            Number of real steps of each sequence. Default: all steps are real.
        teacher : TeacherForcing, optional
            True outputs to read in training, for decoders with `Decoder.feeds_back`.
        future : tensor of shape (B, K, n_known), optional
            Known features of the steps of the forecast, for a model with `known`.

        Returns
        -------
        tensor of shape (B, T, F_out), (B, K, F_out) or (B, K, F_out, Q)
            Reconstruction, forecast, or quantiles of the forecast in ascending order.

        Raises
        ------
        InputError
            If the model has no decoder of this name, or needs `future` and it is missing.
        """
        decoder, skip = self.decoder(name), self.skip
        also = {"known": future} if decoder.n_known else {}
        if name == "quantiles":
            features = self.of_targets(x).shape[2]
            if "forecast" in self.decoders:  # the targets may be no features of x
                features = int(self.decoder("forecast").n_features)  # type: ignore[arg-type]
            values = decoder(code, self.horizon, **also).unflatten(2, (features, -1)).sort(3).values
            if skip is None:
                return cast(Tensor, values)
            return skip.quantiles(values, self.of_targets(x), lengths)
        reversed_input = None
        if decoder.needs_input:
            read = without_padding(self.encoder.marked(x), lengths)
            reversed_input = reverse_within(read, lengths)
        if name == "forecast":
            if skip is None:
                return cast(
                    Tensor, decoder(code, self.horizon, None, reversed_input, teacher, **also)
                )
            past = self.of_targets(x)
            if teacher is not None and decoder.feeds_back:
                teacher = teacher._replace(target=skip.inverse(teacher.target, past, lengths))
            output = decoder(code, self.horizon, None, reversed_input, teacher, **also)
            return cast(Tensor, skip(output, past, lengths))
        return cast(Tensor, decoder(code, x.shape[1], lengths, reversed_input, teacher))

    def decode_by_step(
        self,
        name: str,
        x: Tensor,
        lengths: Tensor | None = None,
        teacher: TeacherForcing | None = None,
        change: Callable[[Tensor], Tensor] | None = None,
    ) -> Tensor:
        """Forecast after every step of sequences.

        Parameters
        ----------
        name : {"forecast", "quantiles"}
            Which decoder to run.
        x : tensor of shape (B, T, F)
            Sequences.
        lengths : int tensor of shape (B,), optional
            Number of real steps of each sequence. Default: all steps are real.
        teacher : TeacherForcing, optional
            True outputs (B, T, K, F) to read in training, for decoders with
            `Decoder.feeds_back`.
        change : callable, optional
            Function from codes (B, T, L) to the codes that are decoded, for example dropout.
            Default: codes are decoded unchanged.

        Returns
        -------
        tensor of shape (B, T, K, F) or (B, T, K, F, Q)
            Forecasts after 1, 2, …, T steps, or their quantiles.

        Raises
        ------
        InputError
            If the encoder has no code after every step (see `LSTMEncoder.encode_by_step`), or if
            the decoder reads the input.
        """
        if not isinstance(self.encoder, LSTMEncoder):
            raise InputError(
                "Forecasts after every step need an LSTMEncoder, but this model has a "
                f"{type(self.encoder).__name__}."
            )
        if self.known:
            raise InputError(
                "Forecasts after every step would need the known features after every step; use "
                "`forecast`, or fit with known=()."
            )
        if self.decoder(name).needs_input:
            raise InputError(
                "Forecasts after every step need a decoder that reads only the code, but this one "
                "reads the input too. Fit with another decoder, such as decoder='dense'."
            )
        codes = self.encoder.encode_by_step(x, lengths)
        codes = codes if change is None else change(codes)
        if self.skip is None or not x.shape[1]:  # the decoder reads nothing but the code
            if teacher is not None:
                teacher = teacher._replace(target=teacher.target.flatten(0, 1))
            output = self.decode(name, codes.flatten(0, 1), x.flatten(0, 1)[:, None], None, teacher)
            return output.view(*codes.shape[:2], *output.shape[1:])
        ends = x.new_full((len(x),), x.shape[1]).long() if lengths is None else lengths
        outputs = []
        for step in range(x.shape[1]):
            now = None if teacher is None else teacher._replace(target=teacher.target[:, step])
            until = ends.clamp(max=step + 1)
            outputs.append(self.decode(name, codes[:, step], x[:, : step + 1], until, now))
        return torch.stack(outputs, 1)

    def backends(self) -> dict[str, str]:
        """List the backend of each LSTM layer.

        Returns
        -------
        dict of str to str
            By the name of the layer, the backend of its last run and the reason why it was chosen,
            such as "compiled (…)". Before the first run, the backend that would be chosen.

        See Also
        --------
        unspool.lstm.choose : Choose a backend.
        """
        return {
            name: f"{layer.backend.name} ({layer.backend.reason})" for name, layer in self._lstm()
        }

    def runs_compiled(self, batch: int, *, training: bool, h_mask: bool = False) -> bool:
        """Return whether compiled code would do most of the computation.

        Parameters
        ----------
        batch : int
            Batch size.
        training : bool
            Whether gradients are computed.
        h_mask : bool, default False
            Whether the gates read the hidden states through masks (recurrent dropout).

        Returns
        -------
        bool
            Whether the compiled backend would run all LSTM layers; without LSTM layers, whether
            compiled matrix products would run inference.
        """
        layers = self._lstm()
        if not training and not any(isinstance(module, Convolution) for module in self.modules()):
            weight = next(self.parameters())
            if refusal(Call(device=weight.device.type, dtype=weight.dtype)) is not None:
                return False
        elif not layers:
            return False
        choices = [layer.choice(batch, training=training, h_mask=h_mask) for _, layer in layers]
        return all(choice.name == "compiled" for choice in choices)

    def _lstm(self) -> list[tuple[str, LSTMLayer]]:
        modules = self.named_modules()
        return [(name, module) for name, module in modules if isinstance(module, LSTMLayer)]
