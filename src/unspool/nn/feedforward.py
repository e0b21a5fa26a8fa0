"""Dense encoders and decoders: a whole sequence, or image, or row of a table, at once."""

from collections.abc import Sequence
from itertools import pairwise

from torch import Generator, Tensor, nn

from unspool._padding import without_padding
from unspool.errors import InputError
from unspool.nn.decoder import Decoder, Head, TeacherForcing
from unspool.nn.dense import ACTIVATIONS, Dense
from unspool.nn.encoder import Encoder


class DenseEncoder(Encoder):
    """Wind sequences of bounded length onto codes through dense layers.

    Parameters
    ----------
    n_features, steps, latent_dim : int
        `steps` of the longest sequence; shorter ones end in zeros.
    units : sequence of int, default ()
        Widths of the layers before the code.
    activation, code_activation : str, default "relu"
        Of these layers, and of the code; names in `unspool.nn.dense.ACTIVATIONS`.
    variational, generator
        As for `Encoder`.
    """

    def __init__(
        self,
        n_features: int,
        steps: int,
        latent_dim: int,
        *,
        units: Sequence[int] = (),
        activation: str = "relu",
        code_activation: str = "relu",
        variational: bool = False,
        generator: Generator | None = None,
    ) -> None:
        super().__init__(latent_dim, latent_dim, variational=variational, generator=generator)
        self.steps = self.max_steps = steps
        names = [activation] * len(units) + [code_activation]
        layers: list[nn.Module] = []
        for (wide, narrow), name in zip(
            pairwise([steps * n_features, *units, latent_dim]), names, strict=True
        ):
            layers += [Dense(wide, narrow, generator), ACTIVATIONS[name]()]
        self.layers = nn.Sequential(*layers)

    def features(self, x: Tensor, lengths: Tensor | None) -> Tensor:
        """What the last layer makes of sequences (B, T, F)."""
        whole = pad_to(self.steps, without_padding(x, lengths))
        features: Tensor = self.layers(whole.flatten(1))
        return features


class DenseDecoder(Decoder):
    """Unwind codes through dense layers, all steps at once.

    Parameters
    ----------
    latent_dim, n_features, steps : int
        `steps` of the longest sequence it can give.
    units, activation, output_activation, generator
        The dense layers, see `Head`.
    """

    def __init__(
        self,
        latent_dim: int,
        n_features: int,
        steps: int,
        *,
        units: Sequence[int] = (),
        activation: str = "relu",
        output_activation: str = "linear",
        generator: Generator | None = None,
    ) -> None:
        super().__init__()
        self.max_steps, self.n_features = steps, n_features
        self.head: nn.Sequential = Head(
            latent_dim,
            n_features,
            units=units,
            steps=steps,
            activation=activation,
            output_activation=output_activation,
            generator=generator,
        )

    def forward(
        self,
        code: Tensor,
        steps: int,
        lengths: Tensor | None = None,
        reversed_input: Tensor | None = None,
        teacher: TeacherForcing | None = None,
    ) -> Tensor:
        """Sequences (B, steps, F) of codes (B, L), see `Decoder.forward`."""
        sequences: Tensor = self.head(code)
        return sequences[:, :steps]


def pad_to(steps: int, x: Tensor) -> Tensor:
    """Sequences (B, T, F) with zeros added at the end, (B, steps, F)."""
    if x.shape[1] > steps:
        raise InputError(
            f"Expected sequences of at most {steps} steps, got {x.shape[1]}; dense and "
            "convolutional models are bound to the longest sequence they were made for."
        )
    if x.shape[1] == steps:
        return x
    return nn.functional.pad(x, (0, 0, 0, steps - x.shape[1]))
