"""Random numbers, and from outputs that are probabilities to what bernoulli."""

from collections.abc import Callable, Sequence

import torch
from torch import Generator, Tensor
from torch.nn import functional

from unspool._losses import LEAST
from unspool.errors import InputError


def standard_normal(like: Tensor, generator: Generator | None = None) -> Tensor:
    """Standard normal numbers of the shape and dtype of `like`, where it is.

    Like all random numbers here they are drawn on the CPU in float32, and so are the same
    everywhere.
    """
    drawn = torch.empty(like.shape, dtype=torch.float32, device="cpu")
    return drawn.normal_(generator=generator).to(like)


def bernoulli(
    chance: float, shape: Sequence[int], like: Tensor, generator: Generator | None = None
) -> Tensor:
    """Truth values of `shape`, each true with probability `chance`, on the device of `like`."""
    drawn = torch.rand(*shape, generator=generator, dtype=torch.float32, device="cpu")
    return (drawn < chance).to(like.device)


def sampler(
    loss: str, temperature: float, generator: Generator | None = None
) -> Callable[[Tensor], Tensor]:
    """Make a function that draws values (…, F) from probabilities (…, F).

    Parameters
    ----------
    loss : {"binary_crossentropy", "categorical_crossentropy"}
        What the outputs were trained on: every feature is 0 or 1 by itself, or one of them is 1.
    temperature : float
        What log-odds are divided by: 1 draws from the probabilities as they are, less makes the
        likely likelier, and 0 takes the likeliest.
    generator : torch.Generator, optional

    Raises
    ------
    InputError
        For another loss, whose outputs are no probabilities.
    """
    if loss not in ("binary_crossentropy", "categorical_crossentropy"):
        raise InputError(
            f"`temperature` is for outputs that are probabilities (a cross-entropy), but this "
            f"model was trained on {loss!r}; leave it out."
        )
    one_of_all = loss == "categorical_crossentropy"

    def draw(probability: Tensor) -> Tensor:
        logs = probability.clamp(LEAST, 1).log()
        if one_of_all:
            if temperature:
                chances = functional.softmax(logs / temperature, -1).cpu()
                chances = chances.reshape(-1, logs.shape[-1])
                picked = torch.multinomial(chances, 1, generator=generator).to(logs.device)
                picked = picked.view(logs.shape[:-1])
            else:
                picked = logs.argmax(-1)
            return functional.one_hot(picked, logs.shape[-1]).to(probability)
        if not temperature:
            return (probability > 0.5).to(probability)
        odds = logs - (1 - probability).clamp(LEAST, 1).log()
        chance = torch.sigmoid(odds / temperature).cpu()
        return torch.bernoulli(chance, generator=generator).to(probability)

    return draw
